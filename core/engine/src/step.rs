//! The step from which a fork begins: the number of a call, or the key of what its script handed out.

use froben_journal::{Body, CallOp, Called, Record};
use froben_model::CallId;
use froben_model::view::Failure;

use crate::engine::refusal;

/// Keys that a refusal lists; of more it shows the first and the last ones.
const LISTED: usize = 12;
/// Of a step that is none, and of a key.
const SHOWN_CHARS: usize = 80;

/// The first call that is not kept.
///
/// *Errors*: there is no such step; those that there are. Several have that key; their numbers.
pub(crate) fn find(records: &[Record], step: &str) -> Result<CallId, Failure> {
    let calls = || records.iter().filter_map(called);
    let last = calls().map(|called| called.call.0).max().unwrap_or(0);
    let keyed: Vec<(&str, CallId)> = calls()
        .filter_map(|called| Some((key(called)?, called.call)))
        .collect();
    // A key may look like a number; it is still what its author calls the step.
    let named = keyed.iter().filter(|(key, _)| *key == step);
    match named.map(|(_, call)| *call).collect::<Vec<_>>()[..] {
        [] => {}
        [call] => return Ok(call),
        ref several => return Err(refusal("FRB-WFL-004", ambiguous(step, several))),
    }
    let number = step.strip_prefix('#').unwrap_or(step).parse::<u64>();
    match number {
        Ok(number) if (1..=last + 1).contains(&number) => Ok(CallId(number)),
        _ => Err(refusal("FRB-WFL-004", none_such(step, last, &keyed))),
    }
}

fn called(record: &Record) -> Option<&Called> {
    match &record.body {
        Body::Called(called) => Some(called),
        _ => None,
    }
}

fn key(called: &Called) -> Option<&str> {
    let key = match &called.op {
        CallOp::Delegate(spec) => &spec.key,
        CallOp::Run { key, .. } => key,
        CallOp::Sleep { .. } | CallOp::Status(_) | CallOp::Log { .. } | CallOp::Cancel { .. } => {
            return None;
        }
    };
    (!key.is_empty()).then_some(key)
}

fn ambiguous(key: &str, calls: &[CallId]) -> String {
    let numbers = listed(calls.iter().map(CallId::to_string).collect());
    format!(
        "several steps have the key `{}`: give one of {numbers}",
        short(key)
    )
}

/// With commas; of more than [`LISTED`] the first and the last ones.
fn listed(mut all: Vec<String>) -> String {
    if all.len() > LISTED {
        let left_out = all.len() - LISTED;
        let middle = LISTED / 2..LISTED / 2 + left_out;
        all.splice(middle, [format!("{left_out} more")]);
    }
    all.join(", ")
}

fn none_such(step: &str, last: u64, keyed: &[(&str, CallId)]) -> String {
    let end = last + 1;
    let mut why = format!(
        "there is no step `{}`: give a call from 1 to {end}",
        short(step)
    );
    // Whoever has most of a key right need not look through all of them.
    let alike = |(key, _): &&(&str, CallId)| !step.is_empty() && key.contains(step);
    let like: Vec<_> = keyed.iter().filter(alike).copied().collect();
    let (keys, which) = match like.is_empty() {
        true => (keyed, "a key"),
        false => (&like[..], "one of the keys like it"),
    };
    if keys.is_empty() {
        return why;
    }
    let show = |(key, call): &(&str, CallId)| format!("`{}` ({call})", short(key));
    let keys = listed(keys.iter().map(show).collect());
    why.push_str(&format!(", or {which}: {keys}"));
    why
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use froben_model::{Kind, Needs, TaskSpec, Value};

    use super::*;

    fn record(call: u64, op: CallOp) -> Record {
        let body = Body::Called(Called {
            call: CallId(call),
            line: 1,
            op,
            fed: 0,
        });
        Record { time_ms: 0, body }
    }

    fn delegate(call: u64, key: &str) -> Record {
        let spec = TaskSpec {
            kind: Kind::new("a.b/1").expect("a kind"),
            input: Value::Nil,
            items: vec![Value::Nil],
            needs: Needs::default(),
            timeout_ms: 1,
            queue_timeout_ms: 1,
            avoid: Vec::new(),
            key: key.to_string(),
            check: None,
            keys: Vec::new(),
            max_price: None,
        };
        record(call, CallOp::Delegate(spec))
    }

    fn run(call: u64, key: &str) -> Record {
        let (pipeline, input, key) = ("p".to_string(), Value::Nil, key.to_string());
        record(
            call,
            CallOp::Run {
                pipeline,
                input,
                key,
            },
        )
    }

    #[test]
    fn a_step_is_a_number_or_a_key() {
        let records = [
            delegate(1, "first"),
            record(2, CallOp::Sleep { ms: 1 }),
            delegate(3, "1"),
            run(4, "child"),
            delegate(5, ""),
        ];
        for (step, call) in [
            ("first", 1),
            ("2", 2),
            ("#2", 2),
            ("1", 3),
            ("#1", 1),
            ("child", 4),
            ("6", 6),
        ] {
            assert_eq!(find(&records, step), Ok(CallId(call)), "{step}");
        }
        for step in ["", "0", "7", "-1", "#", "second", "First"] {
            let refused = find(&records, step).expect_err("no step");
            assert_eq!(refused.code, "FRB-WFL-004", "{step}");
        }
    }

    #[test]
    fn a_key_of_several_steps_is_refused_with_their_numbers() {
        let records = [run(1, "part"), run(2, "other"), delegate(3, "part")];
        let refused = find(&records, "part").expect_err("which one?");
        assert_eq!(refused.code, "FRB-WFL-004");
        assert_eq!(
            refused.message,
            "several steps have the key `part`: give one of #1, #3"
        );
        assert_eq!(find(&records, "other"), Ok(CallId(2)));
        assert_eq!(find(&records, "#3"), Ok(CallId(3)));
        let many: Vec<_> = (1..=100).map(|n| run(n, "part")).collect();
        let refused = find(&many, "part").expect_err("which one?").message;
        assert!(refused.contains("#6, 88 more, #95"), "{refused}");
    }

    #[test]
    fn a_refusal_lists_the_steps_that_there_are() {
        let check = |records: &[Record], step: &str, expected: &str| {
            let refused = find(records, step).expect_err("no step");
            assert_eq!(refused.message, expected);
        };
        check(&[], "x", "there is no step `x`: give a call from 1 to 1");
        let few = [
            delegate(1, "first/1"),
            run(2, "child"),
            delegate(3, "last/1"),
        ];
        check(
            &few,
            "x",
            "there is no step `x`: give a call from 1 to 4, or a key: `first/1` (#1), `child` (#2), \
             `last/1` (#3)",
        );
        check(
            &few,
            "last",
            "there is no step `last`: give a call from 1 to 4, or one of the keys like it: `last/1` (#3)",
        );
        let many: Vec<_> = (1..=100).map(|n| delegate(n, &format!("k{n}"))).collect();
        let refused = find(&many, "x").expect_err("no step").message;
        assert!(
            refused.contains("`k6` (#6), 88 more, `k95` (#95)"),
            "{refused}"
        );
    }
}
