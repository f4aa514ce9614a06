//! Whether what a worker is given holds, natively: a circuit would say so much later, and not of which child.

use froben_circuits::{Circuit as Segment, Params, Statement, decode, verify};

use super::{Keys, Piece};
use crate::aggregate::{Leaf, Node, NodeChild, Proved, Span, key_digest};
use crate::proof::{CircuitProof, Refused};

/// Reads a segment proof for a leaf, and verifies it.
///
/// *Errors*: [`Refused`] with its reason.
pub fn segment_proof(
    params: Params,
    segment: Segment,
    statement: &Statement,
    bytes: &[u8],
) -> Result<CircuitProof, Refused> {
    let refused = |error: froben_circuits::Error| Refused(error.to_string());
    verify(params, segment, statement, bytes).map_err(refused)?;
    let proof = decode(segment, bytes).map_err(refused)?;
    match Leaf::check_shape(params, segment, &proof) {
        Ok(()) => Ok(proof),
        Err(malformed) => Err(Refused(malformed.to_string())),
    }
}

impl Keys {
    /// Verifies a proof of one circuit of the tree.
    ///
    /// *Errors*: [`Refused`] with its reason.
    pub fn verify(&self, params: Params, piece: Piece, proved: &Proved) -> Result<(), Refused> {
        if proved.key != *self.key(piece) {
            return Err(Refused(format!(
                "it is made under another key than that of the {piece}"
            )));
        }
        proved.verify(params)
    }

    /// Verifies a proof of a lift or of a node, and that its leaves are of this circuit; gives which of the
    /// two it is, and what it says.
    ///
    /// *Errors*: [`Refused`] with its reason.
    pub fn verify_child(
        &self,
        params: Params,
        segment: Segment,
        proved: &Proved,
    ) -> Result<(NodeChild, Span), Refused> {
        let lift = self.key(Piece::Lift(segment));
        let child = match &proved.key {
            key if key == lift => NodeChild::Lift,
            key if key == self.key(Piece::Node) => NodeChild::Node,
            _ => {
                return Err(Refused(format!(
                    "it is made under another key than that of the node or the lift of {segment}"
                )));
            }
        };
        proved.verify(params)?;
        let known = [lift, self.key(Piece::Node)].map(key_digest);
        if child == NodeChild::Node && Node::accepted(&proved.publics) != known {
            return Err(Refused(format!("its leaves are not of {segment}")));
        }
        Ok((child, Span::of_publics(&proved.publics)))
    }
}
