//! Scripts that mean harm: each is stopped within its slice and its memory, and says why.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use froben_model::Value;
use froben_script::{Code, Limits, Revision, State};
use harness::bounds::{
    GRACE, MARGIN, bounded, check_within, cpu, start_within, stays_stopped, timed,
};
use harness::happened;

const SLICE: Duration = Duration::from_millis(100);
const MEMORY: usize = 64 << 20;

fn limits() -> Limits {
    bounded(SLICE, MEMORY)
}

/// Runs the first step of a body and returns how it ended.
fn run(body: &str) -> State {
    let mut vm = start_within(&check_within(body, &limits()), limits());
    let (progress, spent) = timed(&mut vm, Vec::new());
    assert!(spent < SLICE + GRACE, "{spent:?} for:\n{body}");
    assert!(
        vm.memory_bytes() < MEMORY + MARGIN,
        "{} bytes for:\n{body}",
        vm.memory_bytes()
    );
    stays_stopped(&mut vm, &progress);
    progress.state
}

/// Every one of the bodies is stopped, for this reason, and the next workflow is not affected.
fn stopped(code: Code, bodies: &[&str]) {
    for body in bodies {
        match run(body) {
            State::Failed(failure) => {
                assert_eq!(failure.code, code, "{failure}\n{body}");
                let placed = failure.message.contains("pipelines/t.lua:");
                assert!(placed, "no place: {failure}\n{body}");
            }
            other => panic!("{other:?}\n{body}"),
        }
    }
    assert_eq!(run("return 1 + 1"), State::Returned(Value::Int(2)));
}

#[test]
fn loops_end_whatever_catches_the_error() {
    stopped(
        Code::Cpu,
        &[
            "while true do end",
            "repeat local x = 1 until false",
            "for i = 1, math.huge do end",
            "while true do pcall(function() while true do end end) end",
            "while true do xpcall(error, function() while true do end end) end",
            "local function f() pcall(f) pcall(f) end f()",
            "local function f() xpcall(f, f) f() end while true do pcall(f) end",
            "local t = setmetatable({}, { __iter = function() return function() return 1 end end }) for _ in t do end",
            "local t = setmetatable({}, { __tostring = function() while true do end end }) error(t, tostring(t))",
            "local t = setmetatable({}, { __eq = function() while true do end end }) return t == setmetatable({}, getmetatable(t))",
            "local t = setmetatable({}, { __concat = function() while true do end end }) return t .. 'x'",
            "local t = setmetatable({}, { __call = function(self) while true do end end }) t()",
            "table.sort({ 3, 2, 1 }, function() while true do end end)",
            "string.gsub('x', 'x', function() while true do end end)",
            "local it = ctx:stream {} while true do it() end",
            "while true do pcall(ctx.delegate, ctx, {}) end",
            "while true do math.random(5) end",
        ],
    );
    stopped(Code::Require, &["while true do pcall(require, 5) end"]);
    stopped(
        Code::Runtime,
        &[
            "local function f() return f() + 1 end f()",
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
            "local t = {} for i = 1, 1e5 do t = setmetatable({}, { __index = t }) end return t.x",
        ],
    );
}

#[test]
fn library_functions_never_loop_beyond_reach() {
    stopped(
        Code::Cpu,
        &[
            "return ('a'):rep(1e4):find('.-.-.-.-b$')",
            "return ('a'):rep(30):gsub(('a?'):rep(30) .. ('a'):rep(30) .. 'b', '')",
            "return ('('):rep(1e6):gsub('%b()', '')",
            "for _ in ('a'):rep(1e5):gmatch('.-.-b') do end",
            "return ('x'):rep(5000):match(('[' .. ('a'):rep(5000) .. 'x]-'):rep(1) .. 'y')",
            "local t = {} for i = 1, 1e4 do t[i] = ('x'):rep(2000) .. i end while true do table.sort(t) end",
            "local t = table.create(2^18, 'x') while true do table.concat(t) end",
            "local t = table.create(2^17, 1) while true do table.insert(t, 1, 1) table.remove(t, 1) end",
            "local t = table.create(2^20, 1) while true do table.find(t, 2) end",
            "local t = table.create(2^18, 1) while true do table.clone(t) end",
            "local b = buffer.create(2^24) while true do buffer.copy(b, 0, b) buffer.fill(b, 0, 1) end",
            "local s = ('9'):rep(2^22) s = s .. s .. s .. s while true do tonumber(s) end",
            "local s = '1' .. ('0'):rep(2^22) .. 'e-' .. 2^22 while true do local x = s + 1 end",
            "local a = ('x'):rep(2^22) local b, c = a .. '1', a .. '2' while true do local x = b < c end",
            "while true do pairs(table.create(2^16, 1)) end",
            "local s = ('x'):rep(2^20) while true do string.format('%q %s', s, s) end",
        ],
    );
    stopped(
        Code::Runtime,
        &[
            "local n = 6 * 2^20 return ('a'):rep(n):find(('a'):rep(n / 2) .. 'b', 1, true)",
            "return ('x'):rep(1e6):match('[' .. ('a'):rep(1e6) .. 'x]*')",
            "return ('x'):rep(1e6):gsub('()', ('%1'):rep(1e6))",
            "return ('a'):rep(2^22):split(('a'):rep(2^21) .. 'b')",
            "return (','):rep(2^23):split(',')",
            "return ('x'):rep(2^30)",
            "return table.move({}, 1, 2^31 - 2, 2)",
            "return table.move({}, '1', '2147483646', 2)",
            "return table.move({}, 0/0, 2^31 - 2, 2)",
            "return table.concat({}, 'x', 1, 2^31 - 1)",
            "return table.concat({}, 'x', -2^31, 2^31 - 1)",
            "return table.unpack({}, 1, 1e8)",
            "return ('x'):rep(1e6):byte(1, -1)",
            "return utf8.codepoint(('x'):rep(1e6), 1, -1)",
            "return string.pack(('b'):rep(2^22), 1)",
            "return ('%d'):rep(2^22):format(1)",
            "local s = ('x'):rep(2^23) return utf8.len(s .. s)",
            "local s = ('x'):rep(2^23) return (s .. s):upper()",
            "table.sort({ 1, 2 }, function() ctx:sleep(1) end)",
        ],
    );
}

#[test]
fn memory_stays_within_its_cap() {
    stopped(
        Code::Memory,
        &[
            "local t = {} while true do t[#t + 1] = ('x'):rep(65536) .. #t end",
            "local t = {} while true do pcall(function() while true do t[#t + 1] = ('x'):rep(65536) .. #t end end) end",
            "local s = 'x' while true do s = s .. s end",
            "return table.create(2^24, 1)",
            "return buffer.create(2^28)",
            "local t = table.create(2^20, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') for i = 1, 8 do t[i * 2^17] = ('y'):rep(2^23) .. i end",
        ],
    );
}

#[test]
fn calls_and_data_have_quotas() {
    stopped(
        Code::Quota,
        &[
            "for i = 1, 1e9 do ctx:delegate { kind = 'a.b/1' } end",
            "local big = ('x'):rep(250000) for i = 1, 1e9 do ctx:delegate { kind = 'a.b/1', input = { big } } end",
            "for i = 1, 1e9 do ctx:status { phase = ('x'):rep(4000) } end",
            "while true do pcall(ctx.status, ctx, { phase = ('x'):rep(4000) }) end",
        ],
    );
    stopped(
        Code::Output,
        &[
            "local t = {} t.t = t return t",
            "local t = {} for i = 1, 40 do t = { t } end return t",
            "return table.create(1e6, 1)",
            "return ('x'):rep(1e6)",
            "return function() end",
            "return ctx",
        ],
    );
    stopped(
        Code::Runtime,
        &[
            "ctx:delegate { kind = 'a.b/1', key = ('x'):rep(1e6) }",
            "ctx:delegate { kind = 'a.b/1', items = table.create(2^20, 1) }",
            "local big = {} for i = 1, 2e4 do big['k' .. i] = 1 end ctx:delegate(big)",
            "ctx:delegate { kind = 'a.b/1', input = setmetatable({}, { __index = ctx }) }",
            "ctx:all(table.create(2^20, 1))",
        ],
    );
}

#[test]
fn nothing_but_ctx_is_within_reach() {
    stopped(
        Code::Runtime,
        &[
            "getmetatable('').__index = nil",
            "getmetatable('').__index.find = nil",
            "string.rep = nil",
            "rawset(table, 'sort', nil)",
            "table.clear(string)",
            "setmetatable(string, {})",
            "pairs = nil",
            "rawset(ctx, 'delegate', nil)",
            "setmetatable(ctx, {})",
            "local d = ctx:delegate { kind = 'a.b/1' } d.id = 2",
            "local d = ctx:delegate { kind = 'a.b/1' } return table.clone(d)",
            "local d = setmetatable({ id = 1 }, getmetatable(ctx:delegate { kind = 'a.b/1' })) ctx:all { d }",
            "ctx:all { { id = 1, key = 'x' } }",
            "coroutine.wrap(function() end)()",
            "return os.time()",
            "return io.open('/etc/passwd')",
            "return loadstring('return 1')()",
            "return debug.info(1, 'f')",
            "return getfenv(0)",
            "setfenv(0, {})",
            "return _G.string",
            "collectgarbage('stop')",
            "return newproxy(true)",
            "return ('').dump(print)",
        ],
    );
    stopped(
        Code::Require,
        &[
            "pcall(require, 'lib/../../../etc/passwd') return 1",
            "require 'pipelines/t'",
        ],
    );
}

#[test]
fn a_file_that_misbehaves_when_it_is_loaded_is_a_problem_of_the_set() {
    let deep = |open: &str, close: &str| {
        let times = 250_000 / (open.len() + close.len());
        format!("return {}1{}", open.repeat(times), close.repeat(times))
    };
    for (code, source) in [
        (Code::Cpu, "while true do end".to_owned()),
        (
            Code::Memory,
            "local s = 'x' while true do s = s .. s end".to_owned(),
        ),
        (Code::Runtime, "error('no')".to_owned()),
        (Code::Syntax, deep("(", ")")),
        (Code::Syntax, deep("{", "}")),
        (Code::Syntax, deep("not ", "")),
        (Code::Syntax, deep("function() return ", " end")),
        (Code::Syntax, "\u{1b}Lua".to_owned()),
        (Code::ScriptSet, "-".repeat(256 * 1024 + 1)),
    ] {
        let files = BTreeMap::from([("pipelines/t.lua".to_owned(), source)]);
        let before = cpu();
        let problems = Revision::check(&files, &limits()).map(|_| ()).unwrap_err();
        assert!(
            cpu() - before < Duration::from_secs(1),
            "{:?} for {code}",
            cpu() - before
        );
        assert_eq!(
            problems[0].code, code,
            "{:.40}: {problems:?}",
            files["pipelines/t.lua"]
        );
        assert_eq!(problems[0].path, "pipelines/t.lua");
        assert!(problems[0].message.len() < 500, "{problems:?}");
    }
}

#[test]
fn the_whole_workflow_has_a_budget_too() {
    let limits = Limits {
        slice_ms: 40,
        cpu_ms: 100,
        ..Limits::default()
    };
    let body = "while true do ctx:sleep(1) for i = 1, 3e5 do local x = i * i end end";
    let mut vm = start_within(&check_within(body, &limits), limits);
    let mut progress = vm.resume(Vec::new());
    let mut rounds = 0;
    while progress.state == State::Blocked {
        let call = progress.calls[0].id;
        let slept = happened(call, froben_script::Event::Slept);
        progress = vm.resume(vec![slept]);
        rounds += 1;
        assert!(rounds < 10_000);
    }
    let State::Failed(failure) = progress.state else {
        panic!()
    };
    assert_eq!(failure.code, Code::Cpu);
    assert!(
        rounds > 2 && failure.message.contains("in all"),
        "{failure} after {rounds} rounds"
    );
    assert!((100..200).contains(&vm.cpu_ms()), "{}", vm.cpu_ms());
}
