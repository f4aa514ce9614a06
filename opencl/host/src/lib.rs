//! OpenCL: devices, programs and typed launchers for the kernels of `opencl/kernels`.
//!
//! [`Device::discover`] lists what this machine has; [`Session::open`] opens one device, checks it
//! against known answers and owns all that lives on it; [`Ntt`], [`Fold`], [`Merkle`] and [`MsmBn254`]
//! launch work on a session. All of it computes bit for bit what the CPU code of the proof system
//! computes.
//!
//! This crate is the only one that names OpenCL. It knows fields and kernels; it deliberately knows
//! nothing of proofs, transcripts or commitments, and it never falls back to another device: work
//! that cannot be done here is an [`Error`].

pub mod bench;
mod catalogue;
mod control;
mod device;
pub mod diagnosis;
mod driver;
mod engine;
mod error;
mod field;
mod fold;
mod hash;
mod identity;
mod layout;
mod memory;
mod merkle;
mod msm;
mod ntt;
#[cfg(test)]
mod oclgrind;
mod operand;
mod plan;
mod program;
mod reference;
mod self_test;
mod session;
mod stats;
mod storage;
mod timing;
pub mod tune;
mod work;

pub use control::{Control, Progress};
pub use device::{Device, DeviceKind};
pub use driver::loader;
pub use error::{Error, Result};
pub use field::{
    BabyBear, BabyBear4, BabyBear5, Bls12381Fr, Bn254Fr, Elements, Extension, Field, Goldilocks,
    Goldilocks2, Goldilocks5, KoalaBear, KoalaBear4, KoalaBear5, Word,
};
pub use fold::Fold;
pub use hash::{
    BabyBear16, BabyBear24, Goldilocks8, Goldilocks12, KoalaBear16, KoalaBear24, MerkleHash,
    Permute, PermuteBn254, Poseidon2,
};
pub use identity::PciAddress;
pub use merkle::{
    LeafMatrix, Merkle, MerkleBabyBear, MerkleGoldilocks, MerkleKoalaBear, MerkleLayers,
};
pub use msm::{Affine, FixedBases, INFINITY, MsmBn254, ScalarForm};
pub use ntt::{Ntt, NttBabyBear, NttBls12381, NttBn254, NttGoldilocks, NttKoalaBear};
pub use session::{Session, SessionOptions};
pub use stats::{KernelStats, ProgramStats, Stats};
pub use storage::Storage;
