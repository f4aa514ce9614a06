use p3_field::PrimeField32;
use p3_koala_bear::{
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    KOALABEAR_POSEIDON2_RC_16_INTERNAL, KOALABEAR_POSEIDON2_RC_24_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_24_INTERNAL,
};

use super::Poseidon2;
use crate::field::{KoalaBear, Monty31};

/// Poseidon2 over 16 elements of KoalaBear.
#[derive(Clone, Copy, Debug)]
pub struct KoalaBear16;

/// Poseidon2 over 24 elements of KoalaBear.
#[derive(Clone, Copy, Debug)]
pub struct KoalaBear24;

fn words<'a>(
    constants: impl IntoIterator<Item = &'a p3_koala_bear::KoalaBear>,
) -> impl Iterator<Item = u32> {
    constants.into_iter().map(PrimeField32::to_unique_u32)
}

impl Poseidon2 for KoalaBear16 {
    type Field = KoalaBear;

    const NAME: &'static str = "koalabear_16";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/koalabear_16.cl"),
        include_str!("../../../kernels/hash/monty31.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 16;
    const POWER: u64 = 3;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (-1, 1), (-3, 0), (-4, 0),
        (1, 8), (1, 3), (1, 24), (-1, 8), (-1, 3), (-1, 4), (-1, 24),
    ];

    fn constants() -> Vec<u32> {
        words(KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&KOALABEAR_POSEIDON2_RC_16_INTERNAL))
            .chain(words(
                KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }

    fn kernel_constant(constant: u32) -> u32 {
        constant.wrapping_sub(KoalaBear::P)
    }
}

impl Poseidon2 for KoalaBear24 {
    type Field = KoalaBear;

    const NAME: &'static str = "koalabear_24";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/hash/koalabear_24.cl"),
        include_str!("../../../kernels/hash/monty31.cl"),
        include_str!("../../../kernels/hash/poseidon2.cl"),
    ];
    const WIDTH: usize = 24;
    const POWER: u64 = 3;
    #[rustfmt::skip]
    const DIAGONAL: &'static [(i32, u32)] = &[
        (-2, 0), (1, 0), (2, 0), (1, 1), (3, 0), (4, 0), (-1, 1), (-3, 0), (-4, 0),
        (1, 8), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 24),
        (-1, 8), (-1, 3), (-1, 4), (-1, 5), (-1, 6), (-1, 7), (-1, 9), (-1, 24),
    ];

    fn constants() -> Vec<u32> {
        words(KOALABEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL.as_flattened())
            .chain(words(&KOALABEAR_POSEIDON2_RC_24_INTERNAL))
            .chain(words(
                KOALABEAR_POSEIDON2_RC_24_EXTERNAL_FINAL.as_flattened(),
            ))
            .collect()
    }

    fn kernel_constant(constant: u32) -> u32 {
        constant.wrapping_sub(KoalaBear::P)
    }
}
