//! Every message goes over the wire and comes back; what is no message is refused with a reason.

#![allow(clippy::unwrap_used)]

use ciborium::Value as Cbor;
use froben_model::{BlobRef, DeviceSpec, ErrorClass, Kind, Value, limits};
use froben_protocol::codec::{
    decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker,
};
use froben_protocol::{Failure, FromWorker, Hello, Level, Role, Run, RunItem, RunKey, ToWorker};
use proptest::prelude::*;

const V: u32 = 1;

fn hello() -> Hello {
    Hello {
        token: "secret".to_owned(),
        protocols: vec![1],
        name: "test".to_owned(),
        version: "0.1".to_owned(),
        role: Role::Device,
        kinds: vec![Kind::new("a.b/1").unwrap()],
        devices: vec![DeviceSpec {
            id: "pci:1".to_owned(),
            name: "n".to_owned(),
            vendor: "v".to_owned(),
            driver: "d".to_owned(),
            vram_bytes: 1 << 30,
        }],
        notes: vec!["a note".to_owned()],
    }
}

fn from_worker() -> Vec<FromWorker> {
    let blob = BlobRef::of(b"x");
    let failure = || Failure::new(ErrorClass::OutOfMemory, "why");
    let item = |outcome| FromWorker::Item {
        task: 1,
        index: 2,
        outcome,
        device: Some("GPU".to_owned()),
        vram_bytes: Some(1 << 33),
    };
    vec![
        FromWorker::Hello(hello()),
        FromWorker::Alive,
        FromWorker::Read {
            req: 1,
            blob,
            offset: u64::MAX,
            len: limits::CHUNK_BYTES as u32,
        },
        FromWorker::Open {
            req: 2,
            upload: 3,
            max_bytes: limits::BLOB_BYTES,
        },
        FromWorker::Write {
            req: 3,
            upload: 3,
            bytes: vec![7; limits::CHUNK_BYTES],
        },
        FromWorker::Publish {
            req: 4,
            upload: 3,
            blob,
        },
        FromWorker::Discard { upload: 3 },
        item(Ok(Value::Nil)),
        item(Ok(Value::map([("proof", Value::Blob(blob))]))),
        item(Err(failure())),
        FromWorker::Finished {
            task: 1,
            failure: None,
            leaving: false,
        },
        FromWorker::Finished {
            task: 1,
            failure: Some(failure()),
            leaving: true,
        },
        FromWorker::Log {
            task: None,
            level: Level::Warn,
            line: "l".to_owned(),
        },
        FromWorker::Log {
            task: Some(4),
            level: Level::Debug,
            line: String::new(),
        },
    ]
}

fn to_worker() -> Vec<ToWorker> {
    vec![
        ToWorker::Welcome { protocol: 1 },
        ToWorker::Refused {
            reason: "no".to_owned(),
        },
        ToWorker::Run(Run {
            task: 9,
            kind: Kind::new("a.b/1").unwrap(),
            input: Value::text("x"),
            items: vec![RunItem {
                index: 4,
                input: Value::Nil,
            }],
            device: Some("pci:1".to_owned()),
            cpu_cores: 2,
            ram_bytes: 3,
            vram_bytes: 4,
            timeout_ms: 5,
            keys: vec![RunKey {
                name: "crs".to_owned(),
                sha256: [9; 32],
                path: "/keys/crs".to_owned(),
            }],
        }),
        ToWorker::Cancel { task: 9 },
        ToWorker::Shutdown,
        ToWorker::Chunk {
            req: 1,
            bytes: vec![0; 3],
        },
        ToWorker::Done { req: 1 },
        ToWorker::Failed {
            req: 1,
            failure: Failure::new(ErrorClass::WorkerFailed, "gone"),
        },
    ]
}

#[test]
fn every_message_round_trips() {
    for message in from_worker() {
        let wire = encode_from_worker(&message);
        assert_eq!(decode_from_worker(&wire, V).unwrap(), message);
    }
    for message in to_worker() {
        let wire = encode_to_worker(&message);
        assert_eq!(decode_to_worker(&wire, V).unwrap(), message);
    }
}

/// The wire, byte for byte: what a worker in another language was written against.
#[test]
fn the_wire_of_a_message_is_fixed() {
    let wire = encode_from_worker(&FromWorker::Item {
        task: 1,
        index: 2,
        outcome: Ok(Value::Bool(true)),
        device: None,
        vram_bytes: None,
    });
    assert_eq!(
        wire,
        b"\xa5\x61v\x01\x64type\x64item\x64task\x01\x65index\x02\x65value\xf5"
    );
    let wire = encode_to_worker(&ToWorker::Cancel { task: 300 });
    assert_eq!(wire, b"\xa3\x61v\x01\x64type\x66cancel\x64task\x19\x01\x2c");
}

fn map(entries: Vec<(&str, Cbor)>) -> Vec<u8> {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (Cbor::from(key), value))
        .collect();
    let mut wire = Vec::new();
    ciborium::into_writer(&Cbor::Map(entries), &mut wire).unwrap();
    wire
}

fn typed(name: &str, mut entries: Vec<(&'static str, Cbor)>) -> Vec<u8> {
    entries.insert(0, ("v", Cbor::from(1)));
    entries.insert(1, ("type", Cbor::from(name)));
    map(entries)
}

#[test]
fn fields_that_are_not_known_are_skipped() {
    let wire = typed("cancel", vec![("task", Cbor::from(1)), ("new", Cbor::Null)]);
    let message = decode_to_worker(&wire, V).unwrap();
    assert_eq!(message, ToWorker::Cancel { task: 1 });
}

/// A `run` with these keys, or as daemons wrote it that knew of none.
fn run_with(keys: Option<Cbor>) -> Result<Vec<RunKey>, String> {
    let mut fields = vec![
        ("task", Cbor::from(9)),
        ("kind", Cbor::from("a.b/1")),
        ("input", Cbor::Null),
        ("items", Cbor::Array(Vec::new())),
        ("cpu_cores", Cbor::from(1)),
        ("ram_bytes", Cbor::from(0)),
        ("vram_bytes", Cbor::from(0)),
        ("timeout_ms", Cbor::from(5)),
    ];
    fields.extend(keys.map(|keys| ("keys", keys)));
    match decode_to_worker(&typed("run", fields), V) {
        Ok(ToWorker::Run(run)) => Ok(run.keys),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn keys_of_a_run_are_optional_and_whole() {
    assert_eq!(run_with(None), Ok(Vec::new()));
    let key = |sha256: Vec<u8>, path: String| {
        Cbor::Map(vec![
            (Cbor::from("name"), Cbor::from("crs")),
            (Cbor::from("sha256"), Cbor::from(sha256)),
            (Cbor::from("path"), Cbor::from(path)),
        ])
    };
    let good = key(vec![7; 32], "/keys/crs".to_owned());
    let read = run_with(Some(Cbor::Array(vec![good.clone()]))).unwrap();
    assert_eq!((read[0].name.as_str(), read[0].sha256), ("crs", [7; 32]));
    assert_eq!(read[0].path, "/keys/crs");
    for (keys, why) in [
        (good.clone(), "`keys` is not a list"),
        (
            Cbor::Array(vec![key(vec![7; 31], "/keys".to_owned())]),
            "not 32 bytes",
        ),
        (
            Cbor::Array(vec![key(vec![7; 32], "/".repeat(4097))]),
            "a path of 4097 bytes",
        ),
        (Cbor::Array(vec![Cbor::Map(vec![])]), "lacks `name`"),
        (
            Cbor::Array(vec![good; limits::SETUP_KEYS + 1]),
            "holds 1025, the limit is 1024",
        ),
    ] {
        let error = run_with(Some(keys)).unwrap_err();
        assert!(error.contains(why), "{error}, not: {why}");
    }
}

#[test]
fn what_is_no_message_is_refused_with_a_reason() {
    let too_much = Cbor::Bytes(vec![0; limits::CHUNK_BYTES + 1]);
    let write = |bytes| {
        typed(
            "write",
            vec![
                ("req", Cbor::from(1)),
                ("upload", Cbor::from(1)),
                ("bytes", bytes),
            ],
        )
    };
    let mut trailing = typed("alive", vec![]);
    trailing.push(0);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "no CBOR"),
        (vec![0xff], "no CBOR"),
        (vec![0x81; 1000], "no CBOR"),
        (vec![0xc1; 1000], "no CBOR"),
        (vec![0x01], "it is not a map"),
        (map(vec![]), "it lacks `v`"),
        (map(vec![("v", Cbor::from(1))]), "it lacks `type`"),
        (
            map(vec![("v", Cbor::from(2)), ("type", Cbor::from("alive"))]),
            "version 2, agreed is 1",
        ),
        (
            map(vec![("v", Cbor::from("1")), ("type", Cbor::from("alive"))]),
            "`v` is not a whole number",
        ),
        (typed("dance", vec![]), "`dance` is not known"),
        (trailing, "1 bytes follow it"),
        (
            typed("alive", vec![("v", Cbor::from(1))]),
            "it has a key twice",
        ),
        (typed("discard", vec![]), "`upload` is missing"),
        (
            typed("discard", vec![("upload", Cbor::from(-1))]),
            "`upload` is not a whole number",
        ),
        (write(too_much), "the limit is 262144"),
        (write(Cbor::Null), "`bytes` is not a byte string"),
        (
            typed(
                "item",
                vec![("task", Cbor::from(1)), ("index", Cbor::from(1u64 << 32))],
            ),
            "`index` is more than 2^32-1",
        ),
        (
            typed(
                "item",
                vec![("task", Cbor::from(1)), ("index", Cbor::from(1))],
            ),
            "one of them",
        ),
        (
            typed("hello", vec![("token", Cbor::from("x".repeat(300)))]),
            "the limit is 256",
        ),
    ];
    for (wire, expected) in cases {
        let error = decode_from_worker(&wire, V).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        assert!(error.len() < 300, "{error}");
        assert!(decode_to_worker(&wire, V).is_err());
    }
}

#[test]
fn lists_have_limits() {
    let mut hello = hello();
    hello.kinds = vec![Kind::new("a/1").unwrap(); limits::KINDS + 1];
    let wire = encode_from_worker(&FromWorker::Hello(hello));
    let error = decode_from_worker(&wire, V).unwrap_err().to_string();
    assert!(error.contains("`kinds` holds 257"), "{error}");
}

#[test]
fn a_token_is_not_printed() {
    assert!(!format!("{:?}", FromWorker::Hello(hello())).contains("secret"));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_never_panics(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_from_worker(&wire, V).is_err());
        prop_assert!(decode_to_worker(&wire, V).is_err());
    }

    #[test]
    fn a_damaged_message_is_another_or_an_error(
        which in 0usize..22,
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut wires: Vec<Vec<u8>> = from_worker().iter().map(encode_from_worker).collect();
        wires.extend(to_worker().iter().map(encode_to_worker));
        let mut wire = wires.swap_remove(which);
        let place = place.index(wire.len());
        if cut {
            wire.truncate(place);
            prop_assert!(decode_from_worker(&wire, V).is_err());
            prop_assert!(decode_to_worker(&wire, V).is_err());
        } else {
            wire[place] = byte;
            // What is read can be written, and reads as the same again.
            if let Ok(message) = decode_from_worker(&wire, V) {
                let again = encode_from_worker(&message);
                prop_assert_eq!(decode_from_worker(&again, V).unwrap(), message);
            }
            if let Ok(message) = decode_to_worker(&wire, V) {
                let again = encode_to_worker(&message);
                prop_assert_eq!(decode_to_worker(&again, V).unwrap(), message);
            }
        }
    }
}
