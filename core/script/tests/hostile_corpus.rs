//! Every script of `hostile/` is stopped within its slice and its memory, says why and where, and leaves
//! the next workflow alone.
//!
//! Each runs in a process of its own: this test starts itself. So a script that kills its process is seen,
//! and memory is what the kernel counts at the peak: the Luau state, what the host keeps, copies on the way.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use froben_model::Value;
use froben_script::{Limits, State};
use harness::bounds::{GRACE, MARGIN, bounded, check_within, start_within, stays_stopped, timed};

const SLICE: Duration = Duration::from_millis(120);
const MEMORY: usize = 64 << 20;
/// Names the script that a process of this test runs.
const SCRIPT: &str = "FROBEN_HOSTILE_SCRIPT";

struct Script {
    file: String,
    name: String,
    /// With which it may fail.
    codes: Vec<String>,
    body: String,
}

fn corpus() -> Vec<Script> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut scripts = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        for section in text.split("--# ").skip(1) {
            let (header, body) = section.split_once('\n').unwrap();
            let (codes, name) = header.split_once(": ").unwrap();
            scripts.push(Script {
                file: file.file_name().into_string().unwrap(),
                name: name.to_owned(),
                codes: codes.split(' ').map(str::to_owned).collect(),
                body: body.trim().to_owned(),
            });
        }
    }
    scripts
}

fn limits() -> Limits {
    bounded(SLICE, MEMORY)
}

/// `VmRSS` or `VmHWM` of this process.
fn resident(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Runs the first step of a body: how it ended, its CPU time and the peak of the process.
fn run(body: &str) -> (State, Duration, usize) {
    let revision = check_within(body, &limits());
    // Lets the kernel forget the peak so far.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut vm = start_within(&revision, limits());
    let (mut progress, spent) = timed(&mut vm, Vec::new());
    let peak = resident("VmHWM");
    progress.calls.clear();
    stays_stopped(&mut vm, &progress);
    (progress.state, spent, peak)
}

/// Runs one script and prints what was wrong.
fn try_script(script: &Script) {
    run("return 1 + 1");
    let fresh = resident("VmRSS");
    let (state, spent, peak) = run(&script.body);
    if std::env::var_os("BOUNDS").is_some() {
        println!(
            "wrong: {spent:8.2?} {:4} MiB",
            peak.saturating_sub(fresh) >> 20
        );
    }
    if spent > SLICE + GRACE {
        println!("wrong: {spent:?}");
    }
    if peak > fresh + MEMORY + MARGIN {
        println!("wrong: {} MiB", (peak - fresh) >> 20);
    }
    match state {
        State::Failed(failure) => {
            let code = failure.code.as_str();
            if !script.codes.iter().any(|allowed| allowed == code) {
                println!("wrong: {failure}");
            }
            let after = failure.message.split("pipelines/t.lua:").nth(1);
            let line = after.and_then(|rest| rest.chars().next());
            // What comes back from a workflow has no line of its own.
            if !line.is_some_and(|c| c.is_ascii_digit()) && code != "FRB-LUA-006" {
                println!("wrong: no place: {failure}");
            }
        }
        other => println!("wrong: {other:?}"),
    }
    let (next, _, _) = run("return 1 + 1");
    if next != State::Returned(Value::Int(2)) {
        println!("wrong: the next workflow ends in {next:?}");
    }
    println!("through");
}

#[test]
fn every_script_is_stopped_within_its_bounds() {
    let scripts = corpus();
    assert!(scripts.len() >= 200, "{}", scripts.len());
    if let Ok(number) = std::env::var(SCRIPT) {
        return try_script(&scripts[number.parse::<usize>().unwrap()]);
    }
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(script) = scripts.get(number) else {
                return;
            };
            let found = || {
                let output = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "every_script_is_stopped_within_its_bounds"])
                    .arg("--nocapture")
                    .env(SCRIPT, number.to_string())
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&output.stdout);
                let mut found: Vec<String> = text
                    .lines()
                    .filter(|line| line.starts_with("wrong: "))
                    .map(|line| format!("{}: {}: {line}", script.file, script.name))
                    .collect();
                if !output.status.success() || !text.lines().any(|line| line == "through") {
                    let end = String::from_utf8_lossy(&output.stderr);
                    found.push(format!("{}: {}: {end}", script.file, script.name));
                }
                found
            };
            let mut found_now = found();
            for _ in 0..3 {
                // Once more: a busy machine may have been at fault, a script is at fault each time.
                if !found_now.is_empty() {
                    found_now = found();
                }
            }
            wrong.lock().unwrap().append(&mut found_now);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
