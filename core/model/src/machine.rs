//! What a machine says of itself when it registers.

use crate::{Amount, HeldKey, Kind, OperatorId};

/// An OpenCL device, as the worker that will use it probed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Stable across restarts: the PCI address where the device tells it, never an ordinal.
    pub id: String,
    pub name: String,
    pub vendor: String,
    pub driver: String,
    /// Device memory that one task may count on.
    pub vram_bytes: u64,
}

/// A machine's claims: what the matchmaker filters by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    pub operator: OperatorId,
    /// Unique among the operator's machines.
    pub label: String,
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub devices: Vec<DeviceSpec>,
    /// Kinds that its CPU workers take.
    pub cpu_kinds: Vec<Kind>,
    /// Kinds that its device workers take: each such task claims one device.
    pub device_kinds: Vec<Kind>,
    /// What an item of a kind costs; one that is not listed costs nothing.
    pub prices: Vec<(Kind, Amount)>,
    /// What its keystore holds.
    pub keys: Vec<HeldKey>,
}

impl MachineSpec {
    pub fn price(&self, kind: &Kind) -> Amount {
        let listed = self.prices.iter().find(|(listed, _)| listed == kind);
        listed.map_or(Amount::ZERO, |(_, amount)| *amount)
    }
}
