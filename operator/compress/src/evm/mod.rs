//! The contracts that accept a SNARK, and what they are called with.
//!
//! Two contracts, since their code is of two kinds: the *inner* one is the arithmetic of one verifying key, generated
//! as assembly by `snark-verifier`; the *outer* one ([`outer`]) is what a caller calls. The inner one reduces
//! inputs modulo r, takes whatever lies behind its proof, and answers by not reverting: the outer one sees to
//! inputs, lengths and a callee that is there.

mod calldata;
mod inner;
mod outer;

pub use calldata::{calldata, inner_calldata};
pub use inner::inner_contract;
pub use outer::outer_contract;
