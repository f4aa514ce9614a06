//! The fields that kernels compute in, as the host sees them.
//!
//! The host needs just enough arithmetic to make tables and to know right answers. It is kept apart
//! from any proof library on purpose: the self-test of a device compares the kernels with this.

mod babybear;
mod bls12_381;
mod bn254;
pub(crate) mod elements;
mod extension;
mod goldilocks;
mod koalabear;
pub(crate) mod mont256;
pub(crate) mod mont256_backend;
#[cfg(test)]
mod mont256_kernels;
mod monty31;

pub use babybear::BabyBear;
pub use bls12_381::Bls12381Fr;
pub use bn254::Bn254Fr;
pub use elements::Elements;
pub use extension::{
    BabyBear4, BabyBear5, Extension, Goldilocks2, Goldilocks5, KoalaBear4, KoalaBear5,
};
pub use goldilocks::Goldilocks;
pub use koalabear::KoalaBear;
pub(crate) use monty31::Monty31;

pub use crate::driver::Word;

/// How vectors multiply words.
const WORDS_SOURCE: &str = include_str!("../../kernels/field/words.cl");
/// What field files have in common: how lanes are loaded and stored.
const MEMORY_SOURCE: &str = include_str!("../../kernels/field/memory.cl");

/// A prime field with kernels: how an element is stored, and where the sources are.
///
/// A new field is a file in `opencl/kernels/field`, an implementation of this trait, and its name
/// in a type alias of each launcher.
pub trait Field: Copy + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// How an element lies in memory, on the host as on the device.
    type Word: Word;

    /// The last part of a kernel's name.
    const NAME: &'static str;
    /// The sources that define the lane operations, in order.
    const SOURCES: &'static [&'static str];
    /// Whether the sources have vectors; or else one element a lane.
    const VECTORS: bool;
    /// Sources of another kind, for `ntt/pass_lanes.cl` and four elements a lane, where the field has them.
    const LANE_SOURCES: &'static [&'static str] = &[];
    /// Whether the sources of a transform differ by direction.
    const DIRECTED: bool;
    /// Levels of a whole step of a transform, `MAX_STEP_LEVELS` of the sources.
    const STEP_LEVELS: u32;
    /// Multiplicative subgroups exist up to the order two to this.
    const TWO_ADICITY: u32;
    /// The stored form of zero.
    const ZERO: Self::Word;
    /// The stored form of one.
    const ONE: Self::Word;

    /// The stored form of `value`, reduced.
    fn from_u64(value: u64) -> Self::Word;

    /// Whether kernels take `word` for an element.
    fn is_element(word: Self::Word) -> bool;

    /// `a + b`.
    fn add(a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a - b`.
    fn sub(a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a * b`.
    fn mul(a: Self::Word, b: Self::Word) -> Self::Word;

    /// The generator of the largest two-adic subgroup, of which those of the others are powers.
    fn largest_root() -> Self::Word;

    /// The generator of the subgroup of order `2^log_order`.
    ///
    /// # Panics
    /// If `log_order` exceeds [`Field::TWO_ADICITY`].
    #[must_use]
    fn root(log_order: u32) -> Self::Word {
        assert!(
            log_order <= Self::TWO_ADICITY,
            "no subgroup of order 2^{log_order}"
        );
        Self::pow(Self::largest_root(), 1 << (Self::TWO_ADICITY - log_order))
    }

    /// `base^exponent`.
    #[must_use]
    fn pow(base: Self::Word, exponent: u64) -> Self::Word {
        let (mut square, mut rest, mut power) = (base, exponent, Self::ONE);
        while rest > 0 {
            if rest & 1 == 1 {
                power = Self::mul(power, square);
            }
            square = Self::mul(square, square);
            rest >>= 1;
        }
        power
    }

    /// `1/a`, or `None` for zero.
    fn inverse(a: Self::Word) -> Option<Self::Word>;

    /// `1/2^log`.
    #[must_use]
    fn inverse_power_of_two(log: u32) -> Self::Word {
        let half = Self::inverse(Self::from_u64(2)).expect("invariant: the modulus is odd");
        Self::pow(half, u64::from(log))
    }
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeField64, TwoAdicField};

    use super::*;

    /// Ours and Plonky3's of a field, and how Plonky3 stores an element.
    fn agrees<F: Field, T: TwoAdicField + PrimeField64>(stored: impl Fn(T) -> F::Word)
    where
        F::Word: std::fmt::Debug,
    {
        let p = T::ORDER_U64;
        assert_eq!(F::TWO_ADICITY as usize, T::TWO_ADICITY);
        // Zero, one, the largest element, and whatever else a mistake in a carry would show at.
        let values = [
            0,
            1,
            2,
            p / 2,
            p / 2 + 1,
            p - 2,
            p - 1,
            0xffff_ffff % p,
            (1 << 32) % p,
            0x1234_5678_9abc_def0 % p,
        ];
        for a in values {
            let (ours_a, theirs_a) = (F::from_u64(a), T::from_u64(a));
            assert_eq!(ours_a, stored(theirs_a), "{a}");
            let inverse = F::inverse(ours_a);
            assert_eq!(inverse, theirs_a.try_inverse().map(&stored), "1/{a}");
            for b in values {
                let (ours_b, theirs_b) = (F::from_u64(b), T::from_u64(b));
                for (ours, theirs) in [
                    (F::add(ours_a, ours_b), theirs_a + theirs_b),
                    (F::sub(ours_a, ours_b), theirs_a - theirs_b),
                    (F::mul(ours_a, ours_b), theirs_a * theirs_b),
                ] {
                    assert_eq!(ours, stored(theirs), "{a}, {b}");
                }
            }
        }
        for log_order in 0..=F::TWO_ADICITY {
            let theirs = T::two_adic_generator(log_order as usize);
            assert_eq!(F::root(log_order), stored(theirs), "2^{log_order}");
        }
        let eighth = F::inverse_power_of_two(3);
        assert_eq!(F::mul(eighth, F::from_u64(8)), F::ONE);
        assert!(F::is_element(F::from_u64(p - 1)));
    }

    #[test]
    fn fields_are_those_of_plonky3() {
        use p3_field::PrimeField32;
        agrees::<BabyBear, p3_baby_bear::BabyBear>(|a| a.to_unique_u32());
        agrees::<KoalaBear, p3_koala_bear::KoalaBear>(|a| a.to_unique_u32());
        agrees::<Goldilocks, p3_goldilocks::Goldilocks>(|a| a.as_canonical_u64());
    }
}
