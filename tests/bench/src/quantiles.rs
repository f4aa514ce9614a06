//! Durations and what most of them stay below.

use std::fmt;
use std::time::Duration;

/// All durations of one round, exact: a histogram's rounding would hide what a tail is made of.
#[derive(Debug, Clone, Default)]
pub struct Durations(Vec<u32>);

impl Durations {
    /// Longer ones than 4 s count as 4 s.
    pub fn add(&mut self, duration: Duration) {
        self.0
            .push(u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX));
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.iter().map(|nanos| u64::from(*nanos)).sum())
    }

    pub fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let at = |share: f64| {
            let last = self.0.len().saturating_sub(1);
            let nanos = self.0.get((last as f64 * share).round() as usize);
            Duration::from_nanos(u64::from(nanos.copied().unwrap_or(0)))
        };
        Quantiles {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
    pub max: Duration,
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantiles {
            p50,
            p99,
            p999,
            max,
        } = self;
        write!(
            f,
            "p50 {p50:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}, max {max:.1?}"
        )
    }
}

/// The middle one of several rounds.
///
/// *Panics*: if there was none.
pub fn median<T: Copy + PartialOrd>(rounds: &[T]) -> T {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(|a, b| a.partial_cmp(b).expect("figures are numbers"));
    rounds[rounds.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members_of_the_sample() {
        let mut durations = Durations::default();
        for ms in (1..=1000).rev() {
            durations.add(Duration::from_millis(ms));
        }
        assert_eq!(durations.count(), 1000);
        assert_eq!(durations.total(), Duration::from_millis(500_500));
        let Quantiles {
            p50,
            p99,
            p999,
            max,
        } = durations.quantiles();
        let ms = [p50, p99, p999, max].map(|at| at.as_millis());
        assert_eq!(ms, [501, 990, 999, 1000]);
        assert_eq!(Durations::default().quantiles().max, Duration::ZERO);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
