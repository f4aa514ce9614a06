//! Proofs of a tree, one at a time.
//!
//! A proving key takes tens of megabytes under `dev` and hundreds under `standard`, and seconds to build. So
//! the keys that were used last are kept, as many as the memory holds that the owner allows; the one in use
//! is kept whatever it takes.

use froben_circuits::config::{Challenge, StockPcs, stock};
use froben_circuits::{Circuit as Segment, Params};

use super::{Keys, NoKeys, Piece, slots};
use crate::aggregate::{Leaf, LeafInput, Lift, Node, NodeChild, Proved, Scheduler, Tip};
use crate::circuit::Circuit;
use crate::proof::{Config, ProveError, ProvingKey, Refused, Scheme};
use crate::verifier::Malformed;

/// Memory that kept keys take at most, in bytes, unless their owner says otherwise.
const KEPT_BYTES: usize = 1 << 30;

/// One proof of a tree, and what it is made from. Children have been verified.
pub enum Step<'a> {
    /// Of segment proofs.
    Leaf(Segment, &'a LeafInput<'a>),
    /// Of a leaf's proof.
    Lift(Segment, &'a Proved),
    /// Of two lifts or nodes of one circuit, the second beginning where the first ends.
    Node(Segment, [(NodeChild, &'a Proved); 2]),
    /// Of a lift or a node of each circuit.
    Tip([(NodeChild, &'a Proved); Segment::ALL.len()]),
    /// Of a tip's proof.
    Scheduler(&'a Proved),
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// This build does not know the circuits.
    #[error(transparent)]
    Keys(#[from] NoKeys),
    /// What was given has another shape: it has not been verified.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The circuit or the proof system.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The key that was built is not the one that everybody else has.
    #[error("the key of the {piece} is not the one that this build knows")]
    Key {
        /// The circuit.
        piece: Piece,
    },
    /// The proof that was made does not hold.
    #[error("the proof of the {piece} does not hold: {why}")]
    Unsound {
        /// The circuit.
        piece: Piece,
        /// What the verifier says.
        why: Refused,
    },
}

/// Makes proofs of trees over the scheme `P`, and keeps the keys that it used last.
pub struct Prover<P: Scheme> {
    /// The last used one at the end.
    kept: Vec<Kept<P>>,
    limit_bytes: usize,
}

pub(super) struct Kept<P: Scheme> {
    params: Params,
    piece: Piece,
    circuit: Made,
    key: ProvingKey<P::Pcs>,
}

/// A circuit that knows its inputs.
enum Made {
    Leaf(Leaf),
    Lift(Lift),
    Node(Node),
    Tip(Tip),
    Scheduler(Scheduler),
}

impl<P: Scheme> Default for Prover<P> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            limit_bytes: KEPT_BYTES,
        }
    }
}

impl<P: Scheme> std::fmt::Debug for Prover<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.kept.iter().map(|kept| (kept.params, kept.piece));
        f.debug_list().entries(kept).finish()
    }
}

impl Prover<StockPcs> {
    /// [`Prover::prove`] by the stock prover. Compiled here once, for all who have no other.
    ///
    /// *Errors*: [`TreeError`].
    pub fn prove_stock(&mut self, params: Params, step: &Step<'_>) -> Result<Proved, TreeError> {
        self.prove(&stock(params), params, step)
    }
}

impl<P: Scheme> Prover<P> {
    /// Keeps keys of so many bytes at most from now on, and lets go of those that are too many: the ones
    /// that were not used for longest.
    pub fn keep(&mut self, bytes: usize) {
        self.limit_bytes = bytes;
        self.let_go(0);
    }

    /// Makes one proof, verified under the key that everybody knows. A device that is behind `config` does
    /// the work of the key too, where it has to be built.
    ///
    /// *Errors*: [`TreeError`].
    pub fn prove(
        &mut self,
        config: &Config<P::Pcs>,
        params: Params,
        step: &Step<'_>,
    ) -> Result<Proved, TreeError> {
        let keys = Keys::of(params)?;
        let piece = step.piece();
        let kept = self.piece(config, params, keys, piece)?;
        let inputs = kept.circuit.inputs(keys, step)?;
        let (proof, publics) = kept.key.prove(config, &inputs)?;
        let proved = Proved {
            key: keys.key(piece).clone(),
            publics,
            proof,
        };
        match proved.verify(params) {
            Ok(()) => Ok(proved),
            Err(why) => Err(TreeError::Unsound { piece, why }),
        }
    }

    /// Memory that the kept keys take, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        let sizes = self.kept.iter().map(|kept| kept.key.bytes(kept.params));
        sizes.sum()
    }

    pub(super) fn piece(
        &mut self,
        config: &Config<P::Pcs>,
        params: Params,
        keys: &Keys,
        piece: Piece,
    ) -> Result<&Kept<P>, TreeError> {
        let is = |kept: &Kept<P>| kept.params == params && kept.piece == piece;
        let kept = match self.kept.iter().position(is) {
            Some(place) => self.kept.remove(place),
            None => Kept::make(config, params, keys, piece)?,
        };
        self.kept.push(kept);
        self.let_go(1);
        Ok(self.kept.last().expect("invariant: just put there"))
    }

    /// Drops from the front what is too much, but for the last `least`.
    fn let_go(&mut self, least: usize) {
        let mut left = self.kept_bytes();
        while left > self.limit_bytes && self.kept.len() > least {
            let oldest = self.kept.remove(0);
            left -= oldest.key.bytes(oldest.params);
        }
    }
}

impl<P: Scheme> Kept<P> {
    fn make(
        config: &Config<P::Pcs>,
        params: Params,
        keys: &Keys,
        piece: Piece,
    ) -> Result<Self, TreeError> {
        let circuit = Made::new(params, keys, piece);
        let heights = keys.key(piece).heights;
        let key = match ProvingKey::new(config, circuit.circuit().clone(), Some(heights)) {
            Err(ProveError::TooLarge { .. }) => return Err(TreeError::Key { piece }),
            key => key?,
        };
        if key.verifying() != *keys.key(piece) {
            return Err(TreeError::Key { piece });
        }
        Ok(Self {
            params,
            piece,
            circuit,
            key,
        })
    }
}

impl Step<'_> {
    /// The circuit that is proved.
    #[must_use]
    pub const fn piece(&self) -> Piece {
        match self {
            Self::Leaf(segment, _) => Piece::Leaf(*segment),
            Self::Lift(segment, _) => Piece::Lift(*segment),
            Self::Node(..) => Piece::Node,
            Self::Tip(_) => Piece::Tip,
            Self::Scheduler(_) => Piece::Scheduler,
        }
    }
}

impl Made {
    fn new(params: Params, keys: &Keys, piece: Piece) -> Self {
        match piece {
            Piece::Leaf(segment) => Self::Leaf(Leaf::new(params, segment, slots(params, segment))),
            Piece::Lift(segment) => Self::Lift(Lift::new(params, keys.key(Piece::Leaf(segment)))),
            Piece::Node => Self::Node(Node::new(params, keys.node_heights())),
            Piece::Tip => Self::Tip(Tip::new(params, &keys.lifts(), keys.key(Piece::Node))),
            Piece::Scheduler => Self::Scheduler(Scheduler::new(params, keys.key(Piece::Tip))),
        }
    }

    const fn circuit(&self) -> &Circuit {
        match self {
            Self::Leaf(leaf) => leaf.circuit(),
            Self::Lift(lift) => lift.circuit(),
            Self::Node(node) => node.circuit(),
            Self::Tip(tip) => tip.circuit(),
            Self::Scheduler(scheduler) => scheduler.circuit(),
        }
    }

    fn inputs(&self, keys: &Keys, step: &Step<'_>) -> Result<Vec<Challenge>, Malformed> {
        match (self, step) {
            (Self::Leaf(leaf), Step::Leaf(_, input)) => leaf.inputs(input),
            (Self::Lift(lift), Step::Lift(_, proved)) => lift.inputs(proved),
            (Self::Node(node), Step::Node(segment, children)) => {
                let lift = keys.key(Piece::Lift(*segment));
                node.inputs(lift, keys.key(Piece::Node), *children)
            }
            (Self::Tip(tip), Step::Tip(children)) => tip.inputs(*children),
            (Self::Scheduler(scheduler), Step::Scheduler(proved)) => scheduler.inputs(proved),
            _ => unreachable!("invariant: a step has the piece that it names"),
        }
    }
}
