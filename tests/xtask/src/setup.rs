//! Debian packages that building and running need: installs what is missing, and says so.

use std::path::Path;
use std::process::{Command, Stdio};

/// A package and what it is for.
const PACKAGES: [(&str, &str); 9] = [
    ("g++", "compiles RocksDB and Luau"),
    ("make", "builds what they come with"),
    (
        "libclang-dev",
        "reads RocksDB's header for its Rust binding",
    ),
    ("capnproto", "compiles the schemas"),
    (
        "ocl-icd-opencl-dev",
        "the OpenCL loader that the prover links",
    ),
    ("pocl-opencl-icd", "an OpenCL device on any CPU"),
    ("oclgrind", "watches the kernels' every access in a test"),
    ("nodejs", "runs the Solidity compiler in a test"),
    ("npm", "fetches the Solidity compiler"),
];

/// Packages that come in other ways as well: the program that says whether what they bring is there.
const PROGRAMS: [(&str, &str); 2] = [("nodejs", "node"), ("npm", "npm")];

/// Installs what is missing.
pub(crate) fn run() -> Result<(), String> {
    if !Path::new("/usr/bin/apt-get").exists() {
        eprintln!("setup: this is not Debian or a relative; please see to these yourself:");
        for (package, purpose) in PACKAGES {
            eprintln!("  {package:20} {purpose}");
        }
        return Ok(());
    }
    let missing: Vec<_> = PACKAGES
        .into_iter()
        .filter(|(package, _)| !installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("setup: installing Debian packages:");
    for (package, purpose) in &missing {
        eprintln!("  {package:20} {purpose}");
    }
    let names: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
    let line = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    let installs = |mut command: Command| {
        let status = command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]);
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "sh", "-c", &line]);
    if installs(shell) || installs(sudo) {
        return Ok(());
    }
    Err(format!(
        "these packages can't be installed from here; please run:\n\n  sudo sh -c '{line}'\n"
    ))
}

fn installed(package: &str) -> bool {
    let program = PROGRAMS.into_iter().find(|(name, _)| *name == package);
    if let Some((_, program)) = program {
        let version = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if version.is_ok_and(|status| status.success()) {
            return true;
        }
    }
    let query = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    query.is_ok_and(|output| output.stdout == b"installed")
}
