//! What is served when a coordinator starts.
//!
//! The history is what counts: an admin who applied or rolled back must not find that undone by a
//! restart. The coordinator's own folder matters in two cases, when there is no history yet, and when
//! its content is news, that is, was never served: then somebody has changed it since, and meant it.

use std::sync::Arc;

use froben_journal::{Batch, Origin, RevisionHash, ScriptSet, Served, Store, revision_hash};
use froben_model::TimeMs;
use froben_model::revision::ScriptProblem;

use super::{COORDINATOR, check};
use crate::driver::Error;
use crate::engine::Serving;

/// Entries that are looked through at once.
const PAGE: usize = 1000;

/// Chooses between the newest entry of the history and `folder`, the coordinator's own set:
///
/// | history | folder | served |
/// |---|---|---|
/// | empty | checks | the folder, as entry 1 |
/// | empty | does not check | nothing: *error* |
/// | | the newest entry's | the newest entry |
/// | | an older entry's | the newest entry, with a warning |
/// | | never served, checks | the folder, as a new entry |
/// | | never served, does not check | the newest entry, with every problem logged |
///
/// A check that panics is one that fails: a fault of ours must not keep what was served from being
/// served.
///
/// If this version of the program does not take the newest entry's scripts any more, the folder is
/// served as a new entry if it checks; *error* otherwise.
pub(crate) fn at_start(
    store: &dyn Store,
    folder: ScriptSet,
    now: TimeMs,
) -> Result<Serving, Error> {
    let hash = revision_hash(&folder);
    let Some(newest) = store.newest_served()? else {
        let revision = check::check_contained(&folder).map_err(Error::Scripts)?;
        return append(store, 1, &folder, revision, now, String::new());
    };
    let known = newest.revision == hash || newest_with(store, hash)?.is_some();
    if !known {
        match check::check_contained(&folder) {
            Ok(revision) => {
                let index = newest.index + 1;
                return append(store, index, &folder, revision, now, String::new());
            }
            Err(problems) => {
                tracing::error!(
                    target: "froben::scripts",
                    "the folder's scripts do not check; entry {} of the history, revision {}, goes on \
                     being served",
                    newest.index,
                    newest.revision.short()
                );
                log_problems(&problems);
            }
        }
    } else if newest.revision != hash {
        tracing::warn!(
            target: "froben::scripts",
            "the folder's scripts are an older revision, {}; entry {} of the history, revision {}, is \
             served. To serve the folder, send SIGHUP, or use `froben scripts apply`",
            hash.short(),
            newest.index,
            newest.revision.short()
        );
    }
    serve_again(store, newest, &folder, now)
}

/// Serves the newest entry, or the folder if the entry can't be served any more.
fn serve_again(
    store: &dyn Store,
    newest: Served,
    folder: &ScriptSet,
    now: TimeMs,
) -> Result<Serving, Error> {
    let why = match store.revision(newest.revision)? {
        Some(set) => match check::check_contained(&set) {
            Ok(revision) => {
                let revision = Arc::new(revision);
                let entry = newest;
                return Ok(Serving { entry, revision });
            }
            Err(problems) => {
                log_problems(&problems);
                "this version of the program does not take its scripts"
            }
        },
        None => "its scripts are gone from the store",
    };
    let short = newest.revision.short();
    tracing::error!(
        target: "froben::scripts",
        "entry {} of the history, revision {short}, can't be served: {why}",
        newest.index
    );
    let revision = check::check_contained(folder).map_err(Error::Scripts)?;
    let note = format!("revision {short} can't be served: {why}");
    append(store, newest.index + 1, folder, revision, now, note)
}

fn append(
    store: &dyn Store,
    index: u64,
    set: &ScriptSet,
    revision: froben_script::Revision,
    now: TimeMs,
    note: String,
) -> Result<Serving, Error> {
    let hash = revision_hash(set);
    store.put_revision(hash, set)?;
    let entry = Served {
        index,
        revision: hash,
        time_ms: now,
        by: COORDINATOR.to_string(),
        origin: Origin::Start,
        note,
    };
    store.commit(&Batch {
        served: vec![entry.clone()],
        ..Batch::default()
    })?;
    super::handle::audit(&entry);
    let revision = Arc::new(revision);
    Ok(Serving { entry, revision })
}

/// The newest entry that served `hash`.
pub(crate) fn newest_with(
    store: &dyn Store,
    hash: RevisionHash,
) -> Result<Option<Served>, froben_journal::Error> {
    let (mut from, mut found) = (1, None);
    loop {
        let page = store.history(from, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        from = last.index + 1;
        let mut newest_first = page.into_iter().rev();
        found = newest_first.find(|entry| entry.revision == hash).or(found);
    }
}

fn log_problems(problems: &[ScriptProblem]) {
    for problem in problems {
        tracing::error!(target: "froben::scripts", "{problem}");
    }
}

#[cfg(test)]
mod tests;
