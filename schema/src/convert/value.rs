//! Plain data. The one type that nests, and so the one that a hostile peer would use to exhaust a
//! reader: size and depth are checked before anything is allocated or entered.

use std::collections::BTreeMap;

use froben_model::{Value, limits};

use super::{Error, list_len, read_blob, read_text, write_blob};
use crate::common_capnp::value;

/// What a node, and a map's key beside its text, weigh; as in [`Value::weight`].
const NODE_BYTES: usize = 16;
/// What a blob reference weighs beside its node; as in [`Value::weight`].
const BLOB_REF_BYTES: usize = 40;

/// *Errors*: over [`limits::VALUE_BYTES`] or [`limits::VALUE_DEPTH`]; a map whose keys do not ascend
/// strictly; a number that is not finite; an unknown form.
pub fn read_value(reader: value::Reader<'_>) -> Result<Value, Error> {
    read(reader, 1, &mut Budget::default())
}

/// Weight that has been met so far.
#[derive(Default)]
struct Budget {
    spent: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.spent = self.spent.saturating_add(bytes);
        super::check_size(
            "a value's weight",
            self.spent as u64,
            limits::VALUE_BYTES as u64,
        )
    }

    /// Refuses a list whose mere length is over the limit, before it is walked.
    fn foresee(&self, nodes: u32, node_bytes: usize) -> Result<(), Error> {
        let foreseen = (nodes as usize).saturating_mul(node_bytes);
        Budget { spent: self.spent }.spend(foreseen)
    }
}

fn read(reader: value::Reader<'_>, depth: usize, budget: &mut Budget) -> Result<Value, Error> {
    super::check_size("a value's depth", depth as u64, limits::VALUE_DEPTH as u64)?;
    budget.spend(NODE_BYTES)?;
    Ok(match reader.which().map_err(Error::unknown("a value"))? {
        value::Nil(()) => Value::Nil,
        value::Bool(bool) => Value::Bool(bool),
        value::Int(int) => Value::Int(int),
        value::Number(number) if number.is_finite() => Value::Number(number),
        value::Number(_) => return Err(Error::NotFinite),
        value::Text(text) => {
            let text = text?;
            budget.spend(text.len())?;
            Value::Text(read_text("a text", text, limits::VALUE_BYTES)?)
        }
        value::List(list) => {
            let list = list?;
            budget.foresee(list.len(), NODE_BYTES)?;
            let values = list.iter().map(|value| read(value, depth + 1, budget));
            Value::List(values.collect::<Result<_, _>>()?)
        }
        value::Map(entries) => {
            let entries = entries?;
            budget.foresee(entries.len(), 2 * NODE_BYTES)?;
            let mut map = BTreeMap::new();
            for entry in entries.iter() {
                let key = entry.get_key()?;
                budget.spend(NODE_BYTES + key.len())?;
                let key = read_text("a key", key, limits::VALUE_BYTES)?;
                if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                    let key = limits::one_line(&key);
                    return Err(Error::KeyOrder { key });
                }
                map.insert(key, read(entry.get_value()?, depth + 1, budget)?);
            }
            Value::Map(map)
        }
        value::Blob(blob) => {
            budget.spend(BLOB_REF_BYTES)?;
            Value::Blob(read_blob(blob?)?)
        }
    })
}

pub fn write_value(value: &Value, mut builder: value::Builder<'_>) {
    match value {
        Value::Nil => builder.set_nil(()),
        Value::Bool(bool) => builder.set_bool(*bool),
        Value::Int(int) => builder.set_int(*int),
        Value::Number(number) => builder.set_number(*number),
        Value::Text(text) => builder.set_text(text),
        Value::List(values) => {
            let mut list = builder.init_list(list_len(values.len()));
            for (i, value) in (0..).zip(values) {
                write_value(value, list.reborrow().get(i));
            }
        }
        Value::Map(map) => {
            let mut entries = builder.init_map(list_len(map.len()));
            for (i, (key, value)) in (0..).zip(map) {
                let mut entry = entries.reborrow().get(i);
                entry.set_key(key);
                write_value(value, entry.init_value());
            }
        }
        Value::Blob(blob) => write_blob(blob, builder.init_blob()),
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{BlobHash, BlobRef};
    use proptest::prelude::*;

    use super::*;

    fn round_trip(value: &Value) -> Result<Value, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_value(value, message.init_root());
        read_value(message.get_root_as_reader()?)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e300..1e300).prop_map(Value::Number),
            ".{0,9}".prop_map(Value::Text),
            (any::<[u8; 32]>(), any::<u64>()).prop_map(|(hash, size_bytes)| {
                Value::Blob(BlobRef {
                    hash: BlobHash(hash),
                    size_bytes,
                })
            }),
        ];
        leaf.prop_recursive(6, 64, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::btree_map(".{0,4}", inner, 0..5).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_round_trip(value in any_value()) {
            prop_assert_eq!(round_trip(&value).unwrap(), value);
        }

        #[test]
        fn hostile_bytes_never_panic(
            value in any_value(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut message = capnp::message::Builder::new_default();
            write_value(&value, message.init_root());
            let mut bytes = capnp::serialize::write_message_to_words(&message);
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let options = capnp::message::ReaderOptions::new();
            if let Ok(message) = capnp::serialize::read_message(bytes.as_slice(), options)
                && let Ok(root) = message.get_root()
                && let Ok(read) = read_value(root)
            {
                prop_assert!(read.check_limits("value").is_ok());
            }
        }
    }

    /// The reader's limits are the model's own, to the byte.
    #[test]
    fn limits_are_the_models() {
        let room = limits::VALUE_BYTES;
        let nested = |depth: usize| (1..depth).fold(Value::Nil, |v, _| Value::List(vec![v]));
        let keyed = |len: usize| Value::map([("k".repeat(len), Value::Nil)]);
        for value in [
            Value::text("x".repeat(room - 16)),
            Value::text("x".repeat(room - 15)),
            Value::List(vec![Value::Nil; room / 16 - 1]),
            Value::List(vec![Value::Nil; room / 16]),
            keyed(room - 48),
            keyed(room - 47),
            nested(limits::VALUE_DEPTH),
            nested(limits::VALUE_DEPTH + 1),
            nested(limits::VALUE_DEPTH * 100),
        ] {
            let fits = value.check_limits("value").is_ok();
            assert_eq!(round_trip(&value).is_ok(), fits, "{}", value.weight());
        }
    }

    #[test]
    fn numbers_are_finite() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = round_trip(&Value::Number(number)).unwrap_err();
            assert!(matches!(error, Error::NotFinite), "{error:?}");
        }
    }

    #[test]
    fn keys_ascend_strictly() {
        for (first, second, fits) in [("a", "b", true), ("b", "a", false), ("a", "a", false)] {
            let mut message = capnp::message::Builder::new_default();
            let root = message.init_root::<value::Builder<'_>>();
            let mut entries = root.init_map(2);
            entries.reborrow().get(0).set_key(first);
            entries.reborrow().get(1).set_key(second);
            let read = read_value(message.get_root_as_reader().unwrap());
            assert_eq!(read.is_ok(), fits, "{first} {second}: {read:?}");
        }
    }

    #[test]
    fn a_list_that_claims_to_be_long_is_refused_before_it_is_walked() {
        // 2^29 - 1 elements of no size at all: a few bytes on the wire.
        let mut message = capnp::message::Builder::new_default();
        let root = message.init_root::<value::Builder<'_>>();
        root.init_list(0);
        let mut bytes = capnp::serialize::write_message_to_words(&message);
        let tag = bytes.len() - 8;
        bytes[tag..].copy_from_slice(&0x7fff_fffc_u64.to_le_bytes());
        // Without Cap'n Proto's own limit, which counts such elements too.
        let mut options = capnp::message::ReaderOptions::new();
        options.traversal_limit_in_words(None);
        let message = capnp::serialize::read_message(bytes.as_slice(), options).unwrap();
        let error = read_value(message.get_root().unwrap()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    }
}
