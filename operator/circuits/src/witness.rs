//! A witness: what a prover is sent to prove one segment, as CBOR.
//!
//! Reading one checks lengths and encodings and nothing that costs more; whether the statement is
//! true of the bytes is checked by [`crate::prove`].

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::statement::{
    Digests, SEGMENT_BYTES, Statement, checked_len, fingerprint_bytes, fingerprint_from_bytes,
};

/// Version of the encoding; a reader refuses any other.
pub const WITNESS_VERSION: u32 = 1;

/// Most bytes an encoded witness may have: the segment and some room for the rest.
pub const MAX_WITNESS_BYTES: usize = SEGMENT_BYTES + 1024;

/// A statement and the bytes that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What is to be proved.
    pub statement: Statement,
    /// The segment, 1 to [`SEGMENT_BYTES`] bytes.
    pub bytes: Vec<u8>,
}

/// The CBOR map. Field names are the format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    index: u32,
    len: u32,
    #[serde(with = "serde_bytes")]
    keccak256: [u8; 32],
    #[serde(with = "serde_bytes")]
    sha256: [u8; 32],
    #[serde(with = "serde_bytes")]
    blake3: [u8; 32],
    #[serde(with = "serde_bytes")]
    poseidon2: [u8; 32],
    #[serde(with = "serde_bytes")]
    fingerprint: [u8; 16],
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl Witness {
    /// The witness for `bytes` as segment `index`, its digests computed natively.
    ///
    /// *Errors*: [`Error::SegmentLength`].
    pub fn compute(bytes: Vec<u8>, index: u32) -> Result<Self, Error> {
        Ok(Self {
            statement: Statement::compute(&bytes, index)?,
            bytes,
        })
    }

    /// The witness as CBOR.
    ///
    /// *Errors*: [`Error::SegmentLength`] if it could not be read back.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let Self { statement, bytes } = self;
        let Statement {
            index,
            len,
            digests,
            f,
        } = *statement;
        let Digests {
            keccak256,
            sha256,
            blake3,
            poseidon2,
        } = digests;
        checked_len(bytes.len() as u64)?;
        let record = Record {
            version: WITNESS_VERSION,
            index,
            len,
            keccak256,
            sha256,
            blake3,
            poseidon2,
            fingerprint: fingerprint_bytes(f),
            bytes: bytes.clone(),
        };
        let mut encoded = Vec::with_capacity(MAX_WITNESS_BYTES);
        ciborium::into_writer(&record, &mut encoded).map_err(unreadable)?;
        Ok(encoded)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// *Errors*: [`Error::Witness`], [`Error::SegmentLength`], [`Error::NotCanonical`].
    pub fn decode(encoded: &[u8]) -> Result<Self, Error> {
        if encoded.len() > MAX_WITNESS_BYTES {
            return Err(unreadable(format!(
                "{} bytes, more than {MAX_WITNESS_BYTES}",
                encoded.len()
            )));
        }
        let mut rest = encoded;
        let Record {
            version,
            index,
            len,
            keccak256,
            sha256,
            blake3,
            poseidon2,
            fingerprint,
            bytes,
        } = ciborium::from_reader(&mut rest).map_err(unreadable)?;
        if !rest.is_empty() {
            return Err(unreadable(format!("{} bytes follow it", rest.len())));
        }
        if version != WITNESS_VERSION {
            return Err(unreadable(format!(
                "version {version}, expected {WITNESS_VERSION}"
            )));
        }
        if checked_len(bytes.len() as u64)? != len {
            return Err(unreadable(format!(
                "it claims {len} bytes and holds {}",
                bytes.len()
            )));
        }
        Ok(Self {
            statement: Statement {
                index,
                len,
                digests: Digests {
                    keccak256,
                    sha256,
                    blake3,
                    poseidon2,
                },
                f: fingerprint_from_bytes(&fingerprint)?,
            },
            bytes,
        })
    }
}

fn unreadable(cause: impl ToString) -> Error {
    Error::Witness {
        cause: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness() -> Witness {
        Witness::compute((0..200).collect(), 9).unwrap()
    }

    #[test]
    fn a_witness_is_read_back() {
        for len in [1, 200, SEGMENT_BYTES] {
            let witness = Witness::compute(vec![0xA5; len], u32::MAX).unwrap();
            let encoded = witness.encode().unwrap();
            assert!(encoded.len() <= MAX_WITNESS_BYTES);
            assert_eq!(Witness::decode(&encoded).unwrap(), witness, "{len}");
        }
    }

    #[test]
    fn malformed_witnesses_are_refused() {
        let encoded = witness().encode().unwrap();
        for len in 0..encoded.len() {
            assert!(Witness::decode(&encoded[..len]).is_err(), "{len} bytes");
        }
        assert!(Witness::decode(&[encoded.as_slice(), &[0]].concat()).is_err());
        assert!(Witness::decode(&vec![0; MAX_WITNESS_BYTES + 1]).is_err());

        let mut too_short = witness();
        too_short.bytes.pop();
        assert!(Witness::decode(&too_short.encode().unwrap()).is_err());
        let mut empty = witness();
        empty.bytes.clear();
        assert!(empty.encode().is_err());
    }

    #[test]
    fn another_version_is_refused() {
        let mut encoded = witness().encode().unwrap();
        // A map whose first key is the text "version", followed by its value.
        let at = 1 + 1 + "version".len();
        assert_eq!(encoded[at], WITNESS_VERSION as u8);
        encoded[at] += 1;
        let error = Witness::decode(&encoded).unwrap_err().to_string();
        assert_eq!(error, "unreadable witness: version 2, expected 1");
    }
}
