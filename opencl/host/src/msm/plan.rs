//! How a multi-scalar multiplication is cut into windows, runs and segments. No device here.

use crate::driver::launch::msm::{Windows, chain_words};
use crate::tune::MsmTuning;

/// Bits of a scalar: the group's order is below two to this.
const SCALAR_BITS: u32 = 254;

/// Bits of a window, at least and at most.
const WINDOW_BITS: (u32, u32) = (2, 16);

/// Windows of the narrowest.
const MOST_WINDOWS: usize = (SCALAR_BITS / WINDOW_BITS.0 + 1) as usize;

/// Entries of a run of heads.
pub(super) const HEADS: usize = 32;

/// Sums that one work-item adds up.
pub(super) const SUMS: usize = 32;

/// Runs that a window is sorted in at most: each has a count for every bucket.
const MAX_PARTS: usize = 16;

/// How work is spread over a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Compute units. One of a processor is a thread, and a few times as many tasks even them out; one of a
    /// GPU hides its latencies behind as many groups.
    pub(crate) units: usize,
    pub(crate) tuning: MsmTuning,
    /// Whether a work-item computes in vectors.
    pub(crate) in_vectors: bool,
}

impl Spread {
    const fn group_size(self) -> usize {
        self.tuning.group_size as usize
    }

    /// Groups that keep the device busy.
    const fn groups(self) -> usize {
        self.tuning.groups as usize * self.units
    }

    /// Work-items that keep the device busy.
    const fn work_items(self) -> usize {
        self.groups() * self.group_size()
    }
}

/// The sizes of one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) windows: Windows,
    /// Entries that one work-item adds up at a time.
    pub(crate) length: usize,
    /// Work-items that add up bases in chains of affine additions, or zero for other ways.
    pub(crate) chains: usize,
    /// Segments of a window's buckets, or of the sums of their grid.
    pub(crate) segments: usize,
    /// How buckets are weighed, if not one after the other.
    pub(crate) grid: Option<Grid>,
}

/// The buckets of a window as rows and columns, each of which is a list to be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Of the rows, base two.
    pub(crate) log_width: u32,
    /// Entries that one work-item adds up at a time.
    pub(crate) length: usize,
}

/// Fewer buckets are weighed one after the other.
const LEAST_GRID: usize = 256;

impl Plan {
    pub(crate) fn new(count: usize, spread: Spread) -> Self {
        let default = window_bits(count, 1, spread);
        let bits = default.saturating_add_signed(spread.tuning.wider(count));
        let bits = bits.clamp(WINDOW_BITS.0, WINDOW_BITS.1);
        Self::cut(count, bits, 1, spread)
    }

    /// Of bases whose multiples are at hand: as many as [`Plan::new`] has windows are as good as more.
    pub(crate) fn fixed(count: usize, multiples: usize, spread: Spread) -> Self {
        let multiples = multiples.clamp(1, MOST_WINDOWS);
        Self::cut(
            count,
            window_bits(count, multiples, spread),
            multiples,
            spread,
        )
    }

    /// Of windows of so many bits.
    pub(super) fn cut(count: usize, bits: u32, multiples: usize, spread: Spread) -> Self {
        let digits = (SCALAR_BITS / bits + 1) as usize;
        let windows = digits.div_ceil(multiples);
        // Of as many windows, with as few multiples as can be.
        let multiples = digits.div_ceil(windows);
        let count = count * multiples;
        let group_size = spread.group_size();
        let part_items = 64 * group_size;
        let windows = Windows {
            windows,
            bits,
            count,
            multiples,
            parts: spread
                .groups()
                .div_ceil(windows)
                .clamp(1, count.div_ceil(part_items).min(MAX_PARTS)),
        };
        let grid = (spread.in_vectors && windows.buckets() >= LEAST_GRID)
            .then(|| Grid::new(windows, spread));
        let per_window = spread.work_items().div_ceil(windows.windows);
        // A segment pays for its place with some twenty additions.
        let weighed = grid.map_or(windows.buckets(), |grid| 1 << grid.log_width);
        let most_segments = (weighed / 32).max(1);
        let run = spread.tuning.run as usize;
        Self {
            windows,
            length: if group_size == 1 {
                run_length(count, per_window, run)
            } else {
                count.div_ceil(per_window).clamp(32, run)
            },
            chains: if spread.in_vectors { spread.units } else { 0 },
            segments: per_window.next_power_of_two().min(most_segments),
            grid,
        }
    }

    /// Launches that it takes.
    pub(crate) fn launches(&self) -> usize {
        let windows = self.windows;
        // Digits, and the three that sort them.
        let sorted = 4 + runs(windows.count, self.length);
        match self.grid {
            None => sorted + self.weighing(),
            // The grid's lists, which are added up and weighed in the place of the buckets.
            Some(grid) => {
                let lists = grid.lists(windows);
                sorted + 1 + runs(lists.count, grid.length) + self.weighing()
            }
        }
    }

    /// Launches that weigh buckets.
    fn weighing(&self) -> usize {
        let (mut launches, mut left) = (1, self.segments);
        while left > 1 {
            launches += 1;
            left /= left.min(SUMS);
        }
        launches
    }

    /// Bytes on the device, scalars and bases among them, but no other multiples; an upper bound.
    pub(crate) const fn bytes(&self) -> usize {
        let Windows { count, windows, .. } = self.windows;
        let runs = windows * count.div_ceil(self.length);
        // Scalars and bases; digits, items, keys; counts; buckets; heads of all launches; sums.
        96 * self.windows.scalars()
            + 12 * self.windows.digits()
            + 4 * self.windows.counts()
            + self.bucket_bytes()
            + 2 * 132 * (runs + windows)
            + 2 * 128 * windows * self.segments
            + 4 * windows
            + self.scratch_bytes()
            + 4
            + match self.grid {
                None => 0,
                Some(grid) => grid.bytes(self.windows),
            }
    }

    /// Bytes of the largest buffer, bases left out.
    pub(crate) fn largest_bytes(&self) -> usize {
        let Windows { count, windows, .. } = self.windows;
        let heads = 128 * windows * count.div_ceil(self.length);
        let all = [
            32 * self.windows.scalars(),
            4 * self.windows.digits(),
            4 * self.windows.counts(),
            // Twice the buckets' numbers are smaller than the buckets.
            self.bucket_bytes(),
            heads,
            self.scratch_bytes(),
        ];
        all.into_iter().max().unwrap_or(0)
    }

    const fn bucket_bytes(&self) -> usize {
        128 * self.windows.windows * self.windows.buckets()
    }

    const fn scratch_bytes(&self) -> usize {
        let mut length = self.length;
        if let Some(grid) = self.grid
            && grid.length > length
        {
            length = grid.length;
        }
        8 * self.chains * chain_words(length)
    }
}

impl Grid {
    pub(crate) fn new(windows: Windows, spread: Spread) -> Self {
        let (lists, count) = (2 * windows.windows, windows.buckets());
        let per_list = spread.work_items().div_ceil(lists);
        Self {
            log_width: (windows.bits - 1).div_ceil(2),
            length: run_length(count, per_list, spread.tuning.run as usize),
        }
    }

    /// The lists of rows and of columns, as windows whose digits are buckets.
    pub(crate) const fn lists(self, windows: Windows) -> Windows {
        Windows {
            windows: 2 * windows.windows,
            bits: self.log_width + 1,
            count: windows.buckets(),
            multiples: 1,
            parts: 1,
        }
    }

    /// Bytes on the device beside those of the buckets.
    const fn bytes(self, windows: Windows) -> usize {
        let lists = self.lists(windows);
        let runs = lists.windows * lists.count.div_ceil(self.length);
        8 * lists.digits()
            + 4 * lists.windows
            + 132 * lists.counts()
            + 2 * 132 * (runs + lists.windows)
    }
}

/// Launches that add up a list of so many entries, in runs of `length` and then in runs of heads.
fn runs(count: usize, length: usize) -> usize {
    let (mut launches, mut left, mut length) = (1, count, length);
    while left > length {
        launches += 1;
        (left, length) = (left.div_ceil(length), HEADS);
    }
    launches
}

/// Entries of a run where work-items are threads: so that there are `runs` of them, none too long.
fn run_length(count: usize, runs: usize, longest: usize) -> usize {
    even_length(count, count.div_ceil(runs).clamp(64, longest))
}

/// The length of the fewest runs no longer than `longest` that are as long as each other.
fn even_length(count: usize, longest: usize) -> usize {
    count.div_ceil(count.div_ceil(longest)).next_multiple_of(8)
}

/// The width that costs fewest additions: every digit adds a base once, and a bucket costs a few more to be
/// weighed.
fn window_bits(count: usize, multiples: usize, spread: Spread) -> u32 {
    let of_bucket = if spread.in_vectors { 2 } else { 5 };
    let cost = |bits: u32| {
        let digits = (SCALAR_BITS / bits + 1) as usize;
        digits * count + digits.div_ceil(multiples) * (of_bucket << (bits - 1))
    };
    (WINDOW_BITS.0..=WINDOW_BITS.1)
        .min_by_key(|&bits| cost(bits))
        .expect("invariant: not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Spread = Spread {
        units: 2,
        tuning: MsmTuning {
            group_size: 1,
            groups: 16,
            run: 32768,
            wider: [0; 4],
        },
        in_vectors: true,
    };
    const GPU: Spread = Spread {
        units: 64,
        tuning: MsmTuning {
            group_size: 64,
            groups: 16,
            run: 1024,
            wider: [0; 4],
        },
        in_vectors: false,
    };

    #[test]
    fn windows_are_as_much_wider_as_was_measured_at_the_nearest_length() {
        let tuned = |wider| Spread {
            tuning: MsmTuning {
                wider,
                ..CPU.tuning
            },
            ..CPU
        };
        for (log, at) in [
            (0, 0),
            (12, 0),
            (13, 1),
            (14, 1),
            (15, 2),
            (16, 2),
            (17, 3),
            (18, 3),
            (22, 3),
        ] {
            let mut wider = [0; 4];
            wider[at] = 2;
            let (plan, default) = (Plan::new(1 << log, tuned(wider)), Plan::new(1 << log, CPU));
            let expected = (default.windows.bits + 2).min(16);
            assert_eq!(plan.windows.bits, expected, "2^{log}");
            wider[at] = -100;
            let narrow = Plan::new(1 << log, tuned(wider)).windows;
            assert_eq!(narrow.bits, 2, "2^{log}");
            assert!(narrow.windows * 2 > 254);
        }
    }

    #[test]
    fn windows_hold_a_scalar_and_grow_with_the_length() {
        for spread in [CPU, GPU] {
            let mut last = 0;
            for log in 0..=26 {
                let plan = Plan::new(1 << log, spread);
                let Windows { windows, bits, .. } = plan.windows;
                assert!(windows * bits as usize > 254, "{plan:?}");
                assert!((windows - 1) * bits as usize <= 254, "{plan:?}");
                assert!(bits >= last, "{plan:?}");
                assert!(plan.segments.is_power_of_two() && plan.segments <= plan.windows.buckets());
                last = bits;
            }
            assert_eq!(last, 16);
        }
        assert_eq!(window_bits(1, 1, CPU), 2);
    }

    #[test]
    fn multiples_share_windows_and_none_is_idle() {
        for (count, multiples) in [(1, 1), (1, 300), (300, 3), (1 << 16, 4), (1 << 18, 100)] {
            for spread in [CPU, GPU] {
                let plan = Plan::fixed(count, multiples, spread);
                let windows = plan.windows;
                assert_eq!(windows.scalars(), count, "{plan:?}");
                assert!(windows.multiples <= multiples, "{plan:?}");
                let digits = (254 / windows.bits + 1) as usize;
                assert!(windows.windows * windows.multiples >= digits, "{plan:?}");
                assert!(
                    windows.windows * (windows.multiples - 1) < digits,
                    "{plan:?}"
                );
                assert!(plan.segments.is_power_of_two() && plan.segments <= windows.buckets());
                assert!(plan.largest_bytes() <= plan.bytes(), "{plan:?}");
            }
        }
        let plain = Plan::new(1 << 16, CPU).windows;
        let shared = Plan::fixed(1 << 16, 100, CPU).windows;
        assert_eq!(shared.windows, 1);
        assert!(shared.bits > plain.bits && shared.multiples < plain.windows);
        assert_eq!(Plan::fixed(1 << 16, 1, CPU).windows, plain);
    }
}
