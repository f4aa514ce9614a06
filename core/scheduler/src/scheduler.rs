//! The scheduler's state and its one door.

use std::collections::BTreeSet;

use froben_model::view::ProfileView;
use froben_model::{
    ErrorClass, Kind, LeaseToken, MachineId, MachineSpec, OperatorId, TimeMs, WorkflowId,
};

use crate::bench::Bench;
use crate::capacity::{Demand, Offer};
use crate::delegation::{Delegation, Items, State};
use crate::delegations::Delegations;
use crate::fleet::Fleet;
use crate::hedge::Hedging;
use crate::matcher::Pass;
use crate::operators::Operators;
use crate::phase::{Happening, Phase};
use crate::planted::{Bug, planted};
use crate::profile::Profiles;
use crate::purse::Purses;
use crate::queue::{Queue, Waiting};
use crate::reputation::{Outcome, Reputation};
use crate::rng::Rng;
use crate::timers::{Alarms, Owner, Timers};
use crate::{Decision, DelegationKey, End, Input, Past, Policy, SessionId};

/// Hands tasks to machines. See the crate's documentation for the rules.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) policy: Policy,
    pub(crate) epoch: u64,
    /// The latest time that an input had: time does not go back.
    pub(crate) now: TimeMs,
    /// The step of reputation's decay that all ranks are of.
    step: u64,
    /// Those that are not over.
    pub(crate) delegations: Delegations,
    pub(crate) queue: Queue,
    /// Workflows whose queued delegations are parked: in no line, and without a timer.
    pub(crate) paused: BTreeSet<WorkflowId>,
    pub(crate) fleet: Fleet,
    /// Decides between machines that are equally good.
    pub(crate) rng: Rng,
    pub(crate) operators: Operators,
    /// Operators whose machines may have checks.
    pub(crate) trusted: BTreeSet<OperatorId>,
    pub(crate) reputation: Reputation,
    pub(crate) profiles: Profiles,
    pub(crate) bench: Bench,
    pub(crate) timers: Timers,
    pub(crate) hedging: Hedging,
    pub(crate) purses: Purses,
    pub(crate) pass: Pass,
    pub(crate) out: Vec<Decision>,
}

/// A connected machine as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView<'a> {
    pub session: SessionId,
    pub machine: &'a MachineId,
    pub spec: &'a MachineSpec,
    /// Assigned or running now.
    pub attempts: usize,
    /// Whether it is about to leave, and takes nothing more.
    pub draining: bool,
    /// Items with a value, of all kinds, since its record began.
    pub succeeded: u64,
    /// Items that failed by the operator's fault.
    pub failed: u64,
    /// Kinds that it is not offered for now, and until when.
    pub benched: Vec<(&'a Kind, TimeMs)>,
}

impl Scheduler {
    /// A scheduler that knows nobody.
    ///
    /// `epoch` tells this start of the coordinator from all others in the tokens that it gives out;
    /// `seed` decides between machines that are equally good.
    pub fn new(policy: Policy, epoch: u64, seed: u64) -> Self {
        Scheduler {
            policy,
            epoch,
            now: 0,
            step: 0,
            delegations: Delegations::default(),
            queue: Queue::default(),
            paused: BTreeSet::new(),
            fleet: Fleet::default(),
            rng: Rng::new(seed),
            operators: Operators::new(&policy),
            trusted: BTreeSet::new(),
            reputation: Reputation::new(&policy),
            profiles: Profiles::new(&policy),
            bench: Bench::new(&policy),
            timers: Timers::default(),
            hedging: Hedging::default(),
            purses: Purses::default(),
            pass: Pass::default(),
            out: Vec::new(),
        }
    }

    /// Applies one input at `now`; the decisions are in the order in which they must be journaled and
    /// carried out.
    ///
    /// What was due by `now` happens before the input: a message that comes after the deadline of its
    /// attempt is stale, whenever the last [`Input::Tick`] was. A `now` before the last one counts as
    /// the last one.
    pub fn handle(&mut self, now: TimeMs, input: Input) -> Vec<Decision> {
        self.now = self.now.max(now);
        self.age_reputation();
        self.ring();
        match input {
            Input::MachineJoined {
                session,
                machine,
                spec,
            } => self.machine_joined(session, machine, spec),
            Input::Drain { session } => self.drain(session),
            Input::MachineLeft { session, reason } => self.machine_left(session, &reason),
            Input::Queue {
                key,
                seeker,
                task,
                queued_ms,
                past,
                purse,
                urgency,
            } => {
                let Past {
                    attempts,
                    done,
                    claims,
                    lost,
                } = past;
                let mut items = Items::new(task.items);
                let claimed = claims.iter().map(|(index, _)| (*index, true));
                for (index, ok) in done.into_iter().chain(claimed) {
                    items.add(index, ok);
                }
                let mut demand = Demand::from(&task.needs);
                let offer = Offer {
                    kind: task.kind.clone(),
                    class: demand.class,
                };
                self.profiles.raise(&offer, &mut demand);
                let place = self.queue.place(queued_ms);
                self.queue(
                    key,
                    Delegation {
                        seeker,
                        offer,
                        demand,
                        task,
                        place,
                        state: State::Queued,
                        attempts,
                        items,
                        lease: None,
                        hedge: None,
                        alone: false,
                        failures: 0,
                        claims: claims.into_iter().collect(),
                        lost,
                        checked_by_ms: 0,
                        hold: None,
                        purse,
                        urgency,
                        shape: None,
                        alarms: Alarms::default(),
                    },
                );
            }
            Input::OpenPurse {
                purse,
                limit,
                spent,
            } => self.purses.open(purse, limit, spent),
            Input::ClosePurse { purse } => self.purses.close(purse),
            Input::Accepted { token } => self.accepted(token),
            Input::Refused { token, reason } => self.refused(token, &reason),
            Input::Item {
                token,
                index,
                error,
                usage,
            } => self.item(token, index, error, usage),
            Input::Late {
                token,
                machine,
                price,
                index,
            } => self.late(token, machine, price, index),
            Input::Verdict {
                key,
                index,
                verdict,
            } => self.verdict(key, index, verdict),
            Input::Trust { operators } => self.trust(operators),
            Input::Finish { token, failure } => self.finish(token, failure),
            Input::Cancel { key } => self.cancel(key),
            Input::Pause { workflow } => self.pause_workflow(workflow),
            Input::Resume { workflow } => self.resume_workflow(workflow),
            Input::RecordOutcome {
                machine,
                kind,
                ok,
                items,
                checked,
                at,
            } => {
                let outcome = Outcome { ok, items, checked };
                self.record(&machine, &kind, outcome, at.min(self.now));
            }
            Input::RecordTimes {
                machine,
                kind,
                times,
                at,
            } => {
                let at = at.min(self.now);
                self.record_times(&machine, &kind, &times, at);
            }
            Input::Policy(policy) => self.set_policy(policy),
            Input::Weights { weights } => self.queue.set_weights(weights),
            Input::Tick => {}
        }
        self.match_waiting();
        self.hedge_stragglers();
        if self.pass.newcomers {
            // A hedge more is in flight, so newcomers may have one more.
            self.match_waiting();
        }
        std::mem::take(&mut self.out)
    }

    /// When [`Scheduler::handle`] has to be called next at the latest.
    pub fn next_timer(&self) -> Option<TimeMs> {
        self.timers.next()
    }

    /// The connected machines, by session.
    pub fn machines(&self) -> impl Iterator<Item = MachineView<'_>> {
        let totals = self.reputation.totals();
        self.fleet.iter().map(move |machine| {
            let totals = totals.get(&machine.id).copied().unwrap_or_default();
            MachineView {
                session: machine.session,
                machine: &machine.id,
                spec: &machine.spec,
                attempts: machine.reservations.len(),
                draining: machine.phase == Phase::Draining,
                succeeded: totals.ok,
                failed: totals.failed,
                benched: self.bench.of(&machine.id),
            }
        })
    }

    /// What kinds of tasks are known to take, by kind and device.
    pub fn profiles(&self) -> impl Iterator<Item = ProfileView> {
        self.profiles.views()
    }

    fn queue(&mut self, key: DelegationKey, delegation: Delegation) {
        if self.delegations.contains_key(&key) {
            return;
        }
        let over = delegation.items.missing() == 0 || delegation.lost.is_some();
        let (lost, claimed) = (delegation.lost.clone(), delegation.claimed());
        let checked = !delegation.claims.is_empty();
        self.purses.hold(delegation.purse, claimed);
        self.delegations.insert(key, Box::new(delegation));
        self.wait(key);
        if over && checked {
            self.check(key, lost);
        } else if over {
            self.conclude(key);
        } else if !self.parked(key) {
            self.fleet.refit();
            if !self.hopeless(key) {
                self.freshen(key);
            }
        }
    }

    /// Whether there is surely nothing for a delegation that has just come. Whoever else waits with the
    /// same shape and is not picky would have had whatever could be had.
    fn hopeless(&self, key: DelegationKey) -> bool {
        let delegation = &self.delegations[&key];
        delegation.shape.is_none_or(|shape| {
            let shape = self.fleet.shapes.get(shape);
            shape.pool.is_empty() || shape.plain > usize::from(!delegation.picky())
        })
    }

    /// Puts a delegation in state Queued into its line, with its timer, unless it is parked.
    pub(crate) fn wait(&mut self, key: DelegationKey) {
        if self.parked(key) {
            // The one of the attempt that it came back from.
            return self.clear_alarm(&Owner::Delegation(key));
        }
        let delegation = self.delegations.get_mut(&key);
        let delegation = delegation.expect("invariant: who waits is known");
        let shape = self.fleet.shape(&delegation.offer, &delegation.demand);
        delegation.shape = Some(shape);
        let (picky, turn) = (delegation.picky(), delegation.turn());
        self.fleet.shapes.enter(shape, turn.place, key, picky);
        let waiting = Waiting { key, picky };
        self.queue.enter(shape, &delegation.seeker, turn, waiting);
        self.purses.wait(delegation.purse, key);
        self.hedging.waits(key.workflow);
        let deadline_ms = delegation.queue_deadline_ms();
        let alarm = &mut delegation.alarms.own;
        self.timers.set(alarm, Owner::Delegation(key), deadline_ms);
    }

    /// Whether a delegation that waits is out of the running until its workflow is resumed.
    pub(crate) fn parked(&self, key: DelegationKey) -> bool {
        self.paused.contains(&key.workflow)
    }

    fn all_in(&self, state: State, workflow: WorkflowId) -> Vec<DelegationKey> {
        let all = self.delegations.of(workflow);
        let those = all.filter(|(_, delegation)| delegation.state == state);
        those.map(|(key, _)| key).collect()
    }

    fn pause_workflow(&mut self, workflow: WorkflowId) {
        if self.paused.contains(&workflow) || planted(Bug::IgnorePause) {
            return;
        }
        for key in self.all_in(State::Queued, workflow) {
            self.stop_waiting(key);
            self.clear_alarm(&Owner::Delegation(key));
        }
        for key in self.all_in(State::Checking, workflow) {
            self.clear_alarm(&Owner::Delegation(key));
        }
        self.paused.insert(workflow);
    }

    fn resume_workflow(&mut self, workflow: WorkflowId) {
        if !self.paused.remove(&workflow) {
            return;
        }
        if planted(Bug::IgnoreResume) {
            return;
        }
        for key in self.all_in(State::Checking, workflow) {
            self.wait_for_checks(key);
        }
        for key in self.all_in(State::Queued, workflow) {
            let place = self.queue.place(self.now);
            if let Some(delegation) = self.delegations.get_mut(&key) {
                delegation.place = place;
            }
            self.wait(key);
            self.freshen(key);
        }
    }

    /// Takes a delegation out of its line and frees the machine that was held for it.
    pub(crate) fn stop_waiting(&mut self, key: DelegationKey) {
        if self.parked(key) {
            return;
        }
        self.stale(key);
        let delegation = self.delegations.get_mut(&key);
        let delegation = delegation.expect("invariant: who waits is known");
        let shape = delegation.shape.take();
        let shape = shape.expect("invariant: who waits stands in a line");
        let (picky, turn) = (delegation.picky(), delegation.turn());
        self.fleet.shapes.leave(shape, turn.place, picky);
        self.queue.leave(shape, &delegation.seeker, turn);
        self.purses.stop_waiting(delegation.purse, key);
        self.hedging.waits_no_more(key.workflow);
        if let Some(session) = delegation.hold.take()
            && !planted(Bug::KeepHold)
        {
            self.drop_hold(session);
        }
    }

    /// Frees a machine from the delegation that it is held for.
    pub(crate) fn drop_hold(&mut self, session: SessionId) {
        let Some(machine) = self.fleet.get_mut(session) else {
            return;
        };
        if let Some(hold) = machine.hold.take()
            && let Some(elder) = self.delegations.get_mut(&hold.key)
        {
            elder.hold = None;
        }
        self.pass.wake(session);
    }

    fn first_of(&self, key: DelegationKey) -> Option<LeaseToken> {
        let lease = self.delegations.get(&key)?.lease.as_ref();
        lease.map(|lease| lease.token)
    }

    fn cancel(&mut self, key: DelegationKey) {
        if self.delegations.contains_key(&key) {
            let token = self.first_of(key);
            let failure = self.failure(token, ErrorClass::Cancelled, "cancelled");
            let leases = self.end(key, token, End::Cancelled, Some(failure));
            self.stop(leases);
        }
    }

    fn machine_joined(&mut self, session: SessionId, machine: MachineId, spec: MachineSpec) {
        for older in [self.fleet.session_of(&machine), Some(session)]
            .into_iter()
            .flatten()
        {
            self.machine_left(older, "it connected anew");
        }
        let operator = spec.operator.clone();
        let trusted = self.trusted.contains(&operator);
        self.fleet.join(session, machine, spec);
        if let Some(machine) = self.fleet.get_mut(session) {
            machine.trusted = trusted;
        }
        self.queue.set_total(self.fleet.total);
        let (established, anybody) = (
            self.is_established(&operator),
            self.reputation.anybody_is_established(),
        );
        self.operators
            .join(&operator, session, established, anybody);
        self.rank(session, None);
        let machine = self.fleet.get(session);
        let offers = machine.into_iter().flat_map(|machine| &machine.offers);
        let offers: Vec<_> = offers.map(|offered| offered.offer.clone()).collect();
        self.lift_last(&offers);
        self.pass.wake(session);
    }

    fn drain(&mut self, session: SessionId) {
        let machine = self.fleet.get_mut(session);
        let Some(machine) = machine.filter(|machine| machine.phase == Phase::Serving) else {
            return;
        };
        machine.step(Happening::Drain);
        let offers = machine.offers.iter().map(|offered| offered.offer.clone());
        let offers: Vec<_> = offers.collect();
        self.drop_hold(session);
        self.rank(session, None);
        self.lift_last(&offers);
    }

    fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.reputation.set_policy(&policy, self.now);
        self.bench.set_policy(&policy);
        self.profiles.set_policy(&policy);
        self.step = self.reputation.step(self.now);
        self.bound(|operators| operators.set_policy(&policy));
        self.set_alarm(Owner::Newcomers, self.operators.again_ms());
        self.rank_all();
        self.watch_all(|_| true);
        let checking = self.delegations.iter();
        let checking = checking.filter(|(_, delegation)| delegation.state == State::Checking);
        let checking: Vec<_> = checking.map(|(key, _)| key).collect();
        for key in checking {
            self.wait_for_checks(key);
        }
    }

    /// Ranks everybody anew: records have aged, or count otherwise.
    pub(crate) fn rank_all(&mut self) {
        let operators: Vec<_> = self
            .operators
            .sorted()
            .into_iter()
            .map(|(id, _)| id.clone())
            .collect();
        for operator in operators {
            self.settle(&operator, None);
        }
    }

    fn age_reputation(&mut self) {
        let step = self.reputation.step(self.now);
        if step == self.step {
            return;
        }
        self.step = step;
        let fleet = &self.fleet;
        let here = |machine: &MachineId| fleet.session_of(machine).is_some();
        self.reputation.prune(self.now, here);
        self.profiles.prune(self.now, here);
        self.bench.prune(self.now, here);
        self.rank_all();
    }
}
