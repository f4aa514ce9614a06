use super::Field;

/// The field Goldilocks, `2^64 - 2^32 + 1`. An element is stored as itself, in `[0, P)`; Plonky3's may
/// be `P` or more.
#[derive(Clone, Copy, Debug)]
pub struct Goldilocks;

const P: u64 = 0xffff_ffff_0000_0001;
/// A generator of the subgroup of order `2^32`, the one that Plonky3 chose.
const ROOT_32: u64 = 0x1856_29dc_da58_878c;

impl Field for Goldilocks {
    type Word = u64;

    const NAME: &'static str = "goldilocks";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/field/goldilocks.cl"),
        super::MEMORY_SOURCE,
    ];
    const MODULUS: u64 = P;
    const TWO_ADICITY: u32 = 32;
    const EXTENSION_DEGREE: usize = 2;
    const NON_RESIDUE: u64 = 7;
    const ZERO: u64 = 0;
    const ONE: u64 = 1;

    fn from_u64(value: u64) -> u64 {
        value % P
    }

    fn is_canonical(word: u64) -> bool {
        word < P
    }

    fn to_u64(word: u64) -> u64 {
        word
    }

    fn add(a: u64, b: u64) -> u64 {
        ((u128::from(a) + u128::from(b)) % u128::from(P)) as u64
    }

    fn sub(a: u64, b: u64) -> u64 {
        Self::add(a, P - b)
    }

    fn mul(a: u64, b: u64) -> u64 {
        ((u128::from(a) * u128::from(b)) % u128::from(P)) as u64
    }

    fn largest_root() -> u64 {
        ROOT_32
    }
}
