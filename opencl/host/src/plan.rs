//! How a transform is cut into passes and panels. Pure arithmetic, no device.

use crate::driver::launch::LaneShape;

/// Levels of one pass at most: a tile of 2^8 rows keeps a whole cache line of each in 16 KiB.
const MAX_LOG_K: u32 = 8;

/// Levels that one pass may do in `tile_bytes` of local memory.
pub(crate) fn max_log_k(word_bytes: usize, shape: LaneShape, tile_bytes: usize) -> u32 {
    let rows = tile_bytes / (shape.vector_width as usize * word_bytes);
    rows.max(2).ilog2().min(MAX_LOG_K)
}

/// One pass: levels `level..level + log_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) level: u32,
    pub(crate) log_k: u32,
}

/// Cuts `log_n` levels into as few passes as the tile allows, as even as they can be.
pub(crate) fn passes(log_n: u32, max_log_k: u32) -> Vec<Pass> {
    let count = log_n.div_ceil(max_log_k);
    let mut level = 0;
    (0..count)
        .map(|index| {
            let log_k = (log_n - level).div_ceil(count - index);
            let pass = Pass { level, log_k };
            level += log_k;
            pass
        })
        .collect()
}

/// Width of a tile, in lanes, base two: what fits `tile_bytes`, and no more than a row run has.
pub(crate) fn log_width(
    log_k: u32,
    inner: usize,
    word_bytes: usize,
    shape: LaneShape,
    tile_bytes: usize,
) -> u32 {
    let lane_bytes = shape.vector_width as usize * word_bytes;
    let fits = (tile_bytes / (lane_bytes << log_k)).max(1).ilog2();
    let lanes = inner.div_ceil(shape.vector_width as usize);
    fits.min(lanes.next_power_of_two().ilog2())
}

/// Columns that may be on the device at once, or `None` if not even one may.
pub(crate) fn panel(columns: usize, bytes_per_column: usize, available: usize) -> Option<usize> {
    let fit = (available / bytes_per_column).min(columns);
    // Even panels: a last one of few columns would waste its launches.
    (fit > 0).then(|| columns.div_ceil(columns.div_ceil(fit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_cover_every_level_once() {
        let cut = |log_n| {
            passes(log_n, 8)
                .iter()
                .map(|pass| pass.log_k)
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(0), []);
        assert_eq!(cut(1), [1]);
        assert_eq!(cut(8), [8]);
        assert_eq!(cut(9), [5, 4]);
        assert_eq!(cut(16), [8, 8]);
        assert_eq!(cut(17), [6, 6, 5]);
        assert_eq!(cut(27), [7, 7, 7, 6]);
        for log_n in 0..=27 {
            let mut next = 0;
            for pass in passes(log_n, 1 + log_n % 8) {
                assert_eq!(pass.level, next);
                next += pass.log_k;
            }
            assert_eq!(next, log_n);
        }
    }

    #[test]
    fn a_tile_fits_local_memory_and_is_not_wider_than_its_rows() {
        let cpu = LaneShape {
            vector_width: 16,
            group_size: 1,
        };
        let gpu = LaneShape {
            vector_width: 1,
            group_size: 64,
        };
        for (log_k, inner, shape, expected) in [
            (8, 1 << 20, cpu, 1),
            (5, 1 << 20, cpu, 4),
            (5, 16, cpu, 0),
            (5, 17, cpu, 1),
            (8, 1 << 20, gpu, 5),
            (8, 3, gpu, 2),
            (8, 1, gpu, 0),
        ] {
            assert_eq!(log_width(log_k, inner, 4, shape, 32 << 10), expected);
        }
        for (tile_bytes, shape, expected) in [
            (32 << 10, cpu, 8),
            (4 << 10, cpu, 6),
            (4 << 10, gpu, 8),
            (64, cpu, 1),
        ] {
            assert_eq!(max_log_k(4, shape, tile_bytes), expected);
        }
    }

    #[test]
    fn panels_are_even_and_fit() {
        assert_eq!(panel(10, 4, 1000), Some(10));
        assert_eq!(panel(10, 4, 36), Some(5));
        assert_eq!(panel(10, 4, 12), Some(3));
        assert_eq!(panel(10, 4, 4), Some(1));
        assert_eq!(panel(10, 4, 3), None);
    }
}
