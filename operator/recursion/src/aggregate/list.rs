//! Lists of public values, carried as digests that grow by one member at a time.
//!
//! The empty list is zero; a list with a member behind it is the Merkle node of the list and the
//! member's hash. So a digest says what is in the list and in which order, and nobody can add, drop,
//! repeat or swap a member without changing it (as far as the permutation's hash is collision
//! resistant).

use froben_circuits::config::{self, Challenge, Compress, Hash, Val};
use froben_circuits::{Circuit as Segment, Error, SHARED_PUBLIC_VALUES, Statement};
use p3_field::PrimeCharacteristicRing;
use p3_symmetric::{CryptographicHasher, PseudoCompressionFunction};

use crate::circuit::{Builder, DIGEST, DIGEST_PACKS, DigestWires, PACK, Wire, digest_packs};
use crate::verifier::{Lane, compress, hash};

/// The digest of a list of public values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ListDigest(pub [Val; DIGEST]);

impl ListDigest {
    /// The list with a member behind it.
    #[must_use]
    pub fn with(self, member: &[Val]) -> Self {
        let permutation = config::permutation();
        let member = Hash::new(permutation.clone()).hash_slice(member);
        Self(Compress::new(permutation).compress([self.0, member]))
    }

    /// The digest in packs.
    pub(super) fn packs(self) -> [Challenge; DIGEST_PACKS] {
        digest_packs(self.0)
    }

    /// The digest that packs of a proof's public values hold.
    pub(super) fn of_publics(publics: &[Val], wire: usize) -> Self {
        let values = &publics[wire * PACK..][..DIGEST];
        Self(std::array::from_fn(|i| values[i]))
    }
}

/// The two lists that every circuit's proofs make: what all circuits say of each segment, and what this
/// one says alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lists {
    /// Index, length, point and fingerprint of each segment.
    pub common: ListDigest,
    /// The circuit's digest of each segment.
    pub own: ListDigest,
}

impl Lists {
    /// The lists with a segment's statement behind them.
    ///
    /// *Errors*: as [`Segment::public_values`].
    pub fn with(self, segment: Segment, statement: &Statement) -> Result<Self, Error> {
        let publics = segment.public_values(statement)?;
        let (common, own) = publics.split_at(SHARED_PUBLIC_VALUES);
        Ok(Self {
            common: self.common.with(common),
            own: self.own.with(own),
        })
    }
}

/// A list's digest in a circuit.
#[derive(Clone, Copy)]
pub(super) struct ListWires(pub(super) DigestWires);

impl ListWires {
    /// The list with a member behind it where `present` is 1, as it is where it is 0.
    pub(super) fn with(self, b: &mut Builder, present: Wire, member: &[Lane]) -> Self {
        let member = hash(b, member);
        let longer = compress(b, self.0, member);
        Self(b.select_digest(present, self.0, longer))
    }

    /// Requires the list to be empty.
    pub(super) fn assert_empty(self, b: &mut Builder) {
        let zero = b.constant(Challenge::ZERO);
        b.assert_same_digest(self.0, [zero; DIGEST_PACKS]);
    }
}
