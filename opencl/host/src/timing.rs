//! How long work takes on a device that has nothing else to do.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::Result;
use crate::field::Field;
use crate::work::Work;

/// What a sample should take at least: a hundred times what it costs to wait for a device.
const SAMPLE: Duration = Duration::from_millis(2);
const MOST_REPEATS: u32 = 1000;

/// The time of one execution, as the median of `runs` samples after one to warm up, in nanoseconds.
pub(crate) fn median_ns<F: Field>(
    engine: &mut Engine,
    work: &mut Work<F>,
    runs: usize,
) -> Result<u64> {
    let samples = samples_ns(engine, runs, |engine| work.enqueue(engine))?;
    Ok(median(samples))
}

/// Samples of the time of one execution, after one to warm up, in nanoseconds.
pub(crate) fn samples_ns(
    engine: &mut Engine,
    runs: usize,
    mut enqueue: impl FnMut(&mut Engine) -> Result<()>,
) -> Result<Vec<u64>> {
    let mut sample = |engine: &mut Engine, repeats: u32| -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..repeats {
            enqueue(engine)?;
        }
        engine.wait()?;
        Ok(start.elapsed() / repeats)
    };
    engine.wait()?;
    let once = sample(engine, 1)?;
    let repeats = SAMPLE.as_nanos().div_ceil(once.as_nanos().max(1));
    let repeats = u32::try_from(repeats).map_or(MOST_REPEATS, |repeats| repeats.min(MOST_REPEATS));
    (0..runs)
        .map(|_| Ok(sample(engine, repeats)?.as_nanos() as u64))
        .collect()
}

/// The middle one, or the upper of the two in the middle.
pub(crate) fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![9, 1, 5, 7]), 7);
        assert_eq!(median(vec![3]), 3);
        assert_eq!(median(Vec::new()), 0);
    }
}
