//! Poseidon2 as constraints: one permutation a row, by `p3-poseidon2-air` with the published BabyBear
//! constants.

use p3_baby_bear::{
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS, BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
    BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    BABYBEAR_POSEIDON2_RC_16_INTERNAL, BABYBEAR_S_BOX_DEGREE, GenericPoseidon2LinearLayersBabyBear,
};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2_air::{Poseidon2Air, Poseidon2Cols, RoundConstants, generate_trace_rows};

use crate::config::Val;

/// Elements of the state.
pub const STATE: usize = 16;
/// Intermediate cells per S-box: x^7 as the square of a committed x^3, times x.
const SBOX_REGISTERS: usize = 1;

/// The permutation's AIR; no constraint has a degree above 3.
pub type PermutationAir = Poseidon2Air<
    Val,
    GenericPoseidon2LinearLayersBabyBear,
    STATE,
    BABYBEAR_S_BOX_DEGREE,
    SBOX_REGISTERS,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
>;
/// The permutation's cells.
pub type PermutationCols<T> = Poseidon2Cols<
    T,
    STATE,
    BABYBEAR_S_BOX_DEGREE,
    SBOX_REGISTERS,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
>;

/// The AIR of the permutation that hashes the proofs.
#[must_use]
pub fn permutation_air() -> PermutationAir {
    PermutationAir::new(constants())
}

/// The cells of a permutation of each input.
///
/// *Panics* unless the inputs are a power of two many.
#[must_use]
pub fn permutation_rows(inputs: Vec<[Val; STATE]>) -> RowMajorMatrix<Val> {
    generate_trace_rows::<
        Val,
        GenericPoseidon2LinearLayersBabyBear,
        STATE,
        BABYBEAR_S_BOX_DEGREE,
        SBOX_REGISTERS,
        BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
        BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
    >(inputs, &constants(), 0)
}

/// The permutation's output.
pub fn permutation_output<T: Copy>(permutation: &PermutationCols<T>) -> [T; STATE] {
    permutation.ending_full_rounds[BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS - 1].post
}

fn constants() -> RoundConstants<
    Val,
    STATE,
    BABYBEAR_POSEIDON2_HALF_FULL_ROUNDS,
    BABYBEAR_POSEIDON2_PARTIAL_ROUNDS_16,
> {
    RoundConstants::new(
        BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
        BABYBEAR_POSEIDON2_RC_16_INTERNAL,
        BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    )
}
