//! What can go wrong in this crate.
//!
//! A message does not repeat its source: print the chain.

use crate::circuit::Circuit;

/// An error of proving, verifying, or reading what either needs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A segment is empty or longer than [`crate::SEGMENT_BYTES`].
    #[error("a segment holds 1 to {max} bytes, not {len}", max = crate::SEGMENT_BYTES)]
    SegmentLength {
        /// The length met, in bytes.
        len: u64,
    },
    /// A digest or fingerprint holds a field element that is not reduced.
    #[error("{what} is not made of canonical field elements")]
    NotCanonical {
        /// What was read.
        what: &'static str,
    },
    /// The witness contradicts itself, so that no proof of it exists.
    #[error("the witness for {circuit} is wrong: {what}")]
    WrongWitness {
        /// The circuit that was asked for.
        circuit: Circuit,
        /// The part that disagrees with the witness's bytes.
        what: &'static str,
    },
    /// A witness could not be read or written.
    #[error("unreadable witness: {cause}")]
    Witness {
        /// What the reader met.
        cause: String,
    },
    /// The prover failed.
    #[error("proving {circuit} failed: {cause}")]
    Prover {
        /// The circuit that was asked for.
        circuit: Circuit,
        /// What the proof system said.
        cause: String,
    },
    /// A proof does not prove its statement.
    #[error("the {circuit} proof is refused: {cause}")]
    Refused {
        /// The circuit whose proof it claims to be.
        circuit: Circuit,
        /// What the proof system said.
        cause: String,
    },
    /// A file is empty, or has more segments than an index can name.
    #[error("a file of {len} bytes cannot be bundled: {}", if *.len == 0 { "it is empty" } else { "it is too long" })]
    FileLength {
        /// Its length in bytes.
        len: u64,
    },
    /// A bundle is not built as one.
    #[error("malformed bundle: {0}")]
    Bundle(String),
    /// A bundle is not what was written.
    #[error("the bundle's checksum does not match its content")]
    Checksum,
    /// Something is wrong with one segment of a bundle.
    #[error("segment {index} is refused")]
    Segment {
        /// Place of the segment in the file, from 0.
        index: u32,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The input file does not have the digest that the bundle claims.
    #[error("the {circuit} digest is not that of the input file")]
    Digest {
        /// The hash that differs.
        circuit: Circuit,
    },
    /// The input file ends before the bundle's file does.
    #[error("the bundle is about {expected} bytes, the input file has only {got}")]
    InputShort {
        /// The length in the bundle.
        expected: u64,
        /// The length of the file.
        got: u64,
    },
    /// The input file goes on after the bundle's file ends.
    #[error("the bundle is about {expected} bytes, the input file has more")]
    InputLong {
        /// The length in the bundle.
        expected: u64,
    },
    /// The operating system failed us.
    #[error("{what} failed")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}
