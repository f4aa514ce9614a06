//! Where each cell of a row lies.

use std::borrow::Borrow;
use std::ops::Range;

use p3_sha256_air::{NUM_SHA256_COLS, Sha256Cols};

use super::BLOCK_BYTES;
use crate::{data, link};

/// The compression, by `p3-sha256-air`.
pub(super) const COMPRESSION: Range<usize> = 0..NUM_SHA256_COLS;
/// Which bytes of the block are data.
pub(super) const DATA: Range<usize> = after(&COMPRESSION, data::Columns::<(), BLOCK_BYTES>::COUNT);
/// 1 if the padding began in the row before, too late for the length to fit there.
pub(super) const LATE: usize = DATA.end;
/// The running fingerprint.
pub(super) const LINK: Range<usize> = LATE + 1..LATE + 1 + link::COUNT;
/// Cells in a row.
pub(super) const WIDTH: usize = LINK.end;

const fn after(before: &Range<usize>, len: usize) -> Range<usize> {
    before.end..before.end + len
}

/// The cells of a row.
pub(super) struct Columns<'a, T> {
    pub(super) compression: &'a Sha256Cols<T>,
    pub(super) data: data::Columns<T, BLOCK_BYTES>,
    pub(super) late: T,
    pub(super) link: link::Columns<T>,
}

impl<'a, T: Copy> Columns<'a, T> {
    pub(super) fn read(row: &'a [T]) -> Self {
        Self {
            compression: row[COMPRESSION].borrow(),
            data: data::Columns::read(&row[DATA]),
            late: row[LATE],
            link: link::Columns::read(&row[LINK]),
        }
    }
}
