//! What the engine wants done, after the records that cause it are on disk.

use froben_journal::RevisionHash;
use froben_model::view::{
    Failure, MachineView, PipelineInfo, ProfileView, WhyView, WorkflowDetail, WorkflowState,
    WorkflowSummary,
};
use froben_model::{Assignment, LeaseToken, TimeMs, Value, WorkflowId};
use froben_scheduler::SessionId;
use froben_script::Completion;

use crate::history::History;
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
    /// By a key; `None`: it is new.
    StartedBy(Result<Option<WorkflowId>, Failure>),
    /// `None`: the seeker has no such workflow.
    State(Option<WorkflowState>),
    Detail(Found),
    /// `None`: the seeker has no such workflow.
    Why(Option<Result<WhyView, Failure>>),
    List(Vec<WorkflowSummary>),
    Serve(Outcome),
    Serving(ServingNow),
    Pipelines(Vec<PipelineInfo>),
    Machines(Vec<MachineView>),
    Profiles(Vec<ProfileView>),
    Receipt(Receipt),
    /// The revision that new workflows get.
    Newest(RevisionHash),
    Migrated(Migration),
}

/// What became of a wish to migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// The seeker has no such workflow.
    Nowhere,
    /// It is over.
    Over,
    Done,
    /// Its script has gone on since the journal was read, or is about to.
    MovedOn,
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
    /// Tells a script what has come. If its VM is gone, it is rebuilt from the journal's first `upto`
    /// completions, of which these are the last.
    Resume {
        workflow: WorkflowId,
        upto: u64,
        completions: Vec<Completion>,
    },
    /// Rebuilds a VM from its journal: the script must make the journal's calls again when it is told
    /// the first `upto` completions. Calls beyond them are new.
    Rebuild {
        workflow: WorkflowId,
        upto: u64,
        /// The journal, if somebody has just read it.
        history: Option<Box<History>>,
    },
    Drop {
        workflow: WorkflowId,
    },
}

impl ScriptCommand {
    /// Whose script it is about.
    pub fn workflow(&self) -> WorkflowId {
        match self {
            ScriptCommand::Start(launch) => launch.workflow,
            ScriptCommand::Resume { workflow, .. }
            | ScriptCommand::Rebuild { workflow, .. }
            | ScriptCommand::Drop { workflow } => *workflow,
        }
    }
}

pub struct Launch {
    pub workflow: WorkflowId,
    pub revision: RevisionHash,
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
