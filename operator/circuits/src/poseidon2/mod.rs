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

use p3_baby_bear::{
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS, BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
    BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    BABYBEAR_POSEIDON2_RC_16_INTERNAL, BABYBEAR_S_BOX_DEGREE, GenericPoseidon2LinearLayersBabyBear,
};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2_air::{Poseidon2Air, Poseidon2Cols, RoundConstants};

use crate::circuit::SegmentAir;
use crate::config::{Challenge, Val};
use crate::digest::POSEIDON2_RATE as RATE;
use crate::field;

/// Elements of the state.
const STATE: usize = 16;
/// Intermediate cells per S-box: x^7 as the square of a committed x^3, times x.
const SBOX_REGISTERS: usize = 1;

/// The permutation's AIR.
type PermutationAir = Poseidon2Air<
    Val,
    GenericPoseidon2LinearLayersBabyBear,
    STATE,
    BABYBEAR_S_BOX_DEGREE,
    SBOX_REGISTERS,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
>;
/// The permutation's cells.
type PermutationCols<T> = Poseidon2Cols<
    T,
    STATE,
    BABYBEAR_S_BOX_DEGREE,
    SBOX_REGISTERS,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
>;
/// The permutation's round constants.
type Constants = RoundConstants<
    Val,
    STATE,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
>;

/// The AIR; see the module.
#[derive(Clone)]
pub(crate) struct Poseidon2SegmentAir {
    permutation: PermutationAir,
}

impl Default for Poseidon2SegmentAir {
    fn default() -> Self {
        Self {
            permutation: PermutationAir::new(constants()),
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

fn constants() -> Constants {
    Constants::new(
        BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
        BABYBEAR_POSEIDON2_RC_16_INTERNAL,
        BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    )
}

/// The permutation's output.
fn output<T: Copy>(permutation: &PermutationCols<T>) -> [T; STATE] {
    permutation.ending_full_rounds[BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS - 1].post
}
