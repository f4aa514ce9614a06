//! The proof system: fields, hashes, transcript and commitment scheme.
//!
//! Everything that decides how a proof is encoded and checked is fixed here. A prover may bring its
//! own DFT and its own `Pcs` (that is how a GPU takes part); built from the parts of this module it
//! makes byte for byte the proofs of [`stock`], and the verifier never learns the difference.

use p3_baby_bear::{BabyBear, Poseidon2BabyBear, default_babybear_poseidon2_16};
use p3_challenger::DuplexChallenger;
use p3_commit::{ExtensionMmcs, Mmcs};
use p3_dft::Radix2DitParallel;
use p3_field::Field;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::extension::BinomialExtensionField;
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{PaddingFreeSponge, TruncatedPermutation};
use p3_uni_stark::StarkConfig;

use crate::params::{LOG_MERKLE_CAP, Params};
use crate::paths::PathMmcs;

/// The field of traces and public values.
pub type Val = BabyBear;
/// The field of challenges: degree 4 over [`Val`], about 2^124 elements.
pub type Challenge = BinomialExtensionField<Val, 4>;
/// The permutation behind every hash of the proof system.
pub type Perm = Poseidon2BabyBear<16>;
/// Hash of a Merkle leaf.
pub type Hash = PaddingFreeSponge<Perm, 16, 8, 8>;
/// Hash of two Merkle nodes.
pub type Compress = TruncatedPermutation<Perm, 2, 8, 16>;
/// Merkle trees over matrices.
pub type TreeMmcs =
    MerkleTreeMmcs<<Val as Field>::Packing, <Val as Field>::Packing, Hash, Compress, 2, 8>;
/// Merkle trees over traces, opened by whole paths.
pub type ValMmcs = PathMmcs<TreeMmcs>;
/// A commitment to a trace: a Merkle cap.
pub type Commitment = <TreeMmcs as Mmcs<Val>>::Commitment;
/// Merkle trees over FRI layers, opened by whole paths.
pub type ChallengeMmcs = ExtensionMmcs<Val, Challenge, ValMmcs>;
/// The Fiat-Shamir transcript.
pub type Challenger = DuplexChallenger<Val, Perm, 16, 8>;
/// The domain of a committed trace.
pub type Domain = TwoAdicMultiplicativeCoset<Val>;
/// The DFT of the stock prover.
pub type StockDft = Radix2DitParallel<Val>;
/// The polynomial commitment scheme of the stock prover and of every verifier.
pub type StockPcs = TwoAdicFriPcs<Val, StockDft, ValMmcs, ChallengeMmcs>;
/// The configuration of the stock prover and of every verifier.
pub type StockConfig = StarkConfig<StockPcs, Challenge, Challenger>;

/// The Poseidon2 permutation with its published constants.
#[must_use]
pub fn permutation() -> Perm {
    default_babybear_poseidon2_16()
}

/// The Merkle trees behind every commitment.
#[must_use]
pub fn tree_mmcs() -> TreeMmcs {
    let perm = permutation();
    TreeMmcs::new(Hash::new(perm.clone()), Compress::new(perm), LOG_MERKLE_CAP)
}

/// The commitment to traces.
#[must_use]
pub fn val_mmcs() -> ValMmcs {
    ValMmcs::new(tree_mmcs())
}

/// The commitment to FRI layers.
#[must_use]
pub fn challenge_mmcs() -> ChallengeMmcs {
    ChallengeMmcs::new(val_mmcs())
}

/// A fresh transcript.
#[must_use]
pub fn challenger() -> Challenger {
    Challenger::new(permutation())
}

/// The FRI parameters of `params` over the stock commitment scheme.
#[must_use]
pub fn fri(params: Params) -> FriParameters<ChallengeMmcs> {
    params.fri(challenge_mmcs())
}

/// The configuration of every verifier, and of the prover on a machine without GPU.
#[must_use]
pub fn stock(params: Params) -> StockConfig {
    let pcs = StockPcs::new(StockDft::default(), val_mmcs(), fri(params));
    over(params, pcs)
}

/// The configuration under `params` over any commitment scheme: transcript and work are those of all proofs.
pub fn over<P: Clone>(params: Params, pcs: P) -> StarkConfig<P, Challenge, Challenger> {
    StarkConfig::new(pcs, challenger()).with_lookup_proof_of_work_bits(params.bus_work_bits())
}
