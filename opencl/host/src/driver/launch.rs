//! Typed launches: one function per kernel, which checks what the kernel's source demands.
//!
//! The assertions state our own bounds; callers check shapes that come from outside before they
//! plan a launch.

pub(crate) mod hash;
pub(crate) mod msm;
pub(crate) mod ntt_lanes;

use super::queue::Argument;
use super::{Buffer, Failure, Kernel, Queue};
use crate::plan::FACTORS_PER_ROW;

/// How kernels are laid out on a device; see `lane.cl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneShape {
    /// Field elements in a lane: `VW`.
    pub(crate) vector_width: u32,
    /// Work-items in a group: `WGS`.
    pub(crate) group_size: u32,
}

/// A launch of `ntt/pass.cl`.
pub(crate) struct NttPass<'a> {
    /// The matrix that every copy reads, rows in bit-reversed order; or else the pass is in place.
    pub(crate) input: Option<&'a Buffer>,
    pub(crate) data: &'a Buffer,
    pub(crate) roots: &'a Buffer,
    /// The scale, and from `shifts` on the factors of the levels.
    pub(crate) constants: &'a Buffer,
    pub(crate) shifts: usize,
    pub(crate) scaled: bool,
    pub(crate) word_bytes: usize,
    /// Matrices of `2^log_n` rows in `data`, one after the other.
    pub(crate) copies: usize,
    pub(crate) log_n: u32,
    pub(crate) columns: usize,
    pub(crate) level: u32,
    pub(crate) log_k: u32,
    pub(crate) log_width: u32,
}

impl NttPass<'_> {
    fn inner(&self) -> usize {
        self.columns << (self.log_n - self.level - self.log_k)
    }

    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        2 * (((self.copies * self.columns) << self.log_n) * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.columns > 0 && self.copies > 0, "an empty matrix");
        assert!(
            self.log_k > 0 && self.level + self.log_k <= self.log_n && self.log_n < 32,
            "levels outside the transform"
        );
        assert!(
            self.input.is_none() || self.level == 0,
            "only the first pass reads another matrix"
        );
        let matrix_words = self.columns << self.log_n;
        let root_words =
            (1_usize << (self.level + self.log_k - 1)).max(1 << u32::from(self.log_k > 1));
        let constants = self.shifts + self.copies * self.log_k as usize;
        require_words(
            self.word_bytes,
            &[
                (self.input.unwrap_or(self.data), matrix_words, "input"),
                (self.data, self.copies * matrix_words, "data"),
                (self.roots, root_words, "roots"),
                (self.constants, constants, "constants"),
            ],
        );
        let columns = small(self.columns);
        let copies = small(self.copies);
        let strip_words = (shape.vector_width as usize) << self.log_width;
        let groups = if self.input.is_none() {
            (self.copies << self.level) * self.inner().div_ceil(strip_words)
        } else {
            (self.copies << (self.log_n - self.log_k)) * self.columns.div_ceil(strip_words)
        };
        let arguments = [
            Argument::Buffer(self.input.unwrap_or(self.data)),
            Argument::Buffer(self.data),
            Argument::Buffer(self.roots),
            Argument::Buffer(self.constants),
            Argument::Local((strip_words << self.log_k) * self.word_bytes),
            Argument::Local((FACTORS_PER_ROW << self.log_k) * self.word_bytes),
            Argument::U64(self.inner() as u64),
            Argument::U32(columns),
            Argument::U32(self.level),
            Argument::U32(self.log_k),
            Argument::U32(self.log_width),
            Argument::U32(copies),
            Argument::U32(self.shifts as u32),
            Argument::U32(u32::from(self.input.is_none()) | u32::from(self.scaled) << 1),
        ];
        // SAFETY: in place, a group touches rows of its own block and words below `inner` of each, so
        // all of them reach exactly the words of all copies; else it reads 2^log_k whole rows of the
        // input and writes the same rows of its copy, words below `columns`. Nodes stay below
        // 2^(level + log_k - 1); the tile has the strip's words for each of its 2^log_k rows, and the
        // factors of all nodes of a pass are at most 2^(log_k + 1).
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// A launch of `ntt/spread.cl`.
pub(crate) struct NttSpread<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) output: &'a Buffer,
    pub(crate) low: &'a Buffer,
    pub(crate) high: &'a Buffer,
    pub(crate) word_bytes: usize,
    pub(crate) log_n: u32,
    pub(crate) columns: usize,
    pub(crate) copies: usize,
    pub(crate) reverse: bool,
    pub(crate) log_low: u32,
}

impl NttSpread<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        ((1 + self.copies) * (self.columns << self.log_n) * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.columns > 0 && self.copies > 0, "an empty matrix");
        assert!(
            self.log_low <= self.log_n && self.log_n < 32,
            "tables outside the matrix"
        );
        let words = self.columns << self.log_n;
        require_words(
            self.word_bytes,
            &[
                (self.input, words, "input"),
                (self.output, self.copies * words, "output"),
                (self.low, self.copies << self.log_low, "low table"),
                (
                    self.high,
                    self.copies << (self.log_n - self.log_low),
                    "high table",
                ),
            ],
        );
        let columns = small(self.columns);
        let copies = small(self.copies);
        let items = columns.div_ceil(shape.vector_width) as usize * (1 << self.log_n);
        let (span, groups) = spread(items, shape, IN_TURN);
        let arguments = [
            Argument::Buffer(self.input),
            Argument::Buffer(self.output),
            Argument::Buffer(self.low),
            Argument::Buffer(self.high),
            Argument::U32(self.log_n),
            Argument::U32(columns),
            Argument::U32(copies),
            Argument::U32(if self.reverse { self.log_n } else { 0 }),
            Argument::U32(self.log_low),
            Argument::U32(span),
        ];
        // SAFETY: items are rows below 2^log_n times strips of the columns, clipped to `columns`;
        // a reversed row is a row; the tables have an entry for each part of a row's number.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// A launch of `fri/fold.cl`, or of its variant `fri/fold_packed.cl`.
pub(crate) struct FriFold<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) output: &'a Buffer,
    pub(crate) inverse_roots: &'a Buffer,
    pub(crate) matrix: &'a Buffer,
    pub(crate) word_bytes: usize,
    /// Degree of the extension, as compiled into the kernel.
    pub(crate) degree: usize,
    /// Elements of a run, base two, as compiled into the kernel.
    pub(crate) log_arity: u32,
    pub(crate) rows: usize,
}

impl FriFold<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        let arity = 1 << self.log_arity;
        let words = (arity + 1) * self.degree + arity / 2;
        (words * self.rows * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(
            self.rows.is_power_of_two() && self.log_arity > 0,
            "nothing to fold"
        );
        require_words(
            self.word_bytes,
            &[
                (
                    self.input,
                    (self.rows * self.degree) << self.log_arity,
                    "input",
                ),
                (self.output, self.rows * self.degree, "output"),
                (
                    self.inverse_roots,
                    self.rows << (self.log_arity - 1),
                    "roots",
                ),
                (
                    self.matrix,
                    self.log_arity as usize * self.degree * self.degree,
                    "matrix",
                ),
            ],
        );
        let rows = small(self.rows);
        let lanes = self.rows.div_ceil(shape.vector_width as usize);
        let (span, groups) = spread(lanes, shape, IN_TURN);
        let arguments = [
            Argument::Buffer(self.input),
            Argument::Buffer(self.output),
            Argument::Buffer(self.inverse_roots),
            Argument::Buffer(self.matrix),
            Argument::U32(rows),
            Argument::U32(span),
        ];
        // SAFETY: items are lanes of rows, the last one clipped to `rows`; each reads its run and the
        // roots of its pairs, of which it has most at the first level, and writes its one result.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// A launch of `memory/copy.cl`.
pub(crate) struct MemoryCopy<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) output: &'a Buffer,
    pub(crate) word_bytes: usize,
    pub(crate) words: usize,
}

impl MemoryCopy<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        2 * (self.words * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.words > 0, "nothing to copy");
        require_words(
            self.word_bytes,
            &[
                (self.input, self.words, "input"),
                (self.output, self.words, "output"),
            ],
        );
        let lanes = self.words.div_ceil(shape.vector_width as usize);
        let (span, groups) = spread(lanes, shape, IN_TURN);
        let arguments = [
            Argument::Buffer(self.input),
            Argument::Buffer(self.output),
            Argument::U64(self.words as u64),
            Argument::U32(span),
        ];
        // SAFETY: items are lanes of words, the last one clipped to `words`.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// Asserts that `buffer` holds `count` things of so many bytes.
fn require(buffer: &Buffer, count: usize, bytes: usize, name: &str) {
    assert!(count * bytes <= buffer.bytes(), "{name} too short");
}

/// [`require`] of several buffers of words.
fn require_words(word_bytes: usize, buffers: &[(&Buffer, usize, &str)]) {
    for &(buffer, words, name) in buffers {
        require(buffer, words, word_bytes, name);
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: callers bound what they launch")
}

/// Lanes that a thread takes one after the other in a kernel that does little for each.
const IN_TURN: u32 = 256;

/// Lanes that one work-item handles in turn, `in_turn` where it is a thread and one where it is a lane,
/// and the groups that cover `lanes`.
const fn spread(lanes: usize, shape: LaneShape, in_turn: u32) -> (u32, usize) {
    let span = if shape.group_size == 1 { in_turn } else { 1 };
    (span, lanes.div_ceil((span * shape.group_size) as usize))
}
