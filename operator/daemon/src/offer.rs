//! What this machine offers: provers, asked what they can do.

use std::path::PathBuf;

use froben_model::{MachineSpec, OperatorId};
use froben_protocol::Role;

use crate::session::Terms;
use crate::workers::{Program, RuntimeDir, Timing, WorkerSpec, probe};
use crate::{Error, Exit, host};

/// Asks every prover what it can do here.
pub(crate) async fn programs(
    provers: &[PathBuf],
    cpu_only: bool,
    memory_slack_bytes: u64,
    runtime: &RuntimeDir,
    timing: &Timing,
) -> Result<Vec<Program>, Error> {
    // What is not asked about is not started: a driver may hang or abort when it is looked at.
    let roles: &[Role] = match cpu_only {
        true => &[Role::Cpu],
        false => &[Role::Cpu, Role::Device],
    };
    let mut programs = Vec::new();
    for path in provers {
        let spec = WorkerSpec {
            memory_slack_bytes,
            ..WorkerSpec::new(path)
        };
        let report = probe(&spec, roles, runtime, timing).await?;
        programs.push(Program { spec, report });
    }
    Ok(programs)
}

/// Refuses to go on without anything to prove on, unless that is what was asked for.
pub(crate) fn check(programs: &[Program], cpu_only: bool) -> Result<(), Error> {
    let (mut devices, mut kinds) = (false, false);
    for Program { report, .. } in programs {
        devices |= !report.devices.is_empty();
        kinds |= !report.cpu_kinds.is_empty() || !report.device_kinds.is_empty();
    }
    let notes = programs.iter().flat_map(|program| &program.report.notes);
    let why: String = notes.map(|note| format!(" ({note})")).collect();
    if !devices && !cpu_only {
        return Err(Error::new(
            Exit::NoCapacity,
            format!(
                "no device can be offered{why}; see what `froben-operator selftest` says, or offer the CPU alone with --cpu-only"
            ),
        ));
    }
    if !kinds {
        return Err(Error::new(
            Exit::NoCapacity,
            format!(
                "the provers offer nothing that this machine can do{why}; name another with --prover"
            ),
        ));
    }
    Ok(())
}

/// What the machine says of itself when it registers.
pub(crate) fn spec(operator: OperatorId, terms: &Terms) -> MachineSpec {
    let pool = &terms.pool;
    MachineSpec {
        operator,
        label: terms.label.clone(),
        cpu_cores: host::cpu_cores(),
        ram_bytes: host::ram_bytes(),
        devices: pool.devices(),
        cpu_kinds: pool.cpu_kinds(),
        device_kinds: pool.device_kinds(),
        keys: terms.keys.held(),
        prices: terms.prices.clone(),
    }
}
