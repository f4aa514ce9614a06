//! Blake3 of a segment.
//!
//! One row is one compression, by `p3-blake3-air`; which compressions a byte string takes and how
//! they feed each other is constrained here, as are the digest and the fingerprint. Every block and
//! every node of the tree has a row of its own, whether the segment reaches it or not: row
//! `16 c + b` is block `b` of chunk `c`, and three rows after the 64 blocks are the tree's nodes.
//! Keyed hashing and outputs longer than 32 bytes are left out.
//!
//! Source: the Blake3 specification, sections 2.1 (tree), 2.4 (chunks) and 2.5 (parents).

mod air;
mod columns;
mod compression;
#[cfg(test)]
mod tests;
mod trace;

use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::SegmentAir;
use crate::config::{Challenge, Val};
use crate::field;

/// Bytes in a block.
const BLOCK_BYTES: usize = 64;
/// Blocks in a chunk.
const CHUNK_BLOCKS: usize = 16;
/// Chunks in a full segment: the leaves of the tree.
const CHUNKS: usize = 4;
/// Blocks in a full segment.
const BLOCKS: usize = CHUNKS * CHUNK_BLOCKS;

/// The row of the node over chunks 0 and 1.
const LEFT_NODE: usize = BLOCKS;
/// The row of the node over chunks 2 and 3.
const RIGHT_NODE: usize = BLOCKS + 1;
/// The row of the node over these two.
const TOP_NODE: usize = BLOCKS + 2;
/// Rows with a meaning; those after them are idle.
const PLACES: usize = BLOCKS + 3;

/// 16-bit limbs of a chaining value, and of the digest.
const CV_LIMBS: usize = 16;

/// The AIR; see the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blake3SegmentAir;

impl SegmentAir for Blake3SegmentAir {
    const LOG_HEIGHT: usize = 7;

    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>> {
        Some(field::limbs16(digest))
    }

    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val> {
        let mut hash = trace::Hash::of(bytes);
        hash.chain_from(0);
        trace::fill(&hash, r)
    }
}
