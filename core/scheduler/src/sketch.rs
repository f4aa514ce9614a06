//! A quantile sketch: how often an amount of which size was seen, lately.

use froben_model::TimeBucket;

/// Counts by [`TimeBucket`]. It holds a bounded number of the last amounts: when there are more, each count
/// is halved, so that what is new outweighs what is old.
///
/// An amount is a time in milliseconds; buckets know any whole number to within a sixteenth, so that memory
/// in KiB is as good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Ascending; none is 0.
    counts: Vec<(TimeBucket, u32)>,
    total: u64,
}

impl Sketch {
    /// `window`: how many amounts it holds at most.
    pub(crate) fn add(&mut self, bucket: TimeBucket, times: u32, window: u32) {
        if times == 0 {
            return;
        }
        match self.counts.binary_search_by_key(&bucket, |(b, _)| *b) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(times),
            Err(at) => self.counts.insert(at, (bucket, times)),
        }
        self.total = self.total.saturating_add(u64::from(times));
        while self.total > u64::from(window.max(1)) {
            self.counts.iter_mut().for_each(|(_, count)| *count /= 2);
            self.counts.retain(|(_, count)| *count > 0);
            self.total = self.sum();
        }
    }

    fn sum(&self) -> u64 {
        self.counts.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// How many amounts it holds.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The bucket below or in which `percent` of all amounts lie; `None` if there are none.
    pub(crate) fn quantile(&self, percent: u32) -> Option<TimeBucket> {
        let rank = (self.total * u64::from(percent.min(100))).div_ceil(100);
        let (mut below, mut above) = (0, self.total);
        // From the end that is nearer to it.
        let found = match percent <= 50 {
            true => self.counts.iter().find(|(_, count)| {
                below += u64::from(*count);
                below >= rank
            }),
            false => self.counts.iter().rev().find(|(_, count)| {
                above -= u64::from(*count);
                above < rank
            }),
        };
        found.map(|(bucket, _)| *bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(amounts: impl IntoIterator<Item = u64>, window: u32) -> Sketch {
        let mut sketch = Sketch::default();
        for amount in amounts {
            sketch.add(TimeBucket::of_ms(amount), 1, window);
        }
        sketch
    }

    #[test]
    fn quantiles_are_those_of_the_amounts_to_within_a_sixteenth() {
        // 1 to 1000 in an order that is not theirs.
        let sketch = of((0..1000).map(|n| (n * 7919) % 1000 + 1), 1000);
        assert_eq!(sketch.total(), 1000);
        for percent in [1, 10, 50, 90, 95, 99, 100] {
            let exact = u64::from(percent) * 10;
            let found = sketch.quantile(percent).unwrap();
            assert_eq!(found, TimeBucket::of_ms(exact), "{percent}");
            assert!(found.middle_ms().abs_diff(exact) * 16 <= exact);
        }
        assert_eq!(sketch.quantile(0), Some(TimeBucket::of_ms(1)));
        assert_eq!(Sketch::default().quantile(50), None);
    }

    #[test]
    fn what_is_new_outweighs_what_is_old_and_the_rest_is_forgotten() {
        let mut sketch = of([10; 1000], 100);
        assert!(sketch.total() <= 100);
        (0..70).for_each(|_| sketch.add(TimeBucket::of_ms(5000), 1, 100));
        assert_eq!(sketch.quantile(50), Some(TimeBucket::of_ms(5000)));
        assert_eq!(sketch.quantile(1), Some(TimeBucket::of_ms(10)));
        (0..1000).for_each(|_| sketch.add(TimeBucket::of_ms(5000), 1, 100));
        assert_eq!(sketch.quantile(0), Some(TimeBucket::of_ms(5000)));
    }

    #[test]
    fn extremes_fit() {
        let mut sketch = Sketch::default();
        sketch.add(TimeBucket::MAX, u32::MAX, u32::MAX);
        sketch.add(TimeBucket::MAX, u32::MAX, 7);
        assert!(sketch.total() <= 7 && sketch.quantile(99) == Some(TimeBucket::MAX));
        sketch.add(TimeBucket(0), 1, 0);
        assert!(sketch.total() <= 1);
    }
}
