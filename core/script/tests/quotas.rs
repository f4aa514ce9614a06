//! Each quota at its limit, and one above it.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;

use froben_model::{CallId, ErrorClass, Value};
use froben_script::{Call, CallOp, Code, Completion, Event, Limits, Revision, State, Vm};
use harness::bounds::{MARGIN, check_within, start_within};
use harness::{Run, deliver, happened, lost, shipped, with_body};

fn start(body: &str, limits: Limits) -> Vm {
    start_within(&check_within(body, &Limits::default()), limits)
}

fn run(body: &str, limits: Limits) -> (Vec<Call>, State) {
    let progress = start(body, limits).resume(Vec::new());
    (progress.calls, progress.state)
}

/// The body ends with `n` and is stopped with `n + 1`, whatever it catches.
#[track_caller]
fn at_most(n: usize, limits: Limits, body: impl Fn(usize) -> String) {
    let (_, state) = run(&body(n), limits.clone());
    assert!(matches!(state, State::Returned(_)), "{state:?}");
    let caught = format!("pcall(function() {} end) return 'on'", body(n + 1));
    for body in [body(n + 1), caught] {
        let (_, state) = run(&body, limits.clone());
        let State::Failed(failure) = state else {
            panic!("{state:?} for {body}");
        };
        assert_eq!(failure.code, Code::Quota, "{failure}");
        assert!(failure.message.contains("pipelines/t.lua:2: "), "{failure}");
    }
}

#[test]
fn delegations() {
    let limits = Limits {
        delegations: 7,
        ..Limits::default()
    };
    at_most(7, limits, |n| {
        format!("for i = 1, {n} do ctx:delegate {{ kind = 'a.b/1' }} end return 1")
    });
}

#[test]
fn calls() {
    let limits = Limits {
        calls: 9,
        ..Limits::default()
    };
    at_most(9, limits, |n| {
        format!("for i = 1, {n} do ctx:status {{ phase = 'p' }} end return 1")
    });
}

#[test]
fn bytes_of_the_journal() {
    // A status weighs 64 bytes and its phase.
    let limits = Limits {
        journal_bytes: 10 * (64 + 36),
        ..Limits::default()
    };
    at_most(10, limits, |n| {
        format!("for i = 1, {n} do ctx:status {{ phase = ('p'):rep(36) }} end return 1")
    });
}

#[test]
fn bytes_between_two_waits() {
    let limits = Limits {
        step_bytes: 10 * (64 + 36),
        ..Limits::default()
    };
    at_most(10, limits.clone(), |n| {
        format!("for i = 1, {n} do ctx:status {{ phase = ('p'):rep(36) }} end return 1")
    });
    // After a wait there is room again.
    let body = "for round = 1, 3 do
        for i = 1, 9 do ctx:status { phase = ('p'):rep(36) } end
        ctx:sleep(1)
      end
      return 'done'";
    let mut vm = start(body, limits);
    let mut progress = vm.resume(Vec::new());
    while progress.state == State::Blocked {
        let call = progress.calls.last().unwrap().id;
        progress = vm.resume(vec![happened(call, Event::Slept)]);
    }
    assert_eq!(progress.state, State::Returned(Value::text("done")));
}

#[test]
fn results_count_too() {
    let limits = Limits {
        journal_bytes: 2000,
        ..Limits::default()
    };
    let body = "return ctx:delegate { kind = 'a.b/1' }:await().value";
    for (bytes, fits) in [(1000, true), (2000, false)] {
        let mut vm = start(body, limits.clone());
        let call = vm.resume(Vec::new()).calls[0].id;
        let outcome = Ok(Value::text("x".repeat(bytes)));
        let completions = deliver(call, vec![outcome], "op-a");
        match vm.resume(completions).state {
            State::Returned(_) => assert!(fits),
            State::Failed(failure) => assert!(!fits && failure.code == Code::Quota, "{failure}"),
            State::Blocked => panic!(),
        }
    }
}

/// A workflow does not fail for being talkative.
#[test]
fn bytes_of_the_log() {
    let limits = Limits {
        log_bytes: 100,
        ..Limits::default()
    };
    let logged = |lines: usize| {
        let body = format!("for i = 1, {lines} do ctx:log(('x'):rep(9)) end return 1");
        let (calls, state) = run(&body, limits.clone());
        assert!(matches!(state, State::Returned(_)), "{state:?}");
        let texts = calls.into_iter().map(|call| match call.op {
            CallOp::Log { text } => text,
            other => panic!("{other:?}"),
        });
        texts.collect::<Vec<String>>()
    };
    assert!(logged(10).iter().all(|text| text == "xxxxxxxxx"));
    for lines in [11, 500] {
        let texts = logged(lines);
        assert_eq!(texts.len(), 11);
        assert!(
            texts[10].contains("what else it logs is dropped"),
            "{texts:?}"
        );
    }
}

/// The cap holds for the Luau state and what the host keeps for it together.
#[test]
fn results_are_part_of_the_memory() {
    let body = "
      local waiting = {}
      for i = 1, 100 do waiting[i] = ctx:delegate { kind = 'a.b/1' } end
      local n = 0
      for _, item in ctx:stream(waiting) do n += 1 end
      return n";
    let limits = Limits {
        memory_bytes: 8 << 20,
        ..Limits::default()
    };
    let mut vm = start(body, limits);
    let calls = vm.resume(Vec::new()).calls;
    let list = Value::List((0..16_000).map(Value::Int).collect());
    let mut last = State::Blocked;
    for call in &calls {
        let completions = deliver(call.id, vec![Ok(list.clone())], "op-a");
        last = vm.resume(completions).state;
        assert!(
            vm.memory_bytes() < (8 << 20) + MARGIN,
            "{}",
            vm.memory_bytes()
        );
        if last != State::Blocked {
            break;
        }
    }
    assert!(
        matches!(&last, State::Failed(failure) if failure.code == Code::Memory),
        "{last:?}"
    );
}

/// A workflow of a revision cannot leave anything behind for the next.
#[test]
fn modules_are_a_workflow_s_own_and_frozen() {
    let mut files = with_body(
        "local shared = require('lib/shared')
         assert(not pcall(function() shared.x = 1 end))
         assert(not pcall(rawset, shared, 'x', 1))
         assert(require('lib/shared') == shared)
         shared.inner.count += 1
         return shared.inner.count",
    );
    let module = "return { inner = { count = 0 } }";
    files.insert("lib/shared.lua".to_owned(), module.to_owned());
    let revision = Revision::check(&files, &Limits::default()).unwrap();
    for _ in 0..3 {
        let mut vm = start_within(&revision, Limits::default());
        let state = vm.resume(Vec::new()).state;
        assert_eq!(state, State::Returned(Value::Int(1)));
    }
}

/// What a workflow is for has to fit what it may use: ten thousand items, each looked at as it comes.
#[test]
fn a_map_of_ten_thousand_items_fits() {
    let body = "
      local items, done = {}, 0
      for i = 1, 10000 do items[i] = { index = i } end
      local mapped = ctx:map({ kind = 'a.b/1', key = 'map', items = items }, {
        width = 1, concurrency = 64,
        on_item = function()
          done += 1
          if done % 100 == 0 then ctx:status { phase = 'map', done = done, total = 10000 } end
        end,
      })
      return { #mapped.ok, #mapped.err, done }";
    let (run, state) = ten_thousand(&with_body(body));
    let expected = [9_900, 100, 10_000].map(Value::Int).to_vec();
    assert_eq!(state, State::Returned(Value::List(expected)));
    assert_eq!(run.tasks().len(), 10_000);
}

/// The same through the library, which tries again what failed.
#[test]
fn ten_thousand_items_fit_the_library_s_retries() {
    let body = "
      local retry = require('lib/retry')
      local items = {}
      for i = 1, 10000 do items[i] = { index = i } end
      return #retry.items(ctx, { kind = 'a.b/1', key = 'map', items = items }, 16)";
    let mut files = shipped();
    files.extend(with_body(body));
    let (run, state) = ten_thousand(&files);
    assert_eq!(state, State::Returned(Value::Int(10_000)));
    assert_eq!(run.tasks().len(), 10_000 / 16 + 100);
}

/// Runs a set's `t` within the limits of every workflow. Each hundredth item fails the first time.
fn ten_thousand(files: &BTreeMap<String, String>) -> (Run, State) {
    let mut run = Run::new(harness::start(files, Value::map::<String>([])));
    let state = run.finish(|task| {
        let again = task.items.len() == 1 && task.key.ends_with("/2");
        let outcome = |item: &Value| {
            let Value::Map(fields) = item else {
                panic!("{item:?}");
            };
            match fields.get("index") {
                Some(Value::Int(index)) if index % 100 == 0 && !again => {
                    lost(ErrorClass::WorkerFailed, "op-a")
                }
                _ => Ok(Value::text("x".repeat(100))),
            }
        };
        task.items.iter().map(outcome).collect()
    });
    assert!(
        run.vm.memory_bytes() < Limits::default().memory_bytes / 2,
        "{}",
        run.vm.memory_bytes()
    );
    (run, state)
}

/// What fitted by a hair must fit again when the workflow is rebuilt, on whatever day the garbage is collected;
/// from then on the limit is what it was.
#[test]
fn a_script_that_is_rebuilt_has_more_room_until_it_has_caught_up() {
    let limits = Limits {
        memory_bytes: 8 << 20,
        ..Limits::default()
    };
    let begin = |body: &str, told: Vec<Completion>| {
        let revision = check_within(body, &Limits::default());
        let input = Value::map::<String>([]);
        Vm::rebuild(&revision, "t", input, 1, 0, limits.clone(), told).unwrap()
    };
    let slept = |call: u64| happened(CallId(call), Event::Slept);
    // Ten MiB for a while, then less than one.
    let passing = "local t = {} for i = 1, 10 do t[i] = ('x'):rep(2 ^ 20) .. i end t = nil ctx:sleep(1) ctx:sleep(1) return 1";
    let (mut vm, progress) = begin(passing, vec![slept(1)]);
    assert_eq!(progress.state, State::Blocked);
    assert_eq!(
        vm.resume(vec![slept(2)]).state,
        State::Returned(Value::Int(1))
    );
    let mut fresh = start(passing, limits.clone());
    let State::Failed(failure) = fresh.resume(Vec::new()).state else {
        panic!("it has less room when it is not rebuilt");
    };
    assert_eq!(failure.code, Code::Memory);

    let lasting = "local t = {} for i = 1, 10 do t[i] = ('x'):rep(2 ^ 20) .. i end ctx:sleep(1) return t[1] .. 'y'";
    let (mut vm, progress) = begin(lasting, Vec::new());
    assert_eq!(progress.state, State::Blocked);
    let State::Failed(failure) = vm.resume(vec![slept(1)]).state else {
        panic!("the limit is what it was");
    };
    assert_eq!(failure.code, Code::Memory);
}
