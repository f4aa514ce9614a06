//! Hedging: a straggler is given to a second machine beside the first.
//!
//! An attempt is a *straggler* once nothing has come of it for much longer than its kind takes. A hedge is a
//! favour and never takes anything from anybody: it is given only while nothing else of its workflow waits,
//! which is its tail, and only a machine that nobody waits for, of another operator; and a seeker has only
//! so many. Of each item the first value counts, and once all have come the slower machine is stopped.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{ItemError, Kind, LeaseToken, SeekerId, TimeMs, WorkflowId};

use crate::attempt::{held, known};
use crate::delegation::{Event, Lease, State};
use crate::machine::Machine;
use crate::matcher::Match;
use crate::planted::{Bug, planted};
use crate::pool::Newcomers;
use crate::timers::Owner;
use crate::{Decision, DelegationKey, Scheduler, SessionId, Trust};

/// So many free machines are looked at for one straggler.
const LOOKED_AT: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Hedging {
    /// Delegations whose one attempt is a straggler, by when something last came of it.
    pub(crate) stragglers: BTreeSet<(TimeMs, DelegationKey)>,
    /// Whether they are to be looked at after this input.
    pub(crate) look: bool,
    /// How many hedges a seeker has in flight, if any.
    hedges: BTreeMap<SeekerId, u32>,
    /// How many delegations of a workflow stand in a line, if any.
    waiting: BTreeMap<WorkflowId, u32>,
}

impl Hedging {
    pub(crate) fn waits(&mut self, workflow: WorkflowId) {
        *self.waiting.entry(workflow).or_default() += 1;
    }

    pub(crate) fn waits_no_more(&mut self, workflow: WorkflowId) {
        one_less(&mut self.waiting, &workflow);
    }

    /// A hedge of the seeker's is one no more.
    pub(crate) fn over(&mut self, seeker: &SeekerId) {
        one_less(&mut self.hedges, seeker);
    }

    pub(crate) fn hedges(&self) -> &BTreeMap<SeekerId, u32> {
        &self.hedges
    }

    pub(crate) fn waiting(&self) -> &BTreeMap<WorkflowId, u32> {
        &self.waiting
    }
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    let count = counts.get_mut(key);
    let count = count.expect("invariant: what is over was counted");
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

impl Scheduler {
    /// Watches all attempts of a kind that has just become known, if it has.
    pub(crate) fn watch_if_learned(&mut self, kind: &Kind, knew: bool) {
        if knew || !self.profiles.know(kind) {
            return;
        }
        let running = self.delegations.iter().filter(|(_, delegation)| {
            delegation.state == State::Running && delegation.task.kind == *kind
        });
        let running: Vec<_> = running.map(|(key, _)| *key).collect();
        running.into_iter().for_each(|key| self.watch(key, 0));
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
    /// A check is none of them: it is small, and another one is asked soon enough.
    pub(crate) fn watch(&mut self, key: DelegationKey, from_ms: TimeMs) {
        let delegation = &self.delegations[&key];
        if let (Some(lease), None) = (&delegation.lease, &delegation.hedge)
            && delegation.task.trust != Trust::Trusted
            && let Some(after_ms) = self.straggles_after_ms(&delegation.task.kind)
        {
            let last_ms = lease.laps.last_ms().max(from_ms);
            let at = last_ms.saturating_add(after_ms);
            self.timers.set(Owner::Straggler(key), at);
        }
    }

    /// The first attempt of a delegation, `lease`, is over, or alone no more.
    pub(crate) fn unwatch(&mut self, key: DelegationKey, lease: Option<&Lease>) {
        self.timers.clear(&Owner::Straggler(key));
        if let Some(lease) = lease {
            let straggler = (lease.laps.last_ms(), key);
            self.hedging.stragglers.remove(&straggler);
        }
    }

    /// Something came of a delegation, and before that at `since_ms`.
    pub(crate) fn came(&mut self, key: DelegationKey, since_ms: TimeMs) {
        // Of one that does not straggle the alarm looks itself, when it rings.
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
            return self.timers.set(Owner::Straggler(key), at);
        }
        self.hedging.stragglers.insert((last_ms, key));
        self.hedging.look = true;
    }

    /// The timer of a delegation's hedge has rung, which was set to `at`.
    pub(crate) fn hedge_due(&mut self, key: DelegationKey, at: TimeMs) {
        if let Some(hedge) = &known(self.delegations.get(&key)).hedge {
            self.attempt_due(key, hedge.token, at);
        }
    }

    /// Gives stragglers to second machines, the oldest first.
    pub(crate) fn hedge_stragglers(&mut self) {
        if !std::mem::take(&mut self.hedging.look) {
            return;
        }
        for (_, key) in self.hedging.stragglers.clone() {
            if let Some(found) = self.second(key) {
                self.hedge(&found);
            }
        }
        let again_ms = self.now.saturating_add(self.policy.hedge_again_ms.max(1));
        match self.hedging.stragglers.is_empty() {
            true => self.timers.clear(&Owner::Stragglers),
            false => self.timers.set(Owner::Stragglers, again_ms),
        }
    }

    /// A machine that may have a straggler beside the one that has it.
    fn second(&mut self, key: DelegationKey) -> Option<Match> {
        let delegation = &self.delegations[&key];
        let tail = !self.hedging.waiting.contains_key(&key.workflow)
            && !self.purses.is_waited_for(delegation.purse);
        if !tail || self.parked(key) || !self.may_hedge(&delegation.seeker) {
            return None;
        }
        let shape = self.fleet.shape(&delegation.offer, &delegation.demand);
        let random = self.rng.next();
        let pool = &self.fleet.shapes.get(shape).pool;
        let first = self.fleet.get(delegation.lease.as_ref()?.session)?;
        let pace = self.profiles.pace(&first.id, &delegation.task.kind).max(0);
        let looked = Cell::new(0);
        let take = |session: SessionId| {
            looked.set(looked.get() + 1);
            let machine = self
                .fleet
                .get(session)
                .filter(|_| looked.get() <= LOOKED_AT)?;
            let other = machine.spec.operator != first.spec.operator || planted(Bug::HedgeSame);
            let may = other
                && pool.rank(session).is_some_and(|rank| rank.pace <= pace)
                && self.allows(delegation, machine)
                && !self.is_wanted(machine);
            machine.claim(&delegation.demand, None).filter(|_| may)
        };
        let (session, _, claim) = pool.draw(Newcomers::Last, random, take)?;
        Some(Match {
            key,
            session,
            claim,
        })
    }

    fn may_hedge(&self, seeker: &SeekerId) -> bool {
        let in_flight = u64::from(self.queue.in_flight(seeker));
        let most = (in_flight * u64::from(self.policy.hedge_share) / 100).max(1);
        let hedges = self.hedging.hedges.get(seeker).copied().unwrap_or(0);
        u64::from(hedges) < most || planted(Bug::HedgeMore)
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
        *self.hedging.hedges.entry(seeker).or_default() += 1;
        let lease = self.reserve(found, Event::Hedge, Owner::Hedge(key));
        known(self.delegations.get_mut(&key)).hedge = Some(Box::new(lease));
    }

    pub(crate) fn is_hedged(&self, key: DelegationKey) -> bool {
        known(self.delegations.get(&key)).hedge.is_some()
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
        if let Some(at) = self.timers.get(&Owner::Hedge(key)) {
            self.timers.clear(&Owner::Hedge(key));
            if was_hedge {
                self.timers.set(Owner::Delegation(key), at);
            }
        }
        self.release(&lease, (purse, price));
        self.queue.take_back(&seeker, &lease.claim);
        self.hedging.over(&seeker);
        if failure.class.blames_operator() {
            self.record(&lease.machine, &kind, false, 1, self.now);
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
