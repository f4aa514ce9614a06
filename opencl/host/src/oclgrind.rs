//! The kernels under Oclgrind, which simulates a device and watches every access.
//!
//! It finds data races, values that were never written, accesses past a buffer's end and wrong calls
//! of the interface; it is slower than a processor by a thousand and more, and it says what it found in a log
//! and nowhere else: its exit code is that of the program. So the known answers run in a process of their own,
//! this test program again, and the log is read. A mutation proves that a removed barrier would be found.
//!
//! Beside the other tests of this crate, since no public interface plants a bug.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::device::Device;
use crate::diagnosis::{KnownAnswer, known_answers};
use crate::error::Error;
use crate::field::BabyBear;
use crate::msm;
use crate::self_test;
use crate::session::{Patch, Session, SessionOptions};
use crate::storage::Storage;

/// What the child is to do; without it, the child's test does nothing.
const TASK: &str = "FROBEN_OCLGRIND_TASK";
/// Tasks; the others are names of fields, whose known answers are asked for.
const NO_BARRIER: &str = "no barrier";
const NO_BARRIER_IN_SUMS: &str = "no barrier in sums";
const UNWRITTEN: &str = "unwritten lanes";
const CHILD: &str = "oclgrind::the_child_of_the_tests_above";

/// What Oclgrind complained about, by its own headings.
struct Findings {
    races: Vec<String>,
    others: Vec<String>,
}

/// Runs the child's `task` under Oclgrind; `None` where it is not installed.
fn simulate(task: &str) -> Option<Findings> {
    let found = Command::new("oclgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        println!("SKIP: oclgrind is not installed (Debian: apt-get install oclgrind)");
        return None;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("log");
    let this = std::env::current_exe().expect("this test's own binary");
    let output = Command::new("oclgrind")
        .args(["--data-races", "--uninitialized", "--check-api"])
        // It reads code as it was written; what an optimiser makes of it has false races.
        .args(["--build-options", "-cl-opt-disable", "--log"])
        .arg(&log)
        .arg(this)
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .output()
        .expect("oclgrind runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{task}: {said}");
    // Or else it has looked at nothing.
    assert!(said.contains("ran on Oclgrind"), "{task}: {said}");
    Some(findings(&log))
}

/// A finding is a paragraph that begins at the margin.
fn findings(log: &Path) -> Findings {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match paragraphs.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push('\n');
                last.push_str(line);
            }
            _ => paragraphs.push(line.to_owned()),
        }
    }
    // Asking a device what it does not know is how its abilities are found out.
    let questions = |paragraph: &String| {
        paragraph.contains("clGetDeviceInfo") && paragraph.contains("param_name")
    };
    let (races, others) = paragraphs
        .into_iter()
        .filter(|paragraph| !questions(paragraph))
        .partition(|paragraph| paragraph.contains("data race"));
    Findings { races, others }
}

#[test]
fn the_kernels_are_clean() {
    // A process for each field, as they are slow.
    // Products of 256 bits take it a quarter of an hour and more: of those kernels only a mutation is tried.
    let fields = known_answers().iter().map(KnownAnswer::field);
    let mut fields: Vec<_> = fields
        .filter(|field| !field.starts_with("bn254") && !field.starts_with("bls12"))
        .collect();
    fields.sort_unstable();
    fields.dedup();
    for field in fields {
        let Some(Findings { races, others }) = simulate(field) else {
            return;
        };
        assert!(races.is_empty(), "{field}: {}", races.join("\n\n"));
        assert!(others.is_empty(), "{field}: {}", others.join("\n\n"));
    }
}

/// Whether the race of `task` is found, in `kernel`, and both of its sides are shown as lines of its sources.
fn is_reported_as_a_race(task: &str, kernel: &str, sources: &[&str]) {
    let Some(Findings { races, .. }) = simulate(task) else {
        return;
    };
    assert!(!races.is_empty(), "the race was not found");
    for race in &races {
        assert!(race.contains(kernel), "{race}");
        // `At line 281 (column 58) of input.cl:`, and then what stands there.
        let mut lines = race.lines().map(str::trim);
        let mut places = 0;
        while let Some(line) = lines.next() {
            if line.starts_with("At line ") {
                let code = lines.next().unwrap_or_default();
                let mut all = sources.iter().flat_map(|source| source.lines());
                let known = all.any(|source| source.trim() == code);
                assert!(known, "{code} is no line of the kernel: {race}");
                places += 1;
            }
        }
        assert_eq!(places, 2, "a race has two sides: {race}");
    }
}

#[test]
fn a_removed_barrier_is_reported_as_a_race_with_its_line() {
    let pass = [
        include_str!("../../kernels/ntt/pass.cl"),
        include_str!("../../kernels/field/memory.cl"),
    ];
    is_reported_as_a_race(NO_BARRIER, "ntt_pass_babybear", &pass);
    let place = [include_str!("../../kernels/msm/place.cl")];
    is_reported_as_a_race(NO_BARRIER_IN_SUMS, "msm_place", &place);
}

#[test]
fn a_lane_that_was_never_written_is_reported() {
    let Some(Findings { others, .. }) = simulate(UNWRITTEN) else {
        return;
    };
    let found = others
        .iter()
        .any(|other| other.contains("uninitialized value") && other.contains("ntt_pass_babybear"));
    assert!(found, "{}", others.join("\n\n"));
}

/// Not a test by itself: it runs under the simulator, with a task.
#[test]
fn the_child_of_the_tests_above() {
    let Some(task) = std::env::var_os(TASK) else {
        return;
    };
    let devices = Device::discover().expect("oclgrind is a device");
    let device = devices
        .iter()
        .find(|device| device.platform.contains("Oclgrind"))
        .expect("oclgrind is a platform");
    let open = |patch: Patch| {
        let options = SessionOptions {
            // Work-items of a group can race only if there are several.
            gpu_layout: true,
            // Else it has doubts about what is written over what an earlier buffer held.
            fresh_memory: true,
            storage: Storage::None,
            ..SessionOptions::default()
        };
        Session::open_untested(device, options, patch).expect("it opens")
    };
    if task == UNWRITTEN {
        let session = open(|source| {
            // Steps that neither load nor store would work on lanes that nobody filled.
            let skip = "if (word >= at->words) continue;";
            source.replacen(skip, &format!("if (first || last) {skip}"), 1)
        });
        let _ = session.run(self_test::ntt::<BabyBear>);
    } else if task == NO_BARRIER {
        let session = open(|source| {
            // The one between the steps of a pass.
            source.replacen(
                "    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);\n    factors +=",
                "    factors +=",
                1,
            )
        });
        // The simulator may well compute the right answer all the same.
        let _ = session.run(self_test::ntt::<BabyBear>);
    } else if task == NO_BARRIER_IN_SUMS {
        let session = open(|source| {
            // The one between reading a sum of the strip and replacing it. The kernel after it does not
            // compile: additions of points would take the simulator minutes.
            source
                .replacen(
                    "      barrier(CLK_LOCAL_MEM_FENCE);\n      sums[lid] +=",
                    "      sums[lid] +=",
                    1,
                )
                .replace("atomic_inc(row + bucket)", "no_such_function(row)")
        });
        let stopped = session.run(|engine| {
            let stopped = msm::self_test::run(engine);
            engine.wait()?;
            stopped
        });
        assert!(
            matches!(stopped, Err(Error::BuildFailed { .. })),
            "{stopped:?}"
        );
    } else {
        let session = open(str::to_owned);
        let of_field = |answer: &&KnownAnswer| task == answer.field();
        for answer in known_answers().iter().filter(of_field) {
            let start = std::time::Instant::now();
            let asked = session.run(|engine| answer.ask(engine));
            assert_eq!(asked, Ok(()), "{answer:?}");
            println!(
                "{} {} took {:?}",
                answer.kernel(),
                answer.field(),
                start.elapsed()
            );
        }
    }
    println!("ran on {}", device.platform);
}
