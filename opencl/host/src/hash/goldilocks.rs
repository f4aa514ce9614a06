use p3_field::PrimeField64;
use p3_goldilocks::{
    GOLDILOCKS_POSEIDON2_RC_8_EXTERNAL_FINAL, GOLDILOCKS_POSEIDON2_RC_8_EXTERNAL_INITIAL,
    GOLDILOCKS_POSEIDON2_RC_8_INTERNAL, GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_FINAL,
    GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_INITIAL, GOLDILOCKS_POSEIDON2_RC_12_INTERNAL,
};

use super::Poseidon2;
use crate::field::Goldilocks;

/// Poseidon2 over 8 elements of Goldilocks.
#[derive(Clone, Copy, Debug)]
pub struct Goldilocks8;

/// Poseidon2 over 12 elements of Goldilocks.
#[derive(Clone, Copy, Debug)]
pub struct Goldilocks12;

fn words<'a>(
    constants: impl IntoIterator<Item = &'a p3_goldilocks::Goldilocks>,
) -> impl Iterator<Item = u64> {
    constants.into_iter().map(PrimeField64::as_canonical_u64)
}

impl Poseidon2 for Goldilocks8 {
    type Field = Goldilocks;

    const NAME: &'static str = "goldilocks_8";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/goldilocks_8.cl"),
        include_str!("../../../kernels/hash/goldilocks.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 8;
    const POWER: u64 = 7;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (-1, 1), (-3, 0), (-4, 0),
    ];

    fn constants() -> Vec<u64> {
        words(GOLDILOCKS_POSEIDON2_RC_8_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&GOLDILOCKS_POSEIDON2_RC_8_INTERNAL))
            .chain(words(
                GOLDILOCKS_POSEIDON2_RC_8_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }
}

impl Poseidon2 for Goldilocks12 {
    type Field = Goldilocks;

    const NAME: &'static str = "goldilocks_12";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/goldilocks_12.cl"),
        include_str!("../../../kernels/hash/goldilocks.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 12;
    const POWER: u64 = 7;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (-1, 1), (-3, 0), (-4, 0),
        (1, 2), (-1, 2), (1, 3),
    ];

    fn constants() -> Vec<u64> {
        words(GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&GOLDILOCKS_POSEIDON2_RC_12_INTERNAL))
            .chain(words(
                GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }
}
