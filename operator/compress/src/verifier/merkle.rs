//! Merkle paths in the circuit.
//!
//! Mirrors `p3-merkle-tree`'s `verify_batch` for trees of arity two whose matrices have heights that are powers
//! of two, with `MultiField32PaddingFreeSponge` for leaves and `TruncatedPermutation` for nodes.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing, Witness};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;

use super::Observed;
use super::transcript::ABSORBED;
use crate::gadget::{Board, Canonical};

/// The opened rows of all matrices of one height, one behind the other.
pub(crate) struct Level {
    /// Rows of the matrices, base two.
    pub(crate) log_height: usize,
    /// The elements of the rows.
    pub(crate) row: Vec<Canonical>,
}

impl Board {
    /// Constrains the rows of `levels`, the tallest first, to be those that `cap` commits to at the index whose bits,
    /// the lowest first, are `bits`; as many as the tallest height has.
    pub(crate) fn verify_path(
        &mut self,
        cap: &[QuantumCell<Fr>],
        levels: &[Level],
        bits: &[AssignedValue<Fr>],
        path: &[AssignedValue<Fr>],
    ) {
        let mut levels = levels.iter();
        let tallest = levels.next().expect("invariant: a tree has a matrix");
        let mut log_height = tallest.log_height;
        let mut node = self.hash_row(&tallest.row);
        let mut levels = levels.peekable();
        for (&sibling, &bit) in path.iter().zip(bits) {
            let left = self.select(bit, Existing(sibling), Existing(node));
            // left + right = node + sibling.
            let one = Constant(Fr::one());
            let sum = self.chain(node, [(sibling, one)]);
            let right = *sum.value() - left.value();
            self.gate([Witness(right), Existing(left), one, Existing(sum)]);
            let right = self.back(4);
            node = self.compress(left, right);
            log_height -= 1;
            if let Some(level) = levels.next_if(|level| level.log_height == log_height) {
                let row = self.hash_row(&level.row);
                node = self.compress(node, row);
            }
        }
        assert!(
            levels.next().is_none(),
            "invariant: no matrix is shorter than the cap"
        );
        let root = self.pick(cap, &bits[path.len()..]);
        self.main().constrain_equal(&root, &node);
    }

    /// The hash of a row.
    fn hash_row(&mut self, row: &[Canonical]) -> AssignedValue<Fr> {
        let mut state = [Constant(Fr::zero()); 3];
        for block in row.chunks(2 * ABSORBED) {
            for (word, chunk) in block.chunks(ABSORBED).enumerate() {
                let chunk: Vec<_> = chunk
                    .iter()
                    .map(|&element| Observed::Cell(element))
                    .collect();
                state[word] = self.pack(&chunk, 1);
            }
            state = self.permute(state);
        }
        existing(state[0])
    }

    /// The hash of two nodes.
    fn compress(&mut self, left: AssignedValue<Fr>, right: AssignedValue<Fr>) -> AssignedValue<Fr> {
        let [node, ..] = self.permute([Existing(left), Existing(right), Constant(Fr::zero())]);
        existing(node)
    }

    /// The root at the index whose bits, the lowest first, are `bits`.
    fn pick(&mut self, roots: &[QuantumCell<Fr>], bits: &[AssignedValue<Fr>]) -> AssignedValue<Fr> {
        let mut roots = roots.to_vec();
        for &bit in bits {
            roots = roots
                .chunks_exact(2)
                .map(|pair| Existing(self.select(bit, pair[1], pair[0])))
                .collect();
        }
        match roots[0] {
            Constant(root) => self.main().load_constant(root),
            root => existing(root),
        }
    }
}

fn existing(cell: QuantumCell<Fr>) -> AssignedValue<Fr> {
    match cell {
        Existing(cell) => cell,
        _ => unreachable!("invariant: of a state with a cell all words are cells"),
    }
}
