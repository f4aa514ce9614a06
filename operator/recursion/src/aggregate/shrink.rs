//! Shrink: one more proof over the scheduler's, for whoever wants it under another proof system.

use froben_circuits::Params;
use froben_circuits::config::Challenge;

use super::{Proved, child_values, key, verify_child};
use crate::circuit::{Builder, Circuit, DIGEST_PACKS};
use crate::proof::VerifyingKey;
use crate::verifier::{Malformed, Shape};

/// A circuit that verifies a proof under one fixed key and publishes its digest, the first eight of
/// its public values, and nothing else.
#[derive(Clone, Debug)]
pub struct Shrink {
    shape: Shape,
    circuit: Circuit,
}

impl Shrink {
    /// The circuit for proofs under `key` and `params`.
    #[must_use]
    pub fn new(params: Params, child: &VerifyingKey) -> Self {
        let shape = Shape::of_tables(params, child.heights);
        let mut b = Builder::new();
        let key = key::fixed(&mut b, child);
        let publics = verify_child(&mut b, &shape, &key);
        b.publish(&publics[..DIGEST_PACKS]);
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    /// The circuit's inputs.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape.
    pub fn inputs(&self, child: &Proved) -> Result<Vec<Challenge>, Malformed> {
        child_values(&self.shape, child)
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}
