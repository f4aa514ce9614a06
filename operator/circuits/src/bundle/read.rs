//! Reading a bundle, segment by segment, trusting nothing in it.

use std::io::{self, Read};

use super::{Cut, MAGIC, MAX_NAME_BYTES, VERSION};
use crate::circuit::Circuit;
use crate::error::Error;
use crate::params::Params;
use crate::proof::MAX_PROOF_BYTES;
use crate::statement::{Digests, SEGMENT_BYTES, Statement, fingerprint_from_bytes};

/// One segment of a bundle, well-formed but not verified.
#[derive(Clone, Debug)]
pub struct BundleSegment {
    /// What is claimed.
    pub statement: Statement,
    /// The proofs of [`Circuit::ALL`], in that order.
    pub proofs: [Vec<u8>; 4],
}

/// Reads a bundle; its header is read when it is made.
pub struct BundleReader<R> {
    inner: R,
    hasher: blake3::Hasher,
    params: Params,
    cut: Cut,
    next: u32,
}

impl<R: Read> BundleReader<R> {
    /// Reads the header. `inner` is read in small pieces: pass one that is buffered.
    ///
    /// *Errors*: [`Error::Bundle`], [`Error::FileLength`], [`Error::Io`].
    pub fn new(mut inner: R) -> Result<Self, Error> {
        let mut hasher = blake3::Hasher::new();
        let mut source = Source {
            inner: &mut inner,
            hasher: &mut hasher,
        };
        if source.array()? != *MAGIC {
            return Err(Error::Bundle("it does not begin like a bundle".to_owned()));
        }
        let version = u16::from_le_bytes(source.array()?);
        if version != VERSION {
            return Err(Error::Bundle(format!(
                "it has version {version}, and only version {VERSION} can be read"
            )));
        }
        let [name_len] = source.array()?;
        let name = source.bytes(name_len.into(), MAX_NAME_BYTES, "parameter name")?;
        let params = String::from_utf8_lossy(&name)
            .parse::<Params>()
            .map_err(|unknown| Error::Bundle(unknown.to_string()))?;
        let cut = Cut::new(u64::from_le_bytes(source.array()?))?;
        let segment_bytes = u32::from_le_bytes(source.array()?);
        if segment_bytes as usize != SEGMENT_BYTES {
            return Err(Error::Bundle(format!(
                "its segments have {segment_bytes} bytes, expected {SEGMENT_BYTES}"
            )));
        }
        Ok(Self {
            inner,
            hasher,
            params,
            cut,
            next: 0,
        })
    }

    /// The parameters that the proofs claim to be made under.
    pub fn params(&self) -> Params {
        self.params
    }

    /// Length of the file, in bytes.
    pub fn file_len(&self) -> u64 {
        self.cut.file_len
    }

    /// Segments of the file.
    pub fn segments(&self) -> u32 {
        self.cut.count
    }

    /// The next segment, or none after the last, and then checksum and end have been checked too.
    ///
    /// *Errors*: [`Error::Bundle`], [`Error::Checksum`], [`Error::NotCanonical`], [`Error::Io`].
    pub fn next_segment(&mut self) -> Result<Option<BundleSegment>, Error> {
        if self.next == self.cut.count {
            self.end()?;
            return Ok(None);
        }
        let mut source = Source {
            inner: &mut self.inner,
            hasher: &mut self.hasher,
        };
        let index = u32::from_le_bytes(source.array()?);
        let len = u32::from_le_bytes(source.array()?);
        if index != self.next || len != self.cut.len(self.next) {
            return Err(Error::Bundle(format!(
                "it has segment {index} of {len} bytes where segment {} of {} bytes belongs",
                self.next,
                self.cut.len(self.next)
            )));
        }
        let digests = Digests {
            keccak256: source.array()?,
            sha256: source.array()?,
            blake3: source.array()?,
            poseidon2: source.array()?,
        };
        let f = fingerprint_from_bytes(&source.array()?)?;
        let mut proofs: [Vec<u8>; 4] = Default::default();
        for (circuit, proof) in Circuit::ALL.into_iter().zip(&mut proofs) {
            let proof_len = u32::from_le_bytes(source.array()?);
            *proof = source.bytes(proof_len as usize, MAX_PROOF_BYTES, circuit.name())?;
        }
        self.next += 1;
        Ok(Some(BundleSegment {
            statement: Statement {
                index,
                len,
                digests,
                f,
            },
            proofs,
        }))
    }

    fn end(&mut self) -> Result<(), Error> {
        let computed = self.hasher.finalize();
        let mut unhashed = blake3::Hasher::new();
        let mut source = Source {
            inner: &mut self.inner,
            hasher: &mut unhashed,
        };
        let stored: [u8; 32] = source.array()?;
        if computed != stored {
            return Err(Error::Checksum);
        }
        match self.inner.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::Bundle("bytes follow its checksum".to_owned())),
            Err(source) => Err(unread(source)),
        }
    }
}

/// The stream and the checksum of what was read from it.
struct Source<'a, R> {
    inner: &'a mut R,
    hasher: &'a mut blake3::Hasher,
}

impl<R: Read> Source<'_, R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(unread)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Reads `len` bytes; memory is taken as they arrive, not as they are announced.
    fn bytes(&mut self, len: usize, most: usize, what: &str) -> Result<Vec<u8>, Error> {
        if len > most {
            return Err(Error::Bundle(format!(
                "its {what} has {len} bytes, more than {most}"
            )));
        }
        let mut bytes = Vec::new();
        self.inner
            .take(len as u64)
            .read_to_end(&mut bytes)
            .map_err(unread)?;
        if bytes.len() < len {
            return Err(unread(io::ErrorKind::UnexpectedEof.into()));
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }
}

fn unread(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return Error::Bundle("it ends too early".to_owned());
    }
    Error::Io {
        what: "reading the bundle",
        source,
    }
}
