//! Known answers of the hash kernels.

use super::sample;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::Elements;
use crate::field::mont256::BN254_FR;
use crate::hash::{MerkleHash, Poseidon2, bn254, permute};
use crate::merkle::{self, LeafMatrix, Plan};
use crate::reference;

/// A permutation against its matrices.
pub(crate) fn permutation<P: Poseidon2>(engine: &mut Engine) -> Result<()> {
    // A full vector of any width and a tail.
    let states = sample::<P::Field>(19 * P::WIDTH);
    let mut expected = states.clone();
    for state in expected.chunks_exact_mut(P::WIDTH) {
        reference::poseidon2::<P>(state);
    }
    let computed = permute::<P>(engine, states, 1)?;
    engine.require(computed == expected, || format!("poseidon2, {}", P::NAME))
}

/// The permutation over BN254 against its definition.
pub(crate) fn bn254(engine: &mut Engine) -> Result<()> {
    // A full vector of any width and a tail, from both ends of the range and from between.
    let numbers = [
        [0; 4],
        [1, 0, 0, 0],
        BN254_FR.neg([1, 0, 0, 0]),
        BN254_FR.one(),
    ];
    let mut state = [numbers[0], numbers[1], numbers[2]];
    let mut states = vec![state, [numbers[2]; 3], [numbers[0]; 3], [numbers[3]; 3]];
    for _ in 0..7 {
        bn254::reference(&mut state);
        states.push(state);
    }
    let mut expected = states.clone();
    expected.iter_mut().for_each(bn254::reference);
    let computed = bn254::permute(engine, &states, 1)?;
    engine.require(computed == expected, || "poseidon2, bn254_3".to_owned())
}

/// Trees against the definition: a layer to pad, rows of several matrices and of several blocks, a
/// vector and a tail, and layers with and without injected rows.
pub(crate) fn merkle<P: MerkleHash>(engine: &mut Engine) -> Result<()> {
    let shapes = [(35, P::RATE + 3), (18, 1), (35, P::RATE), (5, 2 * P::RATE)];
    let matrices = shapes.map(|(rows, columns)| LeafMatrix {
        values: Elements::trusted(sample::<P::Field>(rows * columns)),
        columns,
    });
    let expected = reference::merkle_tree::<P>(&matrices);
    let plan = Plan::new(&shapes.map(|(rows, _)| rows))?;
    let computed = merkle::build::<P>(engine, &plan, &matrices)?;
    let right = computed.layers().eq(expected);
    engine.require(right, || format!("merkle tree, {}", P::NAME))
}
