//! Writing a bundle, segment by segment.

use std::io::{self, Write};

use super::{Cut, MAGIC, VERSION};
use crate::circuit::Circuit;
use crate::error::Error;
use crate::params::Params;
use crate::proof::MAX_PROOF_BYTES;
use crate::statement::{SEGMENT_BYTES, Statement, fingerprint_bytes};

/// Writes a bundle to `W`; segments come in order, [`BundleWriter::finish`] comes last.
///
/// It checks lengths and order, not proofs: whoever makes a bundle verifies what it was given.
pub struct BundleWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
    cut: Cut,
    next: u32,
}

impl<W: Write> BundleWriter<W> {
    /// Starts a bundle of a file of `file_len` bytes, proved under `params`.
    ///
    /// *Errors*: [`Error::FileLength`], [`Error::Io`].
    pub fn new(inner: W, params: Params, file_len: u64) -> Result<Self, Error> {
        let mut writer = Self {
            inner,
            hasher: blake3::Hasher::new(),
            cut: Cut::new(file_len)?,
            next: 0,
        };
        let name = params.name().as_bytes();
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        writer.put(&[name.len() as u8])?;
        writer.put(name)?;
        writer.put(&file_len.to_le_bytes())?;
        writer.put(&(SEGMENT_BYTES as u32).to_le_bytes())?;
        Ok(writer)
    }

    /// Segments that the bundle will hold.
    pub fn segments(&self) -> u32 {
        self.cut.count
    }

    /// Adds the next segment; the proofs are those of [`Circuit::ALL`], in that order.
    ///
    /// *Errors*: [`Error::Bundle`] if the segment is not the next one of the file, or a proof is
    /// empty or too long; [`Error::Io`].
    pub fn segment(&mut self, statement: &Statement, proofs: [&[u8]; 4]) -> Result<(), Error> {
        let Statement {
            index,
            len,
            digests,
            f,
        } = statement;
        if self.next == self.cut.count || *index != self.next || *len != self.cut.len(self.next) {
            return Err(Error::Bundle(format!(
                "segment {index} of {len} bytes is not the next one, {} of {}",
                self.next, self.cut.count
            )));
        }
        self.put(&index.to_le_bytes())?;
        self.put(&len.to_le_bytes())?;
        for circuit in Circuit::ALL {
            self.put(digests.of(circuit))?;
        }
        self.put(&fingerprint_bytes(*f))?;
        for (circuit, proof) in Circuit::ALL.into_iter().zip(proofs) {
            if proof.is_empty() || proof.len() > MAX_PROOF_BYTES {
                return Err(Error::Bundle(format!(
                    "the {circuit} proof of segment {index} has {} bytes",
                    proof.len()
                )));
            }
            self.put(&(proof.len() as u32).to_le_bytes())?;
            self.put(proof)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Ends the bundle and gives the writer back, flushed.
    ///
    /// *Errors*: [`Error::Bundle`] if segments are missing; [`Error::Io`].
    pub fn finish(mut self) -> Result<W, Error> {
        if self.next != self.cut.count {
            return Err(Error::Bundle(format!(
                "it has {} segments of {}",
                self.next, self.cut.count
            )));
        }
        let checksum = self.hasher.finalize();
        self.inner
            .write_all(checksum.as_bytes())
            .and_then(|()| self.inner.flush())
            .map_err(unwritten)?;
        Ok(self.inner)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes).map_err(unwritten)
    }
}

fn unwritten(source: io::Error) -> Error {
    Error::Io {
        what: "writing the bundle",
        source,
    }
}
