//! An engine without the driver's threads: for whoever owns the clock and the order of things himself,
//! such as a rehearsal.
//!
//! What the driver does between threads is done here by calls: [`Scripts::obey`] carries out script
//! commands, [`Scripts::recover`] takes a journal in after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use froben_journal::{Error, Origin, Record, RevisionHash, Served, Store};
use froben_model::{OperatorId, TimeMs, WorkflowId};
use froben_scheduler::Policy;
use froben_script::Revision;

use crate::driver::Capacity;
use crate::effect::ScriptCommand;
use crate::engine::{Engine, Serving, Step};
use crate::input::Input;
use crate::revisions::Revisions;
use crate::scripts::{Budget, ScriptHost};
use crate::serve::COORDINATOR;
use crate::{offline, restart};

/// An engine that serves this revision, trusts these operators, and has no workflows yet.
pub fn engine(
    epoch: u64,
    seed: u64,
    hash: RevisionHash,
    revision: Arc<Revision>,
    trusted: BTreeSet<OperatorId>,
) -> Engine {
    let entry = Served {
        index: 1,
        revision: hash,
        time_ms: 0,
        by: COORDINATOR.to_string(),
        origin: Origin::Start,
        note: String::new(),
    };
    let serving = Serving { entry, revision };
    let mut engine = Engine::new(epoch, seed, Policy::default(), serving, Capacity::default());
    engine.trust(trusted);
    engine
}

/// The scripts of an engine.
pub struct Scripts {
    host: ScriptHost,
    revisions: Arc<Revisions>,
}

impl Scripts {
    /// `revision` stands for its hash, whatever the store says.
    pub fn new(store: Arc<dyn Store>, hash: RevisionHash, revision: Arc<Revision>) -> Self {
        let revisions = Arc::new(Revisions::new(store.clone()));
        revisions.keep(hash, Ok(revision));
        let budget = Budget {
            bytes: usize::MAX,
            vms: usize::MAX,
        };
        Scripts {
            host: ScriptHost::new(store, revisions.clone(), budget),
            revisions,
        }
    }

    /// The same for a further revision.
    pub fn keep(&self, hash: RevisionHash, revision: Arc<Revision>) {
        self.revisions.keep(hash, Ok(revision));
    }

    /// How many calls of a workflow the revision makes again; `None` if it does not make all of them.
    pub fn fits(
        &self,
        store: &dyn Store,
        workflow: WorkflowId,
        hash: RevisionHash,
    ) -> Result<Option<u64>, Error> {
        let Ok(revision) = self.revisions.get(hash)? else {
            return Ok(None);
        };
        let records = offline::records(store, workflow)?;
        let tried = offline::try_revision(workflow, &records, hash, &revision);
        Ok(tried.ok().map(|tried| tried.calls))
    }

    /// The records of a fork of a workflow, from a step on; `None` if there is no such step, or the revision
    /// does not make the calls before it again.
    pub fn cut(
        &self,
        store: &dyn Store,
        source: WorkflowId,
        step: &str,
        hash: RevisionHash,
    ) -> Result<Option<Vec<Record>>, Error> {
        let Ok(revision) = self.revisions.get(hash)? else {
            return Ok(None);
        };
        let records = offline::records(store, source)?;
        Ok(offline::cut(source, &records, step, hash, &revision).ok())
    }

    /// What the engine is to hear of it.
    pub fn obey(&mut self, command: ScriptCommand) -> Result<Option<Input>, Error> {
        self.host.obey(command)
    }

    /// Takes every workflow of the journal into an engine that has none yet.
    pub fn recover(
        &self,
        engine: &mut Engine,
        store: &dyn Store,
        now: TimeMs,
    ) -> Result<Vec<Step>, Error> {
        restart::recover(engine, store, now, 1)
    }
}

/// What is to happen when, by a virtual clock: ordered by time; at the same time, first in, first out.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<(TimeMs, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda {
            entries: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Agenda<T> {
    pub fn add(&mut self, at: TimeMs, due: T) {
        self.entries.insert((at, self.next), due);
        self.next += 1;
    }

    pub fn next_time(&self) -> Option<TimeMs> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// The next entry, if it is due.
    pub fn take(&mut self, now: TimeMs) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Drops the entries that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, due| keep(due));
    }
}
