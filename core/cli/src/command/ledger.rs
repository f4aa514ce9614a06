//! `froben ledger`: who is owed what, and for what.

use std::fmt::Write as _;

use froben_model::Amount;
use froben_model::ledger::{Account, Balance, Posting};
use froben_wire::Identity;
use serde_json::{Value as Json, json};

use crate::args::{BookFormat, Ledger as Args};
use crate::client::Ledger;
use crate::error::Error;
use crate::output::print_json;
use crate::session::block_on;

/// Entries that are asked for at once.
const PAGE: u32 = 1000;

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let account = match &args.account {
        None => None,
        Some(text) => Some(text.parse::<Account>().map_err(|error| {
            Error::usage(error.to_string())
                .hint("`froben ledger` without an account lists those that you may see")
        })?),
    };
    block_on(async {
        let identity = Identity::load(&args.remote.identity)?;
        let ledger = Ledger::connect(&args.remote.coordinator, &identity).await?;
        match account {
            None => accounts(&ledger, args.output).await,
            Some(account) => statement(&ledger, &account, args).await,
        }
    })
}

async fn accounts(ledger: &Ledger, format: BookFormat) -> Result<(), Error> {
    let accounts = ledger.accounts().await?;
    match format {
        BookFormat::Json => print_json(&accounts.iter().map(account_json).collect()),
        BookFormat::Csv => print!("{}", accounts_csv(&accounts)),
        BookFormat::Text => print!("{}", accounts_text(&accounts)),
    }
    Ok(())
}

/// Shows an account page by page, so that one of millions of entries needs no room for all of them.
async fn statement(ledger: &Ledger, account: &Account, args: &Args) -> Result<(), Error> {
    let mut all = Vec::new();
    let (mut from, mut left) = (args.from, args.limit);
    if args.output == BookFormat::Csv {
        print!("{CSV_HEAD}");
    }
    let balance = loop {
        let (page, balance) = ledger.postings(account, from, left.min(PAGE)).await?;
        left -= page.len() as u32;
        let ends = page.len() < PAGE as usize || left == 0;
        from = page.last().map_or(from, |last| last.index + 1);
        match args.output {
            BookFormat::Csv => page
                .iter()
                .for_each(|posting| print!("{}", csv_line(account, posting))),
            BookFormat::Text | BookFormat::Json => all.extend(page),
        }
        if ends {
            break balance;
        }
    };
    match args.output {
        BookFormat::Csv => {}
        BookFormat::Json => print_json(&json!({
            "account": account.to_string(),
            "balance": money(balance),
            "postings": all.iter().map(|p| posting_json(account, p)).collect::<Vec<_>>(),
        })),
        BookFormat::Text => print!("{}", statement_text(account, &all, balance)),
    }
    Ok(())
}

/// As a decimal; a debt has a minus sign.
fn money(balance: Balance) -> String {
    let sign = if balance < 0 { "-" } else { "" };
    match u64::try_from(balance.unsigned_abs()) {
        Ok(micros) => format!("{sign}{}", Amount(micros)),
        // More than an amount can be: the sum of many. Whole units will do.
        Err(_) => format!("{sign}{}", balance.unsigned_abs() / 1_000_000),
    }
}

/// What a posting adds to the account, or takes out of it.
fn change(account: &Account, posting: &Posting) -> Balance {
    let amount = Balance::from(posting.amount.0);
    match posting.to == *account {
        true => amount,
        false => -amount,
    }
}

fn other<'a>(account: &Account, posting: &'a Posting) -> &'a Account {
    match posting.to == *account {
        true => &posting.from,
        false => &posting.to,
    }
}

fn account_json((account, balance): &(Account, Balance)) -> Json {
    json!({ "account": account.to_string(), "balance": money(*balance) })
}

fn posting_json(account: &Account, posting: &Posting) -> Json {
    json!({
        "index": posting.index,
        "time_ms": posting.time_ms,
        "workflow": posting.workflow.to_string(),
        "call": posting.call.map(|call| call.to_string()),
        "attempt": posting.attempt,
        "cause": posting.cause.name(),
        "other": other(account, posting).to_string(),
        "amount": money(change(account, posting)),
    })
}

const CSV_HEAD: &str = "index,time_ms,workflow,call,attempt,cause,other,amount\n";

/// No field has a comma, a quote or a line's end in it: names are letters, digits and a few signs.
fn csv_line(account: &Account, posting: &Posting) -> String {
    let call = posting
        .call
        .map(|call| call.to_string())
        .unwrap_or_default();
    format!(
        "{},{},{},{call},{},{},{},{}\n",
        posting.index,
        posting.time_ms,
        posting.workflow,
        posting.attempt,
        posting.cause.name(),
        other(account, posting),
        money(change(account, posting)),
    )
}

fn accounts_csv(accounts: &[(Account, Balance)]) -> String {
    let mut csv = "account,balance\n".to_string();
    for (account, balance) in accounts {
        let _ = writeln!(csv, "{account},{}", money(*balance));
    }
    csv
}

fn accounts_text(accounts: &[(Account, Balance)]) -> String {
    if accounts.is_empty() {
        return "nothing was ever posted\n".to_string();
    }
    let width = accounts
        .iter()
        .map(|(account, _)| account.to_string().len());
    let width = width.max().unwrap_or(0);
    let mut text = String::new();
    for (account, balance) in accounts {
        let _ = writeln!(
            text,
            "{:<width$}  {:>14}",
            account.to_string(),
            money(*balance)
        );
    }
    text
}

fn statement_text(account: &Account, postings: &[Posting], balance: Balance) -> String {
    let mut text = format!("{account} holds {}\n", money(balance));
    for posting in postings {
        let call = posting
            .call
            .map(|call| call.to_string())
            .unwrap_or_default();
        let attempt = match posting.attempt {
            0 => String::new(),
            attempt => format!(".{attempt}"),
        };
        let _ = writeln!(
            text,
            "{:>8}  {:<8} {:>14}  {}{call}{attempt}",
            posting.index,
            posting.cause.name(),
            money(change(account, posting)),
            posting.workflow,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use froben_model::ledger::Cause;
    use froben_model::{CallId, WorkflowId};

    use super::*;

    fn postings() -> (Account, Vec<Posting>) {
        let workflow = WorkflowId([7; 16]);
        let operator: Account = "operator/op-1".parse().expect("an account");
        let settled = Posting {
            index: 12,
            time_ms: 1_800_000_000_000,
            workflow,
            call: Some(CallId(3)),
            attempt: 2,
            cause: Cause::Settle,
            from: Account::Held(workflow),
            to: operator.clone(),
            amount: Amount(50_000),
        };
        (operator, vec![settled])
    }

    #[test]
    fn a_statement_as_text_and_csv() {
        let (account, postings) = postings();
        expect![[r#"
            operator/op-1 holds 0.05
                  12  settle             0.05  wf-07070707070707070707070707070707#3.2
        "#]]
        .assert_eq(&statement_text(&account, &postings, 50_000));
        expect![[r#"
            index,time_ms,workflow,call,attempt,cause,other,amount
            12,1800000000000,wf-07070707070707070707070707070707,#3,2,settle,held/wf-07070707070707070707070707070707,0.05
        "#]]
        .assert_eq(&format!("{CSV_HEAD}{}", csv_line(&account, &postings[0])));
        let from = postings[0].from.clone();
        assert_eq!(money(change(&from, &postings[0])), "-0.05");
    }

    #[test]
    fn accounts_as_text_and_csv() {
        let (operator, _) = postings();
        let seeker = "seeker/ada".parse().expect("an account");
        let accounts = [(operator, 1_250_000), (seeker, -1_250_000)];
        expect![[r#"
            operator/op-1            1.25
            seeker/ada              -1.25
        "#]]
        .assert_eq(&accounts_text(&accounts));
        expect![[r#"
            account,balance
            operator/op-1,1.25
            seeker/ada,-1.25
        "#]]
        .assert_eq(&accounts_csv(&accounts));
        assert_eq!(money(Balance::MAX), "170141183460469231731687303715884");
    }
}
