//! The same journal, replayed in a hundred fresh processes, gives the same calls.
//!
//! Addresses, hash seeds and the time differ from one process to the next; nothing that a workflow does may.
//! This test starts itself a hundred times and hands each process the journal.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;
use std::process::Command;

use froben_model::{CallId, ErrorClass, Value};
use froben_script::{Call, CallOp, Completion, Event, State};
use harness::*;

const JOURNAL: &str = "FROBEN_JOURNAL";
const PROCESSES: usize = 100;

/// Meets every trap that DESIGN.md names, and puts what it sees in its calls.
const TRAPS: &str = r#"
  local function say(...) ctx:log(string.format("%*", table.concat({ ... }, " "))) end
  -- Addresses.
  say(tostring({}), tostring(print_nothing), tostring(function() end), tostring(ctx), `{buffer.create(1)}`)
  say(select(2, pcall(error, {})) ~= nil and "caught" or "no", tostring(select(2, pcall(function() return {} .. 1 end))))
  say(select(2, pcall(string.format, "%p", {})))
  -- The order of keys: names, numbers of all sorts, vectors, after many came and went.
  local t = {}
  for i = 1, 500 do t["key" .. (i * 7919 % 500)] = i end
  for i = 1, 500, 3 do t["key" .. i] = nil end
  for i = 1, 50 do t[i / 3] = i t[vector.create(i, 0, 0)] = i end
  t[true] = 1 t[false] = 0 t[math.huge] = 2
  local order = {}
  for key in t do table.insert(order, tostring(key)) end
  say(table.concat(order, ","))
  local again = {}
  for key in pairs(t) do table.insert(again, tostring(key)) end
  say(tostring(table.concat(again, ",") == table.concat(order, ",")))
  say(select(2, pcall(function() for _ in { [{}] = 1, [order] = 2 } do end end)))
  -- Chance.
  for i = 1, 20 do say(math.random(), math.random(6), math.random(-5, 5)) end
  -- Sorting with a comparison that contradicts itself.
  local list = {}
  for i = 1, 100 do list[i] = i * 7919 % 101 end
  say(tostring(pcall(table.sort, list, function(a, b) return (a * b) % 3 ~= 0 end)), table.concat(list, ","))
  -- Numbers in text.
  say(0.1, 1 / 3, 1e15, 1e16, 1e100, 5e-324, 2 ^ 53, -0, 0 / 0, math.huge, -math.huge, 123456789.125)
  say(string.format("%g %.17g %5.2f %e %d %x", 0.1, 0.1, 2 / 3, 1e-7, -5, 255))
  say(math.sin(1), math.exp(1), math.pow(2, 0.5), math.noise(0.5, 0.25, 0.125), math.fmod(-7, 3))
  say(select(2, pcall(function() local n = {} n[0 / 0] = 1 end)))
  -- The garbage collector, which a table made weak behind our back would show.
  local metatable = {}
  local weak = setmetatable({}, metatable)
  say(select(2, pcall(function() metatable["__" .. "mode"] = "v" end)))
  for i = 1, 5000 do weak["k" .. i] = { i } end
  local rubbish = {}
  for i = 1, 200 do rubbish[i % 7] = ("x"):rep(10000 + i) end
  local kept = 0
  for _ in weak do kept += 1 end
  say("kept", kept)
  -- The world: what comes first decides.
  local waiting = {}
  for i = 1, 8 do
    table.insert(waiting, ctx:delegate { kind = "a.b/1", key = `first/{i}`, items = table.create(math.random(3), i) })
  end
  local seen = 0
  for i, item in ctx:stream(waiting) do
    seen += 1
    say(i, item.index, tostring(item.ok), item.ok and item.value or item.err.class)
    if not item.ok and #waiting < 20 then
      table.insert(waiting, ctx:delegate { kind = "a.b/1", key = `again/{seen}`, input = { order = order[seen] } })
      if math.random() < 0.5 then ctx:sleep(math.random()) end
    end
  end
  -- Fibers, which begin when this one waits, and go on in the order in which things come.
  local order_of_fibers = {}
  local function work(name, n)
    for i = 1, n do
      local result = ctx:delegate({ kind = "a.b/1", key = `{name}/{i}`, items = { name, i } }):await()
      table.insert(order_of_fibers, name)
      say(name, i, tostring(result.ok), math.random(100), ctx:now())
    end
    return name
  end
  local fibers = {}
  for i, name in { "red", "green", "blue" } do fibers[i] = ctx:spawn(work, name, 1 + i) end
  -- Children, some of which fail, raced with the fibers until none is left.
  for i = 1, 4 do table.insert(fibers, ctx:run("t", {}, { key = `child/{i}` })) end
  while #fibers > 0 do
    local first, result = ctx:race(fibers)
    say("first", first, type(result) == "table" and tostring(result.ok) or result)
    table.remove(fibers, first)
    -- Whoever is left last is given up.
    if #fibers == 1 and getmetatable(fibers[1]) == "child" then fibers[1]:cancel() end
  end
  say("fibers", table.concat(order_of_fibers, ","))
  -- A map, whose pieces come in any order.
  local mapped = ctx:map({ kind = "a.b/1", key = "map", items = table.create(20, "m") }, {
    width = 3, concurrency = 3,
    on_item = function(item) say("mapped", item.index, item.err and item.err.class or item.value) end,
  })
  for _, item in mapped.err do say("left out", item.index) end
  local waiting = ctx:delegate { kind = "a.b/1", key = "given up", items = { 1, 2, 3, 4 } }
  waiting:cancel()
  say("given up", waiting:await().err.class)
  return { seen = seen, mapped = #mapped.ok, last = math.random() }"#;

/// Runs the script against a world with an order of its own, and returns what it was fed.
fn live() -> Vec<Completion> {
    let mut vm = start(
        &with_body(&TRAPS.replace("print_nothing", "say")),
        Value::map::<String>([]),
    );
    let mut journal: Vec<Completion> = Vec::new();
    let mut owed: BTreeMap<CallId, Vec<Event>> = BTreeMap::new();
    let mut completions = Vec::new();
    loop {
        let progress = vm.resume(completions);
        for call in &progress.calls {
            let events = match &call.op {
                CallOp::Delegate(task) => {
                    let items = (0..task.items.len() as u32).map(|index| Event::Item {
                        index,
                        outcome: match (call.id.0 + u64::from(index)) % 3 {
                            0 => lost(ErrorClass::Timeout, "op-a"),
                            value => Ok(Value::Int(value as i64)),
                        },
                        operator: None,
                    });
                    items.chain([Event::Ended]).collect()
                }
                CallOp::Sleep { .. } => vec![Event::Slept],
                CallOp::Run { .. } => vec![child(call.id.0 % 2 == 0)],
                CallOp::Cancel { target } => {
                    for event in owed.get_mut(target).into_iter().flatten() {
                        if let Event::Item { outcome, .. } = event {
                            *outcome = lost(ErrorClass::Cancelled, "");
                        }
                    }
                    continue;
                }
                CallOp::Status { .. } | CallOp::Log { .. } => continue,
            };
            owed.insert(call.id, events);
        }
        if progress.state != State::Blocked {
            assert!(
                matches!(progress.state, State::Returned(_)),
                "{:?}",
                progress.state
            );
            return journal;
        }
        // Neither in the order of the calls nor against it.
        let calls: Vec<CallId> = owed.keys().copied().collect();
        let call = calls[journal.len() * 7 % calls.len()];
        let events = owed.get_mut(&call).unwrap();
        let event = events.remove(0);
        if events.is_empty() {
            owed.remove(&call);
        }
        let at_ms = STARTED_MS + journal.len() as u64;
        journal.push(Completion { call, event, at_ms });
        completions = journal.last().cloned().into_iter().collect();
    }
}

fn child(fails: bool) -> Event {
    let outcome = match fails {
        true => Err(child_failure("FRB-LUA-011", "on purpose")),
        false => Ok(Value::text("a child's")),
    };
    Event::ChildEnded { outcome }
}

/// One line for each completion: the call, and what came of it.
fn written(journal: &[Completion]) -> String {
    let line = |completion: &Completion| {
        let call = format!("{} {}", completion.at_ms, completion.call.0);
        match &completion.event {
            Event::Item {
                index,
                outcome: Ok(Value::Int(value)),
                ..
            } => format!("{call} item {index} {value}\n"),
            Event::Item {
                index,
                outcome: Err(error),
                ..
            } if error.class == ErrorClass::Cancelled => {
                format!("{call} item {index} cancelled\n")
            }
            Event::Item { index, .. } => format!("{call} item {index} lost\n"),
            Event::Ended => format!("{call} ended\n"),
            Event::Slept => format!("{call} slept\n"),
            Event::ChildEnded { outcome } => format!("{call} child {}\n", outcome.is_err()),
        }
    };
    journal.iter().map(line).collect()
}

fn read(journal: &str) -> Vec<Completion> {
    let completion = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let event = match words[2..] {
            ["ended"] => Event::Ended,
            ["slept"] => Event::Slept,
            ["child", fails] => child(fails == "true"),
            ["item", index, "cancelled"] => Event::Item {
                index: index.parse().unwrap(),
                outcome: lost(ErrorClass::Cancelled, ""),
                operator: None,
            },
            ["item", index, "lost"] => Event::Item {
                index: index.parse().unwrap(),
                outcome: lost(ErrorClass::Timeout, "op-a"),
                operator: None,
            },
            ["item", index, value] => Event::Item {
                index: index.parse().unwrap(),
                outcome: Ok(Value::Int(value.parse().unwrap())),
                operator: None,
            },
            _ => panic!("{line}"),
        };
        Completion {
            at_ms: words[0].parse().unwrap(),
            call: CallId(words[1].parse().unwrap()),
            event,
        }
    };
    journal.lines().map(completion).collect()
}

fn replayed(journal: Vec<Completion>) -> (Vec<Call>, State) {
    let files = with_body(&TRAPS.replace("print_nothing", "say"));
    let progress = start(&files, Value::map::<String>([])).resume(journal);
    (progress.calls, progress.state)
}

fn in_words((calls, state): &(Vec<Call>, State)) -> String {
    let lines = calls.iter().map(|call| format!("call: {call:?}\n"));
    lines.chain([format!("call: {state:?}\n")]).collect()
}

#[test]
fn a_hundred_processes_make_the_same_calls() {
    if let Ok(journal) = std::env::var(JOURNAL) {
        print!("{}", in_words(&replayed(read(&journal))));
        return;
    }
    let journal = live();
    let expected = in_words(&replayed(journal.clone()));
    assert!(
        journal.len() > 20 && expected.lines().count() > 40,
        "{expected}"
    );
    // Each trap was reached.
    for seen in [
        "table",
        "kept",
        "is not the same on replay",
        "nan",
        "invalid option",
        "fibers blue",
        "first 1",
        "mapped 20",
        "left out",
        "given up cancelled",
        "Cancel {",
    ] {
        assert!(expected.contains(seen), "{seen} is not in:\n{expected}");
    }
    let journal = written(&journal);
    let work = |processes: usize| {
        for _ in 0..processes {
            let output = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "a_hundred_processes_make_the_same_calls",
                    "--nocapture",
                ])
                .env(JOURNAL, &journal)
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let calls: String = text
                .lines()
                // The harness prints the test's name before the first of them.
                .filter_map(|line| line.find("call: ").map(|at| format!("{}\n", &line[at..])))
                .collect();
            assert_eq!(calls, expected);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(PROCESSES / 2));
        scope.spawn(|| work(PROCESSES / 2));
    });
}
