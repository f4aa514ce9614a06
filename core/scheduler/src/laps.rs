//! How long the items of an attempt took, told from when they came.

use froben_model::TimeMs;

/// Items that come closer together than this part of what the one before took were done side by side.
const SIDE_BY_SIDE: u64 = 8;

/// Times the items of one attempt.
///
/// A machine that does one item after the other took for each the time since the one before it, or since
/// the attempt began. One that does several side by side sends them in a burst; each of those took as long
/// as the burst was awaited. Nobody tells which it is, so what comes at once behind an item counts as done
/// beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laps {
    last_ms: TimeMs,
    took_ms: u64,
}

impl Laps {
    pub fn begin(now: TimeMs) -> Self {
        Laps {
            last_ms: now,
            took_ms: 0,
        }
    }

    /// An item has come: how long it took.
    pub fn lap(&mut self, now: TimeMs) -> u64 {
        let since = now.saturating_sub(self.last_ms);
        self.took_ms = match since < self.took_ms / SIDE_BY_SIDE {
            true => self.took_ms + since,
            false => since,
        };
        self.last_ms = now;
        self.took_ms
    }

    /// When something last came of the attempt: an item, or its beginning.
    pub(crate) fn last_ms(&self) -> TimeMs {
        self.last_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(came: &[TimeMs]) -> Vec<u64> {
        let mut laps = Laps::begin(1000);
        came.iter().map(|at| laps.lap(*at)).collect()
    }

    #[test]
    fn one_after_the_other_and_side_by_side() {
        assert_eq!(times(&[3000, 5500, 7000]), [2000, 2500, 1500]);
        // Three at once, then three more.
        assert_eq!(
            times(&[11_000, 11_200, 11_300, 21_000, 21_100, 21_900]),
            [10_000, 10_200, 10_300, 9_700, 9_800, 10_600]
        );
        assert_eq!(times(&[1000, 1000, 900]), [0, 0, 0]);
    }
}
