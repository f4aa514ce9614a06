//! Poseidon2 over the scalar field of BN254, with constants that nobody chose.
//!
//! The constants are the output of the Grain LFSR that the Poseidon papers seed with the parameters of
//! the permutation; deriving them here leaves nothing to trust but the recipe. The result is the
//! published instance of width 3 (`zkhash`'s `POSEIDON2_BN256_PARAMS`).
//!
//! Source: Poseidon2 (ePrint 2023/323), section 6, and Poseidon (ePrint 2019/458), appendix E.

use std::sync::LazyLock;

use p3_bn254::{
    BN254_POSEIDON2_HALF_FULL_ROUNDS, BN254_POSEIDON2_PARTIAL_ROUNDS_3, Bn254, Poseidon2Bn254,
};
use p3_poseidon2::ExternalLayerConstants;

/// Words of the state.
pub const WIDTH: usize = 3;
/// Words of the state that take input and give output.
pub const RATE: usize = 2;
/// Rounds on each side in which every word goes through the S-box.
pub const HALF_FULL_ROUNDS: usize = BN254_POSEIDON2_HALF_FULL_ROUNDS;
/// Rounds in between, in which one word does.
pub const PARTIAL_ROUNDS: usize = BN254_POSEIDON2_PARTIAL_ROUNDS_3;

/// The permutation.
pub type Perm = Poseidon2Bn254<WIDTH>;

/// What each round adds to the state.
#[derive(Debug)]
pub struct RoundConstants {
    /// The first full rounds.
    pub initial: [[Bn254; WIDTH]; HALF_FULL_ROUNDS],
    /// The partial rounds: to the first word only.
    pub partial: [Bn254; PARTIAL_ROUNDS],
    /// The last full rounds.
    pub terminal: [[Bn254; WIDTH]; HALF_FULL_ROUNDS],
}

/// The constants of the permutation, derived once.
#[must_use]
pub fn round_constants() -> &'static RoundConstants {
    static CONSTANTS: LazyLock<RoundConstants> = LazyLock::new(|| {
        let mut grain = Grain::new();
        let mut full = || std::array::from_fn(|_| std::array::from_fn(|_| grain.element()));
        let initial = full();
        let partial = std::array::from_fn(|_| grain.element());
        let terminal = std::array::from_fn(|_| std::array::from_fn(|_| grain.element()));
        RoundConstants {
            initial,
            partial,
            terminal,
        }
    });
    &CONSTANTS
}

/// The permutation with its published constants.
#[must_use]
pub fn permutation() -> Perm {
    let constants = round_constants();
    Perm::new(
        ExternalLayerConstants::new(constants.initial.to_vec(), constants.terminal.to_vec()),
        constants.partial.to_vec(),
    )
}

/// The Grain LFSR in its self-shrinking mode.
struct Grain {
    state: [bool; 80],
}

impl Grain {
    const FIELD_BITS: usize = 254;

    fn new() -> Self {
        // Prime field, S-box x^d, size of the field, width, full rounds, partial rounds, then ones.
        let fields = [
            (1, 2),
            (0, 4),
            (Self::FIELD_BITS, 12),
            (WIDTH, 12),
            (2 * HALF_FULL_ROUNDS, 10),
            (PARTIAL_ROUNDS, 10),
            ((1 << 30) - 1, 30),
        ];
        let bits = fields
            .into_iter()
            .flat_map(|(value, bits)| (0..bits).rev().map(move |bit| value >> bit & 1 == 1));
        let mut state = [false; 80];
        state
            .iter_mut()
            .zip(bits)
            .for_each(|(cell, bit)| *cell = bit);
        let mut grain = Self { state };
        for _ in 0..160 {
            grain.step();
        }
        grain
    }

    fn step(&mut self) -> bool {
        let bit = [62, 51, 38, 23, 13, 0]
            .into_iter()
            .fold(false, |bit, tap| bit ^ self.state[tap]);
        self.state.rotate_left(1);
        self.state[79] = bit;
        bit
    }

    fn bit(&mut self) -> bool {
        loop {
            let (keep, bit) = (self.step(), self.step());
            if keep {
                return bit;
            }
        }
    }

    /// The next element; what does not fit the field is thrown away, so that none is more likely.
    fn element(&mut self) -> Bn254 {
        loop {
            let mut limbs = [0_u64; 4];
            for position in (0..Self::FIELD_BITS).rev() {
                limbs[position / 64] |= u64::from(self.bit()) << (position % 64);
            }
            if let Some(element) = super::words::from_limbs(limbs) {
                return element;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeCharacteristicRing, PrimeField};
    use p3_symmetric::Permutation;

    use super::*;

    /// The test vector of the reference implementation (github.com/HorizenLabs/poseidon2).
    #[test]
    fn the_published_vector() {
        let output = permutation().permute([Bn254::ZERO, Bn254::ONE, Bn254::TWO]);
        assert_eq!(
            output.map(|word| word.as_canonical_biguint().to_str_radix(16)),
            [
                "bb61d24daca55eebcb1929a82650f328134334da98ea4f847f760054f4a3033",
                "303b6f7c86d043bfcbcc80214f26a30277a15d3f74ca654992defe7ff8d03570",
                "1ed25194542b12eef8617361c3ba7c52e660b145994427cc86296242cf766ec8",
            ]
        );
    }
}
