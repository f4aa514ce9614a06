//! Who owes whom: entries of double bookkeeping.
//!
//! Money is reserved when a task is assigned, settled item by item when a result is accepted, and
//! released otherwise. Each posting is written in the batch of the record that causes it, so that what
//! is accepted and what is paid cannot come apart.

use froben_model::{Amount, CallId, OperatorId, SeekerId, TimeMs, WorkflowId};

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
