//! SHA-256 of a segment.
//!
//! One row is one compression, by `p3-sha256-air`; the chain of compressions, the padding, the digest
//! and the fingerprint are constrained here. A full segment takes 65 rows of the 128.
//!
//! Source: FIPS 180-4, sections 5.1.1 (padding) and 6.2.

mod air;
mod columns;
#[cfg(test)]
mod tests;
mod trace;

use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::SegmentAir;
use crate::config::{Challenge, Val};
use crate::field;

/// Bytes in a block.
const BLOCK_BYTES: usize = 64;
/// The last place in a block where the padding may begin for the length still to fit behind it.
const LAST_ROOM: usize = 55;
/// 16-bit limbs of the digest.
const DIGEST_LIMBS: usize = 16;

/// The AIR; see the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sha256SegmentAir;

impl SegmentAir for Sha256SegmentAir {
    const LOG_HEIGHT: usize = 7;

    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>> {
        Some(field::limbs16(digest))
    }

    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val> {
        trace::fill(&trace::rows(bytes), r)
    }
}
