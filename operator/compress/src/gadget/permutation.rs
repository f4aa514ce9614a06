//! Calls of the permutation.
//!
//! The board holds the words that go in, after the first linear layer, and those that come out; that the
//! one is the permutation of the other is for the rows of [`super::rounds`].

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing, Witness};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_symmetric::Permutation;

use super::Board;
use crate::layer::permutation::{Perm, WIDTH, permutation};
use crate::layer::words::{from_fr, to_fr};

/// One call: the state after the first linear layer, and the state at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) input: [AssignedValue<Fr>; WIDTH],
    pub(crate) output: [AssignedValue<Fr>; WIDTH],
}

/// The permutation of words as halo2 holds them.
pub(crate) fn permute(perm: &Perm, state: [Fr; WIDTH]) -> [Fr; WIDTH] {
    perm.permute(state.map(from_fr)).map(to_fr)
}

impl Board {
    /// The permutation of a state, words of which may be constants.
    pub(crate) fn permute(&mut self, state: [QuantumCell<Fr>; WIDTH]) -> [QuantumCell<Fr>; WIDTH] {
        thread_local! {
            static PERM: Perm = permutation();
        }
        let values = state.map(|word| *word.value());
        let output = PERM.with(|perm| permute(perm, values));
        if state.iter().all(|word| matches!(word, Constant(_))) {
            return output.map(Constant);
        }
        // The first linear layer adds the sum of all to each; words that are zero, as in a node's, cost nothing.
        let one = Constant(Fr::one());
        let zero = |word: &QuantumCell<Fr>| matches!(word, Constant(word) if *word == Fr::zero());
        let terms: Vec<_> = state
            .iter()
            .filter(|word| !zero(word))
            .map(|&word| (word, one))
            .collect();
        let sum = self.chain(terms[0].0, terms[1..].to_vec());
        let input = state.map(|word| {
            if zero(&word) {
                return sum;
            }
            self.chain(word, [(Existing(sum), one)])
        });
        let output = output.map(|word| {
            self.main().assign_cell(Witness(word));
            self.main()
                .last()
                .expect("invariant: a cell was just put there")
        });
        self.calls.push(Call { input, output });
        output.map(Existing)
    }
}
