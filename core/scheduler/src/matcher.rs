//! Who gets what: the pass that follows each input.
//!
//! Between inputs nobody waits who could be served: so a pass looks only at the machines that have
//! something to give since (*woken*) and at the delegations that have just come (*fresh*). It does not
//! weigh one delegation's future against another's; the one exception is the hold, which keeps a machine
//! for an elder that is passed over.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{LeaseToken, SeekerId, limits};

use crate::capacity::{Claim, Demand, Offer};
use crate::delegation::{Delegation, Event, Lease};
use crate::laps::Laps;
use crate::machine::{Machine, Rank, Reservation};
use crate::planted::{Bug, planted};
use crate::queue::{Place, Standing, Waiting};
use crate::timers::Owner;
use crate::{Decision, DelegationKey, Scheduler, SessionId};

/// What has changed since the last pass.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Machines that may take something that they could not take before.
    woken: BTreeSet<SessionId>,
    /// Machines whose ranks may be old.
    touched: BTreeSet<SessionId>,
    /// Delegations that no machine has been sought for yet.
    pub(crate) fresh: BTreeSet<DelegationKey>,
    /// Lines that the woken machines can do nothing for.
    closed: BTreeMap<Offer, BTreeSet<Demand>>,
    /// What delegations of a line wait for, if they are not picky.
    obstacles: BTreeMap<Offer, BTreeMap<Demand, String>>,
}

impl Pass {
    pub(crate) fn wake(&mut self, session: SessionId) {
        self.woken.insert(session);
        self.touched.insert(session);
        self.closed.clear();
        self.obstacles.clear();
    }

    pub(crate) fn touch(&mut self, session: SessionId) {
        if planted(Bug::KeepRank) {
            return;
        }
        self.touched.insert(session);
    }

    pub(crate) fn forget(&mut self, session: SessionId) {
        self.woken.remove(&session);
        self.touched.remove(&session);
    }

    pub(crate) fn obstacle(&self, offer: &Offer, demand: &Demand) -> Option<String> {
        self.obstacles.get(offer)?.get(demand).cloned()
    }

    pub(crate) fn note_obstacle(&mut self, offer: Offer, demand: Demand, obstacle: String) {
        let demands = self.obstacles.entry(offer).or_default();
        demands.insert(demand, obstacle);
    }

    fn is_closed(&self, offer: &Offer, demand: &Demand) -> bool {
        let demands = self.closed.get(offer);
        demands.is_some_and(|demands| demands.contains(demand))
    }
}

/// A delegation and the place that it would get.
#[derive(Debug, Clone, Copy)]
struct Match {
    key: DelegationKey,
    session: SessionId,
    claim: Claim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    Woken,
    All,
}

/// One seeker's delegations in one line, or a single fresh one. The order of the fields is the order in
/// which they are served.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn<'a> {
    standing: Standing,
    seeker: &'a SeekerId,
    oldest: Place,
    what: What<'a>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What<'a> {
    Fresh(DelegationKey),
    Line(&'a Offer, &'a Demand),
}

impl Scheduler {
    /// Hands out all that can be handed out.
    pub(crate) fn match_waiting(&mut self) {
        for session in std::mem::take(&mut self.pass.touched) {
            self.reindex(session);
        }
        if !self.queue.is_empty() && !self.fleet.is_empty() {
            while let Some(found) = self.for_an_elder().or_else(|| self.for_the_next()) {
                if !self.hold_for_an_elder(&found) {
                    self.assign(found);
                }
            }
        }
        self.pass = Pass::default();
    }

    fn reindex(&mut self, session: SessionId) {
        let (bench, reputation, now) = (&self.bench, &self.reputation, self.now);
        let profiles = &self.profiles;
        self.fleet.reindex(session, |machine, offer| {
            match bench.until(&machine.id, &offer.kind) {
                Some(_) => None,
                None => Some((
                    reputation.tier(&machine.id, &offer.kind, now),
                    profiles.pace(&machine.id, &offer.kind),
                )),
            }
        });
    }

    /// A woken machine that is held and has become free enough.
    fn for_an_elder(&self) -> Option<Match> {
        self.pass.woken.iter().find_map(|session| {
            let machine = self.fleet.get(*session)?;
            let hold = machine.hold.as_ref()?;
            if !self.affords(&self.delegations[&hold.key], machine) {
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
        let mut turns = Vec::new();
        let mut closed = Vec::new();
        for (offer, lines) in self.queue.lines() {
            if self.pass.woken.is_empty() || self.fleet.pool(offer).is_none() {
                continue;
            }
            for (demand, line) in lines {
                if self.pass.is_closed(offer, demand) {
                    continue;
                }
                if self
                    .best(offer, demand, None, Among::Woken, |_| true)
                    .is_none()
                {
                    closed.push((offer.clone(), *demand));
                    continue;
                }
                turns.extend(line.seekers().filter_map(|(seeker, waiting)| {
                    Some(Turn {
                        standing: self.queue.standing(seeker),
                        seeker,
                        oldest: *waiting.first_key_value()?.0,
                        what: What::Line(offer, demand),
                    })
                }));
            }
        }
        turns.extend(self.pass.fresh.iter().map(|key| {
            let delegation = &self.delegations[key];
            Turn {
                standing: self.queue.standing(&delegation.seeker),
                seeker: &delegation.seeker,
                oldest: delegation.place,
                what: What::Fresh(*key),
            }
        }));
        turns.sort();
        let found = turns.iter().find_map(|turn| self.serve(turn));
        for (offer, demand) in closed {
            self.pass.closed.entry(offer).or_default().insert(demand);
        }
        found
    }

    fn serve(&self, turn: &Turn<'_>) -> Option<Match> {
        match turn.what {
            What::Fresh(key) => self.place(key, Among::All),
            What::Line(offer, demand) => {
                let line = self.queue.line(offer, demand)?;
                let waiting = line.of(turn.seeker)?;
                let mut keys = waiting.values();
                keys.find_map(|Waiting { key, .. }| self.place(*key, Among::Woken))
            }
        }
    }

    fn place(&self, key: DelegationKey, among: Among) -> Option<Match> {
        let delegation = &self.delegations[&key];
        let (offer, demand) = (&delegation.offer, &delegation.demand);
        let (session, claim) = self.best(offer, demand, Some(key), among, |machine| {
            self.allows(delegation, machine)
        })?;
        Some(Match {
            key,
            session,
            claim,
        })
    }

    /// Whether the delegation may have the machine now, free or not.
    pub(crate) fn allows(&self, delegation: &Delegation, machine: &Machine) -> bool {
        delegation.may_have(machine) && self.affords(delegation, machine)
    }

    fn affords(&self, delegation: &Delegation, machine: &Machine) -> bool {
        let left = self.purses.left(delegation.purse);
        left.is_none_or(|left| delegation.cost(machine) <= left)
    }

    /// The best machine that could take `demand` now.
    fn best(
        &self,
        offer: &Offer,
        demand: &Demand,
        key: Option<DelegationKey>,
        among: Among,
        may: impl Fn(&Machine) -> bool,
    ) -> Option<(SessionId, Claim)> {
        let pool = self.fleet.pool(offer)?;
        let take = |session: SessionId| {
            let machine = self.fleet.get(session)?;
            let claim = machine.claim(demand, key)?;
            may(machine).then_some((session, claim))
        };
        // Machines that were not woken can do nothing for those who wait, so either walk finds the same;
        // the shorter one is taken.
        if among == Among::All || self.pass.woken.len() > pool.len() / 4 {
            return pool.iter().find_map(|(_, session)| take(*session));
        }
        let ranked = self.pass.woken.iter().filter_map(|session| {
            let rank: Rank = *self.fleet.get(*session)?.ranks.get(offer)?;
            Some((rank, take(*session)?))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, taken)| taken)
    }

    /// Before `found` overtakes an elder on a machine that could take the elder but for what runs there:
    /// holds the machine for the elder. True if it did, and `found` has to be thought over.
    fn hold_for_an_elder(&mut self, found: &Match) -> bool {
        let place = self.delegations[&found.key].place;
        let Some(machine) = self.fleet.get(found.session) else {
            return false;
        };
        if machine.hold.is_some() {
            return false;
        }
        let drained_ms = machine.drained_ms();
        let mut elder: Option<(Place, DelegationKey)> = None;
        for offer in machine.ranks.keys() {
            for (demand, line) in self.queue.lines_of(offer) {
                // One that fits now is not too big: it is not its turn.
                let too_big = machine.free.claim(demand).is_none();
                if !too_big || machine.whole.claim(demand).is_none() {
                    continue;
                }
                let heads = line.heads();
                let oldest = heads
                    .filter(|(_, key)| self.allows(&self.delegations[key], machine))
                    .min();
                let Some(oldest) = oldest else {
                    continue;
                };
                let waited_ms = self.now.saturating_sub(oldest.0.queued_ms);
                let held_ms = self.held_until(&self.delegations[&oldest.1]);
                if oldest.0 < place
                    && waited_ms >= self.policy.patience_ms
                    && held_ms.is_none_or(|held_ms| drained_ms < held_ms)
                    && elder.is_none_or(|elder| oldest < elder)
                {
                    elder = Some(oldest);
                }
            }
        }
        let Some((_, key)) = elder else {
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
        }
        true
    }

    /// When the machine that is held for it will have been drained.
    fn held_until(&self, delegation: &Delegation) -> Option<u64> {
        let machine = self.fleet.get(delegation.hold?)?;
        machine.hold.as_ref().map(|hold| hold.drained_ms)
    }

    fn assign(
        &mut self,
        Match {
            key,
            session,
            claim,
        }: Match,
    ) {
        let seeker = self.delegations[&key].seeker.clone();
        self.queue.hand_out(&seeker);
        self.stop_waiting(key);
        let delegation = self.delegations.get_mut(&key);
        let delegation = delegation.expect("invariant: who waits is known");
        let machine = self.fleet.get_mut(session);
        let machine = machine.expect("invariant: a match is with a connected machine");

        delegation.step(Event::Assign);
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
        let deadline_ms = self.now.saturating_add(timeout_ms);
        machine.reserve(token, Reservation { claim, deadline_ms });
        let price = machine.spec.price(&delegation.task.kind);
        self.purses.hold(delegation.purse, delegation.cost(machine));
        let answer_ms = self.now.saturating_add(self.policy.accept_timeout_ms);
        self.timers
            .set(Owner::Delegation(key), answer_ms.min(deadline_ms));
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
        delegation.lease = Some(Lease {
            token,
            session,
            machine: machine.id.clone(),
            claim,
            assigned_ms: self.now,
            deadline_ms,
            laps: Laps::begin(self.now),
            price,
            ok: 0,
            faults: 0,
        });
        self.pass.fresh.remove(&key);
        self.reindex(session);
        let spent = self.fleet.get(session).is_none_or(|m| m.ranks.is_empty());
        if spent {
            self.pass.forget(session);
        }
    }
}
