//! A leaf verifies segment proofs of one circuit.

use froben_circuits::config::{Challenge, Val};
use froben_circuits::{Circuit as Segment, Params, SHARED_PUBLIC_VALUES, Statement};
use p3_field::PrimeCharacteristicRing;

use super::list::Lists;
use super::span::{ListsWires, SpanWires};
use crate::circuit::{Builder, Circuit, PACK};
use crate::proof::CircuitProof;
use crate::verifier::{Lane, Malformed, ProofParts, Shape, packs, verify};

/// A circuit with a slot for each of so many segment proofs.
///
/// Every slot verifies a proof. A slot that is not *present* leaves the lists and the count as they are;
/// a short leaf fills such slots with any proof that it has.
#[derive(Clone, Debug)]
pub struct Leaf {
    segment: Segment,
    slots: usize,
    shape: Shape,
    circuit: Circuit,
}

/// What a leaf is proved from.
pub struct LeafInput<'a> {
    /// The lists before these segments.
    pub start: Lists,
    /// Statements and their proofs, in order; at least one, at most as many as the leaf has slots.
    pub children: &'a [(&'a Statement, &'a CircuitProof)],
}

impl Leaf {
    /// The leaf of `slots` proofs of a circuit.
    #[must_use]
    pub fn new(params: Params, segment: Segment, slots: usize) -> Self {
        let shape = Shape::of_segment(params, segment);
        let publics = shape.instances()[0].publics;
        let mut b = Builder::new();
        let start = ListsWires::input(&mut b);
        let mut end = start;
        let mut count = b.zero();
        for slot in 0..slots {
            b.part(format!("slot {slot}"));
            let present = b.input();
            b.assert_bit(present);
            let values = b.input_vec(publics.div_ceil(PACK));
            let lanes: Vec<Lane> = values
                .into_iter()
                .flat_map(Lane::all)
                .take(publics)
                .collect();
            let proof = ProofParts::input(&mut b, &shape);
            verify(&mut b, &shape, None, &proof, &vec![lanes.clone()]);
            b.part(format!("lists with slot {slot}"));
            let (common, own) = lanes.split_at(SHARED_PUBLIC_VALUES);
            end = ListsWires {
                common: end.common.with(&mut b, present, common),
                own: end.own.with(&mut b, present, own),
            };
            count = b.sum([(count, Val::ONE), (present, Val::ONE)], Val::ZERO);
        }
        SpanWires { start, end, count }.publish(&mut b);
        Self {
            segment,
            slots,
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs.
    ///
    /// *Errors*: [`Malformed`] for no proofs, too many, or one of another shape.
    pub fn inputs(&self, input: &LeafInput<'_>) -> Result<Vec<Challenge>, Malformed> {
        let given = input.children.len();
        if given == 0 || given > self.slots {
            return Err(Malformed(format!(
                "{given} proofs for {} slots",
                self.slots
            )));
        }
        let mut values: Vec<_> = ListsWires::values(input.start).collect();
        let filling = std::iter::repeat(&input.children[0]);
        for (slot, (statement, proof)) in input
            .children
            .iter()
            .chain(filling)
            .take(self.slots)
            .enumerate()
        {
            let publics = self.segment.public_values(statement);
            let publics = publics.map_err(|error| Malformed(error.to_string()))?;
            values.push(Challenge::from_bool(slot < given));
            values.extend(packs(&publics));
            values.extend(ProofParts::read(&self.shape, proof)?.values());
        }
        Ok(values)
    }
}

impl Leaf {
    /// Whether the segment's proofs have the shape that a leaf takes.
    ///
    /// *Errors*: [`Malformed`].
    pub(crate) fn check_shape(
        params: Params,
        segment: Segment,
        proof: &CircuitProof,
    ) -> Result<(), Malformed> {
        let shape = Shape::of_segment(params, segment);
        ProofParts::read(&shape, proof).map(drop)
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}
