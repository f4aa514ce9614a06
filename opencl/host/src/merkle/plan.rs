//! The shape of a tree over matrices of given heights. Pure arithmetic, no device.

use crate::error::{Error, Result};

/// Which matrices make the leaves, and the layers above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Rows of the tallest matrices.
    pub(super) leaves: usize,
    /// The tallest matrices, in the order in which they were given.
    pub(super) tallest: Vec<usize>,
    pub(super) levels: Vec<Level>,
}

/// A layer above the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) nodes: usize,
    /// The matrices whose rows come in here, in the order in which they were given.
    pub(super) injected: Vec<usize>,
}

impl Plan {
    /// The tree that Plonky3 builds over matrices of these heights.
    ///
    /// # Errors
    /// [`Error::Shape`] without matrices, for an empty one, and for heights that are not those of
    /// layers: `k` halvings above the leaves that is `ceil(tallest / 2^k)` and nothing else.
    pub(crate) fn new(heights: &[usize]) -> Result<Self> {
        let bad = |reason: String| Err(Error::Shape(reason));
        let Some(&leaves) = heights.iter().max() else {
            return bad("a tree over no matrix".to_owned());
        };
        if leaves == 0 || u32::try_from(leaves).is_err() {
            return bad(format!("a tree over {leaves} rows"));
        }
        let log_leaves = log_ceil(leaves);
        for &height in heights {
            let halvings = log_leaves - log_ceil(height.max(1));
            let expected = ((leaves - 1) >> halvings) + 1;
            if height != expected {
                return bad(format!(
                    "a matrix of {height} rows under one of {leaves}, where {expected} fit a layer"
                ));
            }
        }
        let of_height = |rows: usize| {
            let rungs = heights.iter().enumerate();
            rungs
                .filter(|&(_, &height)| log_ceil(height) == log_ceil(rows))
                .map(|(index, _)| index)
                .collect::<Vec<_>>()
        };
        let mut levels = Vec::new();
        let mut below = padded(leaves);
        while below > 1 {
            let nodes = below / 2;
            levels.push(Level {
                nodes,
                injected: of_height(nodes),
            });
            below = padded(nodes);
        }
        Ok(Self {
            leaves,
            tallest: of_height(leaves),
            levels,
        })
    }

    /// Digests of each layer, padding included, the leaves first.
    pub(super) fn lengths(&self) -> Vec<usize> {
        let nodes = self.levels.iter().map(|level| level.nodes);
        std::iter::once(self.leaves)
            .chain(nodes)
            .map(padded)
            .collect()
    }
}

/// Every layer but the root has a node for each child's partner.
const fn padded(nodes: usize) -> usize {
    if nodes > 1 {
        nodes.next_multiple_of(2)
    } else {
        nodes
    }
}

const fn log_ceil(rows: usize) -> u32 {
    rows.next_power_of_two().ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(heights: &[usize]) -> Vec<(usize, Vec<usize>)> {
        let plan = Plan::new(heights).expect("a tree");
        let levels = plan.levels.into_iter();
        levels.map(|level| (level.nodes, level.injected)).collect()
    }

    #[test]
    fn layers_halve_and_take_in_the_matrices_of_their_height() {
        assert_eq!(levels(&[1, 1]), []);
        assert_eq!(levels(&[2]), [(1, vec![])]);
        assert_eq!(levels(&[1, 4, 2, 4, 1]), [(2, vec![2]), (1, vec![0, 4])]);
        assert_eq!(
            levels(&[7, 4, 2, 1]),
            [(4, vec![1]), (2, vec![2]), (1, vec![3])]
        );
        // Nine rows make ten leaves, five nodes and one to pair with the last of them.
        assert_eq!(
            levels(&[9, 5, 3]),
            [(5, vec![1]), (3, vec![2]), (2, vec![]), (1, vec![])]
        );
        assert_eq!(Plan::new(&[9]).expect("a tree").lengths(), [10, 6, 4, 2, 1]);
        assert_eq!(Plan::new(&[1]).expect("a tree").lengths(), [1]);
    }

    #[test]
    fn heights_that_are_no_layer_are_refused() {
        for heights in [&[][..], &[0], &[4, 0], &[4, 3], &[7, 3], &[8, 5], &[9, 4]] {
            let plan = Plan::new(heights);
            assert!(
                matches!(plan, Err(Error::Shape(_))),
                "{heights:?}: {plan:?}"
            );
        }
    }
}
