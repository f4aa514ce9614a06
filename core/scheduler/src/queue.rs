//! Who waits, and who is next.
//!
//! Delegations wait in *lines*, one for each shape of task, and within a line by seeker: a machine that
//! has become free is then held against a few lines, not against every delegation. The queue knows
//! nothing of machines.

use std::collections::BTreeMap;

use froben_model::{SeekerId, TimeMs};

use crate::DelegationKey;
use crate::capacity::{Demand, Offer};

/// A place in the order of waiting: by the time at which the wait began, then by arrival. A delegation
/// that comes back gets its old place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) queued_ms: TimeMs,
    pub(crate) arrival: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) key: DelegationKey,
    /// It may not have every machine that offers the kind: see `Delegation::picky`.
    pub(crate) picky: bool,
}

/// Delegations of one shape.
#[derive(Debug, Default)]
pub(crate) struct Line {
    by_seeker: BTreeMap<SeekerId, BTreeMap<Place, Waiting>>,
    /// How many are not picky.
    plain: usize,
}

impl Line {
    /// Whether somebody waits who would take any machine that the shape fits.
    pub(crate) fn has_plain(&self) -> bool {
        self.plain > 0
    }

    pub(crate) fn seekers(&self) -> impl Iterator<Item = (&SeekerId, &BTreeMap<Place, Waiting>)> {
        self.by_seeker.iter()
    }

    pub(crate) fn of(&self, seeker: &SeekerId) -> Option<&BTreeMap<Place, Waiting>> {
        self.by_seeker.get(seeker)
    }

    /// The oldest of each seeker.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (Place, DelegationKey)> {
        let firsts = self
            .by_seeker
            .values()
            .filter_map(BTreeMap::first_key_value);
        firsts.map(|(place, waiting)| (*place, waiting.key))
    }
}

/// What a seeker has of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    /// When it was last given a machine, in hand-outs.
    served: u64,
}

/// Seekers with a lower standing go first.
pub(crate) type Standing = (u32, u64);

#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Offer, BTreeMap<Demand, Line>>,
    /// Seekers that have anything waiting or in flight.
    shares: BTreeMap<SeekerId, Share>,
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
        self.lines.is_empty()
    }

    pub(crate) fn line(&self, offer: &Offer, demand: &Demand) -> Option<&Line> {
        self.lines.get(offer)?.get(demand)
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (&Offer, &BTreeMap<Demand, Line>)> {
        self.lines.iter()
    }

    pub(crate) fn lines_of(&self, offer: &Offer) -> impl Iterator<Item = (&Demand, &Line)> {
        self.lines.get(offer).into_iter().flatten()
    }

    pub(crate) fn enter(
        &mut self,
        (offer, demand): (&Offer, &Demand),
        seeker: &SeekerId,
        place: Place,
        waiting: Waiting,
    ) {
        let line = self.lines.entry(offer.clone()).or_default();
        let line = line.entry(*demand).or_default();
        let before = line
            .by_seeker
            .entry(seeker.clone())
            .or_default()
            .insert(place, waiting);
        assert!(before.is_none(), "invariant: places are never shared");
        line.plain += usize::from(!waiting.picky);
        self.shares.entry(seeker.clone()).or_default().waiting += 1;
    }

    pub(crate) fn leave(
        &mut self,
        (offer, demand): (&Offer, &Demand),
        seeker: &SeekerId,
        place: Place,
    ) {
        let lines = self
            .lines
            .get_mut(offer)
            .expect("invariant: its line is there");
        let line = lines.get_mut(demand).expect("invariant: its line is there");
        let own = line.by_seeker.get_mut(seeker);
        let own = own.expect("invariant: its seeker stands in the line");
        let waiting = own
            .remove(&place)
            .expect("invariant: it stands in the line");
        line.plain -= usize::from(!waiting.picky);
        if own.is_empty() {
            line.by_seeker.remove(seeker);
        }
        if line.by_seeker.is_empty() {
            lines.remove(demand);
        }
        if lines.is_empty() {
            self.lines.remove(offer);
        }
        self.change(seeker, |share| share.waiting -= 1);
    }

    /// The seeker was given a machine.
    pub(crate) fn hand_out(&mut self, seeker: &SeekerId) {
        self.handed_out += 1;
        let share = self.shares.entry(seeker.clone()).or_default();
        share.in_flight += 1;
        share.served = self.handed_out;
    }

    /// An attempt of the seeker's ended.
    pub(crate) fn take_back(&mut self, seeker: &SeekerId) {
        self.change(seeker, |share| share.in_flight -= 1);
    }

    fn change(&mut self, seeker: &SeekerId, change: impl FnOnce(&mut Share)) {
        let share = self.shares.get_mut(seeker);
        let share = share.expect("invariant: a seeker with delegations has a share");
        change(share);
        if share.in_flight == 0 && share.waiting == 0 {
            self.shares.remove(seeker);
        }
    }

    /// Fewest attempts in flight first; among equals the one that was served least recently.
    pub(crate) fn standing(&self, seeker: &SeekerId) -> Standing {
        let share = self.shares.get(seeker).copied().unwrap_or_default();
        (share.in_flight, share.served)
    }

    pub(crate) fn shares(&self) -> &BTreeMap<SeekerId, Share> {
        &self.shares
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, Kind, Needs, WorkflowId};

    use super::*;
    use crate::capacity::Class;

    #[test]
    fn a_seeker_is_known_while_it_waits_or_runs_and_lines_vanish_when_empty() {
        let mut queue = Queue::default();
        let offer = Offer {
            kind: Kind::new("x/1").unwrap(),
            class: Class::Cpu,
        };
        let demand = Demand::from(&Needs::default());
        let shape = (&offer, &demand);
        let seeker = SeekerId::new("s").unwrap();
        let key = |call| DelegationKey {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
        };
        let late = queue.place(20);
        let early = queue.place(10);
        for (place, call, picky) in [(late, 1, false), (early, 2, true)] {
            let key = key(call);
            queue.enter(shape, &seeker, place, Waiting { key, picky });
        }
        let line = queue.line(&offer, &demand).unwrap();
        assert_eq!(line.heads().collect::<Vec<_>>(), [(early, key(2))]);
        assert!(line.has_plain());

        queue.leave(shape, &seeker, late);
        assert!(!queue.line(&offer, &demand).unwrap().has_plain());
        queue.hand_out(&seeker);
        queue.leave(shape, &seeker, early);
        assert!(queue.is_empty());
        assert_eq!(queue.standing(&seeker), (1, 1));
        queue.take_back(&seeker);
        assert_eq!(queue.standing(&seeker), (0, 0));
        assert!(queue.shares().is_empty());
    }
}
