//! The end of a tree as a file: one proof of a whole batch, which anyone can verify.
//!
//! ```text
//! "FROBEN-AGGREGATE"  version u16  params: length u8, name  file length u64  digest: 8 x u32
//! proof: length u32, postcard  BLAKE3 of all that precedes, 32 bytes
//! ```
//!
//! Numbers are little-endian. The proof is the scheduler's, under a key that is part of this crate. The digest
//! is what it publishes: of every segment's statement. The length stands here for people and is not proved: it is true where
//! the digest is that of a file of this length. The checksum tells accident from malice and nothing more.

use std::io::{self, Read};

use froben_circuits::config::Val;
use froben_circuits::{Error, Params, Statement};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::encoding::padded;
use super::{Keys, NoKeys, Piece};
use crate::aggregate::{Proved, batch_digest, digest_text};
use crate::circuit::DIGEST;
use crate::proof::{CircuitProof, Refused};

/// The first bytes of every aggregate.
const MAGIC: &[u8; 16] = b"FROBEN-AGGREGATE";
/// Version of the encoding; a reader refuses any other.
const VERSION: u16 = 1;
/// Longest name of a parameter set, in bytes.
const MAX_NAME_BYTES: usize = 32;
/// Bytes of the checksum.
const CHECKSUM_BYTES: usize = 32;

/// Most bytes of an aggregate: a few times what the largest one takes.
pub const MAX_AGGREGATE_BYTES: usize = 4 << 20;

/// Whether a file with this beginning says that it is an aggregate.
#[must_use]
pub fn is_aggregate(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// One proof of a batch.
///
/// One under [`Params::Dev`] is a rehearsal: whoever relies on aggregates looks at [`Aggregate::params`].
pub struct Aggregate {
    params: Params,
    file_bytes: u64,
    digest: [Val; DIGEST],
    proof: CircuitProof,
}

/// Why an aggregate proves nothing, or not what it is held against.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// It is not built as one.
    #[error("malformed aggregate: {0}")]
    Malformed(String),
    /// It is not what was written.
    #[error("the aggregate's checksum does not match its content")]
    Checksum,
    /// Nobody knows the key here.
    #[error(transparent)]
    Keys(#[from] NoKeys),
    /// Its proof does not hold.
    #[error("the aggregate's proof is {0}")]
    Refused(Refused),
    /// The file has another length.
    #[error("the aggregate is about {expected} bytes, the file has {got}")]
    Length {
        /// The length in the aggregate.
        expected: u64,
        /// The length of the file.
        got: u64,
    },
    /// The file is another one.
    #[error("the aggregate's digest is not that of the file")]
    Digest,
    /// The file's statements.
    #[error("the file cannot be held against it")]
    Statements(#[source] Error),
    /// The operating system failed us.
    #[error("reading the aggregate failed")]
    Io(#[source] io::Error),
}

/// What an aggregate was found to prove.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AggregateReport {
    /// Name of the parameter set.
    pub params: &'static str,
    /// Security of each proof of the tree under the random-words conjecture, in bits.
    pub conjectured_security_bits: usize,
    /// Security of each without a conjecture about FRI, in bits.
    pub proven_security_bits: usize,
    /// Length of the file, in bytes, if the file was there to tell: in the aggregate it is its maker's word.
    pub bytes: Option<u64>,
    /// Segments of the file, likewise.
    pub segments: Option<u64>,
    /// The batch's digest in hexadecimal: eight elements, little-endian.
    pub digest: String,
    /// Whether the digest was also recomputed from the file itself.
    pub input_checked: bool,
}

impl Aggregate {
    /// The aggregate of a file of this length, from the scheduler's proof.
    ///
    /// *Errors*: [`AggregateError::Refused`] for a proof under another key, or one that does not hold.
    pub fn new(params: Params, file_bytes: u64, proved: Proved) -> Result<Self, AggregateError> {
        let keys = Keys::of(params)?;
        let verified = keys.verify(params, Piece::Scheduler, &proved);
        verified.map_err(AggregateError::Refused)?;
        Ok(Self {
            params,
            file_bytes,
            digest: std::array::from_fn(|i| proved.publics[i]),
            proof: proved.proof,
        })
    }

    /// An aggregate of any parts.
    #[cfg(test)]
    pub(super) const fn of_parts(
        params: Params,
        file_bytes: u64,
        digest: [Val; DIGEST],
        proof: CircuitProof,
    ) -> Self {
        Self {
            params,
            file_bytes,
            digest,
            proof,
        }
    }

    /// The parameters that the proof claims to be made under.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
    }

    /// Length of the file that it is about, in bytes, as it says.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The digest that it claims.
    pub const fn digest(&self) -> &[Val; DIGEST] {
        &self.digest
    }

    /// The scheduler's proof in full, for a circuit that verifies it.
    ///
    /// *Errors*: [`AggregateError::Keys`].
    pub fn into_proved(self) -> Result<Proved, AggregateError> {
        Ok(Proved {
            key: Keys::of(self.params)?.key(Piece::Scheduler).clone(),
            publics: padded(self.digest),
            proof: self.proof,
        })
    }

    /// Verifies the proof; gives the digest that it proves.
    ///
    /// *Errors*: [`AggregateError::Refused`], [`AggregateError::Keys`].
    pub fn verify(&self) -> Result<[Val; DIGEST], AggregateError> {
        let key = Keys::of(self.params)?.key(Piece::Scheduler);
        let publics = padded(self.digest);
        crate::aggregate::verify_exactly(self.params, key, &self.proof, &publics)
            .map_err(AggregateError::Refused)?;
        Ok(self.digest)
    }

    /// Verifies the proof, and that it is about a file with just these statements; without any, what is
    /// proved is that some file has this digest.
    ///
    /// *Errors*: as [`Aggregate::verify`]; [`AggregateError::Length`], [`AggregateError::Digest`] for
    /// another file.
    pub fn check(
        &self,
        statements: Option<&[Statement]>,
    ) -> Result<AggregateReport, AggregateError> {
        if let Some(statements) = statements {
            self.compare(statements)?;
        }
        let digest = self.verify()?;
        let security = self.params.security();
        Ok(AggregateReport {
            params: self.params.name(),
            conjectured_security_bits: security.conjectured_bits,
            proven_security_bits: security.proven_bits,
            bytes: statements.map(|_| self.file_bytes),
            segments: statements.map(|statements| statements.len() as u64),
            digest: digest_text(&digest),
            input_checked: statements.is_some(),
        })
    }

    /// Holds it against a file, which is cheap beside the proof.
    fn compare(&self, statements: &[Statement]) -> Result<(), AggregateError> {
        let got = statements.iter().map(|it| u64::from(it.len)).sum();
        if got != self.file_bytes {
            let expected = self.file_bytes;
            return Err(AggregateError::Length { expected, got });
        }
        match batch_digest(statements) {
            Ok(digest) if digest == self.digest => Ok(()),
            Ok(_) => Err(AggregateError::Digest),
            Err(error) => Err(AggregateError::Statements(error)),
        }
    }
}

impl Aggregate {
    /// The file.
    ///
    /// *Panics* if memory runs out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let name = self.params.name().as_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.push(name.len() as u8);
        bytes.extend(name);
        bytes.extend(self.file_bytes.to_le_bytes());
        for value in self.digest {
            bytes.extend(value.as_canonical_u32().to_le_bytes());
        }
        let proof = postcard::to_allocvec(&self.proof).expect("invariant: a proof can be encoded");
        bytes.extend((proof.len() as u32).to_le_bytes());
        bytes.extend(proof);
        bytes.extend(blake3::hash(&bytes).as_bytes());
        bytes
    }

    /// Reads a file, of which there is one encoding only.
    ///
    /// *Errors*: [`AggregateError::Malformed`], [`AggregateError::Checksum`], [`AggregateError::Io`].
    pub fn read(source: impl Read) -> Result<Self, AggregateError> {
        let mut bytes = Vec::new();
        source
            .take(MAX_AGGREGATE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(AggregateError::Io)?;
        Self::decode(&bytes)
    }

    /// [`Aggregate::read`] from memory.
    ///
    /// *Errors*: [`AggregateError::Malformed`], [`AggregateError::Checksum`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AggregateError> {
        if bytes.len() > MAX_AGGREGATE_BYTES {
            let why = format!("it has more than {MAX_AGGREGATE_BYTES} bytes");
            return Err(AggregateError::Malformed(why));
        }
        let mut rest = Rest(bytes);
        if rest.array()? != *MAGIC {
            return Err(malformed("it does not begin like one"));
        }
        let version = u16::from_le_bytes(rest.array()?);
        if version != VERSION {
            return Err(malformed(format!(
                "it has version {version}, and only version {VERSION} can be read"
            )));
        }
        let [name_len] = rest.array()?;
        if usize::from(name_len) > MAX_NAME_BYTES {
            return Err(malformed("the name of its parameters is too long"));
        }
        let name = String::from_utf8_lossy(rest.bytes(name_len.into())?);
        let params = name.parse::<Params>();
        let params = params.map_err(|unknown| malformed(unknown.to_string()))?;
        let file_bytes = u64::from_le_bytes(rest.array()?);
        let mut digest = [Val::ZERO; DIGEST];
        for value in &mut digest {
            let word = u32::from_le_bytes(rest.array()?);
            *value = Val::from_u32(word);
            if value.as_canonical_u32() != word {
                return Err(malformed("its digest is not made of reduced elements"));
            }
        }
        let proof_len = u32::from_le_bytes(rest.array()?);
        let encoded = rest.bytes(proof_len as usize)?;
        let content = bytes.len() - rest.0.len();
        let checksum: [u8; CHECKSUM_BYTES] = rest.array()?;
        if !rest.0.is_empty() {
            return Err(malformed("bytes follow its checksum"));
        }
        if blake3::hash(&bytes[..content]) != checksum {
            return Err(AggregateError::Checksum);
        }
        let proof: CircuitProof = postcard::from_bytes(encoded)
            .map_err(|error| malformed(format!("its proof is unreadable: {error}")))?;
        match postcard::to_allocvec(&proof) {
            Ok(again) if again == encoded => Ok(Self {
                params,
                file_bytes,
                digest,
                proof,
            }),
            _ => Err(malformed("its proof is not encoded canonically")),
        }
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], AggregateError> {
        let (bytes, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| malformed("it ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AggregateError> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("invariant: so many were read"))
    }
}

fn malformed(why: impl Into<String>) -> AggregateError {
    AggregateError::Malformed(why.into())
}
