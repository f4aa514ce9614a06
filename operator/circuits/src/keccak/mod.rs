//! Keccak-256 of a segment.
//!
//! One permutation takes 24 rows, a round each, by `p3-keccak-air`, and absorbs 136 bytes: row `k`
//! of a permutation takes the eight bytes of lane `k`, for `k < 17`. The sponge around it, the
//! padding, the digest and the fingerprint are constrained here.
//!
//! 1024 rows hold 42 permutations and the beginning of a 43rd; a full segment needs 31.

mod air;
mod columns;
#[cfg(test)]
mod tests;
mod trace;

use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::SegmentAir;
use crate::config::{Challenge, Val};
use crate::field;

/// Lanes absorbed per permutation.
const RATE_LANES: usize = 17;
/// Bytes absorbed per row that absorbs: one lane.
const LANE_BYTES: usize = 8;
/// Bytes absorbed per permutation.
const RATE_BYTES: usize = RATE_LANES * LANE_BYTES;
/// Lanes of the state.
const LANES: usize = 25;
/// 16-bit limbs of a lane.
const LIMBS: usize = 4;
/// Limbs of the digest.
const DIGEST_LIMBS: usize = 16;

/// The AIR; see the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeccakSegmentAir;

impl SegmentAir for KeccakSegmentAir {
    const LOG_HEIGHT: usize = 10;

    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>> {
        Some(field::limbs16(digest))
    }

    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val> {
        trace::fill(&trace::blocks(bytes), r, |_, chain| chain)
    }
}
