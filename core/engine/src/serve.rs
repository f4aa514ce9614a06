//! Which revision new workflows get, and how that changes while others run.
//!
//! The change itself is one step of the engine: [`Engine::serve`] compares the index that whoever asks
//! has seen with the newest one, and appends an entry to the history. A submit that is decided after it
//! gets the new revision, and its record is on disk no sooner than the entry. Workflows that run keep
//! the revision that their first record names; nothing here touches them.
//!
//! What costs time, reading, compiling and evaluating a set, happens before, outside of the engine's
//! thread ([`check`]), and what does not check never gets this far. A crash in between leaves at most
//! sources that no entry names.

mod check;
mod handle;
mod start;

#[cfg(test)]
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use froben_journal::{Origin, RevisionHash, Served};
use froben_scheduler::planted::{Bug, planted};
use froben_script::Revision;

use crate::effect::Answer;
use crate::engine::{Engine, Serving};
use crate::input::Ticket;

pub use check::no_pipelines;
pub use handle::{Applied, Change, NotServed, Sources};
pub(crate) use start::at_start;

/// Who stands in the history for what the coordinator does by itself.
pub const COORDINATOR: &str = "coordinator";

/// New workflows are to get this revision.
pub struct Serve {
    pub ticket: Ticket,
    /// The index of the entry that whoever asks believes to be the newest; `None`: whichever it is.
    pub check_index: Option<u64>,
    pub hash: RevisionHash,
    /// It checks, and its sources are durable.
    pub revision: Arc<Revision>,
    pub by: String,
    pub origin: Origin,
    pub note: String,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Serve {
            ticket: _,
            check_index,
            hash,
            revision: _,
            by,
            origin,
            note: _,
        } = self;
        write!(f, "Serve({hash}, {check_index:?}, {origin} by {by})")
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The entry is durable.
    Served(Served),
    /// This very revision is served already: there is no new entry.
    Unchanged(Served),
    /// Somebody was faster: this is the newest entry.
    Moved(Served),
}

/// What is served, and the live workflows by the revision that they keep.
#[derive(Clone)]
pub struct ServingNow {
    pub entry: Served,
    pub revision: Arc<Revision>,
    pub live: BTreeMap<RevisionHash, u64>,
}

impl fmt::Debug for ServingNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServingNow {
            entry,
            revision: _,
            live,
        } = self;
        write!(f, "ServingNow({entry:?}, {live:?})")
    }
}

impl Engine {
    pub(crate) fn serve(&mut self, serve: Serve) {
        let Serve {
            ticket,
            check_index,
            hash,
            revision,
            by,
            origin,
            note,
        } = serve;
        let newest = &self.serving.entry;
        let outcome = if check_index.is_some_and(|index| index != newest.index) {
            Outcome::Moved(newest.clone())
        } else if hash == newest.revision {
            Outcome::Unchanged(newest.clone())
        } else {
            let entry = Served {
                index: newest.index + 1,
                revision: hash,
                time_ms: self.now,
                by,
                origin,
                note,
            };
            self.step.batch.served.push(entry.clone());
            if planted(Bug::SwitchRevision) {
                let live = self.live.values_mut();
                live.for_each(|workflow| workflow.revision = hash);
            }
            self.serving = Serving {
                entry: entry.clone(),
                revision,
            };
            Outcome::Served(entry)
        };
        self.reply(ticket, Answer::Serve(outcome));
    }

    pub(crate) fn serving_now(&self) -> ServingNow {
        let mut live = BTreeMap::new();
        for workflow in self.live.values() {
            *live.entry(workflow.revision).or_default() += 1;
        }
        ServingNow {
            entry: self.serving.entry.clone(),
            revision: self.serving.revision.clone(),
            live,
        }
    }
}
