//! Workflows that run others.

use super::*;
use crate::children::child_id;
use crate::offline;

/// Runs `squares` as many times as it is told.
const FAMILY: &str = r#"
return workflow("family", { input = { n = "integer" }, output = { total = "number" } },
  function(ctx, input)
    local children = {}
    for i = 1, input.n do
      children[i] = ctx:run("squares", { n = 1 }, { key = "child/" .. i })
    end
    local first = ctx:race(children)
    ctx:log(`child {first} was first`)
    local total = 0
    for _, result in ctx:all(children) do
      total += if result.ok then result.value.total else -1000
    end
    return { total = total }
  end)
"#;

/// Runs itself, `n` levels down, and says how that ended.
const DEEP: &str = r#"
return workflow("deep", { input = { n = "integer" }, output = { depth = "integer", end_code = "string" } },
  function(ctx, input)
    if input.n == 0 then return { depth = 0, end_code = "none" } end
    local result = ctx:run("deep", { n = input.n - 1 }):await()
    if not result.ok then return { depth = 0, end_code = result.err.code } end
    return { depth = result.value.depth + 1, end_code = result.value.end_code }
  end)
"#;

/// More children than there are places, each of which waits for one of its own.
const WIDE: &str = r#"
return workflow("wide", { input = { n = "integer" }, output = { ok = "integer" } },
  function(ctx, input)
    local children, ok = {}, 0
    for i = 1, input.n do children[i] = ctx:run("deep", { n = 1 }) end
    for _, result in ctx:all(children) do
      if result.ok and result.value.depth == 1 then ok += 1 end
    end
    return { ok = ok }
  end)
"#;

/// Cancels one child, and returns while another runs.
const HASTY: &str = r#"
return workflow("hasty", { input = { n = "integer" }, output = { code = "string", message = "string" } },
  function(ctx, input)
    local cancelled, left = ctx:run("sleeper"), ctx:run("sleeper")
    ctx:sleep("1s")
    cancelled:cancel()
    local result = cancelled:await()
    return { code = result.err.code, message = result.err.message }
  end)
"#;

/// Goes on after a child that its seeker cancelled.
const MOURNING: &str = r#"
return workflow("mourning", { input = { n = "integer" }, output = { code = "string", lost = "integer" } },
  function(ctx)
    local a, b = ctx:run("sleeper"), ctx:run("sleeper")
    local lost = ctx:race({ a, b })
    local result = a:await()
    ctx:log(`lost {lost}: {result.err.code}`)
    ctx:sleep("1s")
    ctx:sleep("12s")
    b:cancel()
    b:await()
    return { code = result.err.code, lost = lost }
  end)
"#;

const SLEEPER: &str = r#"
return workflow("sleeper", {}, function(ctx)
  ctx:run("squares", { n = 1 })
  ctx:sleep("24h")
end)
"#;

const FAILING: &str = r#"
return workflow("failing", { input = { n = "integer" } }, function(ctx, input)
  if input.n == 0 then error("on purpose") end
  local result = ctx:run("failing", { n = 0 }):await()
  return { code = result.err.code, message = result.err.message }
end)
"#;

pub(super) fn files() -> BTreeMap<String, String> {
    [
        ("family", FAMILY),
        ("deep", DEEP),
        ("wide", WIDE),
        ("hasty", HASTY),
        ("mourning", MOURNING),
        ("sleeper", SLEEPER),
        ("failing", FAILING),
    ]
    .map(|(name, source)| (format!("pipelines/{name}.lua"), source.to_string()))
    .into()
}

fn run(pipeline: &str, n: i64) -> World {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit_to(pipeline, n, "");
    assert!(world.run());
    world
}

fn output(world: &World) -> Value {
    let (state, output) = world.ended();
    assert_eq!(
        state,
        WorkflowState::Succeeded,
        "{:?}",
        world.engine.ended[&ID]
    );
    output
}

#[test]
fn children_run_beside_each_other_and_show_whose_they_are() {
    let world = run("family", 3);
    assert_eq!(output(&world), Value::map([("total", Value::Int(303))]));
    let child = child_id(ID, CallId(2));
    let (owner, summary) = &world.engine.ended[&child];
    assert_eq!((owner, summary.parent), (&seeker(), Some(ID)));
    assert_eq!(world.engine.ended[&ID].1.parent, None);
    // Each draws random numbers of its own.
    let seeds: BTreeSet<u64> = [child_id(ID, CallId(1)), child, ID]
        .into_iter()
        .filter_map(|id| match &world.bodies_of(id)[0] {
            Body::Submitted(submitted) => Some(submitted.seed),
            _ => None,
        })
        .collect();
    assert_eq!(seeds.len(), 3);
}

#[test]
fn a_crash_after_any_commit_loses_no_child_and_starts_none_twice() {
    let whole = run("family", 2);
    let commits = usize::MAX - whole.commits_left;
    assert!(
        commits > 15,
        "there is something to crash between: {commits}"
    );
    for crash_after in 1..commits {
        let mut first = World::start(MemoryStore::new(), SQUARES, 0, crash_after);
        first.submit_to("family", 2, "");
        assert!(!first.run(), "it crashes after commit {crash_after}");
        let mut second = World::start(first.store.crash(), SQUARES, first.now + 1000, 2);
        second.run();
        let mut third = World::start(second.store.crash(), SQUARES, second.now + 1000, usize::MAX);
        assert!(third.run());
        assert_eq!(
            output(&third),
            Value::map([("total", Value::Int(202))]),
            "crashed after commit {crash_after}"
        );
        let workflows = third.store.workflows().expect("it can be read");
        assert_eq!(workflows.len(), 3);
        assert!(workflows.into_iter().all(|(_, over)| over));
        let ends = third.bodies();
        let ends = ends.iter().filter(|b| matches!(b, Body::ChildEnded { .. }));
        assert_eq!(ends.count(), 2);
    }
}

#[test]
fn a_childs_end_and_what_its_parent_hears_of_it_are_one_batch() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit_to("family", 1, "");
    let child = child_id(ID, CallId(1));
    let mut seen = 0;
    while let Some(input) = world.inputs.pop_front().or_else(|| {
        let due = world
            .engine
            .next_timer()
            .filter(|_| !world.engine.live.is_empty())?;
        world.now = world.now.max(due);
        Some(Input::Tick)
    }) {
        let step = world.engine.handle(world.now, input);
        let has = |wanted: fn(&Body) -> bool, whose| {
            let mut records = step.batch.records.iter();
            records.any(|(id, _, record)| *id == whose && wanted(&record.body))
        };
        let ended = has(|body| matches!(body, Body::Finished(_)), child);
        let heard = has(|body| matches!(body, Body::ChildEnded { .. }), ID);
        assert_eq!(ended, heard);
        seen += usize::from(ended);
        world.carry_out(step);
    }
    assert_eq!(seen, 1);
}

#[test]
fn children_nest_four_levels_deep_and_no_deeper() {
    for (n, depth, code) in [(4, 4, "none"), (7, 4, "FRB-WFL-011")] {
        let world = run("deep", n);
        let expected = Value::map([
            ("depth", Value::Int(depth)),
            ("end_code", Value::text(code)),
        ]);
        assert_eq!(output(&world), expected);
    }
}

#[test]
fn more_children_than_places_wait_and_never_for_each_other() {
    let world = run("wide", 450);
    assert_eq!(output(&world), Value::map([("ok", Value::Int(450))]));
    assert_eq!(world.engine.ended.len(), 901);
}

#[test]
fn no_more_run_at_once_than_there_are_places() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit_to("wide", 450, "");
    let mut most = 0;
    while let Some(input) = world.inputs.pop_front() {
        let step = world.engine.handle(world.now, input);
        world.carry_out(step);
        let level = |wanted| {
            let live = world.engine.live.values();
            live.filter(|live| live.parent.map_or(0, |parent| parent.depth) == wanted)
                .count()
        };
        assert!(level(1) <= 200 && level(2) <= 200);
        most = most.max(level(1));
    }
    assert_eq!(most, 200);
}

#[test]
fn a_child_ends_with_its_parent_and_by_its_cancel() {
    let world = run("hasty", 0);
    let expected = Value::map([
        ("code", Value::text("FRB-WFL-010")),
        ("message", Value::text("the child was cancelled")),
    ]);
    assert_eq!(output(&world), expected);
    for call in [1, 2] {
        let child = child_id(ID, CallId(call));
        let grandchild = child_id(child, CallId(1));
        assert_eq!(world.engine.ended[&child].1.state, WorkflowState::Cancelled);
        // They were over before their parents' patience was.
        let (_, summary) = &world.engine.ended[&grandchild];
        assert!(
            summary.ended_ms.is_some_and(|at| at < 10_000),
            "{summary:?}"
        );
    }
    assert!(world.engine.live.is_empty());
    assert!(world.now < 10_000, "nobody waits 24 h: {}", world.now);
}

#[test]
fn a_seekers_cancel_reaches_the_grandchildren() {
    let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
    world.submit_to("hasty", 0, "");
    let grandchild = child_id(child_id(ID, CallId(1)), CallId(1));
    while !world.engine.live.contains_key(&grandchild) {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        world.carry_out(step);
    }
    let ticket = world.ticket();
    world.inputs.push_front(Input::Cancel {
        ticket,
        seeker: seeker(),
        workflow: ID,
    });
    assert!(world.run());
    let mut states = world
        .engine
        .ended
        .values()
        .map(|(_, summary)| summary.state);
    assert!(states.all(|state| state == WorkflowState::Cancelled));
    assert!(world.engine.ended.len() >= 4);
}

#[test]
fn a_child_that_fails_is_data() {
    let world = run("failing", 1);
    let expected = Value::map([
        ("code", Value::text("FRB-LUA-002")),
        (
            "message",
            Value::text("pipelines/failing.lua:3: on purpose"),
        ),
    ]);
    assert_eq!(output(&world), expected);
}

#[test]
fn a_child_whose_parent_is_damaged_is_given_up_and_the_reverse_is_told() {
    let child = child_id(ID, CallId(1));
    for (damaged, whole, state) in [
        (ID, child, WorkflowState::Cancelled),
        (child, ID, WorkflowState::Succeeded),
    ] {
        let mut world = World::start(MemoryStore::new(), SQUARES, 0, usize::MAX);
        world.submit_to("family", 1, "");
        while !world.engine.live.contains_key(&child) {
            let input = world.inputs.pop_front().expect("there is something to do");
            let step = world.engine.handle(world.now, input);
            world.carry_out(step);
        }
        let store = world.store.crash();
        let read = |id| store.read(id, 0, usize::MAX).expect("it can be read");
        let serving = serving(&store, SQUARES);
        let mut engine = Engine::new(9, 7, Policy::default(), serving, Capacity::default());
        let first = &read(damaged)[0].1;
        let damaged = Recovered::damaged(damaged, first, "it is damaged");
        engine.recover(5, damaged.expect("its submit can be read"));
        let records = read(whole).into_iter().map(|(_, record)| record);
        let records: Vec<_> = records.collect();
        let workflow = crate::workflow::Workflow::replay(whole, &records).expect("records fit");
        let recovered = engine.recover(5, Recovered::live(workflow, None, Totals::default()));
        let mut host = host(&store, ROOMY);
        let mut steps = VecDeque::from([recovered, engine.settle_children(5)]);
        while let Some(step) = steps.pop_front() {
            store
                .commit(&step.batch)
                .expect("a store in memory takes it");
            for effect in step.effects {
                if let Effect::Script(command) = effect
                    && let Some(input) = host.obey(command).expect("it can be read")
                {
                    steps.push_back(engine.handle(6, input));
                }
            }
        }
        let (_, summary) = &engine.ended[&whole];
        assert_eq!(summary.state, state, "{summary:?}");
    }
}

/// A workflow whose first child was cancelled by the seeker, as far as that is written down.
fn mourning(commits: usize, budget: Budget) -> World {
    let mut world = World::start_with(MemoryStore::new(), SQUARES, 0, commits, budget);
    world.submit_to("mourning", 0, "");
    let child = child_id(ID, CallId(1));
    while !world.engine.live.contains_key(&child) {
        let input = world.inputs.pop_front().expect("there is something to do");
        let step = world.engine.handle(world.now, input);
        assert!(world.carry_out(step));
    }
    let ticket = world.ticket();
    let cancel = Input::Cancel {
        ticket,
        seeker: seeker(),
        workflow: child,
    };
    let step = world.engine.handle(world.now, cancel);
    assert!(world.carry_out(step));
    world
}

#[test]
fn a_child_that_its_seeker_cancelled_is_over_in_every_life_of_its_parent() {
    let expected = Value::map([
        ("code", Value::text("FRB-WFL-010")),
        ("lost", Value::Int(1)),
    ]);
    let mut whole = mourning(usize::MAX, ROOMY);
    let before = usize::MAX - whole.commits_left;
    assert!(whole.run());
    assert_eq!(output(&whole), expected);
    let commits = usize::MAX - whole.commits_left;
    assert!(commits > before + 4, "{before} to {commits}");
    for budget in [ROOMY, NONE] {
        for crash_after in before + 1..commits {
            let mut first = mourning(crash_after, budget);
            assert!(!first.run(), "it crashes after commit {crash_after}");
            let now = first.now + 1000;
            let mut then = World::start_with(first.store.crash(), SQUARES, now, usize::MAX, budget);
            assert!(then.run());
            assert_eq!(output(&then), expected, "commit {crash_after}");
            assert!(then.now < 60_000, "nobody waits 24 h: {}", then.now);
        }
    }

    // An export says the same, and a fork keeps what its seeker cancelled, not what the end took away.
    let records = offline::records(&whole.store, ID).expect("it can be read");
    let history = crate::History::read(ID, &records).expect("it fits");
    let revision = whole.engine.serving.revision.clone();
    let replayed = crate::replay(&history, usize::MAX, &revision, Limits::default());
    let beyond = replayed.unwrap_or_else(|why| panic!("{why}")).beyond;
    assert_eq!(beyond.calls, []);
    assert_eq!(beyond.state, froben_script::State::Returned(expected));
    let hash = whole.engine.serving.hash();
    let fork = offline::cut(ID, &records, "#5", hash, &revision).expect("it can be forked");
    let ends = fork
        .iter()
        .filter(|record| matches!(record.body, Body::ChildEnded { .. }));
    assert_eq!(ends.count(), 1);
}
