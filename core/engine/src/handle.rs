//! The way into the engine, for any thread and any task.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use froben_journal::{Body, CallOp, Finish, Record, Seq, Store};
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
use crate::effect::{Answer, Found, MachineCommand, Receipt};
use crate::input::{Input, Submit, Ticket};
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
}

/// Cheap to clone; safe from any thread.
#[derive(Clone)]
pub struct EngineHandle {
    engine: Sender<Message>,
    routes: SharedRoutes,
    store: Arc<dyn Store>,
    permits: Arc<Semaphore>,
    lines: Arc<Semaphore>,
    /// Script sets that are checked at once.
    pub(crate) checks: Arc<Semaphore>,
}

impl EngineHandle {
    pub(crate) fn new(
        engine: Sender<Message>,
        routes: SharedRoutes,
        store: Arc<dyn Store>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(REQUESTS));
        let lines = Arc::new(Semaphore::new(LINES));
        let checks = Arc::new(Semaphore::new(CHECKS));
        EngineHandle {
            engine,
            routes,
            store,
            permits,
            lines,
            checks,
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
                        let records = store.read(workflow, 0, usize::MAX)?;
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
        Body::Submitted(submitted) => (coordinator, format!("submitted to {}", submitted.pipeline)),
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
        Body::Started { .. } | Body::Item(_) | Body::Slept { .. } => return None,
    };
    let text = limits::one_line(&text);
    Some(LogLine {
        seq,
        time_ms,
        source,
        text,
    })
}
