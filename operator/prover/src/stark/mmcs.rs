//! Plonky3's Merkle trees, built on the device.
//!
//! Commitments, openings and what they prove are those of [`config::val_mmcs`]: trees by the hash of the
//! proof system, and one whole path for each query. Verifying is that scheme's own code.

use std::sync::Arc;

use froben_circuits::config::{self, Challenge, Val, ValMmcs};
use froben_circuits::params::LOG_MERKLE_CAP;
use froben_opencl::{BabyBear, LeafMatrix, MerkleBabyBear, Session};
use p3_commit::{BatchOpening, BatchOpeningRef, ExtensionMmcs, Mmcs};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::{Dimensions, Matrix};
use p3_maybe_rayon::prelude::*;
use p3_merkle_tree::MerkleCap;
use p3_util::log2_ceil_usize;

use super::Fault;

const DIGEST: usize = 8;
type Digest = [Val; DIGEST];

/// Merkle trees over traces, on the device of a session.
#[derive(Clone, Debug)]
pub struct OpenClMmcs {
    session: Arc<Session>,
    fault: Fault,
    stock: ValMmcs,
}

/// Merkle trees over FRI layers, on the device of a session.
pub type OpenClChallengeMmcs = ExtensionMmcs<Val, Challenge, OpenClMmcs>;

/// Matrices and the digests of the tree over their rows.
#[derive(Debug)]
pub struct OpenClTree<M> {
    matrices: Vec<M>,
    /// Word by word, layer by layer, the leaves first.
    digests: Vec<Val>,
    /// Digests of each layer.
    lengths: Vec<usize>,
}

impl OpenClMmcs {
    /// Builds on `session` the trees of [`config::val_mmcs`]; failures go to `fault`, which the caller
    /// looks at.
    pub(super) fn new(session: Arc<Session>, fault: Fault) -> Self {
        Self {
            session,
            fault,
            stock: config::val_mmcs(),
        }
    }
}

impl<M: Matrix<Val>> OpenClTree<M> {
    fn height(&self) -> usize {
        let heights = self.matrices.iter().map(Matrix::height);
        heights.max().expect("invariant: committed to a matrix")
    }

    fn layers(&self) -> impl Iterator<Item = &[Digest]> {
        let mut rest = self.digests.as_chunks().0;
        self.lengths.iter().map(move |&length| {
            let (layer, above) = rest.split_at(length);
            rest = above;
            layer
        })
    }

    /// Layers between the leaves, included, and the cap, not included.
    fn proof_levels(&self) -> usize {
        let above_leaves = self.lengths.len() - 1;
        above_leaves - LOG_MERKLE_CAP.min(above_leaves)
    }

    /// The row of every matrix that belongs to leaf `index`.
    fn rows(&self, index: usize) -> Vec<Vec<Val>> {
        let height = self.height();
        assert!(index < height, "leaf {index} of {height}");
        let row = |matrix: &M| {
            let halvings = log2_ceil_usize(height) - log2_ceil_usize(matrix.height());
            let row = matrix.row_slice(index >> halvings);
            row.expect("invariant: below the matrix's height").to_vec()
        };
        self.matrices.iter().map(row).collect()
    }
}

/// The values of a matrix, row by row.
fn leaf_matrix<M: Matrix<Val>>(matrix: &M) -> LeafMatrix<BabyBear> {
    const ROWS: usize = 512;
    let columns = matrix.width();
    let mut values = Val::zero_vec(columns * matrix.height());
    values
        .par_chunks_mut((ROWS * columns).max(1))
        .enumerate()
        .for_each(|(chunk, values)| {
            for (row, values) in (chunk * ROWS..).zip(values.chunks_exact_mut(columns)) {
                let row = matrix.row_slice(row);
                values.copy_from_slice(&row.expect("invariant: below the matrix's height"));
            }
        });
    LeafMatrix {
        values: values.into(),
        columns,
    }
}

/// The layers of a tree of this height, all zeros.
fn zeros(height: usize) -> (Vec<Val>, Vec<usize>) {
    let padded = |nodes: usize| {
        if nodes > 1 {
            nodes.next_multiple_of(2)
        } else {
            nodes
        }
    };
    let below = |&layer: &usize| (layer > 1).then(|| padded(layer / 2));
    let lengths: Vec<_> = std::iter::successors(Some(padded(height)), below).collect();
    let words = DIGEST * lengths.iter().sum::<usize>();
    (Val::zero_vec(words), lengths)
}

impl Mmcs<Val> for OpenClMmcs {
    type ProverData<M> = OpenClTree<M>;
    type Commitment = MerkleCap<Val, Digest>;
    type Proof = Vec<Digest>;
    type MultiProof = <ValMmcs as Mmcs<Val>>::MultiProof;
    type Error = <ValMmcs as Mmcs<Val>>::Error;

    fn commit<M: Matrix<Val>>(&self, inputs: Vec<M>) -> (Self::Commitment, Self::ProverData<M>) {
        let built = MerkleBabyBear::new(&self.session)
            .build(inputs.iter().map(leaf_matrix).collect())
            .map(|layers| {
                let (words, lengths) = layers.into_parts();
                (Vec::from(words), lengths)
            });
        let height = inputs.iter().map(Matrix::height).max().unwrap_or(0);
        let (digests, lengths) = self.fault.note(built, || zeros(height.max(1)));
        let tree = OpenClTree {
            matrices: inputs,
            digests,
            lengths,
        };
        let cap = tree.layers().nth(tree.proof_levels());
        let cap = cap.expect("invariant: no higher than the root").to_vec();
        (MerkleCap::new(cap), tree)
    }

    fn open_batch<M: Matrix<Val>>(
        &self,
        index: usize,
        tree: &Self::ProverData<M>,
    ) -> BatchOpening<Val, Self> {
        let layers = tree.layers().take(tree.proof_levels()).enumerate();
        let path = layers.map(|(level, layer)| layer[(index >> level) ^ 1]);
        BatchOpening::new(tree.rows(index), path.collect())
    }

    fn get_matrices<'a, M: Matrix<Val>>(&self, tree: &'a Self::ProverData<M>) -> Vec<&'a M> {
        tree.matrices.iter().collect()
    }

    fn verify_batch(
        &self,
        commit: &Self::Commitment,
        dimensions: &[Dimensions],
        index: usize,
        opening: BatchOpeningRef<'_, Val, Self>,
    ) -> Result<(), Self::Error> {
        let (values, proof) = opening.unpack();
        let opening = BatchOpeningRef::new(values, proof);
        self.stock.verify_batch(commit, dimensions, index, opening)
    }

    fn open_multi_batch<M: Matrix<Val>>(
        &self,
        indices: &[usize],
        tree: &Self::ProverData<M>,
    ) -> (Vec<Vec<Vec<Val>>>, Self::MultiProof) {
        let open = |&index: &usize| self.open_batch(index, tree).unpack();
        indices.iter().map(open).unzip()
    }

    fn verify_multi_batch<R: AsRef<[Val]> + PartialEq>(
        &self,
        commit: &Self::Commitment,
        dimensions: &[Dimensions],
        indices: &[usize],
        values: &[Vec<R>],
        proof: &Self::MultiProof,
    ) -> Result<(), Self::Error> {
        self.stock
            .verify_multi_batch(commit, dimensions, indices, values, proof)
    }
}
