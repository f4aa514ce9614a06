//! Values that are checked: what a script is told of them, what is paid, and what a crash leaves of it.

use froben_journal::{Account, Balance, Cause, Item};
use froben_model::CallId;

use super::*;

const CHECKED: &str = r#"
return workflow("squares", { input = { n = "integer" }, output = { total = "number" } },
  function(ctx, input)
    local ds = {}
    for i = 1, input.n do
      ds[i] = ctx:delegate {
        kind = "test.square/1", key = "square/" .. i, items = { i, 10 * i }, check = "test.check/1",
        needs = { cpu_cores = 1, ram = "1MiB", shared = true }, timeout = "1m", queue_timeout = "1m" }
    end
    local total = 0
    for _, item in ctx:stream(ds) do
      if item.ok then
        total = total + item.value
      else
        ctx:log(`{item.err.class} of {item.err.operator or "nobody"}: {item.err.message}`)
      end
    end
    return { total = total }
  end)
"#;

const PRICE: u64 = ledger::PRICE;
const CHECK_PRICE: u64 = 7;

const FORK: WorkflowId = WorkflowId([2; 16]);

/// What a check was asked: the item and the value that came for it.
pub(super) fn question(item: &Value) -> Option<(i64, i64)> {
    let number = |name| item.get(name).and_then(Value::as_int);
    Some((number("item")?, number("value")?))
}

/// Whether a number is the square of another.
pub(super) fn answer((number, square): (i64, i64)) -> Value {
    let ok = square == number * number;
    let reason = format!("{square} is not the square of {number}");
    Value::map([("ok", Value::Bool(ok)), ("reason", Value::text(reason))])
}

fn referee() -> OperatorId {
    OperatorId::new("referee").expect("a name")
}

/// A coordinator's life with a machine that squares and one that checks, which is trusted or not.
fn start(store: MemoryStore, now: TimeMs, commits_left: usize, trusted: bool) -> World {
    let mut world = World::start(store, CHECKED, now, commits_left);
    let kind = Kind::new("test.check/1").expect("a kind");
    let checker = MachineSpec {
        operator: referee(),
        cpu_kinds: vec![kind.clone()],
        prices: vec![(kind.clone(), Amount(CHECK_PRICE))],
        ..spec()
    };
    world.inputs.push_back(Input::MachineJoined {
        session: SessionId(2),
        machine: MachineId::of(&referee(), "m1").expect("a name"),
        spec: checker,
    });
    if trusted {
        let operators = BTreeSet::from([referee()]);
        world.inputs.push_back(Input::Trust { operators });
    }
    world
}

fn items(bodies: &[Body]) -> Vec<&Item> {
    let items = bodies.iter().filter_map(|body| match body {
        Body::Item(item) => Some(item),
        _ => None,
    });
    items.collect()
}

/// What each account of an operator has.
fn earned(store: &MemoryStore) -> BTreeMap<OperatorId, Balance> {
    let balances = store.balances().expect("a read").into_iter();
    let earned = balances.filter_map(|(account, balance)| match account {
        Account::Operator(operator) => Some((operator, balance)),
        Account::Held(_) => {
            assert_eq!(balance, 0, "nothing stays held");
            None
        }
        Account::Seeker(_) | Account::Budget(_) => None,
    });
    earned.collect()
}

/// What the figures tell of money, by kind.
fn credited(world: &World) -> BTreeMap<String, Amount> {
    let kinds = world.counter.figures().kinds.into_iter();
    kinds.map(|(kind, of)| (kind, of.credited)).collect()
}

/// The same for so many squares and checks.
fn credits(squares: u64, checks: u64) -> BTreeMap<String, Amount> {
    let of = [
        ("test.check/1", checks * CHECK_PRICE),
        ("test.square/1", squares * PRICE),
    ];
    of.map(|(kind, paid)| (kind.to_string(), Amount(paid)))
        .into()
}

/// What operators were paid for so many squares and checks.
fn paid(squares: u64, checks: u64) -> BTreeMap<OperatorId, Balance> {
    let op = OperatorId::new("op").expect("a name");
    let of = [
        (op, Balance::from(squares * PRICE)),
        (referee(), Balance::from(checks * CHECK_PRICE)),
    ];
    of.into_iter().filter(|(_, balance)| *balance > 0).collect()
}

#[test]
fn a_value_reaches_the_script_once_it_is_approved() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.submit(3, "");
    assert!(world.run());
    assert_eq!(world.ended().1, total_of_three());
    let bodies = world.bodies();
    let at = |wanted: &dyn Fn(&Body) -> bool| bodies.iter().position(wanted).expect("it is there");
    let (call, check) = (CallId(1), CallId(1).check(1));
    let of = |body: &Body, call| matches!(body, Body::Item(i) if i.call == call && (i.index == 1 || call == check));
    let claimed = at(&|body| matches!(body, Body::Claimed(i) if i.call == call && i.index == 1));
    let asked = at(&|body| matches!(body, Body::Assigned(a) if a.call == check));
    let (verdict, counted) = (
        at(&|body| matches!(body, Body::Item(i) if i.call == check)),
        at(&|body| of(body, call)),
    );
    assert!(claimed < asked && asked < verdict && verdict < counted);
    assert_eq!(earned(&world.store), paid(6, 6));
    counted_once(&bodies);
}

#[test]
fn a_wrong_value_reaches_neither_the_script_nor_the_ledger() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.lies = true;
    world.submit(1, "");
    assert!(world.run());
    assert_eq!(world.ended(), total(0));
    assert_eq!(credited(&world), credits(0, 2));
    let bodies = world.bodies();
    let told = bodies.iter().filter_map(|body| match body {
        Body::Called(called) => match &called.op {
            froben_journal::CallOp::Log { text } => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "invalid_result of op: its check rejected it: 2 is not the square of 1",
            "invalid_result of op: its check rejected it: 101 is not the square of 10",
        ]
    );
    assert_eq!(earned(&world.store), paid(0, 2));
    let view = world
        .engine
        .machine_views()
        .into_iter()
        .find(|m| m.name == machine_id());
    let view = view.expect("it is connected");
    assert_eq!((view.succeeded, view.failed), (0, 2));
}

#[test]
fn without_anybody_trusted_an_item_ends_unchecked() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, false);
    world.submit(1, "");
    assert!(world.run());
    assert_eq!(world.ended(), total(0));
    let bodies = world.bodies();
    let errors: Vec<_> = items(&bodies)
        .into_iter()
        .filter_map(|item| item.outcome.as_ref().err())
        .collect();
    assert_eq!(errors.len(), 2);
    for error in errors {
        assert_eq!(
            (error.class, &error.operator),
            (ErrorClass::NoCapacity, &None)
        );
        assert_eq!(
            error.message,
            "nobody trusted has checked it: no machine took it within 60 s (1 machine offers \
             test.check/1: not of a trusted operator)"
        );
    }
    assert_eq!(earned(&world.store), paid(0, 0));
    let views = world.engine.machine_views();
    assert!(
        views.iter().all(|view| view.failed == 0),
        "nobody is to blame"
    );
}

#[test]
fn a_crash_after_any_commit_pays_each_approved_item_once() {
    for lies in [false, true] {
        let (squares, expected) = match lies {
            false => (4, total(505)),
            true => (0, total(0)),
        };
        let mut whole = start(MemoryStore::new(), 0, usize::MAX, true);
        whole.lies = lies;
        whole.submit(2, "");
        assert!(whole.run());
        assert_eq!(whole.ended(), expected);
        let commits = usize::MAX - whole.commits_left;
        assert!(commits > 15, "there is something to crash between");
        for crash_after in 1..commits {
            let mut first = start(MemoryStore::new(), 0, crash_after, true);
            first.lies = lies;
            first.submit(2, "");
            assert!(!first.run());
            // A second crash soon after the first.
            let mut second = start(first.store.crash(), first.now + 1000, 3, true);
            second.lies = lies;
            second.run();
            let mut third = start(second.store.crash(), second.now + 1000, usize::MAX, true);
            third.lies = lies;
            assert!(third.run());
            third
                .engine
                .check_invariants()
                .expect("the books are square");
            assert_eq!(
                third.ended(),
                expected,
                "crashed after commit {crash_after}"
            );
            counted_once(&third.bodies());
            assert_eq!(earned(&third.store), paid(squares, 4), "{crash_after}");
        }
    }
}

#[test]
fn a_workflow_that_is_cancelled_leaves_nothing_to_check() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.submit(2, "");
    let claimed = |world: &World| {
        let bodies = world.bodies();
        bodies.iter().any(|body| matches!(body, Body::Claimed(_)))
    };
    while !claimed(&world) {
        let input = world.inputs.pop_front().expect("something to do");
        world.now += 1;
        let step = world.engine.handle(world.now, input);
        assert!(world.carry_out(step));
        world
            .engine
            .check_invariants()
            .expect("the books are square");
    }
    let ticket = world.ticket();
    world.inputs.push_front(Input::Cancel {
        ticket,
        seeker: seeker(),
        workflow: ID,
    });
    assert!(world.run());
    assert_eq!(world.ended().0, WorkflowState::Cancelled);
    assert_eq!(earned(&world.store), paid(0, 0));
    let settled = |posting: &froben_journal::Posting| posting.cause == Cause::Settle;
    let postings = world.store.postings(None, 1, usize::MAX).expect("a read");
    assert!(!postings.iter().any(settled));
}

#[test]
fn what_no_check_could_be_sent_is_refused() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.submit(1, "");
    let mut token = None;
    while token.is_none() {
        let input = world.inputs.pop_front().expect("something to do");
        let step = world.engine.handle(world.now, input);
        token = step.effects.iter().find_map(|effect| match effect {
            Effect::Machine {
                session: _,
                command: MachineCommand::Assign(task),
            } => Some(task.token),
            _ => None,
        });
        let effects = without_machines(step.effects);
        world.carry_out(Step { effects, ..step });
    }
    let heavy = Value::text("x".repeat(froben_model::limits::VALUE_BYTES - 16));
    let ticket = world.ticket();
    let step = world.engine.handle(
        world.now,
        Input::Item {
            ticket,
            session: SessionId(1),
            token: token.expect("it was assigned"),
            report: ItemReport::new(0, Ok(heavy)),
        },
    );
    world.carry_out(step);
    let bodies = world.bodies();
    let error = items(&bodies)[0]
        .outcome
        .as_ref()
        .expect_err("it is too heavy");
    assert_eq!(error.class, ErrorClass::BadRequest);
    assert!(
        error.message.contains("what a check of it would be sent"),
        "{}",
        error.message
    );
}

/// Runs until the journal has a record like this.
fn run_until(world: &mut World, wanted: impl Fn(&Body) -> bool) {
    while !world.bodies().iter().any(&wanted) {
        let input = match world.inputs.pop_front() {
            Some(input) => input,
            None => {
                let due = world.engine.next_timer();
                world.now = world.now.max(due.expect("something will come"));
                Input::Tick
            }
        };
        world.now += 1;
        let step = world.engine.handle(world.now, input);
        assert!(world.carry_out(step));
    }
}

#[test]
fn a_fork_makes_anew_what_was_being_checked() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.submit(2, "");
    let counted = |body: &Body| matches!(body, Body::Item(item) if item.call.checked().is_none());
    run_until(&mut world, counted);
    let bodies = world.bodies();
    assert!(bodies.iter().any(|body| matches!(body, Body::Claimed(_))));
    let records = crate::offline::records(&world.store, ID).expect("a read");
    let serving = &world.engine.serving;
    let (hash, revision) = (serving.hash(), serving.revision.clone());
    let records = crate::offline::cut(ID, &records, "3", hash, &revision).expect("it can be cut");
    let ticket = world.ticket();
    world.inputs.push_back(Input::Fork(crate::input::Fork {
        ticket,
        workflow: FORK,
        seeker: seeker(),
        idempotency_key: "fork".to_string(),
        records,
    }));
    assert!(world.run());
    world
        .engine
        .check_invariants()
        .expect("the books are square");
    let (_, fork) = &world.engine.ended[&FORK];
    assert_eq!(fork.output, total(505).1);
    counted_once(&world.bodies_of(FORK));
    // Its first item is the other one's; the rest it pays for itself.
    let kept = items(&bodies)
        .iter()
        .filter(|item| item.call.checked().is_none())
        .count() as u64;
    assert_eq!(earned(&world.store), paid(4 + 4 - kept, 4 + 4 - kept));
    assert_eq!(credited(&world), credits(4 + 4 - kept, 4 + 4 - kept));
}

#[test]
fn a_checker_that_says_nothing_of_use_is_asked_elsewhere() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, true);
    world.submit(1, "");
    run_until(
        &mut world,
        |body| matches!(body, Body::Assigned(assigned) if assigned.call.checked().is_some()),
    );
    let asked = |body: &Body| match body {
        Body::Assigned(assigned) if assigned.call.checked().is_some() => Some(assigned.clone()),
        _ => None,
    };
    let asked = world.bodies().iter().find_map(asked).expect("it was asked");
    let token = froben_model::LeaseToken {
        workflow: ID,
        call: asked.call,
        attempt: asked.attempt,
        epoch: asked.epoch,
    };
    let ticket = world.ticket();
    world.inputs.push_front(Input::Item {
        ticket,
        session: SessionId(2),
        token,
        report: ItemReport::new(0, Ok(Value::text("looks good to me"))),
    });
    assert!(world.run());
    assert_eq!(receipt(&world, ticket), Receipt::Recorded);
    let bodies = world.bodies();
    let requeued = bodies.iter().find_map(|body| match body {
        Body::Requeued {
            call,
            reason,
            fault,
            ..
        } if *call == asked.call => Some((reason, fault)),
        _ => None,
    });
    let (reason, fault) = requeued.expect("it is asked again");
    assert_eq!(
        (reason.as_str(), *fault),
        (
            "invalid_result: a check answers with a boolean or a table with `ok`, not with a string",
            true
        )
    );
    assert_eq!(world.ended(), total(101));
    assert_eq!(earned(&world.store), paid(2, 2));
}

#[test]
fn what_is_checked_is_shown_so() {
    let mut world = start(MemoryStore::new(), 0, usize::MAX, false);
    world.submit(1, "");
    run_until(
        &mut world,
        |body| matches!(body, Body::Claimed(item) if item.index == 1),
    );
    let detail = world.engine.live[&ID].detail();
    let shown: Vec<_> = detail
        .delegations
        .iter()
        .map(|it| (it.key.as_str(), it.state.name(), it.items_ok))
        .collect();
    assert_eq!(
        shown,
        [
            ("square/1", "checking", 0),
            ("square/1/check/0", "queued", 0),
            ("square/1/check/1", "queued", 0),
        ]
    );
    let why = |which| {
        let why = world.engine.why(&seeker(), ID, which);
        let why = why.expect("it is there").expect("it is a delegation");
        (
            why.waits.unwrap_or_default(),
            why.machines[1].reason.clone(),
        )
    };
    assert_eq!(why("square/1").0, "2 items wait for their checks");
    let (waits, reason) = why("square/1/check/1");
    assert_eq!(
        waits,
        "1 machine offers test.check/1: not of a trusted operator"
    );
    assert_eq!(
        reason,
        "the task is a check, and operator referee is not trusted"
    );
    // Somebody is trusted after all.
    let operators = BTreeSet::from([referee()]);
    world.inputs.push_back(Input::Trust { operators });
    assert!(world.run());
    assert_eq!(world.ended(), total(101));
}
