//! The bundle: all statements and proofs of a file, in one stream that anyone can verify.
//!
//! ```text
//! "FROBEN-BUNDLE"  version u16  params: length u8, name  file length u64  segment size u32
//! per segment, in order:
//!     index u32  length u32  digests 4 x 32  fingerprint 16  proofs: 4 x (length u32, bytes)
//! BLAKE3 of all that precedes, 32 bytes
//! ```
//!
//! Numbers are little-endian; digests and proofs come in the order of [`Circuit::ALL`]. A file has
//! one encoding only. The checksum tells accident from malice and nothing more: every byte before it
//! is bound by a proof, by the file, or by the structure, so whoever alters one and repairs the
//! checksum is refused all the same.
//!
//! Neither writer nor reader holds more than one segment.

mod read;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use read::{BundleReader, BundleSegment};
pub use verify::{Progress, Report, SegmentReport, verify_bundle};
pub use write::BundleWriter;

#[cfg(doc)]
use crate::circuit::Circuit;
use crate::error::Error;
use crate::statement::SEGMENT_BYTES;

/// The first bytes of every bundle.
const MAGIC: &[u8; 13] = b"FROBEN-BUNDLE";
/// Version of the encoding; a reader refuses any other.
///
/// 1: proofs of `p3-uni-stark` with pruned Merkle paths. 2: proofs of `p3-batch-stark` with whole ones.
const VERSION: u16 = 2;
/// Longest name of a parameter set, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// How a file is cut: all segments are full but the last, which is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    file_len: u64,
    count: u32,
}

impl Cut {
    /// The cut of a file of `file_len` bytes.
    ///
    /// *Errors*: [`Error::FileLength`] if it is empty or has more segments than an index can name.
    fn new(file_len: u64) -> Result<Self, Error> {
        let count = u32::try_from(file_len.div_ceil(SEGMENT_BYTES as u64))
            .ok()
            .filter(|&count| count > 0)
            .ok_or(Error::FileLength { len: file_len })?;
        Ok(Self { file_len, count })
    }

    /// Length of segment `index`, which exists.
    fn len(self, index: u32) -> u32 {
        let left = self.file_len - u64::from(index) * SEGMENT_BYTES as u64;
        // The minimum is at most a segment's size.
        left.min(SEGMENT_BYTES as u64) as u32
    }
}
