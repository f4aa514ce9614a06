//! The four hashes, natively: by crates that share no code with the circuits.
//!
//! Poseidon2 has no published byte encoding, so this one is ours. The permutation is Plonky3's
//! BabyBear one of width 16 with its published constants; the sponge overwrites the rate (8
//! elements), never the capacity; the digest is the rate after the last permutation.

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_symmetric::Permutation;
use sha2::Digest as _;

use crate::config::{Val, permutation};

/// Bytes that one Poseidon2 element takes: the most that always fit below the field's order.
pub(crate) const POSEIDON2_ELEMENT_BYTES: usize = 3;
/// Elements absorbed per permutation.
pub(crate) const POSEIDON2_RATE: usize = 8;
/// Bytes absorbed per permutation.
pub(crate) const POSEIDON2_BLOCK_BYTES: usize = POSEIDON2_ELEMENT_BYTES * POSEIDON2_RATE;

/// Keccak-256 with the original padding, as Ethereum uses it.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    sha3::Keccak256::digest(bytes).into()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

/// BLAKE3.
#[must_use]
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// Poseidon2 of a byte string.
///
/// The bytes are followed by 0x01 and by zeros up to a multiple of 24; three bytes make one
/// element, little-endian; each eight elements overwrite the first half of the state before a
/// permutation. The digest is the first half of the last state, each element as four bytes,
/// little-endian.
#[must_use]
pub fn poseidon2(bytes: &[u8]) -> [u8; 32] {
    let mut padded = bytes.to_vec();
    padded.push(1);
    padded.resize(padded.len().next_multiple_of(POSEIDON2_BLOCK_BYTES), 0);

    let permutation = permutation();
    let mut state = [Val::ZERO; 16];
    for block in padded.chunks_exact(POSEIDON2_BLOCK_BYTES) {
        for (slot, bytes) in state
            .iter_mut()
            .zip(block.chunks_exact(POSEIDON2_ELEMENT_BYTES))
        {
            *slot = Val::from_u32(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]));
        }
        permutation.permute_mut(&mut state);
    }

    let mut digest = [0; 32];
    for (bytes, element) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&element.as_canonical_u32().to_le_bytes());
    }
    digest
}
