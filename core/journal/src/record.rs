//! What is written down.
//!
//! A record says what was decided or what arrived, never what follows from it: the rest is derived by
//! applying records in order.

pub use froben_model::revision::{Origin, RevisionHash, ScriptSet, Served};
pub use froben_model::view::Failure;
use froben_model::{
    Amount, CallId, ItemError, ItemOutcome, Kind, MachineId, SeekerId, TaskSpec, TimeBucket,
    TimeMs, Usage, Value, WorkflowId,
};

/// One entry of a workflow's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it was decided, by the coordinator's clock.
    pub time_ms: TimeMs,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Submitted(Submitted),
    Called(Called),
    Assigned(Assigned),
    /// The machine took the task.
    Started {
        call: CallId,
        attempt: u32,
    },
    Item(Item),
    /// A value came that counts once its check approves it.
    Claimed(Item),
    /// The attempt ended while its delegation goes on: another attempt does, or items of it wait for their
    /// checks.
    Lost {
        call: CallId,
        attempt: u32,
        failure: ItemError,
    },
    /// The attempt ended before it had begun, or by a restart; the delegation waits again.
    Requeued {
        call: CallId,
        attempt: u32,
        reason: String,
        /// Whether it counts against the machine.
        fault: bool,
    },
    Ended(Ended),
    /// A timer that the script set has rung.
    Slept {
        call: CallId,
    },
    CancelRequested,
    Finished(Finish),
    Logged {
        source: String,
        text: String,
        /// The attempt that said it, if one did.
        of: Option<(CallId, u32)>,
    },
    /// A workflow that this one runs is over. Written together with that one's end.
    ChildEnded {
        call: CallId,
        finish: Finish,
    },
    /// What its machines did: the record before [`Body::Finished`], so that a restart need not read
    /// the whole of a workflow that is over. One that was moved to another revision has none.
    Tallied(Vec<Tally>),
    /// From here on the script is told nothing, and what waits for a machine waits on.
    Paused,
    Resumed,
    /// From here on it keeps this revision, whose script makes the calls before this again.
    Migrated {
        revision: RevisionHash,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    pub pipeline: String,
    /// The content hash of the script set that this workflow keeps for life.
    pub revision: RevisionHash,
    pub seeker: SeekerId,
    /// Empty if the seeker gave none.
    pub idempotency_key: String,
    pub input: Value,
    /// Of the workflow's random numbers.
    pub seed: u64,
    /// Which workflow runs this one, if any.
    pub parent: Option<Parent>,
    pub forked_from: Option<ForkedFrom>,
    /// What it and its children may cost; `None`: whatever it takes.
    pub budget: Option<Amount>,
    /// When its seeker would like to have it.
    pub wanted_by_ms: Option<TimeMs>,
}

/// Where a child comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub workflow: WorkflowId,
    pub call: CallId,
    /// How many workflows are above the child: 1 or more.
    pub depth: u32,
}

/// Where a fork comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkedFrom {
    pub workflow: WorkflowId,
    /// The first call that was not kept.
    pub step: CallId,
    /// So many records behind the first are the other workflow's: what they tell of is accounted for
    /// there, never here.
    pub carried: u64,
    /// When the first workflow of the line began: its script's time goes on in the fork.
    pub begun_ms: TimeMs,
}

/// Items of one machine at one kind, within an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub machine: MachineId,
    pub kind: Kind,
    pub ok: u32,
    /// By the operator's own fault.
    pub failed: u32,
    /// When the last of them ended.
    pub at_ms: TimeMs,
    /// How long those with a value took, ascending.
    pub times: Vec<(TimeBucket, u32)>,
    /// Of those that are `ok`, so many were approved by a check.
    pub checked: u32,
}

/// The script made a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    pub call: CallId,
    /// The line of the pipeline's source that made it; 0 if unknown.
    pub line: u32,
    pub op: CallOp,
    /// How many completions the script had been told when it made the call; 0 also if unknown.
    pub fed: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CallOp {
    Delegate(TaskSpec),
    Sleep {
        ms: u64,
    },
    Status(Status),
    Log {
        text: String,
    },
    /// Another pipeline of the same revision, as a workflow of its own.
    Run {
        pipeline: String,
        input: Value,
        /// The author's name for it; empty if there is none.
        key: String,
    },
    /// Cancels an earlier delegation or child.
    Cancel {
        target: CallId,
    },
}

/// Where a script says it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub phase: String,
    pub done: u64,
    pub total: u64,
}

/// Capacity is reserved, and the attempt's timer set, by this record.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    pub call: CallId,
    pub attempt: u32,
    pub epoch: u64,
    pub machine: MachineId,
    /// The id of the claimed device.
    pub device: Option<String>,
    pub deadline_ms: TimeMs,
    /// What is reserved of the machine; all 0 in old records.
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub vram_bytes: u64,
    /// Of each item that is still missing; reserved by this record.
    pub price: Amount,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub call: CallId,
    pub attempt: u32,
    /// Position in the delegation, from 0.
    pub index: u32,
    pub outcome: ItemOutcome,
    /// The name of the device that it ran on, as the worker reported it.
    pub device: Option<String>,
    pub usage: Usage,
}

/// A delegation is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub call: CallId,
    /// 0 if it was never assigned.
    pub attempt: u32,
    pub end: End,
    /// What the items that had not come end with; `None` if every item came.
    pub failure: Option<ItemError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every item came, and every one has a value.
    Succeeded,
    /// Some item has none.
    Failed,
    TimedOut,
    Cancelled,
}

/// How a workflow ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    Output(Value),
    Failed(Failure),
    Cancelled,
}
