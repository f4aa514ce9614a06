//! From one BabyBear STARK proof to a SNARK over BN254 that a Solidity contract accepts.

mod circuit;
mod error;
pub mod evm;
pub mod gadget;
pub mod kzg;
pub mod layer;
pub mod verifier;

pub use circuit::{Columns, Wrap};
pub use error::Error;
