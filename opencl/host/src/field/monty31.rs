//! Primes below `2^31` in the Montgomery form that Plonky3 and the kernels share: an element `a` is
//! stored as `a * 2^32 mod P` in `[0, P)`.

use super::Field;

/// The constants of a field.
pub trait Monty31: Copy + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// The last part of a kernel's name.
    const NAME: &'static str;
    /// The source that defines the constants for kernels.
    const SOURCE: &'static str;
    /// The modulus.
    const P: u32;
    /// Multiplicative subgroups exist up to the order two to this.
    const TWO_ADICITY: u32;
    /// A generator of the largest of these, the one that Plonky3 chose.
    const ROOT: u32;
}

/// `P^-1 mod 2^32`, by Newton's iteration: each step doubles the bits that are right.
const fn inverse_of(p: u32) -> u32 {
    let (mut inverse, mut bits) = (p, 3);
    while bits < 32 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(p.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// `x / 2^32 mod P`, for `x < P * 2^32`.
const fn reduce<M: Monty31>(x: u64) -> u32 {
    let q = (x as u32).wrapping_mul(const { inverse_of(M::P) });
    let subtrahend = ((q as u64 * M::P as u64) >> 32) as u32;
    let (difference, borrowed) = ((x >> 32) as u32).overflowing_sub(subtrahend);
    if borrowed {
        difference.wrapping_add(M::P)
    } else {
        difference
    }
}

/// Multiplying by `2^64 mod P` brings a number into Montgomery form.
const fn stored<M: Monty31>(value: u32) -> u32 {
    let r_squared = const { ((1_u128 << 64) % M::P as u128) as u64 };
    reduce::<M>(value as u64 * r_squared)
}

impl<M: Monty31> Field for M {
    type Word = u32;

    const NAME: &'static str = M::NAME;
    const SOURCES: &'static [&'static str] = &[
        M::SOURCE,
        super::WORDS_SOURCE,
        include_str!("../../../kernels/field/monty31.cl"),
        super::MEMORY_SOURCE,
    ];
    const VECTORS: bool = true;
    const DIRECTED: bool = false;
    const STEP_LEVELS: u32 = 2;
    const TWO_ADICITY: u32 = M::TWO_ADICITY;
    const ZERO: u32 = 0;
    const ONE: u32 = stored::<M>(1);

    fn from_u64(value: u64) -> u32 {
        stored::<M>((value % u64::from(M::P)) as u32)
    }

    fn is_element(word: u32) -> bool {
        word < M::P
    }

    fn add(a: u32, b: u32) -> u32 {
        let sum = a + b;
        sum.min(sum.wrapping_sub(M::P))
    }

    fn sub(a: u32, b: u32) -> u32 {
        let difference = a.wrapping_sub(b);
        difference.min(difference.wrapping_add(M::P))
    }

    fn mul(a: u32, b: u32) -> u32 {
        reduce::<M>(u64::from(a) * u64::from(b))
    }

    fn inverse(a: u32) -> Option<u32> {
        (a != 0).then(|| Self::pow(a, u64::from(M::P) - 2))
    }

    fn largest_root() -> u32 {
        stored::<M>(M::ROOT)
    }
}
