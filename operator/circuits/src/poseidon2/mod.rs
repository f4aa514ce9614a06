//! Poseidon2 of a segment.
//!
//! One permutation takes one row, by `p3-poseidon2-air` with the published BabyBear constants, and
//! absorbs 24 bytes as eight elements that overwrite the rate. The sponge around it, the padding,
//! the digest and the fingerprint are constrained here.
//!
//! 256 rows; a full segment needs 171.

mod air;
mod columns;
#[cfg(test)]
mod tests;
mod trace;

use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::SegmentAir;
use crate::config::{Challenge, Val};
use crate::digest::POSEIDON2_RATE as RATE;
use crate::field;
use crate::permutation_air::{PermutationAir, permutation_air};

/// The AIR; see the module.
#[derive(Clone)]
pub(crate) struct Poseidon2SegmentAir {
    permutation: PermutationAir,
}

impl Default for Poseidon2SegmentAir {
    fn default() -> Self {
        Self {
            permutation: permutation_air(),
        }
    }
}

impl SegmentAir for Poseidon2SegmentAir {
    const LOG_HEIGHT: usize = 8;

    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>> {
        field::canonical(digest)
    }

    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val> {
        trace::fill(&trace::blocks(bytes), r)
    }
}
