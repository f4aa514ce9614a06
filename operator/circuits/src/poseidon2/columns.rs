//! Where each cell of a row lies.

use std::ops::Range;

use crate::digest::POSEIDON2_BLOCK_BYTES as BLOCK_BYTES;
use crate::permutation_air::PermutationCols;
use crate::{data, link};

/// The permutation, by `p3-poseidon2-air`.
pub(super) const PERMUTATION: Range<usize> = 0..size_of::<PermutationCols<u8>>();
/// Bits of the bytes that the row absorbs.
pub(super) const MESSAGE: Range<usize> = after(&PERMUTATION, 8 * BLOCK_BYTES);
/// Which of the bytes are data. `open` is also what says that the row belongs to the hash: one row
/// is one block, and the hash ends with the block in which the data ends.
pub(super) const DATA: Range<usize> = after(&MESSAGE, data::Columns::<(), BLOCK_BYTES>::COUNT);
/// The running fingerprint.
pub(super) const LINK: Range<usize> = after(&DATA, link::COUNT);
/// Cells in a row.
pub(super) const WIDTH: usize = LINK.end;

const fn after(before: &Range<usize>, len: usize) -> Range<usize> {
    before.end..before.end + len
}
