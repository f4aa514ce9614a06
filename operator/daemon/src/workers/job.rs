//! A task as the pool takes it, and the end that whoever gave it holds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use froben_model::{ErrorClass, ItemError, ItemOutcome, Kind, Usage, Value, limits};
use froben_protocol::{Failure, Level, Run, RunItem, RunKey};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blobs::BlobAccess;

/// Log lines of a task that may wait to be taken; further ones are dropped.
const LOG_LINES: usize = 64;

/// A task, as the coordinator assigned it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunTask {
    pub kind: Kind,
    pub input: Value,
    /// Each owed item: its index in the delegation, and its input.
    pub items: Vec<(u32, Value)>,
    /// The device that is claimed for it; none for a CPU task.
    pub device: Option<String>,
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub vram_bytes: u64,
    /// From now.
    pub timeout_ms: u64,
    /// Files of the keystore that it names.
    pub keys: Vec<RunKey>,
}

/// What happens to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkerEvent {
    /// An item is done. Each owed item comes at most once.
    Item {
        index: u32,
        outcome: ItemOutcome,
        /// What it ran on.
        device: Option<String>,
        /// The most that its process was seen to occupy since the task began, and of its device's memory
        /// what the worker said.
        usage: Usage,
    },
    Log {
        level: Level,
        line: String,
    },
    /// The last event, always: the process has stopped working on the task. Without a failure every
    /// item has come; with one, those that have not end with it.
    Finished {
        failure: Option<ItemError>,
        /// The most memory that its process was seen to occupy meanwhile; 0 if it was never looked at.
        peak_ram_bytes: u64,
    },
}

/// A task that the pool has taken. Dropping it cancels the task.
#[derive(Debug)]
pub struct Running {
    events: mpsc::Receiver<WorkerEvent>,
    cancel: CancellationToken,
}

impl Running {
    /// The next event; none after [`WorkerEvent::Finished`].
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WorkerEvent> {
        self.events.recv().await
    }

    /// Stops the task when it is cancelled; the events end as always, with class `cancelled`.
    pub fn canceller(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// How busy a slot is.
#[derive(Debug, Default)]
pub(super) struct Load(Mutex<Busy>);

#[derive(Debug, Default)]
struct Busy {
    /// Jobs that were taken and have not ended.
    jobs: usize,
    /// The last of them.
    last: Option<Hold>,
}

/// What others may know of a job, and how they end it.
#[derive(Debug, Clone)]
struct Hold {
    cancel: CancellationToken,
    /// All its items have come, so that nothing more is expected of it.
    done: Arc<AtomicBool>,
}

impl Load {
    fn busy(&self) -> MutexGuard<'_, Busy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy().jobs == 0
    }

    /// Whether the slot will be free within the time that stopping takes, and nobody waits for it. Who has
    /// sent all items counts too: the coordinator may know that sooner than the worker has said its last
    /// word, and that is no reason to refuse the next task.
    pub(super) fn is_ending(&self) -> bool {
        let busy = self.busy();
        let ends = |last: &Hold| last.cancel.is_cancelled() || last.done.load(Ordering::SeqCst);
        busy.jobs == 1 && busy.last.as_ref().is_some_and(ends)
    }
}

/// One job's share of a slot's load.
#[derive(Debug)]
struct Claim(Arc<Load>);

impl Claim {
    fn new(load: Arc<Load>, hold: Hold) -> Self {
        let mut busy = load.busy();
        busy.jobs += 1;
        let before = busy.last.replace(hold);
        drop(busy);
        // It is over, or has nothing more to say: the slot is not for it to linger in.
        if let Some(before) = before {
            before.cancel.cancel();
        }
        Claim(load)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.busy().jobs -= 1;
    }
}

/// The pool's end of a task.
pub(super) struct Job {
    task: RunTask,
    pub(super) blobs: Arc<dyn BlobAccess>,
    deadline: Instant,
    cancel: CancellationToken,
    /// Indices of the items that have not come.
    owed: BTreeSet<u32>,
    /// Set once none is owed any more.
    done: Arc<AtomicBool>,
    /// Holds all items, the end and some log lines, so that a slow taker never stops the reading of
    /// heartbeats.
    events: mpsc::Sender<WorkerEvent>,
    claim: Claim,
}

impl Job {
    /// `cancel` is a token of this job alone.
    pub(super) fn new(
        task: RunTask,
        blobs: Arc<dyn BlobAccess>,
        cancel: CancellationToken,
        load: Arc<Load>,
    ) -> (Job, Running) {
        let (events, taken) = mpsc::channel(task.items.len() + 1 + LOG_LINES);
        let hold = Hold {
            cancel: cancel.clone(),
            done: Arc::default(),
        };
        let job = Job {
            blobs,
            deadline: Instant::now()
                + Duration::from_millis(task.timeout_ms.min(limits::TIMEOUT_MS)),
            done: hold.done.clone(),
            claim: Claim::new(load, hold),
            cancel: cancel.clone(),
            owed: task.items.iter().map(|(index, _)| *index).collect(),
            task,
            events,
        };
        let running = Running {
            events: taken,
            cancel,
        };
        (job, running)
    }

    /// The message that starts it.
    pub(super) fn run(&self, number: u64) -> Run {
        let RunTask {
            kind,
            input,
            items,
            device,
            cpu_cores,
            ram_bytes,
            vram_bytes,
            timeout_ms: _,
            keys,
        } = self.task.clone();
        let left = self.deadline.saturating_duration_since(Instant::now());
        Run {
            task: number,
            kind,
            input,
            items: items
                .into_iter()
                .map(|(index, input)| RunItem { index, input })
                .collect(),
            device,
            cpu_cores,
            ram_bytes,
            vram_bytes,
            timeout_ms: left.as_millis() as u64,
            keys,
        }
    }

    /// Passes an item on; false if it is not owed.
    pub(super) fn item(
        &mut self,
        index: u32,
        outcome: Result<Value, Failure>,
        device: Option<String>,
        usage: Usage,
    ) -> bool {
        if !self.owed.remove(&index) {
            return false;
        }
        // Before the event: whoever takes it may give the slot its next task at once.
        self.done.store(self.owed.is_empty(), Ordering::SeqCst);
        self.emit(WorkerEvent::Item {
            index,
            outcome: outcome.map_err(|failure| item_error(workers_own(failure))),
            device,
            usage,
        });
        true
    }

    /// Passes a log line on, unless too many wait.
    pub(super) fn log(&self, level: Level, line: String) {
        if self.events.capacity() > self.owed.len() + 1 {
            self.emit(WorkerEvent::Log { level, line });
        }
    }

    /// Waits until nobody wants it any more, and says why.
    pub(super) async fn given_up(&self) -> Failure {
        tokio::select! {
            () = self.cancel.cancelled() => {
                Failure::new(ErrorClass::Cancelled, "the task was cancelled")
            }
            () = tokio::time::sleep_until(self.deadline) => {
                let message = format!("no end within {} ms", self.task.timeout_ms);
                Failure::new(ErrorClass::Timeout, message)
            }
        }
    }

    /// Says that nobody wants it any more, whatever the reason: another job may come to wait for the
    /// slot.
    pub(super) fn give_up(&self) {
        self.cancel.cancel();
    }

    /// What the task claims of the machine's memory.
    pub(super) fn ram_bytes(&self) -> u64 {
        self.task.ram_bytes
    }

    /// The end of a job that no worker had.
    pub(super) fn drop_with(self, failure: Failure) {
        self.finish(Some(failure), 0);
    }

    /// The end. Items that are still owed need a failure; if there is none, that is one.
    pub(super) fn finish(self, failure: Option<Failure>, peak_ram_bytes: u64) {
        let failure = failure.or_else(|| {
            let first = self.owed.first()?;
            let message = format!(
                "the worker finished without {} of its items, such as item {first}",
                self.owed.len()
            );
            Some(Failure::new(ErrorClass::WorkerFailed, message))
        });
        let Job { events, claim, .. } = self;
        // Before the event: whoever takes it may give the slot its next task at once.
        drop(claim);
        let failure = failure.map(item_error);
        let _ = events.try_send(WorkerEvent::Finished {
            failure,
            peak_ram_bytes,
        });
    }

    fn emit(&self, event: WorkerEvent) {
        // There is room by construction; a taker that has gone has cancelled the job.
        let _ = self.events.try_send(event);
    }
}

/// A failure in a worker's words, with a class that is a worker's to give: why a task ended for
/// others, such as its time being up, only they can say.
pub(super) fn workers_own(failure: Failure) -> Failure {
    let Failure { class, message } = failure;
    let class = match class {
        ErrorClass::WorkerFailed
        | ErrorClass::OutOfMemory
        | ErrorClass::InvalidResult
        | ErrorClass::BadRequest => class,
        ErrorClass::Timeout
        | ErrorClass::Disconnected
        | ErrorClass::NoCapacity
        | ErrorClass::Cancelled => ErrorClass::WorkerFailed,
    };
    Failure { class, message }
}

fn item_error(failure: Failure) -> ItemError {
    let Failure { class, message } = failure;
    ItemError {
        class,
        message,
        operator: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_says_only_what_is_its_own_to_say() {
        use ErrorClass::*;
        for (said, heard) in [
            (WorkerFailed, WorkerFailed),
            (OutOfMemory, OutOfMemory),
            (InvalidResult, InvalidResult),
            (BadRequest, BadRequest),
            (Timeout, WorkerFailed),
            (Disconnected, WorkerFailed),
            (NoCapacity, WorkerFailed),
            (Cancelled, WorkerFailed),
        ] {
            let failure = workers_own(Failure::new(said, "why"));
            assert_eq!(failure, Failure::new(heard, "why"));
        }
    }
}
