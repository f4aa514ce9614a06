//! The engine with real scripts, a store that forgets what was not committed, and machines that do as
//! they are told. Everything runs on one thread, in an order that a test decides.

mod checks;
mod children;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use froben_journal::{Balance, Body, MemoryStore, Origin, ScriptSet, Served, Store};
use froben_model::view::{DelegationState, WorkflowState};
use froben_model::{
    Amount, Assignment, CallId, ErrorClass, ItemError, ItemReport, Kind, MachineId, MachineSpec,
    OperatorId, SeekerId, TimeMs, Value, WorkflowId,
};
use froben_scheduler::{Policy, SessionId};
use froben_script::{Limits, Revision};

use crate::driver::Capacity;
use crate::effect::{Answer, Effect, MachineCommand, Receipt, ScriptCommand};
use crate::engine::{Engine, Serving, Step};
use crate::figures::Counter;
use crate::input::{Input, Submit, Ticket};
use crate::ledger::Totals;
use crate::recover::Recovered;
use crate::restart;
use crate::revisions::Revisions;
use crate::scripts::{Budget, ScriptHost};

mod durability;
mod ledger;

const SQUARES: &str = r#"
return workflow("squares", { input = { n = "integer" }, output = { total = "number" } },
  function(ctx, input)
    local ds = {}
    for i = 1, input.n do
      ds[i] = ctx:delegate {
        kind = "test.square/1", key = "square/" .. i, items = { i, 10 * i },
        needs = { cpu_cores = 1, ram = "1MiB", shared = true }, timeout = "1m" }
    end
    local total, failed = 0, 0
    for _, item in ctx:stream(ds) do
      if item.ok then total = total + item.value else failed = failed + 1 end
      ctx:status { phase = "square", done = total, total = 1000000 }
    end
    ctx:sleep("1s")
    ctx:log("slept")
    return { total = total - failed }
  end)
"#;

fn scripts(source: &str) -> ScriptSet {
    let mut files = children::files();
    files.insert("pipelines/squares.lua".to_string(), source.to_string());
    ScriptSet { files }
}

fn serving(store: &MemoryStore, source: &str) -> Serving {
    let set = scripts(source);
    let revision = Revision::check(&set.files, &Limits::default()).expect("the script checks");
    let hash = froben_journal::revision_hash(&set);
    store
        .put_revision(hash, &set)
        .expect("a store in memory takes it");
    Serving {
        entry: Served {
            index: 1,
            revision: hash,
            time_ms: 0,
            by: "coordinator".to_string(),
            origin: Origin::Start,
            note: String::new(),
        },
        revision: Arc::new(revision),
    }
}

fn seeker() -> SeekerId {
    SeekerId::new("ada").expect("a name")
}

fn machine_id() -> MachineId {
    MachineId::new("op/m1").expect("a name")
}

fn spec() -> MachineSpec {
    MachineSpec {
        operator: OperatorId::new("op").expect("a name"),
        label: "m1".to_string(),
        cpu_cores: 2,
        ram_bytes: 1 << 30,
        devices: Vec::new(),
        cpu_kinds: vec![Kind::new("test.square/1").expect("a kind")],
        device_kinds: Vec::new(),
        keys: Vec::new(),
        prices: vec![(
            Kind::new("test.square/1").expect("a kind"),
            Amount(ledger::PRICE),
        )],
    }
}

const ID: WorkflowId = WorkflowId([1; 16]);

const ROOMY: Budget = Budget {
    bytes: usize::MAX,
    vms: usize::MAX,
};
/// Every VM goes as soon as it waits.
const NONE: Budget = Budget { bytes: 0, vms: 0 };

fn host(store: &MemoryStore, budget: Budget) -> ScriptHost {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    ScriptHost::new(store.clone(), Arc::new(Revisions::new(store)), budget)
}

/// A coordinator's life between two crashes.
struct World {
    engine: Engine,
    scripts: ScriptHost,
    store: MemoryStore,
    now: TimeMs,
    inputs: VecDeque<Input>,
    answers: BTreeMap<Ticket, Answer>,
    next_ticket: u64,
    /// Commits left until the crash.
    commits_left: usize,
    /// Whether the last of them is lost.
    torn: bool,
    /// Whether values are wrong, by one.
    lies: bool,
    counter: Counter,
    /// What operators had when this life began.
    had: Balance,
}

impl World {
    /// Starts on `store`, recovering what is in it.
    fn start(store: MemoryStore, source: &str, now: TimeMs, commits_left: usize) -> World {
        Self::start_with(store, source, now, commits_left, ROOMY)
    }

    /// The same with little room for VMs.
    fn start_with(
        store: MemoryStore,
        source: &str,
        now: TimeMs,
        commits_left: usize,
        budget: Budget,
    ) -> World {
        let epoch = store.next_epoch().expect("a store in memory counts");
        let serving = serving(&store, source);
        let engine = Engine::new(epoch, 7, Policy::default(), serving, Capacity::default());
        let mut world = World {
            counter: Counter::default(),
            had: ledger::earned(&store),
            engine,
            scripts: host(&store, budget),
            store,
            now,
            inputs: VecDeque::new(),
            answers: BTreeMap::new(),
            next_ticket: 0,
            commits_left,
            torn: false,
            lies: false,
        };
        let store = world.store.clone();
        let steps = restart::recover(&mut world.engine, &store, now, 2).expect("it can be read");
        world.counter = Counter::of(&world.engine);
        for step in steps {
            world.carry_out(step);
        }
        let session = SessionId(1);
        world.inputs.push_back(Input::MachineJoined {
            session,
            machine: machine_id(),
            spec: spec(),
        });
        world
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn submit(&mut self, n: i64, key: &str) -> Ticket {
        self.submit_to("squares", n, key)
    }

    fn submit_to(&mut self, pipeline: &str, n: i64, key: &str) -> Ticket {
        let ticket = self.ticket();
        self.inputs.push_back(Input::Submit(Submit {
            ticket,
            workflow: ID,
            seed: 1,
            seeker: seeker(),
            pipeline: pipeline.to_string(),
            input: Value::map([("n", Value::Int(n))]),
            idempotency_key: key.to_string(),
            terms: froben_model::Terms::default(),
        }));
        ticket
    }

    /// Runs until nothing is left to do or the crash comes: `false` then.
    fn run(&mut self) -> bool {
        loop {
            let input = match self.inputs.pop_front() {
                Some(input) => input,
                None => match self.engine.next_timer() {
                    Some(due) if !self.engine.live.is_empty() => {
                        self.now = self.now.max(due);
                        Input::Tick
                    }
                    _ => return true,
                },
            };
            self.now += 1;
            let step = self.engine.handle(self.now, input);
            if !self.carry_out(step) {
                return false;
            }
        }
    }

    /// Commits and then acts. A crash comes between the two.
    fn carry_out(&mut self, step: Step) -> bool {
        if !step.batch.is_empty() {
            if self.commits_left == 0 || (self.torn && self.commits_left == 1) {
                return false;
            }
            self.store
                .commit(&step.batch)
                .expect("a store in memory takes it");
            self.commits_left -= 1;
            self.counter.count(&step, Duration::ZERO);
            ledger::figures_agree(self);
            if self.commits_left == 0 {
                return false;
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Reply { ticket, answer } => {
                    self.answers.insert(ticket, answer);
                }
                Effect::Script(command) => {
                    let input = self.scripts.obey(command).expect("the store can be read");
                    self.inputs.extend(input);
                }
                Effect::Machine {
                    session,
                    command: MachineCommand::Assign(task),
                } => self.work(session, task),
                Effect::Machine { .. } => {}
            }
        }
        true
    }

    /// A machine that squares, or tells whether another one has.
    fn work(&mut self, session: SessionId, task: Assignment) {
        let token = task.token;
        self.inputs.push_back(Input::Accepted { token });
        for (index, input) in task.items {
            let value = match checks::question(&input) {
                Some(question) => checks::answer(question),
                None => {
                    let number = input.as_int().expect("the script sends numbers");
                    Value::Int(number * number + i64::from(self.lies))
                }
            };
            let (ticket, outcome) = (self.ticket(), Ok(value));
            self.inputs.push_back(Input::Item {
                ticket,
                session,
                token,
                report: ItemReport::new(index, outcome),
            });
        }
        let ticket = self.ticket();
        self.inputs.push_back(Input::Finish {
            ticket,
            token,
            failure: None,
        });
    }

    fn bodies(&self) -> Vec<Body> {
        self.bodies_of(ID)
    }

    fn bodies_of(&self, id: WorkflowId) -> Vec<Body> {
        let records = self.store.read(id, 0, usize::MAX).expect("it can be read");
        records.into_iter().map(|(_, record)| record.body).collect()
    }

    fn ended(&self) -> (WorkflowState, Value) {
        let (_, summary) = &self.engine.ended[&ID];
        (summary.state, summary.output.clone())
    }
}

/// 1 + 100 + 4 + 400 + 9 + 900.
fn total_of_three() -> Value {
    Value::map([("total", Value::Int(1414))])
}

#[test]
fn a_workflow_runs_to_its_end() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    let ticket = world.submit(3, "");
    assert!(world.run());
    assert!(matches!(world.answers[&ticket], Answer::Submitted(Ok(ID))));
    assert_eq!(world.ended(), (WorkflowState::Succeeded, total_of_three()));
}

#[test]
fn a_crash_after_any_commit_changes_nothing_in_the_end() {
    let mut whole = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    whole.submit(3, "");
    assert!(whole.run());
    let commits = usize::MAX - whole.commits_left;
    assert!(
        commits > 15,
        "there is something to crash between: {commits}"
    );
    for crash_after in 1..commits {
        let mut first = World::start(MemoryStore::new(), SQUARES, 0, crash_after);
        first.submit(3, "");
        assert!(!first.run(), "it crashes after commit {crash_after}");
        // A second crash soon after the first.
        let mut second = World::start(first.store.crash(), SQUARES, first.now + 1000, 2);
        second.run();
        let mut third = World::start(second.store.crash(), SQUARES, second.now + 1000, usize::MAX);
        assert!(third.run());
        assert_eq!(
            third.ended(),
            (WorkflowState::Succeeded, total_of_three()),
            "crashed after commit {crash_after}"
        );
        counted_once(&third.bodies());
        ledger::paid_once(&third.store);
    }
}

/// Each call, item and end stands in the journal once.
fn counted_once(bodies: &[Body]) {
    let mut seen = BTreeSet::new();
    for body in bodies {
        let key = match body {
            Body::Called(called) => ("called", called.call, 0),
            Body::Item(item) => ("item", item.call, item.index),
            Body::Ended(ended) => ("ended", ended.call, 0),
            Body::Slept { call } => ("slept", *call, 0),
            Body::Finished(_) => ("finished", CallId(0), 0),
            _ => continue,
        };
        assert!(seen.insert(key), "{key:?} is there twice");
    }
}

#[test]
fn work_that_was_done_is_not_done_again() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "");
    // Up to the first item.
    while !world
        .bodies()
        .iter()
        .any(|body| matches!(body, Body::Item(_)))
    {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        world.carry_out(step);
    }
    let mut again = World::start(world.store.crash(), SQUARES, 10, usize::MAX);
    let mut offered = None;
    while offered.is_none() {
        let input = again.inputs.pop_front().expect("there is something to do");
        let step = again.engine.handle(again.now, input);
        offered = step.effects.iter().find_map(|effect| match effect {
            Effect::Machine {
                session: _,
                command: MachineCommand::Assign(task),
            } => Some(
                task.items
                    .iter()
                    .map(|(index, _)| *index)
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        });
        again.carry_out(step);
    }
    assert_eq!(
        offered,
        Some(vec![1]),
        "only the item that is missing is offered"
    );
    assert!(again.run());
    assert_eq!(again.ended().0, WorkflowState::Succeeded);
}

#[test]
fn one_key_starts_one_workflow_even_across_a_restart() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "k");
    let again = world.submit(1, "k");
    assert!(world.run());
    assert!(matches!(world.answers[&again], Answer::Submitted(Ok(ID))));
    let mut later = World::start(world.store.crash(), SQUARES, 100, usize::MAX);
    let again = later.submit(1, "k");
    assert!(later.run());
    assert!(matches!(later.answers[&again], Answer::Submitted(Ok(ID))));
    assert_eq!(
        later
            .bodies()
            .iter()
            .filter(|b| matches!(b, Body::Submitted(_)))
            .count(),
        1
    );
}

/// A coordinator that has crashed when it had handed out a task of one and ten, and the task's token.
fn crashed_at_work() -> (World, froben_model::LeaseToken) {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "");
    let mut old = None;
    while old.is_none() {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        old = step.effects.iter().find_map(|effect| match effect {
            Effect::Machine {
                session: _,
                command: MachineCommand::Assign(task),
            } => Some(task.token),
            _ => None,
        });
        world.carry_out(step);
    }
    let again = World::start(world.store.crash(), SQUARES, 10, usize::MAX);
    (again, old.expect("it was assigned"))
}

fn receipt(world: &World, ticket: Ticket) -> Receipt {
    match &world.answers[&ticket] {
        Answer::Receipt(receipt) => *receipt,
        other => panic!("{other:?} is no receipt"),
    }
}

fn total(total: i64) -> (WorkflowState, Value) {
    let output = Value::map([("total", Value::Int(total))]);
    (WorkflowState::Succeeded, output)
}

#[test]
fn a_value_of_before_the_restart_counts_if_it_is_its_own_machine_that_brings_it() {
    let (mut world, token) = crashed_at_work();
    let ticket = world.ticket();
    world.inputs.push_back(Input::Item {
        ticket,
        session: SessionId(1),
        token,
        report: ItemReport::new(0, Ok(Value::Int(7))),
    });
    assert!(world.run());
    assert_eq!(receipt(&world, ticket), Receipt::Recorded);
    // The one that the second attempt made as well was not asked for any more, or came second.
    assert_eq!(world.ended(), total(107));
    counted_once(&world.bodies());
    ledger::paid_once(&world.store);
}

#[test]
fn a_token_in_other_hands_is_stale() {
    let (mut world, token) = crashed_at_work();
    let (thief, machine) = (SessionId(2), MachineId::new("thief/m1").expect("a name"));
    let mut spec = spec();
    spec.operator = machine.operator();
    spec.cpu_kinds = Vec::new();
    world.inputs.push_back(Input::MachineJoined {
        session: thief,
        machine,
        spec,
    });
    let of = |epoch, attempt| froben_model::LeaseToken {
        epoch,
        attempt,
        ..token
    };
    let tokens = [token, of(1, 2), of(2, 2), of(2, 1)];
    let tickets = tokens.map(|token| {
        let ticket = world.ticket();
        world.inputs.push_back(Input::Item {
            ticket,
            session: thief,
            token,
            report: ItemReport::new(0, Ok(Value::Int(666))),
        });
        ticket
    });
    assert!(world.run());
    for ticket in tickets {
        assert_eq!(receipt(&world, ticket), Receipt::Stale);
    }
    assert_eq!(world.ended(), total(101));
}

#[test]
fn a_late_failure_is_nobodys_concern() {
    let (mut world, token) = crashed_at_work();
    let ticket = world.ticket();
    let failure = ItemError {
        class: ErrorClass::WorkerFailed,
        message: "it broke".to_string(),
        operator: None,
    };
    world.inputs.push_back(Input::Item {
        ticket,
        session: SessionId(1),
        token,
        report: ItemReport::new(0, Err(failure)),
    });
    assert!(world.run());
    assert_eq!(receipt(&world, ticket), Receipt::Stale);
    assert_eq!(world.ended(), total(101));
}

#[test]
fn a_machine_that_leaves_ends_its_delegations_and_the_script_hears_of_it() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "");
    let mut assigned = false;
    while !assigned {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        assigned = step
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Machine { .. }));
        world.carry_out(Step {
            effects: without_machines(step.effects),
            ..step
        });
    }
    let reason = "it is gone".to_string();
    world.inputs.push_back(Input::MachineLeft {
        session: SessionId(1),
        reason,
    });
    assert!(world.run());
    // Both items failed: the script counts them as minus one each.
    assert_eq!(
        world.ended(),
        (
            WorkflowState::Succeeded,
            Value::map([("total", Value::Int(-2))])
        )
    );
    let failures: Vec<_> = world
        .bodies()
        .into_iter()
        .filter_map(failure_class)
        .collect();
    assert_eq!(failures, [ErrorClass::Disconnected]);
}

fn without_machines(effects: Vec<Effect>) -> Vec<Effect> {
    effects
        .into_iter()
        .filter(|effect| !matches!(effect, Effect::Machine { .. }))
        .collect()
}

fn failure_class(body: Body) -> Option<ErrorClass> {
    match body {
        Body::Ended(ended) => ended.failure.map(|ItemError { class, .. }| class),
        _ => None,
    }
}

#[test]
fn a_cancel_ends_everything_and_only_its_owner_can() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    let submitted = world.submit(3, "");
    while !world.answers.contains_key(&submitted) {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        world.carry_out(step);
    }
    let (stranger, owner) = (world.ticket(), world.ticket());
    let other = SeekerId::new("eve").expect("a name");
    world.inputs.push_front(Input::Cancel {
        ticket: owner,
        seeker: seeker(),
        workflow: ID,
    });
    world.inputs.push_front(Input::Cancel {
        ticket: stranger,
        seeker: other,
        workflow: ID,
    });
    assert!(world.run());
    assert!(matches!(world.answers[&stranger], Answer::State(None)));
    assert!(matches!(
        world.answers[&owner],
        Answer::State(Some(WorkflowState::Cancelled))
    ));
    let records = world.store.read(ID, 0, usize::MAX).expect("it can be read");
    let records = records.iter().map(|(_, record)| record);
    let workflow = crate::workflow::Workflow::replay(ID, records).expect("records fit");
    assert!(
        workflow
            .detail()
            .delegations
            .iter()
            .all(|d| d.state == DelegationState::Cancelled)
    );
    assert_eq!(workflow.state(), WorkflowState::Cancelled);
}

#[test]
fn a_script_that_changed_under_a_workflow_is_caught() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, 5);
    world.submit(2, "");
    assert!(!world.run());
    let store = world.store.crash();
    let changed = SQUARES.replace("square/", "cube/");
    let other = Revision::check(&scripts(&changed).files, &Limits::default()).expect("it checks");
    let serving = serving(&store, SQUARES);
    let revisions = Revisions::new(Arc::new(store.clone()));
    revisions.keep(serving.hash(), Ok(Arc::new(other)));
    let mut engine = Engine::new(9, 7, Policy::default(), serving, Capacity::default());
    let mut host = ScriptHost::new(Arc::new(store.clone()), Arc::new(revisions), ROOMY);
    let steps = restart::recover(&mut engine, &store, 5, 1).expect("it can be read");
    let mut effects = steps.into_iter().flat_map(|step| step.effects);
    let command = effects.find_map(|effect| match effect {
        Effect::Script(command @ ScriptCommand::Rebuild { .. }) => Some(command),
        _ => None,
    });
    let input = host.obey(command.expect("the script is rebuilt"));
    let input = input.expect("it can be read").expect("it reports");
    engine.handle(6, input);
    let (_, summary) = &engine.ended[&ID];
    let failure = summary.failure.as_ref().expect("it failed");
    assert_eq!(failure.code, "FRB-LUA-008");
    assert!(
        failure.message.contains("square/1") && failure.message.contains("cube/1"),
        "{failure}"
    );
}

#[test]
fn what_is_wrong_with_a_submit_is_said() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    let mut refused = |pipeline: &str, input: Value, key: String| {
        let ticket = world.ticket();
        world.inputs.push_back(Input::Submit(Submit {
            ticket,
            workflow: ID,
            seed: 1,
            seeker: seeker(),
            pipeline: pipeline.to_string(),
            input,
            idempotency_key: key,
            terms: froben_model::Terms::default(),
        }));
        world.run();
        match world.answers.remove(&ticket) {
            Some(Answer::Submitted(Err(failure))) => failure.code,
            other => panic!("it was not refused: {other:?}"),
        }
    };
    let good = Value::map([("n", Value::Int(1))]);
    assert_eq!(refused("cubes", good.clone(), String::new()), "FRB-SUB-001");
    assert_eq!(refused("squares", Value::Nil, String::new()), "FRB-SUB-002");
    let wrong = Value::map([("n", Value::text("one"))]);
    assert_eq!(refused("squares", wrong, String::new()), "FRB-SUB-002");
    assert_eq!(refused("squares", good, "k".repeat(1000)), "FRB-SUB-005");
}

#[test]
fn a_damaged_journal_is_set_aside_and_keeps_its_key() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "k");
    assert!(world.run());
    let records = world.store.read(ID, 0, usize::MAX).expect("it can be read");
    let serving = serving(&world.store, SQUARES);
    let mut engine = Engine::new(9, 7, Policy::default(), serving, Capacity::default());
    let damaged = Recovered::damaged(ID, &records[0].1, "record 3 is damaged");
    engine.recover(5, damaged.expect("its submit can be read"));
    let (_, summary) = &engine.ended[&ID];
    let failure = summary.failure.as_ref().expect("it failed");
    assert_eq!(failure.code, "FRB-WFL-003");
    assert_eq!(engine.by_key.get(&(seeker(), "k".to_string())), Some(&ID));
}

#[test]
fn an_items_error_is_its_holders_and_a_value_that_lua_cannot_hold_is_an_error() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit(1, "");
    let mut task = None;
    while task.is_none() {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        task = step.effects.iter().find_map(|effect| match effect {
            Effect::Machine {
                session: _,
                command: MachineCommand::Assign(task),
            } => Some(task.token),
            _ => None,
        });
        world.carry_out(Step {
            effects: without_machines(step.effects),
            ..step
        });
    }
    let token = task.expect("it was assigned");
    let rival = OperatorId::new("rival").expect("a name");
    let error = ItemError {
        class: ErrorClass::NoCapacity,
        message: "nobody else, believe me".to_string(),
        operator: Some(rival),
    };
    for (index, outcome) in [(0, Err(error)), (1, Ok(Value::Int(1 << 60)))] {
        let ticket = world.ticket();
        world.inputs.push_back(Input::Item {
            ticket,
            session: SessionId(1),
            token,
            report: ItemReport::new(index, outcome),
        });
    }
    assert!(world.run());
    let errors: Vec<_> = world.bodies().into_iter().filter_map(item_error).collect();
    let classes: Vec<_> = errors.iter().map(|error| error.class).collect();
    assert_eq!(
        classes,
        [ErrorClass::WorkerFailed, ErrorClass::InvalidResult]
    );
    let operator = OperatorId::new("op").expect("a name");
    assert!(
        errors
            .iter()
            .all(|error| error.operator.as_ref() == Some(&operator)),
        "{errors:?}"
    );
}

fn item_error(body: Body) -> Option<ItemError> {
    match body {
        Body::Item(item) => item.outcome.err(),
        _ => None,
    }
}
