//! A connected machine: what it offers, what of it is reserved, and for whom it is held.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{LeaseToken, MachineId, MachineSpec, TimeMs};

use crate::capacity::{Capacity, Claim, Class, Demand, Offer};
use crate::profile::Pace;
use crate::reputation::Tier;
use crate::{DelegationKey, SessionId};

/// A machine's place among those that are free for an offer: the better tier first, within a tier the
/// faster pace, and at random within that, since each entry draws a new tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) tier: Reverse<Tier>,
    /// As of when the machine was ranked: it hangs on what others have done since.
    pub(crate) pace: Pace,
    pub(crate) tag: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) claim: Claim,
    pub(crate) deadline_ms: TimeMs,
}

/// The machine takes only what fits beside `demand`, until `key` has its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) key: DelegationKey,
    pub(crate) demand: Demand,
    /// When the attempts that stood in the way are over at the latest.
    pub(crate) drained_ms: TimeMs,
    /// The whole machine less what was claimed since the hold began.
    pub(crate) room: Capacity,
    /// The attempts that were placed since.
    pub(crate) beside: BTreeSet<LeaseToken>,
}

impl Hold {
    fn leaves_room(&self, claim: &Claim) -> bool {
        let mut room = self.room.clone();
        room.take(claim);
        room.claim(&self.demand).is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) session: SessionId,
    pub(crate) id: MachineId,
    pub(crate) spec: MachineSpec,
    pub(crate) offers: BTreeSet<Offer>,
    /// Hashes of what its keystore holds.
    pub(crate) keys: BTreeSet<[u8; 32]>,
    pub(crate) whole: Capacity,
    pub(crate) free: Capacity,
    pub(crate) reservations: BTreeMap<LeaseToken, Reservation>,
    pub(crate) hold: Option<Hold>,
    /// Where it stands in the pools of the offers that it could take something of now.
    pub(crate) ranks: BTreeMap<Offer, Rank>,
}

impl Machine {
    pub(crate) fn new(session: SessionId, id: MachineId, mut spec: MachineSpec) -> Self {
        // Devices are told apart by their ids: one that is listed twice is one device.
        let mut seen = BTreeSet::new();
        spec.devices.retain(|device| seen.insert(device.id.clone()));
        let offer = |class| {
            move |kind: &froben_model::Kind| Offer {
                kind: kind.clone(),
                class,
            }
        };
        let cpu = spec.cpu_kinds.iter().map(offer(Class::Cpu));
        let offers = cpu.chain(spec.device_kinds.iter().map(offer(Class::Device)));
        let offers = offers.collect();
        let whole = Capacity::whole(&spec);
        let keys = spec.keys.iter().map(|key| key.sha256).collect();
        Machine {
            keys,
            session,
            id,
            spec,
            offers,
            free: whole.clone(),
            whole,
            reservations: BTreeMap::new(),
            hold: None,
            ranks: BTreeMap::new(),
        }
    }

    /// How the machine would take `demand` now for `key`, which matters if it is held.
    pub(crate) fn claim(&self, demand: &Demand, key: Option<DelegationKey>) -> Option<Claim> {
        match &self.hold {
            Some(hold) if Some(hold.key) != key => self
                .free
                .claim_where(demand, |claim| hold.leaves_room(claim)),
            _ => self.free.claim(demand),
        }
    }

    pub(crate) fn reserve(&mut self, token: LeaseToken, reservation: Reservation) {
        self.free.take(&reservation.claim);
        let before = self.reservations.insert(token, reservation);
        assert!(before.is_none(), "invariant: a token is reserved once");
        if let Some(hold) = &mut self.hold {
            hold.room.take(&reservation.claim);
            hold.beside.insert(token);
        }
    }

    pub(crate) fn release(&mut self, token: &LeaseToken) {
        let reservation = self.reservations.remove(token);
        let claim = reservation
            .expect("invariant: a lease has its reservation")
            .claim;
        self.free.give(&claim);
        if let Some(hold) = &mut self.hold
            && hold.beside.remove(token)
        {
            hold.room.give(&claim);
        }
    }

    /// When all that runs now is over at the latest.
    pub(crate) fn drained_ms(&self) -> TimeMs {
        let deadlines = self.reservations.values().map(|r| r.deadline_ms);
        deadlines.max().unwrap_or(0)
    }

    pub(crate) fn hold_for(&mut self, key: DelegationKey, demand: Demand) {
        self.hold = Some(Hold {
            key,
            demand,
            drained_ms: self.drained_ms(),
            room: self.whole.clone(),
            beside: BTreeSet::new(),
        });
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Needs, WorkflowId};

    use super::*;
    use crate::capacity::tests::spec;

    const ELDER: u64 = 9;

    fn key(call: u64) -> DelegationKey {
        DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        }
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

    fn machine(cores: u32, vram_gib: &[u64]) -> Machine {
        let id = MachineId::new("op/m").unwrap();
        Machine::new(SessionId(1), id, spec(cores, 64, vram_gib))
    }

    fn cpu(cores: u32, shared: bool) -> Demand {
        Demand::from(&Needs {
            cpu_cores: cores,
            shared,
            ..Needs::default()
        })
    }

    fn gpu(vram_gib: u64) -> Demand {
        Demand::from(&Needs {
            vram_bytes: vram_gib << 30,
            ..Needs::default()
        })
    }

    fn place(machine: &mut Machine, call: u64, demand: Demand) -> bool {
        let Some(claim) = machine.claim(&demand, Some(key(call))) else {
            return false;
        };
        if call == ELDER {
            machine.hold = None;
        }
        let deadline_ms = call * 100;
        machine.reserve(token(call), Reservation { claim, deadline_ms });
        true
    }

    #[test]
    fn a_device_listed_twice_is_one() {
        let mut twice = spec(1, 1, &[8]);
        twice.devices.push(twice.devices[0].clone());
        let id = MachineId::new("op/m").unwrap();
        let mut machine = Machine::new(SessionId(1), id, twice);
        assert!(place(&mut machine, 1, gpu(8)));
        assert!(!place(&mut machine, 2, gpu(8)));
    }

    #[test]
    fn a_held_machine_takes_only_what_fits_beside_the_elder() {
        let mut machine = machine(8, &[8, 24]);
        assert!(place(&mut machine, 1, cpu(2, true)));
        assert_eq!(machine.drained_ms(), 100);
        machine.hold_for(key(ELDER), cpu(6, true));
        // Two cores are left beside the elder's six; that call 1 has two is no matter, it will end.
        assert!(place(&mut machine, 2, cpu(2, true)));
        assert!(!place(&mut machine, 3, cpu(1, true)));
        assert!(place(&mut machine, 3, gpu(8)), "devices are not in its way");
        assert!(
            !place(&mut machine, ELDER, cpu(6, true)),
            "four cores are taken"
        );
        machine.release(&token(1));
        assert!(!place(&mut machine, 4, cpu(1, true)), "still kept");
        assert!(place(&mut machine, ELDER, cpu(6, true)));
    }

    #[test]
    fn an_elder_with_a_device_keeps_one_that_is_large_enough() {
        let mut machine = machine(8, &[8, 24]);
        assert!(place(&mut machine, 1, gpu(24)));
        machine.hold_for(key(ELDER), gpu(16));
        assert!(place(&mut machine, 2, gpu(4)), "on the small one");
        machine.release(&token(1));
        assert!(!place(&mut machine, 3, gpu(4)), "not on the large one");
        assert!(place(&mut machine, ELDER, gpu(16)));
        machine.release(&token(2));
        assert!(place(&mut machine, 3, gpu(4)));
    }
}
