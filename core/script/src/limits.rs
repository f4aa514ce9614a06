//! What one workflow's script may use up.

use froben_model::limits as model;

/// Bounds of one VM. Going past one of them stops the workflow; the script cannot catch that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of the Luau state (stacks, tables, strings, functions) and what the host keeps for it together.
    pub memory_bytes: usize,
    /// CPU time from one blocking call to the next.
    pub slice_ms: u64,
    /// CPU time of the whole workflow.
    pub cpu_ms: u64,
    pub delegations: usize,
    /// Workflows that it runs.
    pub children: usize,
    /// Functions that it spawns.
    pub fibers: usize,
    /// Delegations in streams that were not read to their end, and members of races that are not over:
    /// what the VM keeps for them outside the Luau state.
    pub watched: usize,
    /// Calls of any sort.
    pub calls: u64,
    /// Calls and results together, by [`froben_model::Value::weight`]: what the workflow adds to the
    /// journal.
    pub journal_bytes: usize,
    /// Calls between two blocking calls, by weight: what the VM holds outside the Luau state.
    pub step_bytes: usize,
    /// Log text. What goes past it is dropped, with one line that says so.
    pub log_bytes: usize,
}

impl Limits {
    /// Those of a workflow.
    pub const DEFAULT: Limits = Limits {
        memory_bytes: 64 << 20,
        slice_ms: 500,
        cpu_ms: 60_000,
        delegations: model::DELEGATIONS,
        children: 1000,
        fibers: 10_000,
        watched: 40_000,
        calls: 100_000,
        journal_bytes: 64 << 20,
        step_bytes: 8 << 20,
        log_bytes: 1 << 20,
    };

    /// For a script that is rebuilt. Luau paces its garbage collector by the clock, and CPU time is never
    /// quite the same: what fitted by a hair must not fail for that when it is done again.
    #[must_use]
    pub fn relaxed(self) -> Self {
        Limits {
            memory_bytes: self.memory_bytes.saturating_mul(2),
            slice_ms: self.slice_ms.saturating_mul(4),
            cpu_ms: self.cpu_ms.saturating_mul(2),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// Workflows that one file declares, be it by mistake.
pub(crate) const DECLARED: usize = 16;
/// Files of one script set.
pub(crate) const FILES: usize = model::SCRIPT_FILES;
/// All sources of one script set.
pub(crate) const SET_BYTES: usize = model::SCRIPT_SET_BYTES;
/// CPU time for evaluating all pipelines of a set: whoever wants a set checked gets an answer.
pub(crate) const CHECK_MS: u64 = 2_000;
/// The common input and the items of one delegation, by weight: it travels as one message. Encoded it
/// may take twice as much, which still has to fit a record.
pub(crate) const TASK_BYTES: usize = 3 << 20;
/// An author's name for a delegation.
pub(crate) const KEY_BYTES: usize = 200;
/// The longest sleep: 30 days.
pub(crate) const SLEEP_MS: u64 = 30 * 24 * 3_600_000;
/// Items of one `ctx:map`: as many as fit a workflow's delegations ten times over.
pub(crate) const MAPPED: usize = 100_000;
/// Members of the list that a verb waits for: all that a workflow can have.
pub(crate) const MEMBERS: usize = 2 * model::DELEGATIONS + 1000;
