//! The circuits of the data-commitments job, their statements and their native verification.
//!
//! A file is cut into segments. For each segment four proofs, one per hash, show that four published
//! digests are digests of the same bytes. [`Statement`] is what is claimed, [`Witness`] what a
//! prover is sent, [`prove`] and [`verify`] make and check one proof, and a bundle
//! ([`BundleWriter`], [`verify_bundle`]) carries all proofs of a file.
//!
//! This crate knows nothing of GPUs, of workers or of the network: a prover brings its own
//! commitment scheme, built from [`config`], and gets the same bytes. docs/circuits.md holds the
//! circuits' layout and the argument for their soundness.

pub mod config;
pub mod digest;
pub mod params;
pub mod paths;
pub mod permutation_air;

mod blake3;
mod bundle;
mod circuit;
mod data;
mod error;
mod field;
mod keccak;
mod link;
mod poseidon2;
mod proof;
mod public;
mod security;
mod sha256;
mod statement;
mod witness;

pub use bundle::{
    BundleReader, BundleSegment, BundleWriter, Progress, Report, SegmentReport, verify_bundle,
};
pub use circuit::{AirVisitor, Circuit, CircuitAir, UnknownCircuit};
pub use error::Error;
pub use params::{Params, UnknownParams};
pub use proof::{MAX_PROOF_BYTES, decode, prove, verify};
pub use public::SHARED_PUBLIC_VALUES;
pub use security::Security;
pub use statement::{
    Digests, Link, SEGMENT_BYTES, Statement, fingerprint, fingerprint_bytes,
    fingerprint_from_bytes, link_point,
};
pub use witness::{MAX_WITNESS_BYTES, WITNESS_VERSION, Witness};
