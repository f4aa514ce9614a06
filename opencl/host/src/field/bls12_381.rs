use super::mont256::{BLS12_381_FR, Limbs, mont256_field};

/// The scalar field of BLS12-381, in Montgomery form as arkworks keeps it: four words, low first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bls12381Fr;

/// 7, which generates the multiplicative group, to the odd part of its order: the root of arkworks.
const ROOT_32: Limbs = [
    0x3829_971f_439f_0d2b,
    0xb636_8350_8c22_80b9,
    0xd09b_6819_22c8_13b4,
    0x16a2_a19e_dfe8_1f20,
];

mont256_field!(Bls12381Fr, "bls12_381_fr", BLS12_381_FR, 32, ROOT_32);
