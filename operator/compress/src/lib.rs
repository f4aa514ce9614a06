//! From one BabyBear STARK proof to a SNARK over BN254 that a Solidity contract accepts.

mod circuit;
mod compressor;
mod error;
pub mod evm;
mod final_proof;
pub mod gadget;
pub mod kzg;
mod last;
pub mod layer;
mod pinned;
pub mod verifier;

pub use circuit::{Columns, Wrap};
pub use compressor::{Compressor, Phase, make_keys_file};
pub use error::Error;
pub use final_proof::FinalProof;
pub use last::{DIGEST, LastLayer};
pub use pinned::{Pinned, log_rows};
