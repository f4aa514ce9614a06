//! What is claimed about one segment: four digests, and that all four are digests of the same
//! bytes.
//!
//! The claim is carried by four proofs, one per hash. What ties them together is the *link*: a
//! point `r` drawn by Fiat-Shamir from everything that is claimed, and the value `f` at that point
//! of the polynomial whose coefficients are the segment's bytes. Each circuit computes `f` from the
//! bytes that it hashes. docs/circuits.md argues why equal `f` then means equal bytes.
//!
//! The point is never stored and never taken from a prover: it is recomputed wherever it is used.

use p3_challenger::{CanObserve, FieldChallenger};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use crate::circuit::Circuit;
use crate::config::{Challenge, Val, challenger};
use crate::digest;
use crate::error::Error;
use crate::field;

/// Most bytes a segment can hold; all segments of a file but the last hold exactly this many.
pub const SEGMENT_BYTES: usize = 4096;

/// Separates the transcript of the link's point from every other use of the permutation.
const LINK_DOMAIN: &[u8; 32] = b"froben data_commitments link v1\0";

/// The four digests of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Keccak-256 as Ethereum uses it (padding byte 0x01, not SHA-3's 0x06).
    pub keccak256: [u8; 32],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// BLAKE3, 32 bytes, unkeyed.
    pub blake3: [u8; 32],
    /// Poseidon2 over BabyBear, see [`digest::poseidon2`]: eight elements, little-endian.
    pub poseidon2: [u8; 32],
}

impl Digests {
    /// The digest that `circuit` proves.
    #[must_use]
    pub const fn of(&self, circuit: Circuit) -> &[u8; 32] {
        match circuit {
            Circuit::Keccak256 => &self.keccak256,
            Circuit::Sha256 => &self.sha256,
            Circuit::Blake3 => &self.blake3,
            Circuit::Poseidon2 => &self.poseidon2,
        }
    }

    /// The digest that `circuit` proves, to write to.
    pub const fn of_mut(&mut self, circuit: Circuit) -> &mut [u8; 32] {
        match circuit {
            Circuit::Keccak256 => &mut self.keccak256,
            Circuit::Sha256 => &mut self.sha256,
            Circuit::Blake3 => &mut self.blake3,
            Circuit::Poseidon2 => &mut self.poseidon2,
        }
    }

    /// The digests of `bytes`, by implementations that share nothing with the circuits.
    #[must_use]
    pub fn compute(bytes: &[u8]) -> Self {
        Self {
            keccak256: digest::keccak256(bytes),
            sha256: digest::sha256(bytes),
            blake3: digest::blake3(bytes),
            poseidon2: digest::poseidon2(bytes),
        }
    }
}

/// The point and the value that tie the four proofs of a segment together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The point, drawn from everything that is claimed about the segment.
    pub r: Challenge,
    /// The fingerprint: the sum of `bytes[i] * r^i`.
    pub f: Challenge,
}

/// The claim about one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Place of the segment in its file, from 0.
    pub index: u32,
    /// Length of the segment in bytes, 1 to [`SEGMENT_BYTES`].
    pub len: u32,
    /// The published digests.
    pub digests: Digests,
    /// The claimed fingerprint, the same in all four proofs.
    pub f: Challenge,
}

impl Statement {
    /// The true statement about `bytes` as segment `index`.
    ///
    /// *Errors*: [`Error::SegmentLength`].
    pub fn compute(bytes: &[u8], index: u32) -> Result<Self, Error> {
        let len = checked_len(bytes.len() as u64)?;
        let digests = Digests::compute(bytes);
        let r = link_point(index, len, &digests);
        Ok(Self {
            index,
            len,
            digests,
            f: fingerprint(bytes, r),
        })
    }

    /// The link of this statement, its point recomputed.
    #[must_use]
    pub fn link(&self) -> Link {
        Link {
            r: link_point(self.index, self.len, &self.digests),
            f: self.f,
        }
    }
}

/// Checks that a segment can have `len` bytes.
pub(crate) fn checked_len(len: u64) -> Result<u32, Error> {
    match u32::try_from(len) {
        Ok(short) if (1..=SEGMENT_BYTES as u64).contains(&len) => Ok(short),
        _ => Err(Error::SegmentLength { len }),
    }
}

/// Draws the link's point from index, length and all four digests.
///
/// Everything is absorbed in 16-bit pieces, so that each input has exactly one encoding. The
/// transcript is the proof system's own Poseidon2 challenger: no further hash has to be trusted,
/// and a recursive verifier can redraw the point cheaply.
pub fn link_point(index: u32, len: u32, digests: &Digests) -> Challenge {
    let mut transcript = challenger();
    transcript.observe_slice(&field::limbs16(LINK_DOMAIN));
    transcript.observe_slice(&field::limbs16(&index.to_le_bytes()));
    transcript.observe_slice(&field::limbs16(&len.to_le_bytes()));
    for circuit in Circuit::ALL {
        transcript.observe_slice(&field::limbs16(digests.of(circuit)));
    }
    transcript.sample_algebra_element()
}

/// The sum of `bytes[i] * r^i`.
pub fn fingerprint(bytes: &[u8], r: Challenge) -> Challenge {
    bytes
        .iter()
        .rev()
        .fold(Challenge::ZERO, |sum, &byte| sum * r + Val::from_u8(byte))
}

/// A fingerprint as 16 bytes: four reduced elements, little-endian.
#[must_use]
pub fn fingerprint_bytes(f: Challenge) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (chunk, element) in bytes.chunks_exact_mut(4).zip(field::coefficients(f)) {
        chunk.copy_from_slice(&element.as_canonical_u32().to_le_bytes());
    }
    bytes
}

/// Reads what [`fingerprint_bytes`] wrote.
///
/// *Errors*: [`Error::NotCanonical`] if an element is not reduced.
pub fn fingerprint_from_bytes(bytes: &[u8; 16]) -> Result<Challenge, Error> {
    let elements = field::canonical(bytes).ok_or(Error::NotCanonical {
        what: "the fingerprint",
    })?;
    Ok(field::challenge([
        elements[0],
        elements[1],
        elements[2],
        elements[3],
    ]))
}

#[cfg(test)]
mod tests;
