//! The revisions that live workflows keep, each checked once.
//!
//! A workflow keeps its revision for life, so a coordinator that has been reloaded many times serves
//! many. The ones used last are kept in memory; the rest is a look into the store away.

use std::sync::{Arc, Mutex, PoisonError};

use froben_journal::{RevisionHash, Store};
use froben_script::{Limits, Revision};

/// Revisions in memory: each is its compiled scripts, at most a few MiB.
const KEPT: usize = 32;

pub(crate) struct Revisions {
    store: Arc<dyn Store>,
    /// The one used last comes last. What does not check does not get better: it is kept as well.
    kept: Mutex<Vec<(RevisionHash, Checked)>>,
}

/// A revision, or why there is none.
pub(crate) type Checked = Result<Arc<Revision>, String>;

impl Revisions {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Revisions {
            store,
            kept: Mutex::default(),
        }
    }

    /// *Errors*: the store can't be read.
    pub(crate) fn get(&self, hash: RevisionHash) -> Result<Checked, froben_journal::Error> {
        if let Some(known) = self.known(hash) {
            return Ok(known);
        }
        // Checked outside the lock: another thread that needs it too does so a second time, which is
        // rare, instead of all waiting.
        let checked = match self.store.revision(hash)? {
            None => Err("the scripts of its revision are gone from the store".to_string()),
            Some(scripts) => Revision::check(&scripts.files, &Limits::default())
                .map(Arc::new)
                .map_err(|found| {
                    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                    format!(
                        "this version does not take its scripts: {}",
                        found.join("; ")
                    )
                }),
        };
        self.keep(hash, checked.clone());
        Ok(checked)
    }

    /// Keeps one that was checked elsewhere.
    pub(crate) fn keep(&self, hash: RevisionHash, checked: Checked) {
        let mut kept = self.lock();
        kept.retain(|(known, _)| *known != hash);
        kept.push((hash, checked));
        if kept.len() > KEPT {
            drop(kept.remove(0));
        }
    }

    fn known(&self, hash: RevisionHash) -> Option<Checked> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(known, _)| *known == hash)?;
        let found = kept.remove(at);
        let checked = found.1.clone();
        kept.push(found);
        Some(checked)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(RevisionHash, Checked)>> {
        // A panic elsewhere leaves the list whole or without one entry, which costs a check.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
