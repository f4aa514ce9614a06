//! The invariants, checked from scratch.
//!
//! Every structure that the scheduler keeps to be fast is derived here a second time, the slow way, from
//! delegations and machines. For tests and simulations, and for a coordinator that wants to be sure.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{Amount, LeaseToken, SeekerId};

use crate::delegation::{Delegation, State};
use crate::machine::{Machine, Rank};
use crate::queue::{Share, Waiting};
use crate::timers::Owner;
use crate::{DelegationKey, Scheduler, SessionId};

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
        for (key, delegation) in &self.delegations {
            self.check_delegation(*key, delegation)
                .map_err(|what| format!("delegation {key}: {what}"))?;
        }
        self.check_timers()?;
        self.check_queue()?;
        self.check_purses()?;
        self.check_pools()?;
        self.check_bench()?;
        self.check_nobody_waits_in_vain()
    }

    fn check_machine(&self, machine: &Machine) -> Found {
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
            let lease = self.delegations.get(&key).and_then(|d| d.lease.as_ref());
            let owned = lease.is_some_and(|lease| {
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
                && machine.offers.contains(&elder.offer)
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
        let timer = self.timers.get(&Owner::Delegation(key));
        let parked = delegation.state == State::Queued && self.parked(key);
        must!(
            timer.is_some() != parked,
            "owns no timer, or is parked and owns one"
        );
        must!(
            delegation.items.missing() > 0,
            "all items are in and it is not over"
        );
        let due = match (delegation.state, &delegation.lease) {
            (State::Queued, None) if parked => {
                must!(delegation.hold.is_none(), "is parked and holds a machine");
                return Ok(());
            }
            (State::Queued, None) => delegation.queue_deadline_ms(),
            (State::Assigned | State::Running, Some(lease)) => {
                self.check_lease(lease.token, lease.session, key, delegation)?;
                match delegation.state {
                    State::Assigned => timer.unwrap_or(0).min(lease.deadline_ms),
                    _ => lease.deadline_ms,
                }
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

    fn check_lease(
        &self,
        token: LeaseToken,
        session: SessionId,
        key: DelegationKey,
        delegation: &Delegation,
    ) -> Found {
        must!(
            DelegationKey::of(&token) == key
                && token.attempt == delegation.attempts
                && token.epoch == self.epoch,
            "its token {token} is of another attempt"
        );
        let machine = self.fleet.get(session);
        must!(
            machine.is_some_and(|machine| machine.reservations.contains_key(&token)
                && machine.offers.contains(&delegation.offer)
                && delegation.may_have(machine)),
            "its attempt {token} has no reservation that it may have"
        );
        Ok(())
    }

    fn check_timers(&self) -> Found {
        for (owner, at) in self.timers.iter() {
            let lives = match owner {
                Owner::Delegation(key) => self.delegations.contains_key(key),
                Owner::Bench(machine, kind) => self.bench.until(machine, kind) == Some(at),
            };
            must!(lives, "timer of {owner:?} rings for nothing");
        }
        for (machine, kind, until) in self.bench.iter() {
            let owner = Owner::Bench(machine.clone(), kind.clone());
            must!(
                self.timers.get(&owner) == Some(until),
                "{machine} is benched for {kind} without a timer"
            );
        }
        Ok(())
    }

    fn check_queue(&self) -> Found {
        let mut standing = BTreeMap::new();
        for (offer, lines) in self.queue.lines() {
            for (demand, line) in lines {
                let mut plain = false;
                for (seeker, waiting) in line.seekers() {
                    must!(!waiting.is_empty(), "{seeker} has an empty line");
                    for (place, Waiting { key, picky }) in waiting {
                        let known = self.delegations.get(key).is_some_and(|d| {
                            d.state == State::Queued
                                && (&d.offer, &d.demand) == (offer, demand)
                                && (&d.seeker, d.place, d.picky()) == (seeker, *place, *picky)
                        });
                        must!(known, "{key} stands in a line that is not its own");
                        must!(
                            standing.insert(*key, ()).is_none(),
                            "{key} stands in two lines"
                        );
                        plain |= !picky;
                    }
                }
                must!(plain == line.has_plain(), "a line has miscounted the picky");
            }
        }
        let mut shares: BTreeMap<&SeekerId, (u32, u32)> = BTreeMap::new();
        for (key, delegation) in &self.delegations {
            if delegation.state == State::Queued && self.parked(*key) {
                must!(!standing.contains_key(key), "{key} is parked and in a line");
                continue;
            }
            let share = shares.entry(&delegation.seeker).or_default();
            match delegation.state {
                State::Queued => {
                    must!(standing.contains_key(key), "{key} is queued and in no line");
                    share.1 += 1;
                }
                _ => share.0 += 1,
            }
        }
        let kept = |share: &Share| (share.in_flight, share.waiting);
        let kept = self
            .queue
            .shares()
            .iter()
            .map(|(seeker, s)| (seeker, kept(s)));
        must!(
            kept.eq(shares),
            "the seekers' shares are not what they have"
        );
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
                match &delegation.lease {
                    Some(lease) => {
                        let missing = delegation.items.missing();
                        held = held.saturating_add(lease.price.times(missing));
                    }
                    None if self.parked(*key) => {}
                    None => {
                        waiting.insert(*key);
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
        let mut pools: BTreeMap<_, BTreeSet<(Rank, SessionId)>> = BTreeMap::new();
        for machine in self.fleet.iter() {
            for offer in &machine.offers {
                let benched = self.bench.until(&machine.id, &offer.kind).is_some();
                let free = machine.free.open(offer.class) && !benched;
                let rank = machine.ranks.get(offer);
                must!(
                    rank.is_some() == free,
                    "{} is free for {offer:?}: {free}, ranked: {rank:?}",
                    machine.id
                );
                let tier = self.reputation.tier(&machine.id, &offer.kind, self.now);
                if let Some(rank) = rank {
                    must!(
                        rank.tier.0 == tier,
                        "{} is ranked by an old record",
                        machine.id
                    );
                    let pool = pools.entry(offer.clone()).or_default();
                    pool.insert((*rank, machine.session));
                }
            }
        }
        must!(pools == *self.fleet.pools(), "the pools are not the ranks");
        Ok(())
    }

    fn check_bench(&self) -> Found {
        for machine in self.fleet.iter() {
            for offer in &machine.offers {
                let mut others = self.fleet.offering(offer);
                let left =
                    others.any(|m| self.bench.quarantined_until(&m.id, &offer.kind).is_none());
                must!(left, "everybody who offers {offer:?} is quarantined");
            }
        }
        Ok(())
    }

    fn check_nobody_waits_in_vain(&self) -> Found {
        for (offer, lines) in self.queue.lines() {
            let open: Vec<&Machine> = self
                .fleet
                .offering(offer)
                .filter(|m| self.bench.until(&m.id, &offer.kind).is_none())
                .collect();
            for (demand, line) in lines {
                for (_, waiting) in line.seekers() {
                    for key in waiting.values().map(|waiting| waiting.key) {
                        let delegation = &self.delegations[&key];
                        let found = open.iter().find(|machine| {
                            self.allows(delegation, machine)
                                && machine.claim(demand, Some(key)).is_some()
                        });
                        if let Some(machine) = found {
                            return Err(format!("{key} waits while {} could take it", machine.id));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Kind, MachineId, Needs, WorkflowId};

    use super::*;
    use crate::capacity::Claim;
    use crate::capacity::tests::spec;
    use crate::machine::Reservation;
    use crate::{Input, Policy, Task};

    fn key(call: u64) -> DelegationKey {
        DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        }
    }

    /// One machine that runs call 1 on its CPU and is held for call 2; call 3 waits behind it.
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
            },
            queued_ms,
            attempts: 0,
            done: vec![],
            purse: None,
        };
        scheduler.handle(0, queue(1, true, 0));
        scheduler.handle(0, Input::Accepted { token: token(1) });
        scheduler.handle(0, queue(2, false, 0));
        scheduler.handle(10_000, queue(3, true, 10_000));
        assert!(scheduler.delegations[&key(2)].hold.is_some());
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
        let faults: [(&str, Plant); 16] = [
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
            ("over-reserved", |s| {
                let reservation = machine(s).reservations.values_mut().next().unwrap();
                reservation.claim.cores = 5;
            }),
            ("of another attempt", |s| {
                delegation(s, 1).attempts += 1;
            }),
            ("owns no timer", |s| {
                s.timers.clear(&Owner::Delegation(key(2)));
            }),
            ("its timer is at", |s| {
                s.timers.set(Owner::Delegation(key(1)), 1);
            }),
            ("rings for nothing", |s| {
                s.timers.set(Owner::Delegation(key(9)), 1);
            }),
            ("in no line", |s| {
                let d = &s.delegations[&key(3)];
                s.queue.leave((&d.offer, &d.demand), &d.seeker, d.place);
            }),
            ("not its own", |s| {
                delegation(s, 3).place.arrival += 100;
            }),
            ("shares are not what they have", |s| {
                s.queue.hand_out(&SeekerId::new("s").unwrap());
            }),
            ("ranked", |s| {
                machine(s).ranks.clear();
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
