//! The whole gate: what CI runs, and all that it runs.

use std::time::Instant;

use crate::{architecture, build, errors, setup};

pub(crate) fn run() -> Result<(), String> {
    let start = Instant::now();
    setup::run()?;
    build::cargo(&["fmt", "--all", "--check"])?;
    architecture::check()?;
    errors::check()?;
    let strict = ["--", "-D", "warnings"];
    build::cargo(&[&["clippy"], &build::EVERYTHING[..], &strict].concat())?;
    // The end-to-end tests run the programs, which `cargo test` alone would not build.
    build::programs()?;
    build::cargo(&["test", "--workspace"])?;
    // Apart, since the feature would be on for whatever is built with it: programs are built without.
    build::cargo(&[
        "test",
        "--workspace",
        "--test",
        "planted",
        "--features",
        "froben-sim/planted",
    ])?;
    eprintln!(
        "xtask: the gate is green after {} s",
        start.elapsed().as_secs()
    );
    Ok(())
}
