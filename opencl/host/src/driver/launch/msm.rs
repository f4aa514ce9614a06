//! Typed launches of the kernels of `msm/`. A stored element takes 32 bytes, a base two elements, a
//! sum four.

use super::super::queue::Argument;
use super::super::{Buffer, Failure, Kernel, Queue};
use super::{LaneShape, require, small};

const ELEMENT_BYTES: usize = 32;
const BASE_BYTES: usize = 2 * ELEMENT_BYTES;
const POINT_BYTES: usize = 4 * ELEMENT_BYTES;

/// Windows of signed digits, and the buckets that they are sorted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) windows: usize,
    /// Bits of a digit.
    pub(crate) bits: u32,
    /// Digits of a window, those of all multiples.
    pub(crate) count: usize,
    /// Multiples of each base, `2^(bits * j) * base` for `j` below it: a window has the digits of as many
    /// windows of the bases alone.
    pub(crate) multiples: usize,
    /// Runs that a window's digits are sorted in.
    pub(crate) parts: usize,
}

impl Windows {
    /// Buckets of a window.
    pub(crate) const fn buckets(&self) -> usize {
        1 << (self.bits - 1)
    }

    /// Scalars that are cut.
    pub(crate) const fn scalars(&self) -> usize {
        self.count / self.multiples
    }

    /// Digits of all windows.
    pub(crate) const fn digits(&self) -> usize {
        self.windows * self.count
    }

    /// Counts of all runs.
    pub(crate) const fn counts(&self) -> usize {
        self.windows * self.parts * self.buckets()
    }

    fn check(&self) {
        assert!(
            (1..=16).contains(&self.bits) && self.windows > 0,
            "no windows: {self:?}"
        );
        assert!(
            self.multiples > 0 && self.count.is_multiple_of(self.multiples),
            "bases without some of their multiples: {self:?}"
        );
        assert!(
            self.count > 0 && self.count < 1 << 31 && self.parts > 0,
            "no digits, or more than their numbers hold: {self:?}"
        );
    }
}

fn number(number: usize) -> Argument<'static> {
    Argument::U32(small(number))
}

/// A launch of `msm/digits.cl`.
pub(crate) struct MsmDigits<'a> {
    pub(crate) scalars: &'a Buffer,
    pub(crate) bases: &'a Buffer,
    pub(crate) digits: &'a Buffer,
    pub(crate) windows: Windows,
    pub(crate) montgomery: bool,
}

impl MsmDigits<'_> {
    /// Bytes of global memory read and written.
    pub(crate) const fn traffic(&self) -> u64 {
        (self.windows.scalars() * (ELEMENT_BYTES + BASE_BYTES) + self.windows.digits() * 4) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        let windows = &self.windows;
        windows.check();
        assert!(
            windows.windows * windows.multiples * windows.bits as usize > 254 && windows.bits > 1,
            "windows that do not hold a scalar: {windows:?}"
        );
        let count = windows.scalars();
        require(self.scalars, count, ELEMENT_BYTES, "scalars");
        require(self.bases, count, BASE_BYTES, "bases");
        require(self.digits, windows.digits(), 4, "digits");
        let arguments = [
            Argument::Buffer(self.scalars),
            Argument::Buffer(self.bases),
            Argument::Buffer(self.digits),
            number(count),
            // Window by window, and in each multiple by multiple: the order of the digits of a scalar.
            number(windows.windows * windows.multiples),
            Argument::U32(windows.bits),
            Argument::U32(self.montgomery.into()),
        ];
        let group_size = shape.group_size as usize;
        let groups = count.div_ceil(group_size);
        // SAFETY: a work-item below `count` reads its scalar and its base and writes its digit of each window.
        unsafe { queue.enqueue(kernel, &arguments, groups, group_size) }
    }
}

/// The three launches that sort a window: `msm/count.cl`, `msm/place.cl`, `msm/sort.cl`.
pub(crate) struct MsmSort<'a> {
    pub(crate) digits: &'a Buffer,
    pub(crate) counts: &'a Buffer,
    pub(crate) totals: &'a Buffer,
    pub(crate) items: &'a Buffer,
    pub(crate) keys: &'a Buffer,
    pub(crate) windows: Windows,
}

impl MsmSort<'_> {
    fn check(&self) {
        let windows = &self.windows;
        windows.check();
        require(self.digits, windows.digits(), 4, "digits");
        require(self.items, windows.digits(), 4, "items");
        require(self.keys, windows.digits(), 4, "keys");
        require(self.counts, windows.counts(), 4, "counts");
        require(self.totals, windows.windows, 4, "totals");
    }

    /// Bytes of global memory read and written by each of the three.
    pub(crate) const fn traffic(&self) -> [u64; 3] {
        let (digits, counts) = (self.windows.digits() as u64, self.windows.counts() as u64);
        [
            4 * (digits + counts),
            12 * counts,
            4 * (3 * digits + counts),
        ]
    }

    pub(crate) fn enqueue_count(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        self.check();
        let windows = &self.windows;
        let arguments = [
            Argument::Buffer(self.digits),
            Argument::Buffer(self.counts),
            number(windows.count),
            number(windows.parts),
            number(windows.buckets()),
        ];
        let groups = windows.windows * windows.parts;
        // SAFETY: a group reads digits of its own window below `count` and counts in its own row;
        // a digit's magnitude is at most the number of buckets, as digits.cl writes them.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }

    pub(crate) fn enqueue_place(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        self.check();
        let windows = &self.windows;
        let arguments = [
            Argument::Buffer(self.counts),
            Argument::Buffer(self.totals),
            Argument::Local(shape.group_size as usize * 4),
            number(windows.parts),
            number(windows.buckets()),
        ];
        // SAFETY: a group touches the rows of its own window, and a sum for each work-item.
        unsafe {
            queue.enqueue(
                kernel,
                &arguments,
                windows.windows,
                shape.group_size as usize,
            )
        }
    }

    pub(crate) fn enqueue_sort(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        self.check();
        let windows = &self.windows;
        let arguments = [
            Argument::Buffer(self.digits),
            Argument::Buffer(self.counts),
            Argument::Buffer(self.items),
            Argument::Buffer(self.keys),
            number(windows.count),
            number(windows.parts),
            number(windows.buckets()),
        ];
        let groups = windows.windows * windows.parts;
        // SAFETY: as many places were counted as are taken, and they end at the window's digits.
        unsafe { queue.enqueue(kernel, &arguments, groups, shape.group_size as usize) }
    }
}

/// Words of scratch memory that a work-item of `msm/chains.cl` needs.
pub(crate) const fn chain_words(length: usize) -> usize {
    17 * length + 256
}

/// A launch of `msm/accumulate.cl`, over bases or over heads, or of `msm/chains.cl`.
pub(crate) struct MsmAccumulate<'a> {
    pub(crate) input: MsmInput<'a>,
    pub(crate) keys: &'a Buffer,
    pub(crate) buckets: &'a Buffer,
    pub(crate) heads: &'a Buffer,
    pub(crate) head_keys: &'a Buffer,
    pub(crate) windows: usize,
    /// Entries of a window's list.
    pub(crate) count: usize,
    /// Entries that one work-item adds up.
    pub(crate) length: usize,
    pub(crate) buckets_per_window: usize,
    /// For `msm/chains.cl`.
    pub(crate) chains: Option<MsmChains<'a>>,
}

/// What `msm/chains.cl` needs besides.
pub(crate) struct MsmChains<'a> {
    pub(crate) scratch: &'a Buffer,
    /// The number of the first run that is to be done: zero.
    pub(crate) next: &'a Buffer,
    pub(crate) work_items: usize,
}

/// What is added up.
pub(crate) enum MsmInput<'a> {
    /// Bases, by the items of the sorted windows; `totals` says how many entries each has.
    Bases {
        bases: &'a Buffer,
        bases_count: usize,
        items: &'a Buffer,
        totals: &'a Buffer,
    },
    /// Heads of the launch before.
    Heads(&'a Buffer),
}

impl MsmAccumulate<'_> {
    /// Runs of a window.
    pub(crate) const fn runs(&self) -> usize {
        self.count.div_ceil(self.length)
    }

    /// Bytes of global memory read and written, if no digit is zero.
    pub(crate) const fn traffic(&self) -> u64 {
        let entries = self.windows * self.count;
        let buckets = self.windows * self.buckets_per_window * POINT_BYTES;
        let heads = self.windows * self.runs() * (POINT_BYTES + 4);
        let read = match self.input {
            MsmInput::Bases { .. } => entries * (BASE_BYTES + 8),
            MsmInput::Heads(_) => entries * (POINT_BYTES + 4),
        };
        (read + buckets + heads) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.count > 0 && self.length > 0, "nothing to add up");
        let entries = self.windows * self.count;
        let runs = self.windows * self.runs();
        require(self.keys, entries, 4, "keys");
        require(
            self.buckets,
            self.windows * self.buckets_per_window,
            POINT_BYTES,
            "buckets",
        );
        require(self.heads, runs, POINT_BYTES, "heads");
        require(self.head_keys, runs, 4, "keys of heads");
        let (points, items, totals) = match self.input {
            MsmInput::Bases {
                bases,
                bases_count,
                items,
                totals,
            } => {
                require(bases, bases_count, BASE_BYTES, "bases");
                require(items, entries, 4, "items");
                require(totals, self.windows, 4, "totals");
                (bases, items, totals)
            }
            MsmInput::Heads(heads) => {
                require(heads, entries, POINT_BYTES, "points");
                // Neither is read.
                (heads, self.keys, self.keys)
            }
        };
        let mut arguments = vec![
            Argument::Buffer(points),
            Argument::Buffer(items),
            Argument::Buffer(self.keys),
            Argument::Buffer(totals),
            Argument::Buffer(self.buckets),
            Argument::Buffer(self.heads),
            Argument::Buffer(self.head_keys),
            number(self.windows),
            number(self.count),
            number(self.length),
            number(self.buckets_per_window),
        ];
        let group_size = shape.group_size as usize;
        let mut groups = runs.div_ceil(group_size);
        if let Some(chains) = &self.chains {
            let words = chain_words(self.length);
            assert!(
                self.length.is_multiple_of(8) && group_size == 1,
                "no chains of {} by {group_size}",
                self.length
            );
            require(chains.scratch, chains.work_items, 8 * words, "scratch");
            require(chains.next, 1, 4, "the counter");
            arguments.extend([
                Argument::Buffer(chains.scratch),
                Argument::U64(words as u64),
                Argument::Buffer(chains.next),
            ]);
            groups = chains.work_items;
        }
        // SAFETY: a run reads entries of its own window below its total; items name bases below
        // `bases_count` and keys name buckets of the window, as sort.cl writes them; a run writes
        // its own head; work-items of chains.cl have scratch of their own.
        unsafe { queue.enqueue(kernel, &arguments, groups, group_size) }
    }
}

/// A launch of `msm/reduce.cl`.
pub(crate) struct MsmReduce<'a> {
    pub(crate) buckets: &'a Buffer,
    pub(crate) ends: &'a Buffer,
    pub(crate) sums: &'a Buffer,
    pub(crate) windows: Windows,
    /// Segments of a window, a power of two.
    pub(crate) segments: usize,
}

impl MsmReduce<'_> {
    /// Bytes of global memory read and written.
    pub(crate) const fn traffic(&self) -> u64 {
        let buckets = self.windows.windows * self.windows.buckets();
        (buckets * (POINT_BYTES + 8) + self.windows.windows * self.segments * POINT_BYTES) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        let windows = &self.windows;
        windows.check();
        assert!(
            self.segments.is_power_of_two() && self.segments <= windows.buckets(),
            "segments that do not divide the buckets"
        );
        let items = windows.windows * self.segments;
        let buckets = windows.windows * windows.buckets();
        require(self.buckets, buckets, POINT_BYTES, "buckets");
        require(self.ends, windows.counts(), 4, "ends");
        require(self.sums, items, POINT_BYTES, "sums");
        let arguments = [
            Argument::Buffer(self.buckets),
            Argument::Buffer(self.ends),
            Argument::Buffer(self.sums),
            number(windows.windows),
            number(windows.parts),
            number(self.segments),
            number(windows.buckets() / self.segments),
        ];
        let group_size = shape.group_size as usize;
        // SAFETY: a work-item reads the buckets of its segment, their ends and the end before, all
        // of one window, and writes its own sum.
        unsafe { queue.enqueue(kernel, &arguments, items.div_ceil(group_size), group_size) }
    }
}

/// A launch of `msm/sum.cl`.
pub(crate) struct MsmSum<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) output: &'a Buffer,
    pub(crate) count: usize,
    pub(crate) length: usize,
}

impl MsmSum<'_> {
    /// Bytes of global memory read and written.
    pub(crate) const fn traffic(&self) -> u64 {
        (self.count * (self.length + 1) * POINT_BYTES) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        require(self.input, self.count * self.length, POINT_BYTES, "points");
        require(self.output, self.count, POINT_BYTES, "sums");
        let arguments = [
            Argument::Buffer(self.input),
            Argument::Buffer(self.output),
            number(self.count),
            number(self.length),
        ];
        let group_size = shape.group_size as usize;
        let groups = self.count.div_ceil(group_size);
        // SAFETY: a work-item below `count` reads its `length` points and writes its sum.
        unsafe { queue.enqueue(kernel, &arguments, groups, group_size) }
    }
}

/// A launch of `msm/grid.cl`.
pub(crate) struct MsmGrid<'a> {
    pub(crate) buckets: &'a Buffer,
    /// Where buckets end.
    pub(crate) ends: &'a Buffer,
    pub(crate) items: &'a Buffer,
    pub(crate) keys: &'a Buffer,
    pub(crate) totals: &'a Buffer,
    pub(crate) list_ends: &'a Buffer,
    /// Of the buckets.
    pub(crate) windows: Windows,
    /// Of the grid.
    pub(crate) width: usize,
}

impl MsmGrid<'_> {
    /// Bytes of global memory read and written, if no bucket is empty.
    pub(crate) const fn traffic(&self) -> u64 {
        let buckets = self.windows.windows * self.windows.buckets();
        (buckets * (2 * POINT_BYTES + 2 * 4 + 4 * 4)) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        let (windows, width) = (&self.windows, self.width);
        windows.check();
        let (lists, count) = (2 * windows.windows, windows.buckets());
        assert!(
            width.is_power_of_two() && width <= 256 && width <= count && count <= width * width,
            "no grid of {count} buckets: {width}"
        );
        require(
            self.buckets,
            windows.windows * count,
            POINT_BYTES,
            "buckets",
        );
        require(self.ends, windows.counts(), 4, "ends");
        require(self.items, lists * count, 4, "items");
        require(self.keys, lists * count, 4, "keys");
        require(self.totals, lists, 4, "totals");
        require(self.list_ends, lists * width, 4, "ends of lists");
        let arguments = [
            Argument::Buffer(self.buckets),
            Argument::Buffer(self.ends),
            Argument::Buffer(self.items),
            Argument::Buffer(self.keys),
            Argument::Buffer(self.totals),
            Argument::Buffer(self.list_ends),
            number(windows.windows),
            number(windows.parts),
            number(count),
            number(width),
        ];
        let group_size = shape.group_size as usize;
        let groups = windows.windows.div_ceil(group_size);
        // SAFETY: a work-item reads and writes the buckets of its own window, and writes that window's two
        // lists, each bucket once to each at most, and an end for each row and column.
        unsafe { queue.enqueue(kernel, &arguments, groups, group_size) }
    }
}

/// A launch of `msm/multiples.cl`.
pub(crate) struct MsmMultiples<'a> {
    pub(crate) table: &'a Buffer,
    pub(crate) scratch: &'a Buffer,
    /// Where the bases begin in the table, and where their multiples go.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) count: usize,
    pub(crate) doublings: u32,
    pub(crate) work_items: usize,
}

/// Bytes of scratch memory that `msm/multiples.cl` needs for each base.
pub(crate) const MULTIPLE_SCRATCH_BYTES: usize = POINT_BYTES + ELEMENT_BYTES;

impl MsmMultiples<'_> {
    /// Bytes of global memory read and written.
    pub(crate) const fn traffic(&self) -> u64 {
        (2 * self.count * (BASE_BYTES + MULTIPLE_SCRATCH_BYTES)) as u64
    }

    pub(crate) fn enqueue(
        &self,
        queue: &Queue,
        kernel: &Kernel,
        shape: LaneShape,
    ) -> Result<(), Failure> {
        assert!(self.count > 0, "no bases");
        assert!(
            self.from + self.count <= self.to || self.to + self.count <= self.from,
            "bases and their multiples overlap"
        );
        let end = self.from.max(self.to) + self.count;
        require(self.table, end, BASE_BYTES, "table");
        require(self.scratch, self.count, MULTIPLE_SCRATCH_BYTES, "scratch");
        let arguments = [
            Argument::Buffer(self.table),
            Argument::Buffer(self.scratch),
            Argument::U64(self.from as u64),
            Argument::U64(self.to as u64),
            number(self.count),
            Argument::U32(self.doublings),
        ];
        let group_size = shape.group_size as usize;
        let groups = self.work_items.div_ceil(group_size);
        // SAFETY: work-items take bases below `count` in turn; each reads its base, writes its multiple,
        // and has scratch memory of its own for it.
        unsafe { queue.enqueue(kernel, &arguments, groups, group_size) }
    }
}

/// A launch of a kernel of the tests: `results` elements for each pair of elements.
#[cfg(test)]
pub(crate) struct Elementwise {
    pub(crate) inputs: [Buffer; 2],
    pub(crate) output: Buffer,
    pub(crate) count: usize,
    pub(crate) results: usize,
    /// Pairs of a work-item.
    pub(crate) width: usize,
}

#[cfg(test)]
impl Elementwise {
    pub(crate) fn enqueue(&self, queue: &Queue, kernel: &Kernel) -> Result<(), Failure> {
        let [a, b] = &self.inputs;
        assert!(self.count.is_multiple_of(self.width), "no whole lanes");
        require(a, self.count, ELEMENT_BYTES, "left operands");
        require(b, self.count, ELEMENT_BYTES, "right operands");
        require(
            &self.output,
            self.count * self.results,
            ELEMENT_BYTES,
            "results",
        );
        let arguments = [
            Argument::Buffer(a),
            Argument::Buffer(b),
            Argument::Buffer(&self.output),
            number(self.count),
        ];
        // SAFETY: a work-item reads its pairs below `count` and writes their results.
        unsafe { queue.enqueue(kernel, &arguments, self.count / self.width, 1) }
    }
}
