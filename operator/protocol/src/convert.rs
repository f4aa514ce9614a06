//! Values, blobs, devices and failures as CBOR, both ways.
//!
//! | value | CBOR |
//! |---|---|
//! | nil, boolean, text | null, boolean, text string |
//! | whole number | integer; a float without a fraction is read as one up to 2^53 |
//! | other number | float, finite |
//! | list, map | array; map with text keys, none twice |
//! | blob | tag 61616 over `[hash (32 bytes), size]` |
//!
//! Byte strings are no values: bytes travel as blobs.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use froben_model::{BlobHash, BlobRef, DeviceSpec, ErrorClass, Value, limits};

use crate::message::Failure;

/// The CBOR tag of a blob reference.
pub const BLOB_TAG: u64 = 0xf0b0;

/// Longest name, id or note.
pub(crate) const NAME_BYTES: usize = 256;

/// Whole numbers up to here are exact as floats.
const EXACT: f64 = (1u64 << 53) as f64;

/// Why a piece of CBOR is not what it should be; a clause that follows the field's name.
pub type Why = String;

pub fn value_to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Nil => Cbor::Null,
        Value::Bool(bool) => Cbor::Bool(*bool),
        Value::Int(int) => Cbor::Integer((*int).into()),
        Value::Number(number) => Cbor::Float(*number),
        Value::Text(text) => Cbor::Text(text.clone()),
        Value::List(list) => Cbor::Array(list.iter().map(value_to_cbor).collect()),
        Value::Map(map) => Cbor::Map(
            map.iter()
                .map(|(key, value)| (Cbor::Text(key.clone()), value_to_cbor(value)))
                .collect(),
        ),
        Value::Blob(blob) => blob_to_cbor(*blob),
    }
}

/// Reads a value and holds it against the model's limits.
pub fn value_from_cbor(cbor: Cbor) -> Result<Value, Why> {
    let value = value(cbor)?;
    match value.check_limits("it") {
        Ok(()) => Ok(value),
        Err(error) => Err(format!("is no value: {error}")),
    }
}

fn value(cbor: Cbor) -> Result<Value, Why> {
    let no_value = |what: &str| Err(format!("is no value: it holds {what}"));
    match cbor {
        Cbor::Null => Ok(Value::Nil),
        Cbor::Bool(bool) => Ok(Value::Bool(bool)),
        Cbor::Integer(int) => match i64::try_from(i128::from(int)) {
            Ok(int) => Ok(Value::Int(int)),
            Err(_) => no_value("a whole number of more than 64 bits"),
        },
        Cbor::Float(number) if !number.is_finite() => no_value("a number that is not finite"),
        Cbor::Float(number) if number.trunc() == number && number.abs() <= EXACT => {
            Ok(Value::Int(number as i64))
        }
        Cbor::Float(number) => Ok(Value::Number(number)),
        Cbor::Text(text) => Ok(Value::Text(text)),
        Cbor::Array(list) => Ok(Value::List(
            list.into_iter().map(value).collect::<Result<_, _>>()?,
        )),
        Cbor::Map(entries) => {
            let mut map = BTreeMap::new();
            for (key, entry) in entries {
                let Cbor::Text(key) = key else {
                    return no_value("a key that is not text");
                };
                if map.insert(key, value(entry)?).is_some() {
                    return no_value("a key twice");
                }
            }
            Ok(Value::Map(map))
        }
        Cbor::Tag(BLOB_TAG, blob) => Ok(Value::Blob(blob_parts(*blob)?)),
        Cbor::Tag(..) => no_value("an unknown tag"),
        Cbor::Bytes(_) => no_value("bytes, which travel as blobs"),
        _ => no_value("unknown CBOR"),
    }
}

pub fn blob_to_cbor(blob: BlobRef) -> Cbor {
    let BlobRef { hash, size_bytes } = blob;
    let BlobHash(hash) = hash;
    let parts = vec![Cbor::Bytes(hash.to_vec()), Cbor::Integer(size_bytes.into())];
    Cbor::Tag(BLOB_TAG, Box::new(Cbor::Array(parts)))
}

pub fn blob_from_cbor(cbor: Cbor) -> Result<BlobRef, Why> {
    match cbor {
        Cbor::Tag(BLOB_TAG, blob) => blob_parts(*blob),
        _ => Err("is no blob reference".to_owned()),
    }
}

fn blob_parts(cbor: Cbor) -> Result<BlobRef, Why> {
    let no_blob = || format!("holds tag {BLOB_TAG} over something other than [32 bytes, size]");
    let Cbor::Array(parts) = cbor else {
        return Err(no_blob());
    };
    let Ok([Cbor::Bytes(hash), Cbor::Integer(size)]) = <[Cbor; 2]>::try_from(parts) else {
        return Err(no_blob());
    };
    let hash = BlobHash(hash.try_into().map_err(|_| no_blob())?);
    let size_bytes = u64::try_from(size).map_err(|_| no_blob())?;
    match size_bytes <= limits::BLOB_BYTES {
        true => Ok(BlobRef { hash, size_bytes }),
        false => Err(format!(
            "is a blob of {size_bytes} bytes, the limit is {}",
            limits::BLOB_BYTES
        )),
    }
}

pub fn device_to_cbor(device: &DeviceSpec) -> Cbor {
    let DeviceSpec {
        id,
        name,
        vendor,
        driver,
        vram_bytes,
    } = device;
    Cbor::Map(vec![
        (Cbor::from("id"), Cbor::from(id.as_str())),
        (Cbor::from("name"), Cbor::from(name.as_str())),
        (Cbor::from("vendor"), Cbor::from(vendor.as_str())),
        (Cbor::from("driver"), Cbor::from(driver.as_str())),
        (Cbor::from("vram_bytes"), Cbor::from(*vram_bytes)),
    ])
}

pub fn device_from_cbor(cbor: Cbor) -> Result<DeviceSpec, Why> {
    let (mut id, mut name, mut vendor, mut driver) = Default::default();
    let mut vram_bytes = 0;
    for (key, entry) in entries(cbor)? {
        match key.as_str() {
            "id" => id = name_from_cbor(entry)?,
            "name" => name = name_from_cbor(entry)?,
            "vendor" => vendor = name_from_cbor(entry)?,
            "driver" => driver = name_from_cbor(entry)?,
            "vram_bytes" => vram_bytes = uint_from_cbor(entry)?,
            _ => {}
        }
    }
    if id.is_empty() {
        return Err("holds a device without an id".to_owned());
    }
    Ok(DeviceSpec {
        id,
        name,
        vendor,
        driver,
        vram_bytes,
    })
}

pub fn failure_to_cbor(failure: &Failure) -> Cbor {
    let Failure { class, message } = failure;
    Cbor::Map(vec![
        (Cbor::from("class"), Cbor::from(class.name())),
        (Cbor::from("message"), Cbor::from(message.as_str())),
    ])
}

pub fn failure_from_cbor(cbor: Cbor) -> Result<Failure, Why> {
    let (mut class, mut message) = (None, String::new());
    for (key, entry) in entries(cbor)? {
        match (key.as_str(), entry) {
            ("class", Cbor::Text(name)) => {
                class = Some(name.parse::<ErrorClass>().map_err(|e| e.to_string())?);
            }
            ("message", Cbor::Text(text)) => message = text,
            ("class" | "message", _) => return Err(format!("holds a {key} that is not text")),
            _ => {}
        }
    }
    let class = class.ok_or("holds no class")?;
    Ok(Failure::new(class, message))
}

/// A short text on one line.
pub(crate) fn name_from_cbor(cbor: Cbor) -> Result<String, Why> {
    match cbor {
        Cbor::Text(text) if text.len() <= NAME_BYTES => Ok(limits::one_line(&text)),
        Cbor::Text(text) => Err(format!(
            "holds a text of {} bytes, the limit is {NAME_BYTES}",
            text.len()
        )),
        _ => Err("holds something other than text".to_owned()),
    }
}

pub(crate) fn uint_from_cbor(cbor: Cbor) -> Result<u64, Why> {
    match cbor {
        Cbor::Integer(int) => u64::try_from(int).ok(),
        _ => None,
    }
    .ok_or_else(|| "is not a whole number from 0 to 2^64-1".to_owned())
}

/// The entries of a map with text keys, none twice.
pub(crate) fn entries(cbor: Cbor) -> Result<BTreeMap<String, Cbor>, Why> {
    let Cbor::Map(pairs) = cbor else {
        return Err("is not a map".to_owned());
    };
    let mut map = BTreeMap::new();
    for (key, entry) in pairs {
        let Cbor::Text(key) = key else {
            return Err("has a key that is not text".to_owned());
        };
        if map.insert(key, entry).is_some() {
            return Err("has a key twice".to_owned());
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1_000_000i32..1_000_000).prop_map(|n| Value::Number(f64::from(n) + 0.5)),
            ".{0,12}".prop_map(Value::Text),
            any::<[u8; 32]>().prop_map(|hash| Value::Blob(BlobRef {
                hash: BlobHash(hash),
                size_bytes: 7,
            })),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::btree_map(".{0,6}", inner, 0..5).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_round_trip(value in values()) {
            prop_assert_eq!(value_from_cbor(value_to_cbor(&value)), Ok(value));
        }

        #[test]
        fn a_value_on_the_wire_is_no_longer_than_its_weight(value in values()) {
            let mut wire = Vec::new();
            ciborium::into_writer(&value_to_cbor(&value), &mut wire).unwrap();
            prop_assert!(wire.len() <= value.weight(), "{} > {}", wire.len(), value.weight());
        }
    }

    #[test]
    fn numbers_have_one_reading() {
        for (cbor, value) in [
            (Cbor::Float(3.0), Value::Int(3)),
            (Cbor::Float(-0.0), Value::Int(0)),
            (Cbor::Float(0.5), Value::Number(0.5)),
            (Cbor::Float(1e300), Value::Number(1e300)),
            (Cbor::from(i64::MIN), Value::Int(i64::MIN)),
        ] {
            assert_eq!(value_from_cbor(cbor), Ok(value));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let text = |text: &str| Cbor::Text(text.to_owned());
        let mut deep = Cbor::Null;
        for _ in 0..limits::VALUE_DEPTH {
            deep = Cbor::Array(vec![deep]);
        }
        let blob = |hash: usize, size: i64| {
            let parts = vec![Cbor::Bytes(vec![0; hash]), Cbor::from(size)];
            Cbor::Tag(BLOB_TAG, Box::new(Cbor::Array(parts)))
        };
        for (cbor, expected) in [
            (Cbor::Float(f64::NAN), "not finite"),
            (Cbor::Float(f64::INFINITY), "not finite"),
            (Cbor::from(u64::MAX), "64 bits"),
            (Cbor::Bytes(vec![1]), "blobs"),
            (Cbor::Tag(1, Box::new(Cbor::Null)), "unknown tag"),
            (Cbor::Map(vec![(Cbor::Null, Cbor::Null)]), "not text"),
            (
                Cbor::Map(vec![(text("a"), Cbor::Null), (text("a"), Cbor::Null)]),
                "twice",
            ),
            (blob(31, 0), "[32 bytes, size]"),
            (blob(32, -1), "[32 bytes, size]"),
            (blob(32, i64::MAX), "the limit is"),
            (deep, "the limit is 16"),
            (text(&"x".repeat(limits::VALUE_BYTES)), "the limit is"),
        ] {
            let why = value_from_cbor(cbor.clone()).unwrap_err();
            assert!(why.contains(expected), "{why:?} lacks {expected:?}");
        }
    }

    #[test]
    fn devices_and_failures_round_trip_and_are_cut_to_a_line() {
        let device = DeviceSpec {
            id: "pci:0000:01:00.0".to_owned(),
            name: "A".to_owned(),
            vendor: "B".to_owned(),
            driver: "C".to_owned(),
            vram_bytes: 5,
        };
        assert_eq!(device_from_cbor(device_to_cbor(&device)), Ok(device));
        for class in ErrorClass::ALL {
            let failure = Failure::new(class, "why");
            assert_eq!(failure_from_cbor(failure_to_cbor(&failure)), Ok(failure));
        }
        let failure = Cbor::Map(vec![
            (Cbor::from("class"), Cbor::from("worker_failed")),
            (Cbor::from("message"), Cbor::from("a\nb")),
        ]);
        assert_eq!(failure_from_cbor(failure).unwrap().message, "a b");
        assert!(failure_from_cbor(Cbor::Map(vec![])).is_err());
        assert!(device_from_cbor(Cbor::Map(vec![])).is_err());
    }
}
