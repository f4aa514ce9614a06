//! Hedging: a straggler is given to a second machine beside the first.
//!
//! An attempt is a *straggler* once nothing has come of it for much longer than its kind takes. A hedge is a
//! favour and never takes anything from anybody: it is given only while nothing else of its workflow waits,
//! which is its tail, and only a machine that nobody waits for, of another operator; and a seeker has only
//! so many. Of each item the first value counts, and once all have come the slower machine is stopped.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use froben_model::{ErrorClass, ItemError, Kind, LeaseToken, SeekerId, TimeMs, WorkflowId};
use rustc_hash::FxHashMap;

use crate::attempt::{held, known};
use crate::delegation::{Delegation, Event, Lease, State};
use crate::machine::Machine;
use crate::matcher::Match;
use crate::planted::{Bug, planted};
use crate::pool::{Newcomers, Rank};
use crate::reputation::Outcome;
use crate::timers::{Alarm, Owner};
use crate::{Decision, DelegationKey, Scheduler, Trust};

/// So many machines are looked at for one straggler, and so many stragglers at once.
const LOOKED_AT: usize = 64;
const AT_ONCE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Hedging {
    /// Delegations whose one attempt is a straggler, by when something last came of it.
    pub(crate) stragglers: BTreeSet<(TimeMs, DelegationKey)>,
    /// Those that have just become ones.
    fresh: Vec<DelegationKey>,
    /// Whether the others are to be looked at again after this input.
    pub(crate) look: bool,
    /// Where the last look ended, if it did not get to the end.
    looked_until: Option<(TimeMs, DelegationKey)>,
    /// How many hedges a seeker has in flight, if any.
    hedges: BTreeMap<SeekerId, u32>,
    /// How many delegations of a workflow stand in a line, if any.
    waiting: FxHashMap<WorkflowId, u32>,
    pub(crate) again: Alarm,
}

impl Hedging {
    pub(crate) fn waits(&mut self, workflow: WorkflowId) {
        *self.waiting.entry(workflow).or_default() += 1;
    }

    pub(crate) fn waits_no_more(&mut self, workflow: WorkflowId) {
        if let Entry::Occupied(mut count) = self.waiting.entry(workflow) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// A hedge of the seeker's is one no more.
    pub(crate) fn over(&mut self, seeker: &SeekerId) {
        let count = self.hedges.get_mut(seeker);
        let count = count.expect("invariant: what is over was counted");
        *count -= 1;
        if *count == 0 {
            self.hedges.remove(seeker);
        }
    }

    /// The next ones to be looked at again, the oldest first.
    fn next(&mut self) -> Vec<DelegationKey> {
        let from = self.looked_until.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.stragglers.range((from, Bound::Unbounded));
        let next: Vec<_> = next.take(AT_ONCE).copied().collect();
        self.looked_until = next.last().copied().filter(|_| next.len() == AT_ONCE);
        next.into_iter().map(|(_, key)| key).collect()
    }

    pub(crate) fn hedges(&self) -> &BTreeMap<SeekerId, u32> {
        &self.hedges
    }

    pub(crate) fn waiting(&self) -> &FxHashMap<WorkflowId, u32> {
        &self.waiting
    }
}

impl Scheduler {
    /// Watches those running attempts anew that are `of` some sort.
    pub(crate) fn watch_all(&mut self, of: impl Fn(&Delegation) -> bool) {
        let all = self.delegations.iter();
        let running = all.filter(|(_, d)| d.state == State::Running && of(d));
        let running: Vec<_> = running.map(|(key, d)| (key, d.lease.clone())).collect();
        for (key, lease) in running {
            self.unwatch(key, lease.as_ref());
            self.watch(key, 0);
        }
    }

    /// For how long nothing comes of an attempt before it is a straggler; `None` if nobody can tell.
    fn straggles_after_ms(&self, kind: &Kind) -> Option<u64> {
        let policy = &self.policy;
        if policy.hedge_share == 0 {
            return None;
        }
        let usual_ms = self.profiles.within_ms(kind, policy.hedge_quantile)?;
        let most_ms = usual_ms.saturating_mul(u64::from(policy.hedge_percent)) / 100;
        Some(most_ms.max(policy.hedge_floor_ms))
    }

    /// Sets the alarm of a delegation that one machine is at, as if something had come of it at `from_ms`.
    /// A check is none of them: it is small, and another one is asked soon enough. Nor is what has failed
    /// beside another attempt: what is wrong may be the task.
    pub(crate) fn watch(&mut self, key: DelegationKey, from_ms: TimeMs) {
        let delegation = &self.delegations[&key];
        if let (Some(lease), None) = (&delegation.lease, &delegation.hedge)
            && delegation.task.trust != Trust::Trusted
            && !delegation.alone
            && let Some(after_ms) = self.straggles_after_ms(&delegation.task.kind)
        {
            let last_ms = lease.laps.last_ms().max(from_ms);
            let at = last_ms.saturating_add(after_ms);
            self.set_alarm(Owner::Straggler(key), at);
        }
    }

    /// The first attempt of a delegation, `lease`, is over, or alone no more.
    pub(crate) fn unwatch(&mut self, key: DelegationKey, lease: Option<&Lease>) {
        self.clear_alarm(&Owner::Straggler(key));
        self.straggles_no_more(key, lease);
    }

    /// It is a straggler no more, if it was one.
    pub(crate) fn straggles_no_more(&mut self, key: DelegationKey, lease: Option<&Lease>) {
        if let Some(lease) = lease {
            let straggler = (lease.laps.last_ms(), key);
            self.hedging.stragglers.remove(&straggler);
        }
    }

    /// Something came of a delegation that is not watched, and before that at `since_ms`.
    pub(crate) fn came(&mut self, key: DelegationKey, since_ms: TimeMs) {
        if self.hedging.stragglers.remove(&(since_ms, key)) {
            self.watch(key, 0);
        }
    }

    /// The alarm has rung; something may have come since it was set.
    pub(crate) fn straggler_due(&mut self, key: DelegationKey) {
        let delegation = &self.delegations[&key];
        let last_ms = delegation.lease.as_ref().map(|lease| lease.laps.last_ms());
        let after_ms = self.straggles_after_ms(&delegation.task.kind);
        let (Some(last_ms), Some(after_ms)) = (last_ms, after_ms) else {
            return;
        };
        let at = last_ms.saturating_add(after_ms);
        if at > self.now {
            return self.set_alarm(Owner::Straggler(key), at);
        }
        self.hedging.stragglers.insert((last_ms, key));
        self.hedging.fresh.push(key);
    }

    /// The timer of a delegation's hedge has rung, which was set to `at`.
    pub(crate) fn hedge_due(&mut self, key: DelegationKey, at: TimeMs) {
        if let Some(hedge) = &known(self.delegations.get(&key)).hedge {
            self.attempt_due(key, hedge.token, at);
        }
    }

    /// Gives stragglers to second machines.
    pub(crate) fn hedge_stragglers(&mut self) {
        let mut due = std::mem::take(&mut self.hedging.fresh);
        if std::mem::take(&mut self.hedging.look) {
            due.extend(self.hedging.next());
        } else if due.is_empty() {
            return;
        }
        for key in due {
            if let Some(found) = self.second(key) {
                self.hedge(&found);
            }
        }
        if !self.hedging.stragglers.is_empty() && self.hedging.again.at().is_none() {
            let again_ms = self.now.saturating_add(self.policy.hedge_again_ms.max(1));
            self.set_alarm(Owner::Stragglers, again_ms);
        }
    }

    /// A machine that may have a straggler beside the one that has it.
    fn second(&mut self, key: DelegationKey) -> Option<Match> {
        let delegation = self.delegations.get(&key)?;
        let lease = delegation.lease.as_ref()?;
        let straggles = (lease.laps.last_ms(), key);
        let tail = !self.hedging.waiting.contains_key(&key.workflow)
            && !self.purses.is_waited_for(delegation.purse);
        if !self.hedging.stragglers.contains(&straggles)
            || !tail
            || self.parked(key)
            || !self.may_hedge(&delegation.seeker)
            || !self.has_time(delegation, lease)
        {
            return None;
        }
        let (offer, demand) = (delegation.offer.clone(), delegation.demand);
        let shape = self.fleet.shape(&offer, &demand);
        let random = self.rng.next();
        let delegation = &self.delegations[&key];
        let first = self.fleet.get(delegation.lease.as_ref()?.session)?;
        let lag = self.profiles.lag(&first.id, &delegation.task.kind);
        let pace = lag.pace(None).max(0);
        let take = |machine: &Machine, rank: Rank| {
            let other = machine.spec.operator != first.spec.operator || planted(Bug::HedgeSame);
            // Newcomers have little to go round: it is for who waits.
            let may = other
                && !rank.newcomer
                && rank.pace <= pace
                && self.allows(delegation, machine)
                && !self.is_wanted(machine);
            machine.claim(&demand, None).filter(|_| may)
        };
        let newcomers = Newcomers::Last;
        let (drawn, busy) = self.fleet.draw(shape, newcomers, random, LOOKED_AT, take);
        self.fleet.withdraw(busy, shape);
        let (session, _, claim) = drawn?;
        Some(Match {
            key,
            session,
            claim,
        })
    }

    /// Whether as much of an attempt's time is left as what it owes usually takes.
    fn has_time(&self, delegation: &Delegation, lease: &Lease) -> bool {
        let left_ms = lease.deadline_ms.saturating_sub(self.now);
        let item_ms = self.profiles.within_ms(&delegation.task.kind, 50);
        let takes_ms = item_ms.map(|ms| ms.saturating_mul(delegation.items.missing().into()));
        takes_ms.is_some_and(|takes_ms| takes_ms.max(self.policy.accept_timeout_ms) <= left_ms)
    }

    fn may_hedge(&self, seeker: &SeekerId) -> bool {
        let share = self.policy.hedge_share;
        !self.hedging.hedges.contains_key(seeker)
            || self.queue.may_hedge(seeker, share)
            || planted(Bug::HedgeMore)
    }

    /// Whether somebody waits for the machine, or for part of it.
    fn is_wanted(&self, machine: &Machine) -> bool {
        let mut shapes = machine
            .fits
            .iter()
            .map(|fit| self.fleet.shapes.get(fit.shape));
        machine.hold.is_some() || shapes.any(|shape| !shape.elders.is_empty())
    }

    fn hedge(&mut self, found: &Match) {
        let key = found.key;
        let delegation = &self.delegations[&key];
        let (seeker, first) = (delegation.seeker.clone(), delegation.lease.clone());
        self.unwatch(key, first.as_ref());
        *self.hedging.hedges.entry(seeker.clone()).or_default() += 1;
        let lease = self.reserve(found, Event::Hedge);
        self.queue.hedged(&seeker);
        known(self.delegations.get_mut(&key)).hedge = Some(Box::new(lease));
    }

    pub(crate) fn is_hedged(&self, key: DelegationKey) -> bool {
        known(self.delegations.get(&key)).hedge.is_some()
    }

    /// A machine is stopped, since another one was faster: what it was at takes it as long at least. If
    /// nothing came of it at all, it may be one that sits on tasks.
    pub(crate) fn outdone(&mut self, kind: &Kind, lease: &Lease) {
        let since_ms = self.now.saturating_sub(lease.laps.last_ms());
        let after_ms = self.straggles_after_ms(kind);
        if after_ms.is_some_and(|after_ms| since_ms >= after_ms) {
            let lag = self
                .profiles
                .at_least(&lease.machine, kind, since_ms, self.now);
            self.set_pace(lease.session, kind, lag);
            if lease.ok + lease.claimed + lease.faults == 0 {
                self.strike_for(kind, lease);
            }
        }
    }

    /// Ends one of two attempts and frees what it held; the other one goes on. What it owed is still owed,
    /// so a fault counts as one item. Says nothing of it to the bench.
    pub(crate) fn lose(
        &mut self,
        key: DelegationKey,
        token: LeaseToken,
        failure: ItemError,
    ) -> Lease {
        let delegation = known(self.delegations.get_mut(&key));
        let lease = delegation.take_lease(token);
        let lease = lease.expect("invariant: one of the two is lost");
        // Neither a refusal nor silence says anything of the task.
        delegation.alone |= !matches!(
            failure.class,
            ErrorClass::NoCapacity | ErrorClass::Disconnected | ErrorClass::Timeout
        );
        let left = held(delegation.lease.as_mut());
        let (left_started, was_hedge) = (left.started, left.token.attempt > token.attempt);
        delegation.step(match left_started {
            true => Event::Lose,
            false => Event::FallBack,
        });
        let (seeker, kind) = (delegation.seeker.clone(), delegation.task.kind.clone());
        let price = lease.price.times(delegation.items.missing());
        let purse = delegation.purse;
        // What is left is the first attempt, and its timer that of the delegation.
        if let Some(at) = delegation.alarms.hedge.at() {
            self.timers.clear(&mut delegation.alarms.hedge);
            if was_hedge {
                let alarm = &mut delegation.alarms.own;
                self.timers.set(alarm, Owner::Delegation(key), at);
            }
        }
        self.release(&lease, (purse, price));
        self.queue.take_back(&seeker, &lease.claim);
        self.hedging.over(&seeker);
        if failure.blames_operator() {
            self.record(&lease.machine, &kind, Outcome::failed(1), self.now);
        }
        self.out.push(Decision::Lose {
            key,
            attempt: token.attempt,
            failure,
        });
        if left_started {
            self.watch(key, self.now);
        }
        lease
    }
}
