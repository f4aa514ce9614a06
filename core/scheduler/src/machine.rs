//! A connected machine: what it offers, what of it is reserved, and for whom it is held.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use froben_model::{Kind, LeaseToken, MachineId, MachineSpec, SetupKey, TimeMs};

use crate::capacity::{Capacity, Claim, Class, Demand, Offer};
use crate::phase::{self, Happening, Phase};
use crate::pool::Rank;
use crate::shapes::ShapeId;
use crate::{DelegationKey, SessionId};

/// So many keys a machine is taken to keep loaded.
const LOADED: usize = 8;

/// A kind that a machine offers, to tasks of one class.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) offer: Offer,
    /// Where the machine stands; `None` while it is benched for the kind.
    pub(crate) rank: Option<Rank>,
}

/// A shape of task that the whole machine has room for.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) shape: ShapeId,
    /// Position in [`Machine::offers`]. Small, as a machine's fits are gone through all the time.
    pub(crate) offer: u32,
    /// The rank by which it is in the shape's pool; `None` if it is not there.
    pub(crate) rank: Option<Rank>,
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
    pub(crate) phase: Phase,
    pub(crate) id: MachineId,
    pub(crate) spec: MachineSpec,
    /// By offer.
    pub(crate) offers: Vec<Offered>,
    /// Whether its operator is trusted.
    pub(crate) trusted: bool,
    /// What its keystore holds, by hash, and how many bytes each has.
    pub(crate) keys: BTreeMap<[u8; 32], u64>,
    pub(crate) whole: Capacity,
    pub(crate) free: Capacity,
    pub(crate) reservations: BTreeMap<LeaseToken, Reservation>,
    pub(crate) hold: Option<Hold>,
    /// Of the shapes that are known.
    pub(crate) fits: Vec<Fit>,
    /// What its workers have loaded most recently, the latest last.
    pub(crate) loaded: Vec<[u8; 32]>,
}

impl Machine {
    pub(crate) fn new(session: SessionId, id: MachineId, mut spec: MachineSpec) -> Self {
        // Devices are told apart by their ids: one that is listed twice is one device.
        let mut seen = BTreeSet::new();
        spec.devices.retain(|device| seen.insert(device.id.clone()));
        let offer = |class| {
            move |kind: &Kind| Offer {
                kind: kind.clone(),
                class,
            }
        };
        let cpu = spec.cpu_kinds.iter().map(offer(Class::Cpu));
        let offers = cpu.chain(spec.device_kinds.iter().map(offer(Class::Device)));
        let offers: BTreeSet<Offer> = offers.collect();
        let offers = offers
            .into_iter()
            .map(|offer| Offered { offer, rank: None });
        let whole = Capacity::whole(&spec);
        let keys = spec.keys.iter().map(|held| (held.key.sha256, held.bytes));
        Machine {
            trusted: false,
            keys: keys.collect(),
            session,
            phase: Phase::Serving,
            id,
            spec,
            offers: offers.collect(),
            free: whole.clone(),
            whole,
            reservations: BTreeMap::new(),
            hold: None,
            fits: Vec::new(),
            loaded: Vec::new(),
        }
    }

    /// Takes the step.
    ///
    /// *Panics* if there is none: inputs are checked against the phase before.
    pub(crate) fn step(&mut self, happening: Happening) {
        let next = phase::next(self.phase, happening);
        self.phase = next.expect("invariant: a machine is asked only for what it can do");
    }

    /// The position of an offer among its own.
    pub(crate) fn offered(&self, offer: &Offer) -> Option<usize> {
        let found = self.offers.binary_search_by(|own| own.offer.cmp(offer));
        found.ok()
    }

    /// The positions of its offers of a kind, or of all.
    pub(crate) fn offers_of(&self, kind: Option<&Kind>) -> Range<usize> {
        let Some(kind) = kind else {
            return 0..self.offers.len();
        };
        let first = self.offers.partition_point(|own| own.offer.kind < *kind);
        let those = self.offers[first..].iter();
        first..first + those.take_while(|own| own.offer.kind == *kind).count()
    }

    /// A task with these keys runs: they are loaded from here on, and push out the stalest.
    pub(crate) fn load(&mut self, keys: &[SetupKey]) {
        for key in keys {
            self.loaded.retain(|loaded| *loaded != key.sha256);
            self.loaded.push(key.sha256);
        }
        let surplus = self.loaded.len().saturating_sub(LOADED);
        self.loaded.drain(..surplus);
    }

    /// How many bytes its workers would have to load of the keys, which have these sizes.
    pub(crate) fn to_load(&self, keys: &[SetupKey], sizes: &[u64]) -> u64 {
        let sized = keys.iter().zip(sizes);
        let missing = sized.filter(|(key, _)| !self.loaded.contains(&key.sha256));
        missing.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Whether the machine would take `demand` now, whoever it is held for.
    pub(crate) fn takes(&self, demand: &Demand) -> bool {
        match self.hold {
            Some(_) => self.claim(demand, None).is_some(),
            None => self.free.fits(demand),
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
        self.step(Happening::Assign);
        self.free.take(&reservation.claim);
        let before = self.reservations.insert(token, reservation);
        assert!(before.is_none(), "invariant: a token is reserved once");
        if let Some(hold) = &mut self.hold {
            hold.room.take(&reservation.claim);
            hold.beside.insert(token);
        }
    }

    pub(crate) fn release(&mut self, token: &LeaseToken) {
        self.step(Happening::Release);
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
