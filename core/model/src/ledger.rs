//! Who owes whom: entries of double bookkeeping.
//!
//! Money is reserved when a task is assigned, settled item by item when a result is accepted, and
//! released otherwise. Each posting is written in the batch of the record that causes it, so that what
//! is accepted and what is paid cannot come apart.

use std::fmt;
use std::str::FromStr;

use crate::{Amount, CallId, Error, OperatorId, SeekerId, TimeMs, WorkflowId};

/// Where money is. A posting takes it out of one account and puts it into another, so that all accounts
/// together always hold nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What a seeker has paid, as a debt.
    Seeker(SeekerId),
    /// What an operator has earned, with all its machines.
    Operator(OperatorId),
    /// What a workflow and its children draw on. Squared when the workflow ends.
    Budget(WorkflowId),
    /// What is reserved for attempts of a workflow and its children.
    Held(WorkflowId),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Seeker(seeker) => write!(f, "seeker/{seeker}"),
            Account::Operator(operator) => write!(f, "operator/{operator}"),
            Account::Budget(workflow) => write!(f, "budget/{workflow}"),
            Account::Held(workflow) => write!(f, "held/{workflow}"),
        }
    }
}

impl FromStr for Account {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = "operator/NAME, seeker/NAME, budget/wf-ID or held/wf-ID";
        let (what, name) = text
            .split_once('/')
            .ok_or_else(|| Error::malformed("account", text, form))?;
        match what {
            "seeker" => Ok(Account::Seeker(name.parse()?)),
            "operator" => Ok(Account::Operator(name.parse()?)),
            "budget" => Ok(Account::Budget(name.parse()?)),
            "held" => Ok(Account::Held(name.parse()?)),
            _ => Err(Error::malformed("account", text, form)),
        }
    }
}

/// Why money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A task was assigned: from the budget to what is held.
    Reserve,
    /// An item was accepted: from what is held to the operator.
    Settle,
    /// An item will not be paid to this attempt: from what is held back to the budget.
    Release,
    /// The workflow is over: from its seeker to the budget, which is square then.
    Close,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::Reserve => "reserve",
            Cause::Settle => "settle",
            Cause::Release => "release",
            Cause::Close => "close",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// 1, 2, 3 ... without gaps.
    pub index: u64,
    pub time_ms: TimeMs,
    /// The one whose record caused it, which may be a child of the one that pays.
    pub workflow: WorkflowId,
    /// The delegation, if it is about one.
    pub call: Option<CallId>,
    pub attempt: u32,
    pub cause: Cause,
    pub from: Account,
    pub to: Account,
    pub amount: Amount,
}

/// What an account holds, in millionths: what came in less what went out.
pub type Balance = i128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_names() {
        let id = "wf-07070707070707070707070707070707";
        for text in [
            "seeker/ada",
            "operator/op-1",
            &format!("budget/{id}"),
            &format!("held/{id}"),
        ] {
            assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "ada",
            "seeker/",
            "seeker/A",
            "bank/x",
            "held/wf-1",
            "operator/a/b",
        ] {
            assert!(bad.parse::<Account>().is_err(), "{bad}");
        }
    }
}
