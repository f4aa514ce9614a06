//! The fields that kernels compute in, as the host sees them.
//!
//! The host needs just enough arithmetic to make tables and to know right answers. It is kept apart
//! from any proof library on purpose: the self-test of a device compares the kernels with this.

mod babybear;

pub use babybear::BabyBear;

pub use crate::driver::Word;
use crate::error::{Error, Result};

/// A prime field with kernels: how an element is stored, and where the sources are.
///
/// A new field is a file in `opencl/kernels/field`, an implementation of this trait, and its name
/// in a type alias of each launcher.
pub trait Field: Copy + Send + Sync + 'static {
    /// How an element lies in memory, on the host as on the device.
    type Word: Word;

    /// The last part of a kernel's name.
    const NAME: &'static str;
    /// The sources that define the lane operations, in order.
    const SOURCES: &'static [&'static str];
    /// The modulus.
    const MODULUS: u64;
    /// Multiplicative subgroups exist up to the order two to this.
    const TWO_ADICITY: u32;
    /// Degree of the challenge field `F[x]/(x^D - NON_RESIDUE)`.
    const EXTENSION_DEGREE: usize;
    /// The stored form of the constant that defines the challenge field.
    const NON_RESIDUE: Self::Word;
    /// The stored form of zero.
    const ZERO: Self::Word;
    /// The stored form of one.
    const ONE: Self::Word;

    /// The stored form of `value`, reduced.
    fn from_u64(value: u64) -> Self::Word;

    /// Whether `word` is the stored form of an element.
    fn is_canonical(word: Self::Word) -> bool;

    /// The word as a number, for messages.
    fn to_u64(word: Self::Word) -> u64;

    /// `a + b`.
    fn add(a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a - b`.
    fn sub(a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a * b`.
    fn mul(a: Self::Word, b: Self::Word) -> Self::Word;

    /// The generator of the subgroup of order `2^log_order`.
    ///
    /// # Panics
    /// If `log_order` exceeds [`Field::TWO_ADICITY`].
    fn root(log_order: u32) -> Self::Word;

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
    #[must_use]
    fn inverse(a: Self::Word) -> Option<Self::Word> {
        (a != Self::ZERO).then(|| Self::pow(a, Self::MODULUS - 2))
    }

    /// `1/2^log`.
    #[must_use]
    fn inverse_power_of_two(log: u32) -> Self::Word {
        Self::pow(Self::from_u64(Self::MODULUS.div_ceil(2)), u64::from(log))
    }

    /// The product in the challenge field; coefficients of `1`, `x`, `x^2`, ...
    #[must_use]
    fn extension_mul(a: &[Self::Word], b: &[Self::Word]) -> Vec<Self::Word> {
        let degree = Self::EXTENSION_DEGREE;
        let mut product = vec![Self::ZERO; degree];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let mut term = Self::mul(x, y);
                if i + j >= degree {
                    term = Self::mul(term, Self::NON_RESIDUE);
                }
                let at = (i + j) % degree;
                product[at] = Self::add(product[at], term);
            }
        }
        product
    }
}

/// Refuses words that are no field elements.
pub(crate) fn require_canonical<F: Field>(words: &[F::Word]) -> Result<()> {
    match first_not_canonical::<F>(words) {
        None => Ok(()),
        Some(index) => Err(Error::NotCanonical {
            index,
            word: F::to_u64(words[index]),
            field: F::NAME,
        }),
    }
}

/// The first word that is no field element.
pub(crate) fn first_not_canonical<F: Field>(words: &[F::Word]) -> Option<usize> {
    // Whole runs without an early exit, which the compiler turns into vectors.
    const RUN: usize = 1024;
    let bad = |word: &F::Word| !F::is_canonical(*word);
    let any_bad = |run: &[F::Word]| run.iter().fold(false, |any, word| any | bad(word));
    let run = words.chunks(RUN).position(any_bad)?;
    let start = run * RUN;
    words[start..]
        .iter()
        .position(bad)
        .map(|index| start + index)
}
