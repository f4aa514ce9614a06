//! What a program can do, asked in processes of their own.
//!
//! A driver that aborts when it is looked at costs the probe of the devices and nothing else: the
//! CPU role is asked about separately.

use froben_model::{DeviceSpec, Kind};
use froben_protocol::{Hello, Role};

use super::error::Error;
use super::process::launch;
use super::runtime_dir::RuntimeDir;
use super::spec::{Timing, WorkerSpec};

/// What a program says that it can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeReport {
    pub name: String,
    pub version: String,
    pub cpu_kinds: Vec<Kind>,
    /// Empty where there is no device.
    pub device_kinds: Vec<Kind>,
    pub devices: Vec<DeviceSpec>,
    /// What the operator should know, such as why there is no device.
    pub notes: Vec<String>,
}

/// Starts `spec` once for each of `roles` to ask what it can do.
///
/// *Errors*: that of the first role if none can be asked about; if one can, another's is a note. [`Error::NoKinds`] if there is nothing that it can do here.
pub async fn probe(
    spec: &WorkerSpec,
    roles: &[Role],
    runtime: &RuntimeDir,
    timing: &Timing,
) -> Result<ProbeReport, Error> {
    let mut report = ProbeReport::default();
    let mut refusals = Vec::new();
    for &role in roles {
        match ask(spec, role, runtime, timing).await {
            Ok(hello) => report.add(hello),
            Err(error) => refusals.push((role, error)),
        }
    }
    if refusals.len() == roles.len() {
        for (role, error) in refusals.iter().skip(1) {
            tracing::warn!(%error, "probing the role {role} failed too");
        }
        if let Some((_, error)) = refusals.into_iter().next() {
            return Err(error);
        }
    } else {
        for (role, error) in refusals {
            report.notes.push(format!("no role {role}: {error}"));
        }
    }
    if report.cpu_kinds.is_empty() && report.device_kinds.is_empty() {
        let notes = report
            .notes
            .iter()
            .map(|note| format!("; {note}"))
            .collect();
        let program = spec.program.clone();
        return Err(Error::NoKinds { program, notes });
    }
    Ok(report)
}

async fn ask(
    spec: &WorkerSpec,
    role: Role,
    runtime: &RuntimeDir,
    timing: &Timing,
) -> Result<Hello, Error> {
    let flags = ["--probe", "--role", role.name()];
    let live = launch(spec, &flags, runtime, timing).await?;
    let hello = live.hello.clone();
    live.shut_down(timing).await;
    if hello.role != role {
        return Err(Error::Changed {
            program: spec.program.clone(),
            what: format!("its role is {}, not {role}", hello.role),
        });
    }
    Ok(hello)
}

impl ProbeReport {
    fn add(&mut self, hello: Hello) {
        let Hello {
            token: _,
            protocols: _,
            name,
            version,
            role,
            kinds,
            devices,
            notes,
        } = hello;
        (self.name, self.version) = (name, version);
        self.notes.extend(notes);
        match role {
            Role::Cpu => self.cpu_kinds = kinds,
            Role::Device => {
                // A device that is named twice could be claimed twice.
                for device in devices {
                    match self.devices.iter().any(|known| known.id == device.id) {
                        false => self.devices.push(device),
                        true => self
                            .notes
                            .push(format!("device {} is named twice", device.id)),
                    }
                }
                // Without a device nobody can take them.
                self.device_kinds = match self.devices.is_empty() {
                    true => Vec::new(),
                    false => kinds,
                };
            }
        }
    }
}
