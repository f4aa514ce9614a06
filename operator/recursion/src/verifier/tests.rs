//! The circuit and the native verifier give every proof the same verdict.

use froben_circuits::config::{StockPcs, Val, stock};
use froben_circuits::{Circuit as Segment, Params, Witness, decode, prove};
use p3_field::PrimeCharacteristicRing;
use p3_maybe_rayon::prelude::*;
use serde_json::Value;

use super::*;
use crate::aggregate::table_lanes;
use crate::circuit::tests::every_operation;
use crate::circuit::{Circuit, DigestWires, Hint, PUBLIC_WIRES, Unsatisfied, Values};
use crate::proof::{CircuitProof, ProvingKey, VerifyingKey};
use crate::tables::Heights;

/// A circuit that verifies one proof of this crate; key and public values are inputs before it.
struct Parent {
    shape: Shape,
    circuit: Circuit,
}

impl Parent {
    fn new(params: Params, heights: Heights) -> Self {
        let shape = Shape::of_tables(params, heights);
        let mut b = Builder::new();
        let key: Vec<DigestWires> = (0..16).map(|_| b.input_digest()).collect();
        let publics = b.input_vec(PUBLIC_WIRES);
        let proof = ProofParts::input(&mut b, &shape);
        verify(&mut b, &shape, Some(&key), &proof, &table_lanes(&publics));
        b.publish(&publics[..3]);
        Self {
            shape,
            circuit: b.finish(),
        }
    }

    fn inputs(
        &self,
        key: &VerifyingKey,
        proof: &CircuitProof,
        publics: &[Val],
    ) -> Result<Vec<Challenge>, Malformed> {
        let mut values: Vec<_> = proof::cap(&key.fixed, 4)?.into_iter().flatten().collect();
        values.extend(proof::packs(publics));
        values.extend(ProofParts::read(&self.shape, proof)?.values());
        Ok(values)
    }

    fn accepts(&self, key: &VerifyingKey, proof: &CircuitProof, publics: &[Val]) -> bool {
        let inputs = self.inputs(key, proof, publics);
        inputs.is_ok_and(|inputs| self.circuit.run(&inputs).is_ok())
    }
}

struct Child {
    key: VerifyingKey,
    proof: CircuitProof,
    publics: Vec<Val>,
}

fn child(params: Params) -> Child {
    let (circuit, inputs) = every_operation();
    proved(params, circuit, &inputs)
}

fn proved(params: Params, circuit: Circuit, inputs: &[Challenge]) -> Child {
    let config = stock(params);
    let key = ProvingKey::<StockPcs>::new(&config, circuit, None).expect("fits");
    let (proof, publics) = key.prove(&config, inputs).expect("the inputs meet it");
    Child {
        key: key.verifying(),
        proof,
        publics,
    }
}

#[test]
fn a_proof_of_a_proof_of_a_proof() {
    let params = Params::Dev;
    let mut child = child(params);
    for _ in 0..2 {
        assert_eq!(
            child.key.verify(params, &child.proof, &child.publics),
            Ok(())
        );
        let parent = Parent::new(params, child.key.heights);
        let inputs = parent
            .inputs(&child.key, &child.proof, &child.publics)
            .expect("its shape");
        let publics = child.publics;
        child = proved(params, parent.circuit, &inputs);
        assert_eq!(
            child.publics[..12],
            publics[..12],
            "it publishes what its child did"
        );
    }
    assert_eq!(
        child.key.verify(params, &child.proof, &child.publics),
        Ok(())
    );
}

#[test]
fn standard_parameters() {
    let child = child(Params::Standard);
    let parent = Parent::new(Params::Standard, child.key.heights);
    assert!(parent.accepts(&child.key, &child.proof, &child.publics));
    let other = Parent::new(Params::Dev, child.key.heights);
    assert!(!other.accepts(&child.key, &child.proof, &child.publics));
}

#[test]
fn another_key_or_statement_is_refused() {
    let child = child(Params::Dev);
    let parent = Parent::new(Params::Dev, child.key.heights);
    assert!(parent.accepts(&child.key, &child.proof, &child.publics));
    for i in 0..child.publics.len() {
        let mut publics = child.publics.clone();
        publics[i] += Val::ONE;
        assert!(
            !parent.accepts(&child.key, &child.proof, &publics),
            "public value {i}"
        );
    }
    // A circuit of the same heights that computes something else.
    let mut b = Builder::new();
    let x = b.input();
    let y = b.mul(x, x);
    b.publish(&[y]);
    let config = stock(Params::Dev);
    let key =
        ProvingKey::<StockPcs>::new(&config, b.finish(), Some(child.key.heights)).expect("fits");
    assert!(!parent.accepts(&key.verifying(), &child.proof, &child.publics));
}

/// Each number of a value in turn: changed; each list in turn: cut short, reordered, repeated.
fn mutations(value: &Value, every: usize) -> Vec<(String, Value)> {
    fn walk(value: &Value, path: &mut Vec<String>, out: &mut Vec<(String, &'static str)>) {
        let here = || format!("/{}", path.join("/"));
        match value {
            Value::Number(_) => out.push((here(), "changed")),
            Value::Array(items) => {
                if !items.is_empty() {
                    out.extend(["cut", "repeated", "swapped"].map(|how| (here(), how)));
                }
                for (i, item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    walk(item, path, out);
                    path.pop();
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    path.push(name.clone());
                    walk(field, path, out);
                    path.pop();
                }
            }
            Value::Null => out.push((here(), "present")),
            _ => {}
        }
    }
    let mut places = Vec::new();
    walk(value, &mut Vec::new(), &mut places);
    let apply = |(path, how): (String, &'static str)| {
        let mut mutated = value.clone();
        let place = mutated.pointer_mut(&path).expect("a path that was walked");
        match place {
            Value::Number(number) => *place = (number.as_u64().expect("unsigned") ^ 1).into(),
            Value::Array(items) => match how {
                "cut" => drop(items.pop()),
                "repeated" => items.push(items[items.len() - 1].clone()),
                _ => {
                    let last = items.len() - 1;
                    items.swap(0, last);
                }
            },
            _ => *place = 0.into(),
        }
        (format!("{path} {how}"), mutated)
    };
    places.into_iter().step_by(every).map(apply).collect()
}

#[test]
fn mutated_proofs_get_the_native_verdict() {
    let child = child(Params::Dev);
    let parent = Parent::new(Params::Dev, child.key.heights);
    let value = serde_json::to_value(&child.proof).expect("a proof");
    let mutations = mutations(&value, 5);
    let verdicts: Vec<_> = mutations
        .into_par_iter()
        .map(|(what, value)| {
            let Ok(proof) = serde_json::from_value::<CircuitProof>(value) else {
                return (what, None);
            };
            let native = child
                .key
                .verify(Params::Dev, &proof, &child.publics)
                .is_ok();
            let circuit = parent.accepts(&child.key, &proof, &child.publics);
            (what, Some((native, circuit)))
        })
        .collect();
    let judged = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.is_some())
        .count();
    assert!(judged > 2000, "{judged} mutated proofs only");
    let mut accepted = Vec::new();
    for (what, verdict) in &verdicts {
        let Some((native, circuit)) = *verdict else {
            continue;
        };
        assert_eq!(
            native, circuit,
            "{what}: native {native}, circuit {circuit}"
        );
        if native {
            accepted.push(what.as_str());
        }
    }
    // Only swaps of what is equal, and of one element with itself, change nothing.
    for what in &accepted {
        assert!(what.ends_with("swapped"), "{what} was accepted");
    }
}

fn segment_proof(params: Params, segment: Segment) -> (Vec<Val>, CircuitProof) {
    let bytes: Vec<u8> = (0..300_u32).map(|i| (i * 7 + 3) as u8).collect();
    let witness = Witness::compute(bytes, 3).expect("a segment");
    let proof = prove(&stock(params), segment, &witness).expect("a true statement");
    let publics = segment
        .public_values(&witness.statement)
        .expect("a statement");
    (publics, decode(segment, &proof).expect("just made"))
}

/// A circuit that verifies a segment's proof; the public values are inputs before it.
struct SegmentParent {
    shape: Shape,
    publics: usize,
    circuit: Circuit,
}

impl SegmentParent {
    fn new(params: Params, segment: Segment) -> Self {
        let shape = Shape::of_segment(params, segment);
        let publics = shape.instances()[0].publics;
        let mut b = Builder::new();
        let wires = b.input_vec(publics).into_iter();
        let lanes: Vec<Lane> = wires.map(|wire| Lane::Part(wire, 0)).collect();
        let parts = ProofParts::input(&mut b, &shape);
        verify(&mut b, &shape, None, &parts, &vec![lanes]);
        Self {
            shape,
            publics,
            circuit: b.finish(),
        }
    }

    fn inputs(&self, publics: &[Val], proof: &CircuitProof) -> Result<Vec<Challenge>, Malformed> {
        assert_eq!(publics.len(), self.publics);
        let mut inputs: Vec<Challenge> = publics.iter().map(|&value| value.into()).collect();
        inputs.extend(ProofParts::read(&self.shape, proof)?.values());
        Ok(inputs)
    }

    fn verdict(&self, publics: &[Val], proof: &CircuitProof) -> Result<(), Unsatisfied> {
        let inputs = self.inputs(publics, proof).expect("its shape");
        self.circuit.run(&inputs).map(drop)
    }
}

#[test]
fn segments_of_every_circuit() {
    for segment in Segment::ALL {
        let (publics, proof) = segment_proof(Params::Dev, segment);
        let parent = SegmentParent::new(Params::Dev, segment);
        let verdict = parent.verdict(&publics, &proof);
        assert!(verdict.is_ok(), "{segment}: {verdict:?}");
        for i in 0..publics.len() {
            let mut other = publics.clone();
            other[i] += Val::ONE;
            assert!(
                parent.verdict(&other, &proof).is_err(),
                "{segment}: public value {i}"
            );
        }
    }
}

/// What a hint gives is the prover's: a row that is folded must hold the value that is folded.
#[test]
fn a_fold_of_another_value_is_refused() {
    let (publics, proof) = segment_proof(Params::Dev, Segment::Poseidon2);
    let parent = SegmentParent::new(Params::Dev, Segment::Poseidon2);
    let inputs = parent.inputs(&publics, &proof).expect("its shape");
    let other = |hint: &Hint, values: &mut Values| match hint {
        Hint::Insert { out, .. } => {
            hint.give(values);
            // The members change places, so the value stands where the place does not say.
            let mut row: Vec<_> = out.iter().map(|&wire| values.get(wire)).collect();
            row.rotate_left(1);
            values.replace(out, &row);
        }
        hint => hint.give(values),
    };
    let refused = parent
        .circuit
        .run_with(&inputs, other)
        .expect_err("another row");
    assert_eq!(
        refused.to_string(),
        "folding of query 0: an equality does not hold"
    );
}

/// Cells behind a row that does not fill its last pack are hashed by nothing, and must be zero.
#[test]
fn a_filling_that_is_not_zero_is_refused() {
    let (publics, proof) = segment_proof(Params::Dev, Segment::Keccak256);
    let parent = SegmentParent::new(Params::Dev, Segment::Keccak256);
    let honest = parent.inputs(&publics, &proof).expect("its shape");
    assert!(parent.circuit.run(&honest).is_ok());
    let mut parts = ProofParts::read(&parent.shape, &proof).expect("its shape");
    let row = &mut parts.queries[0].inputs[0].rows[0];
    let width = parent.shape.instances()[0].width;
    assert!(
        !width.is_multiple_of(4),
        "a row that does not fill its last pack"
    );
    let last = row.last_mut().expect("a row");
    *last += crate::circuit::pack([0, 0, 0, 1].map(Val::from_u8));
    let inputs = [&honest[..publics.len()], &parts.values()].concat();
    let refused = parent.circuit.run(&inputs).expect_err("a filling");
    assert_eq!(
        refused.to_string(),
        "openings of query 0: an equality does not hold"
    );
}

#[test]
fn mutated_segment_proofs_get_the_native_verdict() {
    let segment = Segment::Poseidon2;
    let (publics, proof) = segment_proof(Params::Dev, segment);
    let parent = SegmentParent::new(Params::Dev, segment);
    struct Native<'a>(&'a CircuitProof, &'a [Val]);
    impl froben_circuits::AirVisitor for Native<'_> {
        type Output = bool;
        fn visit<A: froben_circuits::CircuitAir>(self, air: &A) -> bool {
            let common = p3_batch_stark::CommonData::empty(1);
            let publics = [self.1.to_vec()];
            let airs = std::slice::from_ref(air);
            p3_batch_stark::verify_batch(&stock(Params::Dev), airs, self.0, &publics, &common)
                .is_ok()
        }
    }
    let value = serde_json::to_value(&proof).expect("a proof");
    let judge = |(what, value): (String, Value)| {
        let proof = serde_json::from_value::<CircuitProof>(value).ok()?;
        let native = segment.visit(Native(&proof, &publics));
        let inputs = parent.inputs(&publics, &proof);
        let circuit = inputs.is_ok_and(|inputs| parent.circuit.run(&inputs).is_ok());
        Some((what, native, circuit))
    };
    let verdicts: Vec<_> = mutations(&value, 7)
        .into_par_iter()
        .filter_map(judge)
        .collect();
    assert!(
        verdicts.len() > 1000,
        "{} mutated proofs only",
        verdicts.len()
    );
    for (what, native, circuit) in verdicts {
        // The circuit has one height; a proof of another it never sees.
        let other_height = what.starts_with("/degree_bits");
        assert!(
            native == circuit || other_height,
            "{what}: native {native}, circuit {circuit}"
        );
    }
}
