//! Bytes as field elements, each way with one encoding only.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};

use crate::config::{Challenge, Val};

/// Bytes as 16-bit little-endian limbs.
///
/// *Shape*: `bytes` has an even length; half as many limbs.
pub(crate) fn limbs16(bytes: &[u8]) -> Vec<Val> {
    debug_assert!(bytes.len().is_multiple_of(2));
    bytes
        .chunks_exact(2)
        .map(|pair| Val::from_u16(u16::from_le_bytes([pair[0], pair[1]])))
        .collect()
}

/// Bytes as reduced elements of four bytes each, little-endian; none if one is not reduced.
pub(crate) fn canonical(bytes: &[u8]) -> Option<Vec<Val>> {
    debug_assert!(bytes.len().is_multiple_of(4));
    bytes
        .chunks_exact(4)
        .map(|quad| {
            let value = u32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]);
            (value < Val::ORDER_U32).then(|| Val::from_u32(value))
        })
        .collect()
}

/// The four base-field coefficients of a challenge.
pub(crate) fn coefficients(value: Challenge) -> [Val; 4] {
    let slice = value.as_basis_coefficients_slice();
    [slice[0], slice[1], slice[2], slice[3]]
}

/// The challenge with these coefficients.
pub(crate) fn challenge(coefficients: [Val; 4]) -> Challenge {
    Challenge::from_basis_coefficients_fn(|i| coefficients[i])
}
