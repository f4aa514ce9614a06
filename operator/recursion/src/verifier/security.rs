//! What proofs of the tables are worth, by Plonky3's own estimator, layer by layer.
//!
//! The two figures are those of `froben_circuits::Security`. Both include the buses and the work before
//! their challenges.

use expect_test::expect;
use froben_circuits::{Params, Security};
use p3_batch_stark::num_batched_openings;
use p3_security::logup::{LogUpAir, fingerprint_error};
use p3_security::shape::InstanceShape;
use p3_uni_stark::{ConjecturedSecurity, OpeningShape, ProvenSecurity, StarkSecurityParams};

use super::shape::Shape;
use crate::circuit::PACK;
use crate::tables::Heights;

/// Bits of the challenge field's order, and of two colliding Merkle digests of eight elements; both are
/// 123.6.
const FIELD_BITS: usize = 123;

fn security(shape: &Shape) -> Security {
    let instances = shape.instances();
    let log_height = instances.iter().map(|it| it.log_height).max().unwrap_or(0);
    let batched = instances.iter().map(|it| {
        num_batched_openings(
            it.width,
            it.next,
            it.fixed_width,
            false,
            it.chunks(),
            it.lookups.len(),
            PACK,
            OpeningShape::new(),
        )
    });
    let batched = batched.sum();
    let chunks = instances.iter().map(|it| it.chunks()).max().unwrap_or(1);
    let fri = shape.fri();
    let params = StarkSecurityParams::new(
        fri.security_regime(),
        FIELD_BITS,
        FIELD_BITS,
        instances.iter().map(|it| it.constraints.len()).sum(),
        chunks + 1,
        2,
        batched,
        chunks,
    )
    .with_grinding(fri.grinding_sites());
    let lookups = || instances.iter().flat_map(|it| it.lookups.iter());
    let air = LogUpAir {
        num_interactions: lookups().map(|lookup| lookup.elements.len()).sum(),
        max_message_width: lookups()
            .flat_map(|lookup| &lookup.elements)
            .map(Vec::len)
            .max()
            .unwrap_or(0),
    };
    let instance = InstanceShape {
        log_trace_length: log_height,
        modulus_bits: FIELD_BITS,
        collision_resistance: FIELD_BITS,
        num_batched_functions: batched,
    };
    let buses = fingerprint_error(&air, &instance).floor() + shape.params().bus_work_bits();
    let conjectured = ConjecturedSecurity::compute_from_params(&params, log_height);
    let proven = ProvenSecurity::compute_from_proof(log_height, &params);
    Security {
        conjectured_bits: conjectured.security_bits.min(buses),
        proven_bits: proven.security_bits().min(buses),
    }
}

/// From the scheduler to the tallest leaf that the advised slots make.
#[test]
fn figures_per_height() {
    let figures: String = Params::ALL
        .into_iter()
        .flat_map(|params| (12..=18).map(move |tall| (params, tall)))
        .map(|(params, tall)| {
            let heights = Heights { tall, short: tall };
            let Security {
                conjectured_bits,
                proven_bits,
            } = security(&Shape::of_tables(params, heights));
            format!("{params} 2^{tall}: {conjectured_bits} conjectured, {proven_bits} proven\n")
        })
        .collect();
    expect![[r#"
        standard 2^12: 100 conjectured, 58 proven
        standard 2^13: 100 conjectured, 58 proven
        standard 2^14: 100 conjectured, 58 proven
        standard 2^15: 100 conjectured, 58 proven
        standard 2^16: 100 conjectured, 58 proven
        standard 2^17: 100 conjectured, 58 proven
        standard 2^18: 100 conjectured, 58 proven
        dev 2^12: 8 conjectured, 4 proven
        dev 2^13: 8 conjectured, 4 proven
        dev 2^14: 8 conjectured, 4 proven
        dev 2^15: 8 conjectured, 4 proven
        dev 2^16: 8 conjectured, 4 proven
        dev 2^17: 8 conjectured, 4 proven
        dev 2^18: 8 conjectured, 4 proven
    "#]]
    .assert_eq(&figures);
}
