//! One seed: a fleet does some workflows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use froben_engine::by_hand::{self, Scripts};
use froben_engine::effect::{Answer, Effect, MachineCommand};
use froben_engine::engine::{Engine, Step};
use froben_engine::input::{Input, Submit, Ticket};
use froben_journal::{
    Body, CallOp, Finish, MemoryStore, RevisionHash, ScriptSet, Store, revision_hash,
};
use froben_model::revision::ScriptProblem;
use froben_model::view::{PipelineInfo, PipelineInput};
use froben_model::{BlobRef, CallId, ErrorClass, SeekerId, Terms, TimeMs, Value, WorkflowId};
use froben_script::{Limits, Revision};

use super::fleet::{Due, Fleet, Size, Use};
use super::path::{Stretch, critical};
use super::profile::Profile;

/// When it all begins. Scripts see times since their start only.
const START_MS: TimeMs = 1_000_000;
/// After so much virtual time a run is given up.
const LONGEST_MS: u64 = 30 * 24 * 3_600_000;
/// A blob that the pipeline wants and nobody gave.
const BLOB_BYTES: u64 = 1 << 20;

type Agenda = by_hand::Agenda<Due>;

/// A pipeline and its input, ready to be played as often as wanted.
#[derive(Clone)]
pub struct Job {
    revision: Arc<Revision>,
    hash: RevisionHash,
    info: PipelineInfo,
    input: Value,
}

impl Job {
    /// The pipeline in the file `path` of a set.
    ///
    /// *Errors*: what is wrong with the set.
    pub fn of(set: &ScriptSet, path: &str) -> Result<Option<Job>, Vec<ScriptProblem>> {
        let revision = Revision::check(&set.files, &Limits::default()).map_err(|problems| {
            problems
                .into_iter()
                .map(ScriptProblem::from)
                .collect::<Vec<_>>()
        })?;
        let info = revision.pipelines().values().find(|info| info.path == path);
        let Some(info) = info.map(|info| PipelineInfo {
            name: info.name.clone(),
            revision: revision_hash(set).to_string(),
            inputs: info.inputs.iter().map(declared).collect(),
        }) else {
            return Ok(None);
        };
        Ok(Some(Job {
            revision: Arc::new(revision),
            hash: revision_hash(set),
            info,
            input: Value::Nil,
        }))
    }

    pub fn pipeline(&self) -> &PipelineInfo {
        &self.info
    }

    /// With this input. Blobs that are missing are made up; their names are given back.
    ///
    /// *Errors*: what does not fit what the pipeline declares.
    pub fn with_input(
        mut self,
        mut input: BTreeMap<String, Value>,
    ) -> Result<(Job, Vec<String>), String> {
        let mut made_up = Vec::new();
        for declared in &self.info.inputs {
            let missing = !declared.optional && !input.contains_key(&declared.name);
            if missing && declared.kind == "blob" {
                let mut blob = BlobRef::of(declared.name.as_bytes());
                blob.size_bytes = BLOB_BYTES;
                input.insert(declared.name.clone(), Value::Blob(blob));
                made_up.push(declared.name.clone());
            }
        }
        let input = Value::Map(input);
        let known = self.revision.pipelines();
        let info = known.get(&self.info.name);
        let info = info.expect("invariant: it is a pipeline of its set");
        froben_script::check_input(info, &input)?;
        self.input = input;
        Ok((self, made_up))
    }
}

fn declared((name, field): (&String, &froben_script::Field)) -> PipelineInput {
    PipelineInput {
        name: name.clone(),
        kind: field.field_type.name().to_string(),
        optional: field.optional,
    }
}

/// Why a seed has no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    #[error("a workflow failed: {0}")]
    Failed(String),
    #[error("the workflow was refused: {0}")]
    Refused(String),
    #[error("after {0} h of virtual time the workflows are not over")]
    Endless(u64),
    #[error("the journal: {0}")]
    Journal(String),
}

/// What one seed came to. Times count from when the measured workflows were submitted.
#[derive(Debug, Clone, Default)]
pub(super) struct Played {
    pub(super) makespan_ms: u64,
    /// Of each measured workflow.
    pub(super) workflows_ms: Vec<u64>,
    /// What the end waited for, the last first.
    pub(super) path: Vec<Stretch>,
    pub(super) used: Use,
    pub(super) kinds: BTreeMap<String, Work>,
    pub(super) slow: usize,
}

/// What all tasks of a kind came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) tasks: u64,
    pub(super) items: u64,
    pub(super) busy_ms: u64,
    pub(super) lost: u64,
    /// Attempts beside a straggler, and those of them that had the last item.
    pub(super) hedges: u64,
    pub(super) hedges_won: u64,
}

/// A delegation, as its records tell.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) workflow: WorkflowId,
    pub(super) kind: String,
    pub(super) queued: TimeMs,
    pub(super) assigned: Option<TimeMs>,
    pub(super) ended: TimeMs,
    pub(super) on_slow: bool,
    pub(super) lost: bool,
    pub(super) items: u64,
    pub(super) attempts: Vec<Attempt>,
    /// Whether the attempt that ended it was a hedge.
    pub(super) won: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    number: u32,
    on_slow: bool,
    hedge: bool,
    open: bool,
}

impl Told {
    fn over(&mut self, attempt: u32) {
        let mut of = self.attempts.iter_mut().filter(|a| a.number == attempt);
        of.by_ref().for_each(|a| a.open = false);
    }
}

/// How much is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    pub(super) size: Size,
    /// Workflows at once.
    pub(super) workflows: u64,
    /// Workflows before those, one after the other, so that the matchmaker knows the machines.
    pub(super) before: u64,
    pub(super) price: Option<f64>,
}

struct World<'a> {
    job: &'a Job,
    seed: u64,
    engine: Engine,
    scripts: Scripts,
    store: MemoryStore,
    now: TimeMs,
    inputs: VecDeque<Input>,
    agenda: Agenda,
    fleet: Fleet<'a>,
    latency_ms: u64,
    next_ticket: u64,
    next_workflow: u64,
    /// Those that are not over, and when they were submitted.
    open: BTreeMap<WorkflowId, TimeMs>,
    ended_ms: Vec<u64>,
    told: BTreeMap<(WorkflowId, CallId), Told>,
    failed: Option<PlayError>,
}

/// Plays one seed to its end.
pub(super) fn play(
    job: &Job,
    profile: &Profile,
    load: Load,
    seed: u64,
) -> Result<Played, PlayError> {
    let mut world = World::new(job, profile, load.size, seed)?;
    for _ in 0..load.before {
        world.submit();
        world.settle()?;
    }
    let (begin, before) = (world.now, world.fleet.used(load.price));
    world.told.clear();
    world.ended_ms.clear();
    (0..load.workflows.max(1)).for_each(|_| world.submit());
    world.settle()?;
    Ok(world.played(begin, before, load.price))
}

impl<'a> World<'a> {
    fn new(job: &'a Job, profile: &'a Profile, size: Size, seed: u64) -> Result<Self, PlayError> {
        let store = MemoryStore::new();
        let epoch = store.next_epoch().map_err(journal)?;
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let fleet = Fleet::new(profile, size, seed);
        let mut agenda = Agenda::default();
        for number in 0..fleet.count() {
            agenda.add(START_MS, Due::Connect(number));
        }
        let trusted = fleet.operators();
        let mut world = World {
            job,
            seed,
            engine: by_hand::engine(epoch, seed, job.hash, job.revision.clone(), trusted),
            scripts: Scripts::new(shared, job.hash, job.revision.clone()),
            store,
            now: START_MS,
            inputs: VecDeque::new(),
            agenda,
            fleet,
            latency_ms: profile.latency_ms,
            next_ticket: 0,
            next_workflow: 0,
            open: BTreeMap::new(),
            ended_ms: Vec::new(),
            told: BTreeMap::new(),
            failed: None,
        };
        // Everybody is there before the first workflow is.
        while let Some(due) = world.agenda.take(START_MS) {
            let input = world.happen(due);
            if let Some(input) = input {
                let step = world.engine.handle(START_MS, input);
                world.carry_out(step)?;
            }
        }
        Ok(world)
    }

    fn submit(&mut self) {
        self.next_workflow += 1;
        let workflow = WorkflowId(u128::from(self.next_workflow).to_be_bytes());
        self.open.insert(workflow, self.now);
        let ticket = self.ticket();
        self.inputs.push_back(Input::Submit(Submit {
            ticket,
            workflow,
            seed: self.seed,
            seeker: SeekerId::new("planner").expect("invariant: it is a name"),
            pipeline: self.job.info.name.clone(),
            input: self.job.input.clone(),
            idempotency_key: String::new(),
            terms: Terms::default(),
        }));
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Until every workflow is over.
    fn settle(&mut self) -> Result<(), PlayError> {
        let hours = LONGEST_MS / 3_600_000;
        loop {
            if let Some(input) = self.inputs.pop_front() {
                let step = self.engine.handle(self.now, input);
                self.carry_out(step)?;
                continue;
            }
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            if self.open.is_empty() {
                return Ok(());
            }
            let next = [self.agenda.next_time(), self.engine.next_timer()];
            let next = next.into_iter().flatten().min();
            let next = next.filter(|next| *next < START_MS + LONGEST_MS);
            self.now = self.now.max(next.ok_or(PlayError::Endless(hours))?);
            let input = match self.agenda.take(self.now) {
                Some(due) => self.happen(due),
                None => Some(Input::Tick),
            };
            self.inputs.extend(input);
        }
    }

    fn happen(&mut self, due: Due) -> Option<Input> {
        let (now, latency_ms, agenda) = (self.now, self.latency_ms, &mut self.agenda);
        match due {
            Due::Connect(number) => self.fleet.connect(number),
            Due::Task(session, task) => {
                let later = |at: TimeMs, due: Due| agenda.add(at, due);
                let answer = self.fleet.task(now, session, *task, later)?;
                agenda.add(now + latency_ms, Due::Arrive(session, Box::new(answer)));
                None
            }
            Due::Item(token, position) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                let (session, item) = self.fleet.item(ticket, token, position)?;
                agenda.add(now + latency_ms, Due::Arrive(session, Box::new(item)));
                None
            }
            Due::Lost(token) => {
                let later = |at: TimeMs, due: Due| agenda.add(at, due);
                self.fleet.lose(now, token, later)
            }
            Due::Arrive(session, input) => self.fleet.stands(session).then_some(*input),
            Due::Drop(token) => {
                self.fleet.over(now, token);
                None
            }
        }
    }

    fn carry_out(&mut self, step: Step) -> Result<(), PlayError> {
        let Step { batch, effects, .. } = step;
        if !batch.is_empty() {
            self.store.commit(&batch).map_err(journal)?;
            for (workflow, _, record) in &batch.records {
                self.note(*workflow, &record.body);
            }
        }
        for effect in effects {
            match effect {
                Effect::Script(command) => {
                    let input = self.scripts.obey(command).map_err(journal)?;
                    self.inputs.extend(input);
                }
                Effect::Reply {
                    ticket: _,
                    answer: Answer::Submitted(Err(refused)),
                } => return Err(PlayError::Refused(refused.message)),
                Effect::Reply { .. } => {}
                Effect::Machine { session, command } => {
                    let at = self.now + self.latency_ms;
                    match command {
                        MachineCommand::Assign(task) => {
                            self.agenda.add(at, Due::Task(session, Box::new(task)));
                        }
                        MachineCommand::Cancel(token) => self.agenda.add(at, Due::Drop(token)),
                        MachineCommand::Cut { reason: _ } => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, workflow: WorkflowId, body: &Body) {
        let now = self.now;
        match body {
            Body::Called(called) => {
                if let CallOp::Delegate(spec) = &called.op {
                    let told = Told {
                        workflow,
                        kind: spec.kind.as_str().to_owned(),
                        queued: now,
                        assigned: None,
                        ended: now,
                        on_slow: false,
                        lost: false,
                        items: spec.items.len() as u64,
                        attempts: Vec::new(),
                        won: false,
                    };
                    self.told.insert((workflow, called.call), told);
                }
            }
            Body::Assigned(assigned) => {
                if let Some(told) = self.told.get_mut(&(workflow, assigned.call)) {
                    told.assigned.get_or_insert(now);
                    let hedge = told.attempts.iter().any(|attempt| attempt.open);
                    told.attempts.push(Attempt {
                        number: assigned.attempt,
                        on_slow: self.fleet.is_slow(&assigned.machine),
                        hedge,
                        open: true,
                    });
                }
            }
            Body::Requeued { call, attempt, .. } | Body::Lost { call, attempt, .. } => {
                if let Some(told) = self.told.get_mut(&(workflow, *call)) {
                    told.over(*attempt);
                }
            }
            Body::Ended(ended) => {
                self.fleet.all_over(now, workflow, ended.call);
                if let Some(told) = self.told.get_mut(&(workflow, ended.call)) {
                    told.ended = now;
                    let class = ended.failure.as_ref().map(|failure| failure.class);
                    told.lost = class == Some(ErrorClass::Disconnected);
                    let mut attempts = told.attempts.iter();
                    let by = attempts.find(|attempt| attempt.number == ended.attempt);
                    told.on_slow = by.is_some_and(|attempt| attempt.on_slow);
                    told.won = by.is_some_and(|attempt| attempt.hedge) && class.is_none();
                }
            }
            Body::Finished(finish) => {
                // A child's end is its parent's business.
                if let Some(submitted) = self.open.remove(&workflow) {
                    self.ended_ms.push(now - submitted);
                    match finish {
                        Finish::Output(_) => {}
                        Finish::Failed(failure) => {
                            self.failed = Some(PlayError::Failed(failure.message.clone()));
                        }
                        Finish::Cancelled => {
                            self.failed = Some(PlayError::Failed("cancelled".to_owned()));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn played(self, begin: TimeMs, before: Use, price: Option<f64>) -> Played {
        let told: Vec<Told> = self.told.into_values().collect();
        let mut kinds: BTreeMap<String, Work> = BTreeMap::new();
        for told in &told {
            let work = kinds.entry(told.kind.clone()).or_default();
            work.tasks += 1;
            work.items += told.items;
            work.busy_ms += told.assigned.map_or(0, |at| told.ended - at);
            work.lost += u64::from(told.lost);
            let hedges = told.attempts.iter().filter(|attempt| attempt.hedge);
            work.hedges += hedges.count() as u64;
            work.hedges_won += u64::from(told.won);
        }
        let mut used = self.fleet.used(price);
        used.device_busy_ms -= before.device_busy_ms;
        used.busy_cost -= before.busy_cost;
        Played {
            makespan_ms: self.now - begin,
            workflows_ms: self.ended_ms,
            path: critical(told, begin, self.now),
            used,
            kinds,
            slow: self.fleet.slow(),
        }
    }
}

fn journal(error: froben_journal::Error) -> PlayError {
    PlayError::Journal(error.to_string())
}
