//! The verifier of a batch-STARK proof, as a circuit.
//!
//! Written beside the native one, step by step; each file names what it mirrors. What a native verifier
//! refuses for its shape, no circuit is ever asked: the circuit has one [`Shape`], and
//! [`ProofParts::read`] refuses a proof of another. All else is constraints.
//!
//! | File | Mirrors |
//! |---|---|
//! | `shape` | `verify_batch`: widths, chunks, rounds; `fold_schedule` |
//! | `proof` | the fields of `BatchProof` and `FriProof` |
//! | `transcript` | `DuplexChallenger`, the three domain separators |
//! | `hash` | `PaddingFreeSponge`, `TruncatedPermutation` |
//! | `merkle` | `MerkleTreeMmcs::verify_batch` |
//! | `fri` | `verify_fri`; `batching` `open_inputs`, `folding` `fold_query` and the final polynomial |
//! | `domain` | selectors and quotient chunks of two-adic cosets |
//! | `constraints` | `verify_constraints_with_lookups`, `LogUpGadget` |
//! | `expression` | no file: what constraints share, and their gates |

mod constraints;
mod domain;
mod expression;
mod fri;
mod hash;
mod merkle;
mod proof;
#[cfg(test)]
mod security;
mod shape;
#[cfg(test)]
mod tests;
mod transcript;

use froben_circuits::config::{Challenge, Val};
use p3_batch_stark::BatchShape;
use p3_field::PrimeCharacteristicRing;
use p3_fri::PcsShape;

pub(crate) use hash::{compress, hash};
pub use proof::Malformed;
pub(crate) use proof::{CapWires, ProofParts};
pub(crate) use proof::{cap, packs};
pub(crate) use shape::Shape;
pub(crate) use transcript::Lane;

use crate::circuit::{Builder, Wire};
use transcript::Transcript;

/// The public values of each instance, a lane for each base element.
pub(crate) type Publics = Vec<Vec<Lane>>;

/// What an instance's constraints are evaluated with.
struct Challenges {
    /// Folds constraints.
    constraint: Wire,
    /// The bus challenges, where there is a bus.
    lookup: Option<[Wire; 2]>,
    /// The point out of domain.
    zeta: Wire,
}

/// Requires `proof` to be one of `shape`, with the fixed columns that `fixed` commits to, for these
/// public values.
///
/// Source: `p3_batch_stark::verify_batch`.
pub(crate) fn verify(
    b: &mut Builder,
    shape: &Shape,
    fixed: Option<&CapWires>,
    proof: &ProofParts<Wire>,
    publics: &Publics,
) {
    assert_eq!(
        fixed.is_some(),
        shape.has_fixed(),
        "a key is for shapes with fixed columns"
    );
    let instances = shape.instances();
    b.part("transcript");
    let mut transcript = Transcript::new(b);
    transcript.seed(
        b,
        &BatchShape {
            trace_widths: instances.iter().map(|it| it.width).collect(),
            public_value_counts: instances.iter().map(|it| it.publics).collect(),
            preprocessed_widths: instances.iter().map(|it| it.fixed_width).collect(),
            has_preprocessed_commitment: shape.has_fixed(),
            num_lookup_instances: shape.lookup_instances(),
            lookup_pow_bits: shape.params().bus_work_bits(),
            has_randomization_commitment: false,
            ood_pow_bits: 0,
        }
        .domain_separator::<_, Challenge>(),
    );
    for instance in instances {
        let degree = b.base_constant(Val::from_usize(instance.log_height));
        transcript.observe_pack(b, degree);
    }
    transcript.observe_cap(b, &proof.main);
    for (instance, publics) in instances.iter().zip(publics) {
        assert_eq!(
            publics.len(),
            instance.publics,
            "all public values, no more"
        );
        for &lane in publics {
            transcript.observe(b, lane);
        }
    }
    if let Some(fixed) = fixed {
        transcript.observe_cap(b, fixed);
    }
    let lookup = proof.permutation.as_ref().map(|permutation| {
        transcript.check_work(b, proof.bus_work, shape.params().bus_work_bits());
        let challenges = [transcript.sample(b), transcript.sample(b)];
        transcript.observe_cap(b, permutation);
        for &terminal in &proof.terminals {
            transcript.observe_pack(b, terminal);
        }
        challenges
    });
    let constraint = transcript.sample(b);
    transcript.observe_cap(b, &proof.quotient);
    let zeta = transcript.sample(b);

    let fri = shape.fri();
    transcript.seed(
        b,
        &PcsShape {
            claimed_evaluation_counts: shape.claim_counts(),
            batch_pow_bits: fri.batch_proof_of_work_bits,
        }
        .domain_separator::<_, Challenge>(),
    );
    for claim in proof.claims.iter().flatten().flatten().flatten() {
        transcript.observe_pack(b, *claim);
    }
    transcript.check_work(b, proof.batch_work, fri.batch_proof_of_work_bits);
    let batch = transcript.sample(b);

    fri::verify(b, shape, fixed, proof, &mut transcript, zeta, batch);

    let challenges = Challenges {
        constraint,
        lookup,
        zeta,
    };
    constraints::verify(b, shape, proof, publics, &challenges);

    if let Some((&first, rest)) = proof.terminals.split_first() {
        b.part("the buses' balance");
        let sum = rest
            .iter()
            .fold(first, |sum, &terminal| b.add(sum, terminal));
        b.assert_zero(sum);
    }
}
