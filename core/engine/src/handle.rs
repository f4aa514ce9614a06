//! The way into the engine, for any thread and any task.
//!
//! Here is what every request shares: places, patience, and threads that may block. What is asked for
//! stands in the modules below, and for revisions in `serve`.

mod books;
mod commands;
mod lines;
mod machines;
mod questions;

pub use books::{Statement, Viewer};

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use froben_journal::Store;
use froben_model::view::Failure;
use tokio::sync::{Semaphore, oneshot};

use crate::contained::contained;
use crate::driver::{Message, SharedRoutes, lock};
use crate::effect::Answer;
use crate::figures::{Counter, Figures};
use crate::input::{Input, Ticket};
use crate::offline::Answered;
use crate::revisions::Revisions;

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

/// A request that was not answered. It may be tried again, unless it is [`Busy::Broken`].
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
    /// Ours to repair; the log has the cause. What broke it would break it again.
    #[error("{doing} has met a fault of the coordinator's own; its log says more")]
    Broken { doing: &'static str },
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
    counter: Arc<Mutex<Counter>>,
}

impl EngineHandle {
    pub(crate) fn new(
        engine: Sender<Message>,
        routes: SharedRoutes,
        store: Arc<dyn Store>,
        revisions: Arc<Revisions>,
        counter: Arc<Mutex<Counter>>,
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
            counter,
        }
    }

    /// What the coordinator has done since it started; all of it is on disk.
    pub fn figures(&self) -> Figures {
        let counter = self.counter.lock();
        counter.unwrap_or_else(PoisonError::into_inner).figures()
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
        match aside("reading the journal", move || read(store.as_ref())).await? {
            Ok(value) => Ok(value),
            Err(error) => Err(Busy::Journal(error.to_string())),
        }
    }
}

/// Does what takes long or may block on a thread of its own.
pub(crate) async fn aside<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Busy> {
    let ended = tokio::task::spawn_blocking(move || contained(doing, work)).await;
    match ended {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Busy::Broken { doing }),
        // It was never begun: the threads are going.
        Err(_) => Err(Busy::Stopping),
    }
}

pub(crate) fn unexpected<T>(answer: &Answer) -> Result<T, Busy> {
    unreachable!("invariant: every request has its kind of answer, not {answer:?}")
}
