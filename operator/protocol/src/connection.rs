//! The worker's end of the connection: who waits for which answer, and for which task.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use froben_model::ErrorClass;

use crate::frame::{self, TO_DAEMON_BYTES};
use crate::message::{Failure, FromWorker};
use crate::{Error, REQUESTS_IN_FLIGHT, codec};

/// What a request got: the bytes of a chunk, none for `done`.
pub(crate) type Answer = Result<Vec<u8>, Failure>;

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Pending(Receiver<Answer>);

impl Pending {
    /// Waits for the answer.
    pub(crate) fn wait(self) -> Answer {
        // The other end is dropped unanswered when the task is cancelled or the daemon is gone.
        self.0.recv().unwrap_or_else(|_| Err(cancelled()))
    }
}

pub(crate) fn cancelled() -> Failure {
    Failure::new(ErrorClass::Cancelled, "the task was cancelled")
}

pub(crate) struct Connection {
    writing: Mutex<UnixStream>,
    exchange: Mutex<Exchange>,
    /// Notified when an answer comes and when the task ends.
    answered: Condvar,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Exchange {
    /// The task that may ask for something.
    task: Option<u64>,
    cancelled: bool,
    waiting: HashMap<u64, SyncSender<Answer>>,
}

impl Connection {
    pub(crate) fn new(writing: UnixStream) -> Self {
        Connection {
            writing: Mutex::new(writing),
            exchange: Mutex::default(),
            answered: Condvar::new(),
            next_id: AtomicU64::new(1),
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        // No code panics while it holds the lock, and a worker's panic ends the process anyway.
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that names one request or upload of this process.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn send(&self, message: &FromWorker) -> Result<(), Error> {
        let body = codec::encode_from_worker(message);
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&mut *writing, &body, TO_DAEMON_BYTES)
    }

    /// Sends on behalf of a task.
    pub(crate) fn report(&self, message: &FromWorker) -> Result<(), Failure> {
        self.send(message)
            .map_err(|error| Failure::new(ErrorClass::WorkerFailed, error.to_string()))
    }

    /// Sends a request of `task` as soon as few enough are unanswered.
    pub(crate) fn request(
        &self,
        task: u64,
        message: impl FnOnce(u64) -> FromWorker,
    ) -> Result<Pending, Failure> {
        let req = self.fresh_id();
        let (answer, pending) = sync_channel(1);
        let mut exchange = self.exchange();
        loop {
            if exchange.cancelled || exchange.task != Some(task) {
                return Err(cancelled());
            }
            if exchange.waiting.len() < REQUESTS_IN_FLIGHT {
                break;
            }
            exchange = self
                .answered
                .wait(exchange)
                .unwrap_or_else(PoisonError::into_inner);
        }
        exchange.waiting.insert(req, answer);
        drop(exchange);
        self.report(&message(req))?;
        Ok(Pending(pending))
    }

    /// Hands an answer to whoever waits for it, if anybody still does.
    pub(crate) fn answer(&self, req: u64, answer: Answer) {
        if let Some(waiting) = self.exchange().waiting.remove(&req) {
            // It may have stopped waiting.
            let _ = waiting.send(answer);
            self.answered.notify_all();
        }
    }

    /// From now on `task` may ask, and no other.
    pub(crate) fn begin(&self, task: u64) {
        *self.exchange() = Exchange {
            task: Some(task),
            ..Exchange::default()
        };
    }

    /// The task is over: a thread that outlives it asks for nothing more.
    pub(crate) fn end(&self) {
        *self.exchange() = Exchange::default();
    }

    /// Tells `task`, or whichever runs, that nobody wants its result any more.
    pub(crate) fn cancel(&self, task: Option<u64>) {
        let mut exchange = self.exchange();
        if task.is_none() || exchange.task == task {
            exchange.cancelled = true;
            exchange.waiting.clear();
            self.answered.notify_all();
        }
    }

    pub(crate) fn is_cancelled(&self, task: u64) -> bool {
        let exchange = self.exchange();
        exchange.cancelled || exchange.task != Some(task)
    }
}
