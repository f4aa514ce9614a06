//! Runs cargo on the workspace, with build products outside the tree.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where build products go: outside the tree, so that a fresh checkout finds them again.
pub(crate) fn target_dir() -> PathBuf {
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR") {
        return PathBuf::from(dir);
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    match cache.or_else(home) {
        Some(cache) => cache.join("froben/target"),
        None => root().join("target"),
    }
}

/// Runs `cargo` and fails if it fails.
pub(crate) fn cargo(args: &[&str]) -> Result<(), String> {
    eprintln!("xtask: cargo {}", args.join(" "));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(args)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target_dir())
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`cargo {}` failed", args.join(" "))),
    }
}

/// What every step builds. With another selection features unify otherwise, and RocksDB is compiled once
/// more.
pub(crate) const EVERYTHING: [&str; 2] = ["--workspace", "--all-targets"];

/// Builds the programs, and all else, and gives the folder that holds them.
pub(crate) fn programs() -> Result<PathBuf, String> {
    cargo(&[&["build"], &EVERYTHING[..]].concat())?;
    Ok(target_dir().join("debug"))
}
