//! Arithmetic of BabyBear and the hash of BN254, as pieces of a halo2 circuit.
//!
//! What can be said by `halo2-base`'s one gate a + b * c = d is said by it, on a [`Board`]; the
//! permutation has gates of its own ([`rounds`]), since by that gate it would be nine tenths of the
//! circuit.

mod base;
mod board;
mod check;
mod ext;
mod permutation;
pub(crate) mod rounds;
mod words;

pub(crate) use base::signed_word;
pub use base::{Base, Canonical};
pub use board::Board;
pub use check::Violation;
pub use ext::Ext;
pub(crate) use ext::coefficients;
pub(crate) use permutation::Call;
