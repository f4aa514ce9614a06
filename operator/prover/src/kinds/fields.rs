//! Reading a task's input: each field has a form, and what has not is `bad_request`.

use std::str::FromStr;

use froben_model::{BlobRef, Value};
use froben_protocol::Failure;

use super::bad_request;

/// A table and what it is called in messages.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    what: &'static str,
    value: &'a Value,
}

impl<'a> Fields<'a> {
    pub(super) fn of(what: &'static str, value: &'a Value) -> Result<Self, Failure> {
        match value {
            Value::Map(_) => Ok(Fields { what, value }),
            other => Err(bad_request(format!(
                "the {what} is a {}, expected a table",
                other.kind_name()
            ))),
        }
    }

    fn field<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Failure> {
        let what = self.what;
        match self.value.get(name) {
            None => Err(bad_request(format!("the {what} lacks `{name}`"))),
            Some(value) => read(value).ok_or_else(|| {
                let met = value.kind_name();
                bad_request(format!(
                    "`{name}` of the {what} is not {expected} but a {met}"
                ))
            }),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    pub(super) fn blob(&self, name: &str) -> Result<BlobRef, Failure> {
        self.field(name, "a blob", Value::as_blob)
    }

    pub(super) fn u32(&self, name: &str) -> Result<u32, Failure> {
        self.field(name, "a whole number from 0 to 2^32-1", |value| {
            value.as_int().and_then(|int| u32::try_from(int).ok())
        })
    }

    pub(super) fn table(&self, name: &'static str) -> Result<Fields<'a>, Failure> {
        let value = self.field(name, "a table", Some)?;
        Fields::of(name, value)
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Failure> {
        self.field(name, "a list", Value::as_list)
    }

    /// One of a few names.
    pub(super) fn named<T>(&self, name: &str) -> Result<T, Failure>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let text = self.field(name, "a string", Value::as_text)?;
        text.parse()
            .map_err(|error| bad_request(format!("`{name}` of the {}: {error}", self.what)))
    }
}

#[cfg(test)]
mod tests {
    use froben_circuits::Params;

    use super::*;

    #[test]
    fn what_has_not_the_form_is_named() {
        let input = Value::map([
            ("params", Value::text("fast")),
            ("index", Value::Int(-1)),
            ("data", Value::Nil),
        ]);
        let fields = Fields::of("input", &input).unwrap();
        let cases = [
            (
                fields.named::<Params>("params").map(|_| ()),
                "`params` of the input: unknown parameters \"fast\"",
            ),
            (
                fields.u32("index").map(|_| ()),
                "`index` of the input is not a whole number",
            ),
            (
                fields.blob("data").map(|_| ()),
                "`data` of the input is not a blob but a nil",
            ),
            (
                fields.list("proofs").map(|_| ()),
                "the input lacks `proofs`",
            ),
            (
                Fields::of("item", &Value::Nil).map(|_| ()),
                "the item is a nil, expected a table",
            ),
        ];
        for (result, expected) in cases {
            let failure = result.unwrap_err().to_string();
            assert!(failure.starts_with("bad_request: "), "{failure}");
            assert!(failure.contains(expected), "{failure} lacks {expected}");
        }
    }
}
