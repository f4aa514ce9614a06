//! This program as a worker: what it offers in each role, and which kind goes where.

use froben_model::{DeviceSpec, ErrorClass};
use froben_opencl::{Device, Error};
use froben_protocol::{Failure, Introduction, Role, Run, TaskCtx, Worker};

use crate::fence::fence;
use crate::kinds;
use crate::place::{Place, device_spec, stock_spec};
use crate::snarks::Snarks;

/// Takes tasks that claim cores; never looks for a device.
#[derive(Debug)]
pub struct CpuWorker;

impl CpuWorker {
    pub fn introduction() -> Introduction {
        introduction(Role::Cpu, &kinds::ON_CPU, Vec::new(), Vec::new())
    }
}

impl Worker for CpuWorker {
    fn introduction(&self) -> Introduction {
        Self::introduction()
    }

    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
        match run.kind.as_str() {
            kinds::WITNESS => kinds::witness::run(run, ctx),
            kinds::CHECK => kinds::check::run(run, ctx),
            kinds::BUNDLE => kinds::bundle::run(run, ctx),
            _ => Err(unknown(run)),
        }
    }
}

/// Takes tasks that claim the device it was started for.
#[derive(Debug)]
pub struct DeviceWorker {
    place: Place,
    snarks: Snarks,
    fit: bool,
}

impl DeviceWorker {
    /// Opens the device with this id; compiles its kernels and tests them.
    pub fn open(id: &str) -> Result<Self, Error> {
        Ok(DeviceWorker {
            place: Place::open(id)?,
            snarks: Snarks::default(),
            fit: true,
        })
    }

    /// What this machine offers to prove on: its devices, less those that fail their test, or its processor
    /// if it has no OpenCL at all. The notes say so.
    pub fn probe() -> Introduction {
        let kinds = kinds::ON_DEVICE;
        match Device::discover() {
            Ok(devices) => {
                let fenced = fence(devices);
                let devices = fenced.offered.iter().map(device_spec).collect();
                introduction(Role::Device, &kinds, devices, fenced.notes)
            }
            Err(error) => {
                let note = format!(
                    "proofs are made on the CPU without OpenCL, by Plonky3's own prover: {}",
                    explain(&error)
                );
                introduction(Role::Device, &kinds, vec![stock_spec()], vec![note])
            }
        }
    }
}

impl Worker for DeviceWorker {
    fn introduction(&self) -> Introduction {
        let devices = vec![self.place.spec()];
        introduction(Role::Device, &kinds::ON_DEVICE, devices, Vec::new())
    }

    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
        let (place, fit) = (&mut self.place, &mut self.fit);
        place.claim(run.ram_bytes);
        if run.kind.as_str() != kinds::COMPRESS && run.ram_bytes > 0 {
            self.snarks.close();
        }
        match run.kind.as_str() {
            kinds::PROVE => kinds::prove::run(run, ctx, place, fit),
            kinds::LEAF => kinds::leaf::run(run, ctx, place, fit),
            kinds::NODE => kinds::node::run(run, ctx, place, fit),
            kinds::TIP => kinds::tip::run(run, ctx, place, fit),
            kinds::SCHEDULE => kinds::schedule::run(run, ctx, place, fit),
            kinds::COMPRESS => kinds::compress::run(run, ctx, (place, &mut self.snarks), fit),
            _ => Err(unknown(run)),
        }
    }

    fn is_fit(&self) -> bool {
        self.fit
    }
}

/// An error of a device and what to do about it.
pub fn explain(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

fn unknown(run: &Run) -> Failure {
    let message = format!("this worker does not take `{}`", run.kind);
    Failure::new(ErrorClass::BadRequest, message)
}

fn introduction(
    role: Role,
    kinds: &[&str],
    devices: Vec<DeviceSpec>,
    notes: Vec<String>,
) -> Introduction {
    Introduction {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role,
        kinds: kinds.iter().map(|name| kinds::kind(name)).collect(),
        devices,
        notes,
    }
}
