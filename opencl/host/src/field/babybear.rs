//! BabyBear, `2^31 - 2^27 + 1`, in the Montgomery form that Plonky3 and the kernels share.

use super::Field;

/// The field BabyBear: an element `a` is stored as `a * 2^32 mod P` in `[0, P)`.
#[derive(Clone, Copy, Debug)]
pub struct BabyBear;

const P: u32 = 0x7800_0001;
/// `P^-1 mod 2^32`.
const MU: u32 = 0x8800_0001;
/// `2^64 mod P`: multiplying by it brings a number into Montgomery form.
const R_SQUARED: u32 = ((1_u128 << 64) % P as u128) as u32;
/// A generator of the subgroup of order `2^27`, the one that Plonky3 chose.
const ROOT_27: u32 = 0x1a42_7a41;

/// `x / 2^32 mod P`, for `x < P * 2^32`.
const fn reduce(x: u64) -> u32 {
    let q = (x as u32).wrapping_mul(MU);
    let subtrahend = ((q as u64 * P as u64) >> 32) as u32;
    let (difference, borrowed) = ((x >> 32) as u32).overflowing_sub(subtrahend);
    if borrowed {
        difference.wrapping_add(P)
    } else {
        difference
    }
}

const fn stored(value: u32) -> u32 {
    reduce(value as u64 * R_SQUARED as u64)
}

impl Field for BabyBear {
    type Word = u32;

    const NAME: &'static str = "babybear";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/field/babybear.cl"),
        include_str!("../../../kernels/field/monty31.cl"),
    ];
    const MODULUS: u64 = P as u64;
    const TWO_ADICITY: u32 = 27;
    const EXTENSION_DEGREE: usize = 4;
    const NON_RESIDUE: u32 = stored(11);
    const ZERO: u32 = 0;
    const ONE: u32 = stored(1);

    fn from_u64(value: u64) -> u32 {
        stored((value % Self::MODULUS) as u32)
    }

    fn is_canonical(word: u32) -> bool {
        word < P
    }

    fn to_u64(word: u32) -> u64 {
        u64::from(word)
    }

    fn add(a: u32, b: u32) -> u32 {
        let sum = a + b;
        sum.min(sum.wrapping_sub(P))
    }

    fn sub(a: u32, b: u32) -> u32 {
        let difference = a.wrapping_sub(b);
        difference.min(difference.wrapping_add(P))
    }

    fn mul(a: u32, b: u32) -> u32 {
        reduce(u64::from(a) * u64::from(b))
    }

    fn root(log_order: u32) -> u32 {
        assert!(
            log_order <= Self::TWO_ADICITY,
            "no subgroup of order 2^{log_order}"
        );
        Self::pow(stored(ROOT_27), 1 << (Self::TWO_ADICITY - log_order))
    }
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeCharacteristicRing, PrimeField32, TwoAdicField};

    use super::*;

    type Theirs = p3_baby_bear::BabyBear;

    /// Zero, one, the largest element, and whatever else a mistake in a carry would show at.
    const VALUES: [u32; 8] = [0, 1, 2, P / 2, P / 2 + 1, P - 2, P - 1, 0x1234_5678];

    #[test]
    fn agrees_with_plonky3() {
        for a in VALUES {
            let (ours_a, theirs_a) = (BabyBear::from_u64(a.into()), Theirs::from_u32(a));
            assert_eq!(ours_a, theirs_a.to_unique_u32(), "{a}");
            for b in VALUES {
                let (ours_b, theirs_b) = (BabyBear::from_u64(b.into()), Theirs::from_u32(b));
                for (ours, theirs) in [
                    (BabyBear::add(ours_a, ours_b), theirs_a + theirs_b),
                    (BabyBear::sub(ours_a, ours_b), theirs_a - theirs_b),
                    (BabyBear::mul(ours_a, ours_b), theirs_a * theirs_b),
                ] {
                    assert_eq!(ours, theirs.to_unique_u32(), "{a}, {b}");
                }
            }
        }
    }

    #[test]
    fn roots_are_those_of_plonky3() {
        for log_order in 0..=BabyBear::TWO_ADICITY {
            let theirs = Theirs::two_adic_generator(log_order as usize);
            assert_eq!(BabyBear::root(log_order), theirs.to_unique_u32());
        }
    }

    #[test]
    fn inverses() {
        assert_eq!(BabyBear::inverse(0), None);
        for a in [1, 2, P - 1, 0x1234_5678] {
            let word = BabyBear::from_u64(a.into());
            let inverse = BabyBear::inverse(word).expect("not zero");
            assert_eq!(BabyBear::mul(word, inverse), BabyBear::ONE);
        }
        let eighth = BabyBear::inverse_power_of_two(3);
        assert_eq!(BabyBear::mul(eighth, BabyBear::from_u64(8)), BabyBear::ONE);
    }
}
