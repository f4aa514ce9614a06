//! How a transform goes through a device that it does not fit at once. Pure arithmetic, no device.

/// A way through the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// At once.
    Whole,
    /// In panels of so many columns, on the device beside each other or, where that takes too much memory,
    /// one by one.
    Columns { width: usize, beside: bool },
    /// First in strips of rows, then in blocks of them.
    Rows(Rows),
    /// An extension as a transform for each of its copies, each cut by itself.
    Copies,
}

/// A transform in two sweeps over the rows, for some columns at a time.
///
/// The first levels of the network, `log_blocks` of them, combine rows that lie a block apart: a strip
/// has some adjacent rows of every block, and takes these levels by itself. After them each block is a
/// transform by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) columns: usize,
    pub(super) log_blocks: u32,
    /// Rows of a block that a strip has.
    pub(super) strip: usize,
    /// Blocks that are on the device together.
    pub(super) together: usize,
}

/// What is transformed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    pub(super) word_bytes: usize,
    pub(super) log_n: u32,
    pub(super) columns: usize,
    /// Matrices that come out for one that goes in.
    pub(super) copies: usize,
    /// Whether it is an extension, which is as good as a transform for each copy.
    pub(super) extends: bool,
    /// Whether the result comes in the place of the input.
    pub(super) in_place: bool,
    /// Whether it goes in lanes of large elements.
    pub(super) in_lanes: bool,
}

/// The memory that there is for it.
pub(super) struct Room<'a> {
    /// Bytes beside tables of roots with `2^` that many entries.
    pub(super) beside_roots: &'a dyn Fn(u32) -> Option<usize>,
    pub(super) max_allocation_bytes: usize,
    /// Panels that are on the device at once, by whether results come in the place of inputs.
    pub(super) at_once: &'a dyn Fn(bool) -> usize,
}

impl Matrix {
    /// The way with the fewest and widest transfers, if there is any.
    pub(super) fn cut(&self, room: &Room<'_>) -> Option<Cut> {
        if let Some(cut) = self.cut_columns(room) {
            return Some(cut);
        }
        if self.extends {
            return Some(Cut::Copies);
        }
        // Fewer columns leave room for longer columns, but make shorter runs of words to move.
        let halves = std::iter::successors(Some(self.columns), |&columns| {
            (columns > 1).then(|| columns.div_ceil(2))
        });
        halves
            .filter_map(|columns| self.cut_rows(columns, room))
            .map(Cut::Rows)
            .next()
    }

    /// Bytes that have to be there if it is cut as finely as it can be; a lower bound.
    pub(super) const fn least_bytes(&self) -> usize {
        self.word_bytes << self.log_n.div_ceil(2)
    }

    fn cut_columns(&self, room: &Room<'_>) -> Option<Cut> {
        let tables = self.tables(self.log_n, self.copies);
        let available = (room.beside_roots)(self.log_n.saturating_sub(1))?.checked_sub(tables)?;
        let input = self.word_bytes << self.log_n;
        let output = input * self.copies;
        let together = if self.in_place { input } else { input + output };
        let most = |panels: usize| {
            let by_memory = available / (panels * together);
            by_memory.min(room.max_allocation_bytes / output)
        };
        if most(1) >= self.columns {
            return Some(Cut::Whole);
        }
        let panels = |panels: usize, beside: bool| {
            let fit = most(panels).min(self.columns);
            // Even panels: a last one of few columns would waste its launches.
            (fit > 0).then(|| Cut::Columns {
                width: even(self.columns, fit),
                beside,
            })
        };
        panels((room.at_once)(self.in_place), true).or_else(|| panels(1, false))
    }

    fn cut_rows(&self, columns: usize, room: &Room<'_>) -> Option<Rows> {
        let row = self.word_bytes * columns;
        (1..self.log_n).find_map(|log_blocks| {
            let log_block = self.log_n - log_blocks;
            let roots = (room.beside_roots)(log_blocks.max(log_block) - 1)?;
            let fit = |room_bytes: usize, in_place: bool| {
                let buffers = (room.at_once)(in_place) * if in_place { 1 } else { 2 };
                (room_bytes / buffers).min(room.max_allocation_bytes)
            };
            let available = roots.checked_sub(self.tables(log_blocks, 1))?;
            let strip = (fit(available, true) / (row << log_blocks)).min(1 << log_block);
            // Kernels count the words of a row in 32 bits.
            let strip = strip.min(u32::MAX as usize / columns);
            let available = roots.checked_sub(self.tables(log_block, 1))?;
            // Beside a block its factors: one for each level.
            let block = (row << log_block) + self.word_bytes * log_block as usize;
            let together = match self.in_place {
                true => (fit(available, true) / block).min(1 << log_blocks),
                // Each goes to rows of its own, far apart.
                false => (fit(available, false) / block).min(1),
            };
            (strip > 0 && together > 0).then(|| Rows {
                columns,
                log_blocks,
                strip: even(1 << log_block, strip),
                together: even(1 << log_blocks, together),
            })
        })
    }

    /// Bytes of the tables of a transform of `2^log_n` rows beside the roots: the scale and the factors of
    /// its levels, and both tables of a spread.
    const fn tables(&self, log_n: u32, copies: usize) -> usize {
        let factors = 1 + copies * log_n as usize;
        let spread = match self.in_place {
            true => 0,
            // Cut where the last pass begins, which of four passes at most is after three quarters.
            false if self.in_lanes => copies * (2 << (3 * log_n).div_ceil(4)),
            false => copies * ((1 << (log_n / 2)) + (1 << log_n.div_ceil(2))),
        };
        self.word_bytes * (factors + spread)
    }
}

/// The size of the fewest parts no larger than `most` that are as large as each other.
const fn even(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(matrix: Matrix, available: usize, max_allocation_bytes: usize) -> Option<Cut> {
        matrix.cut(&Room {
            beside_roots: &|log_length| available.checked_sub(matrix.word_bytes << log_length),
            max_allocation_bytes,
            at_once: &|in_place| if in_place { 3 } else { 2 },
        })
    }

    const fn panels(width: usize) -> Option<Cut> {
        Some(Cut::Columns {
            width,
            beside: true,
        })
    }

    const ONE_BY_ONE: Option<Cut> = Some(Cut::Columns {
        width: 1,
        beside: false,
    });

    #[test]
    fn what_fits_is_not_cut_and_panels_are_even() {
        let matrix = Matrix {
            word_bytes: 4,
            log_n: 10,
            columns: 10,
            copies: 1,
            extends: false,
            in_place: true,
            in_lanes: false,
        };
        // Roots, a scale and factors, and one or three panels.
        let (column, beside) = (4 << 10, (4 << 9) + 4 * 11);
        let of = |columns: usize| cut(matrix, columns * column + beside, usize::MAX);
        assert_eq!(of(10), Some(Cut::Whole));
        assert_eq!(of(29), Some(Cut::Whole));
        assert_eq!(of(9), panels(3));
        assert_eq!(of(6), panels(2));
        assert_eq!(of(5), panels(1));
        assert_eq!(of(1), ONE_BY_ONE);
        assert!(matches!(of(0), Some(Cut::Rows(_))));
        let by_allocation = |bytes| cut(matrix, usize::MAX, bytes);
        assert_eq!(by_allocation(10 * column), Some(Cut::Whole));
        assert_eq!(by_allocation(10 * column - 1), panels(5));
        assert_eq!(by_allocation(4 * column), panels(4));
        assert_eq!(by_allocation(column), panels(1));
        assert!(matches!(by_allocation(column - 1), Some(Cut::Rows(_))));
    }

    /// Down to about the square root of a column.
    #[test]
    fn rows_are_cut_so_that_both_sweeps_fit() {
        let mut seen = 0;
        for (log_n, columns, in_place) in [(1, 1), (2, 3), (9, 1), (16, 5), (24, 1), (27, 100)]
            .into_iter()
            .flat_map(|(log_n, columns)| [true, false].map(|to| (log_n, columns, to)))
        {
            let matrix = Matrix {
                word_bytes: 8,
                log_n,
                columns,
                copies: 1,
                extends: false,
                in_place,
                in_lanes: false,
            };
            for log_available in 4..40 {
                let available = 3 << log_available;
                let Some(Cut::Rows(rows)) = cut(matrix, available, available / 4) else {
                    continue;
                };
                seen += 1;
                let log_block = log_n - rows.log_blocks;
                let panels = if in_place { 3 } else { 4 };
                let strip = (rows.strip * 8 * rows.columns) << rows.log_blocks;
                let block = (rows.together * 8 * rows.columns) << log_block;
                let roots = 8 << (rows.log_blocks.max(log_block) - 1);
                assert!(3 * strip + roots <= available && strip <= available / 4);
                assert!(panels * block + roots <= available && block <= available / 4);
            }
        }
        assert!(seen > 40, "{seen}");
        let column = Matrix {
            word_bytes: 4,
            log_n: 24,
            columns: 1,
            copies: 1,
            extends: false,
            in_place: true,
            in_lanes: false,
        };
        assert!(matches!(
            cut(column, 80 << 10, usize::MAX),
            Some(Cut::Rows(_))
        ));
        assert_eq!(cut(column, 40 << 10, usize::MAX), None);
        assert!(column.least_bytes() < 40 << 10);
    }

    #[test]
    fn an_extension_that_does_not_fit_goes_copy_by_copy() {
        let matrix = Matrix {
            word_bytes: 4,
            log_n: 10,
            columns: 4,
            copies: 4,
            extends: true,
            in_place: false,
            in_lanes: false,
        };
        // A column takes 20 KiB, its tables some three.
        assert_eq!(cut(matrix, 84 << 10, usize::MAX), Some(Cut::Whole));
        assert_eq!(cut(matrix, 48 << 10, usize::MAX), panels(1));
        assert_eq!(cut(matrix, 24 << 10, usize::MAX), ONE_BY_ONE);
        assert_eq!(cut(matrix, 20 << 10, usize::MAX), Some(Cut::Copies));
        assert_eq!(cut(matrix, usize::MAX, 16 << 10), panels(1));
        assert_eq!(cut(matrix, usize::MAX, 8 << 10), Some(Cut::Copies));
    }
}
