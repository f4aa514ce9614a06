//! The numbers that the rules turn on.

/// Times and weights of the matchmaker. Any values are safe; these defaults suit a network of machines
/// that prove for seconds to minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a machine may take to answer an offer.
    pub accept_timeout_ms: u64,
    /// After how long a waiting delegation has a machine held for it when younger ones would pass it.
    pub patience_ms: u64,
    /// After how long an outcome weighs half in a machine's reputation.
    pub half_life_ms: u64,
    /// With how many good items a newcomer is credited. The more, the longer a bad one is believed.
    pub prior_items: u32,
    /// So many failed attempts of one kind in a row within `quarantine_window_ms` quarantine a machine
    /// for that kind.
    pub quarantine_after: u32,
    pub quarantine_window_ms: u64,
    /// The first quarantine; each further one without a good attempt between is twice as long, up to
    /// `quarantine_max_ms`.
    pub quarantine_ms: u64,
    pub quarantine_max_ms: u64,
    /// How long a machine that refused a task is not offered that kind; doubles with each further
    /// refusal until it accepts one, up to `pause_max_ms`.
    pub pause_ms: u64,
    pub pause_max_ms: u64,
    /// What a kind takes is known once so many items of it have come.
    pub learn_after: u32,
    /// A task whose script names no timeout has so many times as long as 99 of a hundred items of its kind
    /// would take, for each item that it owes; not less than `timeout_floor_ms`, and not more than
    /// [`froben_model::limits::DEFAULT_TIMEOUT_MS`].
    pub timeout_times: u32,
    pub timeout_floor_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            accept_timeout_ms: 10_000,
            patience_ms: 10_000,
            half_life_ms: 6 * 60 * 60 * 1000,
            prior_items: 3,
            quarantine_after: 3,
            quarantine_window_ms: 60_000,
            quarantine_ms: 30_000,
            quarantine_max_ms: 10 * 60 * 1000,
            pause_ms: 500,
            pause_max_ms: 30_000,
            learn_after: 20,
            timeout_times: 4,
            timeout_floor_ms: 60_000,
        }
    }
}

/// `base` doubled `times` times, at most `max`.
pub(crate) fn doubled(base: u64, times: u32, max: u64) -> u64 {
    base.saturating_mul(1u64.checked_shl(times).unwrap_or(u64::MAX))
        .min(max)
}

#[cfg(test)]
mod tests {
    use super::doubled;

    #[test]
    fn doubling_stops_at_the_limit() {
        for (times, expected) in [
            (0, 500),
            (1, 1000),
            (6, 30_000),
            (64, 30_000),
            (u32::MAX, 30_000),
        ] {
            assert_eq!(doubled(500, times, 30_000), expected, "{times}");
        }
        assert_eq!(doubled(0, 100, 30_000), 0);
    }
}
