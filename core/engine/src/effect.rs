//! What the engine wants done, after the records that cause it are on disk.

use froben_journal::Called;
use froben_model::view::{
    Failure, MachineView, PipelineInfo, WorkflowDetail, WorkflowState, WorkflowSummary,
};
use froben_model::{Assignment, LeaseToken, TimeMs, Value, WorkflowId};
use froben_scheduler::SessionId;
use froben_script::{Completion, Revision};
use std::sync::Arc;

use crate::input::Ticket;
use crate::serve::{Outcome, ServingNow};

#[derive(Debug)]
pub enum Effect {
    Reply {
        ticket: Ticket,
        answer: Answer,
    },
    Machine {
        session: SessionId,
        command: MachineCommand,
    },
    Script(ScriptCommand),
}

#[derive(Debug)]
pub enum Answer {
    Submitted(Result<WorkflowId, Failure>),
    /// `None`: the seeker has no such workflow.
    State(Option<WorkflowState>),
    Detail(Found),
    List(Vec<WorkflowSummary>),
    Serve(Outcome),
    Serving(ServingNow),
    Pipelines(Vec<PipelineInfo>),
    Machines(Vec<MachineView>),
    Receipt(Receipt),
}

/// Where a workflow's detail is.
#[derive(Debug)]
pub enum Found {
    /// The seeker has no such workflow.
    Nowhere,
    Live(Box<WorkflowDetail>),
    /// It is over: its journal tells.
    Journal,
}

/// What became of a message about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Durable.
    Recorded,
    /// The token holds nothing any more.
    Stale,
}

/// What a machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum MachineCommand {
    Assign(Assignment),
    Cancel(LeaseToken),
    /// Its session is over on our side: hang up.
    Cut {
        reason: String,
    },
}

/// What the script host is told.
#[derive(Debug)]
pub enum ScriptCommand {
    Start(Launch),
    /// Rebuilds a VM from its journal: the script must make `calls` again when it is fed
    /// `completions`. Calls beyond them are new.
    Replay {
        launch: Launch,
        calls: Vec<Called>,
        completions: Vec<Completion>,
    },
    Resume {
        workflow: WorkflowId,
        completions: Vec<Completion>,
    },
    Drop {
        workflow: WorkflowId,
    },
}

pub struct Launch {
    pub workflow: WorkflowId,
    pub revision: Arc<Revision>,
    pub pipeline: String,
    pub input: Value,
    pub seed: u64,
    /// When it was submitted, by the journal.
    pub started_ms: TimeMs,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Launch {
            workflow,
            revision: _,
            pipeline,
            input: _,
            seed: _,
            started_ms: _,
        } = self;
        write!(f, "Launch({workflow}, {pipeline})")
    }
}
