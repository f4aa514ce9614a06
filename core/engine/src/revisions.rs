//! The revisions that live workflows keep, each checked once.
//!
//! A workflow keeps its revision for life, so a coordinator that has been reloaded many times serves
//! many. The ones used last are kept in memory; the rest is a look into the store away.

use std::sync::{Arc, Mutex, PoisonError};

use froben_journal::{RevisionHash, ScriptSet, Store};
use froben_script::{Limits, Revision};

use crate::contained::{Panicked, contained};

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
            // Not kept: it may come, and whoever asks for what there is not drives nothing out.
            None => return Ok(Err("its scripts are not in the store".to_string())),
            Some(scripts) => check(&scripts),
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

fn check(scripts: &ScriptSet) -> Checked {
    let check = || Revision::check(&scripts.files, &Limits::default());
    let why = match contained("checking a workflow's scripts", check) {
        Ok(Ok(revision)) => return Ok(Arc::new(revision)),
        Ok(Err(found)) => {
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            found.join("; ")
        }
        // It costs the workflows that keep the revision, and not the thread that runs many others.
        Err(Panicked(cause)) => format!("the check itself has failed: {cause}"),
    };
    Err(format!("this version does not take its scripts: {why}"))
}

#[cfg(test)]
mod tests {
    use froben_journal::{MemoryStore, revision_hash};

    use super::*;

    #[test]
    fn asking_for_what_there_is_not_changes_nothing() {
        let store = Arc::new(MemoryStore::new());
        let revisions = Revisions::new(store.clone());
        let set = |n: u32| ScriptSet {
            files: [("lib/x.lua".to_string(), format!("return {n}"))].into(),
        };
        let known = revision_hash(&set(1));
        store.put_revision(known, &set(1)).expect("a write");
        let first = revisions.get(known).expect("it can be read");
        let first = first.expect("it checks");
        let late = revision_hash(&set(2));
        for n in 0..=KEPT as u8 {
            let asked = revisions.get(RevisionHash([n; 32])).expect("a read");
            assert!(asked.is_err());
            assert!(revisions.get(late).expect("a read").is_err());
        }
        let again = revisions.get(known).expect("it can be read");
        assert!(
            Arc::ptr_eq(&first, &again.expect("it checks")),
            "it is kept"
        );
        store.put_revision(late, &set(2)).expect("a write");
        assert!(revisions.get(late).expect("a read").is_ok());
    }
}
