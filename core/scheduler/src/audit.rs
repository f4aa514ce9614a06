//! The invariants, checked from scratch.
//!
//! Every structure that the scheduler keeps to be fast is derived here a second time, the slow way, from
//! delegations and machines. For tests and simulations, and for a coordinator that wants to be sure.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{Amount, LeaseToken, OperatorId, SeekerId, TimeMs, WorkflowId};
use rustc_hash::FxHashMap;

use crate::delegation::{Delegation, Lease, State};
use crate::machine::{Machine, Offered};
use crate::phase::Phase;
use crate::pool::Rank;
use crate::queue::Waiting;
use crate::share::Amounts;
use crate::timers::Alarms;
use crate::{DelegationKey, Scheduler, SessionId, Trust};

type Found = Result<(), String>;

/// `Err` with the message unless the condition holds.
macro_rules! must {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(format!($($message)*));
        }
    };
}

impl Scheduler {
    /// Checks that no machine is over-reserved, that each live reservation belongs to one attempt and
    /// each attempt to one reservation, that each delegation owns one timer, and that whoever could be
    /// served has been.
    ///
    /// *Errors*: the first thing that does not hold, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        for machine in self.fleet.iter() {
            self.check_machine(machine)
                .map_err(|what| format!("machine {}: {what}", machine.id))?;
        }
        for (key, delegation) in self.delegations.iter() {
            self.check_delegation(key, delegation)
                .map_err(|what| format!("delegation {key}: {what}"))?;
        }
        self.check_timers()?;
        self.check_queue()?;
        self.check_purses()?;
        self.check_pools()?;
        self.check_operators()?;
        self.check_bench()?;
        self.check_nobody_waits_in_vain()
    }

    fn check_machine(&self, machine: &Machine) -> Found {
        must!(
            machine.trusted == self.trusted.contains(&machine.spec.operator),
            "trusted: {}, its operator is not so",
            machine.trusted
        );
        let mut free = machine.whole.clone();
        let mut devices = BTreeSet::new();
        let mut claimed = (0u64, 0u64);
        for (token, reservation) in &machine.reservations {
            let claim = &reservation.claim;
            claimed.0 += u64::from(claim.cores);
            claimed.1 = claimed.1.saturating_add(claim.ram_bytes);
            must!(
                claimed.0 <= u64::from(machine.spec.cpu_cores)
                    && claimed.1 <= machine.spec.ram_bytes,
                "over-reserved: {claimed:?}"
            );
            if let Some(index) = claim.device {
                must!(devices.insert(index), "device {index} is reserved twice");
                must!(
                    index < machine.spec.devices.len(),
                    "device {index} does not exist"
                );
            }
            free.take(claim);
            let key = DelegationKey::of(token);
            let delegation = self.delegations.get(&key).into_iter();
            let owned = delegation.flat_map(Delegation::leases).any(|lease| {
                lease.token == *token
                    && lease.session == machine.session
                    && lease.machine == machine.id
                    && lease.claim == *claim
                    && lease.deadline_ms == reservation.deadline_ms
            });
            must!(owned, "reservation of {token} belongs to no attempt");
        }
        must!(
            free == machine.free,
            "what is free is not what is not reserved"
        );
        self.check_hold(machine)
    }

    fn check_hold(&self, machine: &Machine) -> Found {
        let Some(hold) = &machine.hold else {
            return Ok(());
        };
        let elder = self.delegations.get(&hold.key);
        must!(
            elder.is_some_and(|elder| elder.hold == Some(machine.session)
                && elder.state == State::Queued
                && elder.demand == hold.demand
                && machine.offered(&elder.offer).is_some()
                && elder.may_have(machine)),
            "held for {}, which knows nothing of it",
            hold.key
        );
        let mut room = machine.whole.clone();
        for token in &hold.beside {
            let reservation = machine.reservations.get(token);
            must!(
                reservation.is_some(),
                "{token} is beside the elder and gone"
            );
            reservation.into_iter().for_each(|r| room.take(&r.claim));
        }
        must!(room == hold.room, "the room beside the elder is wrong");
        must!(
            room.claim(&hold.demand).is_some(),
            "the elder has no room where it is held"
        );
        Ok(())
    }

    fn check_delegation(&self, key: DelegationKey, delegation: &Delegation) -> Found {
        let timer = delegation.alarms.own.at();
        let waits = matches!(delegation.state, State::Queued | State::Checking);
        let parked = waits && self.parked(key);
        must!(
            timer.is_some() != parked,
            "owns no timer, or is parked and owns one"
        );
        let checking = delegation.state == State::Checking;
        must!(
            checking || delegation.items.missing() > 0,
            "all items are in and it is not over"
        );
        must!(
            !checking || !delegation.claims.is_empty(),
            "waits for checks, and there are none"
        );
        must!(
            delegation.lost.is_some() == (checking && delegation.items.missing() > 0),
            "items are missing, and what they end with is not known, or the other way about"
        );
        must!(
            delegation.claims.is_empty() || delegation.task.trust == Trust::Checked,
            "has claims and no check"
        );
        must!(
            delegation
                .claims
                .keys()
                .all(|index| delegation.items.has(*index)),
            "a claim is not in"
        );
        self.check_hedge(key, delegation)?;
        let due = match (delegation.state, &delegation.lease) {
            (State::Queued, None) if parked => {
                must!(delegation.hold.is_none(), "is parked and holds a machine");
                return Ok(());
            }
            (State::Checking, None) if parked => return Ok(()),
            (State::Queued, None) => delegation.queue_deadline_ms(),
            (State::Checking, None) => {
                must!(delegation.hold.is_none(), "is checked and holds a machine");
                delegation.checked_by_ms
            }
            (State::Assigned | State::Running, Some(lease)) => {
                self.check_lease(lease.token, lease.session, key, delegation)?;
                must!(
                    lease.started == (delegation.state == State::Running),
                    "its attempt has started, and it has not, or the other way about"
                );
                due(lease, timer)
            }
            (state, lease) => return Err(format!("in state {state:?} with lease {lease:?}")),
        };
        must!(timer == Some(due), "its timer is at {timer:?}, not {due}");
        if let Some(session) = delegation.hold {
            let machine = self.fleet.get(session);
            let hold = machine.and_then(|machine| machine.hold.as_ref());
            must!(
                hold.is_some_and(|hold| hold.key == key),
                "holds a machine that knows nothing of it"
            );
        }
        Ok(())
    }

    fn check_hedge(&self, key: DelegationKey, delegation: &Delegation) -> Found {
        let Alarms {
            hedge, straggler, ..
        } = delegation.alarms;
        let (alarm, timer) = (straggler.at(), hedge.at());
        let first = delegation.lease.as_ref();
        let alone = delegation.state == State::Running && delegation.hedge.is_none();
        let last_ms = first.map_or(0, |lease| lease.laps.last_ms());
        let straggles = self.hedging.stragglers.contains(&(last_ms, key));
        must!(
            alone || (alarm.is_none() && !straggles),
            "is watched, and nobody is at it alone"
        );
        must!(
            !straggles || alarm.is_none(),
            "straggles, and is still watched"
        );
        let Some(hedge) = &delegation.hedge else {
            must!(timer.is_none(), "has a timer for a hedge and none");
            return Ok(());
        };
        self.check_lease(hedge.token, hedge.session, key, delegation)?;
        must!(
            timer == Some(due(hedge, timer)),
            "its hedge has the wrong timer"
        );
        let operator = |session| self.fleet.get(session).map(|m| &m.spec.operator);
        must!(
            delegation.state == State::Running
                && first.is_some_and(|first| first.token.attempt < hedge.token.attempt
                    && operator(first.session) != operator(hedge.session)),
            "its hedge is not beside a running attempt of another operator"
        );
        Ok(())
    }

    fn check_lease(
        &self,
        token: LeaseToken,
        session: SessionId,
        key: DelegationKey,
        delegation: &Delegation,
    ) -> Found {
        must!(
            DelegationKey::of(&token) == key
                && token.attempt <= delegation.attempts
                && token.epoch == self.epoch,
            "its token {token} is of another attempt"
        );
        let machine = self.fleet.get(session);
        must!(
            machine.is_some_and(|machine| machine.reservations.contains_key(&token)
                && machine.offered(&delegation.offer).is_some()
                && delegation.may_have(machine)),
            "its attempt {token} has no reservation that it may have"
        );
        Ok(())
    }

    fn check_timers(&self) -> Found {
        let kept: BTreeSet<_> = self.timers.iter().collect();
        let mut set = 0;
        for alarm in self.alarms() {
            must!(kept.contains(&alarm), "{alarm:?} does not ring");
            set += 1;
        }
        must!(
            set == self.timers.len(),
            "{set} alarms are set, and {} said to be",
            self.timers.len()
        );
        must!(
            self.hedging.stragglers.is_empty() || self.hedging.again.at().is_some(),
            "nobody looks at stragglers"
        );
        for (alarm, machine, kind) in self.bench.alarms() {
            must!(
                alarm.at() == self.bench.until(machine, kind),
                "{machine} has no right alarm for the end of its bench for {kind}"
            );
        }
        Ok(())
    }

    fn check_queue(&self) -> Found {
        let mut standing = BTreeSet::new();
        for (name, seeker) in self.queue.seekers() {
            let mut heads = BTreeSet::new();
            for (shape, line) in seeker.lines() {
                must!(!line.is_empty(), "{name} has an empty line");
                heads.extend(line.keys().next().map(|turn| (*turn, shape)));
                for (turn, Waiting { key, picky }) in line {
                    let known = self.delegations.get(key).is_some_and(|d| {
                        d.state == State::Queued
                            && d.shape == Some(shape)
                            && (&d.seeker, d.turn(), d.picky()) == (name, *turn, *picky)
                    });
                    must!(known, "{key} stands in a line that is not its own");
                    must!(standing.insert(*key), "{key} stands in two lines");
                }
            }
            must!(
                *seeker.heads() == heads,
                "{name} does not know who is first in its lines"
            );
        }
        for (id, shape) in self.fleet.shapes.iter() {
            let own = || {
                let all = self.delegations.iter();
                all.filter(move |(_, d)| d.shape == Some(id))
            };
            let fits = own().all(|(_, d)| (&d.offer, &d.demand) == (&shape.offer, &shape.demand));
            must!(fits, "somebody waits with a shape that is not its own");
            let elders: BTreeMap<_, _> = own().map(|(key, d)| (d.place, key)).collect();
            must!(
                elders == shape.elders,
                "a shape does not know who waits with it"
            );
            let plain = own().filter(|(_, d)| !d.picky()).count();
            must!(plain == shape.plain, "a shape has miscounted the picky");
        }
        let mut shares: BTreeMap<&SeekerId, (u32, u32, Amounts)> = BTreeMap::new();
        let mut hedges: BTreeMap<&SeekerId, u32> = BTreeMap::new();
        let mut waiting: FxHashMap<WorkflowId, u32> = FxHashMap::default();
        for (key, delegation) in self.delegations.iter() {
            if delegation.state == State::Queued && self.parked(key) {
                must!(!standing.contains(&key), "{key} is parked and in a line");
                continue;
            }
            if delegation.state == State::Checking {
                continue;
            }
            let share = shares.entry(&delegation.seeker).or_default();
            match &delegation.lease {
                None => {
                    must!(standing.contains(&key), "{key} is queued and in no line");
                    share.1 += 1;
                    *waiting.entry(key.workflow).or_default() += 1;
                }
                Some(_) => {
                    for lease in delegation.leases() {
                        share.0 += 1;
                        share.2.add(&lease.claim.amounts());
                    }
                }
            }
            if delegation.hedge.is_some() {
                *hedges.entry(&delegation.seeker).or_default() += 1;
            }
        }
        let kept = self.hedging.hedges().iter();
        must!(
            kept.map(|(seeker, n)| (seeker, *n)).eq(hedges),
            "the seekers' hedges are not what they have"
        );
        must!(
            *self.hedging.waiting() == waiting,
            "a workflow has another number of delegations in lines"
        );
        let kept = self.queue.seekers().into_iter();
        let kept = kept.map(|(name, s)| (name, (s.in_flight, s.waiting, s.used())));
        must!(
            kept.eq(shares),
            "the seekers' shares are not what they have"
        );
        let order = self
            .queue
            .in_order()
            .map(|(id, _)| (self.queue.standing(id), id));
        must!(order.is_sorted(), "the seekers are not in order");
        Ok(())
    }

    fn check_purses(&self) -> Found {
        for (id, purse) in self.purses.iter() {
            let own = self
                .delegations
                .iter()
                .filter(|(_, d)| d.purse == Some(*id));
            let (mut held, mut waiting) = (Amount::ZERO, BTreeSet::new());
            for (key, delegation) in own {
                let missing = delegation.items.missing();
                held = held.saturating_add(delegation.claimed());
                held = held.saturating_add(delegation.share().times(missing));
                match &delegation.lease {
                    Some(_) => {}
                    None if self.parked(key) || delegation.state == State::Checking => {}
                    None => {
                        waiting.insert(key);
                    }
                }
            }
            must!(
                purse.held == held,
                "purse {id} holds {} and its attempts {held}",
                purse.held
            );
            must!(
                purse.waiting == waiting,
                "purse {id} does not know who waits for it"
            );
            must!(
                purse.held.saturating_add(purse.spent) <= purse.limit,
                "purse {id} is overdrawn"
            );
        }
        Ok(())
    }

    fn check_pools(&self) -> Found {
        let mut total = Amounts::default();
        for machine in self.fleet.iter() {
            total.add(&machine.whole.amounts());
            for offered in &machine.offers {
                let (rank, due) = (&offered.rank, self.rank_of(machine, offered));
                // A pace hangs on what others have done since.
                let fixed = |rank: &Rank| (rank.newcomer, rank.tier);
                must!(
                    rank.as_ref().map(fixed) == due.as_ref().map(fixed),
                    "{} is ranked by an old record: {rank:?} for {due:?}",
                    machine.id
                );
            }
            let shapes = machine
                .offers
                .iter()
                .flat_map(|o| self.fleet.shapes.of(&o.offer));
            let fitting: BTreeSet<_> = shapes
                .filter(|shape| {
                    machine
                        .whole
                        .claim(&self.fleet.shapes.get(*shape).demand)
                        .is_some()
                })
                .collect();
            let kept: BTreeSet<_> = machine.fits.iter().map(|fit| fit.shape).collect();
            must!(
                kept == fitting && kept.len() == machine.fits.len(),
                "{} does not know the shapes that fit it",
                machine.id
            );
        }
        must!(
            total == self.queue.total(),
            "the network is not what its machines are"
        );
        for (id, shape) in self.fleet.shapes.iter() {
            let mut pool = shape.pool.sorted().into_iter().peekable();
            for machine in self.fleet.offering(&shape.offer) {
                let offered = machine.offered(&shape.offer).map(|at| &machine.offers[at]);
                let rank = offered.and_then(|offered| offered.rank);
                let own = machine.fits.iter().find(|fit| fit.shape == id);
                let entry = pool.next_if(|(session, _)| *session == machine.session);
                let entry = entry.map(|(_, rank)| rank);
                let free = machine.free.claim(&shape.demand).is_some();
                must!(
                    entry == own.and_then(|fit| fit.rank)
                        && entry.is_none_or(|_| entry == rank)
                        && (entry.is_some() || !free || rank.is_none()),
                    "{} is in the pool of {:?} {:?} as {entry:?}",
                    machine.id,
                    shape.offer,
                    shape.demand
                );
            }
            must!(
                pool.next().is_none(),
                "the pool of {:?} has somebody who does not offer it",
                shape.offer
            );
        }
        Ok(())
    }

    fn check_operators(&self) -> Found {
        let mut all: BTreeMap<&OperatorId, (BTreeSet<SessionId>, u32)> = BTreeMap::new();
        for machine in self.fleet.iter() {
            let own = all.entry(&machine.spec.operator).or_default();
            own.0.insert(machine.session);
            own.1 += machine.reservations.len() as u32;
        }
        let kept = self.operators.sorted();
        let counts = kept
            .iter()
            .map(|(id, o)| (*id, (o.sessions.clone(), o.in_flight)));
        must!(counts.eq(all), "operators are not what their machines are");
        for (id, operator) in &kept {
            let established = self.is_established(id);
            must!(
                !(operator.newcomer && established),
                "{id} is established and bounded"
            );
        }
        let sum = |all: bool| {
            let counted = kept.iter().filter(|(_, o)| all || o.newcomer);
            counted.map(|(_, o)| o.in_flight).sum()
        };
        must!(
            self.operators.in_flight() == (sum(true), sum(false)),
            "newcomers' attempts are miscounted"
        );
        Ok(())
    }

    fn check_bench(&self) -> Found {
        for machine in self.fleet.iter() {
            for Offered { offer, .. } in &machine.offers {
                let serving = self.fleet.offering(offer);
                let mut serving = serving.filter(|m| m.phase == Phase::Serving).peekable();
                let left = serving.peek().is_none()
                    || serving.any(|m| self.bench.quarantined_until(&m.id, &offer.kind).is_none());
                must!(left, "everybody who offers {offer:?} is quarantined");
            }
        }
        Ok(())
    }

    fn check_nobody_waits_in_vain(&self) -> Found {
        for (_, shape) in self.fleet.shapes.waited_for() {
            let open: Vec<&Machine> = self
                .fleet
                .offering(&shape.offer)
                .filter(|m| m.phase == Phase::Serving)
                .filter(|m| self.bench.until(&m.id, &shape.offer.kind).is_none())
                .collect();
            for key in shape.elders.values() {
                let delegation = &self.delegations[key];
                let found = open.iter().find(|machine| {
                    self.allows(delegation, machine)
                        && machine.claim(&shape.demand, Some(*key)).is_some()
                });
                if let Some(machine) = found {
                    return Err(format!("{key} waits while {} could take it", machine.id));
                }
            }
        }
        Ok(())
    }
}

/// When an attempt's timer rings, which rings now at `timer`: any time until the deadline, until it starts.
fn due(lease: &Lease, timer: Option<TimeMs>) -> TimeMs {
    match lease.started {
        true => lease.deadline_ms,
        false => timer.unwrap_or(0).min(lease.deadline_ms),
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, ErrorClass, Kind, MachineId, Needs, WorkflowId};

    use super::*;
    use crate::capacity::Claim;
    use crate::capacity::tests::spec;
    use crate::machine::Reservation;
    use crate::timers::{Alarm, Owner};
    use crate::{ClaimedItem, Input, Past, Policy, Task, Urgency};

    fn key(call: u64) -> DelegationKey {
        DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        }
    }

    /// One machine that runs call 1 on its CPU and is held for call 2; call 3 waits behind it, and of call 4
    /// an item is checked.
    fn sound() -> Scheduler {
        let mut scheduler = Scheduler::new(Policy::default(), 1, 1);
        let kind = Kind::new("x/1").unwrap();
        let mut spec = spec(4, 8, &[8]);
        spec.cpu_kinds = vec![kind.clone()];
        let (session, machine) = (SessionId(1), MachineId::new("op/m").unwrap());
        let joined = Input::MachineJoined {
            session,
            machine,
            spec,
        };
        scheduler.handle(0, joined);
        let queue = |call, shared, queued_ms| Input::Queue {
            key: key(call),
            seeker: SeekerId::new("s").unwrap(),
            task: Task {
                kind: kind.clone(),
                needs: Needs {
                    shared,
                    ..Needs::default()
                },
                items: 2,
                timeout_ms: 60_000,
                queue_timeout_ms: 60_000,
                avoid: vec![],
                keys: Vec::new(),
                max_price: None,
                trust: Trust::Anybody,
            },
            queued_ms,
            past: Past::default(),
            purse: None,
            urgency: Urgency::default(),
        };
        scheduler.handle(0, queue(1, true, 0));
        scheduler.handle(0, Input::Accepted { token: token(1) });
        scheduler.handle(0, queue(2, false, 0));
        scheduler.handle(10_000, queue(3, true, 10_000));
        assert!(scheduler.delegations[&key(2)].hold.is_some());
        let mut checked = queue(4, true, 10_000);
        if let Input::Queue { task, past, .. } = &mut checked {
            task.trust = Trust::Checked;
            past.done = vec![(1, true)];
            let claim = ClaimedItem {
                attempt: 1,
                machine: MachineId::new("op/m").unwrap(),
                price: Amount::ZERO,
                took_ms: None,
            };
            past.claims = vec![(0, claim)];
        }
        scheduler.handle(10_000, checked);
        scheduler
    }

    fn token(call: u64) -> LeaseToken {
        let DelegationKey { workflow, call } = key(call);
        LeaseToken {
            workflow,
            call,
            attempt: 1,
            epoch: 1,
        }
    }

    fn machine(scheduler: &mut Scheduler) -> &mut Machine {
        scheduler.fleet.get_mut(SessionId(1)).unwrap()
    }

    fn delegation(scheduler: &mut Scheduler, call: u64) -> &mut Delegation {
        scheduler.delegations.get_mut(&key(call)).unwrap()
    }

    #[test]
    fn a_sound_scheduler_passes() {
        assert_eq!(sound().check_invariants(), Ok(()));
    }

    type Plant = fn(&mut Scheduler);

    #[test]
    fn every_planted_fault_is_found() {
        let faults: [(&str, Plant); 31] = [
            ("is not what is not reserved", |s| {
                machine(s).free = machine(s).whole.clone();
            }),
            ("belongs to no attempt", |s| {
                delegation(s, 1).lease = None;
            }),
            ("belongs to no attempt", |s| {
                s.delegations.remove(&key(1));
            }),
            ("belongs to no attempt", |s| {
                let claim = Claim {
                    cores: 1,
                    ram_bytes: 0,
                    device: None,
                };
                let deadline_ms = 99;
                machine(s).reserve(token(9), Reservation { claim, deadline_ms });
            }),
            ("has no reservation", |s| {
                machine(s).release(&token(1));
            }),
            ("there are none", |s| {
                delegation(s, 4).claims.clear();
            }),
            ("has claims and no check", |s| {
                delegation(s, 4).task.trust = Trust::Anybody;
            }),
            ("a claim is not in", |s| {
                let claim = delegation(s, 4).claims[&0].clone();
                delegation(s, 4).claims.insert(2, claim);
            }),
            ("what they end with is not known", |s| {
                delegation(s, 4).lost = s.failure(None, ErrorClass::Timeout, "").into();
            }),
            ("its timer is at", |s| {
                delegation(s, 4).checked_by_ms += 1;
            }),
            ("its operator is not so", |s| {
                machine(s).trusted = true;
            }),
            ("over-reserved", |s| {
                let reservation = machine(s).reservations.values_mut().next().unwrap();
                reservation.claim.cores = 5;
            }),
            ("of another attempt", |s| {
                delegation(s, 1).attempts = 0;
            }),
            ("owns no timer", |s| {
                s.clear_alarm(&Owner::Delegation(key(2)));
            }),
            ("its timer is at", |s| {
                s.set_alarm(Owner::Delegation(key(1)), 1);
            }),
            ("does not ring", |s| {
                s.timers.tidy(Vec::new(), 0);
            }),
            ("no right alarm", |s| {
                let (machine, kind) = (machine(s).id.clone(), Kind::new("x/1").unwrap());
                s.bench.refused(&machine, &kind, 0);
            }),
            ("who is first in its lines", |s| {
                s.queue.forget_heads(&SeekerId::new("s").unwrap());
            }),
            ("said to be", |s| {
                let alarm = &mut Alarm::default();
                s.timers.set(alarm, Owner::Delegation(key(9)), 1);
            }),
            ("in no line", |s| {
                let d = &s.delegations[&key(3)];
                s.queue.leave(d.shape.unwrap(), &d.seeker, d.turn());
            }),
            ("not its own", |s| {
                delegation(s, 3).place.arrival += 100;
            }),
            ("shares are not what they have", |s| {
                let claim = s.delegations[&key(1)].lease.as_ref().unwrap().claim;
                s.queue.hand_out(&SeekerId::new("s").unwrap(), &claim);
            }),
            ("ranked", |s| {
                machine(s).offers[0].rank = None;
            }),
            ("the shapes that fit it", |s| {
                machine(s).fits.clear();
            }),
            ("is in the pool", |s| {
                let shape = delegation(s, 3).shape.unwrap();
                s.fleet.shapes.get_mut(shape).pool.remove(SessionId(1));
            }),
            ("does not know who waits with it", |s| {
                let shape = delegation(s, 3).shape.unwrap();
                s.fleet.shapes.get_mut(shape).elders.clear();
            }),
            ("miscounted the picky", |s| {
                let shape = delegation(s, 3).shape.unwrap();
                s.fleet.shapes.get_mut(shape).plain += 1;
            }),
            ("the network is not", |s| {
                s.queue.set_total(Amounts::default());
            }),
            ("operators are not", |s| {
                s.operators.began(&OperatorId::new("op").unwrap(), 0);
            }),
            ("knows nothing of it", |s| {
                delegation(s, 2).hold = None;
            }),
            ("could take it", |s| {
                machine(s).hold = None;
                delegation(s, 2).hold = None;
            }),
        ];
        for (expected, plant) in faults {
            let mut scheduler = sound();
            plant(&mut scheduler);
            let found = scheduler.check_invariants();
            let what = found.expect_err(expected);
            assert!(what.contains(expected), "{expected}: {what}");
        }
    }
}
