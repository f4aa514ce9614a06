//! The machines that are connected, and who among them is free for what.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{MachineId, MachineSpec};

use crate::SessionId;
use crate::capacity::Offer;
use crate::machine::{Machine, Rank};
use crate::profile::Pace;
use crate::reputation::Tier;
use crate::rng::Rng;

/// Machines free for one offer, the best first.
pub(crate) type Pool = BTreeSet<(Rank, SessionId)>;

#[derive(Debug)]
pub(crate) struct Fleet {
    machines: BTreeMap<SessionId, Machine>,
    by_name: BTreeMap<MachineId, SessionId>,
    /// Everybody who offers it, free or not.
    offering: BTreeMap<Offer, BTreeSet<SessionId>>,
    pools: BTreeMap<Offer, Pool>,
    rng: Rng,
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        Fleet {
            machines: BTreeMap::new(),
            by_name: BTreeMap::new(),
            offering: BTreeMap::new(),
            pools: BTreeMap::new(),
            rng: Rng::new(seed),
        }
    }

    pub(crate) fn join(&mut self, session: SessionId, id: MachineId, spec: MachineSpec) {
        let machine = Machine::new(session, id.clone(), spec);
        for offer in &machine.offers {
            self.offering
                .entry(offer.clone())
                .or_default()
                .insert(session);
        }
        let name = self.by_name.insert(id, session);
        let before = self.machines.insert(session, machine);
        assert!(
            name.is_none() && before.is_none(),
            "invariant: the older session has left"
        );
    }

    pub(crate) fn leave(&mut self, session: SessionId) -> Option<Machine> {
        let machine = self.machines.remove(&session)?;
        self.by_name.remove(&machine.id);
        for offer in &machine.offers {
            remove(&mut self.offering, offer, &session);
        }
        for (offer, rank) in &machine.ranks {
            remove(&mut self.pools, offer, &(*rank, session));
        }
        Some(machine)
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&Machine> {
        self.machines.get(&session)
    }

    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut Machine> {
        self.machines.get_mut(&session)
    }

    pub(crate) fn session_of(&self, machine: &MachineId) -> Option<SessionId> {
        self.by_name.get(machine).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.machines.keys().copied().collect()
    }

    pub(crate) fn offering(&self, offer: &Offer) -> impl Iterator<Item = &Machine> {
        let sessions = self.offering.get(offer).into_iter().flatten();
        sessions.filter_map(|session| self.machines.get(session))
    }

    pub(crate) fn pool(&self, offer: &Offer) -> Option<&Pool> {
        self.pools.get(offer)
    }

    pub(crate) fn pools(&self) -> &BTreeMap<Offer, Pool> {
        &self.pools
    }

    /// Puts the machine anew, with fresh tags, into the pools of all that it could take now. `standing`
    /// gives its tier and its pace for a kind, `None` while it is benched for it.
    pub(crate) fn reindex(
        &mut self,
        session: SessionId,
        standing: impl Fn(&Machine, &Offer) -> Option<(Tier, Pace)>,
    ) {
        let Some(machine) = self.machines.get_mut(&session) else {
            return;
        };
        for (offer, rank) in std::mem::take(&mut machine.ranks) {
            remove(&mut self.pools, &offer, &(rank, session));
        }
        let tag = self.rng.next();
        let mut ranks = BTreeMap::new();
        for offer in &machine.offers {
            if !machine.free.open(offer.class) {
                continue;
            }
            if let Some((tier, pace)) = standing(machine, offer) {
                let tier = Reverse(tier);
                let rank = Rank { tier, pace, tag };
                self.pools
                    .entry(offer.clone())
                    .or_default()
                    .insert((rank, session));
                ranks.insert(offer.clone(), rank);
            }
        }
        machine.ranks = ranks;
    }
}

fn remove<T: Ord>(sets: &mut BTreeMap<Offer, BTreeSet<T>>, offer: &Offer, item: &T) {
    if let Some(set) = sets.get_mut(offer) {
        set.remove(item);
        if set.is_empty() {
            sets.remove(offer);
        }
    }
}
