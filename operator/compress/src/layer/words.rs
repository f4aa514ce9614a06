//! The same field in two libraries: words of BN254's scalar field as Plonky3 and as halo2 hold them.

use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::utils::{BigPrimeField, ScalarField};
use p3_bn254::Bn254;
use p3_field::PrimeField;

/// The element that 256 bits in little-endian limbs stand for, if they are less than the modulus.
#[must_use]
pub fn from_limbs(limbs: [u64; 4]) -> Option<Bn254> {
    let less = limbs.iter().rev().lt(MODULUS.iter().rev());
    less.then(|| Bn254::new(limbs))
}

/// The canonical little-endian limbs of an element.
#[must_use]
pub fn to_limbs(word: Bn254) -> [u64; 4] {
    let mut limbs = [0; 4];
    let digits = word.as_canonical_biguint();
    limbs
        .iter_mut()
        .zip(digits.iter_u64_digits())
        .for_each(|(limb, digit)| *limb = digit);
    limbs
}

/// A word as halo2 holds it.
#[must_use]
pub fn to_fr(word: Bn254) -> Fr {
    Fr::from_u64_digits(&to_limbs(word))
}

/// A word as Plonky3 holds it.
pub fn from_fr(word: Fr) -> Bn254 {
    let bytes = word.to_bytes_le();
    let limb = |i: usize| {
        let bytes = bytes[8 * i..8 * i + 8].try_into();
        u64::from_le_bytes(bytes.expect("invariant: a word has 32 bytes"))
    };
    Bn254::new(std::array::from_fn(limb))
}

/// The modulus r in little-endian limbs.
const MODULUS: [u64; 4] = [
    0x43e1_f593_f000_0001,
    0x2833_e848_79b9_7091,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
];

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;

    use super::*;

    #[test]
    fn both_libraries_agree() {
        for word in [
            Bn254::ZERO,
            Bn254::ONE,
            Bn254::NEG_ONE,
            Bn254::from_u64(u64::MAX),
        ] {
            assert_eq!(from_fr(to_fr(word)), word);
        }
        assert_eq!(to_fr(Bn254::NEG_ONE), -Fr::one());
        let square = Bn254::from_u64(1 << 40) * Bn254::NEG_ONE;
        assert_eq!(to_fr(square), -Fr::from(1 << 40));
    }

    #[test]
    fn limbs_are_canonical() {
        assert_eq!(from_limbs(MODULUS), None);
        assert_eq!(from_limbs([u64::MAX; 4]), None);
        assert_eq!(from_limbs(to_limbs(Bn254::NEG_ONE)), Some(Bn254::NEG_ONE));
    }
}
