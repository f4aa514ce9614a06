//! Luau's hash of strings has no seed, and each string that is made is looked for among all that share its
//! hash. A script that makes many of those still stops within its slice.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use froben_model::Value;
use froben_script::{Call, CallOp, Code, Completion, Event, Limits, Revision, State, Vm};
use nix::time::{ClockId, clock_gettime};

const SLICE: Duration = Duration::from_millis(50);
/// Promised: how far past its slice a script may get, in CPU time.
const GRACE: Duration = Duration::from_millis(100);

/// Makes strings of 28 bytes with one hash, in so many steps that none needs a slice on a slow machine: each string
/// that is made is compared with all before it.
const FLOOD: &str = r#"
local blocks = { {"01Dc", "01e`", "0@Fm", "0@jJ", "0AFm", "0AjJ", "0FFc", "0Fc`" },{"0F2A", "0FS@", "0Fi?", "0K6g", "0KUf", "0e3A", "0eR@", "0ej?" },{"0<KG", "0<lH", "0A1J", "0ARK", "0]JG", "0]mH", "0b2J", "0bQK" },{"0<>H", "0<JG", "0<iF", "0[=H", "0[KG", "0[lF", "97>I", "97_H" },{"0<H@", "0<b?", "0A3;", "0AT:", "0]G@", "0]c?", "0b4;", "0bS:" },{"03D6", "03c5", "0G5M", "0GQP", "0TA6", "0Tb5", "0h4M", "0hRP" },{"0:6R", "0:UQ", "0NHM", "0NdT", "0Y3R", "0YTQ", "0mGM", "0meT" } }
local all = {}
local function each(block, text)
  if block > #blocks then
    table.insert(all, text)
    if #all % 20 == 0 then ctx:sleep(0) end
    return #all >= input.strings
  end
  for _, piece in blocks[block] do
    if each(block + 1, text .. piece) then return true end
  end
  return false
end
each(1, "")
ctx:sleep(0)
"#;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

/// Wakes the script from each sleep, and answers a task with `result`, until it waits no more: how it ended,
/// and the CPU time of its longest step.
fn longest_step(strings: i64, attack: &str, result: &Value) -> (State, Duration) {
    let limits = Limits {
        slice_ms: SLICE.as_millis() as u64,
        ..Limits::default()
    };
    let body = format!("{FLOOD}\n{attack}");
    let source = format!(
        "return workflow('t', {{ input = {{ strings = 'integer' }} }}, function(ctx, input)\n{body}\nend)"
    );
    let files = BTreeMap::from([("pipelines/t.lua".to_owned(), source)]);
    let revision = Revision::check(&files, &limits).unwrap();
    let input = Value::map([("strings", Value::Int(strings))]);
    let mut vm = Vm::start(&revision, "t", input, 1, 0, limits).unwrap();
    let mut longest = Duration::ZERO;
    let mut completions = Vec::new();
    loop {
        let before = cpu();
        let progress = vm.resume(std::mem::take(&mut completions));
        longest = longest.max(cpu() - before);
        if progress.state != State::Blocked {
            return (progress.state, longest);
        }
        completions = progress
            .calls
            .iter()
            .flat_map(|call| answer(call, result))
            .collect();
    }
}

fn answer(call: &Call, result: &Value) -> Vec<Completion> {
    let events = match call.op {
        CallOp::Sleep { .. } => vec![Event::Slept],
        CallOp::Delegate(_) => {
            let item = Event::Item {
                index: 0,
                outcome: Ok(result.clone()),
                operator: None,
            };
            vec![item, Event::Ended]
        }
        _ => Vec::new(),
    };
    let completion = |event| Completion {
        call: call.id,
        event,
        at_ms: 0,
    };
    events.into_iter().map(completion).collect()
}

#[test]
fn strings_that_hash_alike_do_not_outlast_a_slice() {
    let pieces = "local s = table.concat(all, '', 1, 8)\n";
    let unpack = "while true do string.unpack(('c28'):rep(8), s) end";
    let captures = "while true do string.match(s, ('(' .. ('.'):rep(28) .. ')'):rep(8)) end";
    let split = "while true do string.split(table.concat(all, ',', 1, 9), ',') end";
    let replace = "while true do string.gsub(table.concat(all, '', 1, 200), ('.'):rep(28), {}) end";
    for attack in [unpack, captures, split, replace] {
        let (state, longest) = longest_step(10_000, &format!("{pieces}{attack}"), &Value::Nil);
        let State::Failed(failure) = state else {
            panic!("{attack}: {state:?}");
        };
        assert_eq!(failure.code, Code::Cpu, "{attack}: {failure}");
        assert!(longest < SLICE + GRACE, "{attack}: {longest:?}");
    }
}

/// A result of a task is made into strings in one go.
#[test]
fn nor_does_a_result_full_of_them() {
    let others = "return table.move(all, 10001, 14000, 1, {})";
    let (state, _) = longest_step(14_000, others, &Value::Nil);
    let State::Returned(strings) = state else {
        panic!("no strings: {state:?}");
    };
    let attack = "while true do ctx:delegate { kind = 'a.b/1' }:await() end";
    let (state, longest) = longest_step(10_000, attack, &strings);
    let State::Failed(failure) = state else {
        panic!("{state:?}");
    };
    assert_eq!(failure.code, Code::Cpu, "{failure}");
    assert!(longest < SLICE + GRACE, "{longest:?}");
}

/// The functions of the libraries that make several strings in one go make few.
#[test]
fn one_call_makes_few_strings() {
    for (call, part) in [
        (
            "string.unpack(('c1'):rep(9), 'abcdefghi')",
            "at most 8 strings",
        ),
        (
            "string.match('abcdefghi', ('(.)'):rep(9))",
            "at most 8 captures",
        ),
        (
            "string.find('abcdefghi', ('(.)'):rep(9))",
            "at most 8 captures",
        ),
        (
            "string.gsub('abcdefghi', ('(.)'):rep(9), '')",
            "at most 8 captures",
        ),
        (
            "for _ in string.gmatch('abcdefghi', ('(.)'):rep(9)) do end",
            "at most 8 captures",
        ),
    ] {
        let (state, _) = longest_step(0, call, &Value::Nil);
        let State::Failed(failure) = state else {
            panic!("{call}: {state:?}");
        };
        assert!(failure.message.contains(part), "{call}: {failure}");
    }
    let fits = "return select('#', string.match('abcdefgh', ('(.)'):rep(8)))";
    assert_eq!(
        longest_step(0, fits, &Value::Nil).0,
        State::Returned(Value::Int(8))
    );
}
