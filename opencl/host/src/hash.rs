//! Hashing: the Poseidon2 permutation, as the host sees it.
//!
//! A permutation is a type, such as [`BabyBear16`]; launchers are generic over it. Constants are not
//! written down here: they are those of Plonky3's field crates, brought into the words of the kernels.

mod babybear;
pub(crate) mod bn254;
mod goldilocks;
mod grain;
mod koalabear;
mod permute;

pub use babybear::{BabyBear16, BabyBear24};
pub use bn254::PermuteBn254;
pub use goldilocks::{Goldilocks8, Goldilocks12};
pub use koalabear::{KoalaBear16, KoalaBear24};
pub use permute::Permute;
pub(crate) use permute::{launch, permute};

use crate::field::Field;

/// The word type of a permutation's field.
pub(crate) type Word<P> = <<P as Poseidon2>::Field as Field>::Word;

/// Rounds before the internal ones, and as many after them.
const HALF_EXTERNAL_ROUNDS: usize = 4;

/// A Poseidon2 permutation with kernels.
///
/// *Source*: ePrint 2023/323; matrices and constants of Plonky3 0.8.
pub trait Poseidon2: Copy + Send + Sync + 'static {
    /// What the state is made of.
    type Field: Field;

    /// The last part of a kernel's name.
    const NAME: &'static str;
    /// The sources that follow the field's, in order.
    const SOURCES: &'static [&'static str];
    /// Words of the state, a multiple of four.
    const WIDTH: usize;
    /// The power that makes a round non-linear.
    const POWER: u64;
    /// `V` of the internal matrix `1 + diag(V)`: entry `(a, k)` is `a / 2^k`.
    const DIAGONAL: &'static [(i32, u32)];

    /// The round constants: `4 * WIDTH` of the first external rounds, one of each internal round, and
    /// `4 * WIDTH` of the last external rounds.
    fn constants() -> Vec<Word<Self>>;

    /// A round constant as the kernels' `add_power` takes it.
    #[must_use]
    fn kernel_constant(constant: Word<Self>) -> Word<Self> {
        constant
    }

    /// Internal rounds.
    #[must_use]
    fn internal_rounds() -> usize {
        Self::constants().len() - 2 * HALF_EXTERNAL_ROUNDS * Self::WIDTH
    }
}

/// A permutation that hashes the leaves and the nodes of a Merkle tree: rows by the sponge
/// `PaddingFreeSponge<P, WIDTH, RATE, DIGEST>`, nodes by `TruncatedPermutation<P, 2, DIGEST, WIDTH>`.
pub trait MerkleHash: Poseidon2 {
    /// Words of a row that are absorbed at a time.
    const RATE: usize;
    /// Words of a digest, half of the state.
    const DIGEST: usize;
}

impl MerkleHash for BabyBear16 {
    const RATE: usize = 8;
    const DIGEST: usize = 8;
}

impl MerkleHash for KoalaBear16 {
    const RATE: usize = 8;
    const DIGEST: usize = 8;
}

impl MerkleHash for Goldilocks8 {
    const RATE: usize = 4;
    const DIGEST: usize = 4;
}
