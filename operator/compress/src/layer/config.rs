//! The proof system of the last layer: BabyBear traces, hashes over BN254.
//!
//! What follows verifies this layer in a circuit over BN254's scalar field, where a Poseidon2 of that
//! field costs a few rows and one of BabyBear hundreds. The permutation has width 3 for leaves, nodes
//! and transcript alike: width 2 would save a sixth of the rows of a node, and cost the contract a
//! second set of gates.
//!
//! Openings carry whole Merkle paths: a circuit does the same steps whatever the queries are.

use froben_circuits::paths::PathMmcs;
use p3_baby_bear::BabyBear;
use p3_bn254::Bn254;
use p3_challenger::MultiField32Challenger;
use p3_commit::{ExtensionMmcs, Mmcs};
use p3_dft::Radix2DitParallel;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::extension::BinomialExtensionField;
use p3_fri::TwoAdicFriPcs;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{MultiField32PaddingFreeSponge, TruncatedPermutation};
use p3_uni_stark::StarkConfig;

use super::params::Params;
use super::permutation::{Perm, RATE, WIDTH, permutation};

/// The field of traces and public values.
pub type Val = BabyBear;
/// The field of challenges: degree 4 over [`Val`], X^4 = 11.
pub type Challenge = BinomialExtensionField<Val, 4>;
/// Hash of a Merkle leaf: eight elements a word, in radix 2^31 with digits from 1.
pub type LeafHash = MultiField32PaddingFreeSponge<Val, Bn254, Perm, WIDTH, RATE, 1>;
/// Hash of two Merkle nodes: the first word of the permutation of both and zero.
pub type NodeHash = TruncatedPermutation<Perm, 2, 1, WIDTH>;
/// Merkle trees.
pub type TreeMmcs = MerkleTreeMmcs<Val, Bn254, LeafHash, NodeHash, 2, 1>;
/// Merkle trees over traces, opened by whole paths.
pub type ValMmcs = PathMmcs<TreeMmcs>;
/// Merkle trees over FRI layers, opened by whole paths.
pub type ChallengeMmcs = ExtensionMmcs<Val, Challenge, ValMmcs>;
/// A commitment: a Merkle cap.
pub type Commitment = <ValMmcs as Mmcs<Val>>::Commitment;
/// The Fiat-Shamir transcript.
pub type Challenger = MultiField32Challenger<Val, Bn254, Perm, WIDTH, RATE>;
/// The commitment scheme.
pub type Pcs = TwoAdicFriPcs<Val, Radix2DitParallel<Val>, ValMmcs, ChallengeMmcs>;
/// The domain of a trace.
pub type Domain = TwoAdicMultiplicativeCoset<Val>;
/// The configuration over a commitment scheme.
pub type ConfigOver<P> = StarkConfig<P, Challenge, Challenger>;
/// The configuration of every verifier, and of the prover on a machine without GPU.
pub type Config = ConfigOver<Pcs>;

/// The Merkle trees of this layer.
#[must_use]
pub fn val_mmcs(params: Params) -> ValMmcs {
    let leaf = LeafHash::new(permutation()).expect("invariant: BabyBear is smaller than BN254");
    let node = NodeHash::new(permutation());
    PathMmcs::new(TreeMmcs::new(leaf, node, params.log_cap()))
}

/// A fresh transcript.
#[must_use]
pub fn challenger() -> Challenger {
    Challenger::new(permutation()).expect("invariant: BabyBear is smaller than BN254")
}

/// The configuration under `params`.
#[must_use]
pub fn config(params: Params) -> Config {
    over(params, pcs(params))
}

/// The commitment scheme of a machine without GPU.
#[must_use]
pub fn pcs(params: Params) -> Pcs {
    let mmcs = val_mmcs(params);
    let fri = params.fri(ChallengeMmcs::new(mmcs.clone()));
    Pcs::new(Radix2DitParallel::default(), mmcs, fri)
}

/// The configuration under `params` over any commitment scheme: transcript and work are those of all proofs.
#[must_use]
pub fn over<P: Clone>(params: Params, pcs: P) -> ConfigOver<P> {
    StarkConfig::new(pcs, challenger())
        .with_lookup_proof_of_work_bits(params.lookup_proof_of_work_bits())
}
