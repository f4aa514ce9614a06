//! Reads a proof into the parts that a circuit takes.

use std::fmt::Display;

use froben_circuits::config::{Challenge, Commitment, Val};
use froben_circuits::params::LOG_MERKLE_CAP;
use p3_field::PrimeCharacteristicRing;

use super::{Digest, Malformed, Opening, ProofParts, Query};
use crate::circuit::{DIGEST, PACK, digest_packs, pack};
use crate::proof::CircuitProof;
use crate::verifier::shape::Shape;

fn expect<T: PartialEq + Display>(what: impl Display, got: T, want: T) -> Result<(), Malformed> {
    if got == want {
        Ok(())
    } else {
        Err(Malformed(format!("{what}: {got}, not {want}")))
    }
}

impl ProofParts<Challenge> {
    /// Reads a proof of this shape.
    ///
    /// *Errors*: [`Malformed`] for a proof of another shape, and for fields that no verifier uses and
    /// that are not what a prover leaves there.
    pub(crate) fn read(shape: &Shape, proof: &CircuitProof) -> Result<Self, Malformed> {
        require_unused(shape, proof)?;
        let opening = &proof.opening_proof;
        let tallest = shape.log_heights()[0];
        let log_arities = shape.log_arities();
        let rounds = opening.commit_phase_commits.len();
        expect("rounds of folding", rounds, log_arities.len())?;
        let coefficients = 1 << shape.fri().log_final_poly_len;
        expect("final coefficients", opening.final_poly.len(), coefficients)?;
        let mut fold_caps = Vec::new();
        let mut log_height = tallest;
        for (commitment, log_arity) in opening.commit_phase_commits.iter().zip(&log_arities) {
            log_height -= log_arity;
            fold_caps.push(cap(commitment, log_height)?);
        }
        let permutation = proof.commitments.permutation.as_ref();
        let has_lookups = shape.lookup_instances() > 0;
        expect(
            "a permutation commitment",
            permutation.is_some(),
            has_lookups,
        )?;
        Ok(Self {
            main: cap(&proof.commitments.main, tallest)?,
            permutation: permutation.map(|it| cap(it, tallest)).transpose()?,
            quotient: cap(&proof.commitments.quotient_chunks, tallest)?,
            bus_work: proof.lookup_pow_witness.unwrap_or(Val::ZERO).into(),
            terminals: terminals(shape, proof)?,
            claims: claims(shape, proof)?,
            batch_work: opening.batch_pow_witness.into(),
            fold_caps,
            final_poly: opening.final_poly.clone(),
            query_work: opening.query_pow_witness.into(),
            queries: queries(shape, proof)?,
        })
    }

    /// The values, in the order in which [`ProofParts::input`] takes them.
    #[must_use]
    pub(crate) fn values(self) -> Vec<Challenge> {
        let mut values = Vec::new();
        self.map(&mut |value| values.push(value));
        values
    }
}

/// Requires what our configuration leaves empty, or fixes.
fn require_unused(shape: &Shape, proof: &CircuitProof) -> Result<(), Malformed> {
    let fri = shape.fri();
    let opening = &proof.opening_proof;
    let instances = shape.instances();
    expect(
        "instances with a height",
        proof.degree_bits.len(),
        instances.len(),
    )?;
    for (&height, instance) in proof.degree_bits.iter().zip(instances) {
        expect("an instance's height", height, instance.log_height)?;
    }
    expect(
        "a random commitment",
        proof.commitments.random.is_some(),
        false,
    )?;
    let has_lookups = shape.lookup_instances() > 0;
    expect(
        "work before the buses",
        proof.lookup_pow_witness.is_some(),
        has_lookups,
    )?;
    let work = [
        (
            shape.params().bus_work_bits(),
            proof.lookup_pow_witness.unwrap_or(Val::ZERO),
        ),
        (0, proof.ood_pow_witness),
        (fri.batch_proof_of_work_bits, opening.batch_pow_witness),
        (fri.query_proof_of_work_bits, opening.query_pow_witness),
    ];
    let folds = opening
        .commit_pow_witnesses
        .iter()
        .map(|&witness| (0, witness));
    for (_, witness) in work.into_iter().chain(folds).filter(|(bits, _)| *bits == 0) {
        expect("work that is not asked for", witness, Val::ZERO)?;
    }
    let folds = opening.commit_pow_witnesses.len();
    expect("rounds of folding", folds, shape.log_arities().len())
}

fn terminals(shape: &Shape, proof: &CircuitProof) -> Result<Vec<Challenge>, Malformed> {
    let instances = shape.instances();
    expect("terminals", proof.lookup_terminals.len(), instances.len())?;
    let mut terminals = Vec::new();
    for (terminal, instance) in proof.lookup_terminals.iter().zip(instances) {
        expect(
            "a terminal",
            terminal.is_some(),
            !instance.lookups.is_empty(),
        )?;
        terminals.extend(terminal.as_ref().map(|terminal| terminal.0));
    }
    Ok(terminals)
}

/// For each round, matrix and point.
type Claims = Vec<Vec<Vec<Vec<Challenge>>>>;

fn claims(shape: &Shape, proof: &CircuitProof) -> Result<Claims, Malformed> {
    let opened = &proof.opened_values.instances;
    expect("instances", opened.len(), shape.instances().len())?;
    let [mut main, mut quotient, mut fixed, mut permutation] = [const { Vec::new() }; 4];
    for (values, instance) in opened.iter().zip(shape.instances()) {
        let base = &values.base_opened_values;
        expect("a random opening", base.random.is_some(), false)?;
        let mut points = vec![base.trace_local.clone()];
        points.extend(base.trace_next.clone());
        main.push(points);
        quotient.extend(base.quotient_chunks.iter().map(|chunk| vec![chunk.clone()]));
        let has_fixed = instance.fixed_width > 0;
        expect("fixed openings", base.preprocessed.is_some(), has_fixed)?;
        if let Some(values) = &base.preprocessed {
            expect("a next fixed row", values.next.is_some(), false)?;
            fixed.push(vec![values.local.clone()]);
        }
        let (local, next) = (&values.permutation_local, &values.permutation_next);
        if instance.lookups.is_empty() {
            expect("permutation openings", local.len() + next.len(), 0)?;
        } else {
            permutation.push(vec![local.clone(), next.clone()]);
        }
    }
    let mut claims: Claims = vec![main, quotient, fixed, permutation];
    claims.retain(|round| !round.is_empty());
    let counts = |round: &Vec<Vec<Vec<Challenge>>>| -> Vec<Vec<usize>> {
        let points = |matrix: &Vec<Vec<Challenge>>| matrix.iter().map(Vec::len).collect();
        round.iter().map(points).collect()
    };
    if claims.iter().map(counts).collect::<Vec<_>>() != shape.claim_counts() {
        return Err(Malformed("other openings than the shape's".to_owned()));
    }
    Ok(claims)
}

fn queries(shape: &Shape, proof: &CircuitProof) -> Result<Vec<Query<Challenge>>, Malformed> {
    let opening = &proof.opening_proof;
    let count = shape.fri().num_queries;
    let rounds = shape.rounds();
    let log_arities = shape.log_arities();
    let tallest = shape.log_heights()[0];
    expect(
        "rounds of openings",
        opening.input_openings.len(),
        rounds.len(),
    )?;
    let folds = opening.commit_phase_openings.len();
    expect("rounds of folding", folds, log_arities.len())?;
    for (round, matrices) in opening.input_openings.iter().zip(&rounds) {
        expect("queries", round.opened_values.len(), count)?;
        expect("queries", round.opening_proof.len(), count)?;
        for rows in &round.opened_values {
            expect("rows", rows.len(), matrices.len())?;
            for (row, matrix) in rows.iter().zip(matrices) {
                expect("a row's cells", row.len(), matrix.width)?;
            }
        }
    }
    for (fold, log_arity) in opening.commit_phase_openings.iter().zip(&log_arities) {
        expect("queries", fold.sibling_values.len(), count)?;
        expect("queries", fold.opening_proof.len(), count)?;
        for siblings in &fold.sibling_values {
            expect("siblings", siblings.len(), (1 << log_arity) - 1)?;
        }
    }
    let query = |query: usize| {
        let mut inputs = Vec::new();
        for round in &opening.input_openings {
            inputs.push(Opening {
                rows: round.opened_values[query]
                    .iter()
                    .map(|row| packs(row))
                    .collect(),
                path: path(&round.opening_proof[query], tallest)?,
            });
        }
        let mut folds = Vec::new();
        let mut log_height = tallest;
        for (fold, log_arity) in opening.commit_phase_openings.iter().zip(&log_arities) {
            log_height -= log_arity;
            folds.push(Opening {
                rows: vec![fold.sibling_values[query].clone()],
                path: path(&fold.opening_proof[query], log_height)?,
            });
        }
        Ok(Query { inputs, folds })
    };
    (0..count).map(query).collect()
}

/// Base elements as packs, filled up with zeros.
pub(crate) fn packs(values: &[Val]) -> Vec<Challenge> {
    let of = |chunk: &[Val]| {
        pack(std::array::from_fn(|k| {
            chunk.get(k).copied().unwrap_or(Val::ZERO)
        }))
    };
    values.chunks(PACK).map(of).collect()
}

/// The roots of a commitment to a tree of this height.
pub(crate) fn cap(
    commitment: &Commitment,
    log_height: usize,
) -> Result<Vec<Digest<Challenge>>, Malformed> {
    let roots = commitment.roots();
    expect(
        "roots of a cap",
        roots.len(),
        1 << LOG_MERKLE_CAP.min(log_height),
    )?;
    Ok(roots.iter().copied().map(digest_packs).collect())
}

fn path(path: &[[Val; DIGEST]], log_height: usize) -> Result<Vec<Digest<Challenge>>, Malformed> {
    let steps = log_height - LOG_MERKLE_CAP.min(log_height);
    expect("steps of a Merkle path", path.len(), steps)?;
    Ok(path.iter().copied().map(digest_packs).collect())
}
