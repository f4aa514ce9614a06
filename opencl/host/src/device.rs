//! The devices of this machine, each once, under names that last.
//!
//! A device is identified by its PCI address where the driver tells it. The same card is often seen
//! through two drivers, and the host's processor through two CPU runtimes; the vendor's own driver
//! is preferred, and the other view is left out of [`Device::discover`].

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use ocl_parameters::*;

use crate::driver::{self, DeviceHandle};
use crate::error::{Error, Result};
use crate::identity::PciAddress;

/// The standard device queries, by their numbers in `cl.h`.
mod ocl_parameters {
    pub(super) const TYPE: u32 = 0x1000;
    pub(super) const MAX_COMPUTE_UNITS: u32 = 0x1002;
    pub(super) const MAX_WORK_GROUP_SIZE: u32 = 0x1004;
    pub(super) const MAX_MEM_ALLOC_SIZE: u32 = 0x1010;
    pub(super) const GLOBAL_MEM_SIZE: u32 = 0x101f;
    pub(super) const LOCAL_MEM_SIZE: u32 = 0x1023;
    pub(super) const ENDIAN_LITTLE: u32 = 0x1026;
    pub(super) const AVAILABLE: u32 = 0x1027;
    pub(super) const COMPILER_AVAILABLE: u32 = 0x1028;
    pub(super) const NAME: u32 = 0x102b;
    pub(super) const VENDOR: u32 = 0x102c;
    pub(super) const DRIVER_VERSION: u32 = 0x102d;
    pub(super) const VERSION: u32 = 0x102f;
    pub(super) const NATIVE_VECTOR_WIDTH_INT: u32 = 0x1038;

    pub(super) const TYPE_CPU: u64 = 1 << 1;
    pub(super) const TYPE_GPU: u64 = 1 << 2;
}

/// The smallest tiles of the kernels need less; asking for more than there is aborts the process.
const MIN_LOCAL_MEMORY_BYTES: u64 = 4 << 10;

/// What kind of hardware a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor of the host.
    Cpu,
    /// A graphics processor.
    Gpu,
    /// Anything else that runs kernels.
    Accelerator,
}

impl DeviceKind {
    const fn from_bits(bits: u64) -> Self {
        if bits & TYPE_GPU != 0 {
            Self::Gpu
        } else if bits & TYPE_CPU != 0 {
            Self::Cpu
        } else {
            Self::Accelerator
        }
    }

    /// `cpu`, `gpu` or `accelerator`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Accelerator => "accelerator",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device as one driver presents it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Identity that survives a restart: `pci:` and the address, `cpu` for the host's processor,
    /// or, where the driver tells no address, platform, name and position among equals.
    pub id: String,
    /// The device's own name.
    pub name: String,
    /// Who made it.
    pub vendor: String,
    /// The platform, that is the driver, that offers it.
    pub platform: String,
    /// Version of the driver.
    pub driver_version: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Where it is plugged in, if the driver tells.
    pub pci: Option<PciAddress>,
    /// Memory of the device.
    pub global_memory_bytes: u64,
    /// The largest single allocation.
    pub max_allocation_bytes: u64,
    /// Local memory of a work-group.
    pub local_memory_bytes: u64,
    /// Cores, multiprocessors, compute units.
    pub compute_units: u32,
    pub(crate) max_group_size: u32,
    pub(crate) native_vector_width: u32,
    pub(crate) handle: DeviceHandle,
}

impl Device {
    /// The usable devices of this machine, each once.
    ///
    /// # Errors
    /// [`Error::NoPlatform`] without any driver, [`Error::NoDevice`] if none has a usable device.
    pub fn discover() -> Result<Vec<Self>> {
        Self::every_driver().map(each_card_once)
    }

    /// Every usable device of every driver: a card may appear several times, under one identity.
    ///
    /// # Errors
    /// As [`Device::discover`].
    pub fn every_driver() -> Result<Vec<Self>> {
        let platforms = driver::devices();
        if platforms.is_empty() {
            return Err(Error::NoPlatform);
        }
        let mut devices = Vec::new();
        for (platform, handles) in &platforms {
            devices.extend(
                handles
                    .iter()
                    .filter_map(|&handle| Self::probe(platform, handle)),
            );
        }
        if devices.is_empty() {
            return Err(Error::NoDevice {
                platforms: platforms.into_iter().map(|(name, _)| name).collect(),
            });
        }
        name_by_position(&mut devices);
        Ok(devices)
    }

    /// The device with this identity.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], and as [`Device::discover`].
    pub fn find(id: &str) -> Result<Self> {
        let devices = Self::discover()?;
        let known = devices.iter().map(|device| device.id.clone()).collect();
        let found = devices.into_iter().find(|device| device.id == id);
        found.ok_or_else(|| Error::UnknownDevice {
            wanted: id.to_owned(),
            known,
        })
    }

    /// Asks a device about itself; `None` if it cannot be used.
    fn probe(platform: &str, handle: DeviceHandle) -> Option<Self> {
        let name = handle.text(NAME);
        let yes = |parameter| handle.number(parameter) == Some(1);
        let local_memory_bytes = handle.number(LOCAL_MEM_SIZE)?;
        let usable = yes(AVAILABLE) && yes(COMPILER_AVAILABLE) && yes(ENDIAN_LITTLE);
        if !usable || local_memory_bytes < MIN_LOCAL_MEMORY_BYTES {
            tracing::warn!(
                platform,
                name,
                local_memory_bytes,
                "device left out: not available, no compiler, or too little local memory"
            );
            return None;
        }
        let kind = DeviceKind::from_bits(handle.number(TYPE)?);
        let pci = PciAddress::find(|parameter| handle.bytes(parameter));
        let id = identity(platform, &name, kind, pci);
        let small = |parameter| {
            let number = handle.number(parameter)?;
            u32::try_from(number).ok()
        };
        Some(Self {
            id,
            name,
            vendor: handle.text(VENDOR),
            platform: platform.to_owned(),
            driver_version: handle.text(DRIVER_VERSION),
            kind,
            pci,
            global_memory_bytes: handle.number(GLOBAL_MEM_SIZE)?,
            max_allocation_bytes: handle.number(MAX_MEM_ALLOC_SIZE)?,
            local_memory_bytes,
            compute_units: small(MAX_COMPUTE_UNITS)?,
            max_group_size: small(MAX_WORK_GROUP_SIZE)?,
            native_vector_width: small(NATIVE_VECTOR_WIDTH_INT).unwrap_or(1),
            handle,
        })
    }

    /// All that the driver says of itself and of what it compiles for: what a compiled program and a
    /// measured layout hold for.
    pub(crate) fn signature(&self) -> [String; 6] {
        [
            self.name.clone(),
            self.vendor.clone(),
            self.platform.clone(),
            self.driver_version.clone(),
            self.handle.text(VERSION),
            self.handle.platform_version(),
        ]
    }

    /// How much its own vendor stands behind this view of the card: less is better.
    fn driver_rank(&self) -> u32 {
        const GENERIC: [&str; 3] = ["Portable Computing Language", "rusticl", "Clover"];
        u32::from(GENERIC.contains(&self.platform.as_str()))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {} {})",
            self.id, self.name, self.platform, self.driver_version
        )
    }
}

/// What a device is called before positions are counted.
fn identity(platform: &str, name: &str, kind: DeviceKind, pci: Option<PciAddress>) -> String {
    match (pci, kind) {
        (Some(address), _) => format!("pci:{address}"),
        (None, DeviceKind::Cpu) => "cpu".to_owned(),
        (None, _) => format!("{platform}/{name}"),
    }
}

/// Numbers the devices that have nothing but a name: the second of a kind gets `/1`.
fn name_by_position(devices: &mut [Device]) {
    let mut seen = BTreeMap::<String, u32>::new();
    for device in devices {
        if device.pci.is_none() && device.kind != DeviceKind::Cpu {
            let position = seen.entry(device.id.clone()).or_default();
            device.id = format!("{}/{position}", device.id);
            *position += 1;
        }
    }
}

/// Keeps the best driver's view of each identity, in the order in which they were found.
fn each_card_once(devices: Vec<Device>) -> Vec<Device> {
    let mut kept: Vec<Device> = Vec::new();
    for device in devices {
        match kept.iter_mut().find(|other| other.id == device.id) {
            Some(other) if device.driver_rank() < other.driver_rank() => *other = device,
            Some(other) => {
                tracing::debug!(seen = %device, kept = %other, "the same card through two drivers");
            }
            None => kept.push(device),
        }
    }
    kept
}
