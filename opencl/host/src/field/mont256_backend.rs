//! With what a device computes in fields of 256 bits.

use std::fmt;

use crate::device::{Device, DeviceKind};
use crate::field::mont256::{Limbs, Modulus};

/// Kinds of lanes that `opencl/kernels/field` has for fields of 256 bits, from the fastest down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mont256Backend {
    /// Eight elements in limbs of 52 bits, by two instructions of AVX-512 IFMA or in their place by what C
    /// says they do.
    Ifma { emulated: bool },
    /// Four elements in limbs of 29 bits.
    Lanes,
    /// One element.
    Scalar,
}

impl Mont256Backend {
    /// Every kind, from the fastest down.
    pub(crate) const ALL: [Self; 3] = [Self::Ifma { emulated: false }, Self::Lanes, Self::Scalar];

    /// The fastest that the device ought to be able to run; its known answers tell whether it is.
    pub(crate) fn fastest(device: &Device) -> Self {
        match device.kind {
            DeviceKind::Cpu
                if device.platform == POCL
                    && host_has_ifma()
                    && compiles_for_avx512(&device.name) =>
            {
                Self::Ifma { emulated: false }
            }
            DeviceKind::Cpu => Self::Lanes,
            DeviceKind::Gpu | DeviceKind::Accelerator => Self::Scalar,
        }
    }

    /// The next slower one, for processors.
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            Self::Ifma { .. } => Some(Self::Lanes),
            Self::Lanes => Some(Self::Scalar),
            Self::Scalar => None,
        }
    }

    /// This one, or the fastest after it with at most so many elements a lane.
    pub(crate) fn no_wider(self, width: u32) -> Self {
        match self.next() {
            Some(next) if self.width() > width => next.no_wider(width),
            _ => self,
        }
    }

    /// Elements of a lane.
    pub(crate) const fn width(self) -> u32 {
        match self {
            Self::Ifma { .. } => 8,
            Self::Lanes => 4,
            Self::Scalar => 1,
        }
    }

    /// Words of an element as [`Self::constant`] gives it.
    pub(crate) const fn constant_words(self) -> usize {
        match self {
            Self::Ifma { .. } => 5,
            Self::Lanes => 9,
            Self::Scalar => 4,
        }
    }

    /// What follows the constants of the field.
    pub(crate) const fn sources(self) -> &'static [&'static str] {
        const LIMBS: &str = include_str!("../../../kernels/field/mont256_limbs.cl");
        const IFMA: &str = include_str!("../../../kernels/field/mont256_ifma.cl");
        match self {
            Self::Ifma { emulated: false } => &[LIMBS, IFMA],
            Self::Ifma { emulated: true } => &["#define EMULATE_IFMA", LIMBS, IFMA],
            Self::Lanes => &[
                LIMBS,
                include_str!("../../../kernels/field/mont256_lanes.cl"),
            ],
            Self::Scalar => &[include_str!("../../../kernels/field/mont256.cl")],
        }
    }

    /// An element as a lane's constants are given: at rest, or in limbs of `a * R`.
    pub(crate) fn constant(self, field: &Modulus, element: Limbs) -> Vec<u64> {
        let (size, rest_shift) = match self {
            Self::Ifma { .. } => (52, 4),
            Self::Lanes => (29, 5),
            Self::Scalar => return element.to_vec(),
        };
        let shifted = (0..rest_shift).fold(element, |a, _| field.add(a, a));
        let limb = |limb: usize| {
            let (at, off) = (size * limb / 64, size * limb % 64);
            let above = shifted.get(at + 1).copied().unwrap_or(0);
            let both = u128::from(shifted[at]) | u128::from(above) << 64;
            (both >> off) as u64 & ((1 << size) - 1)
        };
        (0..self.constant_words()).map(limb).collect()
    }
}

impl fmt::Display for Mont256Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ifma { emulated: false } => "AVX-512 IFMA",
            Self::Ifma { emulated: true } => "emulated AVX-512 IFMA",
            Self::Lanes => "vectors of four",
            Self::Scalar => "one element a work-item",
        })
    }
}

/// The platform that compiles for the processor it runs on, with a compiler that takes its assembly.
const POCL: &str = "Portable Computing Language";

/// Whether PoCL compiles for a processor with AVX-512, which the kernels' vectors need. It may know the one
/// that it runs on by an older name: as Debian builds it, each with AVX-512 is a `skylake-avx512`.
fn compiles_for_avx512(device_name: &str) -> bool {
    /// LLVM's names of processors with AVX-512.
    const NAMES: [&str; 13] = [
        "skylake-avx512",
        "cascadelake",
        "cooperlake",
        "cannonlake",
        "icelake-client",
        "icelake-server",
        "tigerlake",
        "rocketlake",
        "sapphirerapids",
        "emeraldrapids",
        "graniterapids",
        "znver4",
        "znver5",
    ];
    // "pthread-<LLVM's name>-<the processor's own>", or "cpu-..." in later releases.
    let target = ["pthread-", "cpu-"]
        .into_iter()
        .find_map(|driver| device_name.strip_prefix(driver));
    target.is_none_or(|target| NAMES.into_iter().any(|name| target.starts_with(name)))
}

#[cfg(target_arch = "x86_64")]
fn host_has_ifma() -> bool {
    std::arch::is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
const fn host_has_ifma() -> bool {
    false
}

#[cfg(test)]
mod tests;
