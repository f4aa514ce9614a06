//! A place for one worker process: kept filled, and given one task at a time.

use std::sync::Arc;

use froben_model::ErrorClass;
use froben_protocol::{Failure, FromWorker, Hello, Role};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::error::Error;
use super::fences::Fences;
use super::job::{Job, Load};
use super::probe::ProbeReport;
use super::process::{Live, launch};
use super::runtime_dir::RuntimeDir;
use super::session::{After, drive};
use super::spec::{Timing, WorkerSpec};

/// What a slot's process is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Cpu,
    /// The device with this id.
    Device(String),
}

impl Place {
    fn flags(&self) -> Vec<&str> {
        match self {
            Place::Cpu => vec!["--role", Role::Cpu.name()],
            Place::Device(id) => vec!["--role", Role::Device.name(), "--device", id],
        }
    }

    /// Holds a hello against what the probe promised.
    fn check(&self, hello: &Hello, promised: &ProbeReport) -> Result<(), String> {
        let (role, kinds) = match self {
            Place::Cpu => (Role::Cpu, &promised.cpu_kinds),
            Place::Device(_) => (Role::Device, &promised.device_kinds),
        };
        if hello.role != role {
            return Err(format!("its role is {}, not {role}", hello.role));
        }
        if let Some(kind) = kinds.iter().find(|kind| !hello.kinds.contains(kind)) {
            return Err(format!("it takes no `{kind}` any more"));
        }
        match self {
            Place::Device(id) if !hello.devices.iter().any(|device| device.id == *id) => {
                Err(format!("it holds no device {id}"))
            }
            _ => Ok(()),
        }
    }
}

/// The pool's hold on a slot. Dropping it ends the slot's keeper, after what it has in hand.
pub(super) struct SlotHandle {
    pub(super) load: Arc<Load>,
    pub(super) jobs: mpsc::Sender<Job>,
}

impl SlotHandle {
    /// Whether a job can be given now: at once, or to wait for the end of one that is being stopped or has
    /// sent all its items.
    pub(super) fn is_free_soon(&self) -> bool {
        self.load.is_idle() || self.load.is_ending()
    }
}

pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) spec: Arc<WorkerSpec>,
    pub(super) promised: Arc<ProbeReport>,
    pub(super) runtime: Arc<RuntimeDir>,
    pub(super) timing: Timing,
    pub(super) fences: Fences,
}

/// How bringing a process up went.
enum Raised {
    Up(Box<Live>),
    Failed(Error),
    /// The pool has gone.
    Closed,
}

/// How a process came to its end.
enum Fallen {
    /// With an empty record.
    Stopped,
    Failed,
    Closed,
}

impl Slot {
    /// A slot to be run by [`Self::keep`], and the pool's hold on it.
    ///
    /// One job may wait while another is being stopped; the load says when.
    pub(super) fn handle() -> (SlotHandle, mpsc::Receiver<Job>) {
        let (jobs, taken) = mpsc::channel(1);
        let load = Arc::default();
        (SlotHandle { load, jobs }, taken)
    }

    /// Keeps the slot filled until the pool lets go of it.
    pub(super) async fn keep(self, mut jobs: mpsc::Receiver<Job>) {
        let mut failures = 0;
        let mut waiting = None;
        let mut number = 0;
        loop {
            match self.raise(failures, &mut jobs, &mut waiting).await {
                Raised::Up(live) => {
                    let fallen = self
                        .attend(*live, &mut jobs, &mut waiting, &mut number, &mut failures)
                        .await;
                    match fallen {
                        Fallen::Stopped => {}
                        Fallen::Failed => failures = failures.saturating_add(1),
                        Fallen::Closed => return,
                    }
                }
                Raised::Failed(error) if self.fence(&error) => {
                    let failure = Failure::new(ErrorClass::WorkerFailed, error.to_string());
                    if let Some(job) = waiting.take() {
                        job.drop_with(failure.clone());
                    }
                    // What the pool had given before it knew.
                    while let Some(job) = jobs.recv().await {
                        job.drop_with(failure.clone());
                    }
                    return;
                }
                Raised::Failed(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(place = ?self.place, failures, %error, "cannot start a worker");
                    if let Some(job) = waiting.take() {
                        let failure = Failure::new(ErrorClass::WorkerFailed, error.to_string());
                        job.drop_with(failure);
                    }
                }
                Raised::Closed => return,
            }
        }
    }

    /// Fences the slot's device if that is what the error means.
    fn fence(&self, error: &Error) -> bool {
        match (&self.place, error) {
            (Place::Device(id), Error::Died { death, .. }) if death.is_unfit() => {
                self.fences.fence(id, death.to_string());
                true
            }
            _ => false,
        }
    }

    /// Starts a process, after a pause if the last ones failed. A job that comes meanwhile waits,
    /// as long as it is wanted.
    async fn raise(
        &self,
        failures: u32,
        jobs: &mut mpsc::Receiver<Job>,
        waiting: &mut Option<Job>,
    ) -> Raised {
        let flags = self.place.flags();
        let launching = async {
            sleep(self.timing.backoff(failures)).await;
            launch(&self.spec, &flags, &self.runtime, &self.timing).await
        };
        tokio::pin!(launching);
        loop {
            let given_up = async {
                match waiting.as_ref() {
                    Some(job) => job.given_up().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                launched = &mut launching => return self.examine(launched).await,
                failure = given_up => {
                    if let Some(job) = waiting.take() {
                        job.drop_with(failure);
                    }
                }
                job = jobs.recv(), if waiting.is_none() => match job {
                    Some(job) => *waiting = Some(job),
                    None => return Raised::Closed,
                },
            }
        }
    }

    async fn examine(&self, launched: Result<Live, Error>) -> Raised {
        let mut live = match launched {
            Ok(live) => live,
            Err(error) => return Raised::Failed(error),
        };
        match self.place.check(&live.hello, &self.promised) {
            Ok(()) => {
                tracing::info!(worker = live.label(), place = ?self.place, "a worker is up");
                Raised::Up(Box::new(live))
            }
            Err(what) => {
                live.process.kill().await;
                let program = self.spec.program.clone();
                Raised::Failed(Error::Changed { program, what })
            }
        }
    }

    /// Gives the process one job after the other, until it or the pool is gone.
    async fn attend(
        &self,
        mut live: Live,
        jobs: &mut mpsc::Receiver<Job>,
        waiting: &mut Option<Job>,
        number: &mut u64,
        failures: &mut u32,
    ) -> Fallen {
        loop {
            let job = match waiting.take() {
                Some(job) => job,
                None => tokio::select! {
                    // A job is not to be lost to a process that is known to be dead.
                    biased;
                    why = idle(&mut live, &self.timing) => {
                        let death = live.process.kill().await;
                        tracing::warn!(worker = live.label(), why, "an idle worker {death}");
                        return Fallen::Failed;
                    }
                    job = jobs.recv() => match job {
                        Some(job) => job,
                        None => {
                            live.shut_down(&self.timing).await;
                            return Fallen::Closed;
                        }
                    },
                },
            };
            if let Some(failure) = job.given_up().now_or_never() {
                job.drop_with(failure);
                continue;
            }
            *number += 1;
            let slack_bytes = self.spec.memory_slack_bytes;
            match drive(&mut live, job, *number, &self.timing, slack_bytes).await {
                After::Ready => *failures = 0,
                After::Stopped => return Fallen::Stopped,
                After::Left | After::Failed => return Fallen::Failed,
            }
        }
    }
}

/// Listens to a worker without a task until there is a reason to part with it.
async fn idle(live: &mut Live, timing: &Timing) -> String {
    loop {
        let silence = sleep_until(Instant::now() + timing.silence);
        tokio::select! {
            message = live.link.recv() => match message {
                Ok(Some(FromWorker::Alive)) => {}
                Ok(Some(FromWorker::Log { line, .. })) => {
                    tracing::debug!(target: "worker", worker = live.label(), "{line}");
                }
                Ok(Some(other)) => return format!("it sent `{}` without a task", other.name()),
                Ok(None) => return "it closed the connection".to_owned(),
                Err(error) => return error.to_string(),
            },
            () = silence => return "it said nothing for too long".to_owned(),
        }
    }
}
