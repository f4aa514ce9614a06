//! The verifier of the last layer as a circuit.
//!
//! One file for each step of the native verifier, named after it: [`transcript`] (`p3-challenger`), [`merkle`]
//! (`p3-merkle-tree`), [`batch`] (`p3-batch-stark`'s `verify_batch`), [`constraints`] (its `verifier/data.rs` and
//! `p3-lookup`), [`pcs`] (`p3-fri`'s `two_adic_pcs.rs` and `open_inputs`), [`fri`] (`verify_fri` and `fold_query`).
//!
//! What the circuit does is fixed by a [`Shape`]: all numbers of rows, columns and queries, the preprocessed
//! commitment and the constraints are constants of it. The values of a proof are witnesses, and the public
//! values of the layer are public inputs.

mod batch;
mod constraints;
mod fri;
mod lookups;
mod merkle;
mod pcs;
mod shape;
mod transcript;
mod values;

pub use shape::Shape;
pub(crate) use transcript::Observed;
pub use values::{Opened, Values};
