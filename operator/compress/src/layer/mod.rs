//! The last STARK layer: any set of AIRs with look-ups, proven so that a circuit over BN254 verifies it cheaply.

pub mod config;
pub mod params;
pub mod permutation;
mod prove;
mod security;
pub mod words;

pub use froben_circuits::Security;

pub use config::{Challenge, Commitment, Config, Pcs, Val};
pub use params::Params;
pub(crate) use prove::Known;
pub use prove::{Layer, LayerAir, Proof};
