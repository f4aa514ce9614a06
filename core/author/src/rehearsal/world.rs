//! The coordinator's side: one engine, its scripts and its journal, from crash to crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use froben_engine::by_hand::{self, Scripts};
use froben_engine::effect::{Answer, Effect, MachineCommand};
use froben_engine::engine::{Engine, Step};
use froben_engine::input::{Input, Submit};
use froben_journal::{Body, CallOp, MemoryStore, RevisionHash, Store};
use froben_model::view::Failure;
use froben_model::{CallId, LeaseToken, SeekerId, TimeMs, Value, WorkflowId};
use froben_script::spec::{Question, Reply, Unmet};

use super::agenda::{Agenda, Due};
use super::fleet::Fleet;
use super::run::{self, Whole};
use super::{Halt, Rehearsal};

/// When it all begins. Scripts see times since their start only.
const START_MS: TimeMs = 1_000_000;
/// How long a coordinator is away when it has crashed.
const RESTART_MS: u64 = 1000;
/// More inputs than any spec needs: a run that takes more makes no end.
const INPUTS: u64 = 2_000_000;
const WORKFLOW: WorkflowId = WorkflowId([1; 16]);
/// The set is not stored: nobody asks for it by name.
const REVISION: RevisionHash = RevisionHash([0; 32]);

pub(super) struct World<'a> {
    rehearsal: &'a Rehearsal<'a>,
    seed: u64,
    engine: Engine,
    scripts: Scripts,
    store: MemoryStore,
    now: TimeMs,
    inputs: VecDeque<Input>,
    agenda: Agenda,
    fleet: Fleet,
    /// The author's names of delegations.
    keys: BTreeMap<(WorkflowId, CallId), String>,
    refused: Option<Failure>,
    over: bool,
    writes: u64,
    restarts: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(rehearsal: &'a Rehearsal<'a>) -> World<'a> {
        let simulation = rehearsal.simulation;
        let seed = simulation.seed.unwrap_or(rehearsal.seed);
        let mut agenda = Agenda::default();
        let operators = &simulation.operators;
        let mut fleet = Fleet::new(operators, rehearsal.kinds, START_MS, &mut agenda);
        if let Some(after_ms) = simulation.cancel_at_ms {
            agenda.add(START_MS + after_ms, Due::Cancel);
        }
        let submit = Input::Submit(Submit {
            ticket: fleet.ticket(),
            workflow: WORKFLOW,
            seed,
            seeker: seeker(),
            pipeline: simulation.subject.name().to_string(),
            input: simulation.input.clone(),
            idempotency_key: String::new(),
            terms: froben_model::Terms::default(),
        });
        let store = MemoryStore::new();
        World {
            engine: engine(rehearsal, 1, seed),
            rehearsal,
            seed,
            scripts: scripts(rehearsal, &store),
            store,
            now: START_MS,
            inputs: VecDeque::from([submit]),
            agenda,
            fleet,
            keys: BTreeMap::new(),
            refused: None,
            over: false,
            writes: 0,
            restarts: 0,
        }
    }

    /// Until the workflow is over.
    pub(super) fn play(
        &mut self,
        ask: &mut dyn FnMut(&Question<'_>) -> Result<Reply, Unmet>,
    ) -> Result<(), Halt> {
        self.store.next_epoch().map_err(journal)?;
        let last = START_MS.saturating_add(self.rehearsal.simulation.give_up_ms);
        for _ in 0..INPUTS {
            if self.over || self.refused.is_some() {
                return Ok(());
            }
            if let Some(input) = self.inputs.pop_front() {
                let step = self.engine.handle(self.now, input);
                self.carry_out(step)?;
                continue;
            }
            let next = [self.agenda.next_time(), self.engine.next_timer()];
            let Some(next) = next.into_iter().flatten().min() else {
                return Err(Halt::Stuck(
                    "the workflow waits, and nothing will ever come".to_string(),
                ));
            };
            if next > last {
                return Err(Halt::Stuck(self.still_waits()));
            }
            self.now = self.now.max(next);
            let input = match self.agenda.take(self.now) {
                Some(due) => self.happen(due, ask)?,
                None => Some(Input::Tick),
            };
            self.inputs.extend(input);
        }
        let seconds = (self.now - START_MS) / 1000;
        Err(Halt::Stuck(format!(
            "the run makes no end: {INPUTS} inputs by second {seconds} of virtual time"
        )))
    }

    fn happen(
        &mut self,
        due: Due,
        ask: &mut dyn FnMut(&Question<'_>) -> Result<Reply, Unmet>,
    ) -> Result<Option<Input>, Halt> {
        let (now, agenda) = (self.now, &mut self.agenda);
        Ok(match due {
            Due::Join(machine) => self.fleet.join(machine),
            Due::Leave(machine) => self.fleet.leave(machine),
            Due::Work { token, position } => {
                return self.fleet.work(now, token, position, ask, agenda);
            }
            Due::Report {
                token,
                position,
                deed,
            } => self.fleet.report(now, token, position, deed, agenda),
            Due::Cancel => Some(Input::Cancel {
                ticket: self.fleet.ticket(),
                seeker: seeker(),
                workflow: WORKFLOW,
            }),
        })
    }

    /// Writes, then acts, unless the coordinator crashes in between.
    fn carry_out(&mut self, step: Step) -> Result<(), Halt> {
        let Step { batch, effects, .. } = step;
        if !batch.is_empty() {
            self.store.commit(&batch).map_err(journal)?;
            self.writes += 1;
            for (workflow, _, record) in &batch.records {
                if let Body::Called(called) = &record.body
                    && let CallOp::Delegate(spec) = &called.op
                {
                    let key = spec.key.clone();
                    self.keys.insert((*workflow, called.call), key);
                }
            }
            self.over |= batch.finished.contains(&WORKFLOW);
            if self.rehearsal.simulation.crash_at.contains(&self.writes) {
                return self.crash();
            }
        }
        for effect in effects {
            match effect {
                Effect::Reply {
                    ticket: _,
                    answer: Answer::Submitted(Err(refused)),
                } => self.refused = Some(refused),
                Effect::Reply { .. } => {}
                Effect::Script(command) => {
                    let input = self.scripts.obey(command).map_err(journal)?;
                    self.inputs.extend(input);
                }
                Effect::Machine {
                    session,
                    command: MachineCommand::Assign(task),
                } => {
                    let key = self.key_of(task.token);
                    let agenda = &mut self.agenda;
                    self.fleet.assign(self.now, session, key, task, agenda);
                }
                Effect::Machine {
                    session: _,
                    command: MachineCommand::Cancel(token),
                } => self.fleet.cancel(token),
                Effect::Machine {
                    session: _,
                    command: MachineCommand::Cut { reason: _ },
                } => {}
            }
        }
        Ok(())
    }

    /// The author's name of a delegation; that of a check follows from it.
    fn key_of(&self, token: LeaseToken) -> String {
        let key = |call| self.keys.get(&(token.workflow, call)).cloned();
        match token.call.checked() {
            None => key(token.call).unwrap_or_default(),
            Some((call, index)) => format!("{}/check/{index}", key(call).unwrap_or_default()),
        }
    }

    /// Everything but the journal is lost; a new coordinator continues from it.
    fn crash(&mut self) -> Result<(), Halt> {
        self.restarts += 1;
        self.inputs.clear();
        self.store = self.store.crash();
        self.now += RESTART_MS;
        self.fleet.lose_coordinator(self.now, &mut self.agenda);
        self.scripts = scripts(self.rehearsal, &self.store);
        let epoch = self.store.next_epoch().map_err(journal)?;
        self.engine = engine(self.rehearsal, epoch, self.seed);
        let recovered = self
            .scripts
            .recover(&mut self.engine, &self.store, self.now);
        let steps = recovered.map_err(journal)?;
        let restarts = self.restarts;
        for step in steps {
            self.carry_out(step)?;
            if self.restarts > restarts {
                // It crashed again, and whatever is left here died with it.
                return Ok(());
            }
        }
        Ok(())
    }

    fn still_waits(&mut self) -> String {
        let hours = self.rehearsal.simulation.give_up_ms as f64 / 3_600_000.0;
        let mut text = format!("the workflow is not over after {hours} h of virtual time");
        let ticket = self.fleet.ticket();
        let asked = Input::Status {
            ticket,
            seeker: seeker(),
            workflow: WORKFLOW,
        };
        let step = self.engine.handle(self.now, asked);
        for effect in step.effects {
            if let Effect::Reply {
                ticket: _,
                answer: Answer::Detail(froben_engine::effect::Found::Live(detail)),
            } = effect
            {
                let waiting = detail.waiting.iter().map(|line| format!("; {line}"));
                text.extend(waiting);
            }
        }
        text
    }

    pub(super) fn result(&self) -> Result<Value, Halt> {
        let records = self.store.read(WORKFLOW, 0, usize::MAX);
        let whole = Whole {
            records: &records.map_err(journal)?,
            refused: self.refused.as_ref(),
            elapsed_ms: self.now - START_MS,
            writes: self.writes,
            restarts: self.restarts,
            seed: self.seed,
        };
        Ok(run::describe(&whole))
    }
}

fn engine(rehearsal: &Rehearsal<'_>, epoch: u64, seed: u64) -> Engine {
    let operators = rehearsal.simulation.operators.iter();
    let trusted = operators.map(|operator| operator.name.clone()).collect();
    let revision = rehearsal.revision.clone();
    by_hand::engine(epoch, seed, REVISION, revision, trusted)
}

fn scripts(rehearsal: &Rehearsal<'_>, store: &MemoryStore) -> Scripts {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    Scripts::new(store, REVISION, rehearsal.revision.clone())
}

fn seeker() -> SeekerId {
    SeekerId::new("author").expect("invariant: it is a name")
}

fn journal(error: froben_journal::Error) -> Halt {
    Halt::Stuck(error.to_string())
}
