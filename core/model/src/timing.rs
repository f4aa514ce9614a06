//! How long things take, counted in steps of a logarithm.

/// A span of time, known to within a sixteenth: the unit of quantile sketches.
///
/// *Source*: the log-linear buckets of HdrHistogram with eight steps for each power of two, so that a
/// bucket's middle is at most 1/16 off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeBucket(pub u8);

/// Steps for each power of two.
const STEPS: u32 = 8;

impl TimeBucket {
    /// The last one: from 2^33 ms, a hundred days, on.
    pub const MAX: TimeBucket = TimeBucket(255);

    pub fn of_ms(ms: u64) -> TimeBucket {
        if ms < u64::from(STEPS) {
            return TimeBucket(ms as u8);
        }
        // At least 3: the value has its highest bit there, and three bits below it are kept.
        let high = ms.ilog2();
        let step = (ms >> (high - 3)) - u64::from(STEPS);
        let bucket = u64::from(high - 2) * u64::from(STEPS) + step;
        TimeBucket(u8::try_from(bucket).unwrap_or(u8::MAX))
    }

    /// The shortest time in it.
    pub fn floor_ms(self) -> u64 {
        let (octave, step) = (
            u32::from(self.0) / STEPS,
            u64::from(self.0) % u64::from(STEPS),
        );
        match octave {
            0 => step,
            _ => (u64::from(STEPS) + step) << (octave - 1),
        }
    }

    /// The middle of it.
    pub fn middle_ms(self) -> u64 {
        let next = match self.0.checked_add(1) {
            Some(next) => TimeBucket(next).floor_ms(),
            None => return self.floor_ms(),
        };
        self.floor_ms() + (next - self.floor_ms()) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_know_a_time_to_a_sixteenth() {
        let mut before = TimeBucket(0);
        for ms in
            (0..5000).chain((13..33).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 3 << (bit - 1)]))
        {
            let bucket = TimeBucket::of_ms(ms);
            assert!(bucket.floor_ms() <= ms, "{ms}");
            let off = bucket.middle_ms().abs_diff(ms);
            assert!(off * 16 <= ms, "{ms}: off by {off}");
            if ms < 5000 {
                assert!(bucket == before || bucket.0 == before.0 + 1, "{ms}");
                before = bucket;
            }
        }
        assert_eq!(TimeBucket::of_ms(u64::MAX), TimeBucket::MAX);
        assert_eq!(TimeBucket::of_ms(1 << 34), TimeBucket::MAX);
        for bucket in 0..=u8::MAX {
            assert_eq!(
                TimeBucket::of_ms(TimeBucket(bucket).floor_ms()),
                TimeBucket(bucket)
            );
        }
    }
}
