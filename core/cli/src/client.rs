//! The seeker's end of the coordinator's RPC, as plain calls.
//!
//! A client is one connection. What to do when it is lost is the caller's: see `session.rs`.

use std::path::Path;
use std::time::Duration;

use froben_model::trail::{TrailPage, TrailQuery};
use froben_model::view::{
    Failure, LogLine, MachineView, PipelineInfo, WhyView, WorkflowDetail, WorkflowState,
    WorkflowSummary,
};
use froben_model::{BlobHash, BlobRef, CallId, RevisionHash, Terms, Value, WorkflowId, limits};
use froben_schema::common_capnp::{self, blob_store};
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session::{
    self, export_answer, migrate_answer, parting, submit_answer, trail_answer, why_answer,
};
use froben_wire::{Error, Identity, Link, Policy, blobs, call, dial, failed};
use tokio::io::AsyncWriteExt;

pub(crate) struct Client {
    /// Holds the connection open.
    link: Link,
    session: seeker_session::Client,
    store: blob_store::Client,
}

/// Sends a request and reads its answer: `$what` for a person, the request, and what to read.
macro_rules! ask {
    ($self:ident, $what:literal, $request:expr, |$answer:ident| $read:expr) => {{
        let sent = $request.send();
        let response = call($what, $self.patience(), sent.promise).await?;
        let read = || -> Result<_, capnp::Error> {
            let $answer = response.get()?;
            $read
        };
        read().map_err(|error| failed($what, &error))
    }};
}

mod admin;
mod ledger;
mod profiles;

pub(crate) use admin::{Admin, Changed};
pub(crate) use ledger::Ledger;
pub(crate) use profiles::profiles;

impl Client {
    /// *Errors*: unreachable, a certificate that does not open the door, no answer in time.
    pub(crate) async fn connect(address: &str, identity: &Identity) -> Result<Client, Error> {
        let link = dial(address, identity, Policy::SEEKER).await?;
        let mut request = link.coordinator.seeker_request();
        request
            .get()
            .set_protocol_version(common_capnp::PROTOCOL_VERSION);
        let opened = call(
            "opening the seekers' door",
            link.patience(),
            request.send().promise,
        );
        let session = opened.await?;
        let malformed = |error: capnp::Error| failed("opening the seekers' door", &error);
        let session = session
            .get()
            .and_then(|answer| answer.get_session())
            .map_err(malformed)?;
        let store = session.blobs_request().send().pipeline.get_blobs();
        Ok(Client {
            link,
            session,
            store,
        })
    }

    fn patience(&self) -> Duration {
        self.link.patience()
    }

    /// Starts a workflow. Idempotent by `key`.
    pub(crate) async fn submit(
        &self,
        pipeline: &str,
        input: &Value,
        key: &str,
        terms: Terms,
    ) -> Result<Result<WorkflowId, Failure>, Error> {
        let mut request = self.session.submit_request();
        let mut params = request.get();
        params.set_pipeline(pipeline);
        params.set_idempotency_key(key);
        let Terms {
            budget,
            wanted_by_ms,
        } = terms;
        if let Some(budget) = budget {
            convert::write_amount(budget, params.reborrow().init_budget());
        }
        params.set_wanted_by_ms(wanted_by_ms.unwrap_or(0));
        convert::write_value(input, params.init_input());
        ask!(self, "submitting the workflow", request, |answer| {
            match answer.get_answer()?.which()? {
                submit_answer::Id(id) => Ok(Ok(read_id(id?)?)),
                submit_answer::Refused(refused) => Ok(Err(convert::read_failure(refused?)?)),
            }
        })
    }

    pub(crate) async fn status(&self, id: WorkflowId) -> Result<WorkflowDetail, Error> {
        let mut request = self.session.status_request();
        request.get().set_id(id.to_string());
        ask!(self, "asking for the workflow", request, |answer| {
            Ok(convert::read_detail(answer.get_detail()?)?)
        })
    }

    pub(crate) async fn list(&self, limit: u32) -> Result<Vec<WorkflowSummary>, Error> {
        let mut request = self.session.list_request();
        request.get().set_limit(limit);
        ask!(self, "asking for the workflows", request, |answer| {
            let list = answer.get_workflows()?;
            list.iter()
                .map(|summary| Ok(convert::read_summary(summary)?))
                .collect()
        })
    }

    /// The state that holds after it.
    pub(crate) async fn cancel(&self, id: WorkflowId) -> Result<WorkflowState, Error> {
        let mut request = self.session.cancel_request();
        request.get().set_id(id.to_string());
        ask!(self, "cancelling the workflow", request, |answer| {
            Ok(convert::read_workflow_state(answer.get_state()?))
        })
    }

    /// The state that holds after it.
    pub(crate) async fn pause(&self, id: WorkflowId) -> Result<WorkflowState, Error> {
        let mut request = self.session.pause_request();
        request.get().set_id(id.to_string());
        ask!(self, "pausing the workflow", request, |answer| {
            Ok(convert::read_workflow_state(answer.get_state()?))
        })
    }

    /// The state that holds after it.
    pub(crate) async fn resume(&self, id: WorkflowId) -> Result<WorkflowState, Error> {
        let mut request = self.session.resume_request();
        request.get().set_id(id.to_string());
        ask!(self, "resuming the workflow", request, |answer| {
            Ok(convert::read_workflow_state(answer.get_state()?))
        })
    }

    /// Starts a workflow that begins where another one was. Idempotent by `key`.
    pub(crate) async fn fork(
        &self,
        id: WorkflowId,
        step: &str,
        revision: &str,
        key: &str,
    ) -> Result<Result<WorkflowId, Failure>, Error> {
        let mut request = self.session.fork_request();
        let mut params = request.get();
        params.set_id(id.to_string());
        params.set_step(step);
        params.set_revision(revision);
        params.set_idempotency_key(key);
        ask!(self, "forking the workflow", request, |answer| {
            match answer.get_answer()?.which()? {
                submit_answer::Id(id) => Ok(Ok(read_id(id?)?)),
                submit_answer::Refused(refused) => Ok(Err(convert::read_failure(refused?)?)),
            }
        })
    }

    pub(crate) async fn migrate(
        &self,
        id: WorkflowId,
        revision: &str,
        dry_run: bool,
    ) -> Result<Result<Moved, Stays>, Error> {
        let mut request = self.session.migrate_request();
        let mut params = request.get();
        params.set_id(id.to_string());
        params.set_revision(revision);
        params.set_dry_run(dry_run);
        ask!(self, "migrating the workflow", request, |answer| {
            let answer = answer.get_answer()?;
            match answer.which()? {
                migrate_answer::Done(done) => {
                    let done = done?;
                    Ok(Ok(Moved {
                        revision: limits::one_line(done.get_revision()?.to_str()?),
                        calls: done.get_calls(),
                        beyond: done.get_beyond(),
                        switched: done.get_switched(),
                    }))
                }
                migrate_answer::Refused(refused) => {
                    let why = convert::read_failure(refused?)?;
                    let parting = match answer.has_parting() {
                        true => Some(read_parting(answer.get_parting()?)?),
                        false => None,
                    };
                    Ok(Err(Stays { why, parting }))
                }
            }
        })
    }

    /// Writes a workflow's export to a file that appears only when all of it is there. Gives its size.
    pub(crate) async fn export(
        &self,
        id: WorkflowId,
        keep_names: bool,
        path: &Path,
    ) -> Result<Result<u64, Failure>, Error> {
        let mut request = self.session.export_request();
        request.get().set_id(id.to_string());
        request.get().set_keep_names(keep_names);
        let exported = ask!(self, "exporting the workflow", request, |answer| {
            match answer.get_answer()?.which()? {
                export_answer::File(file) => {
                    let file = file?;
                    Ok(Ok((
                        convert::read_blob(file.get_blob()?)?,
                        file.get_reader()?,
                    )))
                }
                export_answer::Refused(refused) => Ok(Err(convert::read_failure(refused?)?)),
            }
        })?;
        let (blob, reader) = match exported {
            Ok(exported) => exported,
            Err(failure) => return Ok(Err(failure)),
        };
        place(path, async |mut file| {
            blobs::fetch_from(&reader, &blob, &mut file, self.patience()).await?;
            Ok(file)
        })
        .await?;
        Ok(Ok(blob.size_bytes))
    }

    /// Log lines from `from` on, the oldest first.
    pub(crate) async fn logs(
        &self,
        id: WorkflowId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogLine>, Error> {
        let mut request = self.session.logs_request();
        let mut params = request.get();
        params.set_id(id.to_string());
        params.set_from_seq(from);
        params.set_limit(limit);
        ask!(self, "asking for the log", request, |answer| {
            let lines = answer.get_lines()?;
            lines
                .iter()
                .map(|line| Ok(convert::read_log_line(line)?))
                .collect()
        })
    }

    /// What became of delegations, a page of them.
    pub(crate) async fn why(
        &self,
        id: WorkflowId,
        which: &str,
    ) -> Result<Result<WhyView, Failure>, Error> {
        let mut request = self.session.why_request();
        let mut params = request.get();
        params.set_id(id.to_string());
        params.set_which(which);
        ask!(self, "asking why", request, |answer| {
            match answer.get_answer()?.which()? {
                why_answer::Why(why) => Ok(Ok(convert::read_why(why?)?)),
                why_answer::Refused(refused) => Ok(Err(convert::read_failure(refused?)?)),
            }
        })
    }

    pub(crate) async fn trail(
        &self,
        id: WorkflowId,
        query: &TrailQuery,
    ) -> Result<Result<TrailPage, Failure>, Error> {
        let mut request = self.session.trail_request();
        let mut params = request.get();
        params.set_id(id.to_string());
        params.set_which(&query.which);
        params.set_failed_only(query.failed);
        params.set_from(query.from.0);
        params.set_limit(u32::try_from(query.limit).unwrap_or(u32::MAX));
        ask!(self, "asking for the trail", request, |answer| {
            match answer.get_answer()?.which()? {
                trail_answer::Page(page) => Ok(Ok(convert::read_trails(page?)?)),
                trail_answer::Refused(refused) => Ok(Err(convert::read_failure(refused?)?)),
            }
        })
    }

    pub(crate) async fn pipelines(&self) -> Result<Vec<PipelineInfo>, Error> {
        let request = self.session.pipelines_request();
        ask!(self, "asking for the pipelines", request, |answer| {
            let list = answer.get_pipelines()?;
            list.iter()
                .map(|pipeline| Ok(convert::read_pipeline(pipeline)?))
                .collect()
        })
    }

    pub(crate) async fn machines(&self) -> Result<Vec<MachineView>, Error> {
        let request = self.session.machines_request();
        ask!(self, "asking for the machines", request, |answer| {
            let list = answer.get_machines()?;
            list.iter()
                .map(|machine| Ok(convert::read_machine_view(machine)?))
                .collect()
        })
    }

    /// Makes a file a blob of the coordinator's, unless it is one already.
    pub(crate) async fn upload(&self, path: &Path) -> Result<BlobRef, Error> {
        // Not on the connection's thread, which has heartbeats to answer.
        let owned = path.to_path_buf();
        let hashed = tokio::task::spawn_blocking(move || hash_file(&owned)).await;
        let hashed = hashed.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let blob = hashed.map_err(|error| io("read", path, &error))?;
        let mut file = tokio::fs::File::open(path)
            .await
            .map_err(|e| io("read", path, &e))?;
        blobs::upload(&self.store, &blob, &mut file, self.patience()).await?;
        Ok(blob)
    }

    /// Writes a blob to a file that appears only when all of it is there.
    pub(crate) async fn download(&self, blob: BlobRef, path: &Path) -> Result<(), Error> {
        place(path, async |mut file| {
            blobs::fetch(&self.store, &blob, &mut file, self.patience()).await?;
            Ok(file)
        })
        .await
    }
}

/// What became of a migration.
pub(crate) struct Moved {
    pub(crate) revision: String,
    pub(crate) calls: u64,
    pub(crate) beyond: u64,
    pub(crate) switched: bool,
}

/// Why a workflow was not moved.
pub(crate) struct Stays {
    pub(crate) why: Failure,
    /// The first call that differs, and the revision that makes another one.
    pub(crate) parting: Option<(CallId, RevisionHash)>,
}

fn read_parting(parting: parting::Reader<'_>) -> Result<(CallId, RevisionHash), capnp::Error> {
    let revision = parting.get_revision()?.to_str()?;
    let hash = revision.parse();
    let hash = hash.map_err(|e: froben_model::Error| capnp::Error::failed(e.to_string()))?;
    Ok((CallId(parting.get_call()), hash))
}

/// Lets `fill` write a file beside `path`, which takes its place when it is whole and on disk.
async fn place(
    path: &Path,
    fill: impl AsyncFnOnce(tokio::fs::File) -> Result<tokio::fs::File, Error>,
) -> Result<(), Error> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.part", std::process::id()));
    let partial = Path::new(&partial);
    let filled = async {
        let written = |error| io("write", partial, &error);
        let file = tokio::fs::File::create(partial).await.map_err(written)?;
        let mut file = fill(file).await?;
        file.flush().await.map_err(written)?;
        file.sync_all().await.map_err(written)
    };
    let placed = match filled.await {
        Ok(()) => std::fs::rename(partial, path).map_err(|error| io("write", path, &error)),
        Err(error) => Err(error),
    };
    if placed.is_err() {
        let _ = std::fs::remove_file(partial);
    }
    placed
}

fn read_id(id: capnp::text::Reader<'_>) -> Result<WorkflowId, capnp::Error> {
    let id = id.to_str()?;
    id.parse()
        .map_err(|error: froben_model::Error| capnp::Error::failed(error.to_string()))
}

fn hash_file(path: &Path) -> std::io::Result<BlobRef> {
    let mut hasher = blake3::Hasher::new();
    let size_bytes = std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    Ok(BlobRef {
        hash: BlobHash(*hasher.finalize().as_bytes()),
        size_bytes,
    })
}

fn io(action: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Io {
        action: format!("{action} {}", path.display()),
        reason: error.to_string(),
    }
}
