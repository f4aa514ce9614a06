//! What seekers are shown: workflows, delegations, machines and pipelines as they stand.
//!
//! The coordinator makes these from the journal and the clients print them; nothing decides on them.
//! They mirror `seeker.capnp` field for field, except that what may be absent is an `Option` here.

use std::fmt;

use crate::{CallId, DeviceSpec, ItemError, Kind, MachineId, TimeMs, Value, WorkflowId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkflowState {
    Running,
    /// Its script is told nothing and its delegations are not handed out, until it is resumed.
    Paused,
    Succeeded,
    Failed,
    Cancelled,
}

impl WorkflowState {
    pub const ALL: [WorkflowState; 5] = [
        WorkflowState::Running,
        WorkflowState::Paused,
        WorkflowState::Succeeded,
        WorkflowState::Failed,
        WorkflowState::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            WorkflowState::Running => "running",
            WorkflowState::Paused => "paused",
            WorkflowState::Succeeded => "succeeded",
            WorkflowState::Failed => "failed",
            WorkflowState::Cancelled => "cancelled",
        }
    }

    /// Whether the workflow is over.
    pub fn ended(self) -> bool {
        match self {
            WorkflowState::Running | WorkflowState::Paused => false,
            WorkflowState::Succeeded | WorkflowState::Failed | WorkflowState::Cancelled => true,
        }
    }
}

impl fmt::Display for WorkflowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DelegationState {
    Queued,
    Assigned,
    Running,
    /// No machine has it any more, and some of its items wait for their checks.
    Checking,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
}

impl DelegationState {
    pub const ALL: [DelegationState; 8] = [
        DelegationState::Queued,
        DelegationState::Assigned,
        DelegationState::Running,
        DelegationState::Checking,
        DelegationState::Succeeded,
        DelegationState::Failed,
        DelegationState::TimedOut,
        DelegationState::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            DelegationState::Queued => "queued",
            DelegationState::Assigned => "assigned",
            DelegationState::Running => "running",
            DelegationState::Checking => "checking",
            DelegationState::Succeeded => "succeeded",
            DelegationState::Failed => "failed",
            DelegationState::TimedOut => "timed_out",
            DelegationState::Cancelled => "cancelled",
        }
    }

    /// Whether the delegation is over.
    pub fn ended(self) -> bool {
        match self {
            DelegationState::Queued
            | DelegationState::Assigned
            | DelegationState::Running
            | DelegationState::Checking => false,
            DelegationState::Succeeded
            | DelegationState::Failed
            | DelegationState::TimedOut
            | DelegationState::Cancelled => true,
        }
    }
}

impl fmt::Display for DelegationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a workflow failed, or why it was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable, like `FRB-LUA-002`; each has its page in `docs/errors`.
    pub code: String,
    /// One line.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// A phase that a script told of by `ctx:status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub phase: String,
    pub done: u64,
    pub total: u64,
    pub started_ms: TimeMs,
    /// `None` while it runs.
    pub ended_ms: Option<TimeMs>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DelegationView {
    pub call: CallId,
    pub key: String,
    pub kind: Kind,
    pub state: DelegationState,
    /// 0 before the first one.
    pub attempt: u32,
    /// Who has it, or had it last.
    pub machine: Option<MachineId>,
    /// The device's name as the worker reported it; `None` for CPU work.
    pub device: Option<String>,
    pub items_total: u32,
    pub items_ok: u32,
    pub items_failed: u32,
    pub queued_ms: TimeMs,
    pub assigned_ms: Option<TimeMs>,
    pub ended_ms: Option<TimeMs>,
    pub error: Option<ItemError>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowSummary {
    pub id: WorkflowId,
    pub pipeline: String,
    /// What it was started with, on one line for people: the plain inputs, blobs by their size, and of
    /// secrets the names.
    pub inputs: String,
    /// Which workflow runs it, if any.
    pub parent: Option<WorkflowId>,
    /// The script set's content hash, in hex.
    pub revision: String,
    pub state: WorkflowState,
    pub submitted_ms: TimeMs,
    /// `None` while it runs.
    pub ended_ms: Option<TimeMs>,
    pub failure: Option<Failure>,
    /// [`Value::Nil`] unless it succeeded.
    pub output: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowDetail {
    pub summary: WorkflowSummary,
    /// In the order in which they began.
    pub stages: Vec<Stage>,
    /// By call.
    pub delegations: Vec<DelegationView>,
    /// Why queued delegations wait, a line each, the commonest first; at most 8.
    pub waiting: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Position in the workflow's journal.
    pub seq: u64,
    pub time_ms: TimeMs,
    /// `script`, `coordinator` or a machine's name.
    pub source: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    pub name: MachineId,
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub devices: Vec<DeviceSpec>,
    pub kinds: Vec<Kind>,
    /// Running now.
    pub attempts: u32,
    /// Whether it is about to leave, and takes nothing more.
    pub draining: bool,
    pub succeeded: u64,
    pub failed: u64,
}

/// What a kind of task is known to take on one sort of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileView {
    pub kind: Kind,
    /// Its name, or `cpu`; `None`: on all of them together.
    pub device: Option<String>,
    /// Items that it is known from.
    pub items: u64,
    /// What so many of a hundred items stayed within.
    pub p50_ms: u64,
    pub p90_ms: u64,
    pub p99_ms: u64,
    /// What 99 of a hundred items stayed within; `None` if it is not known.
    pub ram_bytes: Option<u64>,
    pub vram_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineInfo {
    pub name: String,
    pub inputs: Vec<PipelineInput>,
    /// The script set's content hash, in hex.
    pub revision: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineInput {
    pub name: String,
    /// `blob`, `string`, `number`, `boolean` or `table`.
    pub kind: String,
    pub optional: bool,
}

/// Why a delegation is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyView {
    pub call: CallId,
    pub key: String,
    pub kind: Kind,
    pub state: DelegationState,
    /// What it waits for, in one line; `None` if it does not.
    pub waits: Option<String>,
    /// Each connected machine, and why it does not have it.
    pub machines: Vec<MachineReason>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineReason {
    pub machine: MachineId,
    pub reason: String,
    /// Whether waiting does not help while the machine is as it is.
    pub lasts: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_names_are_distinct() {
        let workflow: std::collections::BTreeSet<_> =
            WorkflowState::ALL.map(WorkflowState::name).into();
        let delegation: std::collections::BTreeSet<_> =
            DelegationState::ALL.map(DelegationState::name).into();
        assert_eq!(workflow.len(), WorkflowState::ALL.len());
        assert_eq!(delegation.len(), DelegationState::ALL.len());
    }
}
