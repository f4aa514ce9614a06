mod fibers;

use std::collections::BTreeMap;

use froben_journal::{Assigned, Body, CallOp, Called, End as Ending, Ended, Item, Submitted};
use froben_model::{CallId, Kind, MachineId, Needs, SeekerId, TaskSpec, Value, WorkflowId};

use super::*;

const SCRIPT: &str = "local function note(ctx, text)
  ctx:log(text)
  ctx:sleep('5s')
end
return workflow('p', { input = { n = 'integer' } }, function(ctx, input)
  local d = ctx:delegate { kind = 'a.b/1', key = 'k', items = { 1, 2 }, timeout = '1m' }
  local api_key, sum = 'abc', 0
  for _, item in ctx:stream { d } do
    sum += item.value
  end
  note(ctx, `sum {sum}`)
  return { sum = sum, token = api_key }
end)";

fn files(script: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("pipelines/p.lua".to_string(), script.to_string())])
}

/// The journal of a run of the script above, as a coordinator writes it.
fn records() -> Vec<Record> {
    let call = CallId(1);
    let spec = TaskSpec {
        kind: Kind::new("a.b/1").expect("a kind"),
        input: Value::Nil,
        items: vec![Value::Int(1), Value::Int(2)],
        needs: Needs::default(),
        timeout_ms: 60_000,
        queue_timeout_ms: 3_600_000,
        avoid: Vec::new(),
        key: "k".to_string(),
        check: None,
        keys: Vec::new(),
        max_price: None,
    };
    let item = |index: u32| Item {
        call,
        attempt: 1,
        index,
        outcome: Ok(Value::Int(10 * i64::from(index) + 10)),
        device: None,
        usage: froben_model::Usage::default(),
    };
    let called = |id: u64, line, fed, op| {
        Body::Called(Called {
            call: CallId(id),
            line,
            op,
            fed,
        })
    };
    let bodies = [
        Body::Submitted(Submitted {
            pipeline: "p".to_string(),
            revision: froben_journal::RevisionHash([0; 32]),
            seeker: SeekerId::new("ada").expect("a name"),
            idempotency_key: String::new(),
            input: Value::map([("n", Value::Int(1))]),
            seed: 1,
            parent: None,
            forked_from: None,
            budget: None,
            wanted_by_ms: None,
        }),
        called(1, 6, 0, CallOp::Delegate(spec)),
        Body::Assigned(Assigned {
            call,
            attempt: 1,
            epoch: 1,
            machine: MachineId::new("op/m").expect("a name"),
            device: None,
            deadline_ms: 70_000,
            cpu_cores: 0,
            price: froben_model::Amount::ZERO,
            ram_bytes: 0,
            vram_bytes: 0,
        }),
        Body::Item(item(0)),
        Body::Item(item(1)),
        called(
            2,
            2,
            2,
            CallOp::Log {
                text: "sum 30".to_string(),
            },
        ),
        called(3, 3, 2, CallOp::Sleep { ms: 5000 }),
        Body::Ended(Ended {
            call,
            attempt: 1,
            end: Ending::Succeeded,
            failure: None,
        }),
        Body::Slept { call: CallId(3) },
    ];
    let record = |(at, body): (u64, Body)| Record {
        time_ms: 1000 * (at + 1),
        body,
    };
    (0..).zip(bodies).map(record).collect()
}

fn replay(script: &str) -> Replay {
    Replay::of(WorkflowId([1; 16]), &records(), &files(script)).expect("it can be replayed")
}

#[test]
fn a_journal_is_gone_through_step_by_step() {
    let mut replay = replay(SCRIPT);
    assert_eq!(replay.steps(), 5);
    let mut told = String::new();
    while let Some(step) = replay.forward() {
        told += &step_lines(step);
    }
    expect_test::expect![[r##"
        step 0, record 0, 0.000 s
          told   the start of p
          call   #1 delegate a.b/1 `k` (record 1, line 6)
          waits  pipelines/p.lua:8
        step 1, record 3, 3.000 s
          told   #1 item 1: 10
          waits  pipelines/p.lua:8
        step 2, record 4, 4.000 s
          told   #1 item 2: 20
          call   #2 log `sum 30` (record 5, line 2)
          call   #3 sleep 5000 ms (record 6, line 3)
          waits  pipelines/p.lua:3, called at pipelines/p.lua:11
        step 3, record 7, 7.000 s
          told   #1 is over
          waits  pipelines/p.lua:3, called at pipelines/p.lua:11
        step 4, record 8, 8.000 s
          told   #3 has slept
          returned { sum = 30, token = (hidden) }
    "##]]
    .assert_eq(&told);
}

#[test]
fn it_goes_backwards_and_shows_locals_but_no_secrets() {
    let mut replay = replay(SCRIPT);
    let end = replay.go_to(usize::MAX).expect("a step").number;
    assert_eq!(end, 4);
    assert_eq!(replay.step_at(5), 2);
    let step = replay.go_to(2).expect("a step").clone();
    assert_eq!(step.number, 2);
    let shown = locals(&step);
    assert!(shown.contains("    text = \"sum 30\"\n"), "{shown}");
    assert!(shown.contains("    sum = 30\n"), "{shown}");
    assert!(shown.contains("    api_key = (hidden)\n"), "{shown}");
    let before = locals(replay.go_to(1).expect("a step"));
    assert!(before.contains("    sum = 10\n"), "{before}");
    // And forwards again: the same.
    assert_eq!(replay.go_to(2), Some(&step));
    let document = json(&step);
    assert_eq!(document["standings"][0]["frames"][1]["line"], 11);
    assert_eq!(document["calls"][0]["record"], 5);
}

#[test]
fn the_first_call_that_differs_is_shown() {
    for (from, to, at, expected, got) in [
        (
            "`sum {sum}`",
            "`Sum {sum}`",
            5,
            "#2 log `sum 30` at line 2",
            "#2 log `Sum 30` at line 2",
        ),
        (
            "key = 'k'",
            "key = 'j'",
            1,
            "#1 delegate a.b/1 `k`",
            "delegate a.b/1 `j`",
        ),
        (
            "timeout = '1m'",
            "timeout = '2m'",
            1,
            "`k`",
            "with other input, items, needs or times",
        ),
        (
            "  ctx:sleep('5s')\n",
            "",
            6,
            "#3 sleep 5000 ms",
            "the script has returned",
        ),
        (
            "sum += item.value",
            "error('no')",
            5,
            "#2 log",
            "a failure: FRB-LUA-002",
        ),
        ("  ctx:log(text)\n", "", 5, "#2 log", "#2 sleep 5000 ms"),
    ] {
        assert!(SCRIPT.contains(from), "{from}");
        let mut replay = replay(&SCRIPT.replace(from, to));
        let last = replay.go_to(usize::MAX).expect("a step");
        let End::Diverged {
            seq,
            expected: wanted,
            got: came,
        } = &last.end
        else {
            panic!("{to}: {last:?}")
        };
        assert_eq!(*seq, at, "{to}");
        assert!(
            wanted.contains(expected) && came.contains(got),
            "{wanted} / {came}"
        );
    }
    // Another line is no difference, nor is a call beyond the journal.
    let moved = SCRIPT.replace("return workflow", "\n\nreturn workflow");
    let more = moved.replace("return { sum", "ctx:log('more')\n  return { sum");
    let mut replay = replay(&more);
    let last = replay.go_to(usize::MAX).expect("a step");
    assert!(matches!(last.end, End::Returned(_)), "{last:?}");
    assert_eq!((last.calls.len(), last.calls[0].seq), (1, None));
}
