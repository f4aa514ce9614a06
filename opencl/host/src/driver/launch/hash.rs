//! Launches of the kernels that hash.

use super::super::queue::Argument;
use super::super::{Buffer, Failure, Kernel, Queue};
use super::{LaneShape, require_words, small, spread};

/// A launch of `hash/permute.cl` or of `hash/bn254_3.cl`.
pub(crate) struct Poseidon2Permute<'a> {
    pub(crate) states: &'a Buffer,
    pub(crate) constants: &'a Buffer,
    pub(crate) word_bytes: usize,
    /// Words of a state, as compiled into the kernel.
    pub(crate) width: usize,
    /// Words of all constants, as compiled into the kernel.
    pub(crate) constant_words: usize,
    pub(crate) count: usize,
    pub(crate) times: u32,
}

impl Poseidon2Permute<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        (2 * self.count * self.width * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.count > 0, "nothing to permute");
        require_words(
            self.word_bytes,
            &[
                (self.states, self.count * self.width, "states"),
                (self.constants, self.constant_words, "constants"),
            ],
        );
        let count = small(self.count);
        let (span, groups) = spread_states(self.count, shape);
        let arguments = [
            Argument::Buffer(self.states),
            Argument::Buffer(self.constants),
            Argument::U32(count),
            Argument::U32(self.times),
            Argument::U32(span),
        ];
        // SAFETY: items are lanes of states, the last one clipped to `count`; each reads and writes
        // its own states and reads the constants of every round.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// A launch of `hash/leaves.cl`.
pub(crate) struct MerkleLeaves<'a> {
    pub(crate) matrix: &'a Buffer,
    /// Of the rows, where they do not begin or end with this matrix; any buffer where they do both.
    pub(crate) states: &'a Buffer,
    pub(crate) digests: &'a Buffer,
    pub(crate) constants: &'a Buffer,
    pub(crate) word_bytes: usize,
    /// As compiled into the kernel.
    pub(crate) width: usize,
    /// As compiled into the kernel.
    pub(crate) rate: usize,
    /// As compiled into the kernel.
    pub(crate) digest: usize,
    /// As compiled into the kernel.
    pub(crate) internal_rounds: usize,
    /// Where the digest of the first row goes, in digests.
    pub(crate) first_digest: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Words of a block that the matrices before have filled.
    pub(crate) filled: usize,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    /// Whether a digest of zeros follows that of the last row.
    pub(crate) pad: bool,
}

impl MerkleLeaves<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        let states = (usize::from(!self.is_first) + usize::from(!self.is_last)) * self.width;
        let digests = usize::from(self.is_last) * self.digest;
        (self.rows * (self.columns + states + digests) * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.rows > 0, "nothing to hash");
        assert!(self.filled < self.rate, "a block that was not permuted");
        assert!(
            self.is_first <= (self.filled == 0),
            "a row begins with an empty block"
        );
        let waits = !(self.is_first && self.is_last);
        let digests = (self.first_digest + self.rows + usize::from(self.pad)) * self.digest;
        require_words(
            self.word_bytes,
            &[
                (self.matrix, self.rows * self.columns, "matrix"),
                (
                    self.states,
                    usize::from(waits) * self.rows * self.width,
                    "states",
                ),
                (self.digests, usize::from(self.is_last) * digests, "digests"),
                (
                    self.constants,
                    8 * self.width + self.internal_rounds,
                    "constants",
                ),
            ],
        );
        let (span, groups) = spread_states(self.rows, shape);
        let arguments = [
            Argument::Buffer(self.matrix),
            Argument::Buffer(self.states),
            Argument::Buffer(self.digests),
            Argument::Buffer(self.constants),
            Argument::U64(self.first_digest as u64),
            Argument::U32(small(self.rows)),
            Argument::U32(small(self.columns)),
            Argument::U32(small(self.filled)),
            Argument::U32(u32::from(self.is_first)),
            Argument::U32(u32::from(self.is_last)),
            Argument::U32(u32::from(self.pad)),
            Argument::U32(span),
        ];
        // SAFETY: items are lanes of rows, the last one clipped to `rows`; each reads its own rows,
        // columns below `columns` of each, reads and writes its own states unless the rows begin and
        // end here, and writes its own digests where they end, the last item also the
        // one that pads.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// A launch of `hash/nodes.cl`.
pub(crate) struct MerkleNodes<'a> {
    pub(crate) layers: &'a Buffer,
    /// Digests of injected rows; any buffer where nothing is injected.
    pub(crate) injected: &'a Buffer,
    pub(crate) constants: &'a Buffer,
    pub(crate) word_bytes: usize,
    /// As compiled into the kernel, two digests.
    pub(crate) width: usize,
    /// As compiled into the kernel.
    pub(crate) internal_rounds: usize,
    /// The first digest of the layer below.
    pub(crate) from: usize,
    /// The first digest of this layer.
    pub(crate) to: usize,
    pub(crate) nodes: usize,
    /// Rows of the matrices that are injected, if any are.
    pub(crate) injected_rows: Option<usize>,
}

impl MerkleNodes<'_> {
    /// Bytes of global memory read and written.
    pub(crate) fn traffic(&self) -> u64 {
        let digests = 3 * self.nodes + self.injected_rows.unwrap_or(0);
        (digests * self.width / 2 * self.word_bytes) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        let digest = self.width / 2;
        let injected_rows = self.injected_rows.unwrap_or(0);
        let padded = self.nodes + usize::from(self.nodes > 1) * (self.nodes & 1);
        assert!(self.nodes > 0, "an empty layer");
        assert!(
            self.from + 2 * self.nodes <= self.to || self.to + padded <= self.from,
            "layers overlap"
        );
        assert!(injected_rows <= self.nodes, "rows without a node");
        let top = (self.from + 2 * self.nodes).max(self.to + padded);
        require_words(
            self.word_bytes,
            &[
                (self.layers, top * digest, "layers"),
                (self.injected, injected_rows * digest, "injected digests"),
                (
                    self.constants,
                    8 * self.width + self.internal_rounds,
                    "constants",
                ),
            ],
        );
        let (span, groups) = spread_states(self.nodes, shape);
        let arguments = [
            Argument::Buffer(self.layers),
            Argument::Buffer(self.injected),
            Argument::Buffer(self.constants),
            Argument::U64(self.from as u64),
            Argument::U64(self.to as u64),
            Argument::U32(small(self.nodes)),
            Argument::U32(u32::from(self.injected_rows.is_some())),
            Argument::U32(small(injected_rows)),
            Argument::U32(span),
        ];
        // SAFETY: items are lanes of nodes, the last one clipped to `nodes`; each reads its two
        // children and the injected digests that exist and writes its node, the last one also the
        // digest that pads the layer.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// The groups that cover `count` states. A hash takes long enough for few of them to be worth a work-item.
fn spread_states(count: usize, shape: LaneShape) -> (u32, usize) {
    spread(count.div_ceil(shape.vector_width as usize), shape, 16)
}
