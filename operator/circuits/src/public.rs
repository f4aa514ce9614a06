//! The public values of a proof, in one order for all circuits.
//!
//! The constraints bind length, point, fingerprint and digest to the bytes. The index is bound by
//! the transcript alone: the verifier absorbs all public values before it draws anything, and the
//! point depends on the index as well.

use p3_air::AirBuilder;
use p3_field::PrimeCharacteristicRing;

use crate::circuit::Circuit;
use crate::config::Val;
use crate::error::Error;
use crate::field;
use crate::statement::Statement;

/// Place of the index: two 16-bit limbs.
pub(crate) const INDEX: usize = 0;
/// Place of the length in bytes.
pub(crate) const LEN: usize = 2;
/// Place of the link's point: four coefficients.
pub(crate) const POINT: usize = 3;
/// Place of the fingerprint: four coefficients.
pub(crate) const FINGERPRINT: usize = 7;
/// Public values that every circuit's proof of a statement has alike: index, length, point and fingerprint.
pub const SHARED_PUBLIC_VALUES: usize = 11;
/// Place of the digest, encoded as the circuit likes it.
pub(crate) const DIGEST: usize = SHARED_PUBLIC_VALUES;

impl Circuit {
    /// The public values of this circuit's proof of `statement`; the point is recomputed.
    ///
    /// *Shape*: index 2, length 1, point 4, fingerprint 4, digest 16, of Poseidon2 8; docs/circuits.md
    /// says what each holds.
    ///
    /// *Errors*: [`Error::NotCanonical`] if the digest is no output of the circuit's hash.
    pub fn public_values(self, statement: &Statement) -> Result<Vec<Val>, Error> {
        let link = statement.link();
        let mut values = field::limbs16(&statement.index.to_le_bytes());
        debug_assert_eq!(values.len(), LEN - INDEX);
        values.push(Val::from_u32(statement.len));
        values.extend(field::coefficients(link.r));
        values.extend(field::coefficients(link.f));
        values.extend(self.digest_values(statement.digests.of(self))?);
        Ok(values)
    }
}

/// One public value as an expression.
pub(crate) fn value<AB: AirBuilder>(builder: &AB, place: usize) -> AB::Expr {
    builder.public_values()[place].into()
}

/// Four neighbouring public values as expressions: an element of the challenge field.
pub(crate) fn challenge<AB: AirBuilder>(builder: &AB, place: usize) -> [AB::Expr; 4] {
    core::array::from_fn(|i| value(builder, place + i))
}
