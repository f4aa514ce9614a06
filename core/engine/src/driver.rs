//! The threads around the engine.
//!
//! ```text
//!   requests, reports ──► engine ──steps──► committer ──► disk
//!                           ▲                  │ effects, once their records are durable
//!                           └── script host ◄──┴──► answers, machines
//! ```
//!
//! The engine decides without waiting; the committer writes all steps that are queued as one batch, so
//! that many share one fsync; effects follow in the order of the decisions. Channels
//! between our own threads have no capacity of their own, since a full one could block a circle; what is
//! in them is bounded at the entrance: a request holds one of so many places until it is answered, a
//! machine has at most so many commands and answers under way, and workflows are only so many.
//!
//! If the journal can't be written, the process must not go on: what is in memory is ahead of the disk.
//! The driver stops, nothing that was not durable is answered, and a restart continues from the disk.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use froben_journal::{Body, RevisionHash, Store};
use froben_model::revision::ScriptProblem;
use froben_model::{TimeMs, WorkflowId};
use froben_scheduler::{Policy, SessionId};
use froben_script::{Limits, Revision};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::effect::{Answer, Effect, MachineCommand, ScriptCommand};
use crate::engine::{Engine, Step};
use crate::handle::EngineHandle;
use crate::input::{Input, Ticket};
use crate::{scripts, serve};

/// Records that one commit holds at most; more wait for the next.
const COMMIT_RECORDS: usize = 4096;
/// How long the engine sleeps at most when nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// How a coordinator is started.
pub struct Config {
    pub policy: Policy,
    /// Of the scheduler's ties.
    pub seed: u64,
    /// The coordinator's own; see [`serve::at_start`] for when they are served.
    pub scripts: froben_journal::ScriptSet,
}

/// Why the engine did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] froben_journal::Error),
    #[error("{}", problems(.0))]
    Scripts(Vec<ScriptProblem>),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

fn problems(problems: &[impl ToString]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
    format!("the scripts do not check: {}", lines.join("; "))
}

/// What threads send to the engine.
pub(crate) enum Message {
    Input(Input),
    /// One that holds a place in the queue as long as it is there.
    Placed(Input, OwnedSemaphorePermit),
    Stop,
}

/// Where answers and commands go.
#[derive(Default)]
pub(crate) struct Routes {
    /// Who waits, and the place in the engine's queue that the request holds until it is answered.
    pub(crate) tickets: BTreeMap<Ticket, (oneshot::Sender<Answer>, OwnedSemaphorePermit)>,
    pub(crate) machines: BTreeMap<SessionId, mpsc::Sender<MachineCommand>>,
    next: u64,
}

impl Routes {
    /// A number that no ticket or session has had.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

pub(crate) type SharedRoutes = Arc<Mutex<Routes>>;

pub(crate) fn lock(routes: &SharedRoutes) -> std::sync::MutexGuard<'_, Routes> {
    // A panic elsewhere does not make the map wrong: every change to it is one insert or remove.
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running engine. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    pub handle: EngineHandle,
    sender: Sender<Message>,
    threads: Vec<JoinHandle<()>>,
    failed: watch::Receiver<Option<String>>,
}

impl Running {
    /// Recovers every workflow of `store` and starts.
    pub fn start(store: Arc<dyn Store>, config: Config) -> Result<Running, Error> {
        let Config {
            policy,
            seed,
            scripts: set,
        } = config;
        let clock = Clock::new();
        let serving = serve::at_start(store.as_ref(), set, clock.now())?;
        let epoch = store.next_epoch()?;
        let mut engine = Engine::new(epoch, seed, policy, serving);
        let recovered = recover(&mut engine, store.as_ref(), clock.now())?;

        let routes = SharedRoutes::default();
        let (sender, inputs) = channel();
        let (steps_in, steps) = channel();
        let (scripts_in, script_commands) = channel();
        let (failed_in, failed) = watch::channel(None);
        for step in recovered {
            // The receiver is in our hands: this cannot fail.
            let _ = steps_in.send(step);
        }
        let to_engine = sender.clone();
        let committer = Committer {
            store: store.clone(),
            routes: routes.clone(),
            scripts: scripts_in,
            inputs: sender.clone(),
            failed: failed_in,
        };
        let threads = vec![
            spawn("engine", move || {
                run_engine(engine, clock, &inputs, &steps_in)
            })?,
            spawn("committer", move || committer.run(&steps))?,
            spawn("scripts", move || {
                scripts::run(&script_commands, &to_engine)
            })?,
        ];
        let handle = EngineHandle::new(sender.clone(), routes, store);
        Ok(Running {
            handle,
            sender,
            threads,
            failed,
        })
    }

    /// Waits until the engine has failed, and says why.
    pub async fn failure(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the committer is gone".to_string(),
        }
    }

    /// Stops the threads; what was acknowledged is on disk.
    pub fn stop(self) {
        let _ = self.sender.send(Message::Stop);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let builder = thread::Builder::new().name(name.to_string());
    builder.spawn(body).map_err(Error::Thread)
}

/// Milliseconds of the epoch that never run backwards, whatever is done to the machine's clock.
struct Clock {
    start_ms: TimeMs,
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            start_ms: since.as_millis() as TimeMs,
            start: Instant::now(),
        }
    }

    fn now(&self) -> TimeMs {
        self.start_ms + self.start.elapsed().as_millis() as TimeMs
    }
}

fn recover(engine: &mut Engine, store: &dyn Store, now: TimeMs) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let mut revisions = Revisions {
        store,
        checked: BTreeMap::new(),
    };
    let mut live = 0;
    for (id, over) in store.workflows()? {
        let records = match store.read(id, 0, usize::MAX) {
            Ok(records) => records,
            Err(damage @ froben_journal::Error::Damaged { .. }) => {
                set_aside(engine, store, id, &damage.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let revision = match records.first().map(|(_, record)| &record.body) {
            Some(Body::Submitted(submitted)) if !over => revisions.get(submitted.revision)?,
            _ => Err("it is over".to_string()),
        };
        match engine.recover(now, id, &records, revision) {
            Ok(step) => steps.push(step),
            Err(misfit) => set_aside(engine, store, id, &misfit.to_string()),
        }
        live += usize::from(!over);
    }
    steps.push(engine.settle_children(now));
    if live > 0 {
        tracing::info!(workflows = live, "continuing from the journal");
    }
    Ok(steps)
}

/// One damaged workflow must not keep the others from going on: it is shown as failed, its journal stays
/// as it is.
fn set_aside(engine: &mut Engine, store: &dyn Store, id: WorkflowId, why: &str) {
    tracing::error!(workflow = %id, why, "a workflow is set aside");
    let first = store
        .read(id, 0, 1)
        .ok()
        .and_then(|records| records.into_iter().next());
    if let Some((_, record)) = first {
        engine.set_aside(id, &record, why);
    }
}

/// The revisions that live workflows keep, each checked once.
struct Revisions<'a> {
    store: &'a dyn Store,
    checked: BTreeMap<RevisionHash, Result<Arc<Revision>, String>>,
}

impl Revisions<'_> {
    fn get(&mut self, hash: RevisionHash) -> Result<Result<Arc<Revision>, String>, Error> {
        if let Some(known) = self.checked.get(&hash) {
            return Ok(known.clone());
        }
        let revision = match self.store.revision(hash)? {
            None => Err("the scripts of its revision are gone from the store".to_string()),
            Some(scripts) => Revision::check(&scripts.files, &Limits::default())
                .map(Arc::new)
                .map_err(|found| {
                    format!(
                        "this version does not take its scripts: {}",
                        problems(&found)
                    )
                }),
        };
        self.checked.insert(hash, revision.clone());
        Ok(revision)
    }
}

fn run_engine(mut engine: Engine, clock: Clock, inputs: &Receiver<Message>, steps: &Sender<Step>) {
    loop {
        let now = clock.now();
        let wait = engine.next_timer().map_or(IDLE, |due| {
            Duration::from_millis(due.saturating_sub(now)).min(IDLE)
        });
        let input = match inputs.recv_timeout(wait) {
            Ok(Message::Input(input)) => input,
            Ok(Message::Placed(input, place)) => {
                drop(place);
                input
            }
            Err(RecvTimeoutError::Timeout) => Input::Tick,
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        };
        let step = engine.handle(clock.now(), input);
        if step.batch.is_empty() && step.effects.is_empty() {
            continue;
        }
        if steps.send(step).is_err() {
            return;
        }
    }
}

/// Writes steps and carries out their effects.
struct Committer {
    store: Arc<dyn Store>,
    routes: SharedRoutes,
    scripts: Sender<ScriptCommand>,
    inputs: Sender<Message>,
    failed: watch::Sender<Option<String>>,
}

impl Committer {
    fn run(self, steps: &Receiver<Step>) {
        while let Ok(mut group) = steps.recv() {
            while group.batch.records.len() < COMMIT_RECORDS {
                let Ok(next) = steps.try_recv() else { break };
                group.batch.merge(next.batch);
                group.effects.extend(next.effects);
            }
            if !group.batch.is_empty()
                && let Err(error) = self.store.commit(&group.batch)
            {
                tracing::error!(%error, "stopping: nothing may be acknowledged that is not on disk");
                let _ = self.failed.send(Some(error.to_string()));
                let _ = self.inputs.send(Message::Stop);
                return;
            }
            for effect in group.effects {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Reply { ticket, answer } => {
                if let Some((waiting, _place)) = lock(&self.routes).tickets.remove(&ticket) {
                    // Whoever asked may have gone.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Machine { session, command } => self.tell_machine(session, command),
            Effect::Script(command) => {
                if self.scripts.send(command).is_err() {
                    let _ = self
                        .failed
                        .send(Some("the script host is gone".to_string()));
                }
            }
        }
    }

    /// A machine that does not take its commands is as good as gone.
    fn tell_machine(&self, session: SessionId, command: MachineCommand) {
        let Some(machine) = lock(&self.routes).machines.get(&session).cloned() else {
            return;
        };
        if machine.try_send(command).is_err() {
            lock(&self.routes).machines.remove(&session);
            let reason = "it does not take its commands".to_string();
            let left = Input::MachineLeft { session, reason };
            let _ = self.inputs.send(Message::Input(left));
        }
    }
}
