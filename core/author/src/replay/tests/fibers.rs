//! Several fibers in one journal: each has a place and locals of its own, in both directions.

use froben_journal::RevisionHash;

use super::*;

const COUNTS: &str = "local function count(ctx, name, pause)
  local sum = 0
  for i = 1, 2 do
    ctx:sleep(pause)
    sum += i
    ctx:log(`{name} {sum}`)
  end
  return sum
end
return workflow('p', { input = { n = 'integer' } }, function(ctx, input)
  local fast = ctx:spawn(count, ctx, 'fast', '1s')
  local slow = ctx:spawn(count, ctx, 'slow', '3s')
  local both = ctx:all { fast, slow }
  return { sum = both[1] + both[2] }
end)";

/// The journal of a run of the script above, as a coordinator writes it.
fn counts() -> Vec<Record> {
    let called = |id: u64, line, fed, op| {
        let call = CallId(id);
        Body::Called(Called {
            call,
            line,
            op,
            fed,
        })
    };
    let sleep = |id, fed, ms| called(id, 4, fed, CallOp::Sleep { ms });
    let log = |id, fed, text: &str| {
        let text = text.to_string();
        called(id, 6, fed, CallOp::Log { text })
    };
    let slept = |id| Body::Slept { call: CallId(id) };
    let bodies = [
        (0, submitted()),
        (0, sleep(1, 0, 1000)),
        (0, sleep(2, 0, 3000)),
        (1, slept(1)),
        (1, log(3, 1, "fast 1")),
        (1, sleep(4, 1, 1000)),
        (2, slept(4)),
        (2, log(5, 2, "fast 3")),
        (3, slept(2)),
        (3, log(6, 3, "slow 1")),
        (3, sleep(7, 3, 3000)),
        (6, slept(7)),
        (6, log(8, 4, "slow 3")),
    ];
    let record = |(second, body): (u64, Body)| Record {
        time_ms: 1000 * second,
        body,
    };
    bodies.into_iter().map(record).collect()
}

fn submitted() -> Body {
    Body::Submitted(Submitted {
        pipeline: "p".to_string(),
        revision: RevisionHash([0; 32]),
        seeker: SeekerId::new("ada").expect("a name"),
        idempotency_key: String::new(),
        input: Value::map([("n", Value::Int(1))]),
        seed: 1,
        parent: None,
        forked_from: None,
        budget: None,
        wanted_by_ms: None,
    })
}

fn replay_counts() -> Replay {
    Replay::of(WorkflowId([1; 16]), &counts(), &files(COUNTS)).expect("it can be replayed")
}

#[test]
fn each_fiber_waits_at_a_place_of_its_own() {
    let mut replay = replay_counts();
    let mut told = String::new();
    while let Some(step) = replay.forward() {
        told += &step_lines(step);
    }
    expect_test::expect![[r#"
        step 0, record 0, 0.000 s
          told   the start of p
          call   #1 sleep 1000 ms (record 1, line 4)
          call   #2 sleep 3000 ms (record 2, line 4)
          waits  pipelines/p.lua:13
          waits  fiber 1: pipelines/p.lua:4
          waits  fiber 2: pipelines/p.lua:4
        step 1, record 3, 1.000 s
          told   #1 has slept
          call   #3 log `fast 1` (record 4, line 6)
          call   #4 sleep 1000 ms (record 5, line 4)
          waits  pipelines/p.lua:13
          waits  fiber 1: pipelines/p.lua:4
          waits  fiber 2: pipelines/p.lua:4
        step 2, record 6, 2.000 s
          told   #4 has slept
          call   #5 log `fast 3` (record 7, line 6)
          waits  pipelines/p.lua:13
          waits  fiber 2: pipelines/p.lua:4
        step 3, record 8, 3.000 s
          told   #2 has slept
          call   #6 log `slow 1` (record 9, line 6)
          call   #7 sleep 3000 ms (record 10, line 4)
          waits  pipelines/p.lua:13
          waits  fiber 2: pipelines/p.lua:4
        step 4, record 11, 6.000 s
          told   #7 has slept
          call   #8 log `slow 3` (record 12, line 6)
          returned { sum = 6 }
    "#]]
    .assert_eq(&told);
}

#[test]
fn each_fiber_has_locals_of_its_own_forwards_and_backwards() {
    let mut replay = replay_counts();
    let forwards: Vec<_> = std::iter::from_fn(|| replay.forward().cloned()).collect();
    // What `name` and `sum` hold in each fiber that still runs.
    let held = |step: &Step| -> Vec<(usize, String, String)> {
        let fibers = step.standings.iter().filter(|standing| standing.number > 0);
        let local = |standing: &Standing, name: &str| {
            let mut locals = standing.frames.iter().flat_map(|frame| &frame.locals);
            let found = locals.find(|local| local.name == name);
            found.map_or(String::new(), |local| local.value.clone())
        };
        let all = fibers.map(|fiber| (fiber.number, local(fiber, "name"), local(fiber, "sum")));
        all.collect()
    };
    let fast = |sum: &str| (1, "\"fast\"".to_string(), sum.to_string());
    let slow = |sum: &str| (2, "\"slow\"".to_string(), sum.to_string());
    let expected = [
        vec![fast("0"), slow("0")],
        vec![fast("1"), slow("0")],
        vec![slow("0")],
        vec![slow("1")],
        vec![],
    ];
    for (step, expected) in forwards.iter().zip(&expected) {
        assert_eq!(&held(step), expected, "step {}", step.number);
    }
    assert_eq!(forwards.len(), expected.len());
    let shown = locals(&forwards[1]);
    for fiber in ["(fiber 1)", "(fiber 2)"] {
        let heading = format!("  pipelines/p.lua:4 in count {fiber}\n");
        assert!(shown.contains(&heading), "`{heading}` is not in:\n{shown}");
    }
    let document = json(&forwards[1]);
    let standings = document["standings"].as_array().expect("a list").iter();
    let numbers: Vec<_> = standings.map(|standing| &standing["fiber"]).collect();
    assert_eq!(numbers, [0, 1, 2]);

    // Backwards, one by one, and by leaps: every step is what it was.
    for number in [3, 2, 1, 0, 4, 1, 3, 0, 2] {
        assert_eq!(replay.go_to(number), Some(&forwards[number]));
    }
}

#[test]
fn a_fiber_that_differs_is_named_by_its_call() {
    let other = COUNTS.replace("'slow', '3s'", "'slow', '4s'");
    let replay = Replay::of(WorkflowId([1; 16]), &counts(), &files(&other));
    let mut replay = replay.expect("it can be replayed");
    let last = replay.forward().expect("a step");
    let End::Diverged { seq, expected, got } = &last.end else {
        panic!("{last:?}")
    };
    assert_eq!(*seq, 2);
    assert_eq!(expected, "#2 sleep 3000 ms at line 4");
    assert_eq!(got, "#2 sleep 4000 ms at line 4");
}
