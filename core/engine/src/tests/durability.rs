//! What a coordinator that dies, that has no room, or that is told to wait must not change: how a
//! workflow ends, and what its script asks for on the way.

use froben_journal::{Assigned, Batch, CallOp, Called, Record, Started};
use froben_model::ItemError;
use froben_model::view::WorkflowState;

use super::*;
use crate::effect::Migration;
use crate::input::Fork;
use crate::offline::{self, Want};
use crate::workflow::Workflow;

/// Fifty delegations in two waves, a failure among them, a timer, and a line for whoever reads along.
/// What it calls does not depend on who is faster.
const FIFTY: &str = r#"
return workflow("squares", { input = { n = "integer" }, output = { total = "number" } },
  function(ctx, input)
    local function wave(name, from, to)
      local ds = {}
      for i = from, to do
        ds[#ds + 1] = ctx:delegate {
          kind = "test.square/1", key = name .. "/" .. i, input = { wave = name }, items = { i },
          needs = { cpu_cores = 1, ram = "1MiB", shared = true }, timeout = "1m" }
      end
      local sum, seen = 0, 0
      for _, item in ctx:stream(ds) do
        seen = seen + 1
        sum = sum + item.value
        if seen % 5 == 0 then ctx:status { phase = name, done = seen, total = #ds } end
      end
      return sum
    end
    local half = input.n // 2
    local first = wave("first", 1, half)
    ctx:sleep("2s")
    ctx:log("half way, " .. math.random(1000))
    local second = wave("second", half + 1, input.n)
    return { total = first + second }
  end)
"#;

const N: i64 = 50;

fn total() -> Value {
    let total = (1..=N).map(|n| n * n).sum();
    Value::map([("total", Value::Int(total))])
}

/// The calls that a journal holds, without lines.
fn calls(world: &World, id: WorkflowId) -> Vec<(CallId, CallOp)> {
    let records = world.store.read(id, 0, usize::MAX).expect("it can be read");
    let called = |(_, record): (u64, Record)| match record.body {
        Body::Called(Called { call, op, .. }) => Some((call, op)),
        _ => None,
    };
    records.into_iter().filter_map(called).collect()
}

fn fifty(commits: usize) -> World {
    let mut world = World::start(MemoryStore::new(), FIFTY, 0, commits);
    world.submit(N, "");
    world
}

fn undisturbed() -> (World, usize) {
    let mut world = fifty(usize::MAX);
    assert!(world.run());
    assert_eq!(world.ended(), (WorkflowState::Succeeded, total()));
    let commits = usize::MAX - world.commits_left;
    assert!(commits > 100, "{commits} commits");
    (world, commits)
}

fn same_in_the_end(world: &World, whole: &World, when: &str) {
    assert_eq!(world.ended(), (WorkflowState::Succeeded, total()), "{when}");
    assert_eq!(calls(world, ID), calls(whole, ID), "{when}");
    counted_once(&world.bodies());
}

#[test]
fn a_crash_at_any_write_changes_neither_the_end_nor_the_calls() {
    let (whole, commits) = undisturbed();
    for torn in [false, true] {
        for at in 1..commits {
            let mut first = fifty(at);
            first.torn = torn;
            assert!(!first.run(), "it crashes at write {at}");
            let now = first.now + 1000;
            let mut then = World::start(first.store.crash(), FIFTY, now, usize::MAX);
            if torn && at == 1 {
                // Nothing was written: nobody was told of a workflow.
                assert!(then.engine.live.is_empty());
                then.submit(N, "");
            }
            assert!(then.run());
            same_in_the_end(&then, &whole, &format!("write {at}, torn: {torn}"));
        }
    }
}

#[test]
fn without_room_for_any_vm_everything_is_the_same() {
    let (whole, commits) = undisturbed();
    let mut narrow = World::start_with(MemoryStore::new(), FIFTY, 0, usize::MAX, NONE);
    narrow.submit(N, "");
    assert!(narrow.run());
    assert!(narrow.scripts.evicted > 20, "{}", narrow.scripts.evicted);
    assert_eq!(narrow.scripts.holds(), []);
    assert_eq!(usize::MAX - narrow.commits_left, commits);
    assert_eq!(narrow.bodies(), whole.bodies());
}

#[test]
fn a_crash_at_any_write_without_room_changes_nothing_either() {
    let (whole, commits) = undisturbed();
    for at in (1..commits).step_by(3) {
        let mut first = World::start_with(MemoryStore::new(), FIFTY, 0, at, NONE);
        first.submit(N, "");
        assert!(!first.run(), "it crashes at write {at}");
        let now = first.now + 1000;
        let mut then = World::start_with(first.store.crash(), FIFTY, now, usize::MAX, NONE);
        assert!(then.run());
        same_in_the_end(&then, &whole, &format!("write {at}"));
    }
}

impl World {
    fn pause(&mut self, paused: bool) -> Option<WorkflowState> {
        let ticket = self.ticket();
        let input = Input::Pause {
            ticket,
            seeker: seeker(),
            workflow: ID,
            paused,
        };
        self.now += 1;
        let step = self.engine.handle(self.now, input);
        if !self.carry_out(step) {
            return None;
        }
        match self.answers.remove(&ticket) {
            Some(Answer::State(state)) => state,
            other => panic!("not a state: {other:?}"),
        }
    }

    /// Handles what is there, at most `inputs` of it; `false` if the crash came.
    fn run_some(&mut self, inputs: usize) -> bool {
        for _ in 0..inputs {
            let Some(input) = self.inputs.pop_front() else {
                break;
            };
            self.now += 1;
            let step = self.engine.handle(self.now, input);
            if !self.carry_out(step) {
                return false;
            }
        }
        true
    }

    fn busy(&self) -> usize {
        let workflow = &self.engine.live[&ID];
        let assigned = |state| {
            let busy = [DelegationState::Assigned, DelegationState::Running];
            busy.contains(&state)
        };
        let delegations = workflow.detail().delegations;
        delegations.iter().filter(|d| assigned(d.state)).count()
    }
}

/// Runs `steps` inputs, pauses, lets a minute pass, and gives what it led to. `false`: it crashed.
fn paused_in_the_middle(world: &mut World, steps: usize) -> bool {
    if !world.run_some(steps) {
        return false;
    }
    if world.engine.live.is_empty() {
        return world.run();
    }
    if world.pause(true).is_none() {
        return false;
    }
    // What runs finishes; nothing new begins, however long it takes.
    if !world.run_some(usize::MAX) {
        return false;
    }
    if !world.engine.live.contains_key(&ID) {
        return true;
    }
    world.now += 60_000;
    world.inputs.push_back(Input::Tick);
    if !world.run_some(usize::MAX) {
        return false;
    }
    assert_eq!(world.busy(), 0, "a paused workflow holds no machine");
    let calls_before = calls(world, ID).len();
    if world.pause(true).is_none() {
        return false;
    }
    assert_eq!(calls(world, ID).len(), calls_before);
    world.pause(false).is_some() && world.run()
}

#[test]
fn a_pause_anywhere_is_only_a_pause() {
    let (whole, _) = undisturbed();
    for steps in (1..400).step_by(7) {
        for budget in [ROOMY, NONE] {
            let mut world = World::start_with(MemoryStore::new(), FIFTY, 0, usize::MAX, budget);
            world.submit(N, "");
            assert!(paused_in_the_middle(&mut world, steps));
            same_in_the_end(&world, &whole, &format!("paused after {steps} inputs"));
        }
    }
}

#[test]
fn a_pause_survives_a_crash_at_any_write() {
    let (whole, commits) = undisturbed();
    for at in 2..commits {
        let mut first = fifty(at);
        if paused_in_the_middle(&mut first, 120) {
            continue;
        }
        let paused = first
            .bodies()
            .iter()
            .filter(|body| matches!(body, Body::Paused | Body::Resumed))
            .count();
        let now = first.now + 1000;
        let mut then = World::start(first.store.crash(), FIFTY, now, usize::MAX);
        if paused == 1 {
            assert!(then.run_some(usize::MAX));
            then.now += 60_000;
            then.inputs.push_back(Input::Tick);
            assert!(then.run_some(usize::MAX));
            let detail = then.engine.live[&ID].detail();
            assert_eq!(detail.summary.state, WorkflowState::Paused);
            assert_eq!(then.busy(), 0);
            assert_eq!(then.pause(false), Some(WorkflowState::Running));
        }
        assert!(then.run());
        same_in_the_end(&then, &whole, &format!("write {at}"));
    }
}

const FORK: WorkflowId = WorkflowId([2; 16]);

/// Forks the workflow of `world` from `step` on its own revision.
fn fork(world: &mut World, step: &str) -> Result<(), froben_model::view::Failure> {
    fork_as(FORK, world, step).map(|_| ())
}

/// The same with an id of its own, but by the same key.
fn fork_as(
    workflow: WorkflowId,
    world: &mut World,
    step: &str,
) -> Result<Ticket, froben_model::view::Failure> {
    let records = offline::records(&world.store, ID).expect("it can be read");
    let hash = world.engine.serving.hash();
    let revision = world.engine.serving.revision.clone();
    let records = offline::cut(ID, &records, step, hash, &revision)?;
    let ticket = world.ticket();
    world.inputs.push_back(Input::Fork(Fork {
        ticket,
        workflow,
        seeker: seeker(),
        idempotency_key: "fork".to_string(),
        records,
    }));
    Ok(ticket)
}

fn attempts(world: &World, id: WorkflowId) -> usize {
    let records = world.store.read(id, 0, usize::MAX).expect("it can be read");
    let forked = match &records[0].1.body {
        Body::Submitted(submitted) => submitted.forked_from.as_ref(),
        _ => None,
    };
    let carried = forked.map_or(0, |from| from.carried);
    let own = records.iter().filter(|(seq, _)| *seq > carried);
    own.filter(|(_, record)| matches!(record.body, Body::Assigned(_)))
        .count()
}

fn fork_ended(world: &World) -> (WorkflowState, Value) {
    let (_, summary) = &world.engine.ended[&FORK];
    (summary.state, summary.output.clone())
}

#[test]
fn a_fork_knows_which_of_two_attempts_was_lost() {
    let mut world = fifty(usize::MAX);
    let assigned = |world: &World| {
        world.bodies().into_iter().find_map(|body| match body {
            Body::Assigned(assigned) => Some(assigned),
            _ => None,
        })
    };
    while assigned(&world).is_none() {
        assert!(world.run_some(1));
    }
    let first = assigned(&world).expect("it was handed out");
    let call = first.call;
    let second = Assigned {
        attempt: 2,
        ..first.clone()
    };
    let failure = ItemError {
        class: ErrorClass::Disconnected,
        message: "it left".to_string(),
        operator: None,
    };
    let lost = |attempt| Body::Lost {
        call,
        attempt,
        failure: failure.clone(),
    };
    let requeued = Body::Requeued {
        call,
        attempt: 2,
        reason: "it left".to_string(),
        fault: false,
    };
    let records = offline::records(&world.store, ID).expect("it can be read");
    let serving = &world.engine.serving;
    for (bodies, open) in [
        (vec![], vec![1, 2]),
        (vec![lost(1)], vec![2]),
        (vec![lost(2)], vec![1]),
        (vec![lost(1), requeued], vec![]),
        // What it then waits for is not carried, so the last one is as if it went on.
        (vec![lost(1), lost(2)], vec![2]),
    ] {
        let bodies = std::iter::once(Body::Assigned(second.clone())).chain(bodies);
        let more = bodies.map(|body| Record { time_ms: 1, body });
        let records: Vec<_> = records.iter().cloned().chain(more).collect();
        let step = format!("#{}", calls(&world, ID).len() + 1);
        let fork = offline::cut(ID, &records, &step, serving.hash(), &serving.revision);
        let fork = Workflow::replay(ID, &fork.expect("it can be cut")).expect("it fits");
        let attempts = fork.delegations[&call].attempts.iter();
        let found: Vec<_> = attempts.map(|attempt| attempt.number).collect();
        assert_eq!(found, open);
    }
}

#[test]
fn a_fork_does_nothing_again_that_was_done() {
    let (mut world, _) = undisturbed();
    let expected = calls(&world, ID);
    // The step, and how many of the fifty are behind it.
    for (step, kept) in [("1", 0), ("first/11", 10), ("second/26", 25), ("#9999", 0)] {
        let mut again = World::start(world.store.crash(), FIFTY, world.now + 1, usize::MAX);
        if step == "#9999" {
            let refused = fork(&mut again, step).expect_err("there is no such step");
            assert_eq!(refused.code, "FRB-WFL-004");
        } else {
            let id = WorkflowId([2; 16]);
            fork(&mut again, step).expect("it can be forked");
            assert!(again.run());
            assert_eq!(
                fork_ended(&again),
                (WorkflowState::Succeeded, total()),
                "{step}"
            );
            assert_eq!(attempts(&again, id), N as usize - kept, "{step}");
            assert_eq!(calls(&again, id), expected, "{step}");
            // One fork is enough for the next round: take the id away.
            let store = MemoryStore::new();
            let mut only = Batch::default();
            let records = again.store.read(ID, 0, usize::MAX).expect("it can be read");
            only.started.push(Started {
                workflow: ID,
                seeker: seeker(),
                idempotency_key: String::new(),
            });
            only.records
                .extend(records.into_iter().map(|(seq, record)| (ID, seq, record)));
            only.finished.push(ID);
            store.commit(&only).expect("a store in memory takes it");
            again.store = store;
        }
        world = again;
    }
}

#[test]
fn a_fork_of_what_was_cancelled_goes_on_with_what_was_taken_away() {
    let mut world = fifty(usize::MAX);
    assert!(world.run_some(60));
    let ticket = world.ticket();
    world.inputs.push_front(Input::Cancel {
        ticket,
        seeker: seeker(),
        workflow: ID,
    });
    assert!(world.run());
    assert_eq!(world.ended().0, WorkflowState::Cancelled);
    let done = attempts(&world, ID);
    let last = calls(&world, ID).len() + 1;
    fork(&mut world, &last.to_string()).expect("it can be forked");
    assert!(world.run());
    assert_eq!(fork_ended(&world), (WorkflowState::Succeeded, total()));
    assert!(attempts(&world, FORK) <= N as usize - done + 2);
    assert!(attempts(&world, FORK) < N as usize);
}

#[test]
fn a_crash_at_any_write_of_a_fork_changes_nothing() {
    let (whole, _) = undisturbed();
    let prepare = |commits: usize| {
        let mut world = fifty(usize::MAX);
        assert!(world.run());
        fork(&mut world, "first/11").expect("it can be forked");
        world.commits_left = commits;
        world
    };
    let mut world = prepare(usize::MAX);
    assert!(world.run());
    let commits = usize::MAX - world.commits_left;
    for at in 1..commits {
        let mut first = prepare(at);
        assert!(!first.run(), "it crashes at write {at}");
        let now = first.now + 1000;
        let mut then = World::start(first.store.crash(), FIFTY, now, usize::MAX);
        assert!(then.run());
        assert_eq!(
            fork_ended(&then),
            (WorkflowState::Succeeded, total()),
            "write {at}"
        );
        assert_eq!(calls(&then, FORK), calls(&whole, ID), "write {at}");
        // Whoever has no answer, since the coordinator died, asks again.
        let again = fork_as(WorkflowId([3; 16]), &mut then, "first/11");
        let again = again.expect("it can be forked");
        assert!(then.run());
        match then.answers.remove(&again) {
            Some(Answer::Submitted(Ok(FORK))) => {}
            other => panic!("write {at}: {other:?}"),
        }
    }
}

#[test]
fn a_fork_does_not_count_for_reputation_again() {
    let (mut world, _) = undisturbed();
    let counted = |world: &World| {
        let machines: Vec<_> = world.engine.machine_views();
        machines.iter().map(|m| m.succeeded).sum::<u64>()
    };
    assert_eq!(counted(&world), N as u64);
    fork(&mut world, "second/26").expect("it can be forked");
    assert!(world.run());
    assert_eq!(counted(&world), N as u64 + 25);
    // And after a restart the journals say the same.
    let mut again = World::start(world.store.crash(), FIFTY, world.now + 1, usize::MAX);
    assert!(again.run());
    assert_eq!(counted(&again), N as u64 + 25);
}

#[test]
fn a_restart_rebuilds_only_scripts_that_may_owe_a_call() {
    let mut world = fifty(usize::MAX);
    // The delegations are out, and nothing has come back.
    while calls(&world, ID).len() < 25 {
        assert!(world.run_some(1));
    }
    let waiting = World::start(world.store.crash(), FIFTY, 10, usize::MAX);
    assert_eq!(waiting.scripts.holds(), []);
    assert!(waiting.engine.live.contains_key(&ID));
    let mut world = waiting;
    assert!(world.run());
    assert_eq!(world.ended(), (WorkflowState::Succeeded, total()));
}

#[test]
fn a_migration_moves_a_live_workflow_and_names_what_differs() {
    let mut world = fifty(usize::MAX);
    assert!(world.run_some(40));
    while world.engine.live[&ID].script_runs {
        assert!(world.run_some(1));
    }
    // One more line at the end of the second wave, and the file has moved by a line.
    let longer = FIFTY.replace(
        "local second = wave",
        "\n    ctx:log('new')\n    local second = wave",
    );
    let serve = |world: &mut World, source: &str| {
        let serving = serving(&world.store, source);
        let found = (serving.hash(), serving.revision.clone());
        world.engine.serving = serving;
        found
    };
    let (hash, revision) = serve(&mut world, &longer);
    let records = offline::records(&world.store, ID).expect("it can be read");
    let tried = offline::try_revision(ID, &records, hash, &revision).expect("it fits");
    assert_eq!(tried.beyond, 0);
    let migrate = |world: &mut World, calls| {
        let ticket = world.ticket();
        world.inputs.push_front(Input::Migrate {
            ticket,
            seeker: seeker(),
            workflow: ID,
            revision: hash,
            calls,
        });
        assert!(world.run_some(1));
        match world.answers.remove(&ticket) {
            Some(Answer::Migrated(answer)) => answer,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(migrate(&mut world, tried.calls - 1), Migration::MovedOn);
    assert_eq!(migrate(&mut world, tried.calls), Migration::Done);

    let (other, revision) = serve(&mut world, &FIFTY.replace("\"/\" .. i", "\"-\" .. i"));
    let records = offline::records(&world.store, ID).expect("it can be read");
    let refused = offline::try_revision(ID, &records, other, &revision).expect_err("it differs");
    let offline::Unfit { why, parting } = refused;
    assert_eq!(why.code, "FRB-LUA-008");
    let (call, revision) = (CallId(1), other);
    assert_eq!(parting, Some(offline::Parting { call, revision }));
    for part in [
        "call #1",
        "record 1",
        "first/1",
        "first-1",
        "pipelines/squares.lua:7",
    ] {
        assert!(why.message.contains(part), "{part}: {why}");
    }

    // A script that fails in its own words would fail in a fork as well.
    let broken = FIFTY.replace("function(ctx, input)", "function(ctx, input) error('oh')");
    let (broken, revision) = serve(&mut world, &broken);
    let refused = offline::try_revision(ID, &records, broken, &revision).expect_err("it fails");
    assert_eq!(
        (refused.why.code.as_str(), refused.parting),
        ("FRB-LUA-002", None)
    );
    let name = |digits: usize| Want::Named(other.to_string()[..digits].parse().expect("digits"));
    let wanted = |want: Want| {
        let wanted = offline::wanted(&world.store, &want, hash, &records);
        wanted.expect("it can be read").map_err(|why| why.code)
    };
    assert_eq!(wanted(name(8)), Ok(other));
    assert_eq!(wanted(name(64)), Ok(other));
    assert_eq!(wanted(Want::Newest), Ok(hash));
    assert_eq!(wanted(Want::Kept), Ok(hash));
    let nowhere = wanted(Want::Named("0123abcd".parse().expect("digits")));
    assert_eq!(nowhere, Err("FRB-WFL-005".to_string()));
    // Of a few hundred sets two begin alike.
    let mut seen = std::collections::BTreeSet::new();
    let alike = (0..).find_map(|n| {
        let files = [("lib/x.lua".to_string(), format!("return {n}"))].into();
        let set = ScriptSet { files };
        let hash = froben_journal::revision_hash(&set);
        world.store.put_revision(hash, &set).expect("a write");
        let begin = hash.to_string()[..4].to_string();
        (!seen.insert(begin.clone())).then_some(begin)
    });
    let alike = alike.expect("two of them").parse().expect("digits");
    let several = wanted(Want::Named(alike));
    assert_eq!(several, Err("FRB-WFL-005".to_string()));
    assert_eq!(wanted(name(64)), Ok(other));

    assert!(world.run());
    assert_eq!(world.ended(), (WorkflowState::Succeeded, total()));
    let logs = calls(&world, ID);
    let new = |(_, op): &&(CallId, CallOp)| matches!(op, CallOp::Log { text } if text == "new");
    assert_eq!(logs.iter().filter(new).count(), 1);

    let mut again = World::start(world.store.clone(), FIFTY, world.now, usize::MAX);
    assert!(again.run());
    assert_eq!(again.engine.ended, world.engine.ended, "also its revision");
    let known = |world: &World| world.engine.machine_views()[0].succeeded;
    assert_eq!(known(&again), known(&world));
}

/// What a seeker entrusted to the script does not leave with an export, whatever the script did with it.
/// What stands in the script itself is there for all to read.
#[test]
fn an_export_holds_no_secrets() {
    let script = r#"
return workflow("squares", { input = { n = "integer", token = "string", url = "string" } },
  function(ctx, input)
    ctx:log(`it is {input.token}, at {input.url}`)
    local d = ctx:delegate { kind = "test.square/1", key = `with {input.token}`, items = { 3 },
      input = { auth = input.token, password = "written here" },
      needs = { cpu_cores = 1, ram = "1MiB", shared = true } }
    local value = d:await().value
    if #input.token ~= 9 then ctx:fail(input.token) end
    return { token = input.token, value = value }
  end)
"#;
    let mut world = World::start(MemoryStore::new(), script, 0, usize::MAX);
    world.submit(3, "");
    let Some(Input::Submit(submit)) = world.inputs.back_mut() else {
        panic!("it was submitted");
    };
    submit.input = Value::map([
        ("n", Value::Int(3)),
        ("token", Value::text("sesame-17")),
        ("url", Value::text("https://ada:pass99@host/")),
    ]);
    assert!(world.run());
    assert_eq!(world.ended().0, WorkflowState::Succeeded);
    let revisions = Revisions::new(Arc::new(world.store.clone()));
    let bytes = offline::export(&world.store, &revisions, ID, false);
    let bytes = bytes.expect("it can be read").expect("it can be exported");
    let export = froben_journal::Export::read(&bytes).expect("it can be read back");
    let text = format!("{:?}", export.records);
    for secret in ["sesame-17", "pass99"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(
        text.contains("it is xxxxx0002, at https://ada:xx0001@host/"),
        "{text}"
    );
    assert!(text.contains("written here"));
}

#[test]
fn an_export_replays_under_pseudonyms() {
    let (world, _) = undisturbed();
    let revisions = Revisions::new(Arc::new(world.store.clone()));
    for keep_names in [true, false] {
        let bytes = offline::export(&world.store, &revisions, ID, keep_names);
        let bytes = bytes.expect("it can be read").expect("it can be exported");
        let export = froben_journal::Export::read(&bytes).expect("it can be read back");
        let text = format!("{:?}", export.records);
        assert_eq!(text.contains("op/m1"), keep_names);
        assert_eq!(text.contains("ada"), keep_names);
        assert_eq!(text.contains("operator-0001/machine-0001"), !keep_names);
        let history = crate::History::read(export.workflow, &export.records).expect("it fits");
        let checked = Revision::check(&export.scripts.files, &Limits::default());
        let revision = checked.expect("it checks");
        let replayed = crate::replay(&history, usize::MAX, &revision, Limits::default());
        let beyond = replayed.unwrap_or_else(|why| panic!("{why}")).beyond;
        assert_eq!(beyond.calls, []);
        assert_eq!(beyond.state, froben_script::State::Returned(total()));
    }
}

fn launch(world: &World, workflow: WorkflowId) -> ScriptCommand {
    ScriptCommand::Start(crate::effect::Launch {
        workflow,
        revision: world.engine.serving.hash(),
        pipeline: "squares".to_string(),
        input: Value::map([("n", Value::Int(2))]),
        seed: 1,
        started_ms: 0,
    })
}

#[test]
fn those_that_wait_longest_make_room() {
    let world = fifty(usize::MAX);
    let mut host = host(
        &world.store,
        Budget {
            bytes: usize::MAX,
            vms: 2,
        },
    );
    let id = |n| WorkflowId([n; 16]);
    let mut obey = |command| host.obey(command).expect("the store can be read");
    obey(launch(&world, id(1)));
    obey(launch(&world, id(2)));
    // The first one is used again, so the second has waited longest.
    obey(ScriptCommand::Resume {
        workflow: id(1),
        upto: 0,
        completions: Vec::new(),
    });
    obey(launch(&world, id(3)));
    assert_eq!(host.holds(), [id(1), id(3)]);
    assert_eq!(host.evicted, 1);
    host.obey(ScriptCommand::Drop { workflow: id(1) })
        .expect("the store can be read");
    assert_eq!(host.holds(), [id(3)]);
}

#[test]
fn a_script_that_lost_its_revision_fails_alone() {
    let mut world = fifty(usize::MAX);
    assert!(world.run_some(30));
    let store: Arc<dyn Store> = Arc::new(world.store.clone());
    let revisions = Revisions::new(store.clone());
    let hash = world.engine.serving.hash();
    revisions.keep(hash, Err("it is gone".to_string()));
    world.scripts = ScriptHost::new(store, Arc::new(revisions), ROOMY);
    assert!(world.run());
    let (_, summary) = &world.engine.ended[&ID];
    let failure = summary.failure.as_ref().expect("it failed");
    assert_eq!(failure.code, "FRB-WFL-002", "{failure}");
    assert_eq!(world.engine.machine_views()[0].attempts, 0);
}

/// What formats 1 and 2 left has no tallies and says nothing of what scripts had been told.
#[test]
fn a_journal_of_an_older_format_goes_on_and_keeps_its_reputation() {
    let (world, commits) = undisturbed();
    let old = |world: &World| {
        let store = MemoryStore::new();
        serving(&store, FIFTY);
        let mut batch = Batch::default();
        batch.started.push(Started {
            workflow: ID,
            seeker: seeker(),
            idempotency_key: String::new(),
        });
        let mut bodies = world.bodies();
        bodies.retain(|body| !matches!(body, Body::Tallied(_)));
        for (seq, mut body) in (0..).zip(bodies) {
            if let Body::Called(called) = &mut body {
                called.fed = 0;
            }
            let time_ms = seq;
            batch.records.push((ID, seq, Record { time_ms, body }));
        }
        if world.engine.live.is_empty() {
            batch.finished.push(ID);
        }
        store.commit(&batch).expect("a store in memory takes it");
        store
    };
    let mut over = World::start(old(&world), FIFTY, world.now, usize::MAX);
    assert!(over.run());
    assert_eq!(over.ended(), (WorkflowState::Succeeded, total()));
    assert_eq!(over.engine.machine_views()[0].succeeded, N as u64);

    let mut half = fifty(commits / 2);
    assert!(!half.run());
    let mut then = World::start(old(&half), FIFTY, half.now, usize::MAX);
    assert!(then.run());
    same_in_the_end(&then, &world, "from an older format");
}
