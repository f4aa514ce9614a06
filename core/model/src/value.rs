//! What a script hands to a task and gets back: plain data.

use std::collections::BTreeMap;

use crate::{BlobRef, Error, limits};

/// Plain data. Maps are ordered by key, so that equal values have one encoding.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Nil,
    Bool(bool),
    /// A whole number. Lua's numbers are doubles, so a script holds it exactly up to 2^53.
    Int(i64),
    /// A finite number that is not whole.
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Blob(BlobRef),
}

impl Value {
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Map(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// The entry `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    pub fn as_blob(&self) -> Option<BlobRef> {
        match self {
            Value::Blob(blob) => Some(*blob),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// What kind of data this is, in a script author's words.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "table",
            Value::Blob(_) => "blob",
        }
    }

    /// Every blob inside, in order.
    pub fn blobs(&self) -> Vec<BlobRef> {
        let mut found = Vec::new();
        self.collect_blobs(&mut found);
        found
    }

    fn collect_blobs(&self, found: &mut Vec<BlobRef>) {
        match self {
            Value::Blob(blob) => found.push(*blob),
            Value::List(list) => list.iter().for_each(|v| v.collect_blobs(found)),
            Value::Map(map) => map.values().for_each(|v| v.collect_blobs(found)),
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// About how many bytes the value takes anywhere: 16 a node and the length of its texts.
    pub fn weight(&self) -> usize {
        16 + match self {
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Number(_) => 0,
            Value::Text(text) => text.len(),
            Value::List(list) => list.iter().map(Value::weight).sum(),
            Value::Map(map) => map.iter().map(|(k, v)| 16 + k.len() + v.weight()).sum(),
            Value::Blob(_) => 40,
        }
    }

    /// The plain fields of a table on one line of at most `most` characters, for people:
    /// `data=16384 bytes, params=dev, token=hidden` if `secret` says so of that name.
    pub fn brief(&self, most: usize, secret: impl Fn(&str) -> bool) -> String {
        let Value::Map(map) = self else {
            return String::new();
        };
        let field = |(name, value): (&String, &Value)| match value {
            Value::Nil | Value::List(_) | Value::Map(_) => None,
            _ if secret(name) => Some(format!("{name}=hidden")),
            Value::Bool(bool) => Some(format!("{name}={bool}")),
            Value::Int(int) => Some(format!("{name}={int}")),
            Value::Number(number) => Some(format!("{name}={number}")),
            Value::Text(text) => Some(format!("{name}={text}")),
            Value::Blob(blob) => Some(format!("{name}={} bytes", blob.size_bytes)),
        };
        let fields: Vec<String> = map.iter().filter_map(field).collect();
        let line = limits::one_line(&fields.join(", "));
        match line.char_indices().nth(most) {
            None => line,
            Some(_) => line.chars().take(most - 1).chain(['…']).collect(),
        }
    }

    fn depth(&self) -> usize {
        1 + match self {
            Value::List(list) => list.iter().map(Value::depth).max().unwrap_or(0),
            Value::Map(map) => map.values().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Holds the value against [`limits::VALUE_BYTES`] and [`limits::VALUE_DEPTH`].
    pub fn check_limits(&self, what: &'static str) -> Result<(), Error> {
        for (size, limit) in [
            (self.depth(), limits::VALUE_DEPTH),
            (self.weight(), limits::VALUE_BYTES),
        ] {
            if size > limit {
                let (size, limit) = (size as u64, limit as u64);
                return Err(Error::TooLarge { what, size, limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_found_wherever_they_are() {
        let blob = BlobRef::of(b"x");
        let value = Value::map([
            ("a", Value::List(vec![Value::Blob(blob), Value::Nil])),
            ("b", Value::map([("c", Value::Blob(blob))])),
        ]);
        assert_eq!(value.blobs(), [blob, blob]);
        assert_eq!(
            value.get("b").and_then(|b| b.get("c")),
            Some(&Value::Blob(blob))
        );
    }

    #[test]
    fn a_brief_is_one_short_line_of_the_plain_fields() {
        let value = Value::map([
            ("data", Value::Blob(BlobRef::of(b"xyz"))),
            ("list", Value::List(vec![])),
            ("params", Value::text("dev\n")),
        ]);
        let open = |_: &str| false;
        assert_eq!(value.brief(80, open), "data=3 bytes, params=dev ");
        assert_eq!(value.brief(8, open), "data=3 …");
        assert_eq!(Value::Nil.brief(80, open), "");
        let discreet = value.brief(80, |name| name == "params" || name == "list");
        assert_eq!(discreet, "data=3 bytes, params=hidden");
    }

    #[test]
    fn limits_hold_for_size_and_depth() {
        let big = Value::text("x".repeat(limits::VALUE_BYTES));
        assert!(big.check_limits("value").is_err());
        let mut deep = Value::Nil;
        for _ in 0..limits::VALUE_DEPTH {
            deep = Value::List(vec![deep]);
        }
        assert!(deep.check_limits("value").is_err());
        assert!(
            Value::List(vec![Value::Int(1)])
                .check_limits("value")
                .is_ok()
        );
    }
}
