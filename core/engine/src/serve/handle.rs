//! The way in for admins and for the coordinator's own folder.

use std::sync::Arc;

use froben_journal::{Origin, RevisionHash, ScriptSet, Served, revision_hash};
use froben_model::RevisionPrefix;
use froben_model::revision::{Plan, ScriptProblem};
use froben_script::Revision;

use super::start::newest_with;
use super::{Outcome, Serve, ServingNow, check};
use crate::effect::Answer;
use crate::handle::{Busy, EngineHandle, PATIENCE, aside, unexpected};
use crate::input::Input;

/// Who wants a change, and on what ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub by: String,
    pub origin: Origin,
    /// One line, perhaps empty.
    pub note: String,
    /// The change is refused unless this is still the newest index; `None`: it is made whatever that is.
    pub check_index: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The entry is durable: every workflow that is submitted from now on gets its revision.
    Served(Served),
    /// This very revision is served already, by this entry.
    Unchanged(Served),
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotServed {
    /// Somebody was faster: this is the newest entry.
    Moved(Served),
    /// The set does not check. At least one problem.
    Broken(Vec<ScriptProblem>),
    /// A rollback to an entry that is not there.
    NoEntry { index: u64, newest: u64 },
}

/// What a revision's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    Found(RevisionHash, ScriptSet),
    Nothing,
    /// Some of the revisions that begin like this, at least two.
    Ambiguous(Vec<RevisionHash>),
}

impl EngineHandle {
    /// What is served, and who runs what.
    pub async fn serving(&self) -> Result<ServingNow, Busy> {
        match self.ask(|ticket| Input::Serving { ticket }).await? {
            Answer::Serving(now) => Ok(now),
            other => unexpected(&other),
        }
    }

    /// What serving `set` would mean. Changes nothing.
    pub async fn plan(&self, set: ScriptSet) -> Result<Plan, Busy> {
        let hash = revision_hash(&set);
        let (_, checked) = self.check(set).await?;
        let known = self.read_journal(move |store| newest_with(store, hash));
        let known_as = known.await?.map(|entry| entry.index);
        let ServingNow {
            entry,
            revision,
            live,
        } = self.serving().await?;
        let (after, problems) = match checked {
            Ok(revision) => (check::signatures(&revision), Vec::new()),
            Err(problems) => (Vec::new(), problems),
        };
        Ok(Plan {
            serving: entry,
            revision: hash,
            known_as,
            problems,
            before: check::signatures(&revision),
            after,
            live: live.into_iter().collect(),
            omitted: false,
        })
    }

    /// Gives new workflows the scripts in `set`, if they check.
    ///
    /// *Errors*: [`Busy`], after which it may or may not have happened: the history tells, and a
    /// repeated call with the same `check_index` does no harm.
    pub async fn apply(
        &self,
        set: ScriptSet,
        change: Change,
    ) -> Result<Result<Applied, NotServed>, Busy> {
        // Not to check in vain; what counts is the comparison in the engine.
        let newest = self.serving().await?.entry;
        let Change {
            ref by,
            origin,
            note: _,
            check_index,
        } = change;
        if check_index.is_some_and(|index| index != newest.index) {
            return Ok(Err(NotServed::Moved(newest)));
        }
        let hash = revision_hash(&set);
        if hash == newest.revision {
            return Ok(Ok(Applied::Unchanged(newest)));
        }
        let (set, checked) = self.check(set).await?;
        let revision = match checked {
            Ok(revision) => revision,
            Err(problems) => {
                let (revision, problems_found) = (hash.short(), problems.len());
                tracing::warn!(
                    target: "froben::scripts",
                    revision, %by, %origin, problems_found,
                    "refused a set that does not check; entry {} goes on being served",
                    newest.index
                );
                return Ok(Err(NotServed::Broken(problems)));
            }
        };
        self.serve(hash, set, revision, change).await
    }

    /// Gives new workflows the revision that entry `to` served, or the last but one, as a new entry.
    ///
    /// *Errors*: as [`EngineHandle::apply`].
    pub async fn rollback(
        &self,
        to: Option<u64>,
        change: Change,
    ) -> Result<Result<Applied, NotServed>, Busy> {
        let newest = self.serving().await?.entry;
        if change
            .check_index
            .is_some_and(|index| index != newest.index)
        {
            return Ok(Err(NotServed::Moved(newest)));
        }
        let (index, newest) = (to.unwrap_or(newest.index - 1), newest.index);
        if index == 0 || index > newest {
            return Ok(Err(NotServed::NoEntry { index, newest }));
        }
        let read = self.read_journal(move |store| {
            let entry = store.history(index, 1)?.pop();
            match entry {
                Some(entry) => store.revision(entry.revision),
                None => Ok(None),
            }
        });
        match read.await? {
            Some(set) => self.apply(set, change).await,
            None => Ok(Err(NotServed::NoEntry { index, newest })),
        }
    }

    /// Entries below the index `before`, the newest first, at most `limit`.
    pub async fn history(&self, before: u64, limit: usize) -> Result<Vec<Served>, Busy> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        self.read_journal(move |store| {
            let newest = store.newest_served()?.map_or(0, |entry| entry.index);
            let end = before.min(newest.saturating_add(1)).max(1);
            let from = end.saturating_sub(limit).max(1);
            let count = usize::try_from(end - from).unwrap_or(usize::MAX);
            let mut entries = store.history(from, count)?;
            entries.reverse();
            Ok(entries)
        })
        .await
    }

    /// The scripts of the revision whose name begins like this.
    pub async fn sources(&self, prefix: RevisionPrefix) -> Result<Sources, Busy> {
        const SHOWN: usize = 8;
        self.read_journal(move |store| {
            let found = store.find_revisions(&prefix, SHOWN)?;
            Ok(match found[..] {
                [] => Sources::Nothing,
                [hash] => match store.revision(hash)? {
                    Some(set) => Sources::Found(hash, set),
                    None => Sources::Nothing,
                },
                _ => Sources::Ambiguous(found),
            })
        })
        .await
    }

    /// Makes the sources durable, and then asks the engine for the change.
    async fn serve(
        &self,
        hash: RevisionHash,
        set: ScriptSet,
        revision: Revision,
        change: Change,
    ) -> Result<Result<Applied, NotServed>, Busy> {
        self.read_journal(move |store| store.put_revision(hash, &set))
            .await?;
        let revision = Arc::new(revision);
        // The script hosts find it there, and need not check it once more.
        self.revisions.keep(hash, Ok(revision.clone()));
        let Change {
            by,
            origin,
            note,
            check_index,
        } = change;
        let serve = |ticket| {
            Input::Serve(Serve {
                ticket,
                check_index,
                hash,
                revision,
                by,
                origin,
                note,
            })
        };
        match self.ask(serve).await? {
            Answer::Serve(Outcome::Served(entry)) => {
                audit(&entry);
                Ok(Ok(Applied::Served(entry)))
            }
            Answer::Serve(Outcome::Unchanged(entry)) => Ok(Ok(Applied::Unchanged(entry))),
            Answer::Serve(Outcome::Moved(newest)) => Ok(Err(NotServed::Moved(newest))),
            other => unexpected(&other),
        }
    }

    /// Checks a set on a thread of its own, and gives it back.
    async fn check(
        &self,
        set: ScriptSet,
    ) -> Result<(ScriptSet, Result<Revision, Vec<ScriptProblem>>), Busy> {
        let entering = self.checks.clone().acquire_owned();
        let place = match tokio::time::timeout(PATIENCE, entering).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Busy::Stopping),
            Err(_) => return Err(Busy::Overloaded),
        };
        aside("checking the scripts", move || {
            // Held until it is over, also when nobody waits for it any more.
            let _place = place;
            let checked = check::check(&set);
            (set, checked)
        })
        .await
    }
}

/// Who changed what, for whoever keeps the log.
pub(super) fn audit(entry: &Served) {
    let Served {
        index,
        revision,
        time_ms: _,
        by,
        origin,
        note,
    } = entry;
    tracing::info!(
        target: "froben::scripts",
        index, %revision, %by, %origin, note,
        "new workflows get this revision"
    );
}
