//! All that a session computes, field by field, for whoever goes through everything: tests, measurements,
//! tuning.

use crate::field::{
    BabyBear, BabyBear4, Bls12381Fr, Bn254Fr, Extension, Field, Goldilocks, Goldilocks2, KoalaBear,
    KoalaBear4,
};
use crate::hash::{
    BabyBear16, BabyBear24, Goldilocks8, Goldilocks12, KoalaBear16, KoalaBear24, MerkleHash,
    Poseidon2,
};

/// Somebody who goes through everything.
pub(crate) trait Visitor {
    /// Transforms over a field.
    fn transforms<F: Field>(&mut self);
    /// Folding over a challenge field.
    fn folds<E: Extension>(&mut self);
    /// Permutations of both widths that a field has.
    fn permutations<P: Poseidon2, Q: Poseidon2<Field = P::Field>>(&mut self);
    /// Trees with the hash of a field.
    fn trees<P: MerkleHash>(&mut self);
    /// The permutation over BN254.
    fn bn254_permutation(&mut self);
    /// Multi-scalar multiplication over BN254.
    fn msm(&mut self);
}

/// Shows everything, in the order of a report. A new field is a line here.
pub(crate) fn visit<V: Visitor>(mut visitor: V) -> V {
    visitor.transforms::<BabyBear>();
    visitor.transforms::<KoalaBear>();
    visitor.transforms::<Goldilocks>();
    visitor.transforms::<Bn254Fr>();
    visitor.transforms::<Bls12381Fr>();
    visitor.folds::<BabyBear4>();
    visitor.folds::<KoalaBear4>();
    visitor.folds::<Goldilocks2>();
    visitor.permutations::<BabyBear16, BabyBear24>();
    visitor.permutations::<KoalaBear16, KoalaBear24>();
    visitor.permutations::<Goldilocks8, Goldilocks12>();
    visitor.bn254_permutation();
    visitor.trees::<BabyBear16>();
    visitor.trees::<KoalaBear16>();
    visitor.trees::<Goldilocks8>();
    visitor.msm();
    visitor
}
