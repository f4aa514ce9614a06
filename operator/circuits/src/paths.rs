//! Openings with one whole Merkle path for each query.
//!
//! Plonky3 opens all queries of a tree together and sends each digest that they share once. What is then
//! a path and what is shared depends on the queries, which suits a program and no circuit: a circuit
//! does the same steps whatever the queries are. So a proof carries its paths whole, and each is
//! verified for itself.
//!
//! Nothing is lost by it but bytes: rows that are bound by a path of their own are bound.

use std::fmt::Debug;

use p3_commit::{BatchOpening, BatchOpeningRef, Mmcs};
use p3_matrix::{Dimensions, Matrix};

/// The commitments of `M`, opened at several places by as many single openings.
///
/// `MultiProof` holds one `M::Proof` for each index asked for, in their order, repeated ones included.
#[derive(Clone, Debug)]
pub struct PathMmcs<M> {
    inner: M,
}

/// Why openings of several places are refused.
#[derive(Debug, thiserror::Error)]
pub enum PathError<E: Debug> {
    /// Not every index has its rows and its path.
    #[error("{rows} openings with {paths} Merkle paths for {indices} queries")]
    Counts {
        /// Places that were to be opened.
        indices: usize,
        /// Places that rows are given for.
        rows: usize,
        /// Places that a path is given for.
        paths: usize,
    },
    /// One opening does not hold.
    #[error("a Merkle path does not hold: {0:?}")]
    Path(E),
}

impl<M> PathMmcs<M> {
    /// Commits as `inner` does.
    pub const fn new(inner: M) -> Self {
        Self { inner }
    }
}

impl<T: Send + Sync + Clone, M: Mmcs<T>> Mmcs<T> for PathMmcs<M> {
    type ProverData<Rows> = M::ProverData<Rows>;
    type Commitment = M::Commitment;
    type Proof = M::Proof;
    type MultiProof = Vec<M::Proof>;
    type Error = PathError<M::Error>;

    fn commit<Rows: Matrix<T>>(
        &self,
        inputs: Vec<Rows>,
    ) -> (Self::Commitment, Self::ProverData<Rows>) {
        self.inner.commit(inputs)
    }

    fn open_batch<Rows: Matrix<T>>(
        &self,
        index: usize,
        data: &Self::ProverData<Rows>,
    ) -> BatchOpening<T, Self> {
        let (rows, path) = self.inner.open_batch(index, data).unpack();
        BatchOpening::new(rows, path)
    }

    fn get_matrices<'a, Rows: Matrix<T>>(&self, data: &'a Self::ProverData<Rows>) -> Vec<&'a Rows> {
        self.inner.get_matrices(data)
    }

    fn verify_batch(
        &self,
        commitment: &Self::Commitment,
        dimensions: &[Dimensions],
        index: usize,
        opening: BatchOpeningRef<'_, T, Self>,
    ) -> Result<(), Self::Error> {
        let (rows, path) = opening.unpack();
        self.inner
            .verify_batch(
                commitment,
                dimensions,
                index,
                BatchOpeningRef::new(rows, path),
            )
            .map_err(PathError::Path)
    }

    fn open_multi_batch<Rows: Matrix<T>>(
        &self,
        indices: &[usize],
        data: &Self::ProverData<Rows>,
    ) -> (Vec<Vec<Vec<T>>>, Self::MultiProof) {
        let open = |&index: &usize| self.inner.open_batch(index, data).unpack();
        indices.iter().map(open).unzip()
    }

    fn verify_multi_batch<R: AsRef<[T]> + PartialEq>(
        &self,
        commitment: &Self::Commitment,
        dimensions: &[Dimensions],
        indices: &[usize],
        rows: &[Vec<R>],
        paths: &Self::MultiProof,
    ) -> Result<(), Self::Error> {
        // Checked first: what follows walks the three side by side and would pass over the longer ones.
        if rows.len() != indices.len() || paths.len() != indices.len() {
            return Err(PathError::Counts {
                indices: indices.len(),
                rows: rows.len(),
                paths: paths.len(),
            });
        }
        for ((&index, rows), path) in indices.iter().zip(rows).zip(paths) {
            let rows: Vec<_> = rows.iter().map(|row| row.as_ref().to_vec()).collect();
            self.verify_batch(
                commitment,
                dimensions,
                index,
                BatchOpeningRef::new(&rows, path),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;
    use p3_matrix::dense::RowMajorMatrix;

    use super::*;
    use crate::config::{TreeMmcs, Val, tree_mmcs, val_mmcs};

    type Opened = (Vec<Vec<Vec<Val>>>, Vec<<TreeMmcs as Mmcs<Val>>::Proof>);

    const HEIGHT: usize = 64;
    /// Not in order, one of them twice.
    const INDICES: [usize; 5] = [9, 0, 63, 9, 40];

    fn matrix(height: usize, width: usize) -> RowMajorMatrix<Val> {
        let values = (0..height * width).map(|i| Val::from_usize(i * i + width));
        RowMajorMatrix::new(values.collect(), width)
    }

    /// Commits to two matrices of different heights, opens [`INDICES`], lets `alter` have the opening, and
    /// verifies what it leaves.
    fn verdict(alter: impl FnOnce(&mut Opened)) -> Result<(), String> {
        let mmcs = val_mmcs();
        let (commitment, data) = mmcs.commit(vec![matrix(HEIGHT, 3), matrix(HEIGHT / 4, 2)]);
        let dimensions: Vec<_> = mmcs
            .get_matrices(&data)
            .iter()
            .map(|it| it.dimensions())
            .collect();
        let mut opened = mmcs.open_multi_batch(&INDICES, &data);
        alter(&mut opened);
        let (rows, paths) = opened;
        mmcs.verify_multi_batch(&commitment, &dimensions, &INDICES, &rows, &paths)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_query_has_the_path_that_it_would_have_alone() {
        let inputs = || vec![matrix(HEIGHT, 3), matrix(HEIGHT / 4, 2)];
        let (tree_commitment, tree) = tree_mmcs().commit(inputs());
        let (commitment, data) = val_mmcs().commit(inputs());
        assert_eq!(commitment, tree_commitment);
        let (rows, paths) = val_mmcs().open_multi_batch(&INDICES, &data);
        for (place, &index) in INDICES.iter().enumerate() {
            let (alone_rows, alone_path) = tree_mmcs().open_batch(index, &tree).unpack();
            assert_eq!(
                (&rows[place], &paths[place]),
                (&alone_rows, &alone_path),
                "{index}"
            );
        }
        assert_eq!(verdict(|_| ()), Ok(()));
    }

    #[test]
    fn an_altered_row_or_path_is_refused() {
        for place in 0..INDICES.len() {
            let row = verdict(|(rows, _)| rows[place][1][0] += Val::ONE);
            let path = verdict(|(_, paths)| paths[place][1][7] += Val::ONE);
            let short = verdict(|(_, paths)| paths[place].truncate(1));
            let narrow = verdict(|(rows, _)| rows[place][0].truncate(2));
            for verdict in [row, path, short, narrow] {
                let cause = verdict.unwrap_err();
                assert!(
                    cause.starts_with("a Merkle path does not hold"),
                    "{place}: {cause}"
                );
            }
        }
    }

    #[test]
    fn openings_in_another_order_are_refused() {
        assert!(
            verdict(|(rows, paths)| {
                rows.swap(0, 1);
                paths.swap(0, 1);
            })
            .is_err()
        );
    }

    #[test]
    fn too_few_and_too_many_are_refused() {
        let counts: [fn(&mut Opened); 4] = [
            |(rows, _)| rows.truncate(4),
            |(_, paths)| paths.truncate(4),
            |(rows, _)| rows.push(rows[0].clone()),
            |(_, paths)| paths.push(paths[0].clone()),
        ];
        let causes = counts.map(|alter| verdict(alter).unwrap_err());
        assert_eq!(
            causes,
            [
                "4 openings with 5 Merkle paths for 5 queries",
                "5 openings with 4 Merkle paths for 5 queries",
                "6 openings with 5 Merkle paths for 5 queries",
                "5 openings with 6 Merkle paths for 5 queries",
            ]
        );
    }
}
