//! Where each cell of a row lies.

use std::ops::Range;

use p3_keccak_air::NUM_KECCAK_COLS;

use super::{LANE_BYTES, LANES, LIMBS};
use crate::{data, link};

/// The round, by `p3-keccak-air`.
pub(super) const ROUND: Range<usize> = 0..NUM_KECCAK_COLS;
/// The state that this permutation's input starts from: the output of the permutation before, zero
/// for the first. Lane by lane, four limbs each; the same on all 24 rows.
pub(super) const CHAIN: Range<usize> = after(&ROUND, LANES * LIMBS);
/// Bits of the message lane that the row absorbs.
pub(super) const MESSAGE: Range<usize> = after(&CHAIN, 64);
/// Bits of the chain's lane that the message is added to.
pub(super) const CHAIN_BITS: Range<usize> = after(&MESSAGE, 64);
/// Which bytes of the message lane are data.
pub(super) const DATA: Range<usize> = after(&CHAIN_BITS, data::Columns::<(), LANE_BYTES>::COUNT);
/// 1 while the permutation belongs to the hash.
pub(super) const LIVE: usize = DATA.end;
/// 1 on the rows of the hash's last permutation.
pub(super) const FINAL: usize = LIVE + 1;
/// The running fingerprint.
pub(super) const LINK: Range<usize> = FINAL + 1..FINAL + 1 + link::COUNT;
/// Cells in a row.
pub(super) const WIDTH: usize = LINK.end;

const fn after(before: &Range<usize>, len: usize) -> Range<usize> {
    before.end..before.end + len
}

/// The cells of a row that this circuit adds to the round.
pub(super) struct Columns<'a, T> {
    pub(super) chain: &'a [[T; LIMBS]],
    pub(super) message: &'a [T],
    pub(super) chain_bits: &'a [T],
    pub(super) data: data::Columns<T, LANE_BYTES>,
    pub(super) live: T,
    pub(super) is_final: T,
    pub(super) link: link::Columns<T>,
}

impl<'a, T: Copy> Columns<'a, T> {
    pub(super) fn read(row: &'a [T]) -> Self {
        Self {
            chain: row[CHAIN].as_chunks().0,
            message: &row[MESSAGE],
            chain_bits: &row[CHAIN_BITS],
            data: data::Columns::read(&row[DATA]),
            live: row[LIVE],
            is_final: row[FINAL],
            link: link::Columns::read(&row[LINK]),
        }
    }
}
