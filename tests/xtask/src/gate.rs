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
    eprintln!(
        "xtask: the gate is green after {} s",
        start.elapsed().as_secs()
    );
    Ok(())
}
