//! Workloads that the benchmarks and `suspended` share: small pipelines, and what answers them.
//!
//! Nothing here measures. `cargo bench -p froben-bench` does, and prints what docs/performance.md quotes.

mod quantiles;
mod resident;

use std::collections::BTreeMap;

use froben_model::{BlobRef, CallId, OperatorId, Value};
use froben_script::{Call, CallOp, Completion, Event, Limits, Revision, Vm};

/// That of the programs that it stands for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use quantiles::{Durations, Quantiles, median};
pub use resident::{cpu_time, resident_bytes};

/// Waits for one task after the other, for ever: a resumption with a result is a step of this.
pub const ONE_BY_ONE: &str = "while true do ctx:delegate { kind = 'a.b/1' }:await() end";

/// Fans out `input.n` tasks, which takes some state, and waits for all of them.
pub const FAN_OUT: &str = "
  local waiting = {}
  for i = 1, input.n do
    table.insert(waiting, ctx:delegate { kind = 'a.b/1', key = `task/{i}`, input = { number = i } })
  end
  local sum = 0
  for _, item in ctx:stream(waiting) do
    sum += item.value
    if sum % 100 == 0 then ctx:status { phase = 'sum', done = sum } end
  end
  return sum";

/// Maps over `input.n` items, one to a task and 64 tasks at a time, and looks at each as it comes.
pub const MAP: &str = "
  local items, done = {}, 0
  for i = 1, input.n do items[i] = { index = i, round = 1 } end
  local mapped = ctx:map({
    kind = 'a.b/1', key = 'map', items = items, needs = { cpu_cores = 1, ram = '1GiB' }, timeout = '5m',
  }, {
    width = 1, concurrency = 64,
    on_item = function()
      done += 1
      if done % 100 == 0 then ctx:status { phase = 'map', done = done, total = input.n } end
    end,
  })
  return #mapped.ok";

/// The revision whose one pipeline, `bench`, has this body.
///
/// *Panics*: if the body does not check.
pub fn pipeline(body: &str) -> Revision {
    let options = "{ input = { n = 'integer' } }";
    let source = format!("return workflow('bench', {options}, function(ctx, input)\n{body}\nend)");
    let files = BTreeMap::from([("pipelines/bench.lua".to_owned(), source)]);
    Revision::check(&files, &Limits::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A workflow of `bench` with `n` in its input.
///
/// *Panics*: if it does not start.
pub fn start(revision: &Revision, n: i64) -> Vm {
    start_within(revision, n, unlimited())
}

/// The same with other limits.
///
/// *Panics*: if it does not start.
pub fn start_within(revision: &Revision, n: i64, limits: Limits) -> Vm {
    let input = Value::map([("n", Value::Int(n))]);
    Vm::start(revision, "bench", input, 1, 0, limits).unwrap_or_else(|failure| panic!("{failure}"))
}

/// The default bounds of memory and slices, and no quota that a long benchmark would meet.
pub fn unlimited() -> Limits {
    Limits {
        cpu_ms: u64::MAX / 2,
        delegations: usize::MAX,
        calls: u64::MAX,
        journal_bytes: usize::MAX,
        ..Limits::default()
    }
}

/// The calls that are delegations.
pub fn delegations(calls: &[Call]) -> Vec<CallId> {
    let made = calls
        .iter()
        .filter(|call| matches!(call.op, CallOp::Delegate(_)));
    made.map(|call| call.id).collect()
}

/// The result of a task of one item, and its end.
pub fn result(call: CallId) -> [Completion; 2] {
    came(call, Value::Int(1), None)
}

/// What a prover sends: a proof by reference, and how long it took.
pub fn proof(call: CallId) -> [Completion; 2] {
    let proof = Value::Blob(BlobRef::of(&call.0.to_be_bytes()));
    let value = Value::map([("proof", proof), ("seconds", Value::Number(1.5))]);
    came(call, value, OperatorId::new("op-a").ok())
}

fn came(call: CallId, value: Value, operator: Option<OperatorId>) -> [Completion; 2] {
    let item = Event::Item {
        index: 0,
        outcome: Ok(value),
        operator,
    };
    let at_ms = 0;
    [item, Event::Ended].map(|event| Completion { call, event, at_ms })
}
