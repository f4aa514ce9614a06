//! The fields of one message: written one after the other, read by name.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use froben_model::limits;

use crate::convert::{Why, entries, failure_from_cbor, name_from_cbor, uint_from_cbor};
use crate::message::Failure;
use crate::{Error, VERSIONS};

/// `v` of the messages that agree on a version.
const HANDSHAKE_VERSION: u32 = 1;

/// How deep a message nests: a value, inside an item, inside a list, inside the message; and each
/// level may be a tag over an array.
const DEPTH: usize = 2 * limits::VALUE_DEPTH + 8;

/// A message under construction.
pub(crate) struct Writer(Vec<(Cbor, Cbor)>);

impl Writer {
    pub(crate) fn new(name: &str) -> Self {
        let version = match name {
            "hello" | "welcome" | "refused" => HANDSHAKE_VERSION,
            _ => VERSIONS[0],
        };
        Writer(Vec::new()).field("v", version).field("type", name)
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Cbor>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    pub(crate) fn optional(self, name: &str, value: Option<impl Into<Cbor>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    pub(crate) fn list(self, name: &str, values: impl Iterator<Item = Cbor>) -> Self {
        self.field(name, Cbor::Array(values.collect()))
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Map(self.0), &mut bytes)
            .expect("invariant: a vector takes all that is written to it");
        bytes
    }
}

/// A message being read, field by field.
pub(crate) struct Reader {
    version: u64,
    pub(crate) name: String,
    fields: BTreeMap<String, Cbor>,
}

impl Reader {
    pub(crate) fn new(mut bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |cause: Why| Error::Malformed { cause };
        let cbor: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut bytes, DEPTH)
            .map_err(|error| malformed(format!("no CBOR: {error}")))?;
        if !bytes.is_empty() {
            return Err(malformed(format!("{} bytes follow it", bytes.len())));
        }
        let mut fields = entries(cbor).map_err(|why| malformed(format!("it {why}")))?;
        let mut take = |name: &str| {
            fields
                .remove(name)
                .ok_or_else(|| malformed(format!("it lacks `{name}`")))
        };
        let (version, name) = (take("v")?, take("type")?);
        Ok(Reader {
            version: uint_from_cbor(version).map_err(|why| malformed(format!("`v` {why}")))?,
            name: name_from_cbor(name).map_err(|why| malformed(format!("`type` {why}")))?,
            fields,
        })
    }

    pub(crate) fn check_version(&self, agreed: u32) -> Result<(), Error> {
        match self.version == u64::from(agreed) {
            true => Ok(()),
            false => Err(Error::Version {
                met: self.version,
                agreed,
            }),
        }
    }

    pub(crate) fn unknown(self) -> Error {
        Error::UnknownType { name: self.name }
    }

    pub(crate) fn field_error(&self, field: &str, why: Why) -> Error {
        Error::Field {
            message: self.name.clone(),
            field: field.to_owned(),
            why,
        }
    }

    pub(crate) fn peek(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    pub(crate) fn take(&mut self, field: &str) -> Option<Cbor> {
        self.fields.remove(field)
    }

    pub(crate) fn optional<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(Cbor) -> Result<T, Why>,
    ) -> Result<Option<T>, Error> {
        match self.take(field) {
            None | Some(Cbor::Null) => Ok(None),
            Some(cbor) => read(cbor)
                .map(Some)
                .map_err(|why| self.field_error(field, why)),
        }
    }

    pub(crate) fn required<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(Cbor) -> Result<T, Why>,
    ) -> Result<T, Error> {
        match self.take(field) {
            None => Err(self.field_error(field, "is missing".to_owned())),
            Some(cbor) => read(cbor).map_err(|why| self.field_error(field, why)),
        }
    }

    pub(crate) fn uint(&mut self, field: &str) -> Result<u64, Error> {
        self.required(field, uint_from_cbor)
    }

    pub(crate) fn failure(&mut self, field: &str) -> Result<Option<Failure>, Error> {
        self.optional(field, failure_from_cbor)
    }

    /// A list of at most `limit` entries.
    pub(crate) fn list<T>(
        &mut self,
        field: &str,
        limit: usize,
        read: impl Fn(Cbor) -> Result<T, Why>,
    ) -> Result<Vec<T>, Error> {
        self.required(field, |cbor| match cbor {
            Cbor::Array(list) if list.len() <= limit => list.into_iter().map(read).collect(),
            Cbor::Array(list) => Err(format!("holds {}, the limit is {limit}", list.len())),
            _ => Err("is not a list".to_owned()),
        })
    }
}
