use froben_model::{
    Amount, BlobRef, CallId, ErrorClass, ItemError, Kind, MachineId, Needs, OperatorId, SeekerId,
    SetupKey, TaskSpec, TimeBucket, Usage, Value, WorkflowId,
};
use proptest::prelude::*;

use super::*;
use crate::{
    Account, Assigned, Body, CallOp, Called, Cause, End, Ended, Failure, Finish, ForkedFrom, Item,
    Origin, Parent, Posting, RevisionHash, Status, Submitted, Tally, revision_hash,
};

/// One of each form, under the name that the golden file gives it.
fn samples() -> Vec<(&'static str, Record)> {
    let call = CallId(7);
    let attempt = 2;
    let item = |outcome| Item {
        call,
        attempt,
        index: 3,
        outcome,
        device: Some("Radeon PRO".into()),
        usage: Usage::default(),
    };
    let called = |op| {
        let line = 41;
        let fed = 0;
        Body::Called(Called {
            call,
            line,
            op,
            fed,
        })
    };
    let error = ItemError {
        class: ErrorClass::WorkerFailed,
        message: "the worker exited with status 139".into(),
        operator: Some(OperatorId::new("op-1").unwrap()),
    };
    let ended = |end, failure| {
        Body::Ended(Ended {
            call,
            attempt,
            end,
            failure,
        })
    };
    let failure = Failure {
        code: "FRB-LUA-002".into(),
        message: "pipelines/x.lua:3: no field `proof`".into(),
    };
    let task = TaskSpec {
        kind: Kind::new("data.prove/1").unwrap(),
        input: Value::map([("blob", Value::Blob(BlobRef::of(b"segment")))]),
        items: vec![Value::Nil, Value::Bool(true), Value::Number(0.5)],
        needs: Needs {
            cpu_cores: 2,
            ram_bytes: 4 << 30,
            vram_bytes: 1 << 30,
            shared: true,
        },
        timeout_ms: 300_000,
        queue_timeout_ms: 60_000,
        avoid: vec![OperatorId::new("slow").unwrap()],
        key: "prove/0".into(),
        keys: Vec::new(),
        check: None,
        max_price: None,
    };
    let demanding = TaskSpec {
        keys: vec![SetupKey {
            name: "crs".into(),
            sha256: [6; 32],
        }],
        check: Some(Kind::new("data.check/1").unwrap()),
        max_price: Some(Amount(50_000)),
        ..task.clone()
    };
    let submitted = Submitted {
        pipeline: "data_commitments".into(),
        revision: RevisionHash([9; 32]),
        seeker: SeekerId::new("ada").unwrap(),
        idempotency_key: "once".into(),
        input: Value::map([("data", Value::Blob(BlobRef::of(b"data")))]),
        seed: u64::MAX,
        parent: None,
        forked_from: None,
        budget: None,
        wanted_by_ms: None,
    };
    let on_terms = Submitted {
        budget: Some(Amount(12_500_000)),
        wanted_by_ms: Some(1_800_000_600_000),
        ..submitted.clone()
    };
    let child = Submitted {
        idempotency_key: String::new(),
        parent: Some(Parent {
            workflow: WorkflowId([3; 16]),
            call,
            depth: 2,
        }),
        ..submitted.clone()
    };
    let run = CallOp::Run {
        pipeline: "square".into(),
        input: Value::map([("n", Value::Int(4))]),
        key: "square/4".into(),
    };
    let child_ended = |finish| Body::ChildEnded { call, finish };
    let attempt_of = |device| Assigned {
        call,
        attempt,
        epoch: 5,
        machine: MachineId::new("op-1/gpu").unwrap(),
        device,
        deadline_ms: 1_800_000_300_000,
        cpu_cores: 0,
        ram_bytes: 0,
        vram_bytes: 0,
        price: Amount::ZERO,
    };
    let assigned = |device| Body::Assigned(attempt_of(device));
    let claimed = Assigned {
        call: call.check(3),
        cpu_cores: 2,
        ram_bytes: 4 << 30,
        vram_bytes: 1 << 30,
        price: Amount(40_000),
        ..attempt_of(None)
    };
    let status = Status {
        phase: "prove".into(),
        done: 3,
        total: 8,
    };
    let output = Value::map([(
        "list",
        Value::List(vec![Value::Int(-1), Value::text("zwölf"), Value::Nil]),
    )]);
    let forked = Submitted {
        pipeline: "data_commitments".into(),
        revision: RevisionHash([9; 32]),
        seeker: SeekerId::new("ada").unwrap(),
        idempotency_key: String::new(),
        input: Value::Nil,
        seed: 3,
        parent: None,
        forked_from: Some(ForkedFrom {
            workflow: WorkflowId([8; 16]),
            step: CallId(5),
            carried: 17,
            begun_ms: 1_799_999_999_000,
        }),
        budget: None,
        wanted_by_ms: None,
    };
    let told = Called {
        call: CallId(7),
        line: 41,
        op: CallOp::Sleep { ms: 250 },
        fed: 12,
    };
    let tally = |machine, ok, failed| Tally {
        machine: MachineId::new(machine).unwrap(),
        kind: Kind::new("data.prove/1").unwrap(),
        ok,
        failed,
        at_ms: 1_800_000_000_900,
        times: Vec::new(),
        checked: 0,
    };
    let timed = Tally {
        checked: 25,
        times: vec![(TimeBucket::of_ms(900), 30), (TimeBucket::MAX, 10)],
        ..tally("op-1/gpu", 40, 0)
    };
    let tallies = vec![tally("op-1/gpu", 40, 0), tally("op-2/cpu", 1, 7)];
    let revision = RevisionHash([4; 32]);
    [
        ("submitted", Body::Submitted(submitted)),
        ("called.delegate", called(CallOp::Delegate(task))),
        ("called.sleep", called(CallOp::Sleep { ms: 250 })),
        ("called.status", called(CallOp::Status(status))),
        (
            "called.log",
            called(CallOp::Log {
                text: "hello".into(),
            }),
        ),
        (
            "called.cancel",
            called(CallOp::Cancel { target: CallId(6) }),
        ),
        ("assigned.device", assigned(Some("0000:03:00.0".into()))),
        ("assigned.cpu", assigned(None)),
        ("started", Body::Started { call, attempt }),
        ("item.value", Body::Item(item(Ok(Value::Int(1 << 60))))),
        ("item.error", Body::Item(item(Err(error.clone())))),
        (
            "requeued",
            Body::Requeued {
                call,
                attempt,
                reason: "the machine is shutting down".into(),
                fault: false,
            },
        ),
        ("ended.succeeded", ended(End::Succeeded, None)),
        ("ended.failed", ended(End::Failed, Some(error.clone()))),
        ("ended.timed_out", ended(End::TimedOut, Some(error.clone()))),
        ("ended.cancelled", ended(End::Cancelled, None)),
        ("slept", Body::Slept { call }),
        ("cancel_requested", Body::CancelRequested),
        ("finished.output", Body::Finished(Finish::Output(output))),
        ("finished.failed", Body::Finished(Finish::Failed(failure))),
        ("finished.cancelled", Body::Finished(Finish::Cancelled)),
        (
            "logged",
            Body::Logged {
                source: "op-1/gpu".into(),
                text: "tuned the NTT".into(),
                of: None,
            },
        ),
        ("submitted.child", Body::Submitted(child)),
        ("called.run", called(run)),
        (
            "child_ended.output",
            child_ended(Finish::Output(Value::Int(16))),
        ),
        ("child_ended.cancelled", child_ended(Finish::Cancelled)),
        ("submitted.fork", Body::Submitted(forked)),
        ("called.fed", Body::Called(told)),
        ("tallied", Body::Tallied(tallies)),
        ("tallied.none", Body::Tallied(Vec::new())),
        ("paused", Body::Paused),
        ("resumed", Body::Resumed),
        ("migrated", Body::Migrated { revision }),
        ("submitted.terms", Body::Submitted(on_terms)),
        ("called.demanding", called(CallOp::Delegate(demanding))),
        ("assigned.claims", Body::Assigned(claimed)),
        ("claimed", Body::Claimed(item(Ok(Value::Int(5))))),
        (
            "item.usage",
            Body::Item(Item {
                usage: Usage {
                    ram_bytes: 3 << 30,
                    vram_bytes: 7 << 20,
                },
                ..item(Ok(Value::Nil))
            }),
        ),
        (
            "lost",
            Body::Lost {
                call,
                attempt,
                failure: error.clone(),
            },
        ),
        (
            "logged.attempt",
            Body::Logged {
                source: "op-1/gpu".into(),
                text: "tuned the NTT".into(),
                of: Some((call, attempt)),
            },
        ),
        ("tallied.times", Body::Tallied(vec![timed])),
    ]
    .map(|(name, body)| {
        let time_ms = 1_800_000_000_000;
        (name, Record { time_ms, body })
    })
    .into()
}

fn scripts() -> ScriptSet {
    let files = [
        ("lib/retry.lua", "return {}\n"),
        ("pipelines/x.lua", "return workflow('x', {}, nil)\n"),
    ];
    ScriptSet {
        files: files.map(|(path, text)| (path.into(), text.into())).into(),
    }
}

/// What each format wrote, as `name hex` a line, and how many of the samples it had. Lines are never
/// changed.
const GOLDEN: [(u8, usize, &str); 4] = [
    (1, 22, include_str!("../../tests/golden/journal-v1.hex")),
    (2, 26, include_str!("../../tests/golden/journal-v2.hex")),
    (3, 33, include_str!("../../tests/golden/journal-v3.hex")),
    (4, 41, include_str!("../../tests/golden/journal-v4.hex")),
];

#[test]
fn what_was_written_once_is_read_for_ever() {
    for (format, count, golden) in GOLDEN {
        let mut golden = golden.lines().map(|line| {
            let (name, digits) = line.split_once(' ').unwrap();
            (name, hex::decode(digits).unwrap())
        });
        for (name, record) in samples().into_iter().take(count) {
            let (written_as, bytes) = golden.next().unwrap();
            assert_eq!((written_as, bytes[0]), (name, format));
            assert_eq!(decode(&bytes).unwrap(), record, "{name}");
        }
        let (name, bytes) = golden.next().unwrap();
        assert_eq!((name, bytes[0]), ("scripts", format));
        assert_eq!(decode_scripts(&bytes).unwrap(), scripts());
        assert_eq!(golden.next(), None);
    }
}

/// What the newest format writes now is what its golden file holds, so the file holds what is written.
#[test]
fn the_newest_golden_file_has_every_form() {
    let (format, count, golden) = GOLDEN[GOLDEN.len() - 1];
    assert_eq!((format, count), (FORMAT, samples().len()));
    let line = |name: &str, bytes: Vec<u8>| format!("{name} {}\n", hex::encode(bytes));
    let mut written: String = samples()
        .iter()
        .map(|(name, record)| line(name, encode(record).unwrap()))
        .collect();
    written += &line("scripts", encode_scripts(&scripts()).unwrap());
    assert!(golden == written, "it would be:\n{written}");
}

/// One posting of each cause, a line each, as the first format that has a ledger writes them.
const GOLDEN_LEDGER: &str = include_str!("../../tests/golden/ledger-v4.hex");

fn ledger() -> Vec<Posting> {
    let workflow = WorkflowId([7; 16]);
    let seeker = Account::Seeker(SeekerId::new("ada").unwrap());
    let operator = Account::Operator(OperatorId::new("op-1").unwrap());
    let (budget, held) = (Account::Budget(workflow), Account::Held(workflow));
    let posting = |index, cause, from: &Account, to: &Account| Posting {
        index,
        time_ms: 1_800_000_000_000 + index,
        workflow,
        call: (cause != Cause::Close).then_some(CallId(7)),
        attempt: u32::from(cause != Cause::Close),
        cause,
        from: from.clone(),
        to: to.clone(),
        amount: Amount(50_000),
    };
    vec![
        posting(1, Cause::Reserve, &budget, &held),
        posting(2, Cause::Settle, &held, &operator),
        posting(3, Cause::Release, &held, &budget),
        posting(4, Cause::Close, &seeker, &budget),
    ]
}

#[test]
fn entries_of_the_ledger_are_read_for_ever() {
    let written: Vec<_> = ledger()
        .iter()
        .map(|entry| encode_posting(entry).unwrap())
        .collect();
    let lines: Vec<_> = written.iter().map(hex::encode).collect();
    let golden: Vec<_> = GOLDEN_LEDGER.lines().collect();
    assert!(golden == lines, "it would be:\n{}", lines.join("\n"));
    for (entry, bytes) in ledger().iter().zip(&written) {
        assert_eq!(decode_posting(bytes).unwrap(), *entry);
        assert!(matches!(decode(bytes), Err(CodecError::Checksum)));
    }
}

/// One entry of each origin, a line each, as the first format that has a history writes them.
const GOLDEN_HISTORY: &str = include_str!("../../tests/golden/history-v2.hex");

fn history() -> Vec<Served> {
    (1..)
        .zip(Origin::ALL)
        .map(|(index, origin)| Served {
            index,
            revision: revision_hash(&scripts()),
            time_ms: 1_800_000_000_000 + index,
            by: "ada".into(),
            origin,
            note: "fewer chunks".into(),
        })
        .collect()
}

#[test]
fn entries_of_the_history_are_read_for_ever() {
    let golden: Vec<_> = GOLDEN_HISTORY
        .lines()
        .map(|digits| decode_served(&hex::decode(digits).unwrap()).unwrap())
        .collect();
    assert_eq!(golden, history());
    for entry in history() {
        let bytes = encode_served(&entry).unwrap();
        assert_eq!(decode_served(&bytes).unwrap(), entry);
        // It is nothing else.
        assert!(matches!(decode(&bytes), Err(CodecError::Checksum)));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode_served(&damaged).is_err(), "byte {at}");
        }
    }
}

#[test]
fn damage_is_detected_wherever_it_is() {
    let (_, record) = samples().remove(0);
    let bytes = encode(&record).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(decode(&damaged).is_err(), "byte {at}");
        assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
    }
    let longer = [&bytes[..], &[0; 8]].concat();
    assert!(matches!(decode(&longer), Err(CodecError::Checksum)));
}

#[test]
fn a_newer_format_says_so() {
    let (_, record) = samples().remove(0);
    let mut bytes = encode(&record).unwrap();
    bytes[0] = FORMAT + 1;
    let error = decode(&bytes).unwrap_err().to_string();
    assert_eq!(error, "it has format 5, this program reads up to 4");
}

#[test]
fn a_record_is_no_script_set() {
    let bytes = encode_scripts(&ScriptSet::default()).unwrap();
    assert!(matches!(decode(&bytes), Err(CodecError::Checksum)));
    assert_eq!(decode_scripts(&bytes).unwrap(), ScriptSet::default());
}

/// Nothing is written that could not be read back.
#[test]
fn what_would_not_come_back_is_not_written() {
    let record = |body| Record { time_ms: 0, body };
    let finished = |value| record(Body::Finished(Finish::Output(value)));
    let item = |message: &str, device: Option<&str>| {
        record(Body::Item(Item {
            call: CallId(1),
            attempt: 1,
            index: 0,
            outcome: Err(ItemError {
                class: ErrorClass::Timeout,
                message: message.into(),
                operator: None,
            }),
            device: device.map(str::to_owned),
            usage: froben_model::Usage::default(),
        }))
    };
    assert!(encode(&item("late", None)).is_ok());
    for (why, record) in [
        ("weight", finished(Value::text("x".repeat(1 << 20)))),
        ("not finite", finished(Value::Number(f64::NAN))),
        ("read back", item("two\nlines", None)),
        ("read back", item("late", Some(""))),
        (
            "takes",
            record(Body::Logged {
                source: String::new(),
                text: "x".repeat(RECORD_BYTES),
                of: None,
            }),
        ),
    ] {
        let error = encode(&record).unwrap_err().to_string();
        assert!(error.contains(why), "{error}, not: {why}");
    }
    let mut set = scripts();
    let long = "x".repeat(limits::SCRIPT_BYTES + 1);
    set.files.insert("long.lua".into(), long);
    assert!(encode_scripts(&set).is_err());
}

#[test]
fn a_revision_is_its_content() {
    let hash = revision_hash(&scripts());
    expect_test::expect!["e6fee1872feae9c194e4377391cda6674f5f8f0aecc8b40edcf1d013adb1d475"]
        .assert_eq(&hash.to_string());

    let files = |files: &[(&str, &str)]| ScriptSet {
        files: files
            .iter()
            .map(|(path, source)| (path.to_string(), source.to_string()))
            .collect(),
    };
    // Sets that read the same without their lengths.
    let alike = [
        files(&[]),
        files(&[("", "")]),
        files(&[("a", "b")]),
        files(&[("ab", "")]),
        files(&[("", "ab")]),
        files(&[("a", "b"), ("c", "d")]),
        files(&[("a", "bcd")]),
    ];
    let hashes: std::collections::BTreeSet<_> = alike.iter().map(revision_hash).collect();
    assert_eq!(hashes.len(), alike.len());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e18..1e18).prop_map(Value::Number),
        ".{0,6}".prop_map(Value::Text),
        any::<[u8; 5]>().prop_map(|bytes| Value::Blob(BlobRef::of(&bytes))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn any_error() -> impl Strategy<Value = ItemError> {
    let class = prop::sample::select(ErrorClass::ALL.as_slice());
    let operator = prop::option::of("[a-z0-9._-]{1,64}".prop_map(|n| OperatorId::new(n).unwrap()));
    (class, "[^\\p{Cc}]{0,40}", operator).prop_map(|(class, message, operator)| ItemError {
        class,
        message: froben_model::limits::one_line(&message),
        operator,
    })
}

fn any_task() -> impl Strategy<Value = TaskSpec> {
    let needs = (any::<u32>(), any::<u64>(), any::<u64>(), any::<bool>());
    let times = (0..=limits::TIMEOUT_MS, 0..=limits::TIMEOUT_MS);
    let items = prop::collection::vec(any_value(), 1..4);
    let avoid = prop::collection::vec("[a-z]{1,9}", 0..4);
    (any_value(), items, needs, times, avoid, ".{0,12}").prop_map(
        |(input, items, (cpu_cores, ram_bytes, vram_bytes, shared), times, avoid, key)| TaskSpec {
            kind: Kind::new("era.prove/12").unwrap(),
            input,
            items,
            needs: Needs {
                cpu_cores,
                ram_bytes,
                vram_bytes,
                shared,
            },
            timeout_ms: times.0,
            queue_timeout_ms: times.1,
            avoid: avoid
                .into_iter()
                .map(|name| OperatorId::new(name).unwrap())
                .collect(),
            key,
            check: None,
            keys: Vec::new(),
            max_price: None,
        },
    )
}

fn any_fork() -> impl Strategy<Value = ForkedFrom> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    (any::<[u8; 16]>(), numbers).prop_map(|(workflow, (step, carried, begun_ms))| ForkedFrom {
        workflow: WorkflowId(workflow),
        step: CallId(step),
        carried,
        begun_ms,
    })
}

fn any_tally() -> impl Strategy<Value = Tally> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>());
    ("[a-z]{1,9}/[a-z]{1,9}", numbers).prop_map(|(machine, (ok, failed, at_ms))| Tally {
        machine: MachineId::new(machine).unwrap(),
        kind: Kind::new("era.prove/12").unwrap(),
        ok,
        failed,
        at_ms,
        times: Vec::new(),
        checked: ok / 2,
    })
}

fn any_body() -> impl Strategy<Value = Body> {
    let call = || any::<u64>().prop_map(CallId);
    let device = || prop::option::of(".{1,12}");
    let parent =
        (any::<[u8; 16]>(), call(), any::<u32>()).prop_map(|(workflow, call, depth)| Parent {
            workflow: WorkflowId(workflow),
            call,
            depth,
        });
    let submitted = (
        ".{0,9}",
        any::<[u8; 32]>(),
        "[a-z]{1,9}",
        ".{0,9}",
        any_value(),
        any::<u64>(),
        prop::option::of(parent),
        prop::option::of(any_fork()),
    )
        .prop_map(
            |(pipeline, revision, seeker, idempotency_key, input, seed, parent, forked_from)| {
                Body::Submitted(Submitted {
                    pipeline,
                    revision: RevisionHash(revision),
                    seeker: SeekerId::new(seeker).unwrap(),
                    idempotency_key,
                    input,
                    seed,
                    parent,
                    forked_from,
                    budget: None,
                    wanted_by_ms: None,
                })
            },
        );
    let op = prop_oneof![
        any_task().prop_map(CallOp::Delegate),
        any::<u64>().prop_map(|ms| CallOp::Sleep { ms }),
        (".{0,9}", any::<u64>(), any::<u64>())
            .prop_map(|(phase, done, total)| CallOp::Status(Status { phase, done, total })),
        ".{0,40}".prop_map(|text| CallOp::Log { text }),
        call().prop_map(|target| CallOp::Cancel { target }),
        (".{0,9}", any_value(), ".{0,9}").prop_map(|(pipeline, input, key)| CallOp::Run {
            pipeline,
            input,
            key,
        }),
    ];
    let called = (call(), any::<u32>(), op, any::<u64>()).prop_map(|(call, line, op, fed)| {
        Body::Called(Called {
            call,
            line,
            op,
            fed,
        })
    });
    let assigned = (
        call(),
        any::<u32>(),
        any::<u64>(),
        "[a-z]{1,9}/[a-z]{1,9}",
        device(),
        any::<u64>(),
    )
        .prop_map(|(call, attempt, epoch, machine, device, deadline_ms)| {
            Body::Assigned(Assigned {
                call,
                attempt,
                epoch,
                machine: MachineId::new(machine).unwrap(),
                device,
                deadline_ms,
                cpu_cores: 0,
                price: froben_model::Amount::ZERO,
                ram_bytes: 0,
                vram_bytes: 0,
            })
        });
    let outcome = prop_oneof![any_value().prop_map(Ok), any_error().prop_map(Err)];
    let item = (call(), any::<u32>(), any::<u32>(), outcome, device()).prop_map(
        |(call, attempt, index, outcome, device)| {
            Body::Item(Item {
                call,
                attempt,
                index,
                outcome,
                device,
                usage: froben_model::Usage::default(),
            })
        },
    );
    let end = prop::sample::select(vec![
        End::Succeeded,
        End::Failed,
        End::TimedOut,
        End::Cancelled,
    ]);
    let ended = (call(), any::<u32>(), end, prop::option::of(any_error())).prop_map(
        |(call, attempt, end, failure)| {
            Body::Ended(Ended {
                call,
                attempt,
                end,
                failure,
            })
        },
    );
    let finish = prop_oneof![
        any_value().prop_map(Finish::Output),
        (".{0,9}", ".{0,40}").prop_map(|(code, message)| Finish::Failed(Failure { code, message })),
        Just(Finish::Cancelled),
    ];
    prop_oneof![
        submitted,
        called,
        assigned,
        (call(), any::<u32>()).prop_map(|(call, attempt)| Body::Started { call, attempt }),
        item,
        (call(), any::<u32>(), ".{0,40}", any::<bool>()).prop_map(
            |(call, attempt, reason, fault)| Body::Requeued {
                call,
                attempt,
                reason,
                fault,
            }
        ),
        ended,
        call().prop_map(|call| Body::Slept { call }),
        Just(Body::CancelRequested),
        finish.clone().prop_map(Body::Finished),
        (call(), finish).prop_map(|(call, finish)| Body::ChildEnded { call, finish }),
        (".{0,9}", ".{0,40}").prop_map(|(source, text)| Body::Logged {
            source,
            text,
            of: None,
        }),
        prop::collection::vec(any_tally(), 0..4).prop_map(Body::Tallied),
        Just(Body::Paused),
        Just(Body::Resumed),
        any::<[u8; 32]>().prop_map(|hash| Body::Migrated {
            revision: RevisionHash(hash)
        }),
    ]
}

proptest! {
    #[test]
    fn records_round_trip(time_ms in any::<u64>(), body in any_body()) {
        let record = Record { time_ms, body };
        let bytes = encode(&record).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), record);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
        prop_assert!(decode(&bytes).is_err());
        prop_assert!(decode_scripts(&bytes).is_err());
    }
}
