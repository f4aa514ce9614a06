use super::Field;

/// The field Goldilocks, `2^64 - 2^32 + 1`.
///
/// Kernels take every 64-bit word for the element that it is modulo `P`, as Plonky3 does, and give
/// back words below `P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goldilocks;

const P: u64 = 0xffff_ffff_0000_0001;
/// A generator of the subgroup of order `2^32`, the one that Plonky3 chose.
const ROOT_32: u64 = 0x1856_29dc_da58_878c;

impl Field for Goldilocks {
    type Word = u64;

    const NAME: &'static str = "goldilocks";
    const SOURCES: &'static [&'static str] = &[
        "#define FIELD_BITS 64\n",
        super::WORDS_SOURCE,
        include_str!("../../../kernels/field/goldilocks.cl"),
        super::MEMORY_SOURCE,
    ];
    const VECTORS: bool = true;
    const DIRECTED: bool = true;
    const STEP_LEVELS: u32 = 3;
    const TWO_ADICITY: u32 = 32;
    const ZERO: u64 = 0;
    const ONE: u64 = 1;

    fn from_u64(value: u64) -> u64 {
        value % P
    }

    fn is_element(_: u64) -> bool {
        true
    }

    fn add(a: u64, b: u64) -> u64 {
        ((u128::from(a) + u128::from(b)) % u128::from(P)) as u64
    }

    fn sub(a: u64, b: u64) -> u64 {
        Self::add(a, P - b % P)
    }

    fn mul(a: u64, b: u64) -> u64 {
        ((u128::from(a) * u128::from(b)) % u128::from(P)) as u64
    }

    fn inverse(a: u64) -> Option<u64> {
        (!a.is_multiple_of(P)).then(|| Self::pow(a, P - 2))
    }

    fn largest_root() -> u64 {
        ROOT_32
    }
}
