//! The rules of `lib/retry` and `lib/chunk`, against operators that fail on purpose.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;

use froben_model::{CallId, ErrorClass, ItemOutcome, TaskSpec, Value};
use froben_script::{CallOp, Event, Limits, State, Vm};
use harness::*;

/// The library with one pipeline, `t`, of this body.
fn with_library(body: &str) -> BTreeMap<String, String> {
    let mut files = shipped();
    files.retain(|path, _| path.starts_with("lib/"));
    let source = format!(
        "local retry, chunk = require('lib/retry'), require('lib/chunk')
         return workflow('t', {{}}, function(ctx, input)\n{body}\nend)"
    );
    files.insert("pipelines/t.lua".to_owned(), source);
    files
}

fn run(body: &str, answer: impl FnMut(&TaskSpec) -> Vec<ItemOutcome>) -> (Run, State) {
    let revision = check(&with_library(body));
    let input = Value::map::<String>([]);
    let mut run =
        Run::new(Vm::start(&revision, "t", input, 1, STARTED_MS, Limits::default()).unwrap());
    let state = run.finish(answer);
    (run, state)
}

fn avoided(spec: &TaskSpec) -> Vec<&str> {
    spec.avoid
        .iter()
        .map(|operator| operator.as_str())
        .collect()
}

fn all(spec: &TaskSpec, outcome: impl Fn() -> ItemOutcome) -> Vec<ItemOutcome> {
    spec.items.iter().map(|_| outcome()).collect()
}

fn echo(spec: &TaskSpec) -> Vec<ItemOutcome> {
    spec.items.iter().map(|item| Ok(item.clone())).collect()
}

fn failed(state: State) -> String {
    match state {
        State::Failed(failure) => failure.message,
        other => panic!("{other:?}"),
    }
}

const FIVE: &str = "local seen = {}
  local values = retry.items(ctx, { kind = 'a.b/1', key = 'job', items = { 1, 2, 3, 4, 5 } }, 2, {
    on_item = function(i, value) table.insert(seen, `{i}={value}`) end,
  })
  return { values = values, seen = table.concat(seen, ' ') }";

fn whole(state: &State) -> bool {
    let State::Returned(output) = state else {
        return false;
    };
    let values = (1..=5).map(Value::Int).collect();
    output.get("values") == Some(&Value::List(values))
}

#[test]
fn what_succeeds_is_done_once() {
    let (run, state) = run(FIVE, echo);
    assert!(whole(&state), "{state:?}");
    assert_eq!(run.keys(), ["job/1-2/1", "job/3-4/1", "job/5-5/1"]);
    let State::Returned(output) = state else {
        panic!()
    };
    assert_eq!(
        output.get("seen"),
        Some(&Value::text("1=1 2=2 3=3 4=4 5=5"))
    );
    assert_eq!(run.sleeps(), 0);
}

#[test]
fn only_failed_items_are_tried_again_and_on_another_operator() {
    let (run, state) = run(FIVE, |spec| {
        let mut outcomes = echo(spec);
        match spec.key.as_str() {
            "job/1-2/1" => outcomes[1] = lost(ErrorClass::WorkerFailed, "op-a"),
            "job/1-2/2" => outcomes[0] = lost(ErrorClass::Timeout, "op-b"),
            "job/3-4/1" => outcomes = all(spec, || lost(ErrorClass::Disconnected, "op-a")),
            _ => {}
        }
        outcomes
    });
    assert!(whole(&state), "{state:?}");
    assert_eq!(
        run.keys(),
        [
            "job/1-2/1",
            "job/3-4/1",
            "job/5-5/1",
            "job/1-2/2",
            "job/3-4/2",
            "job/1-2/3"
        ]
    );
    let tasks = run.tasks();
    assert_eq!((tasks[3].items.len(), avoided(tasks[3])), (1, vec!["op-a"]));
    assert_eq!((tasks[4].items.len(), avoided(tasks[4])), (2, vec!["op-a"]));
    assert_eq!(
        (tasks[5].items.len(), avoided(tasks[5])),
        (1, vec!["op-a", "op-b"])
    );
    // It does not wait long for an operator that may not exist.
    assert_eq!(
        (tasks[0].queue_timeout_ms, tasks[5].queue_timeout_ms),
        (3_600_000, 10_000)
    );
    assert_eq!(run.sleeps(), 0);
}

/// A machine failed one item and went away; nobody was there to go on with the other.
#[test]
fn what_nobody_went_on_with_is_tried_again_beside_what_failed() {
    let (run, state) = run(FIVE, |spec| match spec.key.as_str() {
        "job/1-2/1" => vec![
            lost(ErrorClass::WorkerFailed, "op-a"),
            lost(ErrorClass::NoCapacity, ""),
        ],
        _ => echo(spec),
    });
    assert!(whole(&state), "{state:?}");
    let last = run.tasks().pop().unwrap();
    assert_eq!((last.key.as_str(), last.items.len()), ("job/1-2/2", 2));
    assert_eq!(avoided(last), ["op-a"]);
}

#[test]
fn with_nobody_else_the_same_operator_gets_another_chance() {
    // One operator, whose worker dies twice.
    let mut deaths = 2;
    let (run, state) = run(FIVE, |spec| {
        if !spec.avoid.is_empty() {
            return all(spec, || lost(ErrorClass::NoCapacity, ""));
        }
        if spec.key.starts_with("job/1-2/") && deaths > 0 {
            deaths -= 1;
            return all(spec, || lost(ErrorClass::WorkerFailed, "op-a"));
        }
        echo(spec)
    });
    assert!(whole(&state), "{state:?}");
    let retried: Vec<_> = run
        .tasks()
        .into_iter()
        .filter(|task| task.key.starts_with("job/1-2"))
        .collect();
    let avoidance: Vec<_> = retried.iter().map(|task| avoided(task)).collect();
    assert_eq!(
        avoidance,
        [vec![], vec!["op-a"], vec![], vec!["op-a"], vec![]]
    );
    // A pause before each return to the operator that failed.
    assert_eq!(run.sleeps(), 2);
}

#[test]
fn a_network_of_two_of_which_one_is_killed_finishes_without_a_pause() {
    let (run, state) = run(FIVE, |spec| {
        let dead = !avoided(spec).contains(&"op-a") && !spec.key.starts_with("job/5");
        match dead {
            true => all(spec, || lost(ErrorClass::Disconnected, "op-a")),
            false => echo(spec),
        }
    });
    assert!(whole(&state), "{state:?}");
    assert_eq!((run.tasks().len(), run.sleeps()), (5, 0));
}

#[test]
fn five_attempts_then_an_error_with_the_whole_trail() {
    let mut tries = 0;
    let (run, state) = run(FIVE, |spec| {
        if !spec.key.starts_with("job/3-4/") {
            return echo(spec);
        }
        tries += 1;
        let mut outcomes = echo(spec);
        outcomes[0] = lost(ErrorClass::WorkerFailed, &format!("op-{tries}"));
        outcomes
    });
    let message = failed(state);
    assert_eq!(tries, 5);
    assert_eq!(run.keys().last(), Some(&"job/3-4/5"));
    assert!(
        message.contains("job/3-4: 1 of its items failed, after 5 attempts"),
        "{message}"
    );
    for try_ in 1..=5 {
        let part = format!("try {try_}: worker_failed at op-{try_}: worker_failed on purpose");
        assert!(message.contains(&part), "{message}");
    }
    assert!(
        message.contains("(reached from pipelines/t.lua:"),
        "{message}"
    );
}

#[test]
fn what_no_other_machine_can_mend_ends_at_once() {
    for (class, why) in [
        (ErrorClass::BadRequest, "which no other machine can mend"),
        (ErrorClass::Cancelled, "which no other machine can mend"),
        (ErrorClass::NoCapacity, "for want of a machine"),
    ] {
        let (run, state) = run(FIVE, |spec| all(spec, || lost(class, "")));
        let message = failed(state);
        assert!(
            message.contains(why) && message.contains(class.name()),
            "{message}"
        );
        assert_eq!((run.tasks().len(), run.sleeps()), (3, 0));
    }
}

#[test]
fn an_author_chooses_attempts_and_what_is_acceptable() {
    let body = "return retry.one(ctx, { kind = 'a.b/1', key = 'k', avoid = { 'op-x' } }, {
        attempts = 3,
        accept = function(value) return value == 'good', `got {value}` end,
    })";
    let mut answers = vec!["bad", "worse", "good"].into_iter();
    let (good, state) = run(body, |_| vec![Ok(Value::text(answers.next().unwrap()))]);
    assert_eq!(state, State::Returned(Value::text("good")));
    assert_eq!(good.keys(), ["k/1", "k/2", "k/3"]);
    // Whoever sent what is not acceptable is passed over, beside those whom the author names.
    let passed_over: Vec<_> = good.tasks().into_iter().map(avoided).collect();
    let both = vec!["op-x", "op-a"];
    assert_eq!(passed_over, [vec!["op-x"], both.clone(), both]);

    let (bad, state) = run(body, |_| vec![Ok(Value::text("bad"))]);
    let message = failed(state);
    assert!(
        message.contains("after 3 attempts: try 1: invalid_result at op-a: got bad; try 2"),
        "{message}"
    );
    assert_eq!(bad.tasks().len(), 3);

    // The author's own list stays, and is not mistaken for those that failed.
    let (_, state) = run(body, |spec| match spec.avoid.len() {
        1 => vec![lost(ErrorClass::OutOfMemory, "op-a")],
        2 => vec![Ok(Value::text("good"))],
        _ => panic!("{:?}", spec.avoid),
    });
    assert_eq!(state, State::Returned(Value::text("good")));
}

#[test]
fn each_cause_has_a_budget_of_its_own() {
    let body = |options: &str| {
        format!(
            "return retry.one(ctx, {{ kind = 'a.b/1', key = 'k' }}, {{ {options},
               accept = function(value) return value == 'good' end }})"
        )
    };
    // What comes, by try: more failures than any one budget, and none that is used up.
    let mixed = [
        lost(ErrorClass::Disconnected, "op-a"),
        lost(ErrorClass::Timeout, "op-b"),
        lost(ErrorClass::Disconnected, "op-c"),
        lost(ErrorClass::OutOfMemory, "op-d"),
        Ok(Value::text("bad")),
        lost(ErrorClass::Disconnected, "op-f"),
        lost(ErrorClass::WorkerFailed, "op-g"),
        Ok(Value::text("good")),
    ];
    let mut outcomes = mixed.clone().into_iter();
    let (good, state) = run(&body("attempts = 2"), |_| vec![outcomes.next().unwrap()]);
    assert_eq!(state, State::Returned(Value::text("good")));
    let keys: Vec<String> = (1..=8).map(|n| format!("k/{n}")).collect();
    assert_eq!(good.keys(), keys);
    // A different operator each time.
    let avoid: Vec<usize> = good.tasks().iter().map(|task| task.avoid.len()).collect();
    assert_eq!(avoid, [0, 1, 2, 3, 4, 4, 5, 6]);

    for (options, class, tries) in [
        ("attempts = 2", ErrorClass::Disconnected, 4),
        ("budgets = { lost = 3 }", ErrorClass::Disconnected, 3),
        ("budgets = { lost = 3 }", ErrorClass::Timeout, 5),
        ("budgets = { timeout = 1 }", ErrorClass::Timeout, 1),
        (
            "budgets = { out_of_memory = 2 }",
            ErrorClass::OutOfMemory,
            2,
        ),
        ("budgets = { invalid = 3 }", ErrorClass::InvalidResult, 3),
        (
            "budgets = { error = 4 }, attempts = 2",
            ErrorClass::WorkerFailed,
            4,
        ),
    ] {
        let (run, state) = run(&body(options), |_| vec![lost(class, "op-a")]);
        let message = failed(state);
        assert!(
            message.contains(&format!("after {tries} attempts")),
            "{options} {class}: {message}"
        );
        assert_eq!(run.tasks().len(), tries);
    }
}

#[test]
fn a_budget_is_an_items_and_not_its_pieces() {
    // Each of two items of one piece fails twice, in turn: neither has used up its three.
    let body = "return retry.items(ctx, { kind = 'a.b/1', key = 'k', items = { 1, 2 } }, 2, { attempts = 3 })";
    let (run, state) = run(body, |spec| {
        let mut outcomes = echo(spec);
        let failing = match spec.key.as_str() {
            "k/1-2/1" | "k/1-2/2" => 0..2,
            "k/1-2/3" => 0..0,
            key => panic!("{key}"),
        };
        for index in failing {
            outcomes[index] = lost(ErrorClass::WorkerFailed, "op-a");
        }
        outcomes
    });
    let both = Value::List(vec![Value::Int(1), Value::Int(2)]);
    assert_eq!(state, State::Returned(both));
    assert_eq!(run.tasks().len(), 3);
}

#[test]
fn a_job_that_pauses_holds_up_no_other() {
    let body = "local order = {}
        retry.each(ctx, {
          { kind = 'a.b/1', key = 'slow' }, { kind = 'a.b/1', key = 'other', items = { 1, 2 } },
        }, { backoff = 2, on_item = function(t, i) table.insert(order, `{t}.{i}`) end })
        return table.concat(order, ' ')";
    let revision = check(&with_library(body));
    let input = Value::map::<String>([]);
    let mut vm = Vm::start(&revision, "t", input, 1, STARTED_MS, Limits::default()).unwrap();
    assert_eq!(vm.resume(Vec::new()).calls.len(), 2);
    let failed = vm.resume(deliver(
        CallId(1),
        vec![lost(ErrorClass::WorkerFailed, "op-a")],
        "op-a",
    ));
    let sleeps: Vec<_> = failed.calls.iter().map(|call| &call.op).collect();
    assert!(matches!(
        sleeps[..],
        [CallOp::Log { .. }, CallOp::Sleep { ms: 2000 }]
    ));
    let pause = failed.calls[1].id;
    // While it pauses, the other one goes on to its end.
    vm.resume(deliver(
        CallId(2),
        vec![Ok(Value::Nil), Ok(Value::Nil)],
        "op-b",
    ));
    let again = vm.resume(vec![happened(pause, Event::Slept)]);
    let retried = again.calls[0].id;
    let end = vm.resume(deliver(retried, vec![Ok(Value::Nil)], "op-b"));
    assert_eq!(end.state, State::Returned(Value::text("2.1 2.2 1.1")));
}

#[test]
fn when_it_is_hopeless_the_others_are_given_up_and_the_author_may_catch_it() {
    let body = "local ok, why = pcall(retry.each, ctx, {
          { kind = 'a.b/1', key = 'a' }, { kind = 'a.b/1', key = 'b' },
        })
        return `{ok} {why}`";
    let revision = check(&with_library(body));
    let input = Value::map::<String>([]);
    let mut vm = Vm::start(&revision, "t", input, 1, STARTED_MS, Limits::default()).unwrap();
    vm.resume(Vec::new());
    let outcome = lost(ErrorClass::Cancelled, "");
    let progress = vm.resume(deliver(CallId(2), vec![outcome], "op-a"));
    let cancelled = progress.calls.iter().any(|call| {
        let target = CallId(1);
        call.op == CallOp::Cancel { target }
    });
    assert!(cancelled, "{:?}", progress.calls);
    let State::Returned(Value::Text(text)) = progress.state else {
        panic!("{:?}", progress.state)
    };
    assert!(
        text.starts_with("false b: 1 of its items failed, which no other machine can mend: try 1"),
        "{text}"
    );
}

#[test]
fn several_tasks_run_at_once_and_keep_their_places() {
    let body = "return retry.each(ctx, {
        { kind = 'a.b/1', key = 'x', items = { 'x1', 'x2' } },
        { kind = 'a.b/1', key = 'y' },
        { kind = 'a.b/1', key = 'z', items = { 'z1' } },
    })";
    let (run, state) = run(body, |spec| match spec.key.as_str() {
        "x/1" => vec![lost(ErrorClass::OutOfMemory, "op-a"), Ok(Value::text("X2"))],
        "x/2" => vec![Ok(Value::text("X1"))],
        "y/1" => vec![Ok(Value::text("Y"))],
        _ => vec![Ok(Value::text("Z"))],
    });
    let texts = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::text(*text)).collect());
    let expected = Value::List(vec![texts(&["X1", "X2"]), texts(&["Y"]), texts(&["Z"])]);
    assert_eq!(state, State::Returned(expected));
    assert_eq!(run.keys(), ["x/1", "y/1", "z/1", "x/2"]);
}

#[test]
fn misuse_is_told() {
    for (body, part) in [
        ("retry.one(ctx, { kind = 'a.b/1' })", "task 1 has no key"),
        (
            "retry.one(ctx, { kind = 'a.b/1', key = 'k' }, { atempts = 3 })",
            "unknown option atempts; did you mean attempts?",
        ),
        (
            "retry.one(ctx, { kind = 'a.b/1', key = 'k' }, { attempts = '3' })",
            "attempts is a number, got string",
        ),
        (
            "retry.one(ctx, { kind = 'a.b/1', key = 'k' }, { budgets = { lots = 3 } })",
            "retry: budgets: unknown option lots; did you mean lost?",
        ),
        ("chunk.cut({ 1 }, 0)", "at least one item"),
    ] {
        let message = failed(run(body, echo).1);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn pieces_are_whole_and_widths_grow_with_the_job() {
    let body = "local out = {}
        for _, count in { 1, 2, 4, 16, 24, 64, 256 } do table.insert(out, chunk.width(count, 16)) end
        for _, width in { 1, 2, 3, 9 } do
          local at, pieces = 0, chunk.cut({ 'a', 'b', 'c', 'd', 'e' }, width)
          for _, piece in pieces do
            assert(piece.first == at + 1 and #piece.items == piece.last - at)
            at = piece.last
          end
          assert(at == 5 and #pieces == math.ceil(5 / width))
        end
        assert(#chunk.cut({}, 3) == 0)
        return out";
    let widths = [2, 2, 2, 2, 3, 8, 16].map(Value::Int).to_vec();
    assert_eq!(run(body, echo).1, State::Returned(Value::List(widths)));
}

/// A retry that pauses goes on in a fiber; what the caller's own function raises there is still the caller's.
#[test]
fn what_accept_raises_after_a_pause_can_be_caught() {
    let body = "
      local asked = 0
      local ok, why = pcall(retry.one, ctx, { kind = 'a.b/1', key = 'job' }, {
        backoff = 5,
        accept = function() asked += 1 if asked == 2 then error('on purpose') end return false end,
      })
      return { ok = ok, why = why }";
    let (_, state) = run(body, echo);
    let State::Returned(Value::Map(caught)) = state else {
        panic!("{state:?}");
    };
    assert_eq!(caught["ok"], Value::Bool(false));
    let Value::Text(why) = &caught["why"] else {
        panic!("{caught:?}");
    };
    assert!(why.ends_with("on purpose"), "{why}");
}

const TASK: &str = "{ kind = 'a.b/1', key = 'k' }";

#[test]
fn odd_options_and_tasks_are_refused_where_they_are_given() {
    for (call, part) in [
        (
            "retry.one(ctx, task, { attempts = 0 })",
            "attempts is a whole number",
        ),
        (
            "retry.one(ctx, task, { attempts = 0/0 })",
            "attempts is a whole number",
        ),
        (
            "retry.one(ctx, task, { attempts = 1.5 })",
            "attempts is a whole number",
        ),
        (
            "retry.one(ctx, task, { budgets = { error = 0 } })",
            "the budget for error",
        ),
        (
            "retry.one(ctx, task, { backoff = -2 })",
            "backoff is a number of seconds",
        ),
        (
            "retry.one(ctx, task, { atempts = 2 })",
            "did you mean attempts?",
        ),
        ("retry.one(ctx, nil)", "a task of one item"),
        (
            "retry.one(ctx, { kind = 'a.b/1', key = 'k', items = { 1, 2 } })",
            "retry.items takes more",
        ),
        ("retry.each(ctx, task)", "a list of tasks was expected"),
        ("retry.items(ctx, task, 1)", "a task with `items`"),
        ("retry.each(ctx, { { kind = 'a.b/1' } })", "has no key"),
    ] {
        let (_, state) = run(&format!("local task = {TASK}\n{call}"), echo);
        let State::Failed(failure) = state else {
            panic!("{call}: {state:?}");
        };
        assert!(failure.message.contains(part), "{call}: {failure}");
        assert!(
            failure.message.contains("pipelines/t.lua:4: "),
            "{call}: {failure}"
        );
    }
}
