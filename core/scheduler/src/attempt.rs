//! The life of an attempt, from the machine's answer to the end, and what the machine is held to
//! account for.

use std::collections::BTreeSet;

use froben_model::limits::{self, one_line};
use froben_model::{
    Amount, ErrorClass, ItemError, Kind, LeaseToken, MachineId, TimeBucket, TimeMs, Usage,
    WorkflowId,
};

use crate::capacity::{Claim, Class, Offer};
use crate::delegation::{Delegation, Event, Lease, State};
use crate::phase::Phase;
use crate::planted::{Bug, planted};
use crate::profile::{Done, Told};
use crate::reputation::{Changed, Outcome};
use crate::timers::Owner;
use crate::{ClaimedItem, Decision, DelegationKey, End, Scheduler, SessionId, Trust};

/// An attempt that a message is about.
struct Held {
    key: DelegationKey,
    token: LeaseToken,
    started: bool,
}

impl Scheduler {
    /// The attempt that `token` names, if it holds its delegation. Notes that the message is stale if not.
    fn fence(&mut self, token: LeaseToken) -> Option<Held> {
        let key = DelegationKey::of(&token);
        let delegation = self.delegations.get(&key).into_iter();
        let mut leases = delegation.flat_map(Delegation::leases);
        let lease = leases.find(|lease| lease.token == token || planted(Bug::SkipFence));
        let held = lease.map(|lease| Held {
            key,
            token: lease.token,
            started: lease.started,
        });
        if held.is_none() {
            self.out.push(Decision::Stale { token });
        }
        held
    }

    /// Like [`Scheduler::fence`], for a message that shows that the machine took the task: its answer
    /// may still be on the way.
    fn fence_running(&mut self, token: LeaseToken) -> Option<(DelegationKey, LeaseToken)> {
        let Held {
            key,
            token,
            started,
        } = self.fence(token)?;
        if !started {
            self.start(key, token);
        }
        Some((key, token))
    }

    pub(crate) fn accepted(&mut self, token: LeaseToken) {
        self.fence_running(token);
    }

    fn start(&mut self, key: DelegationKey, token: LeaseToken) {
        let delegation = known(self.delegations.get_mut(&key));
        if delegation.state == State::Assigned {
            delegation.step(Event::Accept);
        }
        let lease = held(delegation.lease_mut(token));
        lease.started = true;
        let (machine, session) = (lease.machine.clone(), lease.session);
        let deadline_ms = lease.deadline_ms;
        let hedge = delegation.hedge.as_ref();
        let beside = hedge.is_some_and(|hedge| hedge.token == token);
        let (alarm, owner) = delegation.alarms.of_attempt(key, beside);
        self.timers.set(alarm, owner, deadline_ms);
        self.bench.accepted(&machine, &delegation.task.kind);
        self.fleet.load(session, &delegation.task.keys);
        let attempt = token.attempt;
        self.out.push(Decision::Start { key, attempt });
        self.watch(key, 0);
    }

    pub(crate) fn refused(&mut self, token: LeaseToken, reason: &str) {
        let Some(Held {
            key,
            token,
            started,
        }) = self.fence(token)
        else {
            return;
        };
        if started {
            let message = format!("gave up a task that it had taken: {reason}");
            let failure = self.failure(Some(token), ErrorClass::WorkerFailed, &message);
            self.fail(key, Some(token), End::Failed, failure);
        } else if self.is_hedged(key) {
            let failure = self.failure(Some(token), ErrorClass::NoCapacity, reason);
            let lease = self.lose(key, token, failure);
            let kind = known(self.delegations.get(&key)).task.kind.clone();
            self.pause(&lease.machine, &kind);
        } else {
            let (lease, kind) = self.give_back(key, one_line(reason), false);
            self.pause(&lease.machine, &kind);
            self.wait_again(key, &lease.claim);
        }
    }

    pub(crate) fn item(
        &mut self,
        token: LeaseToken,
        index: u32,
        error: Option<ErrorClass>,
        usage: Usage,
    ) {
        let Some((key, token)) = self.fence_running(token) else {
            return;
        };
        let delegation = known(self.delegations.get_mut(&key));
        let total = delegation.items.total();
        if index >= total {
            let message = format!("sent item {index} of a task that has {total}");
            let failure = self.failure(Some(token), ErrorClass::InvalidResult, &message);
            let lease = self.fail(key, Some(token), End::Failed, failure);
            return self.stop(lease);
        }
        // Whoever else has it may still send a value for the item.
        if let Some(class) = error
            && delegation.hedge.is_some()
            && !delegation.items.has(index)
        {
            let failure = self.failure(Some(token), class, &format!("item {index} failed"));
            let lease = self.fail(key, Some(token), End::Failed, failure);
            return self.stop(lease);
        }
        if !delegation.items.add(index, error.is_none()) {
            return self.out.push(Decision::Duplicate { token, index });
        }
        let complete = delegation.items.missing() == 0;
        let attempt = token.attempt;
        let share = delegation.share();
        let purse = delegation.purse;
        let checked = delegation.task.trust == Trust::Checked && !planted(Bug::PayUnchecked);
        let kind = delegation.task.kind.clone();
        let watched = delegation.alarms.straggler.at().is_some();
        let lease = held(delegation.lease_mut(token));
        let since_ms = lease.laps.last_ms();
        let took_ms = lease.laps.lap(self.now);
        let price = lease.price;
        let mut told = None;
        if error.is_none() && checked {
            lease.claimed += 1;
            let claim = ClaimedItem {
                attempt,
                machine: lease.machine.clone(),
                price,
                took_ms: Some(took_ms),
            };
            self.claim(key, index, claim);
        } else {
            let fault = error.is_some_and(ErrorClass::blames_operator);
            let session = lease.session;
            if error.is_none() {
                let spec = &connected(self.fleet.get(lease.session)).spec;
                let device = lease.claim.device.map(|index| &spec.devices[index]);
                // Nobody uses more than he has.
                let usage = Usage {
                    ram_bytes: usage.ram_bytes.min(spec.ram_bytes),
                    vram_bytes: usage.vram_bytes.min(device.map_or(0, |d| d.vram_bytes)),
                };
                let done = Done {
                    machine: &lease.machine,
                    operator: &spec.operator,
                    kind: &kind,
                    device: device.map(|device| device.name.as_str()),
                    took_ms,
                    usage,
                };
                told = Some(self.profiles.record(self.now, done));
            }
            if error.is_none() || fault {
                lease.ok += u32::from(!fault);
                lease.faults += u32::from(fault);
                let machine = lease.machine.clone();
                let outcome = match fault {
                    true => Outcome::failed(1),
                    false => Outcome::good(1),
                };
                self.record_of(Some(session), &machine, &kind, outcome, self.now);
            }
            if let Some(told) = told {
                self.set_pace(session, &kind, told.lag);
            }
            match error {
                None => self.purses.spend(purse, price),
                Some(_) => self.release_money(purse, price),
            }
            self.out.push(Decision::AcceptItem {
                key,
                attempt,
                index,
            });
        }
        // What whoever else has it held for the item.
        self.release_money(purse, share.saturating_sub(price));
        // The alarm of one that is watched looks itself, when it rings.
        if !watched {
            self.came(key, since_ms);
        }
        if told.is_some_and(|told| told.learned) {
            self.learn(&kind);
        }
        if complete {
            let leases = self.complete(key, Some(token)).into_iter();
            for lease in leases.filter(|lease| lease.token != token) {
                self.outdone(&kind, &lease);
                self.stop(Some(lease));
            }
        }
    }

    /// No item is missing, the last of them by `token`: the delegation is over, or waits for its checks.
    pub(crate) fn complete(&mut self, key: DelegationKey, token: Option<LeaseToken>) -> Vec<Lease> {
        let delegation = known(self.delegations.get(&key));
        if delegation.claims.is_empty() {
            return self.end_complete(key, token);
        }
        let kind = delegation.task.kind.clone();
        let leases = self.check(key, None);
        for lease in &leases {
            self.judge(&kind, lease, false);
        }
        leases
    }

    pub(crate) fn finish(&mut self, token: LeaseToken, failure: Option<ItemError>) {
        let Some((key, token)) = self.fence_running(token) else {
            return;
        };
        let (class, message) = match failure {
            Some(ItemError {
                class,
                message,
                operator: _,
            }) => (class, message),
            None => {
                let items = &known(self.delegations.get(&key)).items;
                let message = format!(
                    "finished without {} of {} items",
                    items.missing(),
                    items.total()
                );
                (ErrorClass::WorkerFailed, message)
            }
        };
        let failure = self.failure(Some(token), class, &message);
        self.fail(key, Some(token), End::Failed, failure);
    }

    /// Ends a delegation whose items are all in, the last of them by `token`.
    pub(crate) fn end_complete(
        &mut self,
        key: DelegationKey,
        token: Option<LeaseToken>,
    ) -> Vec<Lease> {
        let end = match known(self.delegations.get(&key)).items.any_failed() {
            true => End::Failed,
            false => End::Succeeded,
        };
        self.end(key, token, end, None)
    }

    /// The timer of the delegation, or of its first attempt, has rung, which was set to `at`.
    pub(crate) fn delegation_due(&mut self, key: DelegationKey, at: TimeMs) {
        let delegation = known(self.delegations.get(&key));
        match (delegation.state, &delegation.lease) {
            (State::Checking, _) => self.give_up_checks(key),
            (_, Some(lease)) => self.attempt_due(key, lease.token, at),
            (_, None) => self.no_capacity(key),
        }
    }

    /// The timer of an attempt has rung.
    pub(crate) fn attempt_due(&mut self, key: DelegationKey, token: LeaseToken, at: TimeMs) {
        let delegation = known(self.delegations.get_mut(&key));
        let lease = held(delegation.lease_mut(token));
        if !lease.started && at < lease.deadline_ms {
            return self.unanswered(key, token);
        }
        let (after_ms, hedge) = (at.saturating_sub(lease.assigned_ms), lease.hedge);
        let kind = delegation.task.kind.clone();
        let profiled = delegation.task.timeout_ms == limits::DEFAULT_TIMEOUT_MS && !hedge;
        let learned = profiled && self.profiles.too_short(&kind, after_ms);
        let items = &delegation.items;
        let message = format!(
            "not over after {}, {} of {} items missing",
            duration(after_ms),
            items.missing(),
            items.total()
        );
        let hedge = delegation.hedge.as_ref().map(|hedge| hedge.token);
        let item_ms = self.profiles.within_ms(&kind, 50);
        let failure = match item_ms.filter(|item_ms| *item_ms > after_ms) {
            None => self.failure(Some(token), ErrorClass::Timeout, &message),
            // Whoever had it would have needed luck: he does not answer for it.
            Some(item_ms) => {
                let usual = duration(item_ms);
                let message =
                    format!("{message}; half of the items of its kind take {usual} or more");
                self.failure(None, ErrorClass::Timeout, &message)
            }
        };
        // Both have one deadline, and it is the first that has had all of the time.
        if let Some(hedge) = hedge.filter(|hedge| *hedge != token) {
            let over = self.failure(Some(hedge), ErrorClass::Cancelled, "the time is over");
            let lease = self.lose(key, hedge, over);
            self.stop(Some(lease));
        }
        let lease = self.fail(key, Some(token), End::TimedOut, failure);
        self.stop(lease);
        if learned {
            self.learn(&kind);
        }
    }

    fn no_capacity(&mut self, key: DelegationKey) {
        let delegation = known(self.delegations.get(&key));
        let waited = duration(delegation.task.queue_timeout_ms);
        let obstacle = match delegation.picky() {
            true => self.obstacle(key, delegation),
            // A whole line gives up at once, and for the same reason.
            false => match self.pass.obstacle(&delegation.offer, &delegation.demand) {
                Some(known) => known,
                None => {
                    let obstacle = self.obstacle(key, delegation);
                    let (offer, demand) = (delegation.offer.clone(), delegation.demand);
                    self.pass.note_obstacle(offer, demand, obstacle.clone());
                    obstacle
                }
            },
        };
        let message = format!("no machine took it within {waited} ({obstacle})");
        let failure = self.failure(None, ErrorClass::NoCapacity, &message);
        self.fail(key, None, End::Failed, failure);
    }

    /// The machine did not answer the offer in time.
    fn unanswered(&mut self, key: DelegationKey, token: LeaseToken) {
        let waited = duration(self.policy.accept_timeout_ms);
        let reason = format!("the machine did not answer within {waited}");
        if self.is_hedged(key) {
            let failure = self.failure(Some(token), ErrorClass::Timeout, &reason);
            let lease = self.fail(key, Some(token), End::TimedOut, failure);
            if let Some(lease) = &lease {
                let kind = known(self.delegations.get(&key)).task.kind.clone();
                self.pause(&lease.machine, &kind);
            }
            return self.stop(lease);
        }
        let (lease, kind) = self.give_back(key, reason, true);
        self.record(&lease.machine, &kind, Outcome::failed(1), self.now);
        self.pause(&lease.machine, &kind);
        self.strike_for(&kind, &lease);
        let claim = lease.claim;
        self.stop(Some(lease));
        self.wait_again(key, &claim);
    }

    /// Ends an attempt that did not begin, or one of a check. [`Scheduler::wait_again`] has to follow.
    pub(crate) fn give_back(
        &mut self,
        key: DelegationKey,
        reason: String,
        fault: bool,
    ) -> (Lease, Kind) {
        let delegation = known(self.delegations.get_mut(&key));
        delegation.step(Event::GiveBack);
        let lease = delegation.lease.take();
        let lease = lease.expect("invariant: an assigned delegation has a lease");
        let attempt = lease.token.attempt;
        let kind = delegation.task.kind.clone();
        let held = (
            delegation.purse,
            lease.price.times(delegation.items.missing()),
        );
        self.release(&lease, held);
        self.out.push(Decision::Requeue {
            key,
            attempt,
            reason,
            fault,
        });
        (lease, kind)
    }

    /// Queues a delegation that came back; its wait is not longer for it.
    pub(crate) fn wait_again(&mut self, key: DelegationKey, claim: &Claim) {
        self.wait(key);
        let delegation = known(self.delegations.get(&key));
        self.queue.take_back(&delegation.seeker, claim);
        match delegation.queue_deadline_ms() <= self.now {
            _ if self.parked(key) => {}
            true => self.no_capacity(key),
            false => {
                self.freshen(key);
            }
        }
    }

    pub(crate) fn machine_left(&mut self, session: SessionId, reason: &str) {
        let Some(machine) = self.fleet.get(session) else {
            return;
        };
        let id = machine.id.clone();
        let message = format!("{id} left: {reason}");
        let tokens: Vec<_> = machine.reservations.keys().copied().collect();
        let held_for = machine.hold.as_ref().map(|hold| hold.key);
        let mut kinds = BTreeSet::new();
        for token in tokens {
            let key = DelegationKey::of(&token);
            kinds.insert(known(self.delegations.get(&key)).task.kind.clone());
            let failure = self.failure(Some(token), ErrorClass::Disconnected, &message);
            self.fail_quietly(key, Some(token), End::Failed, failure);
        }
        if let Some(elder) = held_for.and_then(|key| self.delegations.get_mut(&key)) {
            elder.hold = None;
        }
        let machine = self.fleet.leave(session);
        if let Some(machine) = &machine {
            self.operators.leave(&machine.spec.operator, session);
        }
        self.queue.set_total(self.fleet.total);
        // However many attempts it had, it left once.
        for kind in &kinds {
            self.strike(&id, kind, 0);
        }
        let offers = machine.into_iter().flat_map(|machine| machine.offers);
        let offers: Vec<_> = offers.map(|offered| offered.offer).collect();
        self.lift_last(&offers);
        self.pass.forget(session);
    }

    /// What an attempt ends with, or the wait of a delegation that has none.
    pub(crate) fn failure(
        &self,
        token: Option<LeaseToken>,
        class: ErrorClass,
        message: &str,
    ) -> ItemError {
        let of = token.and_then(|token| {
            let delegation = self.delegations.get(&DelegationKey::of(&token))?;
            let lease = delegation.leases().find(|lease| lease.token == token)?;
            self.fleet.get(lease.session)
        });
        ItemError {
            class,
            message: one_line(message),
            operator: of.map(|machine| machine.spec.operator.clone()),
        }
    }

    /// An attempt failed, or without a token none is to be had: ends the delegation, unless another machine
    /// has it too, it is a check that is tried again, or it has items that wait for theirs.
    fn fail(
        &mut self,
        key: DelegationKey,
        token: Option<LeaseToken>,
        end: End,
        failure: ItemError,
    ) -> Option<Lease> {
        let kind = known(self.delegations.get(&key)).task.kind.clone();
        let blamed = failure.blames_operator();
        let lease = self.fail_quietly(key, token, end, failure);
        if let Some(lease) = &lease {
            self.judge(&kind, lease, blamed);
        }
        lease
    }

    /// Like [`Scheduler::fail`], but says nothing of the attempt to the bench.
    fn fail_quietly(
        &mut self,
        key: DelegationKey,
        token: Option<LeaseToken>,
        end: End,
        failure: ItemError,
    ) -> Option<Lease> {
        if let Some(token) = token
            && self.is_hedged(key)
        {
            return Some(self.lose(key, token, failure));
        }
        let delegation = known(self.delegations.get(&key));
        let retried = delegation.failures + 1 < self.policy.check_attempts;
        match (delegation.task.trust, &delegation.lease) {
            (Trust::Trusted, Some(_)) if retried => Some(self.check_again(key, &failure)),
            _ if !delegation.claims.is_empty() => {
                let attempt = token.map_or(delegation.attempts, |token| token.attempt);
                let lease = self.check(key, Some(failure.clone())).pop();
                self.out.push(Decision::Lose {
                    key,
                    attempt,
                    failure,
                });
                lease
            }
            _ => self.end_quietly(key, token, end, Some(failure)).1.pop(),
        }
    }

    /// Ends a delegation, frees what it held at once, and credits or blames its machines. `token`: the
    /// attempt that ended it.
    pub(crate) fn end(
        &mut self,
        key: DelegationKey,
        token: Option<LeaseToken>,
        end: End,
        failure: Option<ItemError>,
    ) -> Vec<Lease> {
        let blamed = failure.as_ref().is_some_and(|f| f.blames_operator());
        let (delegation, leases) = self.end_quietly(key, token, end, failure);
        for lease in &leases {
            self.judge(&delegation.task.kind, lease, blamed);
        }
        leases
    }

    /// Tells the bench how an attempt went that is over.
    pub(crate) fn judge(&mut self, kind: &Kind, lease: &Lease, blamed: bool) {
        if blamed || (lease.ok == 0 && lease.faults > 0) {
            self.strike_for(kind, lease);
        } else if lease.ok > 0 {
            self.bench.good_attempt(&lease.machine, kind);
        }
    }

    /// Like [`Scheduler::end`], but says nothing of the attempts to the bench.
    fn end_quietly(
        &mut self,
        key: DelegationKey,
        token: Option<LeaseToken>,
        end: End,
        failure: Option<ItemError>,
    ) -> (Box<Delegation>, Vec<Lease>) {
        if known(self.delegations.get(&key)).state == State::Queued {
            self.stop_waiting(key);
        }
        let mut delegation = known(self.delegations.remove(&key));
        delegation.step(match end {
            End::Succeeded => Event::Succeed,
            End::Failed => Event::Fail,
            End::TimedOut => Event::TimeOut,
            End::Cancelled => Event::Cancel,
        });
        self.timers.clear(&mut delegation.alarms.own);
        let claimed = delegation.claimed();
        self.release_money(delegation.purse, claimed);
        let leases = self.end_attempts(key, &mut delegation, failure.as_ref());
        self.out.push(Decision::End {
            key,
            attempt: token.map_or(delegation.attempts, |token| token.attempt),
            end,
            failure,
        });
        (delegation, leases)
    }

    /// Takes the leases from a delegation, frees what they held, and blames their machines for what is
    /// missing, if they are to blame.
    pub(crate) fn end_attempts(
        &mut self,
        key: DelegationKey,
        delegation: &mut Delegation,
        failure: Option<&ItemError>,
    ) -> Vec<Lease> {
        let missing = delegation.items.missing();
        let first = delegation.lease.take();
        self.timers.clear(&mut delegation.alarms.straggler);
        self.straggles_no_more(key, first.as_ref());
        let hedge = delegation.hedge.take().map(|hedge| *hedge);
        if hedge.is_some() {
            self.timers.clear(&mut delegation.alarms.hedge);
            self.hedging.over(&delegation.seeker);
        }
        let two = hedge.is_some();
        let leases: Vec<Lease> = first.into_iter().chain(hedge).collect();
        for lease in &leases {
            if !(two && planted(Bug::KeepLoser)) {
                self.release(lease, (delegation.purse, lease.price.times(missing)));
            }
            self.queue.take_back(&delegation.seeker, &lease.claim);
            if failure.is_some_and(|failure| failure.blames_operator()) {
                let kind = &delegation.task.kind;
                self.record(&lease.machine, kind, Outcome::failed(missing), self.now);
            }
        }
        leases
    }

    /// Gives back what the attempt claimed of the machine, and what it held of a purse.
    pub(crate) fn release(&mut self, lease: &Lease, (purse, held): (Option<WorkflowId>, Amount)) {
        let machine = connected(self.fleet.get_mut(lease.session));
        machine.release(&lease.token);
        let operator = machine.spec.operator.clone();
        self.fleet.freed(lease.session);
        self.release_money(purse, held);
        self.bound(|operators| operators.ended(&operator));
        if planted(Bug::WakeNobody) {
            return;
        }
        self.pass.wake(lease.session);
        if self.operators.is_newcomer(&operator) {
            self.wake_operator(&operator);
        }
    }

    /// Whoever may have waited for the money is looked at again.
    pub(crate) fn release_money(&mut self, purse: Option<WorkflowId>, amount: Amount) {
        if purse.is_none() {
            return;
        }
        let waiting: Vec<_> = self.purses.release(purse, amount).collect();
        for key in waiting {
            self.freshen(key);
        }
    }

    /// Counts items for or against a machine.
    pub(crate) fn record(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        outcome: Outcome,
        at: TimeMs,
    ) {
        let session = self.fleet.session_of(machine);
        self.record_of(session, machine, kind, outcome, at);
    }

    /// Like [`Scheduler::record`], for whoever knows the machine's session, if it has one.
    fn record_of(
        &mut self,
        session: Option<SessionId>,
        machine: &MachineId,
        kind: &Kind,
        outcome: Outcome,
        at: TimeMs,
    ) {
        let operator = match session.and_then(|session| self.fleet.get(session)) {
            Some(machine) => machine.spec.operator.clone(),
            None => machine.operator(),
        };
        let when = (at, self.now);
        let changed = self
            .reputation
            .record(machine, &operator, kind, outcome, when);
        match changed {
            Changed::Nothing => {}
            _ if planted(Bug::KeepRank) => {}
            Changed::Operator => self.settle(&operator, Some(kind)),
            Changed::Machine(tier) => {
                if let Some(session) = session {
                    self.set_tier(session, kind, tier);
                }
            }
        }
    }

    /// Counts items of which only the times are known.
    pub(crate) fn record_times(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        times: &[(TimeBucket, u32)],
        at: TimeMs,
    ) {
        let Told { lag, learned } = self.profiles.record_times(machine, kind, times, at);
        if let Some(session) = self.fleet.session_of(machine) {
            self.set_pace(session, kind, lag);
        }
        if learned {
            self.learn(kind);
        }
    }

    /// A kind has just become known: from here on its machines have paces, and its attempts may be hedged.
    fn learn(&mut self, kind: &Kind) {
        let offers = [Class::Cpu, Class::Device].map(|class| Offer {
            kind: kind.clone(),
            class,
        });
        let offering = offers.iter().flat_map(|offer| self.fleet.offering(offer));
        let done = offering.filter(|machine| self.profiles.has_done(&machine.id, kind));
        let done: Vec<_> = done.map(|machine| machine.session).collect();
        for session in done {
            self.rank(session, Some(kind));
        }
        self.watch_all(|delegation| delegation.task.kind == *kind);
    }

    pub(crate) fn stop(&mut self, leases: impl IntoIterator<Item = Lease>) {
        for Lease { session, token, .. } in leases {
            self.out.push(Decision::Stop { session, token });
        }
    }

    /// Does not offer the machine the kind for a moment.
    pub(crate) fn pause(&mut self, machine: &MachineId, kind: &Kind) {
        self.bench.refused(machine, kind, self.now);
        self.bench_changed(machine, kind);
    }

    /// Notes that this attempt failed.
    pub(crate) fn strike_for(&mut self, kind: &Kind, lease: &Lease) {
        let took_ms = self.now.saturating_sub(lease.assigned_ms);
        self.strike(&lease.machine, kind, took_ms);
    }

    /// Notes a failed attempt, which took so long; enough of them in a row quarantine the machine.
    pub(crate) fn strike(&mut self, machine: &MachineId, kind: &Kind, took_ms: u64) {
        if self
            .bench
            .failed_attempt(machine, kind, (self.now, took_ms))
        {
            self.bench_changed(machine, kind);
            self.lift_last(&[Class::Cpu, Class::Device].map(|class| Offer {
                kind: kind.clone(),
                class,
            }));
        }
    }

    /// Ends the quarantine that ends first, for each offer that nobody else is left for.
    pub(crate) fn lift_last<'a>(&mut self, offers: impl IntoIterator<Item = &'a Offer>) {
        for offer in offers {
            let mut first = None;
            let offering = self.fleet.offering(offer);
            for machine in offering.filter(|machine| machine.phase == Phase::Serving) {
                match self.bench.quarantined_until(&machine.id, &offer.kind) {
                    Some(until) => first = first.into_iter().chain([(until, &machine.id)]).min(),
                    None => {
                        first = None;
                        break;
                    }
                }
            }
            if let Some((_, machine)) = first {
                let machine = machine.clone();
                self.bench.lift(&machine, &offer.kind);
                self.bench_changed(&machine, &offer.kind);
            }
        }
    }

    /// Brings timer, hold and pools in line with the bench.
    pub(crate) fn bench_changed(&mut self, machine: &MachineId, kind: &Kind) {
        let owner = Owner::Bench(machine.clone(), kind.clone());
        let until = self.bench.until(machine, kind);
        match until {
            Some(until) => self.set_alarm(owner, until),
            None => self.clear_alarm(&owner),
        }
        let Some(session) = self.fleet.session_of(machine) else {
            return;
        };
        let hold = self.fleet.get(session).and_then(|m| m.hold.as_ref());
        let elder = hold.map(|hold| known(self.delegations.get(&hold.key)));
        if until.is_some() && elder.is_some_and(|elder| elder.task.kind == *kind) {
            self.drop_hold(session);
        }
        self.rank(session, Some(kind));
        self.pass.wake(session);
    }
}

pub(crate) fn known<T>(delegation: Option<T>) -> T {
    delegation.expect("invariant: the delegation is not over")
}

fn connected<T>(machine: Option<T>) -> T {
    machine.expect("invariant: a lease is of a connected machine")
}

pub(crate) fn held(lease: Option<&mut Lease>) -> &mut Lease {
    lease.expect("invariant: the fence found its lease")
}

/// For a message: whole seconds where it is.
pub(crate) fn duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}
