//! The numbers that the rules turn on.

use std::ops::RangeInclusive;

/// Declares [`Policy`] once: its fields with what they mean, their defaults, and access by name for
/// whoever reads them from a file.
macro_rules! policy {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:expr,
    )+) => {
        /// Times, bounds and weights of the matchmaker. Any values are safe; the defaults suit a network
        /// of machines that prove for seconds to minutes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Policy {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Policy {
            fn default() -> Self {
                Policy { $($name: $default,)+ }
            }
        }

        impl Policy {
            /// All fields, by name, with what they mean.
            pub const FIELDS: &[(&str, &[&str])] = &[$((stringify!($name), &[$($doc),+]),)+];

            /// The value of a field; `None` if there is none of that name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(u64::from(self.$name)),)+
                    _ => None,
                }
            }

            /// Sets a field.
            ///
            /// *Errors*: there is none of that name, or the value does not fit it.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), NotSet> {
                match name {
                    $(stringify!($name) => {
                        self.$name = value.try_into().map_err(|_| NotSet::Range(0..=<$type>::MAX.into()))?;
                    })+
                    _ => return Err(NotSet::Unknown),
                }
                Ok(())
            }
        }
    };
}

/// Why a field was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSet {
    Unknown,
    /// What fits it.
    Range(RangeInclusive<u64>),
}

policy! {
    /// How long a machine may take to answer an offer.
    accept_timeout_ms: u64 = 10_000,
    /// After how long a waiting delegation has a machine held for it when younger ones would pass it.
    patience_ms: u64 = 10_000,
    /// After how long an outcome weighs half in a machine's reputation.
    half_life_ms: u64 = 6 * 60 * 60 * 1000,
    /// With how many items of its operator's record a machine is credited. The more, the longer it is
    /// believed to be what the operator's other machines are.
    prior_items: u32 = 3,
    /// So many failed attempts of one kind in a row, with no more than `quarantine_window_ms` in all between
    /// them, quarantine a machine for that kind; after that each failure does, until an attempt is good.
    quarantine_after: u32 = 3,
    /// See `quarantine_after`.
    quarantine_window_ms: u64 = 60_000,
    /// The first quarantine; each further one without a good attempt between is twice as long, up to
    /// `quarantine_max_ms`. For some machines it is up to a quarter longer, so that not all come back at once.
    quarantine_ms: u64 = 30_000,
    /// See `quarantine_ms`.
    quarantine_max_ms: u64 = 5 * 60 * 1000,
    /// How long a machine that refused a task is not offered that kind; doubles with each further
    /// refusal until it accepts one, up to `pause_max_ms`.
    pause_ms: u64 = 500,
    /// See `pause_ms`.
    pause_max_ms: u64 = 30_000,
    /// What a kind takes is known once so many items of it have come.
    learn_after: u32 = 20,
    /// A task whose script names no timeout has so many times as long as 99 of a hundred items of its kind
    /// would take, for each item that it owes; not less than `timeout_floor_ms`, and not more than a script
    /// has that names none while nothing is known.
    timeout_times: u32 = 4,
    /// See `timeout_times`.
    timeout_floor_ms: u64 = 60_000,
    /// An attempt is a straggler once nothing has come of it for `hedge_percent` of a hundred times as long as
    /// `hedge_quantile` of a hundred items of its kind take, and for `hedge_floor_ms`.
    hedge_quantile: u32 = 95,
    /// See `hedge_quantile`.
    hedge_percent: u32 = 150,
    /// See `hedge_quantile`.
    hedge_floor_ms: u64 = 1_000,
    /// Of a hundred attempts that a seeker was given lately so many may be hedges, and one at a time in any
    /// case. 0: none.
    hedge_share: u32 = 5,
    /// How often a straggler that cannot be hedged is looked at again.
    hedge_again_ms: u64 = 1_000,
    /// So many attempts of a check may fail before its item ends unchecked.
    check_attempts: u32 = 5,
    /// With so many good items an operator is established. 0: everybody is.
    newcomer_items: u32 = 10,
    /// So many of a hundred attempts in flight may be with operators that are not established, and of a
    /// hundred that are handed out; and so many of a hundred tasks look at their machines first.
    newcomer_percent: u32 = 10,
    /// However that is, they get one in this time, if they have none.
    newcomer_every_ms: u64 = 10_000,
}

/// `base` doubled `times` times, at most `max`.
pub(crate) fn doubled(base: u64, times: u32, max: u64) -> u64 {
    base.saturating_mul(1u64.checked_shl(times).unwrap_or(u64::MAX))
        .min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_can_be_read_and_set_by_its_name() {
        let mut policy = Policy::default();
        for (number, (name, meaning)) in (1..).zip(Policy::FIELDS) {
            assert_eq!(policy.set(name, number), Ok(()));
            assert_eq!(policy.get(name), Some(number), "{name}: {meaning:?}");
        }
        let names: std::collections::BTreeSet<_> = Policy::FIELDS.iter().map(|f| f.0).collect();
        assert_eq!(names.len(), Policy::FIELDS.len());
        assert_eq!((policy.accept_timeout_ms, policy.patience_ms), (1, 2));
        assert_eq!(policy.set("patience", 1), Err(NotSet::Unknown));
        assert_eq!(policy.get("patience"), None);
        let range = 0..=u64::from(u32::MAX);
        assert_eq!(
            policy.set("prior_items", 1 << 32),
            Err(NotSet::Range(range))
        );
        assert_eq!(policy.set("patience_ms", u64::MAX), Ok(()));
    }

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
