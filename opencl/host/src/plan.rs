//! How a transform is cut into passes. Pure arithmetic, no device.

use crate::driver::launch::LaneShape;

/// Levels of one pass at most: a tile of 2^8 rows keeps a whole cache line of each in 16 KiB.
pub(crate) const MAX_LOG_K: u32 = 8;

/// Words of local memory that a pass takes for the factors of its nodes, for each row of its tile.
pub(crate) const FACTORS_PER_ROW: usize = 2;

/// Levels that one pass may do in `local_bytes` of local memory, tile and factors.
pub(crate) fn max_log_k(word_bytes: usize, shape: LaneShape, local_bytes: usize) -> u32 {
    let row_bytes = (shape.vector_width as usize + FACTORS_PER_ROW) * word_bytes;
    (local_bytes / row_bytes).max(2).ilog2().min(MAX_LOG_K)
}

/// One pass: levels `level..level + log_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) level: u32,
    pub(crate) log_k: u32,
}

/// Cuts `log_n` levels into as few passes as the tile allows, as even as they can be: even in whole steps
/// of `step` levels where one pass has room for the rest of them.
pub(crate) fn passes(log_n: u32, max_log_k: u32, step: u32) -> Vec<Pass> {
    let count = log_n.div_ceil(max_log_k);
    let even = shares(log_n, count);
    let mut lengths: Vec<_> = shares(log_n / step, count)
        .map(|steps| steps * step)
        .collect();
    if let Some(last) = lengths.last_mut() {
        *last += log_n % step;
    }
    if lengths.iter().any(|log_k| !(1..=max_log_k).contains(log_k)) {
        lengths = even.collect();
    }
    let mut level = 0;
    lengths
        .into_iter()
        .map(|log_k| {
            let pass = Pass { level, log_k };
            level += log_k;
            pass
        })
        .collect()
}

/// `total` in `count` shares that differ by one at most, larger ones first.
fn shares(total: u32, count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |index| (total + count - 1 - index) / count)
}

/// Width of a tile, in lanes, base two: what fits `local_bytes` beside the factors, and no more than a
/// row run has.
pub(crate) fn log_width(
    log_k: u32,
    inner: usize,
    word_bytes: usize,
    shape: LaneShape,
    local_bytes: usize,
) -> u32 {
    let lane_bytes = shape.vector_width as usize * word_bytes;
    let tile_bytes = local_bytes.saturating_sub((FACTORS_PER_ROW * word_bytes) << log_k);
    let fits = (tile_bytes / (lane_bytes << log_k)).max(1).ilog2();
    let lanes = inner.div_ceil(shape.vector_width as usize);
    fits.min(lanes.next_power_of_two().ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_cover_every_level_once() {
        let cut = |log_n, step| {
            passes(log_n, 8, step)
                .iter()
                .map(|pass| pass.log_k)
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(0, 2), []);
        assert_eq!(cut(1, 2), [1]);
        assert_eq!(cut(8, 2), [8]);
        assert_eq!(cut(9, 2), [4, 5]);
        assert_eq!(cut(16, 2), [8, 8]);
        assert_eq!(cut(17, 2), [6, 6, 5]);
        assert_eq!(cut(20, 2), [8, 6, 6]);
        assert_eq!(cut(27, 2), [8, 6, 6, 7]);
        assert_eq!(cut(16, 3), [8, 8]);
        assert_eq!(cut(18, 3), [6, 6, 6]);
        assert_eq!(cut(20, 3), [6, 6, 8]);
        for (log_n, step) in (0..=27).flat_map(|log_n| [(log_n, 2), (log_n, 3)]) {
            let (mut next, max_log_k) = (0, 1 + log_n % 8);
            for pass in passes(log_n, max_log_k, step) {
                assert_eq!(pass.level, next);
                assert!((1..=max_log_k).contains(&pass.log_k));
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
            assert_eq!(log_width(log_k, inner, 4, shape, 34 << 10), expected);
        }
        for (tile_bytes, shape, expected) in [
            (32 << 10, cpu, 8),
            (4 << 10, cpu, 5),
            (4 << 10, gpu, 8),
            (64, cpu, 1),
        ] {
            assert_eq!(max_log_k(4, shape, tile_bytes), expected);
        }
    }
}
