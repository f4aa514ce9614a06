//! What the scheduler is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use froben_model::{
    Amount, CallId, ErrorClass, ItemError, Kind, LeaseToken, MachineId, MachineSpec, Needs,
    OperatorId, SeekerId, SetupKey, TaskSpec, TimeBucket, TimeMs, Usage, WorkflowId,
};

use crate::Policy;

/// One connection of one machine. Chosen by the caller, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Names a delegation: the workflow and the call that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelegationKey {
    pub workflow: WorkflowId,
    pub call: CallId,
}

impl DelegationKey {
    /// The delegation that the attempt under `token` is of.
    pub fn of(token: &LeaseToken) -> Self {
        DelegationKey {
            workflow: token.workflow,
            call: token.call,
        }
    }
}

impl fmt::Display for DelegationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.workflow, self.call)
    }
}

/// What matchmaking needs to know of a task: a [`TaskSpec`] without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub kind: Kind,
    pub needs: Needs,
    /// How many items it owes.
    pub items: u32,
    /// From assignment to the end of the attempt. [`froben_model::limits::DEFAULT_TIMEOUT_MS`], which a
    /// script has that names none, stands for what suits the kind, and that at most.
    pub timeout_ms: u64,
    /// From `queued_ms` to assignment. 0: it is handed out at once or not at all.
    pub queue_timeout_ms: u64,
    /// Operators that must not have it.
    pub avoid: Vec<OperatorId>,
    /// What the machine's keystore must hold.
    pub keys: Vec<SetupKey>,
    /// What an item may cost.
    pub max_price: Option<Amount>,
    pub trust: Trust,
}

/// Whose word a task's values are taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Trust {
    /// Any operator's.
    #[default]
    Anybody,
    /// Any operator may have it, and a value counts once its check approves it.
    Checked,
    /// That of trusted operators, who alone may have it: it is a check.
    Trusted,
}

/// What is known already of a delegation that is queued.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    /// Attempts made so far; the next one is one more.
    pub attempts: u32,
    /// Items that are in already, and whether each has a value.
    pub done: Vec<(u32, bool)>,
    /// Items that wait for their checks.
    pub claims: Vec<(u32, ClaimedItem)>,
    /// What the missing items end with: no attempt is to follow.
    pub lost: Option<ItemError>,
}

/// A value that waits for its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedItem {
    pub attempt: u32,
    /// Who made it.
    pub machine: MachineId,
    /// What it costs if it is approved; held until then.
    pub price: Amount,
    /// How long it took, if that is known: learned if it is approved.
    pub took_ms: Option<u64>,
}

/// What the check of an item came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Approved,
    /// It does not hold; why.
    Rejected(String),
    /// Nobody trusted could say; why.
    Unchecked(String),
}

impl From<&TaskSpec> for Task {
    fn from(spec: &TaskSpec) -> Self {
        let TaskSpec {
            kind,
            input: _,
            items,
            needs,
            timeout_ms,
            queue_timeout_ms,
            avoid,
            key: _,
            keys,
            check,
            max_price,
        } = spec;
        Task {
            kind: kind.clone(),
            needs: *needs,
            items: u32::try_from(items.len()).unwrap_or(u32::MAX),
            timeout_ms: *timeout_ms,
            queue_timeout_ms: *queue_timeout_ms,
            avoid: avoid.clone(),
            keys: keys.clone(),
            max_price: *max_price,
            trust: match check {
                None => Trust::Anybody,
                Some(_) => Trust::Checked,
            },
        }
    }
}

/// How soon a delegation has to go on, among those of its seeker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Urgency {
    /// When the seeker would like to have the workflow's output.
    pub wanted_by_ms: Option<TimeMs>,
    /// When the workflow began; a child's, when the first of its line did.
    pub begun_ms: TimeMs,
    /// How long the workflow is thought to take from here on to its end, without waits. 0: unknown.
    pub ahead_ms: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A machine offers itself. If the same machine is there under an older session, that one leaves
    /// first.
    MachineJoined {
        session: SessionId,
        machine: MachineId,
        spec: MachineSpec,
    },
    /// The machine is about to leave: what it runs goes on, and it is given nothing more. Nothing happens
    /// if it says so twice.
    Drain { session: SessionId },
    /// The session is gone. Nothing happens if it was taken over already.
    MachineLeft { session: SessionId, reason: String },
    /// A delegation waits for a machine: a script's call, or one found open at recovery. Nothing
    /// happens if it is here already.
    Queue {
        key: DelegationKey,
        seeker: SeekerId,
        task: Task,
        /// When the wait began, which bounds it: the time of the call. A recovery passes its own
        /// time for a delegation that had left the queue, since it starts to wait anew.
        queued_ms: TimeMs,
        past: Past,
        /// The purse that pays for it; `None`, or one that is not open: it may cost anything.
        purse: Option<WorkflowId>,
        urgency: Urgency,
    },
    /// From here on what draws on the purse costs no more than `limit` together, of which `spent` is
    /// gone already. Nothing happens if it is open.
    OpenPurse {
        purse: WorkflowId,
        limit: Amount,
        spent: Amount,
    },
    /// Nothing draws on it any more.
    ClosePurse { purse: WorkflowId },
    /// The machine took the task.
    Accepted { token: LeaseToken },
    /// The machine will not do it.
    Refused { token: LeaseToken, reason: String },
    /// An item came; with the class of its error if it has no value.
    Item {
        token: LeaseToken,
        index: u32,
        error: Option<ErrorClass>,
        /// What the machine says that it took.
        usage: Usage,
    },
    /// A value came from an attempt that is over, by the machine that had it: the caller has held the
    /// token against the journal. It counts if its item is still missing.
    Late {
        token: LeaseToken,
        machine: MachineId,
        /// Of the item, as it was agreed for the attempt.
        price: Amount,
        index: u32,
    },
    /// What the check of a claimed item came to. Nothing happens if it is not claimed.
    Verdict {
        key: DelegationKey,
        index: u32,
        verdict: Verdict,
    },
    /// From here on these operators are trusted, and no others. A check that runs with one who is not any
    /// more is taken away.
    Trust { operators: BTreeSet<OperatorId> },
    /// The machine says that the attempt is over.
    Finish {
        token: LeaseToken,
        failure: Option<ItemError>,
    },
    /// Nobody wants the delegation any more.
    Cancel { key: DelegationKey },
    /// No delegation of the workflow is handed out from here on, also none that comes back or is queued
    /// later. Attempts that run go on.
    Pause { workflow: WorkflowId },
    /// They are handed out again, and begin to wait anew.
    Resume { workflow: WorkflowId },
    /// What the journal knows of a machine, fed at recovery in any order: for each item, one of its
    /// value or of an error that blames the operator; for each end whose failure blames the operator,
    /// the items that were missing; for each requeue that counted as a fault, one.
    RecordOutcome {
        machine: MachineId,
        kind: Kind,
        ok: bool,
        items: u32,
        /// Of items with a value so many were approved by a check.
        checked: u32,
        at: TimeMs,
    },
    /// The same of how long items with a value took.
    RecordTimes {
        machine: MachineId,
        kind: Kind,
        times: Vec<(TimeBucket, u32)>,
        at: TimeMs,
    },
    /// The numbers that the rules turn on are these from here on.
    Policy(Policy),
    /// What seekers weigh in the order of service; those that are not named weigh 1.
    Weights { weights: BTreeMap<SeekerId, u32> },
    /// Nothing but time has passed.
    Tick,
}
