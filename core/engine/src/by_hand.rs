//! An engine without the driver's threads: for whoever owns the clock and the order of things himself,
//! such as a rehearsal.
//!
//! What the driver does between threads is done here by calls: [`Scripts::obey`] carries out script
//! commands, [`Scripts::recover`] takes a journal in after a crash.

use std::sync::Arc;

use froben_journal::{Error, RevisionHash, Store};
use froben_model::TimeMs;
use froben_scheduler::Policy;
use froben_script::Revision;

use crate::effect::ScriptCommand;
use crate::engine::{Engine, Serving, Step};
use crate::input::Input;
use crate::scripts::ScriptHost;

/// An engine that serves this revision and has no workflows yet.
pub fn engine(epoch: u64, seed: u64, hash: RevisionHash, revision: Arc<Revision>) -> Engine {
    Engine::new(epoch, seed, Policy::default(), Serving { hash, revision })
}

/// The scripts of an engine of one revision.
pub struct Scripts {
    host: ScriptHost,
    revision: Arc<Revision>,
}

impl Scripts {
    /// `revision` stands for its hash, whatever the store says.
    pub fn new(_store: Arc<dyn Store>, _hash: RevisionHash, revision: Arc<Revision>) -> Self {
        Scripts {
            host: ScriptHost::default(),
            revision,
        }
    }

    /// What the engine is to hear of it.
    pub fn obey(&mut self, command: ScriptCommand) -> Result<Option<Input>, Error> {
        Ok(self.host.obey(command))
    }

    /// Takes every workflow of the journal into an engine that has none yet.
    pub fn recover(
        &self,
        engine: &mut Engine,
        store: &dyn Store,
        now: TimeMs,
    ) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        for (id, _) in store.workflows()? {
            let records = store.read(id, 0, usize::MAX)?;
            let recovered = engine.recover(now, id, &records, Ok(self.revision.clone()));
            let step = recovered.map_err(|misfit| Error::damaged(id, misfit.seq, misfit.why))?;
            steps.push(step);
        }
        Ok(steps)
    }
}
