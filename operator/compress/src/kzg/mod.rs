//! The polynomial commitments of the SNARK: setup, keys, proofs, and who does the multi-scalar multiplications.
//!
//! halo2 commits through traits, so all but two multiplications of a proof go where the caller says ([`Msm`]);
//! the two are those of the opening argument, whose prover names its parameters' type. FFTs cannot be had: halo2's
//! evaluation domain calls its own.

mod keys;
mod msm;
mod prove;
mod rehearsal;
mod setup;
mod words;

/// Scalars and points of the curve, for who implements [`Msm`].
pub use halo2_base::halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine};

pub use keys::{Keys, VerifyingKey};
pub use msm::{Bases, Halo2Msm, Msm};
pub use prove::Snark;
pub use setup::{Origin, Setup, file_length};
pub use words::{PointWords, point_of_words, point_words, scalar_words};
