//! A thread that holds VMs, and how it bounds what they occupy.
//!
//! A VM runs until it blocks, returns or fails; what it did goes to the engine as one input. Every
//! workflow has its thread, by its id, so a long slice or a long replay holds up only those beside it.
//!
//! Most workflows wait most of the time. When the VMs of a thread outgrow their budget, those that were
//! used longest ago go, and one that something comes for later is rebuilt from its journal: all calls
//! that are in it were made before what comes now, so the journal up to there is the script's whole
//! past. Nothing is written for it, and nobody but the clock can tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use froben_journal::{RevisionHash, Store};
use froben_model::WorkflowId;
use froben_model::view::Failure;
use froben_script::{Limits, Progress, Revision, State, Vm};

use crate::driver::Message;
use crate::effect::{Launch, ScriptCommand};
use crate::engine::refusal;
use crate::history::History;
use crate::input::Input;
use crate::replay::replay;
use crate::revisions::Revisions;

/// Records that a rebuild reads at once.
const PAGE: usize = 4096;

/// What the VMs of one thread may occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) bytes: usize,
    pub(crate) vms: usize,
}

/// Runs until the commands end, or the journal can't be read any more.
pub(crate) fn run(
    mut host: ScriptHost,
    commands: &Receiver<ScriptCommand>,
    engine: &Sender<Message>,
) -> Result<(), froben_journal::Error> {
    while let Ok(command) = commands.recv() {
        let Some(input) = host.obey(command)? else {
            continue;
        };
        if engine.send(Message::Input(input)).is_err() {
            break;
        }
    }
    Ok(())
}

pub(crate) struct ScriptHost {
    store: Arc<dyn Store>,
    revisions: Arc<Revisions>,
    budget: Budget,
    vms: BTreeMap<WorkflowId, Kept>,
    /// By when they were used last.
    by_use: BTreeMap<u64, WorkflowId>,
    uses: u64,
    bytes: usize,
    /// VMs that have made room so far.
    pub(crate) evicted: u64,
}

struct Kept {
    vm: Vm,
    bytes: usize,
    used: u64,
}

/// Why a script can't be brought back.
enum Lost {
    Workflow(Failure),
    Store(froben_journal::Error),
}

impl From<froben_journal::Error> for Lost {
    fn from(error: froben_journal::Error) -> Self {
        match error {
            froben_journal::Error::Damaged { .. } => {
                Lost::Workflow(refusal("FRB-WFL-003", error.to_string()))
            }
            other => Lost::Store(other),
        }
    }
}

impl ScriptHost {
    pub(crate) fn new(store: Arc<dyn Store>, revisions: Arc<Revisions>, budget: Budget) -> Self {
        ScriptHost {
            store,
            revisions,
            budget,
            vms: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            evicted: 0,
        }
    }

    /// What the engine is to hear of it.
    ///
    /// *Errors*: the journal can't be read; nothing can be decided from here on.
    pub(crate) fn obey(
        &mut self,
        command: ScriptCommand,
    ) -> Result<Option<Input>, froben_journal::Error> {
        let (workflow, ran) = match command {
            ScriptCommand::Start(launch) => (launch.workflow, self.start(launch)),
            ScriptCommand::Resume {
                workflow,
                upto,
                completions,
            } => match self.take(workflow) {
                Some(mut vm) => {
                    let progress = vm.resume(completions);
                    self.keep(workflow, vm, &progress);
                    (workflow, Ok(progress))
                }
                None => (workflow, self.rebuild(workflow, upto, None)),
            },
            ScriptCommand::Rebuild {
                workflow,
                upto,
                history,
            } => {
                self.take(workflow);
                (workflow, self.rebuild(workflow, upto, history))
            }
            ScriptCommand::Drop { workflow } => {
                self.take(workflow);
                return Ok(None);
            }
        };
        match ran {
            Ok(progress) => Ok(Some(Input::Script { workflow, progress })),
            Err(Lost::Workflow(failure)) => Ok(Some(Input::ScriptLost { workflow, failure })),
            Err(Lost::Store(error)) => Err(error),
        }
    }

    /// Whose VMs are in memory.
    #[cfg(test)]
    pub(crate) fn holds(&self) -> Vec<WorkflowId> {
        self.vms.keys().copied().collect()
    }

    fn start(&mut self, launch: Launch) -> Result<Progress, Lost> {
        let Launch {
            workflow,
            revision,
            pipeline,
            input,
            seed,
            started_ms,
        } = launch;
        let revision = self.revision(revision)?;
        let limits = Limits::default();
        Ok(
            match Vm::start(&revision, &pipeline, input, seed, started_ms, limits) {
                Ok(mut vm) => {
                    let progress = vm.resume(Vec::new());
                    self.keep(workflow, vm, &progress);
                    progress
                }
                Err(failure) => Progress {
                    calls: Vec::new(),
                    state: State::Failed(failure),
                },
            },
        )
    }

    fn revision(&self, hash: RevisionHash) -> Result<Arc<Revision>, Lost> {
        let checked = self.revisions.get(hash)?;
        checked.map_err(|why| Lost::Workflow(refusal("FRB-WFL-002", why)))
    }

    /// Brings a workflow's VM to where it has been told the first `upto` completions of its journal.
    fn rebuild(
        &mut self,
        workflow: WorkflowId,
        upto: u64,
        history: Option<Box<History>>,
    ) -> Result<Progress, Lost> {
        let history = match history {
            Some(history) => history,
            None => Box::new(self.history(workflow)?),
        };
        let revision = self.revision(history.revision)?;
        let upto = usize::try_from(upto).unwrap_or(usize::MAX);
        match replay(&history, upto, &revision, Limits::default()) {
            Ok(replayed) => {
                if let Some(vm) = replayed.vm {
                    self.keep(workflow, vm, &replayed.beyond);
                }
                Ok(replayed.beyond)
            }
            Err(divergence) => Ok(Progress {
                calls: Vec::new(),
                state: State::Failed(divergence.failure()),
            }),
        }
    }

    fn history(&self, workflow: WorkflowId) -> Result<History, Lost> {
        let misfit =
            |error: crate::Misfit| Lost::Workflow(refusal("FRB-WFL-003", error.to_string()));
        let mut history: Option<History> = None;
        let mut from = 0;
        loop {
            let page = self.store.read(workflow, from, PAGE)?;
            let end = page.len() < PAGE;
            for (seq, record) in page {
                match &mut history {
                    Some(history) => history.follow(record).map_err(misfit)?,
                    None => history = Some(History::begin(workflow, &record).map_err(misfit)?),
                }
                from = seq + 1;
            }
            if end {
                return history
                    .ok_or_else(|| Lost::Workflow(refusal("FRB-WFL-003", "it has no records")));
            }
        }
    }

    /// Holds a VM that waits, and makes room for it.
    fn keep(&mut self, workflow: WorkflowId, vm: Vm, progress: &Progress) {
        if progress.state != State::Blocked {
            return;
        }
        self.uses += 1;
        let (bytes, used) = (vm.memory_bytes(), self.uses);
        self.bytes += bytes;
        self.by_use.insert(used, workflow);
        self.vms.insert(workflow, Kept { vm, bytes, used });
        while self.bytes > self.budget.bytes || self.vms.len() > self.budget.vms {
            let Some((_, longest_ago)) = self.by_use.first_key_value() else {
                break;
            };
            self.take(*longest_ago);
            self.evicted += 1;
        }
    }

    fn take(&mut self, workflow: WorkflowId) -> Option<Vm> {
        let Kept { vm, bytes, used } = self.vms.remove(&workflow)?;
        self.by_use.remove(&used);
        self.bytes -= bytes;
        Some(vm)
    }
}
