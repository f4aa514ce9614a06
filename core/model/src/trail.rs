//! What became of a delegation, attempt by attempt: what seekers are shown of it.
//!
//! Like [`crate::view`], these are made from the journal and nothing decides on them. They mirror
//! `seeker.capnp`, except that what may be absent is an `Option` here.

use std::fmt;

use crate::view::{DelegationState, LogLine};
use crate::{Amount, CallId, ErrorClass, ItemError, Kind, MachineId, Needs, TimeMs, WorkflowId};

#[derive(Debug, Clone, PartialEq)]
pub struct DelegationTrail {
    pub call: CallId,
    /// The author's name for it.
    pub key: String,
    pub kind: Kind,
    pub state: DelegationState,
    /// What it asks a machine for.
    pub needs: Needs,
    pub items_total: u32,
    pub items_ok: u32,
    pub items_failed: u32,
    /// When the script handed it out.
    pub queued_ms: TimeMs,
    /// `None` until it is over.
    pub ended_ms: Option<TimeMs>,
    /// Why it is over, if not every item has a value and no attempt was to blame: nobody took it, or it
    /// was cancelled while it waited.
    pub cause: Option<Cause>,
    /// The workflow that it was made in, if this one is a fork which kept it.
    pub kept_from: Option<WorkflowId>,
    /// The oldest first.
    pub attempts: Vec<AttemptTrail>,
}

impl DelegationTrail {
    /// Whether anything of it went wrong, also if another attempt made it good.
    pub fn had_failures(&self) -> bool {
        self.cause.is_some() || self.attempts.iter().any(|a| a.cause.is_some())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct AttemptTrail {
    /// 1 for the first. With workflow and call it names the attempt.
    pub number: u32,
    pub machine: MachineId,
    /// The device's name as the worker reported it, or the id of the claimed one until it does; `None`
    /// for CPU work.
    pub device: Option<String>,
    /// What is reserved of the machine; `None` if an old journal does not say.
    pub claimed: Option<Claimed>,
    /// From here on it waited for a machine.
    pub queued_ms: TimeMs,
    pub assigned_ms: TimeMs,
    /// When the machine took it.
    pub started_ms: Option<TimeMs>,
    pub items_ok: u32,
    pub items_failed: u32,
    pub first_item_ms: Option<TimeMs>,
    pub last_item_ms: Option<TimeMs>,
    pub ended_ms: Option<TimeMs>,
    pub end: AttemptEnd,
    /// Why it did not bring all that it owed.
    pub cause: Option<Cause>,
    /// The last lines that its worker wrote.
    pub log: Vec<LogLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub vram_bytes: u64,
    /// Of each item.
    pub price: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptEnd {
    /// It is not over.
    Open,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    /// It ended before it began, or by a restart of the coordinator; the delegation waited again.
    Requeued,
}

impl AttemptEnd {
    pub const ALL: [AttemptEnd; 6] = [
        AttemptEnd::Open,
        AttemptEnd::Succeeded,
        AttemptEnd::Failed,
        AttemptEnd::TimedOut,
        AttemptEnd::Cancelled,
        AttemptEnd::Requeued,
    ];

    pub fn name(self) -> &'static str {
        match self {
            AttemptEnd::Open => "open",
            AttemptEnd::Succeeded => "succeeded",
            AttemptEnd::Failed => "failed",
            AttemptEnd::TimedOut => "timed_out",
            AttemptEnd::Cancelled => "cancelled",
            AttemptEnd::Requeued => "requeued",
        }
    }
}

/// Why something ended as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `None` for an attempt that was given back: that is no failure of its items.
    pub class: Option<ErrorClass>,
    /// One line.
    pub message: String,
    pub fault: Fault,
}

impl Cause {
    pub fn of(class: ErrorClass, message: String) -> Cause {
        Cause {
            class: Some(class),
            message,
            fault: Fault::of(class),
        }
    }

    /// Of an attempt that ended with the error.
    pub fn of_attempt(error: &ItemError) -> Cause {
        Cause {
            fault: error.fault(),
            ..Cause::of(error.class, error.message.clone())
        }
    }

    /// Of an attempt that was given back; `fault` if that counts against the machine.
    pub fn given_back(reason: String, fault: bool) -> Cause {
        Cause {
            class: None,
            message: reason,
            fault: match fault {
                true => Fault::Operator,
                false => Fault::Platform,
            },
        }
    }
}

/// Who answers for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It counts in the machine's reputation.
    Operator,
    /// The script, or whoever cancelled it.
    Workflow,
    /// What the task was given: no machine can do it.
    Data,
    /// The network: nobody took it, or the coordinator restarted.
    Platform,
}

impl Fault {
    pub const ALL: [Fault; 4] = [
        Fault::Operator,
        Fault::Workflow,
        Fault::Data,
        Fault::Platform,
    ];

    pub fn of(class: ErrorClass) -> Fault {
        match class {
            ErrorClass::Timeout
            | ErrorClass::Disconnected
            | ErrorClass::OutOfMemory
            | ErrorClass::InvalidResult
            | ErrorClass::WorkerFailed => Fault::Operator,
            ErrorClass::Cancelled => Fault::Workflow,
            ErrorClass::BadRequest => Fault::Data,
            ErrorClass::NoCapacity => Fault::Platform,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Fault::Operator => "operator",
            Fault::Workflow => "workflow",
            Fault::Data => "data",
            Fault::Platform => "platform",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which delegations somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailQuery {
    /// The number of a call, or a key; a key also stands for those that go on from it with a `/`, as the
    /// attempts of `retry` do. Empty: all.
    pub which: String,
    /// Only those of which something went wrong.
    pub failed: bool,
    /// From this call on.
    pub from: CallId,
    pub limit: usize,
}

/// Some of a workflow's delegations.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailPage {
    /// By call.
    pub delegations: Vec<DelegationTrail>,
    /// Where the next page begins, if there is more.
    pub next: Option<CallId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_an_operators_fault_is_what_its_reputation_counts() {
        let ends: std::collections::BTreeSet<_> = AttemptEnd::ALL.map(AttemptEnd::name).into();
        let faults: std::collections::BTreeSet<_> = Fault::ALL.map(Fault::name).into();
        assert_eq!(
            (ends.len(), faults.len()),
            (AttemptEnd::ALL.len(), Fault::ALL.len())
        );
        for class in ErrorClass::ALL {
            let blamed = Fault::of(class) == Fault::Operator;
            assert_eq!(blamed, class.blames_operator(), "{class}");
        }
    }
}
