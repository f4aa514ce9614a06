//! Proofs of proofs: the FRI verifier as a circuit, and the tree of proofs that it makes.
//!
//! [`Builder`] writes circuits over the challenge field, six tables prove them, and on that stands the
//! verifier of a batch-STARK proof as a circuit, for the proofs of `froben-circuits` and for its own.
//! docs/recursion.md holds the argument for its soundness.

pub mod aggregate;
pub mod circuit;
pub mod tables;
pub mod tree;

mod proof;
mod traces;
mod verifier;

pub use circuit::{Builder, Circuit, PUBLIC_WIRES, Unsatisfied, Wire};
pub use proof::{CircuitProof, Config, ProveError, ProvingKey, Refused, Scheme, VerifyingKey};
pub use tables::{Heights, MAX_DEGREE, Table, TableAir};
pub use traces::{CircuitTables, Traces};
pub use verifier::Malformed;
