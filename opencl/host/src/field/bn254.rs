use super::Field;
use super::mont256::{BN254_FR, Limbs};

/// The scalar field of BN254, in Montgomery form as arkworks and halo2curves keep it: four words, low
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bn254Fr;

/// 5, which generates the multiplicative group, to the odd part of its order: a root of order `2^28`, the
/// one of arkworks and Plonky3. halo2curves takes 7.
const ROOT_28: Limbs = [
    0x9bd6_1b6e_725b_19f0,
    0x402d_111e_4111_2ed4,
    0x00e0_a7eb_8ef6_2abc,
    0x2a3c_09f0_a58a_7e85,
];

impl Field for Bn254Fr {
    type Word = Limbs;

    const NAME: &'static str = "bn254_fr";
    const SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/field/bn254_fr.cl"),
        include_str!("../../../kernels/field/mont256.cl"),
        super::MEMORY_SOURCE,
    ];
    const VECTORS: bool = false;
    const LANE_SOURCES: &'static [&'static str] = &[
        include_str!("../../../kernels/field/bn254_fr.cl"),
        include_str!("../../../kernels/field/mont256_lanes.cl"),
    ];
    const DIRECTED: bool = false;
    const STEP_LEVELS: u32 = 2;
    const TWO_ADICITY: u32 = 28;
    const ZERO: Limbs = [0; 4];
    const ONE: Limbs = BN254_FR.one();

    fn from_u64(value: u64) -> Limbs {
        BN254_FR.stored([value, 0, 0, 0])
    }

    fn is_element(word: Limbs) -> bool {
        BN254_FR.contains(word)
    }

    fn add(a: Limbs, b: Limbs) -> Limbs {
        BN254_FR.add(a, b)
    }

    fn sub(a: Limbs, b: Limbs) -> Limbs {
        BN254_FR.sub(a, b)
    }

    fn mul(a: Limbs, b: Limbs) -> Limbs {
        BN254_FR.mul(a, b)
    }

    fn inverse(a: Limbs) -> Option<Limbs> {
        (a != Self::ZERO).then(|| BN254_FR.inverse(a))
    }

    fn largest_root() -> Limbs {
        BN254_FR.stored(ROOT_28)
    }
}
