//! The low-degree test of everything that was opened.
//!
//! Source: `p3_fri::verifier::verify_fri`.

mod batching;
mod folding;
mod ladder;

use froben_circuits::config::Challenge;
use p3_fri::FriShape;

use super::merkle::{self, Cap, Place, Row};
use super::proof::{CapWires, ProofParts};
use super::shape::Shape;
use super::transcript::Transcript;
use crate::circuit::{Builder, PACK, Wire};
use batching::Batching;
use folding::Folding;
use ladder::Ladder;

/// Requires all openings of `proof` to be those of low-degree polynomials.
pub(super) fn verify(
    b: &mut Builder,
    shape: &Shape,
    fixed: Option<&CapWires>,
    proof: &ProofParts<Wire>,
    transcript: &mut Transcript,
    zeta: Wire,
    batch: Wire,
) {
    let fri = shape.fri();
    let log_arities = shape.log_arities();
    let log_max_height = shape.log_heights()[0];
    transcript.seed(
        b,
        &FriShape::with_schedule(&fri, log_arities.clone(), log_max_height)
            .domain_separator::<_, Challenge>(),
    );
    let betas: Vec<Wire> = proof
        .fold_caps
        .iter()
        .map(|cap| {
            transcript.observe_cap(b, cap);
            transcript.sample(b)
        })
        .collect();
    for &coefficient in &proof.final_poly {
        transcript.observe_pack(b, coefficient);
    }
    transcript.check_work(b, proof.query_work, fri.query_proof_of_work_bits);
    let places: Vec<_> = (0..fri.num_queries)
        .map(|_| transcript.sample_bits(b, log_max_height))
        .collect();

    b.part("claims");
    let batching = Batching::new(b, shape, proof, zeta, batch);
    let caps = [
        Some(&proof.main),
        Some(&proof.quotient),
        fixed,
        proof.permutation.as_ref(),
    ];
    let caps: Vec<Cap> = caps
        .into_iter()
        .flatten()
        .map(|cap| Cap::new(b, cap))
        .collect();
    let fold_caps: Vec<Cap> = proof.fold_caps.iter().map(|cap| Cap::new(b, cap)).collect();
    // By how much a fold's challenge must be raised where shorter openings join.
    let joins: Vec<Wire> = betas
        .iter()
        .zip(&log_arities)
        .map(|(&beta, &log_arity)| b.power_of_two(beta, log_arity))
        .collect();
    let folding = Folding {
        log_arities: &log_arities,
        betas: &betas,
        joins: &joins,
        caps: &fold_caps,
        final_poly: &proof.final_poly,
    };
    for (i, (query, bits)) in proof.queries.iter().zip(places).enumerate() {
        b.part(format!("openings of query {i}"));
        let mut place = Place::new(bits);
        for ((matrices, opening), cap) in shape.rounds().iter().zip(&query.inputs).zip(&caps) {
            let rows: Vec<Row<'_>> = matrices
                .iter()
                .zip(&opening.rows)
                .map(|(matrix, packs)| Row {
                    log_height: matrix.log_height,
                    width: matrix.width,
                    packs,
                })
                .collect();
            for row in &rows {
                require_filling(b, row);
            }
            merkle::verify(b, cap, &mut place, &rows, &opening.path);
        }
        let ladder = Ladder::new(b, &place.bits);
        let reduced = batching.reduce(b, &ladder, query);
        b.part(format!("folding of query {i}"));
        folding.verify(b, &ladder, &mut place, query, reduced);
    }
}

/// Requires the zeros behind a row that does not fill its last pack.
fn require_filling(b: &mut Builder, row: &Row<'_>) {
    let used = row.width % PACK;
    if used == 0 {
        return;
    }
    let last = row.packs.last().expect("invariant: a row has cells");
    let entries = b.entries(*last);
    for &entry in &entries[used..] {
        b.assert_zero(entry);
    }
}
