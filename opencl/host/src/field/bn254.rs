use super::mont256::{BN254_FR, Limbs, mont256_field};

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

mont256_field!(Bn254Fr, "bn254_fr", BN254_FR, 28, ROOT_28);
