//! The books of a workflow held against its trails: each item that counted is paid once, to who made it, at
//! their price, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What an item costs on every machine of a network, by kind: all differ, so that none passes for another.
pub const PRICES: [(&str, &str); 11] = [
    ("commitments.bundle/1", "0.1"),
    ("commitments.check/1", "0.01"),
    ("commitments.compress/1", "0.5"),
    ("commitments.leaf/1", "0.06"),
    ("commitments.node/1", "0.04"),
    ("commitments.prove/1", "0.05"),
    ("commitments.schedule/1", "0.07"),
    ("commitments.tip/1", "0.08"),
    ("commitments.witness/1", "0.001"),
    ("e2e.count/1", "0.02"),
    ("e2e.gorge/1", "0.03"),
];

/// How many items were paid, by kind.
pub type Paid = BTreeMap<String, u64>;

/// What `froben` says of a workflow that is over, and of those that it has paid for.
pub(crate) struct Books {
    /// The delegations of each workflow, by its id.
    pub(crate) trails: BTreeMap<String, Vec<Value>>,
    pub(crate) held: Value,
    pub(crate) budget: Value,
}

/// What is right about the books of one workflow.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) paid: Paid,
    /// The indexes of what was settled, by the account that has it.
    pub(crate) settled: BTreeMap<String, BTreeSet<u64>>,
    pub(crate) spent: i64,
}

/// What was posted for one attempt.
#[derive(Default)]
struct Posted {
    reserved: i64,
    released: i64,
    /// To whom, how much, and the posting's index.
    settled: Vec<(String, i64, u64)>,
}

/// A decimal in millionths.
pub fn micros(decimal: &Value) -> i64 {
    let text = decimal.as_str().expect("an amount is a text");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |text: &str| text.parse::<i64>().expect("an amount is a decimal");
    sign * (number(whole) * 1_000_000 + number(&format!("{part:0<6}")))
}

fn price(kind: &str) -> Result<i64, String> {
    let found = PRICES.iter().find(|(priced, _)| *priced == kind);
    let found = found.ok_or_else(|| format!("no price is known of {kind}"))?;
    Ok(micros(&Value::from(found.1)))
}

/// What the items cost together, by kind.
pub(crate) fn worth(paid: &Paid) -> BTreeMap<String, i64> {
    let costs = paid.iter().map(|(kind, items)| {
        let price = price(kind).expect("it has a price");
        (kind.clone(), price * *items as i64)
    });
    costs.collect()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().expect("a list")
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().expect("a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

impl Books {
    /// *Errors*: what is wrong with them, in words.
    pub(crate) fn check(&self) -> Result<Sound, String> {
        let mut posted = self.posted()?;
        let mut sound = Sound {
            paid: Paid::new(),
            settled: BTreeMap::new(),
            spent: 0,
        };
        for (workflow, delegations) in &self.trails {
            for delegation in delegations {
                let name = format!("{workflow}{}", text(&delegation["name"]));
                let paid = delegation_is_sound(&name, delegation, &mut posted, &mut sound)?;
                *sound
                    .paid
                    .entry(text(&delegation["kind"]).into())
                    .or_default() += paid;
            }
        }
        if let Some((attempt, _)) = posted.first_key_value() {
            return Err(format!("{attempt} was paid for and never made"));
        }
        sound.paid.retain(|_, items| *items > 0);
        self.is_closed(sound.spent)?;
        Ok(sound)
    }

    /// By attempt: the workflow, the call and the number.
    fn posted(&self) -> Result<BTreeMap<String, Posted>, String> {
        let mut all: BTreeMap<String, Posted> = BTreeMap::new();
        for posting in list(&self.held, "postings") {
            let (workflow, call) = (text(&posting["workflow"]), text(&posting["call"]));
            let attempt = format!("{workflow}{call}.{}", posting["attempt"]);
            let (amount, other) = (micros(&posting["amount"]), text(&posting["other"]));
            let posted = all.entry(attempt).or_default();
            match text(&posting["cause"]) {
                "reserve" => posted.reserved += amount,
                "release" => posted.released -= amount,
                "settle" => {
                    let index = count(posting, "index");
                    posted.settled.push((other.to_string(), -amount, index));
                }
                other => return Err(format!("{other} is posted on what is held")),
            }
        }
        match micros(&self.held["balance"]) {
            0 => Ok(all),
            left => Err(format!("{left} millionths are still held")),
        }
    }

    /// The seeker has paid what was spent, once.
    fn is_closed(&self, spent: i64) -> Result<(), String> {
        let left = micros(&self.budget["balance"]);
        if left != 0 {
            return Err(format!("the budget's account holds {left} millionths"));
        }
        let closes = list(&self.budget, "postings").iter();
        let closes = closes.filter(|posting| posting["cause"] == "close");
        let closes: Vec<i64> = closes.map(|posting| micros(&posting["amount"])).collect();
        let expected: &[i64] = match spent {
            0 => &[],
            _ => &[spent],
        };
        match closes == expected {
            true => Ok(()),
            false => Err(format!(
                "{spent} millionths were spent, and {closes:?} paid"
            )),
        }
    }
}

/// How many items of it were paid.
fn delegation_is_sound(
    name: &str,
    delegation: &Value,
    posted: &mut BTreeMap<String, Posted>,
    sound: &mut Sound,
) -> Result<u64, String> {
    let price = price(text(&delegation["kind"]))?;
    let mut paid = 0;
    for attempt in list(delegation, "attempts") {
        let name = format!("{name}.{}", attempt["attempt"]);
        if attempt["end"] == "open" {
            return Err(format!("{name} goes on though its workflow is over"));
        }
        if micros(&attempt["claimed"]["price"]) != price {
            return Err(format!("{name} has another price: {}", attempt["claimed"]));
        }
        let posted = posted.remove(&name).unwrap_or_default();
        let account = format!("operator/{}", text(&attempt["operator"]));
        let (ok, count) = (count(attempt, "items_ok"), posted.settled.len() as u64);
        if ok != count {
            return Err(format!("{name} has {ok} items and was paid {count} times"));
        }
        for (to, amount, index) in posted.settled {
            if (&to, amount) != (&account, price) {
                return Err(format!("{name} at {price}: {amount} went to {to}"));
            }
            sound.settled.entry(to).or_default().insert(index);
            sound.spent += amount;
        }
        let owed = posted.reserved - posted.released - price * ok as i64;
        if owed != 0 {
            return Err(format!("{owed} millionths are reserved for {name}"));
        }
        paid += ok;
    }
    let (ok, total) = (
        count(delegation, "items_ok"),
        count(delegation, "items_total"),
    );
    match paid == ok && ok <= total {
        true => Ok(paid),
        false => Err(format!("{name}: {paid} of {ok} of {total} items are paid")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt(number: u64, operator: &str, items_ok: u64) -> Value {
        let claimed = json!({ "price": "0.02" });
        json!({
            "attempt": number, "operator": operator, "items_ok": items_ok, "claimed": claimed,
            "end": "succeeded",
        })
    }

    fn posting(index: u64, attempt: u64, cause: &str, other: &str, amount: &str) -> Value {
        json!({
            "index": index, "workflow": "wf", "call": "#1", "attempt": attempt, "cause": cause,
            "other": other, "amount": amount,
        })
    }

    /// Two of three items came from the first attempt, which was lost, and one from the second.
    fn books() -> Books {
        let delegation = json!({
            "name": "#1", "kind": "e2e.count/1", "items_ok": 3, "items_total": 3,
            "attempts": [attempt(1, "a", 2), attempt(2, "b", 1)],
        });
        let held = [
            posting(1, 1, "reserve", "budget/wf", "0.06"),
            posting(2, 1, "settle", "operator/a", "-0.02"),
            posting(3, 1, "settle", "operator/a", "-0.02"),
            posting(4, 1, "release", "budget/wf", "-0.02"),
            posting(5, 2, "reserve", "budget/wf", "0.02"),
            posting(6, 2, "settle", "operator/b", "-0.02"),
        ];
        let close = posting(7, 0, "close", "seeker/s", "0.06");
        Books {
            trails: [("wf".to_string(), vec![delegation])].into(),
            held: json!({ "balance": "0", "postings": held }),
            budget: json!({ "balance": "0", "postings": [close] }),
        }
    }

    #[test]
    fn what_is_right_is_counted() {
        let sound = books().check().expect("they are sound");
        assert_eq!(sound.paid, [("e2e.count/1".to_string(), 3)].into());
        assert_eq!(sound.spent, 60_000);
        assert_eq!(sound.settled["operator/a"], [2, 3].into());
        assert_eq!(sound.settled["operator/b"], [6].into());
    }

    #[test]
    fn what_is_wrong_is_told() {
        type Spoil = fn(&mut Books);
        fn held(books: &mut Books) -> &mut Vec<Value> {
            books.held["postings"].as_array_mut().expect("a list")
        }
        fn delegation(books: &mut Books) -> &mut Value {
            &mut books.trails.get_mut("wf").expect("it is there")[0]
        }
        let cases: [(&str, Spoil); 14] = [
            ("wf#1.1 has 2 items and was paid 3 times", |books| {
                let again = held(books)[1].clone();
                held(books).push(again);
            }),
            ("wf#1.2 has 1 items and was paid 0 times", |books| {
                held(books).pop();
            }),
            ("20000 went to operator/b", |books| {
                held(books)[1]["other"] = json!("operator/b");
            }),
            ("10000 went to operator/a", |books| {
                held(books)[1]["amount"] = json!("-0.01");
            }),
            ("20000 millionths are reserved for wf#1.1", |books| {
                held(books).remove(3);
            }),
            ("-20000 millionths are reserved for wf#1.2", |books| {
                held(books).remove(4);
            }),
            ("wf#1.3 was paid for and never made", |books| {
                held(books).push(posting(8, 3, "settle", "operator/b", "-0.02"));
            }),
            ("close is posted", |books| {
                held(books)[0]["cause"] = json!("close");
            }),
            ("20000 millionths are still held", |books| {
                books.held["balance"] = json!("0.02");
            }),
            ("-60000 millionths", |books| {
                books.budget["balance"] = json!("-0.06");
            }),
            ("[] paid", |books| {
                books.budget["postings"] = json!([]);
            }),
            ("[60000, 60000] paid", |books| {
                let close = books.budget["postings"][0].clone();
                books.budget["postings"] = json!([close, close]);
            }),
            ("wf#1.2 goes on", |books| {
                delegation(books)["attempts"][1]["end"] = json!("open");
            }),
            ("3 of 3 of 2 items", |books| {
                delegation(books)["items_total"] = json!(2);
            }),
        ];
        for (expected, spoil) in cases {
            let mut books = books();
            spoil(&mut books);
            let found = books.check().expect_err(expected);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in [
            ("0", 0),
            ("0.05", 50_000),
            ("-0.9", -900_000),
            ("12", 12_000_000),
            ("1.000001", 1_000_001),
        ] {
            assert_eq!(micros(&Value::from(text)), expected, "{text}");
        }
    }
}
