//! The same input, seed and completions give the same calls, however they are fed.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;

use froben_model::view::Failure;
use froben_model::{CallId, ErrorClass, Value};
use froben_script::{Call, CallOp, Completion, Event, Limits, Progress, Revision, State, Vm};
use harness::*;
use proptest::prelude::*;

/// Uses every verb that waits, and decides by what arrives first.
const MIXED: &str = "
  local waiting, done = {}, 0
  for i = 1, 3 + math.random(3) do
    table.insert(waiting, ctx:delegate { kind = 'a.b/1', key = `first/{i}`, items = table.create(math.random(4), i) })
  end
  for i, item in ctx:stream(waiting) do
    done += 1
    ctx:status { phase = 'stream', done = done }
    if not item.ok then
      ctx:log(`{i} {item.index} {item.err.class}`)
      if #waiting < 12 then
        table.insert(waiting, ctx:delegate { kind = 'a.b/1', key = `again/{done}`, input = item.err.operator })
      end
      if math.random() < 0.3 then ctx:sleep(1) end
    elseif item.value == 1 then
      waiting[1]:cancel()
    end
  end
  local pair = { ctx:delegate { kind = 'a.b/1' }, ctx:delegate { kind = 'a.b/1', items = { 1, 2 } } }
  local results = ctx:all(pair)
  for _, item in ctx:stream(pair) do ctx:log(tostring(item.index)) end
  local racing = { ctx:run('t'), ctx:delegate { kind = 'a.b/1' }, ctx:run('t', nil, { key = 'c' }) }
  for i = 1, 1 + ctx:random(3) do
    table.insert(racing, ctx:spawn(function(n)
      for _ = 1, n do
        ctx:sleep(n)
        local r = ctx:delegate { kind = 'a.b/1', items = { n, n } }:await()
        ctx:log(`{n} {r.ok} {ctx:now()} {math.random(9)}`)
      end
      return ctx:map({ kind = 'a.b/1', items = { 1, 2, 3, 4, 5 } }, { width = 2, concurrency = n })
    end, i))
  end
  local shared = ctx:stream { ctx:delegate { kind = 'a.b/1', items = { 1, 2, 3, 4 } } }
  for i = 1, 2 do
    ctx:spawn(function() for _, item in shared do ctx:log(`{i} took {item.index}`) end end)
  end
  while #racing > 0 do
    local at, result = ctx:race(racing)
    local what = getmetatable(racing[at])
    if what == 'fiber' then ctx:log(`fiber {#result.ok} {#result.err}`) else ctx:log(`{what} {result.ok}`) end
    if #racing == 2 and what == 'delegation' then racing[#racing % 2 + 1]:await() end
    table.remove(racing, at)
  end
  local order = {}
  for key, value in { b = 1, a = 2, zeta = 3, [7] = 4, [0.5] = 5 } do table.insert(order, tostring(key)) end
  ctx:log(table.concat(order, ' '))
  ctx:log(tostring({}) .. tostring(print_nothing == nil))
  return { done = done, ok = results[1].ok }";

fn revision() -> Revision {
    let body = MIXED.replace("tostring(print_nothing == nil)", "tostring(ctx)");
    check(&with_body(&body))
}

fn start_mixed(revision: &Revision, seed: u64) -> Vm {
    Vm::start(
        revision,
        "t",
        Value::map::<String>([]),
        seed,
        STARTED_MS,
        Limits::default(),
    )
    .unwrap()
}

/// What the world still owes, by call.
#[derive(Default)]
struct World {
    owed: BTreeMap<CallId, Vec<Event>>,
    now_ms: u64,
}

impl World {
    fn take_on(&mut self, calls: &[Call], draw: &mut impl FnMut(usize) -> usize) {
        for call in calls {
            match &call.op {
                CallOp::Delegate(spec) => {
                    let mut indices: Vec<u32> = (0..spec.items.len() as u32).collect();
                    let mut events = Vec::new();
                    while !indices.is_empty() {
                        let index = indices.remove(draw(indices.len()));
                        let outcome = match draw(4) {
                            0 => lost(ErrorClass::ALL[draw(8)], "op-a"),
                            value => Ok(Value::Int(value as i64)),
                        };
                        events.push(came(index, outcome, ["op-a", "op-b"][draw(2)]));
                    }
                    events.push(Event::Ended);
                    self.owed.insert(call.id, events);
                }
                CallOp::Sleep { .. } => {
                    self.owed.insert(call.id, vec![Event::Slept]);
                }
                CallOp::Run { .. } => {
                    let outcome = match draw(2) {
                        0 => Ok(Value::Int(draw(9) as i64)),
                        _ => Err(Failure {
                            code: "FRB-LUA-002".to_owned(),
                            message: "on purpose".to_owned(),
                        }),
                    };
                    self.owed
                        .insert(call.id, vec![Event::ChildEnded { outcome }]);
                }
                CallOp::Status { .. } | CallOp::Log { .. } | CallOp::Cancel { .. } => {}
            }
        }
    }

    /// Some call's next event.
    fn next(&mut self, draw: &mut impl FnMut(usize) -> usize) -> Option<Completion> {
        let calls: Vec<CallId> = self.owed.keys().copied().collect();
        if calls.is_empty() {
            return None;
        }
        let call = calls[draw(calls.len())];
        let events = self.owed.get_mut(&call)?;
        let event = events.remove(0);
        if events.is_empty() {
            self.owed.remove(&call);
        }
        self.now_ms += draw(50) as u64;
        let at_ms = STARTED_MS + self.now_ms;
        Some(Completion { call, event, at_ms })
    }
}

/// A small generator for what the test itself draws.
fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    }
}

/// Lives through a workflow one completion at a time: every completion, every call, and the end.
fn live(revision: &Revision, seed: u64) -> (Vec<Completion>, Vec<Call>, State) {
    let mut draw = draws(seed);
    let mut world = World::default();
    let mut vm = start_mixed(revision, seed);
    let (mut journal, mut calls) = (Vec::new(), Vec::new());
    let mut progress = vm.resume(Vec::new());
    loop {
        world.take_on(&progress.calls, &mut draw);
        calls.append(&mut progress.calls);
        if progress.state != State::Blocked {
            return (journal, calls, progress.state);
        }
        let completion = world.next(&mut draw).expect("the script waits for nothing");
        journal.push(completion.clone());
        progress = vm.resume(vec![completion]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_do_not_matter(seed: u64, sizes in proptest::collection::vec(1usize..6, 1..40)) {
        let revision = revision();
        let (journal, calls, end) = live(&revision, seed);
        prop_assert!(matches!(end, State::Returned(_)), "{:?}", end);

        let mut vm = start_mixed(&revision, seed);
        let mut seen = vm.resume(Vec::new()).calls;
        let mut rest = journal.as_slice();
        let mut sizes = sizes.iter().cycle();
        let mut state = State::Blocked;
        while state == State::Blocked {
            let size = (*sizes.next().unwrap()).min(rest.len());
            prop_assert!(size > 0, "blocked at the end of the journal");
            let (batch, later) = rest.split_at(size);
            rest = later;
            let progress = vm.resume(batch.to_vec());
            prop_assert!(vm.resume(Vec::new()).calls.is_empty());
            seen.extend(progress.calls);
            state = progress.state;
        }
        prop_assert_eq!(&seen, &calls);
        prop_assert_eq!(&state, &end);

        // Replay: one resumption, from nothing.
        let Progress { calls: replayed, state } = start_mixed(&revision, seed).resume(journal.clone());
        prop_assert_eq!(&replayed, &calls);
        prop_assert_eq!(&state, &end);
    }

    #[test]
    fn a_prefix_replays_to_where_it_was(seed: u64, cut: prop::sample::Index) {
        let revision = revision();
        let (journal, calls, end) = live(&revision, seed);
        let cut = cut.index(journal.len() + 1);
        let mut vm = start_mixed(&revision, seed);
        let before = vm.resume(journal[..cut].to_vec());
        prop_assert_eq!(&before.calls[..], &calls[..before.calls.len()]);
        let after = vm.resume(journal[cut..].to_vec());
        prop_assert_eq!(before.calls.len() + after.calls.len(), calls.len());
        prop_assert_eq!(after.state, end);
    }
}

#[test]
fn the_seed_and_the_order_of_completions_decide() {
    let revision = revision();
    let calls = |seed| live(&revision, seed).1;
    assert_eq!(calls(1), calls(1));
    assert_ne!(calls(1), calls(2));
}

#[test]
fn what_differs_between_processes_is_not_to_be_had() {
    for (body, value) in [
        ("return tostring({})", "table"),
        ("return tostring(function() end)", "function"),
        ("return tostring(ctx)", "ctx"),
        (
            "return string.format('%s %*', {}, buffer.create(1))",
            "table buffer",
        ),
        ("return `{ {} }`", "table"),
        (
            "return select(2, pcall(error, {})) ~= nil and tostring(setmetatable({}, {}))",
            "table",
        ),
        (
            "return tostring(setmetatable({}, { __tostring = function() return 'mine' end }))",
            "mine",
        ),
    ] {
        assert_eq!(eval(body), Value::text(value), "{body}");
    }
    for (body, part) in [
        (
            "for k in pairs({ [{}] = 1 }) do end",
            "whose order is not the same on replay",
        ),
        (
            "return next({ [function() end] = 1 })",
            "whose order is not the same on replay",
        ),
        (
            "for k in next, { [ctx] = 1 } do end",
            "whose order is not the same on replay",
        ),
        ("setmetatable({}, { __mode = 'k' })", "weak tables"),
        (
            "local mt = {} setmetatable({}, mt) mt.__mode = 'k'",
            "weak tables",
        ),
        (
            "local mt = {} setmetatable({}, mt) mt['__' .. 'mode'] = 'k'",
            "weak tables",
        ),
        (
            "local mt = {} setmetatable({}, mt) rawset(mt, '__mode', 'k')",
            "weak tables",
        ),
        (
            "local mt = {} setmetatable({}, mt) setmetatable(mt, nil) mt.__mode = 'k'",
            "weak tables",
        ),
        (
            "local mt = {} setmetatable({}, mt) setmetatable(mt, { __index = {} }) mt.__mode = 'k'",
            "weak tables",
        ),
        (
            "local mt = setmetatable({}, { __index = {} }) setmetatable({}, mt) mt.__mode = 'k'",
            "weak tables",
        ),
        (
            "local mt = setmetatable({}, table.freeze { __index = {} }) setmetatable({}, mt)",
            "freeze the metatable first",
        ),
        (
            "local own = {} local mt = setmetatable({}, own) setmetatable({}, mt) own.__newindex = nil",
            "readonly",
        ),
        (
            "local mt = setmetatable({}, { __newindex = rawset }) setmetatable({}, mt)",
            "freeze the metatable first",
        ),
        (
            "local mt = setmetatable({}, { __metatable = {} }) setmetatable({}, mt) mt.__mode = 'k'",
            "weak tables",
        ),
        (
            "local mt = setmetatable({}, { __metatable = false }) setmetatable({}, mt) mt.__mode = 'k'",
            "weak tables",
        ),
        ("return os.clock()", "no clock"),
        ("math.randomseed(5)", "call a nil value"),
        ("return gcinfo()", "is not available"),
        ("return ctx[{}]", "ctx has no `table`; there is"),
        (
            "return ctx:delegate({ kind = 'a.b/1' })[tostring]",
            "a delegation has no `function`; there is",
        ),
        ("table.foreach({}, 1)", "call a nil value"),
    ] {
        let failure = fail(body);
        assert!(failure.message.contains(part), "{body}: {failure}");
    }
}

/// Metatables are guarded against becoming weak; scripts do not notice.
#[test]
fn metatables_work_as_ever() {
    let body = "
      local Base = {}
      Base.__index = Base
      assert(getmetatable(Base) == nil)
      function Base.new(n) return setmetatable({ n = n }, Base) end
      local first = Base.new(1)
      assert(getmetatable(Base) == nil and getmetatable(first) == Base)
      function Base:twice() return self.n * 2 end
      Base.__tostring = function(self) return 'base ' .. self.n end
      Base.made = 1
      Base.made += 1
      local Derived = setmetatable({}, { __index = Base })
      Derived.__index = Derived
      Derived.__call = function(self, by) return self.n + by end
      function Derived.new(n) local d = setmetatable({}, Derived) d.n = n return d end
      local d = Derived.new(5)
      Derived.__eq = function(a, b) return a.n == b.n end
      d.other = 7
      assert(first:twice() == 2 and d:twice() == 10 and d(1) == 6 and d == Derived.new(5))
      assert(tostring(first) == 'base 1' and Base.made == 2 and rawget(d, 'other') == 7)
      local log = {}
      local watched = setmetatable({}, { __newindex = function(t, k, v) table.insert(log, k) rawset(t, k, v) end })
      watched.a = 1
      assert(log[1] == 'a' and watched.a == 1 and getmetatable('').__index == string)
      assert(setmetatable(first, nil) == first and getmetatable(first) == nil)
      local order = {}
      for k in setmetatable({}, { __iter = function() return next, { x = 1 } end }) do order[1] = k end
      for _, v in table.clone(Base) do assert(v ~= nil) end
      for k, v in ipairs({ 'p', 'q' }) do order[k + 1] = v end
      for k, v in (function(t, i) if i < 2 then return i + 1, t[i + 1] end end), { 'r', 's' }, 0 do order[k + 3] = v end
      for k in next, { z = 1 } do order[6] = k end
      return table.concat(order)";
    assert_eq!(eval(body), Value::text("xpqrsz"));
}

#[test]
fn random_numbers_are_whole_in_bounds_and_reach_both_ends() {
    let body = "local seen = {}
        for i = 1, 400 do
          local n = math.random(3, 6)
          assert(n >= 3 and n <= 6 and n == math.floor(n))
          seen[n] = true
          local m = math.random(2)
          assert(m == 1 or m == 2)
          local x = math.random()
          assert(x >= 0 and x < 1)
        end
        assert(seen[3] and seen[6] and math.random(5, 5) == 5)
        assert(not pcall(math.random, 0) and not pcall(math.random, 2, 1) and not pcall(math.random, 0.5))
        return true";
    assert_eq!(eval(body), Value::Bool(true));
}
