//! Alarms: at most one per owner, in order of time.
//!
//! It does not run: the scheduler asks which are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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
    /// By time, the earliest on top. An alarm that was set anew or cleared stays in it until it comes up, or
    /// until there are too many of these; the one on top is always in force.
    by_time: BinaryHeap<Reverse<(TimeMs, Owner)>>,
}

/// So many that are not in force are kept however few are.
const SLACK: usize = 64;

impl Timers {
    /// Sets the owner's alarm, in place of the one it had.
    pub(crate) fn set(&mut self, owner: Owner, at: TimeMs) {
        let old = self.by_owner.insert(owner.clone(), at);
        if planted(Bug::LoseTimer) && old.is_some_and(|old| old < at) {
            self.by_owner.remove(&owner);
        } else if old != Some(at) {
            self.by_time.push(Reverse((at, owner)));
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

    pub(crate) fn next(&self) -> Option<TimeMs> {
        self.by_time.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the earliest alarm that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: TimeMs) -> Option<(TimeMs, Owner)> {
        if self.next()? > now {
            return None;
        }
        let Reverse((at, owner)) = self.by_time.pop()?;
        self.by_owner.remove(&owner);
        self.tidy();
        Some((at, owner))
    }

    /// In no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Owner, TimeMs)> {
        self.by_owner.iter().map(|(owner, at)| (owner, *at))
    }

    fn tidy(&mut self) {
        while let Some(Reverse((at, owner))) = self.by_time.peek()
            && self.by_owner.get(owner) != Some(at)
        {
            self.by_time.pop();
        }
        if self.by_time.len() > 2 * self.by_owner.len() + SLACK {
            let in_force = self.by_owner.iter();
            let in_force = in_force.map(|(owner, at)| Reverse((*at, owner.clone())));
            self.by_time = in_force.collect();
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
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop_due(9), None);
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
            assert!(timers.by_time.len() <= 2 * timers.by_owner.len() + SLACK);
        }
        let mut rung = Vec::new();
        while let Some((at, _)) = timers.pop_due(u64::MAX) {
            rung.push(at);
        }
        assert!(rung.is_sorted() && timers.by_owner.is_empty() && timers.next().is_none());
        assert_eq!(rung.len(), 5000);
    }
}
