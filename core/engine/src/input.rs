//! What the engine is told: requests, reports and the time.

use std::collections::BTreeSet;

use froben_journal::{Record, RevisionHash};
use froben_model::view::Failure;
use froben_model::{
    ItemError, ItemReport, LeaseToken, MachineId, MachineSpec, OperatorId, SeekerId, Terms, Value,
    WorkflowId,
};
use froben_scheduler::SessionId;
use froben_script::Progress;

use crate::rules::Rules;
use crate::serve::Serve;

/// Names a request, so that its answer finds its way back. The engine never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

#[derive(Debug)]
pub enum Input {
    Submit(Submit),
    Cancel {
        ticket: Ticket,
        seeker: SeekerId,
        workflow: WorkflowId,
    },
    /// Stops feeding the script and handing out its work, or goes on.
    Pause {
        ticket: Ticket,
        seeker: SeekerId,
        workflow: WorkflowId,
        paused: bool,
    },
    /// From here on the scheduler goes by these.
    Rules(Rules),
    Fork(Fork),
    /// Which workflow a key has started.
    StartedBy {
        ticket: Ticket,
        seeker: SeekerId,
        idempotency_key: String,
    },
    /// Moves a live workflow to another revision, which was held against its first `calls` calls.
    Migrate {
        ticket: Ticket,
        seeker: SeekerId,
        workflow: WorkflowId,
        revision: RevisionHash,
        calls: u64,
    },
    /// Which revision new workflows get.
    Newest {
        ticket: Ticket,
    },
    /// Why a delegation is where it is: of a call's number or of a key.
    Why {
        ticket: Ticket,
        seeker: SeekerId,
        workflow: WorkflowId,
        which: String,
    },
    Status {
        ticket: Ticket,
        seeker: SeekerId,
        workflow: WorkflowId,
    },
    List {
        ticket: Ticket,
        seeker: SeekerId,
        limit: usize,
    },
    /// An admin, or the coordinator's folder, wants another revision for new workflows.
    Serve(Serve),
    /// What is served now, and who runs what.
    Serving {
        ticket: Ticket,
    },
    Pipelines {
        ticket: Ticket,
    },
    Machines {
        ticket: Ticket,
    },
    /// What kinds of tasks are known to take.
    Profiles {
        ticket: Ticket,
    },
    /// From here on these operators are trusted with checks, and no others.
    Trust {
        operators: BTreeSet<OperatorId>,
    },
    MachineJoined {
        session: SessionId,
        machine: MachineId,
        spec: MachineSpec,
    },
    /// It is about to leave, and is given nothing more.
    Drain {
        session: SessionId,
    },
    MachineLeft {
        session: SessionId,
        reason: String,
    },
    Accepted {
        token: LeaseToken,
    },
    Refused {
        token: LeaseToken,
        reason: String,
    },
    /// An item is done, says the machine of this session.
    Item {
        ticket: Ticket,
        session: SessionId,
        token: LeaseToken,
        report: ItemReport,
    },
    Finish {
        ticket: Ticket,
        token: LeaseToken,
        failure: Option<ItemError>,
    },
    /// A worker's line.
    Log {
        token: LeaseToken,
        line: String,
    },
    /// A script ran until it blocked or ended.
    Script {
        workflow: WorkflowId,
        progress: Progress,
    },
    /// A script can't be brought back.
    ScriptLost {
        workflow: WorkflowId,
        failure: Failure,
    },
    /// Nothing but the time.
    Tick,
}

/// A seeker wants a workflow. `workflow` and `seed` are drawn outside: the engine has no randomness.
#[derive(Debug)]
pub struct Submit {
    pub ticket: Ticket,
    pub workflow: WorkflowId,
    pub seed: u64,
    pub seeker: SeekerId,
    pub pipeline: String,
    pub input: Value,
    /// Empty if none.
    pub idempotency_key: String,
    pub terms: Terms,
}

/// A seeker wants a workflow that begins where another one was.
#[derive(Debug)]
pub struct Fork {
    pub ticket: Ticket,
    pub workflow: WorkflowId,
    pub seeker: SeekerId,
    /// Empty if none.
    pub idempotency_key: String,
    /// The submit, which says where it comes from, and what is carried over.
    pub records: Vec<Record>,
}
