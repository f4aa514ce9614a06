//! The real program, spoken to as a daemon speaks to it, over files of two segments.

#![allow(clippy::unwrap_used)]

mod process;
mod tree;

use std::io::Read;

use froben_circuits::{Circuit, Params, SEGMENT_BYTES, Witness, verify, verify_bundle};
use froben_model::{BlobRef, ErrorClass, Kind, Value};
use froben_opencl::Device;
use froben_protocol::{EXIT_ORPHANED, EXIT_UNFIT, TOKEN_VARIABLE};
use froben_prover::place::STOCK_ID;
use tokio::process::Command;

use process::{ALONE, NOWHERE, Process, TOKEN, check};

impl Process {
    /// Bundles, and gives the circuit and segment of each proof that is refused, each with its reason.
    async fn refused(&mut self, input: Value) -> Vec<(String, i64)> {
        let values = self.values("commitments.bundle/1", input, vec![Value::Nil]);
        let [value] = &values.await[..] else { panic!() };
        assert_eq!(value.get("bundle"), None);
        let Some(Value::List(refused)) = value.get("refused") else {
            panic!("{value:?}")
        };
        let read = |one: &Value| {
            let text = |name| one.get(name).and_then(Value::as_text).unwrap().to_owned();
            assert!(text("why").contains("proof is refused"), "{one:?}");
            let index = one.get("index").and_then(Value::as_int).unwrap();
            (text("circuit"), index)
        };
        refused.iter().map(read).collect()
    }

    /// Checks values, and gives for each whether it holds, and why not.
    async fn verdicts(&mut self, input: Value, questions: Vec<Value>) -> Vec<(bool, String)> {
        let values = self.values("commitments.check/1", input, questions).await;
        let read = |value: &Value| {
            let reason = value.get("reason").and_then(Value::as_text);
            let ok = value.get("ok") == Some(&Value::Bool(true));
            (ok, reason.unwrap_or_default().to_owned())
        };
        values.iter().map(read).collect()
    }
}

/// Two segments, the second a short one.
fn file() -> Vec<u8> {
    (0..SEGMENT_BYTES + 100)
        .map(|i| (i * i / 5) as u8)
        .collect()
}

fn index(index: i64) -> Value {
    Value::map([("index", Value::Int(index))])
}

fn witness_input(data: Value) -> Value {
    let segment_bytes = Value::Int(SEGMENT_BYTES as i64);
    Value::map([("data", data), ("segment_bytes", segment_bytes)])
}

fn prove_input(circuit: &str, params: &str) -> Value {
    Value::map([
        ("circuit", Value::text(circuit)),
        ("params", Value::text(params)),
    ])
}

fn check_input(data: Value, circuit: &str, params: &str) -> Value {
    Value::map([
        ("data", data),
        ("circuit", Value::text(circuit)),
        ("params", Value::text(params)),
    ])
}

/// What came for a segment, as it is put to whoever checks it.
fn question(index: i64, value: Value) -> Value {
    Value::map([("item", self::index(index)), ("value", value)])
}

fn prove_item(index: i64, witness: Value) -> Value {
    Value::map([("index", Value::Int(index)), ("witness", witness)])
}

fn bundle_input(data: Value, segments: i64, proofs: &[(Circuit, Vec<Value>)]) -> Value {
    let proofs = proofs.iter().cloned();
    let proofs = proofs.map(|(circuit, column)| (circuit.name(), Value::List(column)));
    Value::map([
        ("data", data),
        ("params", Value::text("dev")),
        ("segments", Value::Int(segments)),
        ("proofs", Value::map(proofs)),
    ])
}

#[tokio::test]
async fn a_witness_is_checked_against_the_file() {
    let mut cpu = Process::cpu().await;
    let data = cpu.put(file());
    let witnesses = cpu
        .values(
            "commitments.witness/1",
            witness_input(data.clone()),
            vec![index(0), index(1)],
        )
        .await;
    let of_another_file = {
        let other = Witness::compute(vec![7; SEGMENT_BYTES], 0).unwrap();
        Value::map([("witness", cpu.put(other.encode().unwrap()))])
    };
    let large = BlobRef {
        size_bytes: 1 << 30,
        ..BlobRef::of(b"large")
    };
    let large = Value::map([("witness", Value::Blob(large))]);
    let (first, second) = (witnesses[0].clone(), witnesses[1].clone());
    let questions = vec![
        question(0, first.clone()),
        question(1, second),
        question(1, first),
        question(0, of_another_file),
        question(0, large),
        question(0, Value::Int(5)),
        question(0, Value::map([("proof", Value::Nil)])),
    ];
    let verdicts = cpu.verdicts(witness_input(data.clone()), questions).await;
    let (good, bad) = verdicts.split_at(2);
    assert!(
        good.iter().all(|(ok, why)| *ok && why.is_empty()),
        "{good:?}"
    );
    let reasons: Vec<_> = bad.iter().map(|(ok, why)| (*ok, why.as_str())).collect();
    let most = froben_circuits::MAX_WITNESS_BYTES;
    let large = format!("a witness of 1073741824 bytes, there are none beyond {most}");
    assert_eq!(
        reasons,
        [
            (false, "it is not the witness of segment 1"),
            (false, "it is not the witness of segment 0"),
            (false, &large),
            (false, "the value is a number, expected a table"),
            (false, "the value has neither a witness nor a proof"),
        ]
    );
    // What is wrong with the question is not the value's fault.
    let failure = cpu
        .failure("commitments.check/1", witness_input(data), Value::Nil)
        .await;
    check(&failure, ErrorClass::BadRequest, "expected a table");
    cpu.stop().await;
}

#[tokio::test]
async fn a_file_becomes_a_bundle_that_verifies() {
    let Some(mut gpu) = Process::device().await else {
        return;
    };
    let mut cpu = Process::cpu().await;
    let data = cpu.put(file());
    let witnesses = cpu
        .values(
            "commitments.witness/1",
            witness_input(data.clone()),
            vec![index(0), index(1)],
        )
        .await;

    let mut proofs = Vec::new();
    for circuit in Circuit::ALL {
        let mut items = Vec::new();
        for (at, witness) in (0..).zip(&witnesses) {
            let witness = cpu.get(witness, "witness");
            items.push(prove_item(at, gpu.put(witness)));
        }
        let input = prove_input(circuit.name(), "dev");
        let (items, failure) = gpu.run("commitments.prove/1", input, items).await;
        assert_eq!(failure, None);
        let mut column = Vec::new();
        for (at, outcome, device) in items {
            let proof = gpu.get(&outcome.unwrap(), "proof");
            let bytes = cpu.get(&witnesses[at as usize], "witness");
            let statement = Witness::decode(&bytes).unwrap().statement;
            verify(Params::Dev, circuit, &statement, &proof).unwrap();
            let ran_on = format!(
                "{} ({})",
                gpu.hello.devices[0].name, gpu.hello.devices[0].id
            );
            assert_eq!(device, Some(ran_on));
            column.push(cpu.put(proof));
        }
        proofs.push((circuit, column));
    }

    let input = bundle_input(data.clone(), 2, &proofs);
    let [value] = &cpu
        .values("commitments.bundle/1", input, vec![Value::Nil])
        .await[..]
    else {
        panic!();
    };
    let bundle = cpu.get(value, "bundle");
    let report = verify_bundle(
        &bundle[..],
        Some(&mut &file()[..] as &mut dyn Read),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(
        (report.params, report.proofs, report.bytes),
        ("dev", 8, 4196)
    );

    // Whoever checks needs none of it but the file.
    let proof = |circuit: usize, at: usize| Value::map([("proof", proofs[circuit].1[at].clone())]);
    let told = |ok, reason| (ok, String::from(reason));
    let input = check_input(data.clone(), "keccak256", "dev");
    let questions = vec![
        question(0, proof(0, 0)),
        question(1, proof(0, 1)),
        question(1, proof(0, 0)),
        question(0, proof(1, 0)),
    ];
    let verdicts = cpu.verdicts(input, questions).await;
    assert_eq!(verdicts[..2], [told(true, ""), told(true, "")]);
    for (ok, why) in &verdicts[2..] {
        assert!(
            !ok && why.contains("the keccak256 proof is refused"),
            "{why}"
        );
    }

    // All proofs of something else are named, and so is what is missing.
    let mut swapped = proofs.clone();
    swapped[1].1.swap(0, 1);
    let input = bundle_input(data.clone(), 2, &swapped);
    let refused = cpu.refused(input).await;
    assert_eq!(
        refused,
        [("sha256".to_owned(), 0), ("sha256".to_owned(), 1)]
    );

    let mut flipped = cpu.blobs[&proofs[3].1[1].as_blob().unwrap()].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut tampered = proofs.clone();
    tampered[3].1[1] = cpu.put(flipped);
    let input = bundle_input(data.clone(), 2, &tampered);
    assert_eq!(cpu.refused(input).await, [("poseidon2".to_owned(), 1)]);

    proofs[2].1.pop();
    let input = bundle_input(data.clone(), 2, &proofs);
    let failure = cpu.failure("commitments.bundle/1", input, Value::Nil).await;
    check(
        &failure,
        ErrorClass::BadRequest,
        "1 blake3 proofs for 2 segments",
    );
    let input = bundle_input(data, 3, &proofs);
    let failure = cpu.failure("commitments.bundle/1", input, Value::Nil).await;
    check(
        &failure,
        ErrorClass::BadRequest,
        "a file of 4196 bytes has 2",
    );

    cpu.stop().await;
    gpu.stop().await;
}

#[tokio::test]
async fn a_wrong_request_fails_alone_and_says_what_is_wrong() {
    let mut cpu = Process::cpu().await;
    let data = cpu.put(file());
    let (items, failure) = cpu
        .run(
            "commitments.witness/1",
            witness_input(data.clone()),
            vec![index(2), Value::Nil, index(-1), index(1)],
        )
        .await;
    assert_eq!(failure, None);
    let [
        (0, Err(past), _),
        (1, Err(nil), _),
        (2, Err(negative), _),
        (3, Ok(_), _),
    ] = &items[..]
    else {
        panic!("{items:?}");
    };
    check(
        past,
        ErrorClass::BadRequest,
        "a file of 4196 bytes has no segment 2",
    );
    check(nil, ErrorClass::BadRequest, "the item is a nil");
    check(negative, ErrorClass::BadRequest, "`index` of the item");

    let empty = cpu.put(Vec::new());
    let failure = cpu
        .failure("commitments.witness/1", witness_input(empty), index(0))
        .await;
    check(&failure, ErrorClass::BadRequest, "has no segment 0");
    let input = Value::map([("data", data), ("segment_bytes", Value::Int(1024))]);
    let failure = cpu.failure("commitments.witness/1", input, index(0)).await;
    check(
        &failure,
        ErrorClass::BadRequest,
        "the circuits are made for 4096",
    );
    let failure = cpu
        .failure("commitments.prove/1", Value::Nil, Value::Nil)
        .await;
    check(
        &failure,
        ErrorClass::BadRequest,
        "does not take `commitments.prove/1`",
    );
    cpu.stop().await;
}

#[tokio::test]
async fn a_wrong_witness_is_not_proved() {
    let Some(mut gpu) = Process::device().await else {
        return;
    };
    let good = Witness::compute(b"some bytes".to_vec(), 3).unwrap();
    let mut false_digest = good.clone();
    false_digest.statement.digests.poseidon2[0] ^= 1;
    let witness = gpu.put(good.encode().unwrap());
    let lie = gpu.put(false_digest.encode().unwrap());
    let garbage = gpu.put(vec![0xff; 100]);
    let large = gpu.put(vec![0; 100_000]);
    let input = || prove_input("poseidon2", "dev");
    let kind = "commitments.prove/1";
    for (input, item, expected) in [
        (
            input(),
            prove_item(4, witness.clone()),
            "the witness of segment 4 is that of 3",
        ),
        (
            input(),
            prove_item(3, lie),
            "the witness for poseidon2 is wrong: the digest",
        ),
        (input(), prove_item(3, garbage), "unreadable witness"),
        (
            input(),
            prove_item(3, large),
            "has 100000 bytes, this task takes at most 5120",
        ),
        (input(), index(3), "the item lacks `witness`"),
        (
            prove_input("md5", "dev"),
            prove_item(3, witness.clone()),
            "unknown circuit \"md5\"",
        ),
        (
            prove_input("sha256", "fast"),
            prove_item(3, witness),
            "unknown parameters \"fast\"",
        ),
    ] {
        let failure = gpu.failure(kind, input, item).await;
        check(&failure, ErrorClass::BadRequest, expected);
    }
    gpu.stop().await;
}

#[tokio::test]
async fn a_probe_says_what_there_is_and_why_there_is_nothing() {
    let mut cpu = Process::start(&["--role", "cpu", "--probe"], &[]).await;
    let kinds: Vec<&str> = cpu.hello.kinds.iter().map(Kind::as_str).collect();
    let expected = [
        "commitments.witness/1",
        "commitments.check/1",
        "commitments.bundle/1",
    ];
    assert_eq!(kinds, expected);
    assert!(cpu.hello.devices.is_empty());
    assert!(cpu.child.wait().await.unwrap().success());

    let mut none = Process::start(&["--role", "device", "--probe"], &NOWHERE).await;
    let kinds: Vec<&str> = none.hello.kinds.iter().map(Kind::as_str).collect();
    let expected = ["prove", "leaf", "node", "tip", "schedule", "compress"];
    assert_eq!(kinds, expected.map(|name| format!("commitments.{name}/1")));
    assert_eq!(none.hello.devices.len(), 1, "the processor");
    let [note] = &none.hello.notes[..] else {
        panic!("{:?}", none.hello.notes);
    };
    assert!(
        note.contains("opencl") && note.contains("pocl-opencl-icd"),
        "{note}"
    );
    assert!(none.child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_worker_whose_daemon_goes_away_exits() {
    let mut cpu = Process::cpu().await;
    drop(cpu.link);
    assert_eq!(cpu.child.wait().await.unwrap().code(), Some(EXIT_ORPHANED));
}

#[tokio::test]
async fn flags_that_make_no_sense_are_explained() {
    for (flags, code, expected) in [
        (&[][..], 2, "froben-operator starts this program"),
        (&["--role", "cpu"], 2, "--socket"),
        (&["--socket", "/x", "--role", "device"], 2, "--device"),
        (&["--probe", "devices"], 2, "--probe"),
        (
            &["--socket", "/x", "--role", "cpu"],
            1,
            "FROBEN_WORKER_TOKEN",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_froben-prover"))
            .args(flags)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {text}");
        assert!(text.contains(expected), "{flags:?}: {text}");
    }
}

#[tokio::test]
async fn without_opencl_the_processor_proves_and_says_so() {
    let mut probe = Process::start(&["--role", "device", "--probe"], &NOWHERE).await;
    let [offered] = &probe.hello.devices[..] else {
        panic!("{:?}", probe.hello.devices);
    };
    let id = offered.id.clone();
    assert_eq!(id, STOCK_ID);
    assert!(offered.name.contains("without OpenCL"), "{offered:?}");
    assert!(probe.child.wait().await.unwrap().success());

    let flags = ["--role", "device", "--device", &id];
    let mut stock = Process::start(&flags, &NOWHERE).await;
    let witness = Witness::compute(b"some bytes".to_vec(), 3).unwrap();
    let prove = async |process: &mut Process| {
        let blob = process.put(witness.encode().unwrap());
        let input = prove_input("poseidon2", "dev");
        let (items, failure) = process
            .run("commitments.prove/1", input, vec![prove_item(3, blob)])
            .await;
        assert_eq!(failure, None);
        let [(0, Ok(value), Some(device))] = &items[..] else {
            panic!("{items:?}");
        };
        (process.get(value, "proof"), device.clone())
    };
    let (proof, by) = prove(&mut stock).await;
    assert_eq!(by, format!("CPU without OpenCL ({STOCK_ID})"));
    let circuit: Circuit = "poseidon2".parse().unwrap();
    verify(Params::Dev, circuit, &witness.statement, &proof).unwrap();
    stock.stop().await;

    // The same bytes as where there is a device.
    if let Some(mut device) = Process::device().await {
        let (same, by) = prove(&mut device).await;
        assert!(!by.contains(STOCK_ID), "{by}");
        assert!(same == proof, "the proofs differ");
        device.stop().await;
    }
}

#[tokio::test]
async fn a_device_that_computes_wrongly_is_fenced() {
    // Its cold compiler has a minute.
    let _alone = ALONE.lock().await;
    let found = match Device::discover() {
        Ok(devices) => devices.into_iter().next().unwrap(),
        Err(error) => return println!("SKIP: {error}"),
    };
    // PoCL adds this to the options of every program: kernels work in other lanes than the host counts with.
    let dir = tempfile::tempdir().unwrap();
    let miscompiling = [
        ("POCL_EXTRA_BUILD_FLAGS", "-DVW=4"),
        ("XDG_CACHE_HOME", dir.path().to_str().unwrap()),
    ];
    let mut probe = Process::start(&["--role", "device", "--probe"], &miscompiling).await;
    if !probe.hello.devices.is_empty() {
        return println!("SKIP: {found} cannot be made to compute wrongly");
    }
    let [note] = &probe.hello.notes[..] else {
        panic!("{:?}", probe.hello.notes);
    };
    let expected = format!("device {} is fenced: ", found.id);
    assert!(
        note.starts_with(&expected) && note.contains("computes wrongly"),
        "{note}"
    );
    assert!(probe.child.wait().await.unwrap().success());

    // One that begins to compute wrongly later on says so by its exit code, before its hello.
    let output = Command::new(env!("CARGO_BIN_EXE_froben-prover"))
        .args(["--socket", "/nowhere", "--role", "device", "--device"])
        .arg(&found.id)
        .envs(miscompiling)
        .env(TOKEN_VARIABLE, TOKEN)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(EXIT_UNFIT)), "{text}");
    assert!(text.contains("computes wrongly"), "{text}");
}
