//! Whose alarms there are, and what happens when they ring.

use froben_model::TimeMs;

use crate::Scheduler;
use crate::timers::{Alarm, Alarms, Owner, Timers};

impl Scheduler {
    pub(crate) fn set_alarm(&mut self, owner: Owner, at: TimeMs) {
        let owned = self.with_alarm(&owner);
        let (timers, alarm) = owned.expect("invariant: whoever sets an alarm is there");
        timers.set(alarm, owner, at);
    }

    pub(crate) fn clear_alarm(&mut self, owner: &Owner) {
        if let Some((timers, alarm)) = self.with_alarm(owner) {
            timers.clear(alarm);
        }
    }

    /// The alarm of an owner that is there.
    fn with_alarm(&mut self, owner: &Owner) -> Option<(&mut Timers, &mut Alarm)> {
        let alarm = match owner {
            Owner::Delegation(key) => &mut self.delegations.get_mut(key)?.alarms.own,
            Owner::Hedge(key) => &mut self.delegations.get_mut(key)?.alarms.hedge,
            Owner::Straggler(key) => &mut self.delegations.get_mut(key)?.alarms.straggler,
            Owner::Stragglers => &mut self.hedging.again,
            Owner::Newcomers => &mut self.operators.again,
            Owner::Bench(machine, kind) => self.bench.alarm_mut(machine, kind)?,
        };
        Some((&mut self.timers, alarm))
    }

    /// All that are set, in no order that means anything.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = (TimeMs, Owner)> {
        let delegations = self.delegations.iter().flat_map(|(key, delegation)| {
            let Alarms {
                own,
                hedge,
                straggler,
            } = delegation.alarms;
            [
                (own, Owner::Delegation(key)),
                (hedge, Owner::Hedge(key)),
                (straggler, Owner::Straggler(key)),
            ]
        });
        // Most entries have none, and their names need not be copied.
        let benched = self
            .bench
            .alarms()
            .filter(|(alarm, ..)| alarm.at().is_some());
        let benched = benched.map(|(alarm, machine, kind)| {
            let owner = Owner::Bench(machine.clone(), kind.clone());
            (alarm, owner)
        });
        let rest = [
            (self.hedging.again, Owner::Stragglers),
            (self.operators.again, Owner::Newcomers),
        ];
        let all = delegations.chain(benched).chain(rest);
        all.filter_map(|(alarm, owner)| Some((alarm.at()?, owner)))
    }

    /// Lets what is due happen.
    pub(crate) fn ring(&mut self) {
        if self.timers.is_untidy() {
            let all = self.alarms().collect();
            let owners = self.delegations.len() + self.bench.len();
            self.timers.tidy(all, owners);
        }
        while let Some((at, owner)) = self.timers.pop_due(self.now) {
            let alarm = self.with_alarm(&owner);
            if !alarm.is_some_and(|(timers, alarm)| timers.rang(alarm, at)) {
                continue;
            }
            match owner {
                Owner::Delegation(key) => self.delegation_due(key, at),
                Owner::Hedge(key) => self.hedge_due(key, at),
                Owner::Straggler(key) => self.straggler_due(key),
                Owner::Stragglers => self.hedging.look = true,
                Owner::Newcomers => self.pass.newcomers = true,
                Owner::Bench(machine, kind) => {
                    self.bench.expire(&machine, &kind, self.now);
                    self.bench_changed(&machine, &kind);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Kind, Needs, SeekerId, WorkflowId};

    use super::*;
    use crate::{DelegationKey, Input, Past, Policy, Task, Trust, Urgency};

    #[test]
    fn whoever_comes_and_goes_leaves_no_entries_behind() {
        let mut scheduler = Scheduler::new(Policy::default(), 1, 1);
        for call in 0..5_000 {
            let key = DelegationKey {
                workflow: WorkflowId([0; 16]),
                call: CallId(call),
            };
            let task = Task {
                kind: Kind::new("x/1").unwrap(),
                needs: Needs::default(),
                items: 1,
                timeout_ms: 60_000,
                queue_timeout_ms: 3_600_000,
                avoid: vec![],
                keys: Vec::new(),
                max_price: None,
                trust: Trust::Anybody,
            };
            let queue = Input::Queue {
                key,
                seeker: SeekerId::new("s").unwrap(),
                task,
                queued_ms: 0,
                past: Past::default(),
                purse: None,
                urgency: Urgency::default(),
            };
            scheduler.handle(0, queue);
            if call % 100 > 0 {
                scheduler.handle(0, Input::Cancel { key });
            }
        }
        scheduler.check_invariants().unwrap();
        let (set, kept) = (scheduler.alarms().count(), scheduler.timers.iter().count());
        assert_eq!(set, 50);
        assert!(kept < 8 * set, "{kept} entries for {set} alarms");
    }
}
