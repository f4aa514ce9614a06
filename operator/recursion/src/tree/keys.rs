//! The verifying keys of a tree.

use std::sync::OnceLock;

use froben_circuits::config::{StockPcs, stock};
use froben_circuits::params::LOG_MERKLE_CAP;
use froben_circuits::{Circuit as Segment, Params};

use super::{Piece, slots};
use crate::aggregate::{Leaf, Lift, Node, Scheduler, Tip};
use crate::circuit::Circuit;
use crate::proof::{ProveError, ProvingKey, VerifyingKey};
use crate::tables::Heights;

/// Says what the bytes are, and in its last byte which encoding of it. A change of the keys themselves changes no version:
/// proofs name the keys that they are made under.
const MAGIC: &[u8; 12] = b"FROBEN-KEYS\x01";

/// The keys of one circuit of segments.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BranchKeys {
    /// Segment proofs that a leaf takes.
    pub slots: usize,
    /// The leaf's key.
    pub leaf: VerifyingKey,
    /// The lift's key.
    pub lift: VerifyingKey,
}

/// The verifying keys of every circuit of a tree.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Keys {
    branches: [BranchKeys; Segment::ALL.len()],
    node: VerifyingKey,
    tip: VerifyingKey,
    scheduler: VerifyingKey,
}

/// This build cannot prove or verify trees of these parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build has no keys for trees of `{params}` parameters: {why}")]
pub struct NoKeys {
    /// Name of the parameters.
    pub params: &'static str,
    /// What is missing.
    pub why: String,
}

impl Keys {
    /// The keys that are part of this crate.
    ///
    /// *Errors*: [`NoKeys`] if there are none for `params`.
    pub fn of(params: Params) -> Result<&'static Self, NoKeys> {
        static STANDARD: OnceLock<Result<Keys, NoKeys>> = OnceLock::new();
        static DEV: OnceLock<Result<Keys, NoKeys>> = OnceLock::new();
        let (read, bytes): (_, &[u8]) = match params {
            Params::Standard => (&STANDARD, include_bytes!("../../keys/standard")),
            Params::Dev => (&DEV, include_bytes!("../../keys/dev")),
        };
        let result = read.get_or_init(|| {
            Self::decode(params, bytes).map_err(|why| NoKeys {
                params: params.name(),
                why,
            })
        });
        result.as_ref().map_err(Clone::clone)
    }

    /// Builds every circuit and its key, and tells the name and the heights of each. Takes a while, and
    /// memory.
    ///
    /// *Errors*: [`ProveError::Prover`].
    pub fn make(
        params: Params,
        told: &mut dyn FnMut(Piece, &VerifyingKey),
    ) -> Result<Self, ProveError> {
        let mut made = |piece, circuit: &Circuit, heights| {
            let key = verifying(params, circuit, heights)?;
            told(piece, &key);
            Ok::<_, ProveError>(key)
        };
        let mut lifts = Vec::new();
        for segment in Segment::ALL {
            let leaf = Leaf::new(params, segment, slots(params, segment));
            let leaf = made(Piece::Leaf(segment), leaf.circuit(), None)?;
            lifts.push((segment, Lift::new(params, &leaf), leaf));
        }
        let (node, heights) = Node::over(params, lifts.iter().map(|(_, lift, _)| lift));
        let mut branches = Vec::new();
        for (segment, lift, leaf) in lifts {
            branches.push(BranchKeys {
                slots: slots(params, segment),
                leaf,
                lift: made(Piece::Lift(segment), lift.circuit(), Some(heights))?,
            });
        }
        let branches: [BranchKeys; Segment::ALL.len()] = branches
            .try_into()
            .expect("invariant: one for each circuit");
        let node = made(Piece::Node, node.circuit(), Some(heights))?;
        let lifts = branches.each_ref().map(|branch| branch.lift.clone());
        let tip = Tip::new(params, &lifts, &node);
        let tip = made(Piece::Tip, tip.circuit(), None)?;
        let scheduler = Scheduler::new(params, &tip);
        let scheduler = made(Piece::Scheduler, scheduler.circuit(), None)?;
        Ok(Self {
            branches,
            node,
            tip,
            scheduler,
        })
    }

    /// The keys of a circuit of segments.
    #[must_use]
    pub fn branch(&self, segment: Segment) -> &BranchKeys {
        let place = Segment::ALL.iter().position(|one| *one == segment);
        &self.branches[place.expect("invariant: all circuits are listed")]
    }

    /// The key of a circuit.
    #[must_use]
    pub fn key(&self, piece: Piece) -> &VerifyingKey {
        match piece {
            Piece::Leaf(segment) => &self.branch(segment).leaf,
            Piece::Lift(segment) => &self.branch(segment).lift,
            Piece::Node => &self.node,
            Piece::Tip => &self.tip,
            Piece::Scheduler => &self.scheduler,
        }
    }

    /// The key of each lift, in the order of [`Segment::ALL`].
    pub(super) fn lifts(&self) -> [VerifyingKey; Segment::ALL.len()] {
        self.branches.each_ref().map(|branch| branch.lift.clone())
    }

    /// Heights that lifts and node have.
    pub(super) const fn node_heights(&self) -> Heights {
        self.node.heights
    }

    /// Keys of leaves with another number of slots.
    #[cfg(test)]
    pub(super) fn set_slots(&mut self, segment: Segment, slots: usize) {
        let place = Segment::ALL.iter().position(|one| *one == segment);
        self.branches[place.expect("listed")].slots = slots;
    }

    /// As they stand in `keys/`.
    ///
    /// *Panics* if memory runs out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(postcard::to_allocvec(self).expect("invariant: keys can be encoded"));
        bytes
    }

    pub(super) fn decode(params: Params, bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("they have not been made yet".to_owned());
        }
        let rest = bytes.strip_prefix(MAGIC);
        let rest = rest.ok_or("they are of another version")?;
        let (keys, more): (Self, _) =
            postcard::take_from_bytes(rest).map_err(|error| error.to_string())?;
        if !more.is_empty() {
            return Err("bytes follow them".to_owned());
        }
        for segment in Segment::ALL {
            let (made, now) = (keys.branch(segment).slots, slots(params, segment));
            if made != now {
                return Err(format!(
                    "a leaf of {segment} had {made} slots and now has {now}"
                ));
            }
        }
        let whole = |piece| keys.key(piece).fixed.num_roots() == 1 << LOG_MERKLE_CAP;
        match Piece::all().find(|piece| !whole(*piece)) {
            Some(piece) => Err(format!("that of the {piece} is cut off")),
            None => Ok(keys),
        }
    }
}

fn verifying(
    params: Params,
    circuit: &Circuit,
    heights: Option<Heights>,
) -> Result<VerifyingKey, ProveError> {
    let key = ProvingKey::<StockPcs>::new(&stock(params), circuit.clone(), heights)?;
    Ok(key.verifying())
}
