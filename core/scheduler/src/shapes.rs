//! The shapes of tasks that there are: who waits with one, and which machines are free for it.
//!
//! A shape has its pool of machines as long as somebody waits with it, and some time longer: the next
//! task of a pipeline is most often like the one before.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::DelegationKey;
use crate::capacity::{Demand, Offer};
use crate::pool::Pool;
use crate::queue::Place;

/// Shapes that nobody waits with and that are kept in mind.
const KEPT: usize = 256;

/// Of a shape that is known. The ids of forgotten shapes are given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShapeId(u32);

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) offer: Offer,
    pub(crate) demand: Demand,
    /// Machines that could take one now.
    pub(crate) pool: Pool,
    /// Who waits with it, the one that has waited longest first.
    pub(crate) elders: BTreeMap<Place, DelegationKey>,
    /// How many of them are not picky.
    pub(crate) plain: usize,
    /// When somebody last came with it, in arrivals.
    used: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Shapes {
    slab: Vec<Option<Shape>>,
    vacant: Vec<ShapeId>,
    ids: FxHashMap<Offer, BTreeMap<Demand, ShapeId>>,
    /// Those that nobody waits with, by when they were used.
    idle: BTreeSet<(u64, ShapeId)>,
    arrivals: u64,
}

impl Shapes {
    /// The shape's id, if it is known.
    pub(crate) fn find(&self, offer: &Offer, demand: &Demand) -> Option<ShapeId> {
        self.ids.get(offer)?.get(demand).copied()
    }

    /// Those of an offer that are known.
    pub(crate) fn of(&self, offer: &Offer) -> impl Iterator<Item = ShapeId> {
        self.ids.get(offer).into_iter().flatten().map(|(_, id)| *id)
    }

    pub(crate) fn get(&self, id: ShapeId) -> &Shape {
        let shape = self.slab[id.0 as usize].as_ref();
        shape.expect("invariant: an id is of a shape that is known")
    }

    pub(crate) fn get_mut(&mut self, id: ShapeId) -> &mut Shape {
        let shape = self.slab[id.0 as usize].as_mut();
        shape.expect("invariant: an id is of a shape that is known")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ShapeId, &Shape)> {
        let all = (0..).zip(&self.slab);
        all.filter_map(|(id, shape)| Some((ShapeId(id), shape.as_ref()?)))
    }

    /// Those that somebody waits with.
    pub(crate) fn waited_for(&self) -> impl Iterator<Item = (ShapeId, &Shape)> {
        self.iter().filter(|(_, shape)| !shape.elders.is_empty())
    }

    /// Makes a shape known, with an empty pool.
    pub(crate) fn add(&mut self, offer: &Offer, demand: &Demand) -> ShapeId {
        let shape = Shape {
            offer: offer.clone(),
            demand: *demand,
            pool: Pool::default(),
            elders: BTreeMap::new(),
            plain: 0,
            used: self.arrivals,
        };
        let id = match self.vacant.pop() {
            Some(id) => id,
            None => {
                self.slab.push(None);
                ShapeId(u32::try_from(self.slab.len() - 1).expect("invariant: shapes are few"))
            }
        };
        self.slab[id.0 as usize] = Some(shape);
        self.ids
            .entry(offer.clone())
            .or_default()
            .insert(*demand, id);
        self.idle.insert((self.arrivals, id));
        id
    }

    pub(crate) fn enter(&mut self, id: ShapeId, place: Place, key: DelegationKey, picky: bool) {
        self.arrivals += 1;
        let arrivals = self.arrivals;
        let shape = self.get_mut(id);
        let used = std::mem::replace(&mut shape.used, arrivals);
        let before = shape.elders.insert(place, key);
        assert!(before.is_none(), "invariant: places are never shared");
        shape.plain += usize::from(!picky);
        if shape.elders.len() == 1 {
            self.idle.remove(&(used, id));
        }
    }

    pub(crate) fn leave(&mut self, id: ShapeId, place: Place, picky: bool) {
        let shape = self.get_mut(id);
        let left = shape.elders.remove(&place);
        left.expect("invariant: it waits with its shape");
        shape.plain -= usize::from(!picky);
        if shape.elders.is_empty() {
            let used = shape.used;
            self.idle.insert((used, id));
        }
    }

    /// Forgets the shape that was not used for longest, if too many are kept in mind.
    pub(crate) fn forget_one(&mut self) -> Option<(ShapeId, Shape)> {
        if self.idle.len() <= KEPT {
            return None;
        }
        let (_, id) = self.idle.pop_first()?;
        let shape = self.slab[id.0 as usize].take();
        let shape = shape.expect("invariant: an id is of a shape that is known");
        if let Some(demands) = self.ids.get_mut(&shape.offer) {
            demands.remove(&shape.demand);
            if demands.is_empty() {
                self.ids.remove(&shape.offer);
            }
        }
        self.vacant.push(id);
        Some((id, shape))
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Kind, Needs, WorkflowId};

    use super::*;
    use crate::capacity::Class;

    fn offer() -> Offer {
        Offer {
            kind: Kind::new("x/1").unwrap(),
            class: Class::Cpu,
        }
    }

    fn demand(ram_bytes: u64) -> Demand {
        Demand::from(&Needs {
            ram_bytes,
            ..Needs::default()
        })
    }

    #[test]
    fn only_shapes_that_nobody_waits_with_are_forgotten_the_stalest_first() {
        let mut shapes = Shapes::default();
        let mut ids = Vec::new();
        for n in 0..=KEPT as u64 {
            assert!(shapes.forget_one().is_none());
            let id = shapes.add(&offer(), &demand(n));
            let key = DelegationKey {
                workflow: WorkflowId([0; 16]),
                call: CallId(n),
            };
            let place = Place {
                queued_ms: 0,
                arrival: n,
            };
            shapes.enter(id, place, key, false);
            ids.push((id, place));
        }
        for (id, place) in &ids[1..] {
            shapes.leave(*id, *place, false);
        }
        assert!(shapes.forget_one().is_none(), "the first is waited for");
        let (id, place) = ids[0];
        assert_eq!((shapes.waited_for().count(), shapes.get(id).plain), (1, 1));
        shapes.leave(id, place, false);
        let (forgotten, _) = shapes.forget_one().unwrap();
        assert_eq!(forgotten, id, "it came first");
        assert!(shapes.forget_one().is_none());
        assert_eq!(shapes.find(&offer(), &demand(0)), None);
        let again = shapes.add(&offer(), &demand(0));
        assert_eq!((again, shapes.of(&offer()).count()), (id, KEPT + 1));
    }
}
