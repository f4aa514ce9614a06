//! How a multi-scalar multiplication is cut into windows, runs and segments. No device here.

use crate::driver::launch::msm::{Windows, chain_words};

/// Bits of a scalar: the group's order is below two to this.
const SCALAR_BITS: u32 = 254;

/// Entries of a chain at most: what it writes down fits a cache, and its inversions cost little.
const CHAIN: usize = 32768;

/// Runs that a window is sorted in at most: each has a count for every bucket.
const MAX_PARTS: usize = 16;

/// How work is spread over a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Work-items that keep the device busy.
    pub(crate) work_items: usize,
    /// Compute units.
    pub(crate) units: usize,
    /// Work-items of a group.
    pub(crate) group_size: usize,
}

/// The sizes of one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) windows: Windows,
    /// Entries that one work-item adds up at a time.
    pub(crate) length: usize,
    /// Work-items that add up bases in chains of affine additions, or zero for other ways.
    pub(crate) chains: usize,
    /// Segments of a window's buckets.
    pub(crate) segments: usize,
}

impl Plan {
    pub(crate) fn new(count: usize, spread: Spread) -> Self {
        let bits = window_bits(count);
        let windows = SCALAR_BITS / bits + 1;
        let groups = spread.work_items.div_ceil(spread.group_size);
        let part_items = 64 * spread.group_size;
        let windows = Windows {
            windows: windows as usize,
            bits,
            count,
            parts: groups
                .div_ceil(windows as usize)
                .clamp(1, count.div_ceil(part_items).min(MAX_PARTS)),
        };
        let per_window = spread.work_items.div_ceil(windows.windows);
        // A segment pays for its place with some twenty additions.
        let most_segments = (windows.buckets() / 32).max(1);
        Self {
            windows,
            length: if spread.group_size == 1 {
                even_length(count, count.div_ceil(per_window).clamp(64, CHAIN))
            } else {
                count.div_ceil(per_window).clamp(32, 1024)
            },
            chains: if spread.group_size == 1 {
                spread.units
            } else {
                0
            },
            segments: per_window.next_power_of_two().min(most_segments),
        }
    }

    /// Bytes on the device for `count` scalars, the bases among them; an upper bound.
    pub(crate) const fn bytes(&self) -> usize {
        let Windows { count, windows, .. } = self.windows;
        let runs = windows * count.div_ceil(self.length);
        let buckets = windows * self.windows.buckets();
        // Scalars and bases; digits, items, keys; counts; buckets; heads of all launches; sums.
        96 * count
            + 12 * self.windows.digits()
            + 4 * self.windows.counts()
            + 128 * buckets
            + 2 * 132 * (runs + windows)
            + 2 * 128 * windows * self.segments
            + 4 * windows
            + 8 * self.chains * chain_words(self.length)
            + 4
    }
}

/// The length of the fewest runs no longer than `longest` that are as long as each other.
fn even_length(count: usize, longest: usize) -> usize {
    count.div_ceil(count.div_ceil(longest)).next_multiple_of(8)
}

/// The width that costs fewest additions: every window adds all bases once, and its buckets, which
/// take longer to weigh, some five times.
fn window_bits(count: usize) -> u32 {
    let cost = |bits: u32| {
        let windows = (SCALAR_BITS / bits + 1) as usize;
        windows * (count + (5 << (bits - 1)))
    };
    (2..=16)
        .min_by_key(|&bits| cost(bits))
        .expect("invariant: not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Spread = Spread {
        work_items: 32,
        units: 2,
        group_size: 1,
    };
    const GPU: Spread = Spread {
        work_items: 1 << 16,
        units: 64,
        group_size: 64,
    };

    #[test]
    fn windows_hold_a_scalar_and_grow_with_the_length() {
        let mut last = 0;
        for log in 0..=26 {
            for spread in [CPU, GPU] {
                let plan = Plan::new(1 << log, spread);
                let Windows { windows, bits, .. } = plan.windows;
                assert!(windows * bits as usize > 254, "{plan:?}");
                assert!((windows - 1) * bits as usize <= 254, "{plan:?}");
                assert!(bits >= last, "{plan:?}");
                assert!(plan.segments.is_power_of_two() && plan.segments <= plan.windows.buckets());
                last = bits;
            }
        }
        assert_eq!(last, 16);
        assert_eq!(window_bits(1), 2);
    }
}
