//! Scalars and points as the words that devices compute with.
//!
//! Four words of 64 bits, low first, in Montgomery form with `R = 2^256`; infinity is all zeros. That is how
//! halo2curves keeps them.

use halo2_base::halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine};
use halo2_base::halo2_proofs::halo2curves::serde::SerdeObject;

/// A point's coordinates.
pub type PointWords = [[u64; 4]; 2];

/// A scalar's words.
#[must_use]
pub fn scalar_words(scalar: &Fr) -> [u64; 4] {
    let mut bytes = [0; 32];
    written(scalar, &mut bytes);
    words(&bytes)
}

/// A point's words.
#[must_use]
pub fn point_words(point: &G1Affine) -> PointWords {
    let mut bytes = [0; 64];
    written(point, &mut bytes);
    let (x, y) = bytes.split_at(32);
    [words(x), words(y)]
}

/// The point with these words, which are those of a point on the curve.
#[must_use]
pub fn point_of_words(point: PointWords) -> G1 {
    let bytes: Vec<u8> = point
        .as_flattened()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    G1::from(G1Affine::from_raw_bytes_unchecked(&bytes))
}

fn written(value: &impl SerdeObject, mut bytes: &mut [u8]) {
    value
        .write_raw(&mut bytes)
        .expect("invariant: there is room for all of it");
}

fn words(bytes: &[u8]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

#[cfg(test)]
mod tests {
    use halo2_base::halo2_proofs::halo2curves::ff::Field;
    use halo2_base::halo2_proofs::halo2curves::group::Group;
    use halo2_base::halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;

    use super::*;

    #[test]
    fn words_are_montgomery_form() {
        // 2^256 modulo r, from its definition.
        let two = Fr::from(2);
        let radix = two.pow([256]);
        let one = scalar_words(&Fr::ONE);
        let canonical: Vec<u8> = one.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(canonical, radix.to_bytes());
        let point = G1::generator() * Fr::from(7);
        assert_eq!(point_of_words(point_words(&point.into())), point);
        assert_eq!(point_words(&G1Affine::identity()), [[0; 4]; 2]);
        assert_eq!(point_of_words([[0; 4]; 2]), G1::identity());
    }
}
