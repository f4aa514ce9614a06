//! The threads around the engine.
//!
//! ```text
//!   requests, reports ──► engine ──steps──► committer ──► disk
//!                           ▲                  │ effects, once their records are durable
//!                           └─ script hosts ◄──┴──► answers, machines
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
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use froben_journal::Store;
use froben_model::revision::ScriptProblem;
use froben_model::{TimeMs, WorkflowId};
use froben_scheduler::SessionId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::effect::{Answer, Effect, MachineCommand, ScriptCommand};
use crate::engine::{Engine, Step};
use crate::figures::Counter;
use crate::handle::EngineHandle;
use crate::input::{Input, Ticket};
use crate::pace::Pace;
use crate::revisions::Revisions;
use crate::rules::Rules;
use crate::scripts::{self, Budget, ScriptHost};
use crate::{restart, serve};

/// Records that one commit holds at most; more wait for the next.
const COMMIT_RECORDS: usize = 4096;
/// Once so many records were written within so long, the next are written when it is over: an fsync, and
/// waking those who wait for it, costs about the same for one record as for a hundred.
const COMMIT_MOMENT: Duration = Duration::from_millis(8);
const MANY_RECORDS: usize = 64;
/// How long the engine sleeps at most when nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// How a coordinator is started.
pub struct Config {
    pub rules: Rules,
    /// Of the scheduler's ties.
    pub seed: u64,
    /// The coordinator's own; see [`serve::at_start`] for when they are served.
    pub scripts: froben_journal::ScriptSet,
    pub capacity: Capacity,
}

/// How much a coordinator takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Threads that run scripts, each those of its workflows. Above one, so that a script that
    /// computes up to its limit does not hold up all others.
    pub script_threads: usize,
    /// What all VMs together may occupy; those that were used longest ago are evicted, and rebuilt
    /// when something comes for them.
    pub script_bytes: usize,
    /// VMs at once, evicted likewise.
    pub script_vms: usize,
    /// Workflows that are not over. Each is a line in every table and a journal, not a VM.
    pub live: usize,
    /// Of one seeker.
    pub live_of_one: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Capacity {
            script_threads: cores.max(2),
            script_bytes: 512 << 20,
            script_vms: 10_000,
            live: 200_000,
            live_of_one: 100_000,
        }
    }
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
            rules,
            seed,
            scripts: set,
            capacity,
        } = config;
        let clock = Clock::new();
        let serving = serve::at_start(store.as_ref(), set, clock.now())?;
        let epoch = store.next_epoch()?;
        let revisions = Arc::new(Revisions::new(store.clone()));
        revisions.keep(serving.hash(), Ok(serving.revision.clone()));
        let mut engine = Engine::new(epoch, seed, rules.policy, serving, capacity);
        engine.rules(rules);
        let begin = Instant::now();
        let script_threads = capacity.script_threads.max(1);
        let recovered = restart::recover(&mut engine, store.as_ref(), clock.now(), script_threads)?;
        let counter = Arc::new(Mutex::new(Counter::of(&engine)));
        let (live, ms) = (engine.live_workflows(), begin.elapsed().as_millis());
        if live > 0 {
            tracing::info!(workflows = live, ms, "continuing from the journal");
        }

        let routes = SharedRoutes::default();
        let (sender, inputs) = channel();
        let (steps_in, steps) = channel();
        let (failed_in, failed) = watch::channel(None);
        for step in recovered {
            // The receiver is in our hands: this cannot fail.
            let _ = steps_in.send(step);
        }
        let mut threads = vec![spawn("engine", {
            let sender = steps_in;
            move || run_engine(engine, clock, &inputs, &sender)
        })?];
        let mut hosts = Vec::new();
        for number in 0..script_threads {
            let budget = Budget {
                bytes: capacity.script_bytes / script_threads,
                vms: capacity.script_vms.div_ceil(script_threads),
            };
            let host = ScriptHost::new(store.clone(), revisions.clone(), budget);
            let (commands_in, commands) = channel();
            let (to_engine, failed) = (sender.clone(), failed_in.clone());
            hosts.push(commands_in);
            threads.push(spawn(&format!("scripts-{number}"), move || {
                if let Err(error) = scripts::run(host, &commands, &to_engine) {
                    tracing::error!(%error, "stopping: scripts can't be rebuilt");
                    let _ = failed.send(Some(error.to_string()));
                    let _ = to_engine.send(Message::Stop);
                }
            })?);
        }
        let committer = Committer {
            store: store.clone(),
            routes: routes.clone(),
            scripts: hosts,
            inputs: sender.clone(),
            failed: failed_in,
            counter: counter.clone(),
        };
        threads.push(spawn("committer", move || committer.run(&steps))?);
        let handle = EngineHandle::new(sender.clone(), routes, store, revisions, counter);
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
        if step.is_empty() {
            continue;
        }
        if steps.send(step).is_err() {
            return;
        }
    }
}

/// Which of `shards` a workflow belongs to, for as long as the process lives. Ids are random.
fn shard(workflow: WorkflowId, shards: usize) -> usize {
    let [a, b, c, d, ..] = workflow.0;
    u32::from_le_bytes([a, b, c, d]) as usize % shards
}

/// Writes steps and carries out their effects.
struct Committer {
    store: Arc<dyn Store>,
    routes: SharedRoutes,
    /// One for each script host.
    scripts: Vec<Sender<ScriptCommand>>,
    inputs: Sender<Message>,
    failed: watch::Sender<Option<String>>,
    counter: Arc<Mutex<Counter>>,
}

impl Committer {
    fn run(self, steps: &Receiver<Step>) {
        let mut pace = Pace::new(COMMIT_MOMENT, MANY_RECORDS, Instant::now());
        while let Ok(mut group) = steps.recv() {
            thread::sleep(pace.wait(Instant::now()));
            while group.batch.records.len() < COMMIT_RECORDS {
                let Ok(next) = steps.try_recv() else { break };
                group.add(next);
            }
            let begin = Instant::now();
            pace.did(group.batch.records.len());
            if !group.batch.is_empty()
                && let Err(error) = self.store.commit(&group.batch)
            {
                tracing::error!(%error, "stopping: nothing may be acknowledged that is not on disk");
                let _ = self.failed.send(Some(error.to_string()));
                let _ = self.inputs.send(Message::Stop);
                return;
            }
            self.count(&group, begin.elapsed());
            for effect in group.effects {
                self.carry_out(effect);
            }
        }
    }

    /// Of what is on disk now.
    fn count(&self, group: &Step, took: Duration) {
        // A panic elsewhere leaves figures that are a little off, which is better than none.
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.count(group, took);
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
                let host = shard(command.workflow(), self.scripts.len());
                if self.scripts[host].send(command).is_err() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_spread_over_all_script_hosts() {
        for shards in [1, 2, 3, 16] {
            let mut count = vec![0; shards];
            for _ in 0..1000 {
                count[shard(WorkflowId(rand::random()), shards)] += 1;
            }
            let fair = 1000 / shards;
            assert!(count.iter().all(|n| *n > fair / 4), "{count:?}");
        }
    }
}
