//! A delegation's task, as the script wrote it.

use crate::{Amount, Kind, LeaseToken, Needs, OperatorId, SetupKey, TimeMs, Value};

/// One task: what is handed out as a whole to one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    pub kind: Kind,
    /// Common to all items.
    pub input: Value,
    /// One result is owed for each. Never empty: a task without parts has one item, [`Value::Nil`].
    pub items: Vec<Value>,
    pub needs: Needs,
    /// From assignment to the end.
    pub timeout_ms: u64,
    /// From the call to assignment: how long it may wait for a machine before it ends as
    /// `no_capacity`.
    pub queue_timeout_ms: u64,
    /// Operators that must not have it.
    pub avoid: Vec<OperatorId>,
    /// The author's name for this job; a retry has a fresh one, with a trail of its own.
    pub key: String,
    /// What the machine's keystore must hold, by name.
    pub keys: Vec<SetupKey>,
    /// The kind that must approve each item, on a trusted machine, before it counts.
    pub check: Option<Kind>,
    /// What an item may cost.
    pub max_price: Option<Amount>,
}

/// A task on its way to one machine, as one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Fences the attempt: every word about it carries the token.
    pub token: LeaseToken,
    pub kind: Kind,
    /// Common to all items.
    pub input: Value,
    /// The items that are still owed, each with its position in the delegation.
    pub items: Vec<(u32, Value)>,
    /// The id of the device that is claimed for it; `None` for a CPU task.
    pub device: Option<String>,
    /// Cores that are claimed for it.
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub vram_bytes: u64,
    /// Left from now. The coordinator ends the attempt by its own clock; this is for the worker.
    pub timeout_ms: u64,
    /// What the task names of the machine's keystore.
    pub keys: Vec<SetupKey>,
}

/// On what terms a workflow is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// What it and its children may cost; `None`: whatever it takes.
    pub budget: Option<Amount>,
    /// When its seeker would like to have it: who is in a hurry goes first among his own.
    pub wanted_by_ms: Option<TimeMs>,
}
