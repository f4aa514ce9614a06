//! The script runtime: creation, replay, resumption, a wide fan-out, a map, and what watching a loop costs.
//!
//! All times are CPU time of the thread: other work on the machine does not show in them.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use froben_bench::{
    FAN_OUT, MAP, ONE_BY_ONE, delegations, pipeline, proof, result, start, start_within,
};
use froben_model::Value;
use froben_script::{Completion, Limits, State, Vm};
use nix::time::{ClockId, clock_gettime};

/// A loop that does nothing else than what an interrupt could slow down.
const HOT_LOOP: &str = "local x = 0 for i = 1, 3e6 do x = (x + i) % 1000 end";

/// CPU time of this thread.
struct CpuTime;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has the clock");
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu()
    }

    fn end(&self, started: Duration) -> Duration {
        cpu() - started
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn creation(c: &mut Criterion<CpuTime>) {
    let revision = pipeline("return 1");
    c.bench_function("vm/create", |bencher| {
        bencher.iter(|| black_box(start(&revision, 1)));
    });
    c.bench_function("vm/create_run_drop", |bencher| {
        bencher.iter(|| start(&revision, 1).resume(Vec::new()));
    });
}

/// A journal of 1,000 entries: 333 tasks of one item, each called, answered and over, and a status for each hundred.
fn replay(c: &mut Criterion<CpuTime>) {
    const TASKS: i64 = 333;
    let revision = pipeline(FAN_OUT);
    let mut vm = start(&revision, TASKS);
    let calls = vm.resume(Vec::new()).calls;
    let journal: Vec<Completion> = delegations(&calls).into_iter().flat_map(result).collect();
    let later = vm.resume(journal.clone()).calls;
    assert_eq!(calls.len() + journal.len() + later.len(), 1002);
    c.bench_function("vm/replay_1000_events", |bencher| {
        bencher.iter_batched(
            || journal.clone(),
            |journal| {
                let progress = start(&revision, TASKS).resume(journal);
                assert!(matches!(progress.state, State::Returned(_)));
            },
            BatchSize::LargeInput,
        );
    });
}

/// From a result to the next call.
fn resumption(c: &mut Criterion<CpuTime>) {
    const LIFE: u64 = 5_000;
    let revision = pipeline(ONE_BY_ONE);
    c.bench_function("vm/resume_with_result", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            let mut vm: Option<Vm> = None;
            let mut waits_for = Vec::new();
            for iteration in 0..iterations {
                if iteration % LIFE == 0 {
                    let mut fresh = start(&revision, 1);
                    waits_for = delegations(&fresh.resume(Vec::new()).calls);
                    vm = Some(fresh);
                }
                let vm = vm.as_mut().expect("made in the first iteration");
                let completions = result(waits_for[0]).to_vec();
                let before = cpu();
                let progress = black_box(vm.resume(completions));
                spent += cpu() - before;
                waits_for = delegations(&progress.calls);
            }
            spent
        });
    });
}

/// 10,000 tasks at once, and each result as it comes.
fn fan_out(c: &mut Criterion<CpuTime>) {
    let revision = pipeline(FAN_OUT);
    let mut group = c.benchmark_group("vm");
    group.sample_size(10);
    group.bench_function("fan_out_10000", |bencher| {
        bencher.iter(|| {
            let mut vm = start(&revision, 10_000);
            let calls = vm.resume(Vec::new()).calls;
            let mut state = State::Blocked;
            for call in delegations(&calls) {
                state = vm.resume(result(call).to_vec()).state;
            }
            assert!(matches!(state, State::Returned(_)), "{state:?}");
        });
    });
    group.finish();
}

/// `ctx:map` over 10,000 items with a limit of tasks at a time, within the limits that every workflow has.
fn map(c: &mut Criterion<CpuTime>) {
    const ITEMS: i64 = 10_000;
    let revision = pipeline(MAP);
    let limits = Limits::default();
    let run = || {
        let mut vm = start_within(&revision, ITEMS, limits.clone());
        let mut progress = vm.resume(Vec::new());
        let (mut calls, mut peak_bytes) = (progress.calls.len(), vm.memory_bytes());
        let mut waiting = VecDeque::from(delegations(&progress.calls));
        while let Some(call) = waiting.pop_front() {
            progress = vm.resume(proof(call).to_vec());
            peak_bytes = peak_bytes.max(vm.memory_bytes());
            calls += progress.calls.len();
            waiting.extend(delegations(&progress.calls));
        }
        assert_eq!(progress.state, State::Returned(Value::Int(ITEMS)));
        (calls, peak_bytes, vm.cpu_ms())
    };
    let (calls, peak_bytes, cpu_ms) = run();
    println!(
        "vm/map_10000: {calls} calls of {}, {} KiB of {} KiB at the most, {cpu_ms} ms of {} ms",
        limits.calls,
        peak_bytes >> 10,
        limits.memory_bytes >> 10,
        limits.cpu_ms,
    );
    let mut group = c.benchmark_group("vm");
    group.sample_size(10);
    group.bench_function("map_10000", |bencher| bencher.iter(run));
    group.finish();
}

/// The same loop in the sandbox and in a Luau state that nothing watches.
fn interrupts(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("hot_loop");
    group.sample_size(30);
    let bare = mlua::Lua::new();
    let chunk = bare.load(HOT_LOOP).into_function().expect("it compiles");
    group.bench_function("no_interrupt", |bencher| {
        bencher.iter(|| chunk.call::<()>(()).expect("it runs"));
    });
    let revision = pipeline(HOT_LOOP);
    group.bench_function("sandbox", |bencher| {
        bencher.iter_batched_ref(
            || start(&revision, 1),
            |vm| vm.resume(Vec::new()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = creation, replay, resumption, fan_out, map, interrupts
}
criterion_main!(benches);
