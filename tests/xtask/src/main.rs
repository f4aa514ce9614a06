//! `cargo xtask`: the project's verbs. Each does its own set-up and says what it does.
//!
//! It has no dependencies, so that it builds on a machine where nothing is installed yet.

mod architecture;
mod build;
mod demo;
mod errors;
mod gate;
mod setup;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask VERB

  demo [FILE]   proves, on a network of three processes on this machine, that the Keccak-256, SHA-256,
                Blake3 and Poseidon2 digests of FILE commit to the same bytes, and verifies the proof
                (default: LICENSE-APACHE; --until bundle, aggregate or snark, which is the default;
                parameters `dev`, or --params standard)
  test          the whole gate: formatting, clippy, every test; what CI runs
  docs          writes what is made from the code: the scripts' types and the manual of their verbs
  bench [NAME]  the benchmarks, or those whose name contains NAME; docs/performance.md quotes them
  sim [--seeds N] [--from SEED]
                plays that many seeds of the simulator (default: 300 from 1, as `test` does); the real engine,
                scheduler and scripts among machines and on a disk that fail
  setup         only installs what the others need

Build products go to $CARGO_TARGET_DIR, or else to the cache folder of your home.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo", rest @ ..] => demo::run(rest),
        ["test"] => gate::run(),
        ["docs"] => build::cargo(&[
            "run",
            "--package",
            "froben-script",
            "--example",
            "reference",
        ]),
        ["bench", rest @ ..] => bench(rest),
        ["sim", rest @ ..] => sim(rest),
        ["setup"] => setup::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn sim(args: &[&str]) -> Result<(), String> {
    setup::run()?;
    let command = ["test", "--workspace", "--test", "seeds", "--"];
    build::cargo(&[&command[..], args].concat())
}

/// With the profile that everything else is built with, so that nothing is built twice.
fn bench(args: &[&str]) -> Result<(), String> {
    setup::run()?;
    let command = [
        "bench",
        "--workspace",
        "--profile",
        "dev",
        "--bench",
        "*",
        "--",
    ];
    build::cargo(&[&command[..], args].concat())
}
