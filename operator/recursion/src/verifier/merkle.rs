//! Merkle openings of several matrices at once.
//!
//! Source: `p3_merkle_tree::MerkleTreeMmcs::verify_batch` of arity 2.

use std::collections::BTreeMap;

use super::hash::{compress, hash};
use super::proof::CapWires;
use super::transcript::Lane;
use crate::circuit::{Builder, DigestWires, List, Wire};

/// The roots of a commitment, to be chosen from.
pub(super) struct Cap {
    log_len: usize,
    halves: [List; 2],
}

impl Cap {
    pub(super) fn new(b: &mut Builder, cap: &CapWires) -> Self {
        let half = |i: usize| cap.iter().map(|root| root[i]).collect::<Vec<_>>();
        Self {
            log_len: cap.len().ilog2() as usize,
            halves: [half(0), half(1)].map(|half| b.list(&half)),
        }
    }
}

/// A row of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Rows of the matrix, base two.
    pub(super) log_height: usize,
    /// Base elements.
    pub(super) width: usize,
    pub(super) packs: &'a [Wire],
}

/// The place of a query in the tallest tree, and the numbers that its leading bits write.
pub(super) struct Place {
    /// The lowest first.
    pub(super) bits: Vec<Wire>,
    numbers: BTreeMap<usize, Wire>,
}

impl Place {
    pub(super) const fn new(bits: Vec<Wire>) -> Self {
        Self {
            bits,
            numbers: BTreeMap::new(),
        }
    }

    /// The number that the highest `count` bits write.
    fn number(&mut self, b: &mut Builder, count: usize) -> Wire {
        let first = self.bits.len() - count;
        *self
            .numbers
            .entry(count)
            .or_insert_with(|| b.number(&self.bits[first..]))
    }
}

/// Requires the rows, at the leaf that the highest bits of `place` write, to belong to `cap`.
pub(super) fn verify(
    b: &mut Builder,
    cap: &Cap,
    place: &mut Place,
    rows: &[Row<'_>],
    path: &[DigestWires],
) {
    let heights = rows.iter().map(|row| row.log_height);
    let log_height = heights.max().expect("invariant: a commitment to a matrix");
    assert_eq!(
        path.len() + cap.log_len,
        log_height,
        "a step for each layer below the cap"
    );
    assert!(
        rows.iter().all(|row| row.log_height >= cap.log_len),
        "rows below the cap would never join"
    );
    let first_bit = place.bits.len() - log_height;

    let mut node = hash_rows(b, rows, log_height).expect("invariant: a tallest matrix");
    for (step, &sibling) in path.iter().enumerate() {
        node = b.merkle_step(node, place.bits[first_bit + step], sibling);
        if let Some(joined) = hash_rows(b, rows, log_height - step - 1) {
            node = compress(b, node, joined);
        }
    }
    let position = place.number(b, cap.log_len);
    for (half, made) in cap.halves.into_iter().zip(node) {
        let root = b.choose(half, position);
        b.assert_equal(made, root);
    }
}

/// The digest of the rows of one height, one behind the other.
fn hash_rows(b: &mut Builder, rows: &[Row<'_>], log_height: usize) -> Option<DigestWires> {
    let lanes: Vec<Lane> = rows
        .iter()
        .filter(|row| row.log_height == log_height)
        .flat_map(|row| {
            row.packs
                .iter()
                .copied()
                .flat_map(Lane::all)
                .take(row.width)
        })
        .collect();
    (!lanes.is_empty()).then(|| hash(b, &lanes))
}
