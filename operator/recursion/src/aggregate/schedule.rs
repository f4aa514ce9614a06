//! The scheduler step: what must hold across circuits, and one digest of it all.

use froben_circuits::config::{self, Challenge, Hash, Val};
use froben_circuits::{Circuit as Segment, Error, Params, Statement};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_symmetric::CryptographicHasher;

use super::list::Lists;
use super::tip::{KINDS, RESULT_WIRES};
use super::{Proved, child_values, key, verify_child};
use crate::circuit::{Builder, Circuit, DIGEST};
use crate::proof::VerifyingKey;
use crate::verifier::{Lane, Malformed, Shape, hash};

/// A circuit that verifies a tip's proof, requires every circuit to speak of the same segments, and
/// publishes one digest.
#[derive(Clone, Debug)]
pub struct Scheduler {
    shape: Shape,
    circuit: Circuit,
}

impl Scheduler {
    /// The scheduler over the tip with this key.
    #[must_use]
    pub fn new(params: Params, tip: &VerifyingKey) -> Self {
        let shape = Shape::of_tables(params, tip.heights);
        let mut b = Builder::new();
        let key = key::fixed(&mut b, tip);
        let publics = verify_child(&mut b, &shape, &key);
        b.part("the same segments for every circuit");
        let (results, _) = publics[..KINDS * RESULT_WIRES].as_chunks::<RESULT_WIRES>();
        let [common_low, common_high, _, _, count] = results[0];
        for &[low, high, _, _, other] in &results[1..] {
            b.assert_same_digest([common_low, common_high], [low, high]);
            b.assert_equal(count, other);
        }
        b.part("the batch's digest");
        let mut lanes = vec![Lane::Part(count, 0)];
        lanes.extend([common_low, common_high].into_iter().flat_map(Lane::all));
        for &[_, _, low, high, _] in results {
            lanes.extend([low, high].into_iter().flat_map(Lane::all));
        }
        let digest = hash(&mut b, &lanes);
        b.publish(&digest);
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape.
    pub fn inputs(&self, tip: &Proved) -> Result<Vec<Challenge>, Malformed> {
        child_values(&self.shape, tip)
    }
}

impl Scheduler {
    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}

/// The digest that the scheduler's proof for these statements publishes: anyone can compute it from the
/// batch's public data.
///
/// The hash of the count, the common list and each circuit's own list, in the order of
/// [`Segment::ALL`].
///
/// *Errors*: as [`Segment::public_values`].
pub fn batch_digest(statements: &[Statement]) -> Result<[Val; DIGEST], Error> {
    let mut lists = [Lists::default(); KINDS];
    for statement in statements {
        for (segment, lists) in Segment::ALL.into_iter().zip(&mut lists) {
            *lists = lists.with(segment, statement)?;
        }
    }
    let mut values = vec![Val::from_usize(statements.len())];
    values.extend(lists[0].common.0);
    for lists in lists {
        values.extend(lists.own.0);
    }
    Ok(Hash::new(config::permutation()).hash_iter(values))
}

/// A digest as people compare it: its elements in hexadecimal, each as four bytes, little-endian.
#[must_use]
pub fn digest_text(digest: &[Val; DIGEST]) -> String {
    let words = digest.map(|value| value.as_canonical_u32().to_le_bytes());
    hex::encode(words.concat())
}
