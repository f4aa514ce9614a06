//! The coordinator's side: one engine, its scripts and its journal, from crash to crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use froben_engine::Rules;
use froben_engine::by_hand::Scripts;
use froben_engine::effect::{Effect, MachineCommand, ScriptCommand};
use froben_engine::engine::{Engine, Step};
use froben_engine::input::{Input, Ticket};
use froben_journal::{Finish, MemoryStore, Store, encode};
use froben_model::{OperatorId, SeekerId, TimeMs, WorkflowId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Report;
use crate::agenda::{Agenda, Due};
use crate::checks::Checks;
use crate::fleet::Fleet;
use crate::fold;
use crate::plan::{Plan, RulesPlan, TRUSTED};
use crate::revisions::{self, Checked};

/// How long a coordinator is away when it has crashed.
const RESTART_MS: u64 = 1_000;
/// After the faults, everything has to be over within so much virtual time.
const CALM_MS: u64 = 6 * 3_600_000;
/// More inputs than any seed needs: a run that takes more makes no end.
const INPUTS: u64 = 2_000_000;
/// The state is held against the journal after so many commits.
const FOLD_COMMITS: u64 = 80;
/// So often it is looked whether all happens in time.
const LOOK_MS: u64 = 1_000;
/// Of a hundred workflows, so many have to succeed in every run: one in which nothing works proves nothing.
const SUCCEED_PERCENT: usize = 60;
/// What a script fails with if nobody works for what is left of its budget.
const NO_MONEY: &str = "for want of a machine";

pub(crate) struct World {
    pub(super) plan: Plan,
    rng: StdRng,
    pub(super) engine: Engine,
    pub(super) scripts: Scripts,
    pub(super) store: MemoryStore,
    pub(super) now: TimeMs,
    inputs: VecDeque<Input>,
    pub(super) agenda: Agenda,
    pub(super) fleet: Fleet,
    /// How many of those who may be trusted are.
    trusted: usize,
    /// The number of the rules that hold.
    rules: usize,
    pub(super) checks: Checks,
    /// Submits that wait for an answer.
    pub(super) submits: BTreeMap<Ticket, usize>,
    /// What each seeker was told that its workflow is called, and whoever forks one that its fork is.
    pub(super) told: BTreeMap<usize, WorkflowId>,
    /// Seekers that have cancelled theirs.
    cancelled: BTreeSet<usize>,
    pub(super) next_workflow: u64,
    trace: DefaultHasher,
    commits: u64,
    /// When times are looked at again.
    next_look: TimeMs,
    /// Commits after which the state is held against the journal again.
    next_fold: u64,
    restarts: u64,
    pub(super) stale: u64,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut agenda = Agenda::default();
        let fleet = Fleet::new(&plan, &mut agenda);
        for (number, workflow) in plan.workflows.iter().enumerate() {
            agenda.add(workflow.at_ms, Due::Submit(number));
            if let Some(at) = workflow.cancel_ms {
                agenda.add(at, Due::Cancel(number));
            }
            if let Some((at, long)) = workflow.pause_ms {
                agenda.add(at, Due::Pause(number, true));
                agenda.add(at + long, Due::Pause(number, false));
                // Again, should the first have been lost in a crash.
                agenda.add(plan.calm_ms + RESTART_MS, Due::Pause(number, false));
            }
        }
        for (machine, at) in &plan.machine_crashes {
            agenda.add(*at, Due::Crash(*machine));
        }
        for (machine, at) in &plan.partitions {
            agenda.add(*at, Due::Partition(*machine));
        }
        if let Some((at, long)) = plan.distrust_ms {
            agenda.add(at, Due::Trust(1));
            agenda.add(at + long, Due::Trust(TRUSTED.len()));
        }
        for at in &plan.coordinator_crashes {
            agenda.add(*at, Due::CrashCoordinator);
        }
        for (at, which) in &plan.serves {
            agenda.add(*at, Due::Serve(*which));
        }
        for (number, wish) in plan.migrations.iter().enumerate() {
            agenda.add(wish.at_ms, Due::Migrate(number));
        }
        for (number, wish) in plan.forks.iter().enumerate() {
            agenda.add(wish.at_ms, Due::Fork(number));
        }
        for (number, rules) in plan.rules.iter().enumerate().skip(1) {
            agenda.add(rules.at_ms, Due::Rules(number));
        }
        let store = MemoryStore::new();
        let rules = rules(&plan.rules[0], TRUSTED.len());
        let (engine, scripts, epoch) = revisions::start(&store, plan.seed, rules.clone())
            .expect("invariant: a new store takes it");
        let served = Checked::all()[0].hash;
        World {
            rng: StdRng::seed_from_u64(plan.seed ^ 0x5eed),
            plan,
            engine,
            scripts,
            store,
            now: 0,
            inputs: VecDeque::new(),
            agenda,
            fleet,
            trusted: TRUSTED.len(),
            rules: 0,
            checks: Checks::of_start(epoch, rules, served),
            submits: BTreeMap::new(),
            told: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            next_workflow: 1,
            trace: DefaultHasher::new(),
            commits: 0,
            next_look: 0,
            next_fold: FOLD_COMMITS,
            restarts: 0,
            stale: 0,
        }
    }

    pub(crate) fn play(mut self) -> Result<Report, String> {
        for _ in 0..INPUTS {
            if let Some(input) = self.inputs.pop_front() {
                match &input {
                    Input::Refused { token, reason: _ } => self.checks.refused(*token),
                    Input::Item {
                        ticket,
                        token,
                        report,
                        ..
                    } if !self.fleet.forged.contains(ticket) => {
                        self.checks.said(*token, report.index);
                    }
                    Input::Trust { operators } => {
                        self.checks.rules.trusted.clone_from(operators);
                    }
                    Input::MachineJoined { machine, spec, .. } => {
                        self.checks.joined(machine.clone(), spec.clone());
                    }
                    Input::Rules(rules) => self.checks.rules.clone_from(rules),
                    _ => {}
                }
                let step = self.engine.handle(self.now, input);
                self.carry_out(step)?;
                continue;
            }
            self.only_the_living()?;
            if self.now >= self.next_look {
                self.next_look = self.now + LOOK_MS;
                self.checks.timed(self.now, self.engine.next_timer())?;
            }
            self.hold_against_journal()?;
            if self.is_over() {
                return self.right_end();
            }
            let next = [self.agenda.next_time(), self.engine.next_timer()];
            let Some(next) = next.into_iter().flatten().min() else {
                return Err(format!(
                    "{:?} wait, and nothing will ever come",
                    self.checks.open()
                ));
            };
            self.now = self.now.max(next);
            self.fleet.calm |= self.now >= self.plan.calm_ms;
            if self.now > self.plan.calm_ms + CALM_MS {
                let open = self.checks.open();
                return Err(format!(
                    "{open:?} are not over {CALM_MS} ms after the last fault"
                ));
            }
            match self.agenda.take(self.now) {
                Some(due) => self.happen(due)?,
                None => self.inputs.push_back(Input::Tick),
            }
        }
        Err(format!("{INPUTS} inputs, and no end"))
    }

    /// I4: tasks go only to machines whose connection stands.
    fn only_the_living(&self) -> Result<(), String> {
        let connected = self.engine.connected();
        match connected
            .iter()
            .find(|session| !self.fleet.stands(**session))
        {
            Some(session) => Err(format!("I4: {session:?} is gone and counts as connected")),
            None => Ok(()),
        }
    }

    /// Now and then: a coordinator that started now would show the same.
    fn hold_against_journal(&mut self) -> Result<(), String> {
        let due = |engine: &Engine| engine.next_timer().is_some_and(|at| at <= self.now);
        if self.commits < self.next_fold || due(&self.engine) {
            return Ok(());
        }
        self.next_fold = self.commits + FOLD_COMMITS;
        self.checks
            .balanced(self.store.balances().map_err(broken)?)?;
        let store = self.store.copy();
        let (mut engine, scripts, _) =
            revisions::start(&store, self.plan.seed, self.rules()).map_err(broken)?;
        let recovered = scripts.recover(&mut engine, &store, self.now);
        recovered.map_err(broken)?;
        let told = self.told.iter();
        let workflows: Vec<_> = told
            .map(|(number, workflow)| (self.seeker(*number), *workflow))
            .collect();
        let machines = self.checks.machines();
        fold::compare(
            &mut self.engine,
            &mut engine,
            self.now,
            &workflows,
            machines,
        )
    }

    /// Whether all that was to be done is.
    fn is_over(&self) -> bool {
        (self.fleet.calm || self.agenda.next_time().is_none())
            && self.told.range(..self.plan.workflows.len()).count() == self.plan.workflows.len()
            && self.checks.open().is_empty()
    }

    fn happen(&mut self, due: Due) -> Result<(), String> {
        let (now, rng, agenda) = (self.now, &mut self.rng, &mut self.agenda);
        let input = match due {
            Due::Submit(number) => self.submit(number),
            Due::Cancel(number) => self.told.get(&number).map(|workflow| {
                self.cancelled.insert(number);
                Input::Cancel {
                    ticket: self.fleet.ticket(),
                    seeker: seeker(number),
                    workflow: *workflow,
                }
            }),
            Due::Pause(number, paused) => self.told.get(&number).map(|workflow| Input::Pause {
                ticket: self.fleet.ticket(),
                seeker: seeker(number),
                workflow: *workflow,
                paused,
            }),
            Due::Connect(number) => self.fleet.connect(number),
            Due::Crash(number) => self.fleet.crash(now, number, agenda),
            Due::Partition(number) => {
                self.fleet.partition(now, number, rng, agenda);
                None
            }
            Due::HeardNothing(session) => self.fleet.hang_up(session),
            Due::Arrive(session, input) => self.fleet.stands(session).then_some(*input),
            Due::Task(number, session, task) => {
                self.fleet.task(now, number, session, *task, rng, agenda);
                None
            }
            Due::Drop(session, token) => {
                self.fleet.cancel(session, token);
                None
            }
            Due::Work(number, token, position) => {
                self.fleet.work(now, number, token, position, rng, agenda);
                None
            }
            Due::CrashCoordinator => return self.crash(),
            Due::Serve(which) => Some(self.serve(which)),
            Due::Migrate(number) => self.migrate(number)?,
            Due::Fork(number) => self.fork(number)?,
            Due::Trust(count) => {
                self.trusted = count;
                let operators = trusted(count);
                Some(Input::Trust { operators })
            }
            Due::Rules(number) => {
                self.rules = number;
                Some(Input::Rules(self.rules()))
            }
        };
        self.inputs.extend(input);
        Ok(())
    }

    fn rules(&self) -> Rules {
        rules(&self.plan.rules[self.rules], self.trusted)
    }

    /// Writes, then acts, unless the coordinator crashes before or in between.
    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        self.engine.check_invariants()?;
        let Step { batch, effects, .. } = step;
        if !batch.is_empty() {
            self.commits += 1;
            let crashes =
                !self.fleet.calm && self.rng.random_ratio(self.plan.crash_per_mille, 1000);
            if crashes && self.rng.random_bool(0.5) {
                return self.crash();
            }
            self.store.commit(&batch).map_err(broken)?;
            for (_, _, record) in &batch.records {
                encode(record)
                    .map_err(|error| error.to_string())?
                    .hash(&mut self.trace);
            }
            self.checks.written(&batch)?;
            if crashes {
                return self.crash();
            }
        }
        for effect in effects {
            self.take_effect(effect)?;
        }
        Ok(())
    }

    fn take_effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Script(command) => {
                if let ScriptCommand::Start(launch) = &command {
                    self.checks.keeps(launch.workflow, launch.revision)?;
                }
                let input = self.scripts.obey(command).map_err(broken)?;
                self.inputs.extend(input);
            }
            Effect::Reply { ticket, answer } => self.answered(ticket, answer)?,
            Effect::Machine { session, command } => {
                format!("{session:?} {command:?}").hash(&mut self.trace);
                let Some(number) = self.fleet.machine_of(session) else {
                    return Ok(());
                };
                let at = self.fleet.arrives(session, true, self.now, &mut self.rng);
                match command {
                    MachineCommand::Assign(task) => {
                        if !self.checks.has_attempt(task.token) {
                            let token = task.token;
                            return Err(format!("{token} is handed out, and is not written down"));
                        }
                        self.agenda
                            .add(at, Due::Task(number, session, Box::new(task)));
                    }
                    MachineCommand::Cancel(token) => {
                        self.agenda.add(at, Due::Drop(session, token));
                    }
                    MachineCommand::Cut { reason: _ } => {
                        self.fleet.cut(self.now, session, &mut self.agenda);
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything but the journal is lost; a new coordinator continues from it.
    fn crash(&mut self) -> Result<(), String> {
        self.restarts += 1;
        self.inputs.clear();
        self.submits.clear();
        self.store = self.store.crash();
        self.now += RESTART_MS;
        self.checks.started_ms = self.now;
        self.fleet.lose_coordinator(self.now, &mut self.agenda);
        (self.engine, self.scripts, self.checks.epoch) =
            revisions::start(&self.store, self.plan.seed, self.rules()).map_err(broken)?;
        self.checks.rules = self.rules();
        let recovered = self
            .scripts
            .recover(&mut self.engine, &self.store, self.now);
        let restarts = self.restarts;
        for step in recovered.map_err(broken)? {
            self.carry_out(step)?;
            if self.restarts > restarts {
                // It crashed again, and whatever is left here died with it.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything has ended. It has to have ended well, and a coordinator that starts now has nothing to do.
    fn right_end(mut self) -> Result<Report, String> {
        // Forks have to end well, and prove nothing.
        let (mut succeeded, submitted) = (0, self.plan.workflows.len());
        for (number, workflow) in &self.told {
            let expected = Finish::Output(self.expected(*number));
            match self.checks.finish(*workflow) {
                Some(finish) if *finish == expected => {
                    succeeded += usize::from(*number < submitted)
                }
                Some(Finish::Cancelled) if self.cancelled.contains(number) => {}
                Some(Finish::Failed(failure))
                    if self.is_scant(*number) && failure.message.contains(NO_MONEY) => {}
                other => return Err(format!("{workflow} of seeker {number} ended so: {other:?}")),
            }
        }
        if succeeded * 100 < submitted * SUCCEED_PERCENT {
            return Err(format!(
                "only {succeeded} of {submitted} workflows succeeded"
            ));
        }
        self.next_fold = self.commits;
        self.hold_against_journal()?;
        self.crash()?;
        match self.engine.live_workflows() {
            0 => {}
            live => return Err(format!("{live} workflows are alive after all have ended")),
        }
        self.checks
            .balanced(self.store.balances().map_err(broken)?)?;
        Ok(Report {
            seed: self.plan.seed,
            trace: self.trace.finish(),
            virtual_ms: self.now,
            commits: self.commits,
            restarts: self.restarts,
            stale: self.stale,
            items: self.checks.items,
            migrations: self.checks.migrations,
            forks: self.told.range(self.plan.workflows.len()..).count() as u64,
        })
    }
}

/// Rules as they are told, with the first of those who may be trusted.
fn rules(plan: &RulesPlan, trust: usize) -> Rules {
    let weights = plan.weights.iter().copied().enumerate();
    Rules {
        policy: plan.policy,
        weights: weights
            .map(|(number, weight)| (seeker(number), weight))
            .collect(),
        trusted: trusted(trust),
    }
}

/// The first of those who may be trusted.
fn trusted(count: usize) -> BTreeSet<OperatorId> {
    let names = TRUSTED.into_iter().take(count);
    names
        .map(|name| OperatorId::new(name).expect("invariant: it is a name"))
        .collect()
}

pub(super) fn seeker(number: usize) -> SeekerId {
    SeekerId::new(format!("seeker-{number}")).expect("invariant: it is a name")
}

pub(super) fn broken(error: froben_journal::Error) -> String {
    format!("the journal: {error}")
}
