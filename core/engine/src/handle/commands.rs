//! What a seeker wants done: start a workflow, stop it, take it elsewhere.

use std::time::Duration;

use froben_model::view::{Failure, WorkflowState};
use froben_model::{SeekerId, Terms, Value, WorkflowId};

use super::{Busy, EngineHandle, unexpected};
use crate::effect::{Answer, Found, Migration};
use crate::engine::refusal;
use crate::input::{Fork, Input, Submit};
use crate::offline::{self, Migrated, Unfit, Want};

/// How often a migration is tried while the script goes on in between, and how long it waits before
/// each further try.
const MIGRATION_TRIES: u32 = 20;
const MIGRATION_PAUSE: Duration = Duration::from_millis(50);

impl EngineHandle {
    /// Starts a workflow, or gives the one that `idempotency_key` has started.
    pub async fn submit(
        &self,
        seeker: SeekerId,
        pipeline: String,
        input: Value,
        idempotency_key: String,
        terms: Terms,
    ) -> Result<Result<WorkflowId, Failure>, Busy> {
        let workflow = WorkflowId(rand::random());
        let seed = rand::random();
        let submit = |ticket| {
            Input::Submit(Submit {
                ticket,
                workflow,
                seed,
                seeker,
                pipeline,
                input,
                idempotency_key,
                terms,
            })
        };
        match self.ask(submit).await? {
            Answer::Submitted(answer) => Ok(answer),
            other => unexpected(&other),
        }
    }

    /// The state that holds after it; `None`: the seeker has no such workflow.
    pub async fn cancel(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
    ) -> Result<Option<WorkflowState>, Busy> {
        match self
            .ask(|ticket| Input::Cancel {
                ticket,
                seeker,
                workflow,
            })
            .await?
        {
            Answer::State(state) => Ok(state),
            other => unexpected(&other),
        }
    }

    /// Stops feeding a workflow's script and handing out its work. What runs may finish, and what comes
    /// is kept. The state that holds after it; `None`: the seeker has no such workflow.
    pub async fn pause(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
    ) -> Result<Option<WorkflowState>, Busy> {
        self.set_paused(seeker, workflow, true).await
    }

    /// Lets a paused workflow go on.
    pub async fn resume(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
    ) -> Result<Option<WorkflowState>, Busy> {
        self.set_paused(seeker, workflow, false).await
    }

    async fn set_paused(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        paused: bool,
    ) -> Result<Option<WorkflowState>, Busy> {
        match self
            .ask(|ticket| Input::Pause {
                ticket,
                seeker,
                workflow,
                paused,
            })
            .await?
        {
            Answer::State(state) => Ok(state),
            other => unexpected(&other),
        }
    }

    /// Starts a workflow that begins where `source` was before `step`, a call's number or the key of a
    /// delegation or child; or gives the one that `idempotency_key` has started. `None`: the seeker has
    /// no such workflow.
    pub async fn fork(
        &self,
        seeker: SeekerId,
        source: WorkflowId,
        step: String,
        revision: Want,
        idempotency_key: String,
    ) -> Result<Option<Result<WorkflowId, Failure>>, Busy> {
        if matches!(self.find(seeker.clone(), source).await?, Found::Nowhere) {
            return Ok(None);
        }
        // Not only to save the replay: since the first request another revision may have become the
        // newest, on which there is no such fork. What counts is the comparison in the engine.
        match self.started_by(seeker.clone(), &idempotency_key).await? {
            Ok(None) => {}
            Ok(Some(started)) => return Ok(Some(Ok(started))),
            Err(failure) => return Ok(Some(Err(failure))),
        }
        let newest = self.newest().await?;
        let cut = self
            .replay_journal(move |store, revisions| {
                let records = offline::records(store, source)?;
                let hash = match offline::wanted(store, &revision, newest, &records)? {
                    Ok(hash) => hash,
                    Err(failure) => return Ok(Err(failure)),
                };
                Ok(match offline::revision(revisions, hash)? {
                    Ok(revision) => offline::cut(source, &records, &step, hash, &revision),
                    Err(failure) => Err(failure),
                })
            })
            .await?;
        let records = match cut {
            Ok(records) => records,
            Err(failure) => return Ok(Some(Err(failure))),
        };
        let workflow = WorkflowId(rand::random());
        let fork = |ticket| {
            Input::Fork(Fork {
                ticket,
                workflow,
                seeker,
                idempotency_key,
                records,
            })
        };
        match self.ask(fork).await? {
            Answer::Submitted(answer) => Ok(Some(answer)),
            other => unexpected(&other),
        }
    }

    async fn started_by(
        &self,
        seeker: SeekerId,
        idempotency_key: &str,
    ) -> Result<Result<Option<WorkflowId>, Failure>, Busy> {
        let idempotency_key = idempotency_key.to_string();
        match self
            .ask(|ticket| Input::StartedBy {
                ticket,
                seeker,
                idempotency_key,
            })
            .await?
        {
            Answer::StartedBy(started) => Ok(started),
            other => unexpected(&other),
        }
    }

    /// Tries a workflow's journal on another revision and, unless `dry_run`, moves it there. `None`:
    /// the seeker has no such workflow.
    pub async fn migrate(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        revision: Want,
        dry_run: bool,
    ) -> Result<Option<Result<Migrated, Unfit>>, Busy> {
        if matches!(self.find(seeker.clone(), workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        let newest = self.newest().await?;
        for _ in 0..MIGRATION_TRIES {
            let want = revision.clone();
            let tried = self
                .replay_journal(move |store, revisions| {
                    let records = offline::records(store, workflow)?;
                    let hash = match offline::wanted(store, &want, newest, &records)? {
                        Ok(hash) => hash,
                        Err(failure) => return Ok(Err(failure)),
                    };
                    let revision = offline::revision(revisions, hash)?;
                    Ok(revision
                        .map(|revision| offline::try_revision(workflow, &records, hash, &revision)))
                })
                .await?;
            let migrated = match tried {
                Ok(Ok(migrated)) if !dry_run => migrated,
                Ok(found) => return Ok(Some(found)),
                Err(failure) => return Ok(Some(Err(failure.into()))),
            };
            let Migrated {
                revision, calls, ..
            } = migrated;
            let seeker = seeker.clone();
            let asked = self.ask(|ticket| Input::Migrate {
                ticket,
                seeker,
                workflow,
                revision,
                calls,
            });
            let switched = true;
            match asked.await? {
                Answer::Migrated(Migration::Done) => {
                    return Ok(Some(Ok(Migrated {
                        switched,
                        ..migrated
                    })));
                }
                Answer::Migrated(Migration::Nowhere) => return Ok(None),
                Answer::Migrated(Migration::Over) => {
                    let why =
                        "the workflow is over; `froben workflow fork` begins a new one from it";
                    return Ok(Some(Err(refusal("FRB-WFL-006", why).into())));
                }
                Answer::Migrated(Migration::MovedOn) => {
                    tokio::time::sleep(MIGRATION_PAUSE).await;
                }
                other => return unexpected(&other),
            }
        }
        Err(Busy::MovingOn)
    }
}
