//! Alarms: at most one per owner, in order of time.
//!
//! It does not run: the scheduler asks which are due.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use froben_model::{Kind, MachineId, TimeMs};
use rustc_hash::FxHashMap;

use crate::DelegationKey;
use crate::planted::{Bug, planted};

/// Whose alarm it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_owner: FxHashMap<Owner, TimeMs>,
    /// Those of windows that have begun, the earliest on top. Here and in `far`, an alarm that was set anew or
    /// cleared stays until it comes up, or until one is set or cleared and most are such.
    near: BinaryHeap<Reverse<(TimeMs, Owner)>>,
    /// Those of later windows, in no order: most are cleared before it matters.
    far: BTreeMap<u64, Vec<(TimeMs, Owner)>>,
    /// The first window that has not begun.
    ahead: u64,
    /// How many are in `near` and `far`.
    kept: usize,
}

/// How much time shares a window.
const WINDOW_MS: u64 = 1024;

/// So many that are not in force are kept however few are.
const SLACK: usize = 64;

impl Timers {
    /// Sets the owner's alarm, in place of the one it had.
    pub(crate) fn set(&mut self, owner: Owner, at: TimeMs) {
        let old = self.by_owner.insert(owner.clone(), at);
        if planted(Bug::LoseTimer) && old.is_some_and(|old| old < at) {
            self.by_owner.remove(&owner);
        } else if old != Some(at) {
            self.keep(at, owner);
        }
        self.tidy();
    }

    pub(crate) fn clear(&mut self, owner: &Owner) {
        if self.by_owner.remove(owner).is_some() {
            self.tidy();
        }
    }

    pub(crate) fn get(&self, owner: &Owner) -> Option<TimeMs> {
        self.by_owner.get(owner).copied()
    }

    /// No alarm rings earlier. It may turn out then that none does.
    pub(crate) fn next(&self) -> Option<TimeMs> {
        let near = self.near.peek().map(|Reverse((at, _))| *at);
        let far = self.far.first_key_value();
        let next = near.or(far.map(|(window, _)| window * WINDOW_MS));
        next.filter(|_| !self.by_owner.is_empty())
    }

    /// Takes the earliest alarm that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: TimeMs) -> Option<(TimeMs, Owner)> {
        self.open(now);
        while let Some(Reverse((at, _))) = self.near.peek()
            && *at <= now
        {
            let Reverse((at, owner)) = self.near.pop()?;
            self.kept -= 1;
            if self.by_owner.get(&owner) == Some(&at) {
                self.by_owner.remove(&owner);
                return Some((at, owner));
            }
        }
        None
    }

    /// In no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Owner, TimeMs)> {
        self.by_owner.iter().map(|(owner, at)| (owner, *at))
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

    /// Keeps only those that are in force, once most are not.
    fn tidy(&mut self) {
        if self.kept <= 2 * self.by_owner.len() + SLACK {
            return;
        }
        self.near.clear();
        self.far.clear();
        self.kept = 0;
        let in_force: Vec<_> = self.iter().map(|(owner, at)| (at, owner.clone())).collect();
        for (at, owner) in in_force {
            self.keep(at, owner);
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

    #[test]
    fn an_owner_has_one_alarm_and_the_earliest_rings_first() {
        let mut timers = Timers::default();
        timers.set(owner(1), 30);
        timers.set(owner(2), 20);
        timers.set(owner(1), 10);
        assert_eq!(timers.next(), Some(0), "its window begins then");
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop_due(40), Some((10, owner(1))));
        assert_eq!(timers.pop_due(40), Some((20, owner(2))));
        assert_eq!(timers.pop_due(40), None);
        timers.set(owner(3), 5);
        timers.clear(&owner(3));
        assert_eq!((timers.next(), timers.get(&owner(3))), (None, None));
    }

    #[test]
    fn what_is_not_in_force_does_not_pile_up() {
        let mut timers = Timers::default();
        timers.set(owner(0), 1);
        for n in 1..10_000 {
            timers.set(owner(n), 1_000_000 - n);
            timers.set(owner(n), 2_000_000 + n);
            timers.clear(&owner(n - n % 2));
            let (near, far) = (timers.near.len(), timers.far.values().map(Vec::len));
            assert_eq!(timers.kept, near + far.sum::<usize>());
            assert!(timers.kept <= 2 * timers.by_owner.len() + SLACK);
        }
        let mut rung = Vec::new();
        while let Some((at, _)) = timers.pop_due(u64::MAX) {
            rung.push(at);
        }
        assert!(rung.is_sorted() && timers.by_owner.is_empty() && timers.next().is_none());
        assert_eq!(rung.len(), 5000);
    }

    /// Against a list that is searched each time, over steps from a millisecond to hours.
    #[test]
    fn each_rings_once_in_order_and_never_late() {
        let mut state = 7_u64;
        let mut dice = move |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % n
        };
        let (mut timers, mut plain, mut now) = (Timers::default(), BTreeMap::new(), 0);
        for _ in 0..50_000 {
            let call = dice(40);
            match dice(8) {
                0..=3 => {
                    let at = now + [3, WINDOW_MS, 20 * WINDOW_MS][dice(3) as usize] * dice(4);
                    timers.set(owner(call), at);
                    plain.insert(owner(call), at);
                }
                4..=5 => {
                    timers.clear(&owner(call));
                    plain.remove(&owner(call));
                }
                _ => {
                    now += [1, WINDOW_MS / 3, 5 * WINDOW_MS, 1000 * WINDOW_MS][dice(4) as usize];
                    while let Some(rung) = timers.pop_due(now) {
                        let first = plain.iter().map(|(owner, at)| (*at, owner.clone()));
                        assert_eq!(Some(&rung), first.min().as_ref());
                        plain.remove(&rung.1);
                    }
                    assert!(timers.next().is_none_or(|next| next > now));
                }
            }
            let first = plain.values().min().copied();
            assert!(first.is_none_or(|at| at > now || timers.next() <= Some(at)));
            assert!(
                timers
                    .next()
                    .is_none_or(|next| first.is_some_and(|at| next <= at))
            );
            assert_eq!(timers.by_owner.len(), plain.len());
        }
    }
}
