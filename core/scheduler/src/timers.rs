//! Alarms, in order of time.
//!
//! An owner has at most one, and keeps it itself. What is kept here is at whom to look when: an entry whose
//! alarm was set anew or cleared since stays until it comes up, or until most are such. It does not run: the
//! scheduler asks which are due.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use froben_model::{Kind, MachineId, TimeMs};

use crate::DelegationKey;
use crate::planted::{Bug, planted};

/// Whose alarm it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A delegation that is not over: the end of its wait, of the machine's time to answer, or of the
    /// attempt.
    Delegation(DelegationKey),
    /// A delegation's hedge: the end of its machine's time to answer, or of the attempt.
    Hedge(DelegationKey),
    /// A delegation of which nothing has come for so long that it may be hedged.
    Straggler(DelegationKey),
    /// Stragglers that are to be looked at again.
    Stragglers,
    /// Newcomers that may have an attempt, whatever their share.
    Newcomers,
    /// A machine that is not offered a kind for a while.
    Bench(MachineId, Kind),
}

/// When an owner's alarm rings, if it is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Alarm(Option<TimeMs>);

impl Alarm {
    pub(crate) fn at(self) -> Option<TimeMs> {
        self.0
    }
}

/// The alarms of a delegation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alarms {
    pub(crate) own: Alarm,
    pub(crate) hedge: Alarm,
    pub(crate) straggler: Alarm,
}

impl Alarms {
    /// The one of an attempt at the delegation: of the one beside the first, or of the first.
    pub(crate) fn of_attempt(&mut self, key: DelegationKey, beside: bool) -> (&mut Alarm, Owner) {
        match beside {
            true => (&mut self.hedge, Owner::Hedge(key)),
            false => (&mut self.own, Owner::Delegation(key)),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Entries of windows that have begun, the earliest on top.
    near: BinaryHeap<Reverse<(TimeMs, Owner)>>,
    /// Those of later windows, in no order: most are over before it matters.
    far: BTreeMap<u64, Vec<(TimeMs, Owner)>>,
    /// The first window that has not begun.
    ahead: u64,
    /// How many are in `near` and `far`.
    kept: usize,
    /// How many alarms are set.
    armed: usize,
    /// How many owners were gone through the last time that it was tidied.
    looked_at: usize,
}

/// How much time shares a window.
const WINDOW_MS: u64 = 1024;

/// So many entries are kept that are in vain, however few are not.
const SLACK: usize = 64;

impl Timers {
    /// Sets the owner's alarm, in place of what it was set to.
    pub(crate) fn set(&mut self, alarm: &mut Alarm, owner: Owner, at: TimeMs) {
        let old = alarm.0;
        if planted(Bug::LoseTimer) && old.is_some_and(|old| old < at) {
            return self.clear(alarm);
        }
        alarm.0 = Some(at);
        self.armed += usize::from(old.is_none());
        if old != Some(at) {
            self.keep(at, owner);
        }
    }

    pub(crate) fn clear(&mut self, alarm: &mut Alarm) {
        self.armed -= usize::from(alarm.0.take().is_some());
    }

    /// How many alarms are set.
    pub(crate) fn len(&self) -> usize {
        self.armed
    }

    /// No alarm rings earlier. It may turn out then that none does.
    pub(crate) fn next(&self) -> Option<TimeMs> {
        let near = self.near.peek().map(|Reverse((at, _))| *at);
        let far = self.far.first_key_value();
        let next = near.or(far.map(|(window, _)| window * WINDOW_MS));
        next.filter(|_| self.armed > 0)
    }

    /// Takes the earliest entry that comes up by `now`: [`Timers::rang`] tells whether it is an alarm's.
    pub(crate) fn pop_due(&mut self, now: TimeMs) -> Option<(TimeMs, Owner)> {
        self.open(now);
        self.near.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.kept -= 1;
        self.near.pop().map(|Reverse(due)| due)
    }

    /// Whether the alarm of an entry that came up at `at` rings then, which it has from here on.
    pub(crate) fn rang(&mut self, alarm: &mut Alarm, at: TimeMs) -> bool {
        let rings = alarm.0 == Some(at) || (alarm.0.is_some() && planted(Bug::KeepTimer));
        if rings {
            self.clear(alarm);
        }
        rings
    }

    /// Whether three of four entries are in vain, and more than it takes to go through all owners.
    pub(crate) fn is_untidy(&self) -> bool {
        self.kept > 4 * self.armed + self.looked_at + SLACK
    }

    /// Keeps only `all` alarms that are set. To find them so many owners were gone through.
    pub(crate) fn tidy(&mut self, all: Vec<(TimeMs, Owner)>, looked_at: usize) {
        self.near.clear();
        self.far.clear();
        self.kept = 0;
        self.looked_at = looked_at;
        for (at, owner) in all {
            self.keep(at, owner);
        }
    }

    /// What is kept, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(TimeMs, Owner)> {
        let near = self.near.iter().map(|Reverse(entry)| entry);
        near.chain(self.far.values().flatten())
    }

    fn keep(&mut self, at: TimeMs, owner: Owner) {
        let window = at / WINDOW_MS;
        match window < self.ahead {
            true => self.near.push(Reverse((at, owner))),
            false => self.far.entry(window).or_default().push((at, owner)),
        }
        self.kept += 1;
    }

    /// Begins the windows up to the one that `now` lies in.
    fn open(&mut self, now: TimeMs) {
        self.ahead = self.ahead.max(now / WINDOW_MS + 1);
        while let Some(window) = self.far.first_entry()
            && *window.key() < self.ahead
        {
            self.near.extend(window.remove().into_iter().map(Reverse));
        }
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, WorkflowId};

    use super::*;

    fn owner(call: u64) -> Owner {
        Owner::Delegation(DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        })
    }

    /// Owners with their alarms.
    #[derive(Default)]
    struct Clock {
        timers: Timers,
        alarms: BTreeMap<Owner, Alarm>,
    }

    impl Clock {
        fn set(&mut self, call: u64, at: TimeMs) {
            let alarm = self.alarms.entry(owner(call)).or_default();
            self.timers.set(alarm, owner(call), at);
            self.tidy();
        }

        fn clear(&mut self, call: u64) {
            let alarm = self.alarms.entry(owner(call)).or_default();
            self.timers.clear(alarm);
            self.tidy();
        }

        fn tidy(&mut self) {
            if self.timers.is_untidy() {
                let set = self.alarms.iter();
                let set = set.filter_map(|(owner, alarm)| Some((alarm.at()?, owner.clone())));
                self.timers.tidy(set.collect(), 0);
            }
        }

        fn rings(&mut self, now: TimeMs) -> Option<(TimeMs, Owner)> {
            while let Some((at, owner)) = self.timers.pop_due(now) {
                let alarm = self.alarms.get_mut(&owner).unwrap();
                if self.timers.rang(alarm, at) {
                    return Some((at, owner));
                }
            }
            None
        }
    }

    #[test]
    fn an_owner_has_one_alarm_and_the_earliest_rings_first() {
        let mut clock = Clock::default();
        clock.set(1, 30);
        clock.set(2, 20);
        clock.set(1, 10);
        assert_eq!(clock.timers.next(), Some(0), "its window begins then");
        assert_eq!(clock.rings(9), None);
        assert_eq!(clock.timers.next(), Some(10));
        assert_eq!(clock.rings(40), Some((10, owner(1))));
        assert_eq!(clock.rings(40), Some((20, owner(2))));
        assert_eq!(clock.rings(40), None);
        clock.set(3, 5);
        clock.clear(3);
        assert_eq!((clock.timers.next(), clock.timers.len()), (None, 0));
    }

    #[test]
    fn what_is_not_set_any_more_does_not_pile_up() {
        let mut clock = Clock::default();
        clock.set(0, 1);
        for n in 1..10_000 {
            clock.set(n, 1_000_000 - n);
            clock.set(n, 2_000_000 + n);
            clock.clear(n - n % 2);
            assert_eq!(clock.timers.kept, clock.timers.iter().count());
            assert!(clock.timers.kept <= 4 * clock.timers.len() + SLACK);
        }
        let mut rung = Vec::new();
        while let Some((at, _)) = clock.rings(u64::MAX) {
            rung.push(at);
        }
        assert!(rung.is_sorted() && clock.timers.next().is_none());
        assert_eq!((rung.len(), clock.timers.len()), (5000, 0));
    }

    /// Against a list that is searched each time, over steps from a millisecond to hours.
    #[test]
    fn each_rings_once_in_order_and_never_late() {
        let mut state = 7_u64;
        let mut dice = move |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % n
        };
        let (mut clock, mut plain, mut now) = (Clock::default(), BTreeMap::new(), 0);
        for _ in 0..50_000 {
            let call = dice(40);
            match dice(8) {
                0..=3 => {
                    let at = now + [3, WINDOW_MS, 20 * WINDOW_MS][dice(3) as usize] * dice(4);
                    clock.set(call, at);
                    plain.insert(owner(call), at);
                }
                4..=5 => {
                    clock.clear(call);
                    plain.remove(&owner(call));
                }
                _ => {
                    now += [1, WINDOW_MS / 3, 5 * WINDOW_MS, 1000 * WINDOW_MS][dice(4) as usize];
                    while let Some(rung) = clock.rings(now) {
                        let first = plain.iter().map(|(owner, at)| (*at, owner.clone()));
                        assert_eq!(Some(&rung), first.min().as_ref());
                        plain.remove(&rung.1);
                    }
                    assert!(clock.timers.next().is_none_or(|next| next > now));
                }
            }
            let (next, first) = (clock.timers.next(), plain.values().min().copied());
            assert!(first.is_none_or(|at| at > now || next <= Some(at)));
            assert!(next.is_none_or(|next| first.is_some_and(|at| next <= at)));
            assert_eq!(clock.timers.len(), plain.len());
        }
    }
}
