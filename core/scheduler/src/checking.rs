//! Values that count only once a check approves them, values that come late, and the attempts of checks.
//!
//! What a check is of, and what its value means, the scheduler does not know: it is told the verdict.

use std::collections::BTreeSet;

use froben_model::limits::one_line;
use froben_model::{
    Amount, ErrorClass, ItemError, LeaseToken, MachineId, OperatorId, TimeBucket, Usage,
};

use crate::attempt::{duration, known};
use crate::delegation::{Delegation, Event, Lease, State};
use crate::reputation::Outcome;
use crate::timers::Owner;
use crate::{ClaimedItem, Decision, DelegationKey, End, Scheduler, SessionId, Trust, Verdict};

/// A check ends by itself within its own times; what is checked waits so much longer, to hear of it.
const MARGIN_MS: u64 = 1_000;

impl Scheduler {
    /// Notes a value that waits for its check. Its index is in already, its price held.
    pub(crate) fn claim(&mut self, key: DelegationKey, index: u32, claim: ClaimedItem) {
        let attempt = claim.attempt;
        let delegation = known(self.delegations.get_mut(&key));
        delegation.claims.insert(index, claim);
        self.out.push(Decision::ClaimItem {
            key,
            attempt,
            index,
        });
    }

    /// No attempt is to bring more: the delegation waits for the checks of what it has, and what is missing
    /// ends with the failure.
    pub(crate) fn check(&mut self, key: DelegationKey, failure: Option<ItemError>) -> Vec<Lease> {
        if known(self.delegations.get(&key)).state == State::Queued {
            self.stop_waiting(key);
        }
        let mut delegation = known(self.delegations.remove(&key));
        delegation.step(Event::Check);
        let leases = self.end_attempts(key, &mut delegation, failure.as_ref());
        delegation.lost = failure;
        self.delegations.insert(key, delegation);
        self.wait_for_checks(key);
        leases
    }

    /// Sets the timer of a delegation in state Checking. While its workflow is paused its checks wait, and
    /// so does it.
    pub(crate) fn wait_for_checks(&mut self, key: DelegationKey) {
        let parked = self.parked(key);
        let within_ms = self.longest_check_ms(key).saturating_add(MARGIN_MS);
        let delegation = known(self.delegations.get_mut(&key));
        delegation.checked_by_ms = self.now.saturating_add(within_ms);
        let (at, alarm) = (delegation.checked_by_ms, &mut delegation.alarms.own);
        match parked {
            true => self.timers.clear(alarm),
            false => self.timers.set(alarm, Owner::Delegation(key), at),
        }
    }

    /// How long a check may take: it has the times of what it checks, for each of its tries.
    fn longest_check_ms(&self, key: DelegationKey) -> u64 {
        let task = &known(self.delegations.get(&key)).task;
        let once_ms = task.queue_timeout_ms.saturating_add(task.timeout_ms);
        once_ms.saturating_mul(u64::from(self.policy.check_attempts.max(1)))
    }

    /// The checks of a delegation take longer than they can.
    pub(crate) fn give_up_checks(&mut self, key: DelegationKey) {
        let waited = duration(self.longest_check_ms(key));
        let delegation = known(self.delegations.get(&key));
        let claimed: Vec<u32> = delegation.claims.keys().copied().collect();
        for index in claimed {
            let why = format!("no verdict came within {waited}");
            self.verdict(key, index, Verdict::Unchecked(why));
        }
    }

    /// Settles a claimed item: it is paid and counts, or it fails. Only a rejection is its maker's fault.
    pub(crate) fn verdict(&mut self, key: DelegationKey, index: u32, verdict: Verdict) {
        let Some(delegation) = self.delegations.get_mut(&key) else {
            return;
        };
        let Some(claim) = delegation.claims.remove(&index) else {
            return;
        };
        let ClaimedItem {
            attempt,
            machine,
            price,
            took_ms,
        } = claim;
        let (purse, kind) = (delegation.purse, delegation.task.kind.clone());
        let error = match &verdict {
            Verdict::Approved => None,
            Verdict::Rejected(why) => Some(ItemError {
                class: ErrorClass::InvalidResult,
                message: one_line(&format!("its check rejected it: {why}")),
                operator: Some(machine.operator()),
            }),
            Verdict::Unchecked(why) => Some(ItemError {
                class: ErrorClass::NoCapacity,
                message: one_line(&format!("nobody trusted has checked it: {why}")),
                operator: None,
            }),
        };
        match error {
            None => self.purses.spend(purse, price),
            Some(_) => {
                delegation.items.fail();
                self.release_money(purse, price);
            }
        }
        if !matches!(verdict, Verdict::Unchecked(_)) {
            let approved = error.is_none();
            if let Some(took_ms) = took_ms.filter(|_| approved) {
                let times = [(TimeBucket::of_ms(took_ms), 1)];
                self.record_times(&machine, &kind, &times, self.now);
            }
            let outcome = match approved {
                true => Outcome::approved(),
                false => Outcome::failed(1),
            };
            self.record(&machine, &kind, outcome, self.now);
            match approved {
                true => self.bench.good_attempt(&machine, &kind),
                false => self.strike(&machine, &kind, 0),
            }
        }
        self.out.push(Decision::SettleItem {
            key,
            attempt,
            index,
            error,
        });
        let delegation = known(self.delegations.get(&key));
        if delegation.state == State::Checking && delegation.claims.is_empty() {
            self.conclude(key);
        }
    }

    /// Ends a delegation that no attempt is to bring more for, and that waits for no check.
    pub(crate) fn conclude(&mut self, key: DelegationKey) {
        match known(self.delegations.get_mut(&key)).lost.take() {
            Some(failure) => {
                let end = match failure.class {
                    ErrorClass::Timeout => End::TimedOut,
                    _ => End::Failed,
                };
                self.end(key, None, end, Some(failure));
            }
            None => {
                self.end_complete(key, None);
            }
        }
    }

    /// An attempt of a check failed: another one is to say, if there is another one.
    pub(crate) fn check_again(&mut self, key: DelegationKey, failure: &ItemError) -> Lease {
        let delegation = known(self.delegations.get_mut(&key));
        delegation.failures += 1;
        let blamed = failure.blames_operator();
        let reason = format!("{}: {}", failure.class, failure.message);
        let (lease, kind) = self.give_back(key, reason, blamed);
        if blamed {
            self.record(&lease.machine, &kind, Outcome::failed(1), self.now);
        }
        self.pause(&lease.machine, &kind);
        // Its wait begins anew: the attempt may have taken longer than it.
        let place = self.queue.place(self.now);
        known(self.delegations.get_mut(&key)).place = place;
        self.wait_again(key, &lease.claim);
        lease
    }

    /// A value of an attempt that is over counts if its item is missing and the purse has its price: nobody
    /// has been paid for it. What attempts that run hold for the same item goes back first.
    pub(crate) fn late(
        &mut self,
        token: LeaseToken,
        machine: MachineId,
        price: Amount,
        index: u32,
    ) {
        let key = DelegationKey::of(&token);
        let Some(delegation) = self.delegations.get_mut(&key) else {
            return self.out.push(Decision::Stale { token });
        };
        if delegation.leases().any(|lease| lease.token == token) {
            return self.item(token, index, None, Usage::default());
        }
        // A check is cheap, and who was trusted then need not be now.
        let wanted = delegation.task.trust != Trust::Trusted && index < delegation.items.total();
        let share = delegation.share();
        let left = self.purses.left(delegation.purse);
        let affords = left.is_none_or(|left| price <= left.saturating_add(share));
        if !wanted || !affords {
            return self.out.push(Decision::Stale { token });
        }
        if !delegation.items.add(index, true) {
            return self.out.push(Decision::Duplicate { token, index });
        }
        let Delegation { task, purse, .. } = delegation;
        let (trust, kind, purse) = (task.trust, task.kind.clone(), *purse);
        self.release_money(purse, share);
        self.purses.hold(purse, price);
        let attempt = token.attempt;
        match trust {
            Trust::Checked => {
                let claim = ClaimedItem {
                    attempt,
                    machine,
                    price,
                    took_ms: None,
                };
                self.claim(key, index, claim);
            }
            Trust::Anybody | Trust::Trusted => {
                self.purses.spend(purse, price);
                self.record(&machine, &kind, Outcome::good(1), self.now);
                self.out.push(Decision::AcceptItem {
                    key,
                    attempt,
                    index,
                });
            }
        }
        self.after_late(key);
    }

    /// What a late value makes of its delegation: it may owe nothing more, or less than it could afford.
    fn after_late(&mut self, key: DelegationKey) {
        let parked = self.parked(key);
        let delegation = known(self.delegations.get_mut(&key));
        let complete = delegation.items.missing() == 0;
        match delegation.state {
            State::Checking => {
                if complete {
                    delegation.lost = None;
                }
                self.wait_for_checks(key);
            }
            _ if complete => {
                let leases = self.complete(key, None);
                self.stop(leases);
            }
            State::Queued if !parked => {
                self.freshen(key);
            }
            _ => {}
        }
    }

    pub(crate) fn trust(&mut self, operators: BTreeSet<OperatorId>) {
        self.trusted = operators;
        self.reputation.set_checked_only(!self.trusted.is_empty());
        // Who is trusted is no newcomer, whatever the record.
        self.rank_all();
        for session in self.fleet.sessions() {
            let Some(machine) = self.fleet.get_mut(session) else {
                continue;
            };
            let before = machine.trusted;
            machine.trusted = self.trusted.contains(&machine.spec.operator);
            match (before, machine.trusted) {
                (false, true) => self.pass.wake(session),
                (true, false) => self.distrust(session),
                _ => {}
            }
        }
    }

    /// Takes from a machine the checks that it has, and those that it is held for.
    fn distrust(&mut self, session: SessionId) {
        let Some(machine) = self.fleet.get(session) else {
            return;
        };
        let held_for = machine.hold.as_ref().map(|hold| hold.key);
        let running: Vec<_> = machine.reservations.keys().map(DelegationKey::of).collect();
        let check = |scheduler: &Self, key: &DelegationKey| {
            known(scheduler.delegations.get(key)).task.trust == Trust::Trusted
        };
        if held_for.is_some_and(|key| check(self, &key)) {
            self.drop_hold(session);
        }
        for key in running
            .into_iter()
            .filter(|key| check(self, key))
            .collect::<Vec<_>>()
        {
            let reason = "its operator is not trusted any more".to_owned();
            let (lease, _) = self.give_back(key, reason, false);
            let claim = lease.claim;
            self.stop(Some(lease));
            self.wait_again(key, &claim);
        }
    }
}
