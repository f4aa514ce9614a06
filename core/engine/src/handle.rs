//! The way into the engine, for any thread and any task.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use froben_journal::{Body, CallOp, Finish, Record, RevisionHash, Seq, Store};
use froben_model::view::{
    Failure, LogLine, MachineView, PipelineInfo, WorkflowDetail, WorkflowState, WorkflowSummary,
};
use froben_model::{
    ItemError, ItemOutcome, LeaseToken, MachineId, MachineSpec, SeekerId, Value, WorkflowId, limits,
};
use froben_scheduler::SessionId;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::children::child_id;
use crate::driver::{Message, SharedRoutes, lock};
use crate::effect::{Answer, Found, MachineCommand, Migration, Receipt};
use crate::engine::refusal;
use crate::input::{Fork, Input, Submit, Ticket};
use crate::offline::{self, Answered, Migrated, Want};
use crate::revisions::Revisions;
use crate::workflow::Workflow;

/// Requests inside the engine at once; the others wait outside. A request keeps its place until the
/// engine has answered it, also when nobody waits for the answer any more.
const REQUESTS: usize = 1024;
/// Workers' lines inside the engine at once; more are dropped.
const LINES: usize = 256;
/// Checking compiles and evaluates: one at a time, so that it takes no more than one core.
const CHECKS: usize = 1;
/// How long a request waits to get in, and then for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Replays at once that somebody asked for: each may compute for as long as a script may.
const REPLAYS: usize = 2;
/// How often a migration is tried while the script goes on in between, and how long it waits before
/// each further try.
const MIGRATION_TRIES: u32 = 20;
const MIGRATION_PAUSE: Duration = Duration::from_millis(50);
/// Records that a look into the journal reads at once.
const PAGE: usize = 1000;

/// A request that was not answered; it may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    #[error("the coordinator is overloaded; try again")]
    Overloaded,
    #[error("the coordinator is stopping; try again when it is back")]
    Stopping,
    #[error("the journal can't be read: {0}")]
    Journal(String),
    #[error(
        "its script goes on all the time; pause it with `froben workflow pause`, then try again"
    )]
    MovingOn,
}

/// Cheap to clone; safe from any thread.
#[derive(Clone)]
pub struct EngineHandle {
    engine: Sender<Message>,
    routes: SharedRoutes,
    store: Arc<dyn Store>,
    pub(crate) revisions: Arc<Revisions>,
    permits: Arc<Semaphore>,
    lines: Arc<Semaphore>,
    /// Script sets that are checked at once.
    pub(crate) checks: Arc<Semaphore>,
    replays: Arc<Semaphore>,
}

impl EngineHandle {
    pub(crate) fn new(
        engine: Sender<Message>,
        routes: SharedRoutes,
        store: Arc<dyn Store>,
        revisions: Arc<Revisions>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(REQUESTS));
        let lines = Arc::new(Semaphore::new(LINES));
        let checks = Arc::new(Semaphore::new(CHECKS));
        EngineHandle {
            engine,
            routes,
            store,
            revisions,
            permits,
            lines,
            checks,
            replays: Arc::new(Semaphore::new(REPLAYS)),
        }
    }

    /// Starts a workflow, or gives the one that `idempotency_key` has started.
    pub async fn submit(
        &self,
        seeker: SeekerId,
        pipeline: String,
        input: Value,
        idempotency_key: String,
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
            })
        };
        match self.ask(submit).await? {
            Answer::Submitted(answer) => Ok(answer),
            other => unexpected(&other),
        }
    }

    /// `None`: the seeker has no such workflow.
    pub async fn status(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
    ) -> Result<Option<WorkflowDetail>, Busy> {
        match self.find(seeker, workflow).await? {
            Found::Nowhere => Ok(None),
            Found::Live(detail) => Ok(Some(*detail)),
            Found::Journal => {
                let detail = self
                    .read_journal(move |store| {
                        let records = offline::records(store, workflow)?;
                        Ok(Workflow::replay(workflow, &records).map(|w| w.detail()))
                    })
                    .await?;
                detail
                    .map(Some)
                    .map_err(|misfit| Busy::Journal(misfit.to_string()))
            }
        }
    }

    async fn find(&self, seeker: SeekerId, workflow: WorkflowId) -> Result<Found, Busy> {
        match self
            .ask(|ticket| Input::Status {
                ticket,
                seeker,
                workflow,
            })
            .await?
        {
            Answer::Detail(found) => Ok(found),
            other => unexpected(&other),
        }
    }

    /// The newest first.
    pub async fn list(&self, seeker: SeekerId, limit: usize) -> Result<Vec<WorkflowSummary>, Busy> {
        match self
            .ask(|ticket| Input::List {
                ticket,
                seeker,
                limit,
            })
            .await?
        {
            Answer::List(list) => Ok(list),
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
                let hash = wanted(revision, newest, &records);
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
    ) -> Result<Option<Result<Migrated, Failure>>, Busy> {
        if matches!(self.find(seeker.clone(), workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        let newest = self.newest().await?;
        for _ in 0..MIGRATION_TRIES {
            let tried = self
                .replay_journal(move |store, revisions| {
                    let records = offline::records(store, workflow)?;
                    let hash = wanted(revision, newest, &records);
                    Ok(match offline::revision(revisions, hash)? {
                        Ok(revision) => offline::try_revision(workflow, &records, hash, &revision),
                        Err(failure) => Err(failure),
                    })
                })
                .await?;
            let migrated = match tried {
                Ok(migrated) if !dry_run => migrated,
                found => return Ok(Some(found)),
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
                    return Ok(Some(Err(refusal("FRB-WFL-006", why))));
                }
                Answer::Migrated(Migration::MovedOn) => {
                    tokio::time::sleep(MIGRATION_PAUSE).await;
                }
                other => return unexpected(&other),
            }
        }
        Err(Busy::MovingOn)
    }

    /// A workflow as a file that replays anywhere. `None`: the seeker has no such workflow.
    pub async fn export(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        keep_names: bool,
    ) -> Result<Option<Result<Vec<u8>, Failure>>, Busy> {
        if matches!(self.find(seeker, workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        let export = move |store: &dyn Store, revisions: &Revisions| {
            offline::export(store, revisions, workflow, keep_names)
        };
        self.replay_journal(export).await.map(Some)
    }

    /// The revision that new workflows get.
    pub async fn newest(&self) -> Result<RevisionHash, Busy> {
        match self.ask(|ticket| Input::Newest { ticket }).await? {
            Answer::Newest(hash) => Ok(hash),
            other => unexpected(&other),
        }
    }

    /// Log lines from `from` on, the oldest first; `None`: the seeker has no such workflow.
    pub async fn logs(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Option<Vec<LogLine>>, Busy> {
        if matches!(self.find(seeker, workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        self.read_journal(move |store| log_lines(store, workflow, from, limit))
            .await
            .map(Some)
    }

    pub async fn pipelines(&self) -> Result<Vec<PipelineInfo>, Busy> {
        match self.ask(|ticket| Input::Pipelines { ticket }).await? {
            Answer::Pipelines(pipelines) => Ok(pipelines),
            other => unexpected(&other),
        }
    }

    pub async fn machines(&self) -> Result<Vec<MachineView>, Busy> {
        match self.ask(|ticket| Input::Machines { ticket }).await? {
            Answer::Machines(machines) => Ok(machines),
            other => unexpected(&other),
        }
    }

    /// A machine is connected; what it is to do comes through `commands`. When the channel closes, the
    /// engine has given the session up.
    pub fn machine_joined(
        &self,
        machine: MachineId,
        spec: MachineSpec,
        commands: mpsc::Sender<MachineCommand>,
    ) -> SessionId {
        let mut routes = lock(&self.routes);
        let session = SessionId(routes.fresh());
        routes.machines.insert(session, commands);
        drop(routes);
        self.tell(Input::MachineJoined {
            session,
            machine,
            spec,
        });
        session
    }

    pub fn machine_left(&self, session: SessionId, reason: String) {
        lock(&self.routes).machines.remove(&session);
        self.tell(Input::MachineLeft { session, reason });
    }

    pub fn accepted(&self, token: LeaseToken) {
        self.tell(Input::Accepted { token });
    }

    pub fn refused(&self, token: LeaseToken, reason: String) {
        self.tell(Input::Refused { token, reason });
    }

    pub async fn item(
        &self,
        token: LeaseToken,
        index: u32,
        outcome: ItemOutcome,
        device: Option<String>,
    ) -> Result<Receipt, Busy> {
        let item = |ticket| Input::Item {
            ticket,
            token,
            index,
            outcome,
            device,
        };
        match self.ask(item).await? {
            Answer::Receipt(receipt) => Ok(receipt),
            other => unexpected(&other),
        }
    }

    pub async fn finish(
        &self,
        token: LeaseToken,
        failure: Option<ItemError>,
    ) -> Result<Receipt, Busy> {
        match self
            .ask(|ticket| Input::Finish {
                ticket,
                token,
                failure,
            })
            .await?
        {
            Answer::Receipt(receipt) => Ok(receipt),
            other => unexpected(&other),
        }
    }

    /// A worker's line. Dropped when the engine is busy.
    pub fn log(&self, token: LeaseToken, line: String) {
        if let Ok(place) = self.lines.clone().try_acquire_owned() {
            let input = Input::Log { token, line };
            let _ = self.engine.send(Message::Placed(input, place));
        }
    }

    fn tell(&self, input: Input) {
        // If the engine has stopped, so will the connection that told us.
        let _ = self.engine.send(Message::Input(input));
    }

    pub(crate) async fn ask(&self, input: impl FnOnce(Ticket) -> Input) -> Result<Answer, Busy> {
        let entering = self.permits.clone().acquire_owned();
        let place = match tokio::time::timeout(PATIENCE, entering).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Busy::Stopping),
            Err(_) => return Err(Busy::Overloaded),
        };
        let (sender, answer) = oneshot::channel();
        let ticket = {
            let mut routes = lock(&self.routes);
            let ticket = Ticket(routes.fresh());
            routes.tickets.insert(ticket, (sender, place));
            ticket
        };
        if self.engine.send(Message::Input(input(ticket))).is_err() {
            lock(&self.routes).tickets.remove(&ticket);
            return Err(Busy::Stopping);
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Busy::Stopping),
            Err(_) => Err(Busy::Overloaded),
        }
    }

    /// Reads a journal and replays it, a few at a time in the whole process.
    async fn replay_journal<T: Send + 'static>(
        &self,
        replay: impl FnOnce(&dyn Store, &Revisions) -> Answered<T> + Send + 'static,
    ) -> Result<Result<T, Failure>, Busy> {
        let entering = self.replays.clone().acquire_owned();
        let place = match tokio::time::timeout(PATIENCE, entering).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Busy::Stopping),
            Err(_) => return Err(Busy::Overloaded),
        };
        let revisions = self.revisions.clone();
        self.read_journal(move |store| {
            let _place = place;
            replay(store, &revisions)
        })
        .await
    }

    pub(crate) async fn read_journal<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, froben_journal::Error> + Send + 'static,
    ) -> Result<T, Busy> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || read(store.as_ref())).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Busy::Journal(error.to_string())),
            Err(_) => Err(Busy::Stopping),
        }
    }
}

fn wanted(want: Want, newest: RevisionHash, records: &[Record]) -> RevisionHash {
    match want {
        Want::Hash(hash) => hash,
        Want::Newest => newest,
        Want::Kept => froben_journal::kept_revision(records).unwrap_or(newest),
    }
}

pub(crate) fn unexpected<T>(answer: &Answer) -> Result<T, Busy> {
    unreachable!("invariant: every request has its kind of answer, not {answer:?}")
}

fn log_lines(
    store: &dyn Store,
    workflow: WorkflowId,
    mut from: Seq,
    limit: usize,
) -> Result<Vec<LogLine>, froben_journal::Error> {
    let mut lines = Vec::new();
    loop {
        let page = store.read(workflow, from, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(lines);
        };
        from = last + 1;
        for (seq, record) in page {
            lines.extend(log_line(workflow, seq, record));
            if lines.len() >= limit {
                return Ok(lines);
            }
        }
    }
}

/// What a record says to somebody who reads the log.
fn log_line(workflow: WorkflowId, seq: Seq, record: Record) -> Option<LogLine> {
    let Record { time_ms, body } = record;
    let coordinator = "coordinator".to_string();
    let (source, text) = match body {
        Body::Logged { source, text } => (source, text),
        Body::Called(called) => match called.op {
            CallOp::Log { text } => ("script".to_string(), text),
            CallOp::Run { pipeline, key, .. } => {
                let name = if key.is_empty() { "" } else { " as " };
                let child = child_id(workflow, called.call);
                let text = format!("{} runs {pipeline}{name}{key}: {child}", called.call);
                (coordinator, text)
            }
            _ => return None,
        },
        Body::Submitted(submitted) => {
            let pipeline = submitted.pipeline;
            let text = match submitted.forked_from {
                None => format!("submitted to {pipeline}"),
                Some(from) => format!("{pipeline} forked from {} at {}", from.workflow, from.step),
            };
            (coordinator, text)
        }
        Body::Assigned(assigned) => {
            let text = format!(
                "{} attempt {} goes to {}",
                assigned.call, assigned.attempt, assigned.machine
            );
            (coordinator, text)
        }
        Body::Requeued {
            call,
            attempt,
            reason,
            fault: _,
        } => (
            coordinator,
            format!("{call} attempt {attempt} is over: {reason}; queued again"),
        ),
        Body::Ended(ended) => {
            let failure = ended.failure?;
            let text = format!(
                "{} ended as {}: {}",
                ended.call, failure.class, failure.message
            );
            (coordinator, text)
        }
        Body::ChildEnded { call, finish } => {
            let how = match finish {
                Finish::Output(_) => "succeeded".to_string(),
                Finish::Cancelled => "was cancelled".to_string(),
                Finish::Failed(failure) => format!("failed: {failure}"),
            };
            (coordinator, format!("child {call} {how}"))
        }
        Body::CancelRequested => (coordinator, "cancel was asked for".to_string()),
        Body::Finished(Finish::Output(_)) => (coordinator, "succeeded".to_string()),
        Body::Finished(Finish::Cancelled) => (coordinator, "cancelled".to_string()),
        Body::Finished(Finish::Failed(failure)) => (coordinator, format!("failed: {failure}")),
        Body::Paused => (coordinator, "paused".to_string()),
        Body::Resumed => (coordinator, "goes on".to_string()),
        Body::Migrated { revision } => (coordinator, format!("keeps revision {revision} now")),
        Body::Started { .. } | Body::Item(_) | Body::Slept { .. } | Body::Tallied(_) => {
            return None;
        }
    };
    let text = limits::one_line(&text);
    Some(LogLine {
        seq,
        time_ms,
        source,
        text,
    })
}
