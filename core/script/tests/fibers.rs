//! Fibers, races, maps and children: what runs beside each other in one workflow.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use froben_model::view::Failure;
use froben_model::{CallId, ErrorClass, Value};
use froben_script::{CallOp, Code, Completion, Event, Limits, State, Vm};
use harness::*;

fn begun(body: &str) -> Vm {
    start(&with_body(body), Value::map::<String>([]))
}

fn item(call: u64, value: &str) -> Completion {
    happened(CallId(call), came(0, Ok(Value::text(value)), "op-a"))
}

fn ended(call: u64) -> Completion {
    happened(CallId(call), Event::Ended)
}

fn slept(call: u64) -> Completion {
    happened(CallId(call), Event::Slept)
}

fn text(state: &State) -> &str {
    match state {
        State::Returned(Value::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fibers_run_beside_each_other_in_the_order_in_which_they_were_spawned() {
    let body = "local seen = {}
        local function work(name, n)
          table.insert(seen, `{name} begins`)
          for i = 1, n do ctx:delegate { kind = 'a.b/1', key = `{name}/{i}` }:await() end
          table.insert(seen, `{name} ends`)
          return name, n
        end
        local a, b = ctx:spawn(work, 'a', 2), ctx:spawn(work, 'b', 1)
        table.insert(seen, 'main')
        table.insert(seen, b:await())
        table.insert(seen, a:await())
        table.insert(seen, a:await())
        return table.concat(seen, ', ')";
    let mut vm = begun(body);
    let first = vm.resume(Vec::new());
    assert_eq!(first.calls.len(), 2);
    // Both calls of a fiber carry the line that led to it.
    assert!(first.calls.iter().all(|call| call.line == 5));
    vm.resume(vec![item(1, "x"), item(2, "y")]);
    // `a` goes on with its second piece, then `b` ends.
    let both = vm.resume(vec![ended(1), ended(2)]);
    assert_eq!(both.calls.len(), 1);
    let end = vm.resume(vec![item(3, "z"), ended(3)]);
    assert_eq!(
        text(&end.state),
        "main, a begins, b begins, b ends, b, a ends, a, a"
    );
}

#[test]
fn an_error_that_nothing_catches_fails_the_workflow_with_its_place() {
    let fails = |body: &str, expected: Expect| {
        let failure = fail(body);
        expected.assert_eq(&failure.to_string());
    };
    fails(
        "ctx:spawn(function()\n  local x = nil\n  return x.y\nend)\nctx:sleep(1)",
        expect!["FRB-LUA-002: pipelines/t.lua:4: attempt to index nil with 'y'"],
    );
    // Though somebody waits for it, and would catch.
    fails(
        "local f = ctx:spawn(function() error('no') end) pcall(function() f:await() end)",
        expect!["FRB-LUA-002: pipelines/t.lua:2: no"],
    );
    fails(
        "ctx:spawn(function() ctx:fail('the file is empty') end) ctx:sleep(1)",
        expect!["FRB-LUA-011: the file is empty"],
    );
    fails(
        "local f f = ctx:spawn(function() f:await() end) ctx:sleep(1)",
        expect!["FRB-LUA-002: pipelines/t.lua:2: a fiber waits for itself"],
    );
    fails(
        "local a, b\na = ctx:spawn(function() b:await() end)\nb = ctx:spawn(function() a:await() end)\n\na:await()",
        expect![
            "FRB-LUA-002: pipelines/t.lua:6: the workflow waits for ever: its fibers wait for each other"
        ],
    );
    // What is expected is caught inside.
    let caught = "local f = ctx:spawn(function() return (pcall(error, 'no')) end) return f:await()";
    assert_eq!(eval(caught), Value::Bool(false));
}

#[test]
fn a_fiber_that_still_runs_is_dropped_when_the_workflow_returns() {
    let mut vm =
        begun("ctx:spawn(function() ctx:sleep(1) ctx:log('late') end) ctx:sleep(2) return 1");
    assert_eq!(vm.resume(Vec::new()).calls.len(), 2);
    let progress = vm.resume(vec![slept(1), slept(2)]);
    assert_eq!(progress.state, State::Returned(Value::Int(1)));
    assert!(progress.calls.is_empty());
}

#[test]
fn a_race_is_won_by_the_first_end_in_the_journal() {
    let body = "local function task(key) return ctx:delegate { kind = 'a.b/1', key = key } end
        local list = { task('a'), task('b'), ctx:spawn(function() ctx:sleep(1) return 'slept' end) }
        local order = {}
        for _ = 1, 3 do
          local at, result = ctx:race(list)
          table.insert(order, if type(result) == 'table' then result.value else result)
          table.remove(list, at)
        end
        return table.concat(order, ' ')";
    let completions = [item(1, "A"), item(2, "B"), ended(2), slept(3), ended(1)];
    let mut whole = begun(body);
    let end = whole.resume(completions.to_vec()).state;
    assert_eq!(text(&end), "B slept A");
    let mut single = begun(body);
    single.resume(Vec::new());
    for completion in completions {
        single.resume(vec![completion]);
    }
    assert_eq!(single.resume(Vec::new()).state, end);
}

#[test]
fn a_race_over_what_is_over_gives_the_earliest() {
    let body = "local a, b = ctx:delegate { kind = 'a.b/1' }, ctx:delegate { kind = 'a.b/1' }
        ctx:all { a, b }
        return `{(ctx:race { a, b })}{(ctx:race { b, a })}{(ctx:race { a })}`";
    let mut vm = begun(body);
    let end = vm.resume(vec![item(2, ""), ended(2), item(1, ""), ended(1)]);
    assert_eq!(text(&end.state), "211");
}

#[test]
fn all_takes_whatever_has_an_end() {
    let body = "local results = ctx:all {
          ctx:run('t'), ctx:delegate { kind = 'a.b/1' }, ctx:spawn(function() return 'f' end),
        }
        return `{results[1].value} {results[2].value} {results[3]} {#ctx:all {}}`";
    let mut run = Run::new(begun(body));
    let end = run.finish(|_| vec![Ok(Value::text("d"))]);
    assert_eq!(text(&end), "t d f 0");
}

#[test]
fn a_child_is_called_with_its_input_and_ends_as_data() {
    let mut files = with_body(
        "local good = ctx:run('square', { n = 3 }, { key = 'sq/3' })
         local bad = ctx:run('square', { n = 4 })
         assert(good.id == 1 and good.key == 'sq/3' and good.pipeline == 'square' and bad.key == '#2')
         bad:cancel() bad:cancel()
         local first = ctx:race { good, bad }
         local a, b = good:await(), bad:await()
         return `{first} {a.ok} {a.value.sq} {b.ok} {b.err.code} {b.err.message}`",
    );
    let square =
        "return workflow('square', { input = { n = 'integer', m = { 'x', default = 'x' } } },
        function() end)";
    files.insert("pipelines/square.lua".to_owned(), square.to_owned());
    let mut vm = start(&files, Value::map::<String>([]));
    let calls = vm.resume(Vec::new()).calls;
    let run = |n, key: &str| CallOp::Run {
        pipeline: "square".to_owned(),
        input: Value::map([("n", Value::Int(n)), ("m", Value::text("x"))]),
        key: key.to_owned(),
    };
    let ops: Vec<CallOp> = calls.into_iter().map(|call| call.op).collect();
    let cancel = CallOp::Cancel { target: CallId(2) };
    assert_eq!(ops, [run(3, "sq/3"), run(4, ""), cancel]);
    let failure = Failure {
        code: "FRB-WFL-010".to_owned(),
        message: "the child was cancelled".to_owned(),
    };
    let child = |call, outcome| happened(CallId(call), Event::ChildEnded { outcome });
    let end = vm.resume(vec![
        child(2, Err(failure)),
        child(1, Ok(Value::map([("sq", Value::Int(9))]))),
    ]);
    assert_eq!(
        text(&end.state),
        "2 true 9 false FRB-WFL-010 the child was cancelled"
    );
}

#[test]
fn misuse_says_what_to_write() {
    let check = |body: &str, expected: Expect| {
        let failure = fail(body);
        let message = failure.message.strip_prefix("pipelines/t.lua:2: ");
        expected.assert_eq(message.unwrap_or(&failure.message));
    };
    check(
        "ctx:run('tt')",
        expect!["ctx:run: there is no pipeline `tt`; did you mean `t`?"],
    );
    check(
        "ctx:run('t', { n = 1 })",
        expect!["ctx:run: unknown input `n`; there is none"],
    );
    check(
        "ctx:run('t', {}, { kee = 'x' })",
        expect!["ctx:run: unknown key `kee`; did you mean `key`?"],
    );
    check(
        "ctx:run('t', { n = 2^60 })",
        expect![
            "ctx:run: input.n is 1152921504606846976, beyond 2^53, where a number of Lua is not exact: pass it as a string"
        ],
    );
    check(
        "ctx:spawn('f')",
        expect!["ctx:spawn: a function was expected, got a string"],
    );
    check(
        "ctx:spawn(function() end):cancel()",
        expect!["a fiber has no `cancel`; there is await"],
    );
    check(
        "ctx:race {}",
        expect!["ctx:race: the list is empty: nothing would ever win"],
    );
    check(
        "ctx:race(ctx:run('t'))",
        expect!["ctx:race: write { } around a single child"],
    );
    check(
        "ctx:all { ctx:run('t'), 5 }",
        expect![
            "ctx:all: at position 2: a delegation, a fiber or a child was expected, got a number"
        ],
    );
    check(
        "ctx:stream { ctx:run('t') }",
        expect!["ctx:stream: at position 1: a delegation was expected, got a child"],
    );
    check(
        "ctx:random(0)",
        expect!["ctx:random: a whole number from 1 to 2^53 was expected, got 0"],
    );
    check(
        "ctx:random(2^60)",
        expect!["ctx:random: a whole number from 1 to 2^53 was expected, got 1152921504606846976"],
    );
    check(
        "ctx:map({ kind = 'a.b/1' })",
        expect!["ctx:map: `items` is missing (a list of plain data)"],
    );
    check(
        "ctx:map({ kind = 'a.b/1', items = { 1 } }, { widht = 2 })",
        expect!["ctx:map: unknown key `widht`; did you mean `width`?"],
    );
    check(
        "ctx:map({ kind = 'a.b/1', items = { 1 } }, { width = 0 })",
        expect!["ctx:map: `width` is 0; it is from 1 to 1024"],
    );
    check(
        "ctx:map({ kind = 'a.b/1', items = { 1 } }, { on_item = 5 })",
        expect!["ctx:map: `on_item` is a function; got a number"],
    );
    check(
        "ctx:map({ kid = 'a.b/1', items = { 1 } })",
        expect!["ctx:map: unknown key `kid`; did you mean `kind`?"],
    );
    check(
        "ctx:map({ kind = 'a.b/1', items = { 1, 2^60 } }, { width = 2 })",
        expect![
            "ctx:map: items[2] is 1152921504606846976, beyond 2^53, where a number of Lua is not exact: pass it as a string"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', input = ctx:spawn(function() end) }",
        expect!["ctx:delegate: input is a fiber, which is not data: wait for its result"],
    );
    check(
        "ctx.now()",
        expect!["ctx:now: write a colon, not a dot, between ctx and now"],
    );
}

#[test]
fn a_map_keeps_so_many_in_flight_and_gives_partial_success() {
    let body = "local items, seen = {}, 0
        for i = 1, 10 do items[i] = i end
        local done = ctx:map({ kind = 'a.b/1', key = 'm', items = items }, {
          width = 3, concurrency = 2, on_item = function(item) seen += item.index end })
        assert(seen == 55)
        local out = {}
        for _, ok in done.ok do table.insert(out, `{ok.index}={ok.value}@{ok.operator}`) end
        for _, bad in done.err do table.insert(out, `{bad.index}:{bad.err.class}@{bad.err.operator}`) end
        return table.concat(out, ' ')";
    let mut vm = begun(body);
    let mut flight: Vec<(CallId, Vec<Value>, String)> = Vec::new();
    let mut progress = vm.resume(Vec::new());
    let mut keys = Vec::new();
    while progress.state == State::Blocked {
        for call in progress.calls {
            let CallOp::Delegate(spec) = call.op else {
                panic!()
            };
            keys.push(spec.key.clone());
            flight.push((call.id, spec.items, spec.key));
        }
        assert!((1..=2).contains(&flight.len()));
        // The newest ends first.
        let (call, items, key) = flight.pop().unwrap();
        let outcomes = items.into_iter().map(|item| match key.as_str() {
            "m/7-9" => lost(ErrorClass::Timeout, "op-b"),
            _ => Ok(item),
        });
        progress = vm.resume(deliver(call, outcomes.collect(), "op-a"));
    }
    assert_eq!(keys, ["m/1-3", "m/4-6", "m/7-9", "m/10-10"]);
    assert_eq!(
        text(&progress.state),
        "1=1@op-a 2=2@op-a 3=3@op-a 4=4@op-a 5=5@op-a 6=6@op-a 10=10@op-a \
         7:timeout@op-b 8:timeout@op-b 9:timeout@op-b"
    );
    assert_eq!(
        eval("local r = ctx:map({ kind = 'a.b/1', items = {} }) return #r.ok + #r.err"),
        Value::Int(0)
    );
}

#[test]
fn a_map_of_ten_thousand_items_is_one_workflow() {
    for (width, concurrency) in [(1, 10_000), (16, 32), (1024, 3)] {
        let body = format!(
            "local items = {{}}
             for i = 1, 10000 do items[i] = {{ index = i }} end
             local done = ctx:map({{ kind = 'a.b/1', key = 'm', items = items }},
               {{ width = {width}, concurrency = {concurrency} }})
             local sum = 0
             for at, ok in done.ok do assert(ok.index == at) sum += ok.value end
             return sum"
        );
        let mut run = Run::new(begun(&body));
        let began = Instant::now();
        let end = run.finish(|spec| {
            let index = |item: &Value| Ok(item.get("index").unwrap().clone());
            spec.items.iter().map(index).collect()
        });
        assert_eq!(end, State::Returned(Value::Int(50_005_000)));
        // Without a margin for a loaded machine it would be a tenth of that.
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn time_is_the_journals() {
    let body = "local times = { ctx:now() }
        ctx:sleep(1)
        table.insert(times, ctx:now())
        ctx:sleep(1)
        table.insert(times, ctx:now())
        return times";
    let mut vm = begun(body);
    vm.resume(Vec::new());
    let at = |call, at_ms| Completion {
        call: CallId(call),
        event: Event::Slept,
        at_ms,
    };
    // A clock that ran backwards between two lives of a coordinator makes no time run backwards.
    let end = vm.resume(vec![at(1, STARTED_MS + 1250), at(2, STARTED_MS - 5)]);
    let seconds = STARTED_MS as i64 / 1000;
    let later = Value::Number(seconds as f64 + 1.25);
    let times = vec![Value::Int(seconds), later.clone(), later];
    assert_eq!(end.state, State::Returned(Value::List(times)));
}

#[test]
fn random_numbers_come_from_the_seed() {
    let body = "local out = {}
        for i = 1, 200 do
          local x, n = ctx:random(), ctx:random(6)
          assert(x >= 0 and x < 1 and n >= 1 and n <= 6 and n == math.floor(n))
          out[n] = (out[n] or 0) + 1
        end
        assert(#out == 6 and ctx:random(1) == 1)
        return table.concat(out, ' ')";
    assert_eq!(eval(body), eval(body));
    let other = check(&with_body(body));
    let input = Value::map::<String>([]);
    let mut vm = Vm::start(&other, "t", input, 8, STARTED_MS, Limits::default()).unwrap();
    assert_ne!(vm.resume(Vec::new()).state, State::Returned(eval(body)));
}

#[test]
fn all_fibers_share_one_slice_and_their_number_is_limited() {
    // None of them computes for long, but together they do.
    let busy = "local function f() for i = 1, 1e4 do end ctx:spawn(f):await() end f()";
    let began = Instant::now();
    let failure = fail(busy);
    assert!(matches!(failure.code, Code::Cpu | Code::Quota), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(10));
    for body in [
        "while true do ctx:spawn(function() end) end",
        "while true do ctx:stream {} end",
        "local d = ctx:delegate { kind = 'a.b/1' } while true do ctx:spawn(function() ctx:stream({ d })() end) end",
        "local d = { ctx:delegate { kind = 'a.b/1' } }
         while true do ctx:spawn(function() ctx:race(d) end) end",
        "while true do ctx:run('t') end",
    ] {
        let failure = fail(body);
        assert!(
            matches!(failure.code, Code::Quota | Code::Cpu | Code::Memory),
            "{body}: {failure}"
        );
    }
}

/// A C function runs them, and its frame cannot be kept while the script waits.
#[test]
fn what_c_calls_cannot_wait_and_is_told_so() {
    for body in [
        "table.sort({ 2, 1 }, function(a, b) ctx:sleep(1) return a < b end)",
        "string.gsub('x', '.', function() ctx:delegate({ kind = 'a.b/1' }):await() end)",
        "return setmetatable({}, { __index = function() ctx:sleep(1) end }).x",
        "return setmetatable({}, { __lt = function() ctx:map { kind = 'a.b/1', items = { 1 } } end }) < setmetatable({}, {})",
        "xpcall(error, function() ctx:sleep(1) end) ctx:fail('not reached')",
    ] {
        let (calls, state) = first_step(body);
        let State::Failed(failure) = state else {
            panic!("{body}: {state:?}");
        };
        assert!(
            failure.message.contains("pipelines/t.lua:2:") || body.contains("xpcall"),
            "{body}: {failure}"
        );
        if !body.contains("xpcall") && !body.contains("__lt") {
            assert!(failure.message.contains("cannot do"), "{body}: {failure}");
        }
        let sleeps = calls
            .iter()
            .any(|call| matches!(call.op, CallOp::Sleep { .. }));
        assert!(!sleeps, "{body}");
    }
}

#[test]
fn a_fiber_that_is_no_function_of_the_script_fails_where_it_was_spawned() {
    let body = "local f\nf = ctx:spawn(error, setmetatable({}, { __tostring = error }))\nf:await()";
    let (_, state) = first_step(body);
    let State::Failed(failure) = state else {
        panic!("{state:?}");
    };
    assert!(failure.message.contains("pipelines/t.lua:3: "), "{failure}");
}
