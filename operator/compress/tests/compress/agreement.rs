//! The circuit accepts what the native verifier accepts, and nothing else.

use froben_compress::Wrap;
use froben_compress::gadget::Violation;
use froben_compress::layer::{Challenge, Layer, Params, Proof, Val};
use froben_compress::verifier::{Shape, Values};
use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::halo2_proofs::dev::MockProver;
use p3_field::PrimeCharacteristicRing;

use crate::example::{Example, layer, proof, walk};
use crate::mutations::{Mutation, mutations};

const K: u32 = 17;

/// What the circuit says of a proof: not even of its shape, or what is violated first.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Shape,
    Violation(Violation),
}

fn circuit(shape: &Shape, proof: &Proof, public: &[Vec<Val>]) -> Result<Wrap, Refusal> {
    let values = Values::new(shape, proof, public).map_err(|_| Refusal::Shape)?;
    Ok(Wrap::new(shape, &values, K, CircuitBuilderStage::Mock))
}

fn verdict(shape: &Shape, proof: &Proof, public: &[Vec<Val>]) -> Result<(), Refusal> {
    circuit(shape, proof, public)?
        .check()
        .map_err(Refusal::Violation)
}

#[test]
fn a_proof_satisfies_the_circuit() {
    let layer = layer(Params::Dev);
    let (proof, public) = proof(&layer);
    layer
        .verify(&proof, &public)
        .expect("the native verifier accepts");
    let shape = layer.shape().expect("a shape");
    let circuit = circuit(&shape, &proof, &public).expect("a proof of the shape");
    println!("cells, look-ups, calls: {:?}", circuit.sizes());
    assert_eq!(circuit.check(), Ok(()));
    let instances = circuit.instances();
    // Nine public values, eight a word.
    assert_eq!(instances.len(), 2);
    MockProver::run(K, &circuit, vec![instances])
        .expect("a run")
        .assert_satisfied();
}

/// Each cell is bound by something, so that none can be changed alone.
#[test]
fn no_cell_is_free() {
    let layer = layer(Params::Dev);
    let (proof, public) = proof(&layer);
    let shape = layer.shape().expect("a shape");
    let circuit = circuit(&shape, &proof, &public).expect("a proof of the shape");
    assert_eq!(circuit.free_cells(), Vec::<usize>::new());
}

#[test]
fn every_changed_proof_is_refused_by_both() {
    let layer = layer(Params::Dev);
    let (proof, public) = proof(&layer);
    let shape = layer.shape().expect("a shape");
    let bytes = postcard::to_allocvec(&proof).expect("bytes");
    let mut shapes = 0;
    let mut violations = 0;
    for Mutation { name, change } in mutations() {
        let mut proof: Proof = postcard::from_bytes(&bytes).expect("a proof");
        let mut public = public.clone();
        if !change(&mut proof, &mut public) {
            continue;
        }
        assert!(
            layer.verify(&proof, &public).is_err(),
            "natively accepted: {name}"
        );
        match verdict(&shape, &proof, &public) {
            Ok(()) => panic!("accepted by the circuit: {name}"),
            Err(Refusal::Shape) => shapes += 1,
            Err(Refusal::Violation(_)) => violations += 1,
        }
    }
    println!("{shapes} refused by their shape, {violations} by the circuit");
    assert!(violations > 100 && shapes > 20);
}

/// Bits of the encoding flipped anywhere: whatever comes of it, both judge it alike.
#[test]
fn flipped_bits_are_judged_alike() {
    let layer = layer(Params::Dev);
    let (proof, public) = proof(&layer);
    let shape = layer.shape().expect("a shape");
    let bytes = postcard::to_allocvec(&proof).expect("bytes");
    let mut state = 1_u64;
    let mut refused = 0;
    for _ in 0..1000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = bytes.clone();
        let at = (state >> 33) as usize % bytes.len();
        bytes[at] ^= 1 << (state >> 29 & 7);
        let Ok(proof) = postcard::from_bytes::<Proof>(&bytes) else {
            continue;
        };
        let native = layer.verify(&proof, &public).is_ok();
        assert_eq!(
            verdict(&shape, &proof, &public).is_ok(),
            native,
            "byte {at}"
        );
        refused += usize::from(!native);
    }
    println!("{refused} refused by both");
    assert!(refused > 900);
}

/// The check without halo2 says what halo2 says, on some that are refused.
#[test]
fn the_mock_prover_refuses_too() {
    let layer = layer(Params::Dev);
    let (mut proof, public) = proof(&layer);
    let shape = layer.shape().expect("a shape");
    proof.opening_proof.final_poly[0] += Challenge::ONE;
    let circuit = circuit(&shape, &proof, &public).expect("a proof of the shape");
    assert!(circuit.check().is_err());
    let instances = circuit.instances();
    assert!(
        MockProver::run(K, &circuit, vec![instances])
            .expect("a run")
            .verify()
            .is_err()
    );
}

#[test]
fn other_public_inputs_are_refused() {
    let layer = layer(Params::Dev);
    let (proof, public) = proof(&layer);
    let shape = layer.shape().expect("a shape");
    let circuit = circuit(&shape, &proof, &public).expect("a proof of the shape");
    let mut instances = circuit.instances();
    let other = instances[0];
    instances[1] += other;
    assert!(
        MockProver::run(K, &circuit, vec![instances])
            .expect("a run")
            .verify()
            .is_err()
    );
}

/// A proof for other preprocessed columns, of the same shape.
#[test]
fn a_proof_of_another_key_is_refused() {
    let layer = layer(Params::Dev);
    let other = Layer::new(
        Params::Dev,
        vec![Example::Steps, Example::OtherTable],
        vec![crate::example::LOG_STEPS, crate::example::LOG_TABLE],
    )
    .expect("a layer");
    let (traces, public) = walk(3, 5);
    let proof = other.prove(&traces, &public).expect("a proof");
    other
        .verify(&proof, &public)
        .expect("it holds for its own key");
    assert!(layer.verify(&proof, &public).is_err());
    let shape = layer.shape().expect("a shape");
    assert!(matches!(
        verdict(&shape, &proof, &public),
        Err(Refusal::Violation(_))
    ));
}

/// Other parameters give proofs of another shape.
#[test]
fn a_proof_under_other_parameters_is_refused() {
    let dev = layer(Params::Dev);
    let shape = dev.shape().expect("a shape");
    let standard = Layer::new(
        Params::Standard,
        vec![Example::Steps, Example::Table],
        vec![6, 7],
    );
    assert!(standard.is_ok());
    let longer = Layer::new(
        Params::Dev,
        vec![Example::Steps, Example::Table],
        vec![6, 7],
    )
    .expect("a layer");
    let (traces, public) = crate::example::walk_of(6, 3, 5);
    let proof = longer.prove(&traces, &public).expect("a proof");
    assert_eq!(verdict(&shape, &proof, &public), Err(Refusal::Shape));
}
