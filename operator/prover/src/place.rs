//! Where proofs are made: on an OpenCL device or, on a machine that has none, by the stock prover.

use std::fs;
use std::sync::Arc;

use froben_circuits::config::StockPcs;
use froben_circuits::{Circuit, Params, Witness, config, prove};
use froben_model::DeviceSpec;
use froben_opencl::{Control, Device, Error as DeviceError, Session};
use froben_recursion::aggregate::Proved;
use froben_recursion::tree::{Prover, Step, TreeError};
use p3_uni_stark::StarkGenericConfig;

use crate::stark::{DevicePcs, opencl};

/// What a machine without OpenCL is offered under: its processor, as one device.
pub const STOCK_ID: &str = "cpu-plonky3";

/// What part of a task's memory the keys of circuits may take.
const SHARE_OF_KEYS: u64 = 4;

/// A place that proofs are made at, with the keys of those circuits that it proved last.
#[derive(Debug)]
pub(crate) enum Place {
    OpenCl {
        session: Arc<Session>,
        tree: Prover<DevicePcs>,
    },
    /// Plonky3's own code on all cores.
    Stock { tree: Prover<StockPcs> },
}

/// Why there is no proof.
pub(crate) enum NoProof {
    /// The witness or the proof system.
    Circuit(froben_circuits::Error),
    /// A circuit of the tree.
    Tree(TreeError),
    /// The last step.
    Snark(froben_compress::Error),
    Device(DeviceError),
}

impl Place {
    /// Opens the device with this id, compiles its kernels and tests them.
    pub(crate) fn open(id: &str) -> Result<Place, DeviceError> {
        if id == STOCK_ID {
            tracing::warn!("no OpenCL here: proofs are made by Plonky3 on the processor");
            let tree = Prover::default();
            return Ok(Place::Stock { tree });
        }
        let session = Session::open(&Device::find(id)?)?;
        // What the self-test took is no task's.
        session.take_peak_bytes()?;
        Ok(Place::OpenCl {
            session: Arc::new(session),
            tree: Prover::default(),
        })
    }

    pub(crate) fn spec(&self) -> DeviceSpec {
        match self {
            Place::OpenCl { session, .. } => device_spec(session.device()),
            Place::Stock { .. } => stock_spec(),
        }
    }

    /// The session on its device, if it has one.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Place::OpenCl { session, .. } => Some(session),
            Place::Stock { .. } => None,
        }
    }

    /// Device memory that was held since this was last asked; 0 where nobody knows.
    pub(crate) fn take_peak_bytes(&self) -> u64 {
        match self {
            // A session that is lost has said so already.
            Place::OpenCl { session, .. } => session.take_peak_bytes().unwrap_or(0),
            Place::Stock { .. } => 0,
        }
    }

    /// The proof of a circuit; the same bytes wherever it is made. `control` ends it between launches on
    /// a device; Plonky3's own prover cannot be ended.
    pub(crate) fn prove(
        &self,
        params: Params,
        circuit: Circuit,
        witness: &Witness,
        control: &Control,
    ) -> Result<Vec<u8>, NoProof> {
        match self {
            Place::OpenCl { session, .. } => {
                let config = opencl(params, &Arc::new(session.controlled(control)));
                prove(&config, circuit, witness).map_err(|error| {
                    match config.pcs().device_error() {
                        Some(device) => NoProof::Device(device.clone()),
                        None => NoProof::Circuit(error),
                    }
                })
            }
            Place::Stock { .. } => {
                prove(&config::stock(params), circuit, witness).map_err(NoProof::Circuit)
            }
        }
    }

    /// A task begins that claims so much memory; 0 if it is not limited. Keys that are kept count towards
    /// it, so they make room.
    pub(crate) fn claim(&mut self, ram_bytes: u64) {
        if ram_bytes == 0 {
            return;
        }
        let bytes = usize::try_from(ram_bytes / SHARE_OF_KEYS).unwrap_or(usize::MAX);
        match self {
            Place::OpenCl { tree, .. } => tree.keep(bytes),
            Place::Stock { tree } => tree.keep(bytes),
        }
    }

    /// A proof of the tree, as [`Place::prove`] makes those of segments. The key of its circuit is built
    /// here too, unless it is still there.
    pub(crate) fn step(
        &mut self,
        params: Params,
        step: &Step<'_>,
        control: &Control,
    ) -> Result<Proved, NoProof> {
        match self {
            Place::OpenCl { session, tree } => {
                let config = opencl(params, &Arc::new(session.controlled(control)));
                tree.prove(&config, params, step).map_err(|error| {
                    match config.pcs().device_error() {
                        Some(device) => NoProof::Device(device.clone()),
                        None => NoProof::Tree(error),
                    }
                })
            }
            Place::Stock { tree } => tree.prove_stock(params, step).map_err(NoProof::Tree),
        }
    }
}

/// What a device is offered as.
pub(crate) fn device_spec(device: &Device) -> DeviceSpec {
    DeviceSpec {
        id: device.id.clone(),
        name: device.name.clone(),
        vendor: device.vendor.clone(),
        driver: format!("{} {}", device.platform, device.driver_version),
        // What a session uses by default.
        vram_bytes: device.global_memory_bytes - device.global_memory_bytes / 8,
    }
}

/// What a machine without OpenCL is offered as.
pub(crate) fn stock_spec() -> DeviceSpec {
    DeviceSpec {
        id: STOCK_ID.to_owned(),
        name: "CPU without OpenCL".to_owned(),
        vendor: String::new(),
        driver: "Plonky3's own prover".to_owned(),
        vram_bytes: memory_bytes() / 8 * 7,
    }
}

/// The machine's memory; 0 if it does not tell.
fn memory_bytes() -> u64 {
    let total = |text: String| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    };
    fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(total)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_the_machines_memory_and_an_id_that_no_driver_gives() {
        let spec = stock_spec();
        assert!(spec.vram_bytes > 64 << 20, "{spec:?}");
        assert!(!spec.id.contains(':') && spec.id != "cpu", "{spec:?}");
    }
}
