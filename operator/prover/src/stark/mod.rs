//! Proving on an OpenCL device.
//!
//! Plonky3's prover with its transforms, its Merkle trees and its FRI folding on the device of a
//! [`Session`], through the hooks that Plonky3 has for them. Whatever is not a hook stays Plonky3's own code, and the
//! proofs are byte for byte those of the stock prover: a verifier never learns where they were made.
//!
//! Nothing is computed elsewhere in silence. Plonky3's traits leave no room for a device that fails,
//! so a failure is noted in a [`Fault`], the step returns zeros of the right shape, and the
//! [`OpenClPcs`] ends the proof with the device's own error at the next point where it may.

mod config;
mod dft;
mod fault;
mod fold;
mod mmcs;
mod pcs;

pub use config::{DevicePcs, OpenClConfig, opencl};
pub use dft::OpenClDft;
pub use fold::OpenClFold;
pub use froben_opencl::Session;
pub use mmcs::{OpenClChallengeMmcs, OpenClMmcs, OpenClTree};
pub use pcs::{OpenClPcs, ProverError};

pub(crate) use fault::Fault;

#[cfg(test)]
mod tests;
