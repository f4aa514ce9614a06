//! Who waits, and who is next.
//!
//! Seekers stand in one order, by what they have of the network; within a seeker its delegations stand in
//! lines, one for each shape of task. The queue knows nothing of machines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use froben_model::{SeekerId, TimeMs};
use rustc_hash::FxHashMap;

use crate::capacity::Claim;
use crate::shapes::ShapeId;
use crate::share::{Amounts, Share};
use crate::{DelegationKey, Urgency};

/// So many hand-outs of a seeker are remembered, those of before half as well.
const LATELY: u32 = 1000;

/// A place in the order of waiting: by the time at which the wait began, then by arrival. A delegation
/// that comes back gets its old place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) queued_ms: TimeMs,
    pub(crate) arrival: u64,
}

/// A place in the order in which one seeker is served. First the workflows that must end by some time,
/// the one that has to go on soonest first; then the others, the oldest first. Within a workflow what
/// most is left to do behind goes first: the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// The latest time to begin, if there is one.
    begin_by_ms: TimeMs,
    begun_ms: TimeMs,
    ahead_ms: Reverse<u64>,
    pub(crate) place: Place,
}

impl Turn {
    pub(crate) fn new(urgency: &Urgency, place: Place) -> Self {
        let begin_by = |by_ms: TimeMs| by_ms.saturating_sub(urgency.ahead_ms);
        Turn {
            begin_by_ms: urgency.wanted_by_ms.map_or(TimeMs::MAX, begin_by),
            begun_ms: urgency.begun_ms,
            ahead_ms: Reverse(urgency.ahead_ms),
            place,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) key: DelegationKey,
    /// It may not have every machine that offers the kind: see `Delegation::picky`.
    pub(crate) picky: bool,
}

/// One seeker's delegations of one shape.
pub(crate) type Line = BTreeMap<Turn, Waiting>;

/// The smaller its weighted share of the network, the earlier a seeker is served; among equals the one
/// that was served least recently.
pub(crate) type Standing = (Share, u64);

#[derive(Debug, Default)]
pub(crate) struct Seeker {
    used: Amounts,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    /// When it was last given a machine, in hand-outs.
    served: u64,
    /// Attempts that it was given lately, and of them those beside another one.
    handed_out: u32,
    hedged: u32,
    standing: Standing,
    /// None is empty.
    lines: BTreeMap<ShapeId, Line>,
    /// Who is first in each of them.
    heads: BTreeSet<(Turn, ShapeId)>,
}

impl Seeker {
    pub(crate) fn line(&self, shape: ShapeId) -> Option<&Line> {
        self.lines.get(&shape)
    }

    /// The first turn of each line, in order.
    pub(crate) fn heads(&self) -> &BTreeSet<(Turn, ShapeId)> {
        &self.heads
    }

    fn enter(&mut self, shape: ShapeId, turn: Turn, waiting: Waiting) {
        let line = self.lines.entry(shape).or_default();
        let first = line.keys().next().copied();
        let before = line.insert(turn, waiting);
        assert!(before.is_none(), "invariant: turns are never shared");
        if first.is_none_or(|first| turn < first) {
            if let Some(first) = first {
                self.heads.remove(&(first, shape));
            }
            self.heads.insert((turn, shape));
        }
    }

    fn leave(&mut self, shape: ShapeId, turn: Turn) {
        let line = self.lines.get_mut(&shape);
        let line = line.expect("invariant: its line is there");
        let left = line.remove(&turn);
        left.expect("invariant: it stands in the line");
        let next = line.keys().next().copied();
        if next.is_none() {
            self.lines.remove(&shape);
        }
        if self.heads.remove(&(turn, shape)) {
            self.heads.extend(next.map(|next| (next, shape)));
        }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (ShapeId, &Line)> {
        self.lines.iter().map(|(shape, line)| (*shape, line))
    }

    pub(crate) fn used(&self) -> Amounts {
        self.used
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Seekers that have anything waiting or in flight.
    seekers: FxHashMap<SeekerId, Seeker>,
    /// Those that have something waiting.
    order: BTreeSet<(Standing, SeekerId)>,
    weights: BTreeMap<SeekerId, u32>,
    /// What the connected machines have together.
    total: Amounts,
    arrivals: u64,
    handed_out: u64,
}

impl Queue {
    pub(crate) fn place(&mut self, queued_ms: TimeMs) -> Place {
        self.arrivals += 1;
        Place {
            queued_ms,
            arrival: self.arrivals,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Those that have something waiting, in the order in which they are served.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&SeekerId, &Seeker)> {
        self.order.iter().map(|(_, id)| (id, &self.seekers[id]))
    }

    pub(crate) fn standing(&self, seeker: &SeekerId) -> Standing {
        self.seekers
            .get(seeker)
            .map(|s| s.standing)
            .unwrap_or_default()
    }

    pub(crate) fn enter(&mut self, shape: ShapeId, id: &SeekerId, turn: Turn, waiting: Waiting) {
        let seeker = match self.seekers.get_mut(id) {
            Some(seeker) => seeker,
            None => self.seekers.entry(id.clone()).or_default(),
        };
        seeker.enter(shape, turn, waiting);
        seeker.waiting += 1;
        if seeker.waiting == 1 {
            self.order.insert((seeker.standing, id.clone()));
        }
    }

    pub(crate) fn leave(&mut self, shape: ShapeId, id: &SeekerId, turn: Turn) {
        let seeker = known(self.seekers.get_mut(id));
        seeker.leave(shape, turn);
        seeker.waiting -= 1;
        if seeker.waiting == 0 {
            self.order.remove(&(seeker.standing, id.clone()));
        }
        self.forget_idle(id);
    }

    /// Whether the seeker may have one more attempt beside another one, so that these are at most so many
    /// of a hundred.
    pub(crate) fn may_hedge(&self, id: &SeekerId, percent: u32) -> bool {
        self.seekers.get(id).is_some_and(|seeker| {
            let hedged = u64::from(seeker.hedged) + 1;
            hedged * 100 <= u64::from(seeker.handed_out) * u64::from(percent)
        })
    }

    /// The attempt that the seeker was given is one beside another one.
    pub(crate) fn hedged(&mut self, id: &SeekerId) {
        known(self.seekers.get_mut(id)).hedged += 1;
    }

    /// The seeker was given so much of a machine.
    pub(crate) fn hand_out(&mut self, id: &SeekerId, claim: &Claim) {
        self.handed_out += 1;
        let served = self.handed_out;
        self.change(id, |seeker| {
            seeker.in_flight += 1;
            seeker.served = served;
            seeker.handed_out += 1;
            if seeker.handed_out >= LATELY {
                seeker.handed_out /= 2;
                seeker.hedged /= 2;
            }
            seeker.used.add(&claim.amounts());
        });
    }

    /// An attempt of the seeker's ended.
    pub(crate) fn take_back(&mut self, id: &SeekerId, claim: &Claim) {
        self.change(id, |seeker| {
            seeker.in_flight -= 1;
            seeker.used.sub(&claim.amounts());
        });
        self.forget_idle(id);
    }

    /// Applies `change` and brings the seeker's standing in line with it.
    fn change(&mut self, id: &SeekerId, change: impl FnOnce(&mut Seeker)) {
        let seeker = match self.seekers.get_mut(id) {
            Some(seeker) => seeker,
            None => self.seekers.entry(id.clone()).or_default(),
        };
        change(seeker);
        let weight = self.weights.get(id).copied().unwrap_or(1);
        let standing = (seeker.used.share_of(&self.total, weight), seeker.served);
        let before = std::mem::replace(&mut seeker.standing, standing);
        if seeker.waiting > 0 && before != standing {
            let mut entry = (before, id.clone());
            self.order.remove(&entry);
            entry.0 = standing;
            self.order.insert(entry);
        }
    }

    fn forget_idle(&mut self, id: &SeekerId) {
        let seeker = known(self.seekers.get(id));
        if seeker.in_flight == 0 && seeker.waiting == 0 {
            self.seekers.remove(id);
        }
    }

    /// The machines that are connected have so much together now.
    pub(crate) fn set_total(&mut self, total: Amounts) {
        self.total = total;
        self.reorder();
    }

    /// A seeker of weight 2 gets twice as much as one of weight 1, as one that is not named is.
    pub(crate) fn set_weights(&mut self, weights: BTreeMap<SeekerId, u32>) {
        self.weights = weights;
        self.reorder();
    }

    fn reorder(&mut self) {
        let ids: Vec<_> = self.seekers.keys().cloned().collect();
        for id in ids {
            self.change(&id, |_| ());
        }
    }

    #[cfg(test)]
    pub(crate) fn forget_heads(&mut self, id: &SeekerId) {
        known(self.seekers.get_mut(id)).heads.clear();
    }

    /// By name.
    pub(crate) fn seekers(&self) -> BTreeMap<&SeekerId, &Seeker> {
        self.seekers.iter().collect()
    }

    pub(crate) fn total(&self) -> Amounts {
        self.total
    }
}

fn known<T>(seeker: Option<T>) -> T {
    seeker.expect("invariant: a seeker with delegations is known")
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Kind, Needs, WorkflowId};

    use super::*;
    use crate::capacity::{Class, Demand, Offer};
    use crate::shapes::Shapes;

    fn key(call: u64) -> DelegationKey {
        DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        }
    }

    fn shape() -> ShapeId {
        let offer = Offer {
            kind: Kind::new("x/1").unwrap(),
            class: Class::Cpu,
        };
        Shapes::default().add(&offer, &Demand::from(&Needs::default()))
    }

    fn waiting(call: u64) -> Waiting {
        let key = key(call);
        Waiting { key, picky: false }
    }

    fn claim(cores: u32) -> Claim {
        Claim {
            cores,
            ram_bytes: 0,
            device: None,
        }
    }

    fn names(queue: &Queue) -> Vec<&str> {
        queue.in_order().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn a_seeker_is_known_while_it_waits_or_runs() {
        let mut queue = Queue::default();
        let (shape, seeker) = (shape(), SeekerId::new("s").unwrap());
        let late = Turn::new(&Urgency::default(), queue.place(20));
        let early = Turn::new(&Urgency::default(), queue.place(10));
        queue.enter(shape, &seeker, late, waiting(1));
        queue.enter(shape, &seeker, early, waiting(2));
        let (_, known) = queue.in_order().next().unwrap();
        let line = known.line(shape).unwrap();
        let keys: Vec<_> = line.values().map(|waiting| waiting.key).collect();
        assert_eq!(keys, [key(2), key(1)]);

        queue.leave(shape, &seeker, late);
        queue.hand_out(&seeker, &claim(1));
        queue.leave(shape, &seeker, early);
        assert!(queue.is_empty());
        assert_eq!(queue.seekers().len(), 1);
        queue.take_back(&seeker, &claim(1));
        assert!(queue.seekers().is_empty());
    }

    #[test]
    fn who_has_less_of_what_he_has_most_of_goes_first_by_weight() {
        let mut queue = Queue::default();
        queue.set_total(Amounts::new(100, 0, 10));
        let shape = shape();
        let seekers = ["cores", "devices", "none"].map(|name| SeekerId::new(name).unwrap());
        for (call, seeker) in (1..).zip(&seekers) {
            let turn = Turn::new(&Urgency::default(), queue.place(0));
            queue.enter(shape, seeker, turn, waiting(call));
        }
        queue.hand_out(&seekers[0], &claim(15));
        let device = Claim {
            device: Some(0),
            ..claim(0)
        };
        queue.hand_out(&seekers[1], &device);
        assert_eq!(
            names(&queue),
            ["none", "devices", "cores"],
            "a tenth is less than 15 %"
        );
        let weights = [(seekers[0].clone(), 2)];
        queue.set_weights(weights.into_iter().collect());
        assert_eq!(names(&queue), ["none", "cores", "devices"]);
        queue.set_total(Amounts::new(100, 0, 100));
        assert_eq!(names(&queue), ["none", "devices", "cores"]);
    }

    #[test]
    fn deadlines_go_first_then_the_oldest_workflow_then_the_longest_way_to_go() {
        let urgency = |wanted_by_ms, begun_ms, ahead_ms| Urgency {
            wanted_by_ms,
            begun_ms,
            ahead_ms,
        };
        let place = |arrival| Place {
            queued_ms: 0,
            arrival,
        };
        let mut turns = [
            urgency(None, 5, 0),
            urgency(None, 1, 10),
            urgency(None, 1, 90),
            urgency(Some(1000), 5, 100),
            urgency(Some(900), 5, 0),
            urgency(Some(1000), 4, 200),
        ]
        .iter()
        .zip(1..)
        .map(|(urgency, arrival)| Turn::new(urgency, place(arrival)))
        .collect::<Vec<_>>();
        turns.sort();
        let order: Vec<_> = turns.iter().map(|turn| turn.place.arrival).collect();
        // 6 must begin by 800, 4 and 5 by 900, and 5 of the two is the newer and has less ahead.
        assert_eq!(order, [6, 4, 5, 3, 2, 1]);
    }
}
