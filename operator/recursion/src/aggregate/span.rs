//! A stretch of the lists: what lies between two states of them.

use froben_circuits::config::{Challenge, Val};
use p3_field::PrimeCharacteristicRing;

use super::list::{ListDigest, ListWires, Lists};
use crate::circuit::{Builder, PACK, Wire};

/// Public wires of a span: four digests and the count.
pub(super) const SPAN_WIRES: usize = 9;

/// The lists before and after some segments, and how many these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The lists before the first of them.
    pub start: Lists,
    /// The lists after the last of them.
    pub end: Lists,
    /// How many they are.
    pub count: Val,
}

impl Span {
    /// The span that a leaf's, a lift's or a node's proof publishes.
    #[must_use]
    pub fn of_publics(publics: &[Val]) -> Self {
        let digest = |wire: usize| ListDigest::of_publics(publics, wire);
        Self {
            start: Lists {
                common: digest(0),
                own: digest(2),
            },
            end: Lists {
                common: digest(4),
                own: digest(6),
            },
            count: publics[8 * PACK],
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct ListsWires {
    pub(super) common: ListWires,
    pub(super) own: ListWires,
}

impl ListsWires {
    /// Takes the lists from the prover.
    pub(super) fn input(b: &mut Builder) -> Self {
        Self {
            common: ListWires(b.input_digest()),
            own: ListWires(b.input_digest()),
        }
    }

    pub(super) fn values(lists: Lists) -> impl Iterator<Item = Challenge> {
        lists.common.packs().into_iter().chain(lists.own.packs())
    }

    fn assert_same(self, b: &mut Builder, other: Self) {
        b.assert_same_digest(self.common.0, other.common.0);
        b.assert_same_digest(self.own.0, other.own.0);
    }
}

/// A span in a circuit.
#[derive(Clone, Copy)]
pub(super) struct SpanWires {
    pub(super) start: ListsWires,
    pub(super) end: ListsWires,
    pub(super) count: Wire,
}

impl SpanWires {
    /// The span among a child's public wires.
    pub(super) fn of_child(publics: &[Wire]) -> Self {
        let list = |first: usize| ListWires([publics[first], publics[first + 1]]);
        Self {
            start: ListsWires {
                common: list(0),
                own: list(2),
            },
            end: ListsWires {
                common: list(4),
                own: list(6),
            },
            count: publics[8],
        }
    }

    pub(super) fn publish(&self, b: &mut Builder) {
        let lists = [
            self.start.common,
            self.start.own,
            self.end.common,
            self.end.own,
        ];
        let wires: Vec<Wire> = lists.into_iter().flat_map(|list| list.0).collect();
        b.publish(&wires);
        b.publish(&[self.count]);
    }

    /// Requires `next` to begin where this span ends, and joins the two.
    pub(super) fn join(self, b: &mut Builder, next: Self) -> Self {
        self.end.assert_same(b, next.start);
        Self {
            start: self.start,
            end: next.end,
            count: b.sum([(self.count, Val::ONE), (next.count, Val::ONE)], Val::ZERO),
        }
    }
}
