//! The tree of proofs: many segment proofs become one.
//!
//! ```text
//! segment proofs --Leaf--> one proof per so many --Lift--> node-shaped --Node--> one proof per kind
//!                                                                               --Tip--> one of all kinds
//!                                                                               --Scheduler--> one digest
//! ```
//!
//! | Circuit | Verifies | Publishes |
//! |---|---|---|
//! | [`Leaf`] | segment proofs of one circuit | a [`Span`] of the lists |
//! | [`Lift`] | a leaf's proof | the same, in the shape of nodes |
//! | [`Node`] | two proofs of lifts or nodes | their spans joined, the keys that it accepts |
//! | [`Tip`] | a node-shaped proof for each circuit | the lists' ends and counts |
//! | [`Scheduler`] | a tip's proof | one digest |
//! | [`Shrink`] | a scheduler's proof | the same digest |
//!
//! What each value is bound by is argued in docs/recursion.md.

mod key;
mod leaf;
mod list;
mod node;
mod schedule;
mod shrink;
mod span;
#[cfg(test)]
mod tests;
mod tip;

pub use key::key_digest;
pub use leaf::{Leaf, LeafInput};
pub use list::{ListDigest, Lists};
pub use node::{Lift, Node, NodeChild};
pub use schedule::{Scheduler, batch_digest, digest_text};
pub use shrink::Shrink;
pub use span::Span;
pub use tip::Tip;

use froben_circuits::Params;
use froben_circuits::config::{Challenge, Val};

use crate::circuit::{Builder, PACK, PUBLIC_WIRES, Wire};
use crate::proof::{CircuitProof, Refused, VerifyingKey};
use crate::tables::Table;
use crate::verifier::{CapWires, Lane, Malformed, ProofParts, Publics, Shape, packs};

/// A proof of a circuit of this crate, with what it publishes.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Proved {
    /// The key that it verifies under.
    pub key: VerifyingKey,
    /// What it publishes, as public values of the proof.
    pub publics: Vec<Val>,
    /// The proof.
    pub proof: CircuitProof,
}

impl Proved {
    /// Verifies the proof under its own key, and that it has just the shape of such a proof. Whether the
    /// key is one to trust is for the caller to know.
    ///
    /// *Errors*: [`Refused`] with its reason.
    pub fn verify(&self, params: Params) -> Result<(), Refused> {
        verify_exactly(params, &self.key, &self.proof, &self.publics)
    }
}

/// Verifies a proof, and that nothing is in it that a verifier would never look at.
pub(crate) fn verify_exactly(
    params: Params,
    key: &VerifyingKey,
    proof: &CircuitProof,
    publics: &[Val],
) -> Result<(), Refused> {
    key.verify(params, proof, publics)?;
    let shape = Shape::of_tables(params, key.heights);
    match ProofParts::read(&shape, proof) {
        Ok(_) => Ok(()),
        Err(malformed) => Err(Refused(malformed.to_string())),
    }
}

/// Takes a proof and its public values from the prover, and verifies it under `key`; gives what it
/// publishes.
fn verify_child(b: &mut Builder, shape: &Shape, key: &CapWires) -> Vec<Wire> {
    let publics = b.input_vec(PUBLIC_WIRES);
    let proof = ProofParts::input(b, shape);
    crate::verifier::verify(b, shape, Some(key), &proof, &table_lanes(&publics));
    publics
}

/// The inputs that [`verify_child`] takes.
fn child_values(shape: &Shape, proved: &Proved) -> Result<Vec<Challenge>, Malformed> {
    let count = proved.publics.len();
    if count != PUBLIC_WIRES * PACK {
        return Err(Malformed(format!("{count} public values")));
    }
    let mut values = packs(&proved.publics);
    values.extend(ProofParts::read(shape, &proved.proof)?.values());
    Ok(values)
}

/// Public wires as the public values of each table.
pub(crate) fn table_lanes(publics: &[Wire]) -> Publics {
    let of = |table: Table| match table {
        Table::Plain => publics.iter().copied().flat_map(Lane::all).collect(),
        _ => Vec::new(),
    };
    Table::ALL.map(of).into()
}
