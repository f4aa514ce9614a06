//! A file's segment proofs become one aggregate, as workers make it piece by piece; what is wrong on the way is
//! named or refused.

use froben_circuits::config::stock;
use froben_circuits::{Circuit, MAX_PROOF_BYTES, Params, Statement, Witness, prove};
use froben_model::{BlobRef, ErrorClass, Value};
use froben_recursion::tree::{Aggregate, MAX_PROVED_BYTES, slots, statements};

use crate::file;
use crate::process::{ALONE, Process, check};

const LEAF: &str = "commitments.leaf/1";
const NODE: &str = "commitments.node/1";
const TIP: &str = "commitments.tip/1";
const SCHEDULE: &str = "commitments.schedule/1";

fn with_data(data: &Value, circuit: Option<Circuit>) -> Value {
    let circuit = circuit.map(|circuit| ("circuit", Value::text(circuit.name())));
    let fields = [("data", data.clone()), ("params", Value::text("dev"))];
    Value::map(fields.into_iter().chain(circuit))
}

fn of_circuit(circuit: Circuit) -> Value {
    Value::map([
        ("circuit", Value::text(circuit.name())),
        ("params", Value::text("dev")),
    ])
}

fn params() -> Value {
    Value::map([("params", Value::text("dev"))])
}

fn leaf(first: usize, proofs: &[Value]) -> Value {
    let first = ("first", Value::Int(first as i64));
    Value::map([first, ("proofs", Value::List(proofs.to_vec()))])
}

fn pair(left: &Value, right: &Value) -> Value {
    Value::map([("left", left.clone()), ("right", right.clone())])
}

fn four(tops: &[Value]) -> Value {
    let tops = Circuit::ALL.iter().zip(tops);
    Value::map(tops.map(|(circuit, top)| (circuit.name(), top.clone())))
}

fn one(proof: &Value) -> Value {
    Value::map([("proof", proof.clone())])
}

/// Segment proofs in each leaf here: a whole tree for some circuits and one leaf for another, however many
/// slots there are.
fn per_leaf(circuit: Circuit) -> usize {
    match circuit {
        Circuit::Poseidon2 => 2,
        _ => 1,
    }
}

/// A blob that nobody can read, since it is too large to be asked for.
fn large(most: usize) -> Value {
    let size_bytes = most as u64 + 1;
    Value::Blob(BlobRef {
        size_bytes,
        ..BlobRef::of(b"large")
    })
}

impl Process {
    /// Runs a task of one item, which ends well.
    async fn one(&mut self, kind: &str, input: Value, item: Value) -> Value {
        let [value] = &self.values(kind, input, vec![item]).await[..] else {
            panic!("one item");
        };
        value.clone()
    }

    async fn proof(&mut self, kind: &str, input: Value, item: Value) -> Value {
        let value = self.one(kind, input, item).await;
        match value.get("proof") {
            Some(proof) => proof.clone(),
            None => panic!("{value:?}"),
        }
    }

    /// What is refused of an item, each with its reason: the value of `name`, where it has one.
    async fn refusals(
        &mut self,
        kind: &str,
        input: Value,
        item: Value,
        name: Option<&str>,
    ) -> Vec<(Option<Value>, String)> {
        let value = self.one(kind, input, item).await;
        let Some(Value::List(refused)) = value.get("refused") else {
            panic!("{value:?}");
        };
        let read = |one: &Value| {
            let why = one.get("why").and_then(Value::as_text).unwrap();
            (
                name.map(|name| one.get(name).unwrap().clone()),
                why.to_owned(),
            )
        };
        refused.iter().map(read).collect()
    }

    fn flipped(&mut self, blob: &Value) -> Value {
        let mut bytes = self.blobs[&blob.as_blob().unwrap()].clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.put(bytes)
    }
}

fn expect(met: &[(Option<Value>, String)], expected: &[(Option<Value>, &str)]) {
    assert_eq!(met.len(), expected.len(), "{met:?}");
    for ((name, why), (expected, part)) in met.iter().zip(expected) {
        assert!(
            name == expected && why.contains(part),
            "{met:?}, not {part}"
        );
    }
}

/// For each segment the proof of a circuit.
fn segment_proofs(worker: &mut Process, circuit: Circuit) -> Vec<Value> {
    let file = file();
    let witnesses = (0..).zip(file.chunks(froben_circuits::SEGMENT_BYTES));
    let witnesses = witnesses.map(|(i, bytes)| Witness::compute(bytes.to_vec(), i).unwrap());
    let proof = |witness: Witness| {
        let proof = prove(&stock(Params::Dev), circuit, &witness).unwrap();
        worker.put(proof)
    };
    let witnesses: Vec<Witness> = witnesses.collect();
    witnesses.into_iter().map(proof).collect()
}

#[tokio::test]
async fn a_file_becomes_an_aggregate_that_verifies() {
    let _alone = ALONE.lock().await;
    let mut worker = Process::any_place().await;
    let data = worker.put(file());
    let proofs = Circuit::ALL.map(|circuit| segment_proofs(&mut worker, circuit));

    // For each circuit its lifts, and the tree's top.
    let mut lifts = Vec::new();
    let mut tops = Vec::new();
    for (circuit, proofs) in Circuit::ALL.into_iter().zip(&proofs) {
        let input = with_data(&data, Some(circuit));
        let mut items = Vec::new();
        for (i, proofs) in proofs.chunks(per_leaf(circuit)).enumerate() {
            items.push(leaf(i * per_leaf(circuit), proofs));
        }
        let made = worker.values(LEAF, input, items).await;
        let made: Vec<Value> = made
            .iter()
            .map(|value| value.get("proof").unwrap().clone())
            .collect();
        tops.push(match &made[..] {
            [one] => one.clone(),
            [left, right] => {
                let item = pair(left, right);
                worker.proof(NODE, of_circuit(circuit), item).await
            }
            more => panic!("{} lifts of two segments", more.len()),
        });
        lifts.push(made);
    }
    let tip = worker.proof(TIP, params(), four(&tops)).await;
    let value = worker
        .one(SCHEDULE, with_data(&data, None), one(&tip))
        .await;
    let bytes = worker.get(&value, "aggregate");

    let aggregate = Aggregate::decode(&bytes).unwrap();
    let made: Vec<Statement> = statements(&file()[..]).unwrap();
    let report = aggregate.check(Some(&made)).unwrap();
    assert_eq!(
        (report.params, report.bytes, report.segments),
        ("dev", Some(4196), Some(2))
    );
    assert_eq!(report.digest.len(), 64);
    assert!(report.input_checked);
    assert!(aggregate.check(Some(&made[..1])).is_err());
    // Another digest under the same proof.
    let mut lie = bytes[..bytes.len() - 32].to_vec();
    lie[30] ^= 1;
    lie.extend(blake3::hash(&lie).as_bytes());
    let lie = Aggregate::decode(&lie).unwrap();
    assert!(lie.verify().is_err());

    results_are_checked(&worker, &data, &proofs, &lifts, &tops).await;
    leaves_are_refused(&mut worker, &data, &proofs).await;
    nodes_are_refused(&mut worker, &lifts).await;
    tips_are_refused(&mut worker, &lifts, &tops).await;

    let other = worker.put(vec![1; file().len()]);
    let garbage = worker.put(vec![0xff; 1000]);
    for (data, proof, why) in [
        (&other, &tip, "is not about the file"),
        (&data, &tops[1], "another key than that of the tip"),
        (&data, &garbage, "does not begin like one"),
    ] {
        let input = with_data(data, None);
        let met = worker.refusals(SCHEDULE, input, one(proof), None).await;
        expect(&met, &[(None, why)]);
    }
    worker.stop().await;
}

/// A trusted machine says the same of each result, also of a refusal.
async fn results_are_checked(
    worker: &Process,
    data: &Value,
    proofs: &[Vec<Value>; 4],
    lifts: &[Vec<Value>],
    tops: &[Value],
) {
    let mut cpu = Process::cpu().await;
    cpu.blobs = worker.blobs.clone();
    let question =
        |item: &Value, value: Value| Value::map([("item", item.clone()), ("value", value)]);
    let refused = |name: &'static str, which: Value| {
        let one = Value::map([(name, which), ("why", Value::text("so"))]);
        Value::map([("refused", Value::List(vec![one]))])
    };
    let index = |index: i64| refused("index", Value::Int(index));
    let side = |side: &str| refused("side", Value::text(side));

    let [_, sha256, ..] = lifts else {
        panic!("four circuits")
    };
    let twice = leaf(0, &[proofs[3][0].clone(), proofs[3][0].clone()]);
    let first = leaf(0, &proofs[1][..1]);
    let both = pair(&sha256[0], &sha256[1]);
    let nothing = Value::map([("refused", Value::List(Vec::new()))]);
    for (input, cases) in [
        (
            with_data(data, Some(Circuit::Sha256)),
            vec![
                (question(&first, one(&sha256[0])), ""),
                (
                    question(&first, one(&sha256[1])),
                    "not about 1 segments from 0",
                ),
                (
                    question(&first, one(&tops[1])),
                    "another key than that of the lift",
                ),
                (question(&first, nothing.clone()), "refuses nothing"),
                (
                    question(&first, Value::map([("x", Value::Nil)])),
                    "neither a proof nor",
                ),
            ],
        ),
        (
            with_data(data, Some(Circuit::Poseidon2)),
            vec![
                (question(&twice, index(1)), ""),
                (question(&twice, index(0)), "it refuses what holds"),
                (question(&twice, index(2)), "segment 2 is not the leaf's"),
            ],
        ),
        (
            of_circuit(Circuit::Sha256),
            vec![
                (question(&both, one(&tops[1])), ""),
                (question(&both, one(&sha256[0])), "does not join these two"),
                (
                    question(&both, one(&tops[2])),
                    "its leaves are not of sha256",
                ),
                (question(&both, side("right")), "it refuses what holds"),
                (question(&pair(&sha256[0], &lifts[2][1]), side("right")), ""),
                (question(&pair(&sha256[1], &sha256[0]), side("left")), ""),
            ],
        ),
    ] {
        let (questions, expected): (Vec<Value>, Vec<&str>) = cases.into_iter().unzip();
        let verdicts = cpu.verdicts(input, questions).await;
        for ((holds, why), expected) in verdicts.into_iter().zip(expected) {
            let as_expected = holds == expected.is_empty() && why.contains(expected);
            assert!(as_expected, "{holds}: {why}, not: {expected}");
        }
    }
    cpu.stop().await;
}

async fn leaves_are_refused(worker: &mut Process, data: &Value, proofs: &[Vec<Value>; 4]) {
    let [keccak256, _, _, poseidon2] = proofs;
    let most = slots(Params::Dev, Circuit::Poseidon2);
    let index = |index: i64| Some(Value::Int(index));
    let garbage = worker.put(vec![0xff; 1000]);
    let flipped = worker.flipped(&poseidon2[1]);
    let holds = &poseidon2[0];
    for (circuit, given, expected) in [
        (
            Circuit::Keccak256,
            vec![keccak256[1].clone()],
            vec![(index(0), "the keccak256 proof is refused")],
        ),
        (
            Circuit::Poseidon2,
            vec![large(MAX_PROOF_BYTES), garbage],
            vec![
                (index(0), "the proof has 4194305 bytes"),
                (index(1), "not a proof"),
            ],
        ),
        (
            Circuit::Poseidon2,
            vec![holds.clone(), flipped],
            vec![(index(1), "the poseidon2 proof is refused")],
        ),
    ] {
        let input = with_data(data, Some(circuit));
        let item = leaf(0, &given);
        let met = worker.refusals(LEAF, input, item, Some("index")).await;
        expect(&met, &expected);
    }
    let no_blob = [Value::Int(3)];
    for (item, expected) in [
        (leaf(0, &[]), "0 poseidon2 proofs, a leaf takes 1 to"),
        (
            leaf(0, &vec![holds.clone(); most + 1]),
            "poseidon2 proofs, a leaf takes",
        ),
        (leaf(1, &poseidon2[..]), "4196 bytes has no segment 2"),
        (leaf(usize::MAX >> 33, &poseidon2[..1]), "has no segment"),
        (leaf(0, &no_blob), "proof 0 of the item is no blob"),
        (one(holds), "the item lacks `first`"),
    ] {
        let input = with_data(data, Some(Circuit::Poseidon2));
        let failure = worker.failure(LEAF, input, item).await;
        check(&failure, ErrorClass::BadRequest, expected);
    }
    let input = with_data(&large(1 << 20), Some(Circuit::Poseidon2));
    let failure = worker.failure(LEAF, input, leaf(0, &poseidon2[..1])).await;
    check(&failure, ErrorClass::BadRequest, "at most 1048576");
}

async fn nodes_are_refused(worker: &mut Process, lifts: &[Vec<Value>]) {
    let [_, sha256, blake3, _] = lifts else {
        panic!("four circuits")
    };
    let side = |side: &str| Some(Value::text(side));
    let garbage = worker.put(vec![0xff; 1000]);
    let flipped = worker.flipped(&sha256[1]);
    let other_key = "another key than that of the node or the lift of sha256";
    for (item, expected) in [
        (
            pair(&sha256[0], &blake3[1]),
            vec![(side("right"), other_key)],
        ),
        (
            pair(&garbage, &large(MAX_PROVED_BYTES)),
            vec![
                (side("left"), "does not begin like one"),
                (side("right"), "the proof has 4194305 bytes"),
            ],
        ),
        (pair(&sha256[0], &flipped), vec![(side("right"), "")]),
    ] {
        let input = of_circuit(Circuit::Sha256);
        let met = worker.refusals(NODE, input, item, Some("side")).await;
        expect(&met, &expected);
    }
    let input = of_circuit(Circuit::Sha256);
    let swapped = pair(&sha256[1], &sha256[0]);
    let met = worker.refusals(NODE, input, swapped, Some("side")).await;
    let apart = "does not begin where the left one ends";
    expect(&met, &[(side("left"), apart), (side("right"), apart)]);
}

async fn tips_are_refused(worker: &mut Process, lifts: &[Vec<Value>], tops: &[Value]) {
    let circuit = |circuit: &str| Some(Value::text(circuit));
    let mut swapped = tops.to_vec();
    swapped.swap(1, 2);
    let expected = [
        (circuit("sha256"), "its leaves are not of sha256"),
        (circuit("blake3"), "its leaves are not of blake3"),
    ];
    let met = worker.refusals(TIP, params(), four(&swapped), Some("circuit"));
    expect(&met.await, &expected);
    for (lift, expected) in [
        (0, "it is about other segments than most"),
        (1, "it does not begin with the file"),
    ] {
        let mut tops = tops.to_vec();
        tops[2] = lifts[2][lift].clone();
        let met = worker.refusals(TIP, params(), four(&tops), Some("circuit"));
        expect(&met.await, &[(circuit("blake3"), expected)]);
    }
}
