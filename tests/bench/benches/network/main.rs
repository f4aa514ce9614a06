//! A whole coordinator under load: real journal, real mutual TLS on loopback, real scripts; only the
//! machines are played, in the same process, so they share its cores. They speak the protocol by hand, so
//! that what is measured is the coordinator and not they.
//!
//! `fan-out`: one workflow hands out 500 tasks that do nothing and awaits all. `steady`: 1,000 machines
//! with 10,000 tasks under way, each of which takes about two seconds. `flat out`: the same machines
//! with tasks that take no time, for what the coordinator does at most.

mod host;
mod machines;
mod rpc;
mod threads;
mod tls;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use froben_bench::{Durations, Quantiles, median};
use froben_journal::Body;
use froben_model::{Value, WorkflowId};
use tokio::task::LocalSet;

use host::{Coordinator, Seeker};
use machines::Machines;
use threads::CpuOfThreads;

const FAN: &str = "
  return workflow('fan', { input = { n = 'integer' } }, function(ctx, input)
    local tasks = {}
    for i = 1, input.n do
      tasks[i] = ctx:delegate { kind = 'bench.noop/1', key = `fan/{i}`, input = { number = i },
        needs = { cpu_cores = 1, ram = '1MiB', shared = true }, timeout = '5m' }
    end
    ctx:all(tasks)
    return input.n
  end)";

const LOAD: &str = "
  return workflow('load', { input = { n = 'integer', width = 'integer' } }, function(ctx, input)
    local items = {}
    for i = 1, input.n do items[i] = i end
    local mapped = ctx:map({ kind = 'bench.noop/1', key = 'load', items = items, timeout = '5m',
      needs = { cpu_cores = 1, ram = '1MiB', shared = true } }, { width = 1, concurrency = input.width })
    return #mapped.ok
  end)";

const MACHINES: usize = 1000;
/// More than the tasks that are under way, so that nobody waits for a place.
const CORES: u32 = 12;
const WORKFLOWS: usize = 20;
const FANS: usize = 11;
const STEADY_RUNS: usize = 5;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let named = words.iter().find(|word| !word.starts_with('-'));
    if named.is_some_and(|name| !"network".contains(name.as_str())) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let coordinator = Coordinator::start(&[("fan", FAN), ("load", LOAD)]).await;
        let begin = Instant::now();
        let machines = machines::connect(&coordinator, MACHINES, CORES).await;
        println!("{MACHINES} machines connected in {:.1?}", begin.elapsed());
        let seeker = Seeker::connect(&coordinator, "ada").await;
        idle().await;
        fan_out(&coordinator, &seeker).await;
        machines.seen.work_ms.set((900, 2950));
        let mut runs = Vec::new();
        for _ in 0..STEADY_RUNS {
            runs.push(load("steady", &coordinator, &seeker, &machines, 2500, 500).await);
        }
        println!("steady, median of {STEADY_RUNS}: {}", Load::median(&runs));
        machines.seen.work_ms.set((0, 0));
        load("flat out", &coordinator, &seeker, &machines, 2500, 100).await;
        drop(machines);
        coordinator.stop().await;
    });
}

/// What it takes to keep connections alive that have nothing to say.
async fn idle() {
    let (before, seconds) = (CpuOfThreads::now(), 5);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let each = before.since(MACHINES as u64 * seconds);
    println!("idle: CPU per machine and second: {each}");
}

/// From the first call of the script to what it does after `await`, by the journal: the records of all
/// ends are on disk before the script is told.
async fn fan_out(coordinator: &Coordinator, seeker: &Seeker) {
    let mut took = Vec::new();
    for _ in 0..FANS {
        let input = Value::map([("n", Value::Int(500))]);
        let id = seeker.submit("fan", input).await;
        seeker.wait(&[id]).await;
        let journal = coordinator.journal(id);
        let at = |wanted: fn(&Body) -> bool| {
            let record = journal.iter().find(|record| wanted(&record.body));
            record.expect("it is there").time_ms
        };
        let called = at(|body| matches!(body, Body::Called(_)));
        took.push(at(|body| matches!(body, Body::Finished(_))) - called);
    }
    println!(
        "fan-out of 500: {} ms (median of {FANS}, {took:?})",
        median(&took)
    );
}

/// What came of a load.
struct Load {
    completions_per_s: f64,
    assigned: Quantiles,
}

impl Load {
    fn median(runs: &[Load]) -> String {
        let rates: Vec<_> = runs.iter().map(|run| run.completions_per_s).collect();
        let of = |pick: fn(&Quantiles) -> Duration| {
            let all: Vec<_> = runs.iter().map(|run| pick(&run.assigned)).collect();
            median(&all)
        };
        format!(
            "{:.0} durable completions/s; called to assigned p50 {:.1?}, p99 {:.1?}",
            median(&rates),
            of(|q| q.p50),
            of(|q| q.p99)
        )
    }
}

/// `WORKFLOWS` workflows of `n` tasks each, `width` of them at a time.
async fn load(
    name: &str,
    coordinator: &Coordinator,
    seeker: &Seeker,
    machines: &Machines,
    n: i64,
    width: i64,
) -> Load {
    let seen = &machines.seen;
    seen.tasks.borrow_mut().clear();
    let mut ids = Vec::new();
    for _ in 0..WORKFLOWS {
        let input = Value::map([("n", Value::Int(n)), ("width", Value::Int(width))]);
        ids.push(seeker.submit("load", input).await);
    }
    let before = CpuOfThreads::now();
    let begin = Instant::now();
    let mut last = seen.recorded.get();
    let mut per_second = Vec::new();
    {
        let over = seeker.wait(&ids);
        tokio::pin!(over);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.tick().await;
        loop {
            let ticked = Instant::now();
            tokio::select! {
                () = &mut over => break,
                _ = tick.tick() => {
                    let now = seen.recorded.get();
                    let seconds = ticked.elapsed().as_secs_f64();
                    per_second.push((now - last) as f64 / seconds);
                    last = now;
                }
            }
        }
    }
    let took = begin.elapsed();
    // Of the first seconds and the last ones not all tasks are under way.
    let cut = per_second.len() / 4;
    let middle = &per_second[cut..per_second.len() - cut];
    let total = WORKFLOWS as u64 * n as u64;
    let load = Load {
        completions_per_s: match middle.is_empty() {
            true => total as f64 / took.as_secs_f64(),
            false => median(middle),
        },
        assigned: assignment(coordinator, machines, &ids).quantiles(),
    };
    println!(
        "{name}: {total} tasks, {} at a time, in {took:.1?}; {:.0} durable completions/s (median of {} s)",
        WORKFLOWS as i64 * width,
        load.completions_per_s,
        middle.len()
    );
    println!("  called to assigned: {}", load.assigned);
    println!("  CPU per task: {}", before.since(total));
    load
}

/// From the record of a call to its task's arrival at a machine; of the calls in the middle half of the
/// time, when one is made for each that ends. Those of the beginning are made all at once.
fn assignment(coordinator: &Coordinator, machines: &Machines, ids: &[WorkflowId]) -> Durations {
    let mut called = HashMap::new();
    for id in ids {
        for record in coordinator.journal(*id) {
            if let Body::Called(call) = record.body {
                called.insert((*id, call.call), record.time_ms);
            }
        }
    }
    let (first, last) = (called.values().min(), called.values().max());
    let (first, last) = (first.copied().unwrap_or(0), last.copied().unwrap_or(0));
    let quarter = (last - first) / 4;
    let middle = first + quarter..=last - quarter;
    called.retain(|_, at| middle.contains(at));
    let mut took = Durations::default();
    for (token, at) in machines.seen.tasks.borrow().iter() {
        if let Some(called) = called.get(&(token.workflow, token.call)) {
            took.add(Duration::from_millis(at.saturating_sub(*called)));
        }
    }
    took
}
