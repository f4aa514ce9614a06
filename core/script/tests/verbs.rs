//! Each verb from a script's side: what it calls, what it gives, and what it says to a misuse.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use expect_test::{Expect, expect};
use froben_model::{
    BlobRef, CallId, ErrorClass, Kind, Needs, OperatorId, SetupKey, TaskSpec, Value,
};
use froben_script::{Call, CallOp, Code, Completion, Event, Limits, Revision, State};
use harness::*;
use proptest::prelude::*;

fn item(call: u64, index: u32, value: Value) -> Completion {
    happened(CallId(call), came(index, Ok(value), "op-a"))
}

fn ended(call: u64) -> Completion {
    happened(CallId(call), Event::Ended)
}

fn returned(state: State) -> Value {
    match state {
        State::Returned(value) => value,
        other => panic!("{other:?}"),
    }
}

/// Runs a body against answers to its tasks and shows what it returns.
fn show(body: &str, answer: impl FnMut(&TaskSpec) -> Vec<froben_model::ItemOutcome>) -> String {
    let mut run = Run::new(start(&with_body(body), Value::map::<String>([])));
    match run.finish(answer) {
        State::Returned(Value::Text(text)) => text,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_delegation_says_what_the_script_wrote() {
    let (calls, state) = first_step(
        "\n\nlocal d = ctx:delegate {
           kind = 'data.prove/1', key = 'prove/1', input = { circuit = 'sha256', n = 3 },
           items = { { index = 0 }, 'x', 2.5, true }, avoid = { 'op-a', 'op-b', 'op-a' },
           needs = { cpu_cores = 2, ram = '1GiB', vram = 1024, shared = true,
             keys = { crs = '0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a' } },
           max_price = '0.05', check = 'data.check/1',
           timeout = '5m', queue_timeout = 1.5 }
         ctx:delegate { kind = 'data.plain/2' }
         assert(d.id == 1 and d.key == 'prove/1')
         d:await()",
    );
    assert_eq!(state, State::Blocked);
    let full = TaskSpec {
        kind: Kind::new("data.prove/1").unwrap(),
        input: Value::map([("circuit", Value::text("sha256")), ("n", Value::Int(3))]),
        items: vec![
            Value::map([("index", Value::Int(0))]),
            Value::text("x"),
            Value::Number(2.5),
            Value::Bool(true),
        ],
        needs: Needs {
            cpu_cores: 2,
            ram_bytes: 1 << 30,
            vram_bytes: 1024,
            shared: true,
        },
        timeout_ms: 300_000,
        queue_timeout_ms: 1500,
        avoid: ["op-a", "op-b"]
            .map(|name| OperatorId::new(name).unwrap())
            .to_vec(),
        key: "prove/1".to_owned(),
        check: Kind::new("data.check/1").ok(),
        keys: vec![SetupKey::of("crs", &"0a".repeat(32)).unwrap()],
        max_price: Some("0.05".parse().unwrap()),
    };
    let plain = TaskSpec {
        kind: Kind::new("data.plain/2").unwrap(),
        input: Value::Nil,
        items: vec![Value::Nil],
        needs: Needs::default(),
        timeout_ms: 600_000,
        queue_timeout_ms: 3_600_000,
        avoid: Vec::new(),
        key: "#2".to_owned(),
        check: None,
        keys: Vec::new(),
        max_price: None,
    };
    let made = |id, line, spec| Call {
        id: CallId(id),
        line,
        op: CallOp::Delegate(spec),
    };
    assert_eq!(
        calls,
        [made(1, 4, Box::new(full)), made(2, 11, Box::new(plain))]
    );
}

#[test]
fn await_gives_values_items_and_the_first_error() {
    let describe = "local r = ctx:delegate { kind = 'a.b/1', items = { 1, 2, 3 } }:await()
        local out = { tostring(r.ok), tostring(r.value), r.err and r.err.class or 'none' }
        for i, item in ipairs(r.items) do
          table.insert(out, `{item.index}:{item.ok}:{item.value or item.err.class}`)
        end
        return table.concat(out, ' ')";
    let good = |_: &TaskSpec| vec![Ok(Value::Int(7)), Ok(Value::text("x")), Ok(Value::Int(9))];
    assert_eq!(
        show(describe, good),
        "true nil none 1:true:7 2:true:x 3:true:9"
    );
    let bad = |_: &TaskSpec| {
        vec![
            Ok(Value::Int(7)),
            lost(ErrorClass::Timeout, "op-a"),
            lost(ErrorClass::WorkerFailed, ""),
        ]
    };
    assert_eq!(
        show(describe, bad),
        "false nil timeout 1:true:7 2:false:timeout 3:false:worker_failed"
    );

    let error = "local r = ctx:delegate { kind = 'a.b/1' }:await()
        return `{r.err.class} {r.err.message} {r.err.retryable} {r.err.operator} {r.value}`";
    let refuse = |_: &TaskSpec| vec![lost(ErrorClass::BadRequest, "op-a")];
    assert_eq!(
        show(error, refuse),
        "bad_request bad_request on purpose false op-a nil"
    );
    let one = "return ctx:delegate { kind = 'a.b/1' }:await().value.deep[2]";
    let deep = |_: &TaskSpec| {
        let list = Value::List(vec![Value::Int(1), Value::text("found")]);
        vec![Ok(Value::map([("deep", list)]))]
    };
    assert_eq!(show(one, deep), "found");
}

#[test]
fn all_waits_for_every_one_and_keeps_the_order() {
    let body = "local a = ctx:delegate { kind = 'a.b/1' }
        local b = ctx:delegate { kind = 'a.b/1' }
        ctx:log('waiting')
        local r = ctx:all { b, a }
        return { r[1].value, r[2].value, #ctx:all {} }";
    let mut vm = start(&with_body(body), Value::map::<String>([]));
    assert_eq!(vm.resume(Vec::new()).calls.len(), 3);
    let half = vm.resume(vec![item(1, 0, Value::text("a")), ended(1)]);
    assert_eq!(half.state, State::Blocked);
    let whole = vm.resume(vec![item(2, 0, Value::text("b")), ended(2)]);
    let expected = Value::List(vec![Value::text("b"), Value::text("a"), Value::Int(0)]);
    assert_eq!(returned(whole.state), expected);
}

#[test]
fn a_stream_yields_in_order_of_arrival_and_follows_its_list() {
    let body = "local first = ctx:delegate { kind = 'a.b/1', items = { 1, 2 } }
        local list = { first, ctx:delegate { kind = 'a.b/1' } }
        local seen = {}
        for i, item in ctx:stream(list) do
          assert(item.delegation == list[i])
          table.insert(seen, `{i}.{item.index}={item.value}`)
          if #seen == 1 then table.insert(list, ctx:delegate { kind = 'a.b/1' }) end
        end
        for _ in ctx:stream {} do error('nothing to yield') end
        for _, item in ctx:stream { first } do table.insert(seen, `again {item.index}`) end
        return table.concat(seen, ' ')";
    let mut vm = start(&with_body(body), Value::map::<String>([]));
    vm.resume(Vec::new());
    let second = vm.resume(vec![item(1, 1, Value::text("x"))]);
    assert_eq!(second.calls.len(), 1);
    vm.resume(vec![
        item(3, 0, Value::text("late")),
        ended(3),
        item(2, 0, Value::text("y")),
    ]);
    let end = vm.resume(vec![item(1, 0, Value::text("z"))]);
    let seen = Value::text("1.2=x 3.1=late 2.1=y 1.1=z again 2 again 1");
    assert_eq!(returned(end.state), seen);
}

#[test]
fn the_rest_of_the_verbs() {
    let body = "ctx:status { phase = 'prove', done = 1, total = 4 }
        ctx:status { phase = 'rest' }
        ctx:log('one\\nline') ctx:log(12)
        local d = ctx:delegate { kind = 'a.b/1' }
        d:cancel() d:cancel()
        ctx:sleep('2s') ctx:sleep(0.25)
        return d:await().err.class";
    let mut run = Run::new(start(&with_body(body), Value::map::<String>([])));
    let end = run.finish(|_| vec![lost(ErrorClass::Cancelled, "")]);
    assert_eq!(returned(end), Value::text("cancelled"));
    let ops: Vec<&CallOp> = run.calls.iter().map(|call| &call.op).collect();
    let log = |text: &str| CallOp::Log {
        text: text.to_owned(),
    };
    let status = |phase: &str, done, total| {
        let phase = phase.to_owned();
        CallOp::Status { phase, done, total }
    };
    assert_eq!(
        ops[..4],
        [
            &status("prove", 1, 4),
            &status("rest", 0, 0),
            &log("one line"),
            &log("12")
        ]
    );
    assert_eq!(
        ops[5..],
        [
            &CallOp::Cancel { target: CallId(5) },
            &CallOp::Sleep { ms: 2000 },
            &CallOp::Sleep { ms: 250 }
        ]
    );

    let refused = fail("ctx:fail('the file is empty')");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Code::Refused, "the file is empty")
    );
    // It cannot be caught, and what would follow does not happen.
    let (calls, state) = first_step("pcall(function() ctx:fail('no') end) ctx:log('on') return 1");
    assert!(calls.is_empty() && matches!(state, State::Failed(f) if f.code == Code::Refused));
}

#[test]
fn misuse_says_where_and_what_to_write() {
    let check = |body: &str, expected: Expect| {
        let failure = fail(body);
        assert_eq!(failure.code, Code::Runtime, "{failure}");
        let message = failure.message.strip_prefix("pipelines/t.lua:2: ");
        expected.assert_eq(message.unwrap_or(&failure.message));
    };
    check(
        "ctx:delegate {}",
        expect![
            "ctx:delegate: `kind` is missing (a string: what the task is, such as \"data.prove/1\")"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b' }",
        expect!["ctx:delegate: `a.b` is not a kind: it ends in a version: NAME/1"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', timeot = 1 }",
        expect!["ctx:delegate: unknown key `timeot`; did you mean `timeout`?"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', max_price = '1 cent' }",
        expect![
            "ctx:delegate: `max_price`: `1 cent` is not an amount of money: digits, and up to six more behind a point: 0.05"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', check = 'a.check' }",
        expect!["ctx:delegate: `check`: `a.check` is not a kind: it ends in a version: NAME/1"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', max_price = 0.05 }",
        expect!["ctx:delegate: `max_price` is a string; got a number"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', needs = { keys = { crs = '12' } } }",
        expect!["ctx:delegate: `needs.keys`: `12` is not a SHA-256: 64 hex digits"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', needs = { keys = { 'crs' } } }",
        expect![
            "ctx:delegate: `needs.keys` is a table of names and their SHA-256, each 64 hex digits"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', needs = { gpu = 1 } }",
        expect![
            "ctx:delegate: unknown key `needs.gpu`; there is cpu_cores, ram, vram, shared, keys"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', needs = { ram = '4GB' } }",
        expect![
            "ctx:delegate: `needs.ram` is a size such as \"512MiB\"; `4GB` is not a size: a whole number and KiB, MiB, GiB or TiB"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', timeout = 'soon' }",
        expect![
            "ctx:delegate: `timeout` is a duration such as \"30s\" or \"5m\", or a number of seconds; `soon` is not a duration: a whole number and ms, s, m or h"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', timeout = 0 }",
        expect!["ctx:delegate: `timeout` is 0 ms; it is from 1 ms to 24 h"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', timeout = 0/0 }",
        expect![
            "ctx:delegate: `timeout` is a duration such as \"30s\" or \"5m\", or a number of seconds; got NaN seconds"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', items = {} }",
        expect!["ctx:delegate: `items` is empty; leave it out for a task of one item"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', items = { a = 1 } }",
        expect![
            "ctx:delegate: `items` is a list of plain data; got a table with holes or with other keys than 1, 2, 3"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', items = { 1, { x = { 2^60 } } } }",
        expect![
            "ctx:delegate: items[2].x[1] is 1152921504606846976, beyond 2^53, where a number of Lua is not exact: pass it as a string"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', input = { 1, x = 2 } }",
        expect!["ctx:delegate: input mixes a list with named entries: make it one of them"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', input = { d = ctx:delegate { kind = 'a.b/1' } } }",
        expect!["ctx:delegate: input.d is a delegation, which is not data: wait for its result"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', avoid = { 'Op A' } }",
        expect![
            "ctx:delegate: `avoid`: `Op A` is not an operator name: lower-case letters, digits, `-`, `_` and `.` only"
        ],
    );
    check(
        "ctx:delegate { kind = 'a.b/1', key = 'k' } ctx:delegate { kind = 'a.b/1', key = 'k' }",
        expect![
            "ctx:delegate: the key `k` names call #1 already; give each attempt a key of its own"
        ],
    );
    check(
        "ctx.delegate { kind = 'a.b/1' }",
        expect!["ctx:delegate: write a colon, not a dot, between ctx and delegate"],
    );
    check(
        "ctx:delgate {}",
        expect!["ctx has no `delgate`; did you mean `delegate`?"],
    );
    check(
        "ctx:delegate { kind = 'a.b/1' }:wait()",
        expect!["a delegation has no `wait`; did you mean `await`?"],
    );
    check(
        "ctx:all(ctx:delegate { kind = 'a.b/1' })",
        expect!["ctx:all: write { } around a single delegation"],
    );
    check(
        "ctx:stream { 5 }",
        expect!["ctx:stream: at position 1: a delegation was expected, got a number"],
    );
    check(
        "ctx:status { phase = 'x', done = 3, total = 2 }",
        expect!["ctx:status: `done` is 3 of a `total` of 2"],
    );
    check(
        "ctx:status { phase = 'x', 1 }",
        expect!["ctx:status: a key is a number, not a name"],
    );
    check(
        "ctx:status { phase = '' }",
        expect!["ctx:status: `phase` is empty; it is a word"],
    );
    check(
        "ctx:status 'x'",
        expect!["ctx:status: a table of options was expected, got a string"],
    );
    check(
        "ctx:sleep('long')",
        expect![
            "ctx:sleep: \"5s\" or a number of seconds was expected; `long` is not a duration: a whole number and ms, s, m or h"
        ],
    );
    check(
        "ctx:sleep('8784h')",
        expect!["ctx:sleep: the longest sleep is 30 days"],
    );
    check(
        "ctx:log({})",
        expect!["ctx:log: a string was expected, got a table"],
    );
    check("print('x')", expect!["print is not available: use ctx:log"]);
    check(
        "return undefined_thing",
        expect!["the name undefined_thing is not defined"],
    );
    check("x = 1", expect!["attempt to modify a readonly table"]);
    check(
        "return input.data.size",
        expect!["attempt to index nil with 'size'"],
    );
    check("error({ message = 'structured' })", expect!["structured"]);
    check("error()", expect!["the script raised nil"]);
}

#[test]
fn an_error_in_a_module_names_both_places() {
    let mut files = with_body("\nlocal m = require('lib/m')\n\nm.go(nil)");
    let module = "return { go = function(x)\n  return x.y\nend }".to_owned();
    files.insert("lib/m.lua".to_owned(), module);
    let State::Failed(failure) = start(&files, Value::map::<String>([]))
        .resume(Vec::new())
        .state
    else {
        panic!()
    };
    let expected = "lib/m.lua:2: attempt to index nil with 'y' (reached from pipelines/t.lua:5)";
    assert_eq!(failure.message, expected);
}

#[test]
fn modules_are_loaded_once_frozen_and_not_in_circles() {
    let module = |source: &str| source.to_owned();
    let mut files = with_body(
        "local a, b = require('lib/a'), require('lib/b')
         assert(a == require('lib/a') and b.a == a and a.count() == 1 and a.count() == 2)
         return pcall(function() a.x = 1 end)",
    );
    let counter = "local n = 0 return { count = function() n += 1 return n end }";
    files.insert("lib/a.lua".to_owned(), module(counter));
    files.insert(
        "lib/b.lua".to_owned(),
        module("return { a = require('lib/a') }"),
    );
    let end = start(&files, Value::map::<String>([]))
        .resume(Vec::new())
        .state;
    assert_eq!(returned(end), Value::Bool(false));

    for (b, code, part) in [
        ("local x = 1", Code::Runtime, "returns nothing"),
        (
            "return require('lib/aa')",
            Code::Require,
            "did you mean `lib/a`?",
        ),
        ("error('broken')", Code::Runtime, "lib/b.lua:1: broken"),
    ] {
        files.insert(
            "lib/a.lua".to_owned(),
            module("return { b = require('lib/b') }"),
        );
        files.insert("lib/b.lua".to_owned(), module(b));
        let state = start(&files, Value::map::<String>([]))
            .resume(Vec::new())
            .state;
        let State::Failed(failure) = state else {
            panic!("{state:?}")
        };
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(part), "{failure}");
    }

    // A circle is found without running anything, or where the name is only known when it is needed.
    files.insert("lib/b.lua".to_owned(), module("return require('lib/a')"));
    let problems = Revision::check(&files, &Limits::default()).err().unwrap();
    let found: Vec<_> = problems
        .iter()
        .map(|found| (found.code, found.path.as_str()))
        .collect();
    assert_eq!(found, [(Code::Require, "lib/b.lua")]);
    let hidden = "local name = 'lib/a' return require(name)";
    files.insert("lib/b.lua".to_owned(), module(hidden));
    let State::Failed(failure) = start(&files, Value::map::<String>([]))
        .resume(Vec::new())
        .state
    else {
        panic!("a circle ends");
    };
    assert_eq!(failure.code, Code::Require, "{failure}");
    assert!(
        failure.message.contains("lib/a -> lib/b -> lib/a"),
        "{failure}"
    );
}

#[test]
fn blobs_are_opaque_but_show_their_hash_and_size() {
    let blob = BlobRef::of(b"some bytes");
    let body = "local b = input.b
        assert(b.hash == input.hash and b.size == 10 and b == input.same and getmetatable(b) == 'blob')
        assert(not pcall(function() b.size = 1 end) and not pcall(function() return b.length end))
        assert(tostring(b) == `blob {string.sub(b.hash, 1, 12)} (10 bytes)`)
        ctx:delegate { kind = 'a.b/1', input = { b }, items = { { b = b } } }
        return { b = b, fake = { hash = b.hash, size = b.size } }";
    let mut files = with_body(body);
    let source = files.get_mut("pipelines/t.lua").unwrap();
    *source = source.replacen(
        "{}",
        "{ input = { b = 'blob', same = 'blob', hash = 'string' } }",
        1,
    );
    let input = Value::map([
        ("b", Value::Blob(blob)),
        ("same", Value::Blob(blob)),
        ("hash", Value::text(blob.hash.to_string())),
    ]);
    let progress = start(&files, input).resume(Vec::new());
    let output = returned(progress.state);
    assert_eq!(output.get("b"), Some(&Value::Blob(blob)));
    assert!(matches!(output.get("fake"), Some(Value::Map(_))));
    let CallOp::Delegate(spec) = &progress.calls[0].op else {
        panic!()
    };
    assert_eq!(spec.input.blobs(), [blob]);
    assert_eq!(spec.items[0].blobs(), [blob]);
}

#[test]
fn values_that_lua_cannot_hold_are_refused_where_they_are_used() {
    let body = "local d = ctx:delegate { kind = 'a.b/1' } return d:await().ok";
    for value in [
        Value::Int(1 << 60),
        Value::List(vec![Value::Nil]),
        Value::Number(f64::NAN),
    ] {
        let mut run = Run::new(start(&with_body(body), Value::map::<String>([])));
        let end = run.finish(|_| vec![Ok(Value::map([("x", value.clone())]))]);
        let State::Failed(failure) = end else {
            panic!("{end:?}")
        };
        assert!(
            failure
                .message
                .starts_with("pipelines/t.lua:2: the value of item 1"),
            "{failure}"
        );
    }
}

#[test]
fn plain_data_survives_the_way_out_and_back() {
    for (lua, value) in [
        ("nil", Value::Nil),
        ("true", Value::Bool(true)),
        ("2^53", Value::Int(1 << 53)),
        ("-2^53", Value::Int(-(1 << 53))),
        ("0.5", Value::Number(0.5)),
        ("'h\\u{e9}'", Value::text("hé")),
        ("{}", Value::map::<String>([])),
        (
            "{ {}, { 1, 2 } }",
            Value::List(vec![
                Value::map::<String>([]),
                Value::List(vec![Value::Int(1), Value::Int(2)]),
            ]),
        ),
        (
            "{ a = { b = 'c' }, d = 1 }",
            Value::map([
                ("a", Value::map([("b", Value::text("c"))])),
                ("d", Value::Int(1)),
            ]),
        ),
    ] {
        assert_eq!(eval(&format!("return {lua}")), value, "{lua}");
    }
    for (lua, part) in [
        ("0/0", "only finite numbers"),
        ("-1/0", "only finite numbers"),
        ("2^53 + 2", "pass it as a string"),
        ("'\\xff'", "not UTF-8"),
        ("{ [1] = 1, [3] = 3 }", "holes"),
        ("{ [0] = 1 }", "holes"),
        ("{ [true] = 1 }", "a key that is a boolean"),
        ("setmetatable({}, {})", "metatable"),
        ("buffer.create(1)", "buffer"),
        ("ctx", "metatable"),
    ] {
        let failure = fail(&format!("return {{ x = {lua} }}"));
        assert_eq!(failure.code, Code::Output);
        assert!(failure.message.contains(part), "{lua}: {failure}");
    }
}

/// Values that mean the same in Lua: no nil inside, an empty list is an empty map.
fn plain_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-(1i64 << 53)..=1 << 53).prop_map(Value::Int),
        (-1e9..1e9f64)
            .prop_filter("fractional", |x| x.fract() != 0.0)
            .prop_map(Value::Number),
        ".{0,8}".prop_map(Value::Text),
        any::<[u8; 4]>().prop_map(|bytes| Value::Blob(BlobRef::of(&bytes))),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..6).prop_map(Value::List),
            proptest::collection::btree_map(".{0,4}", inner, 0..6).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plain_value_passes_unchanged(value in plain_value()) {
        let mut files = with_body("return input");
        let source = files.get_mut("pipelines/t.lua").unwrap();
        *source = source.replacen("{}", "{ input = { v = 'any' } }", 1);
        let input = Value::map([("v", value)]);
        let state = start(&files, input.clone()).resume(Vec::new()).state;
        prop_assert_eq!(state, State::Returned(input));
    }
}
