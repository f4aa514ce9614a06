//! Alarms: at most one per owner, in order of time.
//!
//! It does not run: the scheduler asks which are due.

use std::collections::{BTreeMap, BTreeSet};

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
    /// A machine that is not offered a kind for a while.
    Bench(MachineId, Kind),
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_owner: BTreeMap<Owner, TimeMs>,
    by_time: BTreeSet<(TimeMs, Owner)>,
}

impl Timers {
    /// Sets the owner's alarm, in place of the one it had.
    pub(crate) fn set(&mut self, owner: Owner, at: TimeMs) {
        if let Some(old) = self.by_owner.insert(owner.clone(), at) {
            self.by_time.remove(&(old, owner.clone()));
            if planted(Bug::LoseTimer) && old < at {
                self.by_owner.remove(&owner);
                return;
            }
        }
        self.by_time.insert((at, owner));
    }

    pub(crate) fn clear(&mut self, owner: &Owner) {
        if let Some((owner, at)) = self.by_owner.remove_entry(owner) {
            self.by_time.remove(&(at, owner));
        }
    }

    pub(crate) fn get(&self, owner: &Owner) -> Option<TimeMs> {
        self.by_owner.get(owner).copied()
    }

    pub(crate) fn next(&self) -> Option<TimeMs> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest alarm that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: TimeMs) -> Option<(TimeMs, Owner)> {
        if self.next()? > now {
            return None;
        }
        let (at, owner) = self.by_time.pop_first()?;
        self.by_owner.remove(&owner);
        Some((at, owner))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Owner, TimeMs)> {
        self.by_owner.iter().map(|(owner, at)| (owner, *at))
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
}
