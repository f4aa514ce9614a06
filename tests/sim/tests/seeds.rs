//! Plays seeds: 300 of them, or those that the arguments name, on all cores.
//!
//! `cargo xtask sim --seeds 5000 --from 1` passes its arguments on; a failure prints the command that plays
//! that seed alone.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use froben_sim::{Report, run};

const SEEDS: u64 = 300;
/// So many seeds are played twice, and have to come out the same.
const TWICE: u64 = 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, or: u64| {
        let at = args.iter().position(|arg| arg == name);
        let value = at.and_then(|at| args.get(at + 1)?.parse().ok());
        value.unwrap_or(or)
    };
    let (from, count) = (number("--from", 1), number("--seeds", SEEDS));
    let begin = Instant::now();
    let next = AtomicU64::new(from);
    let reports: Mutex<Vec<Report>> = Mutex::default();
    let failed: Mutex<Vec<(u64, String)>> = Mutex::default();
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return;
            }
            let outcome = std::panic::catch_unwind(|| run(seed));
            let outcome = outcome.unwrap_or_else(|_| Err("it panicked".to_owned()));
            let outcome = outcome.and_then(|report| match seed - from < TWICE {
                true if run(seed)? != report => Err("the same seed went another way".to_owned()),
                _ => Ok(report),
            });
            match outcome {
                Ok(report) => reports.lock().expect("no panic").push(report),
                Err(what) => failed.lock().expect("no panic").push((seed, what)),
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(play);
        }
    });
    let reports = reports.into_inner().expect("no panic");
    let sum = |what: fn(&Report) -> u64| reports.iter().map(what).sum::<u64>();
    let (real_s, virtual_s) = (
        begin.elapsed().as_secs_f64(),
        sum(|r| r.virtual_ms) as f64 / 1000.0,
    );
    println!(
        "{} seeds from {from}: {} commits, {} items, {} restarts, {} stale messages, {} \
         migrations, {} forks; {virtual_s:.0} s of virtual time in {real_s:.1} s",
        reports.len(),
        sum(|r| r.commits),
        sum(|r| r.items),
        sum(|r| r.restarts),
        sum(|r| r.stale),
        sum(|r| r.migrations),
        sum(|r| r.forks),
    );
    let mut failed = failed.into_inner().expect("no panic");
    failed.sort();
    for (seed, what) in failed.iter().take(10) {
        println!("\nseed {seed}: {what}\n  again: cargo xtask sim --seeds 1 --from {seed}");
    }
    match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => {
            println!("\n{} seeds failed", failed.len());
            ExitCode::FAILURE
        }
    }
}
