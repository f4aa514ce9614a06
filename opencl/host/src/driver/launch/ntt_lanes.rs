//! The launch of `ntt/pass_lanes.cl`.

use super::{require_words, small};
use crate::driver::queue::Argument;
use crate::driver::{Buffer, Failure, Kernel, Queue};

/// Elements in a lane.
pub(crate) const LANES: usize = 4;
/// Bytes of an element at rest.
const WORD_BYTES: usize = 32;
/// Bytes of an element in limbs.
const LIMBS_BYTES: usize = 72;
/// Bytes of local memory that a pass takes for each row of its tile: four lanes, and a factor.
pub(crate) const ROW_BYTES: usize = (LANES + 1) * LIMBS_BYTES;
/// By two to what a pass divides at most: a limb has 29 bits.
pub(crate) const MAX_DIVISOR: u32 = 28;
/// Levels of a pass at most, as sums grow in its tile.
pub(crate) const MAX_LOG_K: u32 = 12;

/// Where a pass finds its rows and leaves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// In the order of the network.
    AsTheyAre,
    /// The first pass reads a matrix in bit-reversed order, which all copies share.
    InOrder,
    /// The last pass leaves natural order.
    OutOrder,
}

/// A launch of `ntt/pass_lanes.cl`.
pub(crate) struct NttPassLanes<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) output: &'a Buffer,
    /// Times `2^261`, as the constants.
    pub(crate) roots: &'a Buffer,
    pub(crate) constants: &'a Buffer,
    /// Where the factors of the levels begin among the constants, and whether any is not one.
    pub(crate) shifts: usize,
    pub(crate) shifted: bool,
    pub(crate) rows: Rows,
    /// The last pass may multiply rows by powers: `2^level` low and `2^log_k` high ones, so many constants
    /// in.
    pub(crate) powers: Option<usize>,
    /// Results are divided by two to this, at most [`MAX_DIVISOR`].
    pub(crate) divisor: u32,
    /// Matrices of `2^log_n` rows in `output`, one after the other.
    pub(crate) copies: usize,
    pub(crate) log_n: u32,
    pub(crate) columns: usize,
    pub(crate) level: u32,
    pub(crate) log_k: u32,
}

impl NttPassLanes<'_> {
    fn is_last(&self) -> bool {
        self.level + self.log_k == self.log_n
    }

    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        2 * (((self.copies * self.columns) << self.log_n) * WORD_BYTES) as u64
    }

    pub(crate) fn enqueue(&self, queue: &Queue, kernel: &Kernel) -> Result<(), Failure> {
        assert!(self.columns > 0 && self.copies > 0, "an empty matrix");
        assert!(
            (1..=MAX_LOG_K).contains(&self.log_k)
                && self.level + self.log_k <= self.log_n
                && self.log_n < 32,
            "levels outside the transform"
        );
        assert!(
            match self.rows {
                Rows::AsTheyAre => true,
                Rows::InOrder => self.level == 0,
                Rows::OutOrder => self.is_last() && self.copies == 1,
            },
            "rows of another pass"
        );
        assert!(
            self.powers.is_none() || self.rows == Rows::OutOrder,
            "powers of rows in another order"
        );
        assert!(self.divisor <= MAX_DIVISOR, "divided by too much");
        let powers = self.powers.unwrap_or(0);
        let power_count = self
            .powers
            .map_or(0, |_| (1 << self.level) + (1 << self.log_k));
        let matrix_words = self.columns << self.log_n;
        let read = match self.rows {
            Rows::InOrder => matrix_words,
            _ => self.copies * matrix_words,
        };
        let constants = self.shifts + self.copies * self.log_k as usize;
        require_words(
            WORD_BYTES,
            &[
                (self.input, read, "input"),
                (self.output, self.copies * matrix_words, "output"),
                (self.roots, 1 << (self.level + self.log_k - 1), "roots"),
                (self.constants, constants, "constants"),
                (self.constants, powers + power_count, "powers"),
            ],
        );
        let inner = self.columns << (self.log_n - self.level - self.log_k);
        let groups = match self.rows {
            Rows::InOrder => self.copies * inner.div_ceil(LANES),
            _ => ((self.copies << self.level) * inner).div_ceil(LANES),
        };
        let flags = u32::from(self.rows == Rows::InOrder)
            | u32::from(self.rows == Rows::OutOrder) << 1
            | u32::from(self.divisor > 0) << 2
            | u32::from(self.powers.is_some()) << 3
            | u32::from(self.shifted) << 4
            | u32::from(self.is_last()) << 5;
        let arguments = [
            Argument::Buffer(self.input),
            Argument::Buffer(self.output),
            Argument::Buffer(self.roots),
            Argument::Buffer(self.constants),
            Argument::Local((LANES * LIMBS_BYTES) << self.log_k),
            Argument::Local(LIMBS_BYTES << self.log_k),
            Argument::U64(inner as u64),
            Argument::U32(small(self.columns)),
            Argument::U32(self.level),
            Argument::U32(self.log_k),
            Argument::U32(small(self.copies)),
            Argument::U32(small(self.shifts)),
            Argument::U32(small(powers)),
            Argument::U32(self.divisor),
            Argument::U32(flags),
        ];
        // SAFETY: a lane is one of the copies' blocks and a word of its rows, both bounded by the number
        // of lanes, and touches 2^log_k rows of that block; in either order a reversed row is a row of
        // the same matrix. Nodes stay below 2^(level + log_k - 1), rows of powers below 2^level and
        // 2^log_k; tile and factors have 2^log_k entries.
        unsafe { queue.enqueue(kernel, &arguments, groups, 1) }
    }
}
