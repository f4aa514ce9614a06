//! The tree as a program: one parameter set's circuits with their keys, of which a worker makes one at a
//! time.
//!
//! Which circuits there are follows from the parameters and [`slots`] alone, so their verifying keys are
//! part of this crate ([`Keys::of`]): a worker builds the one circuit that it proves, and whoever verifies
//! builds none. [`Prover`] makes the proofs, over any [`Scheme`]; [`Proved::decode`] and [`Aggregate`] are
//! how they travel.
//!
//! `cargo run -p froben-recursion --example make_tree_keys -- dev`, and then `-- standard`, writes the keys again
//! after a change of any circuit; a test says when that is due.

mod aggregate;
mod check;
mod encoding;
mod keys;
mod prover;
mod segments;
#[cfg(test)]
mod tests;

use std::fmt;

use froben_circuits::{Circuit as Segment, Params};

pub use aggregate::{
    Aggregate, AggregateError, AggregateReport, MAX_AGGREGATE_BYTES, is_aggregate,
};
pub use check::segment_proof;
pub use encoding::{MAX_PROVED_BYTES, NotProved};
pub use keys::{BranchKeys, Keys, NoKeys};
pub use prover::{Prover, Step, TreeError};
pub use segments::{lists, statements};

#[cfg(doc)]
use crate::Scheme;
#[cfg(doc)]
use crate::aggregate::Proved;

/// Segment proofs that a leaf of this circuit takes.
///
/// As many as fill a height that takes seconds to prove (docs/recursion.md has the rows): 2^16 under `standard`; under `dev`
/// 2^15, or less where small files would pay for slots that they leave empty, and 2^16 for Blake3, of which one proof
/// takes more than half of 2^15.
#[must_use]
pub const fn slots(params: Params, segment: Segment) -> usize {
    match (params, segment) {
        (Params::Dev, Segment::Keccak256) => 5,
        (Params::Dev, Segment::Sha256) => 2,
        (Params::Dev, Segment::Blake3) => 3,
        (Params::Dev, Segment::Poseidon2) => 6,
        (Params::Standard, Segment::Keccak256) => 3,
        (Params::Standard, Segment::Sha256 | Segment::Blake3) => 1,
        (Params::Standard, Segment::Poseidon2) => 14,
    }
}

/// One circuit of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Verifies segment proofs.
    Leaf(Segment),
    /// Verifies a leaf.
    Lift(Segment),
    /// Verifies two lifts or nodes.
    Node,
    /// Verifies a lift or node of each circuit of segments.
    Tip,
    /// Verifies a tip.
    Scheduler,
}

impl Piece {
    /// Every circuit, from the leaves up.
    pub fn all() -> impl Iterator<Item = Self> {
        let leaves = Segment::ALL.map(Self::Leaf).into_iter();
        let lifts = Segment::ALL.map(Self::Lift);
        leaves
            .chain(lifts)
            .chain([Self::Node, Self::Tip, Self::Scheduler])
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(segment) => write!(f, "leaf of {segment}"),
            Self::Lift(segment) => write!(f, "lift of {segment}"),
            Self::Node => f.write_str("node"),
            Self::Tip => f.write_str("tip"),
            Self::Scheduler => f.write_str("scheduler"),
        }
    }
}
