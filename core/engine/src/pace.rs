//! Doing in bursts what comes in floods: whoever has had many within a moment lets the rest of the moment
//! pass, and takes all that has come by then together. Whoever has few is not held up at all.

use std::time::{Duration, Instant};

/// When a thread takes up what has come for it.
#[derive(Debug)]
pub(crate) struct Pace {
    moment: Duration,
    /// So many within a moment are a flood.
    many: usize,
    since: Instant,
    done: usize,
}

impl Pace {
    pub(crate) fn new(moment: Duration, many: usize, now: Instant) -> Pace {
        Pace {
            moment,
            many,
            since: now,
            done: 0,
        }
    }

    /// How long to wait at `now` before what has come is taken up.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        let over = self.since + self.moment;
        let wait = match self.done >= self.many {
            true => over.saturating_duration_since(now),
            false => Duration::ZERO,
        };
        if now + wait >= over {
            (self.since, self.done) = (now + wait, 0);
        }
        wait
    }

    /// So many were taken up together.
    pub(crate) fn did(&mut self, count: usize) {
        self.done += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn few_are_never_held_up_and_many_wait_for_the_end_of_the_moment() {
        let start = Instant::now();
        let mut pace = Pace::new(5 * MS, 10, start);
        // Nine in each moment, one after the other.
        for ms in 0..20 {
            let now = start + ms * MS / 2;
            assert_eq!(pace.wait(now), Duration::ZERO, "at {ms}");
            pace.did(usize::from(ms % 10 != 9));
        }
        let now = start + 12 * MS;
        assert_eq!(pace.wait(now), Duration::ZERO);
        pace.did(4);
        assert_eq!(pace.wait(now + MS), Duration::ZERO, "four are not many");
        pace.did(100);
        let wait = pace.wait(now + 2 * MS);
        assert!(wait > Duration::ZERO && wait <= 5 * MS, "{wait:?}");
        // However many came before: a moment is enough.
        let next = now + 2 * MS + wait;
        assert_eq!(pace.wait(next), Duration::ZERO);
        pace.did(10);
        assert_eq!(pace.wait(next + 2 * MS), 3 * MS);
        pace.did(10);
        assert_eq!(pace.wait(next + 60 * MS), Duration::ZERO, "long ago");
    }
}
