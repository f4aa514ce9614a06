//! Proves the simulator: each bug of a list is planted in the real code, and must be found within so many
//! seeds. `--bug NAME` tries one alone, `--seeds N` changes how many seeds it has.
//!
//! Needs the feature `planted`, which no program is built with.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use froben_sim::{Bug, plant, run};

const SEEDS: u64 = 1000;

fn main() -> ExitCode {
    // What a bug breaks may be an assertion; its backtrace says nothing here.
    std::panic::set_hook(Box::new(|_| {}));
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let seeds = value("--seeds").and_then(|n| n.parse().ok());
    let seeds = seeds.unwrap_or(SEEDS);
    let only = value("--bug");
    let begin = Instant::now();
    let mut missed = 0;
    if let Some((seed, what)) = hunt(None, 20) {
        println!("without any bug, seed {seed} fails: {what}");
        return ExitCode::FAILURE;
    }
    for bug in Bug::ALL {
        let name = format!("{bug:?}");
        if only.is_some_and(|only| *only != name) {
            continue;
        }
        match hunt(Some(bug), seeds) {
            Some((seed, what)) => {
                let what: String = what.chars().take(110).collect();
                println!("{name:<22} seed {seed:>4}: {what}");
            }
            None => {
                missed += 1;
                println!("{name:<22} NOT FOUND in {seeds} seeds");
            }
        }
    }
    println!("{:.1} s", begin.elapsed().as_secs_f64());
    match missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The lowest seed that fails among those that were played until one did.
fn hunt(bug: Option<Bug>, seeds: u64) -> Option<(u64, String)> {
    plant(bug);
    let (next, found) = (AtomicU64::new(1), Mutex::new(None::<(u64, String)>));
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return;
            }
            let outcome = std::panic::catch_unwind(|| run(seed));
            let failed = match outcome {
                Ok(Ok(_)) => continue,
                Ok(Err(what)) => what,
                Err(panic) => panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_else(|| "it panicked".to_owned()),
            };
            next.fetch_max(seeds + 1, Ordering::Relaxed);
            let mut found = found.lock().expect("no panic");
            if found.as_ref().is_none_or(|(other, _)| seed < *other) {
                *found = Some((seed, failed));
            }
            return;
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(play);
        }
    });
    plant(None);
    found.into_inner().expect("no panic")
}
