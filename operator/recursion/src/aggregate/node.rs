//! Lifts and nodes: from many leaves of a circuit to one proof.
//!
//! All lifts and the node have one shape, so that a node can verify any of them, itself included. Which
//! keys it accepts cannot be part of a node, since its own is among them; so it publishes them, and every
//! node requires its children that are nodes to have accepted the same. Whoever verifies the last one
//! compares them with the keys that he knows.

use froben_circuits::Params;
use froben_circuits::config::{Challenge, Val};
use p3_field::PrimeCharacteristicRing;

use super::key;
use super::span::{SPAN_WIRES, SpanWires};
use super::{Proved, child_values, verify_child};
use crate::circuit::{Builder, Circuit, DIGEST, DIGEST_PACKS, DigestWires, PACK, Wire};
use crate::proof::VerifyingKey;
use crate::tables::Heights;
use crate::verifier::{Malformed, Shape};

/// A circuit that verifies a leaf's proof and publishes the same span, in the shape of nodes.
#[derive(Clone, Debug)]
pub struct Lift {
    shape: Shape,
    circuit: Circuit,
}

impl Lift {
    /// The lift of the leaf with this key.
    #[must_use]
    pub fn new(params: Params, leaf: &VerifyingKey) -> Self {
        let shape = Shape::of_tables(params, leaf.heights);
        let mut b = Builder::new();
        let key = key::fixed(&mut b, leaf);
        let publics = verify_child(&mut b, &shape, &key);
        SpanWires::of_child(&publics).publish(&mut b);
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape.
    pub fn inputs(&self, leaf: &Proved) -> Result<Vec<Challenge>, Malformed> {
        child_values(&self.shape, leaf)
    }
}

impl Lift {
    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}

/// What kind of circuit made a node's child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChild {
    /// A lift.
    Lift,
    /// A node.
    Node,
}

/// The keys that a tree of nodes accepts.
#[derive(Clone, Copy)]
pub(super) struct Accepted {
    pub(super) lift: DigestWires,
    pub(super) node: DigestWires,
}

/// A proof in the shape of nodes, verified under a key that is accepted.
#[derive(Clone, Debug)]
pub(super) struct NodeShape {
    heights: Heights,
    shape: Shape,
}

impl NodeShape {
    pub(super) fn new(params: Params, heights: Heights) -> Self {
        Self {
            heights,
            shape: Shape::of_tables(params, heights),
        }
    }

    /// Takes such a proof from the prover; gives what it says.
    pub(super) fn verify(&self, b: &mut Builder, accepted: Accepted) -> SpanWires {
        let is_node = b.input();
        b.assert_bit(is_node);
        let (key, digest) = key::input(b, self.heights);
        let publics = verify_child(b, &self.shape, &key);
        b.part("the child's key");
        let expected = b.select_digest(is_node, accepted.lift, accepted.node);
        b.assert_same_digest(digest, expected);
        // A node must have accepted the same; a lift accepted a leaf's key that is part of its own.
        let claimed = &publics[SPAN_WIRES..][..4];
        let known: Vec<Wire> = accepted.lift.into_iter().chain(accepted.node).collect();
        for (&claimed, known) in claimed.iter().zip(known) {
            let difference = b.sub(claimed, known);
            let zero = b.zero();
            b.assert_product(is_node, difference, zero);
        }
        SpanWires::of_child(&publics)
    }

    pub(super) fn values(
        &self,
        child: NodeChild,
        proved: &Proved,
    ) -> Result<Vec<Challenge>, Malformed> {
        let mut values = vec![Challenge::from_bool(child == NodeChild::Node)];
        values.extend(key::root_packs(&proved.key)?.into_iter().flatten());
        values.extend(child_values(&self.shape, proved)?);
        Ok(values)
    }
}

/// A circuit that verifies two proofs in its own shape and joins what they say.
#[derive(Clone, Debug)]
pub struct Node {
    shape: NodeShape,
    circuit: Circuit,
}

impl Node {
    /// The node over these lifts, and the smallest heights that hold it and all of them.
    #[must_use]
    pub fn over<'a>(params: Params, lifts: impl IntoIterator<Item = &'a Lift>) -> (Self, Heights) {
        let needed = lifts.into_iter().map(|lift| Heights::needed(&lift.circuit));
        let least = needed.reduce(Heights::union).expect("a tree has a lift");
        // Short tables as tall as the others come before taller ones: a verifier of one height does less.
        let heights = (least.tall..).flat_map(|tall| {
            let shorts = least.short..=tall.max(least.short);
            shorts.map(move |short| Heights { tall, short })
        });
        heights
            .map(|heights| (Self::new(params, heights), heights))
            .find(|(node, heights)| Heights::needed(&node.circuit).fit(*heights))
            .expect("invariant: a verifier grows with the logarithm of what it verifies")
    }

    /// The node for children of these heights.
    #[must_use]
    pub fn new(params: Params, heights: Heights) -> Self {
        let shape = NodeShape::new(params, heights);
        let mut b = Builder::new();
        let accepted = Accepted {
            lift: b.input_digest(),
            node: b.input_digest(),
        };
        let left = shape.verify(&mut b, accepted);
        let right = shape.verify(&mut b, accepted);
        b.part("the children's lists");
        let span = left.join(&mut b, right);
        span.publish(&mut b);
        b.publish(&accepted.lift);
        b.publish(&accepted.node);
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape.
    pub fn inputs(
        &self,
        lift: &VerifyingKey,
        node: &VerifyingKey,
        children: [(NodeChild, &Proved); 2],
    ) -> Result<Vec<Challenge>, Malformed> {
        let digests = [lift, node].map(key::packs);
        let mut values: Vec<_> = digests.into_iter().flatten().collect();
        for (kind, proved) in children {
            values.extend(self.shape.values(kind, proved)?);
        }
        Ok(values)
    }
}

impl Node {
    /// The keys that a node's proof says it accepted, as digests: the lift's and the node's.
    pub(crate) fn accepted(publics: &[Val]) -> [[Val; DIGEST]; 2] {
        let digest = |first: usize| std::array::from_fn(|i| publics[first * PACK + i]);
        [digest(SPAN_WIRES), digest(SPAN_WIRES + DIGEST_PACKS)]
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}
