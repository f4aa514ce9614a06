use p3_baby_bear::{
    BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    BABYBEAR_POSEIDON2_RC_16_INTERNAL, BABYBEAR_POSEIDON2_RC_24_EXTERNAL_FINAL,
    BABYBEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL, BABYBEAR_POSEIDON2_RC_24_INTERNAL,
};
use p3_field::PrimeField32;

use super::Poseidon2;
use crate::field::{BabyBear, Monty31};

/// Poseidon2 over 16 elements of BabyBear.
#[derive(Clone, Copy, Debug)]
pub struct BabyBear16;

/// Poseidon2 over 24 elements of BabyBear.
#[derive(Clone, Copy, Debug)]
pub struct BabyBear24;

fn words<'a>(
    constants: impl IntoIterator<Item = &'a p3_baby_bear::BabyBear>,
) -> impl Iterator<Item = u32> {
    constants.into_iter().map(PrimeField32::to_unique_u32)
}

impl Poseidon2 for BabyBear16 {
    type Field = BabyBear;

    const NAME: &'static str = "babybear_16";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/babybear_16.cl"),
        include_str!("../../../kernels/hash/monty31.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 16;
    const POWER: u64 = 7;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (-1, 1), (-3, 0), (-4, 0),
        (1, 8), (1, 2), (1, 3), (1, 27), (-1, 8), (-1, 4), (-1, 27),
    ];

    fn constants() -> Vec<u32> {
        words(BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&BABYBEAR_POSEIDON2_RC_16_INTERNAL))
            .chain(words(
                BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }

    fn kernel_constant(constant: u32) -> u32 {
        constant.wrapping_sub(BabyBear::P)
    }
}

impl Poseidon2 for BabyBear24 {
    type Field = BabyBear;

    const NAME: &'static str = "babybear_24";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/babybear_24.cl"),
        include_str!("../../../kernels/hash/monty31.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 24;
    const POWER: u64 = 7;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (-1, 1), (-3, 0), (-4, 0),
        (1, 8), (1, 2), (1, 3), (1, 4), (1, 7), (1, 9), (1, 27),
        (-1, 8), (-1, 2), (-1, 3), (-1, 4), (-1, 5), (-1, 6), (-1, 7), (-1, 27),
    ];

    fn constants() -> Vec<u32> {
        words(BABYBEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&BABYBEAR_POSEIDON2_RC_24_INTERNAL))
            .chain(words(
                BABYBEAR_POSEIDON2_RC_24_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }

    fn kernel_constant(constant: u32) -> u32 {
        constant.wrapping_sub(BabyBear::P)
    }
}
