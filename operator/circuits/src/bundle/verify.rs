//! Verifying a bundle, with or without the file that it is about.

use std::io::{self, BufReader, Read};

use p3_maybe_rayon::prelude::*;
use serde::Serialize;

use super::{BundleReader, BundleSegment};
use crate::circuit::Circuit;
use crate::error::Error;
use crate::params::Params;
use crate::proof::verify;

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Segments verified.
    pub done: u32,
    /// Segments of the file.
    pub total: u32,
}

/// What a bundle was found to prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the parameter set.
    pub params: &'static str,
    /// Security under the random-words conjecture, in bits.
    pub conjectured_security_bits: usize,
    /// Security without a conjecture about FRI, in bits.
    pub proven_security_bits: usize,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Proofs verified: four per segment.
    pub proofs: u64,
    /// Whether the digests were also recomputed from the file itself.
    pub input_checked: bool,
    /// The segments, in order.
    pub segments: Vec<SegmentReport>,
}

/// The digests that one segment was proved to have, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Place in the file, from 0.
    pub index: u32,
    /// Length in bytes.
    pub len: u32,
    /// Keccak-256.
    pub keccak256: String,
    /// SHA-256.
    pub sha256: String,
    /// BLAKE3.
    pub blake3: String,
    /// Poseidon2.
    pub poseidon2: String,
}

/// Verifies every proof of a bundle, and that it is complete and unaltered.
///
/// With `input`, the digests are also recomputed from the file by independent implementations.
/// Without it, what is proved is that some file has these digests.
///
/// *Errors*: the first thing found wrong; [`Error::Segment`] names the segment, and within it
/// [`Error::Refused`] the proof or [`Error::Digest`] the hash; [`Error::InputShort`] or
/// [`Error::InputLong`] if the file has not the length that the bundle says.
pub fn verify_bundle(
    bundle: impl Read,
    input: Option<&mut dyn Read>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    let mut reader = BundleReader::new(BufReader::new(bundle))?;
    let mut input = input.map(|inner| Input {
        inner,
        read: 0,
        expected: reader.file_len(),
    });
    let params = reader.params();
    let total = reader.segments();
    let mut segments = Vec::new();
    while let Some(segment) = reader.next_segment()? {
        let index = segment.statement.index;
        check_segment(params, &segment, input.as_mut()).map_err(|source| match source {
            whole @ (Error::Io { .. } | Error::InputShort { .. }) => whole,
            source => Error::Segment {
                index,
                source: Box::new(source),
            },
        })?;
        segments.push(segment_report(&segment));
        progress(Progress {
            done: index + 1,
            total,
        });
    }
    if let Some(input) = &mut input {
        input.end()?;
    }
    let security = params.security();
    Ok(Report {
        params: params.name(),
        conjectured_security_bits: security.conjectured_bits,
        proven_security_bits: security.proven_bits,
        bytes: reader.file_len(),
        proofs: u64::from(total) * Circuit::ALL.len() as u64,
        input_checked: input.is_some(),
        segments,
    })
}

/// Checks a segment against the file, which is cheap, and then its proofs.
fn check_segment(
    params: Params,
    segment: &BundleSegment,
    input: Option<&mut Input<'_>>,
) -> Result<(), Error> {
    let BundleSegment { statement, proofs } = segment;
    if let Some(input) = input {
        let bytes = input.segment(statement.len as usize)?;
        for circuit in Circuit::ALL {
            if *statement.digests.of(circuit) != circuit.native_digest(&bytes) {
                return Err(Error::Digest { circuit });
            }
        }
    }
    Circuit::ALL
        .into_par_iter()
        .zip(proofs)
        .map(|(circuit, proof)| verify(params, circuit, statement, proof))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

fn segment_report(segment: &BundleSegment) -> SegmentReport {
    let statement = &segment.statement;
    let digest = |circuit| hex::encode(statement.digests.of(circuit));
    SegmentReport {
        index: statement.index,
        len: statement.len,
        keccak256: digest(Circuit::Keccak256),
        sha256: digest(Circuit::Sha256),
        blake3: digest(Circuit::Blake3),
        poseidon2: digest(Circuit::Poseidon2),
    }
}

/// The file, read along with the bundle.
struct Input<'a> {
    inner: &'a mut dyn Read,
    read: u64,
    expected: u64,
}

impl Input<'_> {
    fn segment(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(len);
        (&mut self.inner)
            .take(len as u64)
            .read_to_end(&mut bytes)
            .map_err(unread)?;
        self.read += bytes.len() as u64;
        if bytes.len() < len {
            return Err(Error::InputShort {
                expected: self.expected,
                got: self.read,
            });
        }
        Ok(bytes)
    }

    fn end(&mut self) -> Result<(), Error> {
        let mut more = Vec::new();
        (&mut self.inner)
            .take(1)
            .read_to_end(&mut more)
            .map_err(unread)?;
        if !more.is_empty() {
            return Err(Error::InputLong {
                expected: self.expected,
            });
        }
        Ok(())
    }
}

fn unread(source: io::Error) -> Error {
    Error::Io {
        what: "reading the input file",
        source,
    }
}
