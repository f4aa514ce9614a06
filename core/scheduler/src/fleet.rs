//! The machines that are connected, and who among them is free for what.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{Amount, Kind, MachineId, MachineSpec, SetupKey};
use rustc_hash::FxHashMap;

use crate::SessionId;
use crate::capacity::{Demand, Offer};
use crate::machine::{Fit, Machine};
use crate::phase::Happening;
use crate::pool::{Newcomers, Rank};
use crate::shapes::{Shape, ShapeId, Shapes};
use crate::share::Amounts;

#[derive(Debug, Default)]
pub(crate) struct Fleet {
    machines: FxHashMap<SessionId, Machine>,
    by_name: FxHashMap<MachineId, SessionId>,
    /// Everybody who offers it, free or not.
    offering: FxHashMap<Offer, BTreeSet<SessionId>>,
    /// What the machines ask that offer it, and how many ask that.
    prices: FxHashMap<Offer, BTreeMap<Amount, usize>>,
    /// Who has what loaded.
    loaded: FxHashMap<[u8; 32], BTreeSet<SessionId>>,
    /// Machines of which something has become free, and that are not in all pools that they have room for:
    /// most often somebody waits for it, and takes it before anybody asks a pool.
    freed: Vec<SessionId>,
    /// What all machines have together.
    pub(crate) total: Amounts,
    /// The shapes that are known. Each has its pool of the machines here.
    pub(crate) shapes: Shapes,
}

impl Fleet {
    /// The machine is in no pool until it is ranked.
    pub(crate) fn join(&mut self, session: SessionId, id: MachineId, spec: MachineSpec) {
        let mut machine = Machine::new(session, id.clone(), spec);
        for offered in &mut machine.offers {
            // All share one name: what is compared all the time should lie in one place.
            if let Some((offer, _)) = self.offering.get_key_value(&offered.offer) {
                offered.offer = offer.clone();
            }
            let offering = self.offering.entry(offered.offer.clone()).or_default();
            offering.insert(session);
            let price = machine.spec.price(&offered.offer.kind);
            let prices = self.prices.entry(offered.offer.clone()).or_default();
            *prices.entry(price).or_default() += 1;
        }
        for (index, offered) in machine.offers.iter().enumerate() {
            for shape in self.shapes.of(&offered.offer) {
                let demand = &self.shapes.get(shape).demand;
                machine.fits.extend(fit(&machine, shape, demand, index));
            }
        }
        self.total.add(&machine.whole.amounts());
        let name = self.by_name.insert(id, session);
        let before = self.machines.insert(session, machine);
        assert!(
            name.is_none() && before.is_none(),
            "invariant: the older session has left"
        );
    }

    pub(crate) fn leave(&mut self, session: SessionId) -> Option<Machine> {
        let mut machine = self.machines.remove(&session)?;
        machine.step(Happening::Leave);
        self.by_name.remove(&machine.id);
        self.total.sub(&machine.whole.amounts());
        for offered in &machine.offers {
            if let Some(offering) = self.offering.get_mut(&offered.offer) {
                offering.remove(&session);
                if offering.is_empty() {
                    self.offering.remove(&offered.offer);
                }
            }
            let price = machine.spec.price(&offered.offer.kind);
            if let Some(prices) = self.prices.get_mut(&offered.offer)
                && let Entry::Occupied(mut count) = prices.entry(price)
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
                if prices.is_empty() {
                    self.prices.remove(&offered.offer);
                }
            }
        }
        for fit in &machine.fits {
            self.shapes.get_mut(fit.shape).pool.remove(session);
        }
        for key in &machine.loaded {
            unload(&mut self.loaded, key, session);
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

    /// By session.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Machine> {
        let mut all: Vec<_> = self.machines.values().collect();
        all.sort_by_key(|machine| machine.session);
        all.into_iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.iter().map(|machine| machine.session).collect()
    }

    /// The least that a machine asks for an item; `None` if nobody offers it.
    pub(crate) fn cheapest(&self, offer: &Offer) -> Option<Amount> {
        let prices = self.prices.get(offer)?;
        prices.first_key_value().map(|(price, _)| *price)
    }

    pub(crate) fn offering(&self, offer: &Offer) -> impl Iterator<Item = &Machine> {
        let sessions = self.offering.get(offer).into_iter().flatten();
        sessions.filter_map(|session| self.machines.get(session))
    }

    /// The id of a shape; makes it known if it is not, with all machines that are free for it.
    pub(crate) fn shape(&mut self, offer: &Offer, demand: &Demand) -> ShapeId {
        if let Some(known) = self.shapes.find(offer, demand) {
            return known;
        }
        while let Some((forgotten, shape)) = self.shapes.forget_one() {
            for session in self.offering.get(&shape.offer).into_iter().flatten() {
                let machine = known(self.machines.get_mut(session));
                machine.fits.retain(|fit| fit.shape != forgotten);
            }
        }
        let id = self.shapes.add(offer, demand);
        for session in self.offering.get(offer).into_iter().flatten() {
            let machine = known(self.machines.get_mut(session));
            let index = machine.offered(offer);
            let index = index.expect("invariant: it is listed under what it offers");
            if let Some(fit) = fit(machine, id, demand, index) {
                machine.fits.push(fit);
                let last = machine.fits.len() - 1;
                refit(machine, &mut self.shapes, last);
            }
        }
        id
    }

    /// Something of the machine has become free.
    pub(crate) fn freed(&mut self, session: SessionId) {
        self.freed.push(session);
    }

    /// Enters the machines of which something has become free in the pools of the shapes they have room for.
    /// Before this, pools lack them.
    pub(crate) fn refit(&mut self) {
        for session in self.freed.drain(..) {
            let Some(machine) = self.machines.get_mut(&session) else {
                continue;
            };
            for index in 0..machine.fits.len() {
                if machine.fits[index].rank.is_none() {
                    refit(machine, &mut self.shapes, index);
                }
            }
        }
    }

    /// Draws a machine for a shape, as [`Pool::draw`] does. With it, those of the pool that turned out not
    /// to have the room any more, for [`Fleet::withdraw`].
    ///
    /// [`Pool::draw`]: crate::pool::Pool::draw
    pub(crate) fn draw<T>(
        &self,
        shape: ShapeId,
        newcomers: Newcomers,
        random: u64,
        most: usize,
        take: impl Fn(&Machine, Rank) -> Option<T>,
    ) -> (Option<(SessionId, Rank, T)>, Vec<SessionId>) {
        let Shape { pool, demand, .. } = self.shapes.get(shape);
        let mut busy = Vec::new();
        let drawn = pool.draw(newcomers, random, most, |session, rank| {
            let machine = self.get(session)?;
            let taken = take(machine, rank);
            if taken.is_none() && !machine.free.fits(demand) {
                busy.push(session);
            }
            taken
        });
        (drawn, busy)
    }

    /// Takes the machines, which have no room for it now, out of a shape's pool.
    pub(crate) fn withdraw(&mut self, busy: Vec<SessionId>, shape: ShapeId) {
        for session in busy {
            let machine = known(self.machines.get_mut(&session));
            let mut fits = machine.fits.iter_mut();
            if let Some(fit) = fits.find(|fit| fit.shape == shape) {
                fit.rank = None;
                self.shapes.get_mut(shape).pool.remove(session);
            }
        }
    }

    /// Gives the machine a rank for its offer `at`.
    pub(crate) fn rank(&mut self, session: SessionId, at: usize, rank: Option<Rank>) {
        if let Some(machine) = self.machines.get_mut(&session) {
            rank_offer(machine, &mut self.shapes, at, rank);
        }
    }

    /// Changes the ranks that the machine has for a kind. Where it is benched it has none.
    pub(crate) fn rerank(
        &mut self,
        session: SessionId,
        kind: &Kind,
        change: impl Fn(Rank) -> Rank,
    ) {
        if let Some(machine) = self.machines.get_mut(&session) {
            for at in machine.offers_of(Some(kind)) {
                let rank = machine.offers[at].rank.map(&change);
                rank_offer(machine, &mut self.shapes, at, rank);
            }
        }
    }

    /// The machine runs a task with these keys.
    pub(crate) fn load(&mut self, session: SessionId, keys: &[SetupKey]) {
        let Some(machine) = self.machines.get_mut(&session) else {
            return;
        };
        let before = machine.loaded.clone();
        machine.load(keys);
        for key in before.iter().filter(|key| !machine.loaded.contains(*key)) {
            unload(&mut self.loaded, key, session);
        }
        for key in &machine.loaded {
            self.loaded.entry(*key).or_default().insert(session);
        }
    }

    /// Machines that have the key loaded.
    pub(crate) fn with_loaded(&self, key: &SetupKey) -> impl Iterator<Item = SessionId> {
        let sessions = self.loaded.get(&key.sha256).into_iter().flatten();
        sessions.copied()
    }
}

/// How a shape of the machine's offer `index` fits the whole machine, if it does.
fn fit(machine: &Machine, shape: ShapeId, demand: &Demand, offer: usize) -> Option<Fit> {
    machine.whole.fits(demand).then(|| Fit {
        shape,
        offer: u32::try_from(offer).expect("invariant: a machine's offers are few"),
        rank: None,
    })
}

fn rank_offer(machine: &mut Machine, shapes: &mut Shapes, at: usize, rank: Option<Rank>) {
    if std::mem::replace(&mut machine.offers[at].rank, rank) == rank {
        return;
    }
    for index in 0..machine.fits.len() {
        if machine.fits[index].offer as usize == at {
            refit(machine, shapes, index);
        }
    }
}

fn refit(machine: &mut Machine, shapes: &mut Shapes, index: usize) {
    let fit = &mut machine.fits[index];
    let shape = shapes.get_mut(fit.shape);
    let rank = machine.offers[fit.offer as usize].rank;
    let rank = rank.filter(|_| machine.free.fits(&shape.demand));
    if fit.rank != rank {
        if fit.rank.is_some() {
            shape.pool.remove(machine.session);
        }
        if let Some(rank) = rank {
            shape.pool.insert(machine.session, rank);
        }
        fit.rank = rank;
    }
}

fn unload(
    loaded: &mut FxHashMap<[u8; 32], BTreeSet<SessionId>>,
    key: &[u8; 32],
    session: SessionId,
) {
    if let Some(sessions) = loaded.get_mut(key) {
        sessions.remove(&session);
        if sessions.is_empty() {
            loaded.remove(key);
        }
    }
}

fn known<T>(machine: Option<T>) -> T {
    machine.expect("invariant: a session that is listed is connected")
}
