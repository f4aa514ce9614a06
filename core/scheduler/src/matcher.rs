//! Who gets what: the pass that follows each input.
//!
//! Between inputs nobody waits who could be served: so a pass looks only at the machines that have
//! something to give since (*woken*), at the delegations that have just come (*fresh*), and at the
//! newcomers when their bounds have opened. It does not weigh one delegation's future against another's;
//! the one exception is the hold, which keeps a machine for an elder that is passed over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{Kind, LeaseToken, OperatorId, SeekerId, SetupKey, limits};

use crate::capacity::{Claim, Demand, Offer};
use crate::delegation::{Delegation, Event, Lease};
use crate::laps::Laps;
use crate::machine::{Machine, Offered, Reservation};
use crate::operators::Operators;
use crate::phase::Phase;
use crate::planted::{Bug, planted};
use crate::pool::{Newcomers, Rank};
use crate::profile::Lag;
use crate::queue::{Place, Seeker, Turn};
use crate::reputation::Tier;
use crate::shapes::{Shape, ShapeId};
use crate::timers::Owner;
use crate::{Decision, DelegationKey, Scheduler, SessionId};

/// A seeker's lines are gone through from the first if they are at most so many for each machine and shape that
/// is ready.
const HEADS: usize = 8;

/// What has changed since the last pass.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Machines that may take something that they could not take before.
    woken: BTreeSet<SessionId>,
    /// Newcomers may take something that they could not take before.
    pub(crate) newcomers: bool,
    /// Delegations that no machine has been sought for yet.
    fresh: BTreeMap<SeekerId, BTreeMap<Turn, DelegationKey>>,
    /// What delegations of a shape wait for, if they are not picky.
    obstacles: BTreeMap<Offer, BTreeMap<Demand, String>>,
}

impl Pass {
    pub(crate) fn wake(&mut self, session: SessionId) {
        self.woken.insert(session);
        self.obstacles.clear();
    }

    pub(crate) fn forget(&mut self, session: SessionId) {
        self.woken.remove(&session);
    }

    pub(crate) fn obstacle(&self, offer: &Offer, demand: &Demand) -> Option<String> {
        self.obstacles.get(offer)?.get(demand).cloned()
    }

    pub(crate) fn note_obstacle(&mut self, offer: Offer, demand: Demand, obstacle: String) {
        let demands = self.obstacles.entry(offer).or_default();
        demands.insert(demand, obstacle);
    }
}

/// A delegation and the place that it would get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) key: DelegationKey,
    pub(crate) session: SessionId,
    pub(crate) claim: Claim,
}

/// A shape that somebody waits with, and a machine that may have become free for it. They are kept in order:
/// the best machine of a shape first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    shape: ShapeId,
    rank: Rank,
    session: SessionId,
}

impl Scheduler {
    /// Hands out all that can be handed out.
    pub(crate) fn match_waiting(&mut self) {
        if !self.queue.is_empty() && !self.fleet.is_empty() {
            self.drop_vain_holds();
            while let Some(found) = self.for_an_elder().or_else(|| self.for_the_next()) {
                if !self.hold_for_an_elder(&found) {
                    self.assign(found);
                }
            }
        }
        self.fleet.refit();
        self.pass = Pass::default();
    }

    /// Has a machine sought for a delegation that waits.
    pub(crate) fn freshen(&mut self, key: DelegationKey) {
        let delegation = &self.delegations[&key];
        let own = self.pass.fresh.entry(delegation.seeker.clone());
        own.or_default().insert(delegation.turn(), key);
    }

    /// Takes back what [`Scheduler::freshen`] did.
    pub(crate) fn stale(&mut self, key: DelegationKey) {
        let delegation = &self.delegations[&key];
        if let Some(own) = self.pass.fresh.get_mut(&delegation.seeker) {
            own.remove(&delegation.turn());
            if own.is_empty() {
                self.pass.fresh.remove(&delegation.seeker);
            }
        }
    }

    /// A machine's rank for what it offers; `None` while it is benched for it, or drained.
    pub(crate) fn rank_of(&self, machine: &Machine, offered: &Offered) -> Option<Rank> {
        let kind = &offered.offer.kind;
        if machine.phase != Phase::Serving || self.bench.until(&machine.id, kind).is_some() {
            return None;
        }
        let operator = &machine.spec.operator;
        let tier = self.reputation.tier(&machine.id, operator, kind, self.now);
        let lag = self.profiles.lag(&machine.id, kind);
        Some(Rank {
            newcomer: self.operators.is_newcomer(operator),
            tier: Reverse(tier),
            pace: lag.pace(offered.rank.map(|rank| rank.pace)),
        })
    }

    /// Ranks a machine anew: for one kind, or for all that it offers.
    pub(crate) fn rank(&mut self, session: SessionId, kind: Option<&Kind>) {
        let Some(machine) = self.fleet.get(session) else {
            return;
        };
        let offers = machine.offers_of(kind);
        let ranks = offers.map(|at| (at, self.rank_of(machine, &machine.offers[at])));
        for (at, rank) in ranks.collect::<Vec<_>>() {
            self.fleet.rank(session, at, rank);
        }
    }

    /// Gives a machine the pace that follows from its times at a kind.
    pub(crate) fn set_pace(&mut self, session: SessionId, kind: &Kind, lag: Lag) {
        self.fleet.rerank(session, kind, |rank| Rank {
            pace: lag.pace(Some(rank.pace)),
            ..rank
        });
    }

    /// Gives a machine the tier that follows from its record at a kind.
    pub(crate) fn set_tier(&mut self, session: SessionId, kind: &Kind, tier: Tier) {
        self.fleet.rerank(session, kind, |rank| Rank {
            tier: Reverse(tier),
            ..rank
        });
    }

    /// Whether an operator is known for enough, or trusted anyway.
    pub(crate) fn is_established(&self, id: &OperatorId) -> bool {
        self.trusted.contains(id) || self.reputation.is_established(id)
    }

    /// Brings an operator and the ranks of all his machines in line with his record, which has changed
    /// for one kind, or for all.
    pub(crate) fn settle(&mut self, id: &OperatorId, kind: Option<&Kind>) {
        let (mut changed, established) = (false, self.is_established(id));
        self.bound(|operators| changed = operators.set_established(id, established));
        let operator = self.operators.get(id);
        let sessions = operator.map(|operator| operator.sessions.clone());
        for session in sessions.into_iter().flatten() {
            match kind.filter(|_| !changed) {
                Some(kind) => self.settle_machine(session, id, kind),
                None => self.rank(session, None),
            }
        }
        if changed {
            self.wake_operator(id);
        }
    }

    /// Brings a machine of the operator's in line with his record of a kind.
    fn settle_machine(&mut self, session: SessionId, operator: &OperatorId, kind: &Kind) {
        let machine = self.fleet.get(session);
        if let Some(machine) = machine.filter(|machine| !machine.offers_of(Some(kind)).is_empty()) {
            let tier = self.reputation.tier(&machine.id, operator, kind, self.now);
            self.set_tier(session, kind, tier);
        }
    }

    /// Changes what newcomers have; if that opens their bounds, they are looked at.
    pub(crate) fn bound(&mut self, change: impl FnOnce(&mut Operators)) {
        let before = self.operators.admits_newcomers(self.now);
        change(&mut self.operators);
        self.pass.newcomers |= !before && self.operators.admits_newcomers(self.now);
    }

    /// Lets all machines of an operator look for work.
    pub(crate) fn wake_operator(&mut self, id: &OperatorId) {
        let operator = self.operators.get(id);
        for session in operator.into_iter().flat_map(|operator| &operator.sessions) {
            self.pass.wake(*session);
        }
    }

    /// Frees woken machines from elders that may not have them any more, whose budget is gone or so.
    fn drop_vain_holds(&mut self) {
        let held = self.pass.woken.iter().filter(|session| {
            let machine = self.fleet.get(**session);
            machine.is_some_and(|machine| {
                let elder = machine.hold.as_ref().map(|hold| hold.key);
                elder.is_some_and(|elder| !self.allows(&self.delegations[&elder], machine))
            })
        });
        let held: Vec<_> = held.copied().collect();
        held.into_iter().for_each(|session| self.drop_hold(session));
    }

    /// A woken machine that is held and has become free enough.
    fn for_an_elder(&self) -> Option<Match> {
        self.pass.woken.iter().find_map(|session| {
            let machine = self.fleet.get(*session)?;
            let hold = machine.hold.as_ref()?;
            // The last one may have taken the money for it.
            if !self.allows(&self.delegations[&hold.key], machine) {
                return None;
            }
            Some(Match {
                key: hold.key,
                session: *session,
                claim: machine.claim(&hold.demand, Some(hold.key))?,
            })
        })
    }

    /// The next delegation in the order of service that can be served.
    fn for_the_next(&mut self) -> Option<Match> {
        let ready = self.ready();
        loop {
            let served = match ready.is_empty() {
                true => self.first_fresh().map(|id| (id, None)),
                false => self.queue.in_order().find_map(|(id, seeker)| {
                    let fresh = self.pass.fresh.contains_key(id);
                    let waiting = self.for_seeker(seeker, &ready);
                    (fresh || waiting.is_some()).then_some((id, waiting))
                }),
            };
            // Everybody who comes before has nothing that fits.
            let (id, waiting) = served.map(|(id, waiting)| (id.clone(), waiting))?;
            let found = self.fresher(&id, waiting);
            if found.is_some() {
                return found;
            }
        }
    }

    /// Of the seekers who have something fresh, the one to be served first.
    fn first_fresh(&self) -> Option<&SeekerId> {
        let seekers = self.pass.fresh.keys();
        seekers.min_by_key(|id| (self.queue.standing(id), *id))
    }

    /// Of a seeker's delegations the first that can be served: `waiting`, or a fresh one that comes
    /// before it. Those that find nothing are fresh no more.
    fn fresher(&mut self, seeker: &SeekerId, waiting: Option<(Turn, Match)>) -> Option<Match> {
        loop {
            let own = self.pass.fresh.get(seeker);
            let first = own.and_then(BTreeMap::first_key_value);
            let first = first.map(|(turn, key)| (*turn, *key));
            match (first, waiting) {
                (Some((turn, key)), _) if waiting.is_none_or(|(found, _)| turn < found) => {
                    self.stale(key);
                    if let Some(found) = self.place(key) {
                        return Some(found);
                    }
                }
                (_, waiting) => return waiting.map(|(_, found)| found),
            }
        }
    }

    /// Shapes that somebody waits with and that woken machines have become free for.
    fn ready(&mut self) -> Vec<Ready> {
        if self.pass.newcomers {
            self.fleet.refit();
        }
        let mut ready = Vec::new();
        let mut add = |id: ShapeId, shape: &Shape, rank: Rank, machine: &Machine| {
            if machine.takes(&shape.demand) {
                ready.push(Ready {
                    shape: id,
                    rank,
                    session: machine.session,
                });
            }
        };
        let woken = self.pass.woken.iter();
        for machine in woken.filter_map(|session| self.fleet.get(*session)) {
            if !self.operators.admits(&machine.spec.operator, self.now) {
                continue;
            }
            for fit in &machine.fits {
                let shape = self.fleet.shapes.get(fit.shape);
                if let Some(rank) = machine.offers[fit.offer as usize].rank
                    && !shape.elders.is_empty()
                {
                    add(fit.shape, shape, rank, machine);
                }
            }
        }
        if self.pass.newcomers {
            for (id, shape) in self.fleet.shapes.waited_for() {
                for (session, rank) in shape.pool.newcomers() {
                    let machine = self.fleet.get(session);
                    let machine =
                        machine.filter(|m| self.operators.admits(&m.spec.operator, self.now));
                    machine.into_iter().for_each(|m| add(id, shape, rank, m));
                }
            }
        }
        ready.sort_unstable();
        ready.dedup();
        ready
    }

    /// The first of a seeker's delegations that one of the machines which are ready can take.
    fn for_seeker(&self, seeker: &Seeker, ready: &[Ready]) -> Option<(Turn, Match)> {
        let mut best = None;
        // Most often the very first lines have something: it pays to begin with them, if they are not many.
        if seeker.heads().len() <= ready.len() * HEADS {
            for (turn, shape) in seeker.heads() {
                if best.is_some_and(|(first, _)| first < *turn) {
                    break;
                }
                let those = &ready[ready.partition_point(|ready| ready.shape < *shape)..];
                let those = &those[..those.partition_point(|ready| ready.shape == *shape)];
                best = self.for_line(seeker, *shape, those, best);
            }
        } else {
            for those in ready.chunk_by(|one, next| one.shape == next.shape) {
                best = self.for_line(seeker, those[0].shape, those, best);
            }
        }
        best
    }

    /// Of a seeker's line the first that one of the machines can take, if it comes before `best`; `best` if
    /// not.
    fn for_line(
        &self,
        seeker: &Seeker,
        shape: ShapeId,
        machines: &[Ready],
        best: Option<(Turn, Match)>,
    ) -> Option<(Turn, Match)> {
        let line = seeker.line(shape).filter(|_| !machines.is_empty());
        for (turn, waiting) in line.into_iter().flatten() {
            if best.is_some_and(|(first, _)| first < *turn) {
                break;
            }
            let found = machines.iter().find_map(|ready| {
                let machine = self.fleet.get(ready.session)?;
                Some(Match {
                    key: waiting.key,
                    session: ready.session,
                    claim: self.take(waiting.key, machine)?,
                })
            });
            if let Some(found) = found {
                return Some((*turn, found));
            }
        }
        best
    }

    /// The best of all machines for a delegation.
    fn place(&mut self, key: DelegationKey) -> Option<Match> {
        if !self.affords_any(&self.delegations[&key]) {
            return None;
        }
        let random = self.rng.next();
        self.fleet.refit();
        let delegation = &self.delegations[&key];
        let shape = delegation.shape?;
        // The upper half of the bits decides whether it is the newcomers' turn, the lower among whom.
        let newcomers = match (random >> 32) % 100 < u64::from(self.policy.newcomer_percent) {
            true => Newcomers::First,
            false => Newcomers::Last,
        };
        let take = |machine: &Machine, _| self.take(key, machine);
        let (drawn, busy) = self.fleet.draw(shape, newcomers, random, usize::MAX, take);
        let found = drawn.map(|drawn| self.least_to_load(key, shape, drawn));
        self.fleet.withdraw(busy, shape);
        found
    }

    /// Of the machines that are as good as the one drawn, the one that has to load least.
    fn least_to_load(
        &self,
        key: DelegationKey,
        shape: ShapeId,
        (session, rank, claim): (SessionId, Rank, Claim),
    ) -> Match {
        let found = |session, claim| Match {
            key,
            session,
            claim,
        };
        let keys = &self.delegations[&key].task.keys;
        if keys.is_empty() {
            return found(session, claim);
        }
        let pool = &self.fleet.shapes.get(shape).pool;
        // Who has something of it loaded is listed by it.
        let loaded = keys.iter().flat_map(|key| self.fleet.with_loaded(key));
        let equals = loaded.filter(|session| pool.rank(*session) == Some(rank));
        let equals = equals.filter_map(|session| self.fleet.get(session));
        let equals = equals.filter_map(|equal| Some((equal, self.take(key, equal)?)));
        let drawn = self.fleet.get(session).map(|drawn| (drawn, claim));
        let all: Vec<_> = drawn.into_iter().chain(equals).collect();
        // A key is the same wherever it is: the largest word of its size is taken for all who hold it.
        let size = |key: &SetupKey| {
            let words = all.iter().filter_map(|(m, _)| m.keys.get(&key.sha256));
            words.copied().max().unwrap_or(0).max(1)
        };
        let sizes: Vec<u64> = keys.iter().map(size).collect();
        let least = all.into_iter().min_by_key(|(m, _)| m.to_load(keys, &sizes));
        least.map_or(found(session, claim), |(least, claim)| {
            found(least.session, claim)
        })
    }

    /// How the machine would take the delegation now, if it may.
    fn take(&self, key: DelegationKey, machine: &Machine) -> Option<Claim> {
        let delegation = &self.delegations[&key];
        let claim = machine.claim(&delegation.demand, Some(key))?;
        self.allows(delegation, machine).then_some(claim)
    }

    /// Whether the delegation may have the machine now, free or not.
    pub(crate) fn allows(&self, delegation: &Delegation, machine: &Machine) -> bool {
        delegation.may_have(machine)
            && self.affords(delegation, machine)
            && self.operators.admits(&machine.spec.operator, self.now)
    }

    /// Whether what is left of its purse is enough for the cheapest machine, free or not: where it is not,
    /// nobody need be asked, however many wait for money.
    fn affords_any(&self, delegation: &Delegation) -> bool {
        let cheapest = || {
            let price = self.fleet.cheapest(&delegation.offer)?;
            Some(price.times(delegation.items.missing()))
        };
        let left = self.purses.left(delegation.purse);
        left.is_none_or(|left| cheapest().is_some_and(|cost| cost <= left))
    }

    fn affords(&self, delegation: &Delegation, machine: &Machine) -> bool {
        let left = self.purses.left(delegation.purse);
        left.is_none_or(|left| delegation.cost(machine) <= left) || planted(Bug::IgnoreBudget)
    }

    /// Before `found` overtakes an elder on a machine that could take the elder but for what runs there:
    /// holds the machine for the elder. True if it did, and `found` has to be thought over.
    fn hold_for_an_elder(&mut self, found: &Match) -> bool {
        let Some((elder, key)) = self.overtaken(found) else {
            return false;
        };
        let delegation = &self.delegations[&key];
        let demand = delegation.demand;
        if let Some(session) = delegation.hold {
            self.drop_hold(session);
        }
        if let Some(machine) = self.fleet.get_mut(found.session) {
            machine.hold_for(key, demand);
        }
        if let Some(delegation) = self.delegations.get_mut(&key) {
            delegation.hold = Some(found.session);
            debug_assert_eq!(delegation.place, elder);
        }
        // It waits no shorter for being thought over.
        self.freshen(found.key);
        true
    }

    /// The eldest that `found` would overtake on its machine, and that is not held a better one.
    fn overtaken(&self, found: &Match) -> Option<(Place, DelegationKey)> {
        let place = self.delegations[&found.key].place;
        let patient = |elder: Place| {
            elder < place && self.now.saturating_sub(elder.queued_ms) >= self.policy.patience_ms
        };
        let machine = self.fleet.get(found.session)?;
        if machine.hold.is_some() {
            return None;
        }
        let mut eldest: Option<(Place, DelegationKey)> = None;
        for fit in &machine.fits {
            let offered = &machine.offers[fit.offer as usize];
            let shape = self.fleet.shapes.get(fit.shape);
            // One that fits now is not too big: it is not its turn.
            if shape.elders.is_empty()
                || offered.rank.is_none()
                || !machine.free.open(offered.offer.class)
                || machine.free.fits(&shape.demand)
            {
                continue;
            }
            let elders = shape.elders.iter().map(|(place, key)| (*place, *key));
            let mut elders = elders.take_while(|elder| {
                patient(elder.0) && eldest.is_none_or(|eldest| *elder < eldest)
            });
            let first = elders.find(|(_, key)| self.allows(&self.delegations[key], machine));
            let first = first.filter(|(_, key)| {
                let held_ms = self.held_until(&self.delegations[key]);
                held_ms.is_none_or(|held_ms| machine.drained_ms() < held_ms)
            });
            eldest = first.or(eldest);
        }
        eldest
    }

    /// When the machine that is held for it will have been drained.
    fn held_until(&self, delegation: &Delegation) -> Option<u64> {
        let machine = self.fleet.get(delegation.hold?)?;
        machine.hold.as_ref().map(|hold| hold.drained_ms)
    }

    fn assign(&mut self, found: Match) {
        self.stale(found.key);
        self.stop_waiting(found.key);
        let lease = self.reserve(&found, Event::Assign);
        if let Some(delegation) = self.delegations.get_mut(&found.key) {
            delegation.lease = Some(lease);
        }
    }

    /// Makes the next attempt of a delegation: reserves what it claims, holds what it may cost, sets its
    /// timer, and offers it to its machine. `event` is Assign or Hedge.
    pub(crate) fn reserve(&mut self, found: &Match, event: Event) -> Lease {
        let Match {
            key,
            session,
            claim,
        } = *found;
        let delegation = self.delegations.get_mut(&key);
        let delegation = delegation.expect("invariant: a match is of a known delegation");
        let machine = self.fleet.get_mut(session);
        let machine = machine.expect("invariant: a match is with a connected machine");

        delegation.step(event);
        delegation.attempts = delegation.attempts.saturating_add(1);
        let token = LeaseToken {
            workflow: key.workflow,
            call: key.call,
            attempt: delegation.attempts,
            epoch: self.epoch,
        };
        let timeout_ms = match delegation.task.timeout_ms {
            limits::DEFAULT_TIMEOUT_MS => {
                let owed = delegation.items.missing();
                self.profiles.timeout_ms(&delegation.task.kind, owed)
            }
            named => named,
        };
        // A hedge has the time that is left: it makes nothing take longer.
        let first = delegation.lease.as_ref();
        let deadline_ms = match first {
            Some(first) => first.deadline_ms,
            None => self.now.saturating_add(timeout_ms),
        };
        machine.reserve(token, Reservation { claim, deadline_ms });
        self.queue.hand_out(&delegation.seeker, &claim);
        let price = machine.spec.price(&delegation.task.kind);
        self.purses.hold(delegation.purse, delegation.cost(machine));
        let answer_ms = self.now.saturating_add(self.policy.accept_timeout_ms);
        let (alarm, owner) = delegation.alarms.of_attempt(key, event == Event::Hedge);
        self.timers.set(alarm, owner, answer_ms.min(deadline_ms));
        self.out.push(Decision::Assign {
            key,
            token,
            machine: machine.id.clone(),
            session,
            device: claim
                .device
                .map(|index| machine.spec.devices[index].id.clone()),
            cpu_cores: claim.cores,
            ram_bytes: claim.ram_bytes,
            vram_bytes: delegation.demand.vram_bytes,
            deadline_ms,
            price,
            owed: delegation.items.owed(),
        });
        let lease = Lease {
            token,
            session,
            machine: machine.id.clone(),
            claim,
            assigned_ms: self.now,
            deadline_ms,
            hedge: event == Event::Hedge,
            started: false,
            laps: Laps::begin(self.now),
            price,
            ok: 0,
            claimed: 0,
            faults: 0,
        };
        let operator = machine.spec.operator.clone();
        let now = self.now;
        self.bound(|operators| operators.began(&operator, now));
        if self.operators.is_newcomer(&operator) {
            let again_ms = self.operators.again_ms();
            self.set_alarm(Owner::Newcomers, again_ms);
        }
        lease
    }
}
