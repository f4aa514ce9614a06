//! Keys as values of a circuit.

use froben_circuits::config::{self, Challenge, Hash, Val};
use froben_circuits::params::LOG_MERKLE_CAP;
use p3_field::PrimeCharacteristicRing;
use p3_symmetric::CryptographicHasher;

use crate::circuit::{Builder, DIGEST, DIGEST_PACKS, DigestWires, PACK, digest_packs};
use crate::proof::VerifyingKey;
use crate::tables::Heights;
use crate::verifier::{CapWires, Lane, Malformed, cap, hash};

/// The digest of a verifying key: the hash of its heights and of the commitment to its fixed columns.
pub fn key_digest(key: &VerifyingKey) -> [Val; DIGEST] {
    let roots = key.fixed.roots().iter().flatten().copied();
    let heights = heights(key.heights);
    Hash::new(config::permutation()).hash_iter(heights.into_iter().chain(roots))
}

/// The heights as the first pack of what is hashed.
fn heights(heights: Heights) -> [Val; PACK] {
    let [tall, short] = [heights.tall, heights.short].map(Val::from_usize);
    [tall, short, Val::ZERO, Val::ZERO]
}

/// The packs of a key's digest.
pub(super) fn packs(key: &VerifyingKey) -> [Challenge; DIGEST_PACKS] {
    digest_packs(key_digest(key))
}

/// The roots of a key, in packs.
///
/// *Errors*: [`Malformed`] unless it has a whole cap.
pub(super) fn root_packs(key: &VerifyingKey) -> Result<Vec<[Challenge; DIGEST_PACKS]>, Malformed> {
    cap(&key.fixed, LOG_MERKLE_CAP)
}

/// A key that is part of the circuit.
pub(super) fn fixed(b: &mut Builder, key: &VerifyingKey) -> CapWires {
    let roots = root_packs(key).expect("invariant: a key of our own circuits");
    roots
        .into_iter()
        .map(|root| root.map(|pack| b.constant(pack)))
        .collect()
}

/// A key of the prover's for tables of these heights; its digest is for the circuit to judge.
pub(super) fn input(b: &mut Builder, shape: Heights) -> (CapWires, DigestWires) {
    let key: CapWires = (0..1 << LOG_MERKLE_CAP).map(|_| b.input_digest()).collect();
    let mut lanes: Vec<Lane> = heights(shape).map(Lane::Fixed).into();
    lanes.extend(key.iter().flatten().copied().flat_map(Lane::all));
    let digest = hash(b, &lanes);
    (key, digest)
}
