//! The shipped pipeline, from its input to its bundle.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;

use froben_model::{BlobHash, BlobRef, ErrorClass, ItemOutcome, TaskSpec, Value};
use froben_script::{Code, Limits, State, Vm, check_input};
use harness::*;

const CIRCUITS: [&str; 4] = ["keccak256", "sha256", "blake3", "poseidon2"];

fn file(size_bytes: u64) -> Value {
    Value::Blob(BlobRef {
        hash: BlobHash([5; 32]),
        size_bytes,
    })
}

fn submit(input: Value) -> Run {
    let revision = check(&shipped());
    Run::new(
        Vm::start(
            &revision,
            "data_commitments",
            input,
            1,
            STARTED_MS,
            Limits::default(),
        )
        .unwrap(),
    )
}

fn blob(text: &str) -> Value {
    Value::Blob(BlobRef::of(text.as_bytes()))
}

/// What an honest machine answers: blobs whose contents say what they are of.
fn honest(spec: &TaskSpec) -> Vec<ItemOutcome> {
    let answer = |item: &Value| {
        let index = item.get("index").and_then(Value::as_int).unwrap_or(0);
        match spec.kind.as_str() {
            "commitments.witness/1" => Value::map([("witness", blob(&format!("witness {index}")))]),
            "commitments.prove/1" => {
                assert_eq!(
                    item.get("witness"),
                    Some(&blob(&format!("witness {index}")))
                );
                let circuit = spec.input.get("circuit").and_then(Value::as_text).unwrap();
                Value::map([("proof", blob(&format!("{circuit} {index}")))])
            }
            "commitments.bundle/1" => Value::map([("bundle", blob("bundle"))]),
            other => panic!("{other}"),
        }
    };
    spec.items.iter().map(|item| Ok(answer(item))).collect()
}

fn of_kind<'a>(run: &'a Run, kind: &str) -> Vec<&'a TaskSpec> {
    let tasks = run.tasks().into_iter();
    tasks.filter(|task| task.kind.as_str() == kind).collect()
}

/// The proofs that the bundle was made of, one a segment and circuit, each in its place.
fn assert_bundled(run: &Run, segments: usize) {
    let bundles = of_kind(run, "commitments.bundle/1");
    let input = &bundles.last().unwrap().input;
    assert_eq!(input.get("segments"), Some(&Value::Int(segments as i64)));
    for circuit in CIRCUITS {
        let proofs = input
            .get("proofs")
            .and_then(|proofs| proofs.get(circuit))
            .unwrap();
        let expected = (0..segments)
            .map(|index| blob(&format!("{circuit} {index}")))
            .collect();
        assert_eq!(proofs, &Value::List(expected));
    }
}

#[test]
fn every_size_becomes_a_bundle_of_all_its_segments() {
    for (bytes, segments) in [
        (1, 1),
        (4095, 1),
        (4096, 1),
        (4097, 2),
        (16384, 4),
        (100_000, 25),
        (1 << 20, 256),
    ] {
        let mut run = submit(Value::map([("data", file(bytes))]));
        let end = run.finish(honest);
        assert_eq!(
            end,
            State::Returned(Value::map([
                ("bundle", blob("bundle")),
                ("params", Value::text("standard"))
            ])),
            "{bytes}"
        );
        assert_bundled(&run, segments);

        let witnesses = of_kind(&run, "commitments.witness/1");
        let proofs = of_kind(&run, "commitments.prove/1");
        let bundles = of_kind(&run, "commitments.bundle/1");
        let indices: Vec<i64> = witnesses
            .iter()
            .flat_map(|task| &task.items)
            .map(|item| item.get("index").and_then(Value::as_int).unwrap())
            .collect();
        assert_eq!(indices, (0..segments as i64).collect::<Vec<_>>());
        assert!(
            witnesses
                .iter()
                .all(|task| task.items.len() <= 64 && task.needs.shared)
        );
        assert!(proofs.iter().all(|task| task.needs.vram_bytes == 256 << 20));
        let standard = Some(&Value::text("standard")).cloned();
        let named = proofs.iter().chain(&bundles);
        assert!(named.clone().count() > 4);
        assert!(
            named
                .into_iter()
                .all(|task| task.input.get("params") == standard.as_ref())
        );
        // Even a small file is work for two machines.
        for circuit in CIRCUITS {
            let circuit = Value::text(circuit);
            let mine = proofs
                .iter()
                .filter(|task| task.input.get("circuit") == Some(&circuit));
            assert!(
                mine.count() > usize::from(segments > 2),
                "{circuit:?} of {segments}"
            );
        }

        let statuses = run.statuses();
        let n = segments as u64;
        for (phase, total) in [("witness", n), ("prove", 4 * n), ("bundle", 1)] {
            let of_phase: Vec<_> = statuses.iter().filter(|status| status.0 == phase).collect();
            let counted: Vec<u64> = of_phase.iter().map(|status| status.1).collect();
            assert_eq!(counted, (0..=total).collect::<Vec<_>>(), "{phase}");
            assert!(of_phase.iter().all(|status| status.2 == total));
        }
    }
}

#[test]
fn what_cannot_be_proved_is_refused_with_a_reason_and_no_work() {
    for (bytes, part) in [
        (0, "the file is empty"),
        ((1 << 20) + 1, "1048577 bytes; one bundle holds"),
    ] {
        let mut run = submit(Value::map([("data", file(bytes))]));
        let State::Failed(failure) = run.finish(honest) else {
            panic!()
        };
        assert_eq!(failure.code, Code::Refused);
        assert!(failure.message.contains(part), "{failure}");
        assert!(!failure.message.contains(".lua"), "{failure}");
        assert!(run.calls.is_empty());
    }
}

#[test]
fn its_inputs_are_declared() {
    let revision = check(&shipped());
    let info = &revision.pipelines()["data_commitments"];
    assert!(!info.description.is_empty());
    let dev = ("params", Value::text("dev"));
    assert_eq!(
        check_input(info, &Value::map([("data", file(1)), dev])),
        Ok(())
    );
    for input in [
        Value::map::<String>([]),
        Value::map([("data", Value::text("x"))]),
        Value::map([("data", file(1)), ("params", Value::text("fast"))]),
        Value::map([("data", file(1)), ("date", Value::Int(1))]),
    ] {
        assert!(check_input(info, &input).is_err(), "{input:?}");
    }
}

#[test]
fn the_parameters_reach_every_proof() {
    let mut run = submit(Value::map([
        ("data", file(9000)),
        ("params", Value::text("dev")),
    ]));
    run.finish(honest);
    let dev = Some(&Value::text("dev")).cloned();
    let mut named = run
        .tasks()
        .into_iter()
        .filter(|task| task.kind.as_str() != "commitments.witness/1");
    assert!(named.all(|task| task.input.get("params") == dev.as_ref()));
}

/// Everything fails in some way, once or twice, everywhere.
#[test]
fn faults_anywhere_end_in_the_same_bundle() {
    for seed in 0..20u32 {
        let mut tries: BTreeMap<String, u32> = BTreeMap::new();
        let mut run = submit(Value::map([("data", file(40_000))]));
        let end = run.finish(|spec| {
            let mut outcomes = honest(spec);
            let stem = spec.key.rsplit_once('/').unwrap().0.to_owned();
            let tried = tries.entry(stem).or_default();
            *tried += 1;
            for (index, outcome) in outcomes.iter_mut().enumerate() {
                let draw = (seed + 7 * index as u32 + 3 * spec.key.len() as u32 + 5 * *tried) % 6;
                if *tried > 3 || draw < 3 {
                    continue;
                }
                *outcome = match draw {
                    3 => lost(ErrorClass::Disconnected, "op-a"),
                    4 => lost(ErrorClass::InvalidResult, "op-b"),
                    // A result in the wrong form.
                    _ => Ok(Value::map([("witnes", Value::Int(1))])),
                };
            }
            outcomes
        });
        assert!(matches!(end, State::Returned(_)), "{end:?}");
        assert_bundled(&run, 10);
        let mut keys = run.keys();
        let made = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), made, "a key was used twice");
        assert!(made > 20);
    }
}

#[test]
fn without_a_machine_the_seeker_reads_what_was_missing() {
    let mut run = submit(Value::map([("data", file(9000))]));
    let end = run.finish(|spec| match spec.kind.as_str() {
        "commitments.prove/1" => spec
            .items
            .iter()
            .map(|_| lost(ErrorClass::NoCapacity, ""))
            .collect(),
        _ => honest(spec),
    });
    let State::Failed(failure) = end else {
        panic!()
    };
    assert!(
        failure
            .message
            .contains("prove/keccak256/1-2: 2 of its items failed, for want of a machine"),
        "{failure}"
    );
}

fn refusing(proofs: &[(&str, i64)]) -> Vec<ItemOutcome> {
    let one = |(circuit, index): &(&str, i64)| {
        Value::map([
            ("circuit", Value::text(*circuit)),
            ("index", Value::Int(*index)),
            ("why", Value::text("it does not hold")),
        ])
    };
    let list = proofs.iter().map(one).collect();
    vec![Ok(Value::map([("refused", Value::List(list))]))]
}

#[test]
fn proofs_that_do_not_hold_are_made_again_by_others() {
    let mut run = submit(Value::map([("data", file(16_384))]));
    let sender = |spec: &TaskSpec| match spec.key.starts_with("prove/sha256/1") {
        true if !spec.key.contains("again") => "op-b",
        _ => "op-a",
    };
    let mut bundles = 0;
    let end = run.finish_by(sender, |spec| {
        if spec.kind.as_str() != "commitments.bundle/1" {
            return honest(spec);
        }
        bundles += 1;
        match bundles {
            // A list that makes no sense is tried elsewhere, like any wrong result.
            1 => refusing(&[("sha256", 4)]),
            2 => refusing(&[("sha256", 1), ("blake3", 3)]),
            _ => honest(spec),
        }
    });
    assert!(matches!(end, State::Returned(_)), "{end:?}");
    assert_bundled(&run, 4);
    let again: Vec<_> = of_kind(&run, "commitments.prove/1")
        .into_iter()
        .filter(|task| task.key.contains("again"))
        .map(|task| (task.key.as_str(), task.avoid[0].as_str(), task.items.len()))
        .collect();
    assert_eq!(
        again,
        [
            ("prove/sha256/2/again-1/1", "op-b", 1),
            ("prove/blake3/4/again-1/1", "op-a", 1)
        ]
    );
    let bundles: Vec<_> = of_kind(&run, "commitments.bundle/1")
        .into_iter()
        .map(|task| (task.key.as_str(), task.avoid.len()))
        .collect();
    assert_eq!(
        bundles,
        [("bundle/1/1", 0), ("bundle/1/2", 1), ("bundle/2/1", 1)]
    );
}

#[test]
fn proofs_that_never_hold_end_the_workflow_with_a_reason() {
    let mut run = submit(Value::map([("data", file(100))]));
    let end = run.finish(|spec| match spec.kind.as_str() {
        "commitments.bundle/1" => refusing(&[("keccak256", 0)]),
        _ => honest(spec),
    });
    let State::Failed(failure) = end else {
        panic!()
    };
    assert_eq!(failure.code, Code::Refused);
    assert!(
        failure.message.contains("some parts still do not hold"),
        "{failure}"
    );
}
