//! One task on one process, from its start to the end of whatever comes of it.

use froben_model::{ErrorClass, Usage};
use froben_protocol::{Error as ProtocolError, Failure, FromWorker, ToWorker};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep_until};

use super::job::{Job, workers_own};
use super::memory::{self, Excess, Watch, mebibytes};
use super::process::Live;
use super::spec::Timing;
use super::traffic::{Request, Traffic, Violation};

/// What is left of the process when a task is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It said that it is done, and takes the next task.
    Ready,
    /// It said that it is done, and has exited.
    Left,
    /// It had to be stopped for somebody else's sake.
    Stopped,
    /// It died or had to be killed for what it did.
    Failed,
}

/// A task that nobody wants any more, and how far its stopping has got.
struct Stopping {
    failure: Failure,
    since: Instant,
    terminated: bool,
}

/// Why the conversation is over.
enum End {
    /// The worker says so.
    Finished {
        failure: Option<Failure>,
        leaving: bool,
    },
    /// It closed the connection or broke the wire.
    Lost(Option<ProtocolError>),
    Violation(Violation),
    /// It said nothing for too long.
    Silent,
    /// It did not stop when it was told to.
    Obstinate,
    /// It took more memory than its task claims.
    Greedy(Excess),
}

/// Runs `job` on `live` as task `number`; tells the job's taker everything, the end included.
///
/// `slack_bytes`: memory that the worker may have beyond what the task claims.
pub(super) async fn drive(
    live: &mut Live,
    job: Job,
    number: u64,
    timing: &Timing,
    slack_bytes: u64,
) -> After {
    match live.link.send(&ToWorker::Run(job.run(number))) {
        Ok(()) => {}
        Err(error @ ProtocolError::FrameTooLarge { .. }) => {
            let message = format!("the task does not fit a worker's frame: {error}");
            job.drop_with(Failure::new(ErrorClass::BadRequest, message));
            return After::Ready;
        }
        Err(error) => {
            let failure = lost(live, Some(error)).await;
            tracing::warn!(worker = live.label(), %failure, "a task found no worker");
            job.drop_with(failure);
            return After::Failed;
        }
    }
    let mut conversation = Conversation {
        traffic: Traffic::new(job.blobs.clone()),
        heard: Instant::now(),
        stopping: None,
        memory: Watch::new(live.process.group(), job.ram_bytes(), slack_bytes),
        looked: Instant::now(),
        job,
        number,
        timing,
    };
    let end = conversation.talk(live).await;
    conversation.conclude(live, end).await
}

struct Conversation<'a> {
    job: Job,
    number: u64,
    traffic: Traffic,
    /// When the last message came.
    heard: Instant,
    stopping: Option<Stopping>,
    memory: Watch,
    /// When the memory was looked at.
    looked: Instant,
    timing: &'a Timing,
}

impl Conversation<'_> {
    async fn talk(&mut self, live: &mut Live) -> End {
        loop {
            let step = self.next_stopping_step();
            tokio::select! {
                message = live.link.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Ok(Some(message)) => match self.take(message) {
                            Ok(None) => {}
                            Ok(Some(end)) => return end,
                            Err(violation) => return End::Violation(violation),
                        },
                        Ok(None) => return End::Lost(None),
                        Err(error) => return End::Lost(Some(error)),
                    }
                }
                answer = self.traffic.next_answer() => {
                    if let Err(error) = live.link.send(&answer) {
                        return End::Lost(Some(error));
                    }
                }
                failure = self.job.given_up(), if self.stopping.is_none() => {
                    if let Err(error) = live.link.send(&ToWorker::Cancel { task: self.number }) {
                        return End::Lost(Some(error));
                    }
                    self.job.give_up();
                    self.stopping = Some(Stopping {
                        failure,
                        since: Instant::now(),
                        terminated: false,
                    });
                }
                () = sleep_until(step.unwrap_or_else(Instant::now)), if step.is_some() => {
                    match &mut self.stopping {
                        Some(stopping) if !stopping.terminated => {
                            stopping.terminated = true;
                            live.process.signal(Signal::SIGTERM);
                        }
                        _ => return End::Obstinate,
                    }
                }
                () = sleep_until(self.looked + memory::LOOK) => {
                    self.looked = Instant::now();
                    if let Some(excess) = self.memory.look() {
                        return End::Greedy(excess);
                    }
                }
                () = sleep_until(self.heard + self.timing.silence) => return End::Silent,
            }
        }
    }

    /// When the next step is due to stop a worker that was told to.
    fn next_stopping_step(&self) -> Option<Instant> {
        let stopping = self.stopping.as_ref()?;
        let patience = match stopping.terminated {
            false => self.timing.term,
            true => self.timing.kill,
        };
        Some(stopping.since + patience)
    }

    fn take(&mut self, message: FromWorker) -> Result<Option<End>, Violation> {
        let (req, request) = match message {
            FromWorker::Alive => return Ok(None),
            FromWorker::Log { task, level, line } => {
                if task.is_none_or(|task| task == self.number) {
                    self.job.log(level, line);
                }
                return Ok(None);
            }
            FromWorker::Item {
                task,
                index,
                outcome,
                device,
                vram_bytes,
            } => {
                self.check_task(task)?;
                if self.memory.peak_bytes() == 0 {
                    // Done before the first look was due.
                    self.memory.look();
                }
                let usage = Usage {
                    ram_bytes: self.memory.peak_bytes(),
                    vram_bytes: vram_bytes.unwrap_or(0),
                };
                return match self.job.item(index, outcome, device, usage) {
                    true => Ok(None),
                    false => Err(format!("sent item {index}, which it does not owe")),
                };
            }
            FromWorker::Finished {
                task,
                failure,
                leaving,
            } => {
                self.check_task(task)?;
                let failure = failure.map(workers_own);
                return Ok(Some(End::Finished { failure, leaving }));
            }
            FromWorker::Discard { upload } => {
                self.traffic.discard(upload);
                return Ok(None);
            }
            FromWorker::Hello(_) => return Err("said hello twice".to_owned()),
            FromWorker::Read {
                req,
                blob,
                offset,
                len,
            } => (req, Request::Read { blob, offset, len }),
            FromWorker::Open {
                req,
                upload,
                max_bytes,
            } => (req, Request::Open { upload, max_bytes }),
            FromWorker::Write { req, upload, bytes } => (req, Request::Write { upload, bytes }),
            FromWorker::Publish { req, upload, blob } => (req, Request::Publish { upload, blob }),
        };
        if self.stopping.is_none() {
            self.traffic.take(req, request)?;
        }
        Ok(None)
    }

    fn check_task(&self, task: u64) -> Result<(), Violation> {
        match task == self.number {
            true => Ok(()),
            false => Err(format!("spoke of task {task} during task {}", self.number)),
        }
    }

    /// Settles process and job, in this order: the job's end says that nothing runs any more.
    async fn conclude(self, live: &mut Live, end: End) -> After {
        let Conversation {
            job,
            stopping,
            timing,
            traffic,
            mut memory,
            number: _,
            heard: _,
            looked: _,
        } = self;
        drop(traffic);
        // Before it gives anything back, and for tasks that are shorter than the time between two looks.
        memory.look();
        let peak_bytes = memory.peak_bytes();
        let wanted = stopping.is_none();
        let (failure, after) = match end {
            End::Finished {
                failure,
                leaving: false,
            } => (failure, After::Ready),
            End::Finished {
                failure,
                leaving: true,
            } => {
                let death = live.process.kill().await;
                tracing::info!(
                    worker = live.label(),
                    "a worker asked to be replaced and {death}"
                );
                (failure, After::Left)
            }
            End::Lost(error) => {
                let mut failure = lost(live, error).await;
                if failure.class == ErrorClass::OutOfMemory {
                    let seen = mebibytes(peak_bytes);
                    failure.message += &format!("; it was last seen with up to {seen} MiB");
                }
                (Some(failure), After::Failed)
            }
            End::Greedy(excess) => {
                live.process.kill().await;
                let message = format!("the worker {excess}; it was killed");
                let failure = Failure::new(ErrorClass::OutOfMemory, message);
                (Some(failure), After::Failed)
            }
            End::Violation(what) => {
                live.process.kill().await;
                let message = format!("the worker broke the protocol: it {what}");
                let failure = Failure::new(ErrorClass::WorkerFailed, message);
                (Some(failure), After::Failed)
            }
            End::Silent => {
                live.process.kill().await;
                let message = format!(
                    "the worker said nothing for {} ms and was killed",
                    timing.silence.as_millis()
                );
                let failure = Failure::new(ErrorClass::WorkerFailed, message);
                (Some(failure), After::Failed)
            }
            End::Obstinate => {
                live.process.kill().await;
                (None, After::Failed)
            }
        };
        if let Some(failure) = failure.as_ref().filter(|_| after == After::Failed) {
            tracing::warn!(worker = live.label(), %failure, "a task cost its worker");
        }
        // Once nobody wants it, that is why it ended, whatever the worker says.
        let failure = stopping.map(|stopping| stopping.failure).or(failure);
        job.finish(failure, peak_bytes);
        match after {
            After::Failed | After::Left if !wanted => After::Stopped,
            after => after,
        }
    }
}

/// Ends a process whose connection is over, and says why it is: what the worker did to the
/// connection, or else how the process ended.
async fn lost(live: &mut Live, error: Option<ProtocolError>) -> Failure {
    let death = live.process.kill().await;
    match error {
        None | Some(ProtocolError::Closed | ProtocolError::Truncated | ProtocolError::Io(_)) => {
            death.failure()
        }
        Some(error @ ProtocolError::NotReading { .. }) => Failure::new(
            ErrorClass::WorkerFailed,
            format!("the worker was killed: {error}"),
        ),
        Some(error) => Failure::new(
            ErrorClass::WorkerFailed,
            format!("the worker broke the protocol and was killed: {error}"),
        ),
    }
}
