//! The life of an attempt, from the machine's answer to the end, and what the machine is held to
//! account for.

use std::collections::BTreeSet;

use froben_model::limits::{self, one_line};
use froben_model::{
    Amount, ErrorClass, ItemError, Kind, LeaseToken, MachineId, TimeMs, Usage, WorkflowId,
};

use crate::capacity::{Claim, Class, Offer};
use crate::delegation::{Delegation, Event, Lease, State};
use crate::planted::{Bug, planted};
use crate::profile::Done;
use crate::reputation::Changed;
use crate::timers::Owner;
use crate::{ClaimedItem, Decision, DelegationKey, End, Scheduler, SessionId, Trust};

impl Scheduler {
    /// The delegation that `token` holds. Notes that the message is stale if it holds none.
    fn fence(&mut self, token: LeaseToken) -> Option<(DelegationKey, State)> {
        let key = DelegationKey::of(&token);
        let held = self.delegations.get(&key).filter(|delegation| {
            let lease = delegation.lease.as_ref();
            lease.is_some_and(|lease| lease.token == token || planted(Bug::SkipFence))
        });
        let found = held.map(|delegation| (key, delegation.state));
        if found.is_none() {
            self.out.push(Decision::Stale { token });
        }
        found
    }

    /// Like [`Scheduler::fence`], for a message that shows that the machine took the task: its answer
    /// may still be on the way.
    fn fence_running(&mut self, token: LeaseToken) -> Option<DelegationKey> {
        let (key, state) = self.fence(token)?;
        if state == State::Assigned {
            self.start(key);
        }
        Some(key)
    }

    pub(crate) fn accepted(&mut self, token: LeaseToken) {
        self.fence_running(token);
    }

    fn start(&mut self, key: DelegationKey) {
        let delegation = known(self.delegations.get_mut(&key));
        delegation.step(Event::Accept);
        let attempt = delegation.attempts;
        let lease = held(&delegation.lease);
        self.timers.set(Owner::Delegation(key), lease.deadline_ms);
        self.bench.accepted(&lease.machine, &delegation.task.kind);
        self.fleet.load(lease.session, &delegation.task.keys);
        self.out.push(Decision::Start { key, attempt });
    }

    pub(crate) fn refused(&mut self, token: LeaseToken, reason: &str) {
        match self.fence(token) {
            None => {}
            Some((key, State::Assigned)) => {
                let (lease, kind) = self.give_back(key, one_line(reason), false);
                self.pause(&lease.machine, &kind);
                self.wait_again(key, &lease.claim);
            }
            Some((key, _)) => {
                let message = format!("gave up a task that it had taken: {reason}");
                let failure = self.failure(key, ErrorClass::WorkerFailed, &message);
                self.fail(key, End::Failed, failure);
            }
        }
    }

    pub(crate) fn item(
        &mut self,
        token: LeaseToken,
        index: u32,
        error: Option<ErrorClass>,
        usage: Usage,
    ) {
        let Some(key) = self.fence_running(token) else {
            return;
        };
        let delegation = known(self.delegations.get_mut(&key));
        let total = delegation.items.total();
        if index >= total {
            let message = format!("sent item {index} of a task that has {total}");
            let failure = self.failure(key, ErrorClass::InvalidResult, &message);
            let lease = self.fail(key, End::Failed, failure);
            return self.stop(lease);
        }
        if !delegation.items.add(index, error.is_none()) {
            return self.out.push(Decision::Duplicate { token, index });
        }
        let complete = delegation.items.missing() == 0;
        let attempt = delegation.attempts;
        if error.is_none() && delegation.task.trust == Trust::Checked && !planted(Bug::PayUnchecked)
        {
            let lease = delegation.lease.as_mut();
            let lease = lease.expect("invariant: the fence found its lease");
            let claim = ClaimedItem {
                attempt,
                machine: lease.machine.clone(),
                price: lease.price,
                took_ms: Some(lease.laps.lap(self.now)),
            };
            self.claim(key, index, claim);
            if complete {
                self.complete(key);
            }
            return;
        }
        let (purse, price) = (delegation.purse, held(&delegation.lease).price);
        let fault = error.is_some_and(ErrorClass::blames_operator);
        let lease = delegation.lease.as_mut();
        let lease = lease.expect("invariant: the fence found its lease");
        let took_ms = lease.laps.lap(self.now);
        if error.is_none() {
            let machine = self.fleet.get(lease.session);
            let devices = machine.map(|machine| &machine.spec.devices);
            let device = devices.and_then(|devices| devices.get(lease.claim.device?));
            // Nobody uses more than he has.
            let usage = Usage {
                ram_bytes: usage.ram_bytes.min(machine.map_or(0, |m| m.spec.ram_bytes)),
                vram_bytes: usage.vram_bytes.min(device.map_or(0, |d| d.vram_bytes)),
            };
            let done = Done {
                machine: &lease.machine,
                kind: &delegation.task.kind,
                device: device.map(|device| device.name.as_str()),
                took_ms,
                usage,
            };
            self.profiles.record(self.now, done);
        }
        if error.is_none() || fault {
            lease.ok += u32::from(!fault);
            lease.faults += u32::from(fault);
            let (machine, kind) = (lease.machine.clone(), delegation.task.kind.clone());
            self.record(&machine, &kind, !fault, 1, self.now);
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
        if complete {
            self.complete(key);
        }
    }

    /// No item is missing: the delegation is over, or waits for its checks.
    pub(crate) fn complete(&mut self, key: DelegationKey) -> Option<Lease> {
        let delegation = known(self.delegations.get(&key));
        if delegation.claims.is_empty() {
            return self.end_complete(key);
        }
        let kind = delegation.task.kind.clone();
        let lease = self.check(key, None);
        self.judge(&kind, lease.as_ref(), false);
        lease
    }

    pub(crate) fn finish(&mut self, token: LeaseToken, failure: Option<ItemError>) {
        let Some(key) = self.fence_running(token) else {
            return;
        };
        let failure = match failure {
            Some(ItemError {
                class,
                message,
                operator: _,
            }) => self.failure(key, class, &message),
            None => {
                let items = &known(self.delegations.get(&key)).items;
                let message = format!(
                    "finished without {} of {} items",
                    items.missing(),
                    items.total()
                );
                self.failure(key, ErrorClass::WorkerFailed, &message)
            }
        };
        self.fail(key, End::Failed, failure);
    }

    /// Ends a delegation whose items are all in.
    pub(crate) fn end_complete(&mut self, key: DelegationKey) -> Option<Lease> {
        let end = match known(self.delegations.get(&key)).items.any_failed() {
            true => End::Failed,
            false => End::Succeeded,
        };
        self.end(key, end, None)
    }

    /// The delegation's timer has rung, which was set to `at`.
    pub(crate) fn delegation_due(&mut self, key: DelegationKey, at: TimeMs) {
        let delegation = known(self.delegations.get(&key));
        match (delegation.state, &delegation.lease) {
            (State::Checking, _) => self.give_up_checks(key),
            (State::Assigned, Some(lease)) if at < lease.deadline_ms => self.unanswered(key),
            (_, Some(lease)) => {
                let after_ms = at.saturating_sub(lease.assigned_ms);
                let waited = duration(after_ms);
                if delegation.task.timeout_ms == limits::DEFAULT_TIMEOUT_MS {
                    self.profiles.too_short(&delegation.task.kind, after_ms);
                }
                let items = &delegation.items;
                let message = format!(
                    "not over after {waited}, {} of {} items missing",
                    items.missing(),
                    items.total()
                );
                let failure = self.failure(key, ErrorClass::Timeout, &message);
                let lease = self.fail(key, End::TimedOut, failure);
                self.stop(lease);
            }
            (_, None) => self.no_capacity(key),
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
        let failure = self.failure(key, ErrorClass::NoCapacity, &message);
        self.fail(key, End::Failed, failure);
    }

    /// The machine did not answer the offer in time.
    fn unanswered(&mut self, key: DelegationKey) {
        let waited = duration(self.policy.accept_timeout_ms);
        let reason = format!("the machine did not answer within {waited}");
        let (lease, kind) = self.give_back(key, reason, true);
        self.record(&lease.machine, &kind, false, 1, self.now);
        self.pause(&lease.machine, &kind);
        self.strike(&lease.machine, &kind);
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
        let attempt = delegation.attempts;
        let lease = delegation.lease.take();
        let lease = lease.expect("invariant: an assigned delegation has a lease");
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
        let keys: Vec<_> = machine.reservations.keys().map(DelegationKey::of).collect();
        let held_for = machine.hold.as_ref().map(|hold| hold.key);
        let mut kinds = BTreeSet::new();
        for key in keys {
            kinds.insert(known(self.delegations.get(&key)).task.kind.clone());
            let failure = self.failure(key, ErrorClass::Disconnected, &message);
            self.fail_quietly(key, End::Failed, failure);
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
            self.strike(&id, kind);
        }
        let offers = machine.into_iter().flat_map(|machine| machine.offers);
        let offers: Vec<_> = offers.map(|offered| offered.offer).collect();
        self.lift_last(&offers);
        self.pass.forget(session);
    }

    /// What the items that have not come end with.
    pub(crate) fn failure(
        &self,
        key: DelegationKey,
        class: ErrorClass,
        message: &str,
    ) -> ItemError {
        let lease = self.delegations.get(&key).and_then(|d| d.lease.as_ref());
        let machine = lease.and_then(|lease| self.fleet.get(lease.session));
        ItemError {
            class,
            message: one_line(message),
            operator: machine.map(|machine| machine.spec.operator.clone()),
        }
    }

    /// An attempt failed, or none is to be had: ends the delegation, unless it is a check that is tried
    /// again, or has items that wait for theirs.
    fn fail(&mut self, key: DelegationKey, end: End, failure: ItemError) -> Option<Lease> {
        let kind = known(self.delegations.get(&key)).task.kind.clone();
        let blamed = failure.class.blames_operator();
        let lease = self.fail_quietly(key, end, failure);
        self.judge(&kind, lease.as_ref(), blamed);
        lease
    }

    /// Like [`Scheduler::fail`], but says nothing of the attempt to the bench.
    fn fail_quietly(&mut self, key: DelegationKey, end: End, failure: ItemError) -> Option<Lease> {
        let delegation = known(self.delegations.get(&key));
        let retried = delegation.failures + 1 < self.policy.check_attempts;
        match (delegation.task.trust, &delegation.lease) {
            (Trust::Trusted, Some(_)) if retried => Some(self.check_again(key, &failure)),
            _ if !delegation.claims.is_empty() => {
                let attempt = delegation.attempts;
                let lease = self.check(key, Some(failure.clone()));
                self.out.push(Decision::Lose {
                    key,
                    attempt,
                    failure,
                });
                lease
            }
            _ => self.end_quietly(key, end, Some(failure)).1,
        }
    }

    /// Ends a delegation, frees what it held at once, and credits or blames the machine.
    pub(crate) fn end(
        &mut self,
        key: DelegationKey,
        end: End,
        failure: Option<ItemError>,
    ) -> Option<Lease> {
        let blamed = failure.as_ref().is_some_and(|f| f.class.blames_operator());
        let (delegation, lease) = self.end_quietly(key, end, failure);
        self.judge(&delegation.task.kind, lease.as_ref(), blamed);
        lease
    }

    /// Tells the bench how an attempt went that is over.
    pub(crate) fn judge(&mut self, kind: &Kind, lease: Option<&Lease>, blamed: bool) {
        let Some(lease) = lease else {
            return;
        };
        if blamed || (lease.ok == 0 && lease.faults > 0) {
            self.strike(&lease.machine, kind);
        } else if lease.ok > 0 {
            self.bench.good_attempt(&lease.machine, kind);
        }
    }

    /// Like [`Scheduler::end`], but says nothing of the attempt to the bench.
    fn end_quietly(
        &mut self,
        key: DelegationKey,
        end: End,
        failure: Option<ItemError>,
    ) -> (Delegation, Option<Lease>) {
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
        if !planted(Bug::KeepTimer) {
            self.timers.clear(&Owner::Delegation(key));
        }
        let claimed = delegation.claimed();
        self.release_money(delegation.purse, claimed);
        let lease = self.end_attempt(&mut delegation, failure.as_ref());
        self.out.push(Decision::End {
            key,
            attempt: delegation.attempts,
            end,
            failure,
        });
        (delegation, lease)
    }

    /// Takes the lease from a delegation, if there is one, frees what it held, and blames its machine for
    /// what is missing, if it is to blame.
    pub(crate) fn end_attempt(
        &mut self,
        delegation: &mut Delegation,
        failure: Option<&ItemError>,
    ) -> Option<Lease> {
        let lease = delegation.lease.take()?;
        let missing = delegation.items.missing();
        self.release(&lease, (delegation.purse, lease.price.times(missing)));
        self.queue.take_back(&delegation.seeker, &lease.claim);
        if failure.is_some_and(|failure| failure.class.blames_operator()) {
            let kind = &delegation.task.kind;
            self.record(&lease.machine, kind, false, missing, self.now);
        }
        Some(lease)
    }

    /// Gives back what the attempt claimed of the machine, and what it held of a purse.
    fn release(&mut self, lease: &Lease, (purse, held): (Option<WorkflowId>, Amount)) {
        let machine = self.fleet.get_mut(lease.session);
        let machine = machine.expect("invariant: a lease is of a connected machine");
        machine.release(&lease.token);
        let operator = machine.spec.operator.clone();
        self.fleet.refit(lease.session);
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
        ok: bool,
        items: u32,
        at: TimeMs,
    ) {
        let session = self.fleet.session_of(machine);
        let operator = match session.and_then(|session| self.fleet.get(session)) {
            Some(machine) => machine.spec.operator.clone(),
            None => machine.operator(),
        };
        let when = (at, self.now);
        let changed = self
            .reputation
            .record(machine, &operator, kind, ok, items, when);
        match changed {
            _ if planted(Bug::KeepRank) => {}
            Changed::Operator => self.settle(&operator),
            Changed::Machine => {
                if let Some(session) = session {
                    self.rank(session, Some(kind));
                }
            }
        }
    }

    pub(crate) fn stop(&mut self, lease: Option<Lease>) {
        if let Some(Lease { session, token, .. }) = lease {
            self.out.push(Decision::Stop { session, token });
        }
    }

    /// Does not offer the machine the kind for a moment.
    pub(crate) fn pause(&mut self, machine: &MachineId, kind: &Kind) {
        self.bench.refused(machine, kind, self.now);
        self.bench_changed(machine, kind);
    }

    /// Notes a failed attempt; enough of them in a row quarantine the machine.
    pub(crate) fn strike(&mut self, machine: &MachineId, kind: &Kind) {
        if self.bench.failed_attempt(machine, kind, self.now) {
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
            for machine in self.fleet.offering(offer) {
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
            Some(until) => self.timers.set(owner, until),
            None => self.timers.clear(&owner),
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

fn held(lease: &Option<Lease>) -> &Lease {
    lease
        .as_ref()
        .expect("invariant: the fence found its lease")
}

/// For a message: whole seconds where it is.
pub(crate) fn duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}
