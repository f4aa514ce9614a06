//! The tip binds one result for each circuit to the keys that are allowed.

use froben_circuits::config::{Challenge, Val};
use froben_circuits::{Circuit as Segment, Params};

use super::Proved;
use super::key;
use super::list::{ListDigest, Lists};
use super::node::{Accepted, NodeChild, NodeShape};
use crate::circuit::{Builder, Circuit, PACK, Wire};
use crate::proof::VerifyingKey;
use crate::verifier::Malformed;

/// Circuits of segments, in the order of all encodings.
pub(super) const KINDS: usize = Segment::ALL.len();
/// Public wires for each: both lists' ends and the count.
pub(super) const RESULT_WIRES: usize = 5;

/// A circuit that verifies one node-shaped proof for each circuit of segments, from empty lists.
#[derive(Clone, Debug)]
pub struct Tip {
    shape: NodeShape,
    circuit: Circuit,
}

impl Tip {
    /// The tip over these keys: the lift of each circuit, and the node.
    ///
    /// *Panics* if lifts and node have not one shape.
    #[must_use]
    pub fn new(params: Params, lifts: &[VerifyingKey; KINDS], node: &VerifyingKey) -> Self {
        assert!(
            lifts.iter().all(|lift| lift.heights == node.heights),
            "lifts have the node's heights"
        );
        let shape = NodeShape::new(params, node.heights);
        let mut b = Builder::new();
        let constant =
            |b: &mut Builder, key: &VerifyingKey| key::packs(key).map(|pack| b.constant(pack));
        let node = constant(&mut b, node);
        for (segment, lift) in Segment::ALL.into_iter().zip(lifts) {
            let accepted = Accepted {
                lift: constant(&mut b, lift),
                node,
            };
            let span = shape.verify(&mut b, accepted);
            b.part(format!("the lists of {segment}"));
            span.start.common.assert_empty(&mut b);
            span.start.own.assert_empty(&mut b);
            let end = span.end;
            let result: Vec<Wire> = end.common.0.into_iter().chain(end.own.0).collect();
            b.publish(&result);
            b.publish(&[span.count]);
        }
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs: for each circuit of segments its last proof.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape.
    pub fn inputs(
        &self,
        children: [(NodeChild, &Proved); KINDS],
    ) -> Result<Vec<Challenge>, Malformed> {
        let mut values = Vec::new();
        for (kind, proved) in children {
            values.extend(self.shape.values(kind, proved)?);
        }
        Ok(values)
    }
}

impl Tip {
    /// What a tip's proof publishes: for each circuit of segments where its lists end, and the count.
    pub fn ends(publics: &[Val]) -> [(Lists, Val); KINDS] {
        std::array::from_fn(|kind| {
            let first = kind * RESULT_WIRES;
            let lists = Lists {
                common: ListDigest::of_publics(publics, first),
                own: ListDigest::of_publics(publics, first + 2),
            };
            (lists, publics[(first + 4) * PACK])
        })
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}
