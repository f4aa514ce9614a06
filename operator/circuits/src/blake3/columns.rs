//! Where each cell of a row lies.

use std::borrow::Borrow;
use std::ops::Range;

use p3_blake3_air::{Blake3Cols, NUM_BLAKE3_COLS};

use super::{BLOCK_BYTES, CHUNKS, CV_LIMBS, PLACES};
use crate::{data, link};

/// The compression, by `p3-blake3-air`.
pub(super) const COMPRESSION: Range<usize> = 0..NUM_BLAKE3_COLS;
/// Which bytes of the block are data.
pub(super) const DATA: Range<usize> = after(&COMPRESSION, data::Columns::<(), BLOCK_BYTES>::COUNT);
/// 1 in the cell of the row's place, 0 in the others; all 0 on idle rows.
pub(super) const PLACE: Range<usize> = after(&DATA, PLACES);
/// Which of chunks 1, 2 and 3 hold data. Like the next two, the same on every row.
pub(super) const PRESENT: Range<usize> = after(&PLACE, CHUNKS - 1);
/// The chunks' chaining values in limbs; anything for a chunk without data.
pub(super) const CHUNK_CVS: Range<usize> = after(&PRESENT, CHUNKS * CV_LIMBS);
/// The left and the right child of the top node, in limbs.
pub(super) const PAIR_CVS: Range<usize> = after(&CHUNK_CVS, CHUNKS / 2 * CV_LIMBS);
/// The running fingerprint.
pub(super) const LINK: Range<usize> = after(&PAIR_CVS, link::COUNT);
/// Cells in a row.
pub(super) const WIDTH: usize = LINK.end;

/// All cells that are the same on every row.
pub(super) const KEPT: Range<usize> = PRESENT.start..PAIR_CVS.end;

const fn after(before: &Range<usize>, len: usize) -> Range<usize> {
    before.end..before.end + len
}

/// The cells of a row.
pub(super) struct Columns<'a, T> {
    pub(super) compression: &'a Blake3Cols<T>,
    pub(super) data: data::Columns<T, BLOCK_BYTES>,
    pub(super) place: &'a [T],
    pub(super) present: &'a [T],
    pub(super) chunk_cvs: &'a [[T; CV_LIMBS]],
    pub(super) pair_cvs: &'a [[T; CV_LIMBS]],
    pub(super) link: link::Columns<T>,
}

impl<'a, T: Copy> Columns<'a, T> {
    pub(super) fn read(row: &'a [T]) -> Self {
        Self {
            compression: row[COMPRESSION].borrow(),
            data: data::Columns::read(&row[DATA]),
            place: &row[PLACE],
            present: &row[PRESENT],
            chunk_cvs: row[CHUNK_CVS].as_chunks().0,
            pair_cvs: row[PAIR_CVS].as_chunks().0,
            link: link::Columns::read(&row[LINK]),
        }
    }
}
