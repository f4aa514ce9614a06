//! From committed matrices and points to the codewords that FRI folds.
//!
//! For a column `p` and a point `z` the claim is `p(z)`, and `(p(z) - p(x))/(z - x)` is of low degree
//! if and only if the claim is true. All such quotients of one height are summed with powers of a
//! challenge `alpha`, in the order of rounds, matrices, points and columns; the verifier does the same
//! at single rows.
//!
//! Committed matrices hold evaluations over `g*K`, `g` the field's generator, in bit-reversed order,
//! so that the first `|H|` rows are the evaluations over `g*H` for every subgroup `H` of `K`.
//!
//! *Source*: `TwoAdicFriPcs::open` of p3-fri 0.8, whose values these are.

use froben_circuits::config::{Challenge, Domain, Val};
use p3_commit::OpenedValues;
use p3_field::{
    ExtensionField, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
    batch_multiplicative_inverse, dot_product,
};
use p3_matrix::Matrix;
use p3_matrix::dense::{RowMajorMatrix, RowMajorMatrixView};
use p3_matrix::interpolation::{Interpolate, compute_adjusted_weights};
use p3_maybe_rayon::prelude::*;
use p3_util::linear_map::LinearMap;
use p3_util::{log2_strict_usize, reverse_slice_index_bits};

/// The matrices of one commitment, and the points at which each is opened.
pub(super) struct Round<'a> {
    matrices: Vec<RowMajorMatrixView<'a, Val>>,
    points: &'a [Vec<Challenge>],
}

impl<'a> Round<'a> {
    /// # Panics
    /// If there is not one list of points for each matrix.
    pub(super) fn new(
        matrices: Vec<&'a RowMajorMatrix<Val>>,
        points: &'a [Vec<Challenge>],
    ) -> Self {
        assert_eq!(
            matrices.len(),
            points.len(),
            "a list of points for each matrix"
        );
        Self {
            matrices: matrices.into_iter().map(RowMajorMatrix::as_view).collect(),
            points,
        }
    }

    pub(super) fn log_heights(&self) -> impl Iterator<Item = usize> + '_ {
        self.matrices
            .iter()
            .map(|matrix| log2_strict_usize(matrix.height()))
    }

    /// Each matrix with its points.
    fn openings(&self) -> impl Iterator<Item = (&RowMajorMatrixView<'a, Val>, &[Challenge])> + '_ {
        self.matrices
            .iter()
            .zip(self.points.iter().map(Vec::as_slice))
    }
}

/// What depends on a point and not on the matrix that is opened there.
struct PointTables {
    /// `1/(z - x)` over the largest coset that is opened at `z`.
    inverse_distances: Vec<Challenge>,
    /// Barycentric weights over the part of it that determines a polynomial.
    weights: Vec<Challenge>,
}

/// A batch of openings.
pub(super) struct Opening<'a> {
    rounds: Vec<Round<'a>>,
    points: LinearMap<Challenge, PointTables>,
    log_blowup: usize,
    log_max_height: usize,
}

impl<'a> Opening<'a> {
    /// # Panics
    /// If there is no matrix at all.
    pub(super) fn new(rounds: Vec<Round<'a>>, log_blowup: usize) -> Self {
        let log_max_height = rounds
            .iter()
            .flat_map(Round::log_heights)
            .max()
            .expect("invariant: a proof opens its trace");
        let coset = bit_reversed_coset(log_max_height);
        let points = heights_by_point(&rounds)
            .into_iter()
            .map(|(z, height)| (z, PointTables::new(z, &coset[..height], log_blowup)))
            .collect();
        Self {
            rounds,
            points,
            log_blowup,
            log_max_height,
        }
    }

    pub(super) const fn log_max_height(&self) -> usize {
        self.log_max_height
    }

    /// The claims: every column at every point that its matrix is opened at.
    pub(super) fn evaluate(&self) -> OpenedValues<Challenge> {
        let of_matrix = |matrix: &RowMajorMatrixView<'_, Val>, points: &[Challenge]| {
            let height = matrix.height() >> self.log_blowup;
            let (low_rows, _) = matrix.split_rows(height);
            points
                .iter()
                .map(|&z| {
                    let weights = &self.tables(z).weights[..height];
                    low_rows.interpolate_coset_with_precomputation(Val::GENERATOR, z, weights)
                })
                .collect()
        };
        self.rounds
            .iter()
            .map(|round| {
                round
                    .openings()
                    .map(|(matrix, points)| of_matrix(matrix, points))
                    .collect()
            })
            .collect()
    }

    /// The sum of the quotients of each height, the tallest first.
    pub(super) fn quotients(
        &self,
        claims: &OpenedValues<Challenge>,
        alpha: Challenge,
    ) -> Vec<Vec<Challenge>> {
        let powers = packed_powers(alpha, self.max_width());
        let mut by_height: Vec<Option<Accumulator>> = Vec::new();
        by_height.resize_with(self.log_max_height + 1, || None);
        for (round, claims) in self.rounds.iter().zip(claims) {
            for ((matrix, points), claims) in round.openings().zip(claims) {
                let log_height = log2_strict_usize(matrix.height());
                let sum = by_height[log_height].get_or_insert_with(|| Accumulator::new(log_height));
                let combined: Vec<Challenge> = matrix
                    .rowwise_packed_dot_product::<Challenge>(&powers)
                    .collect();
                for (&z, claim) in points.iter().zip(claims) {
                    sum.add(&combined, claim, &self.tables(z).inverse_distances, alpha);
                }
            }
        }
        by_height
            .into_iter()
            .rev()
            .flatten()
            .map(|sum| sum.values)
            .collect()
    }

    fn tables(&self, z: Challenge) -> &PointTables {
        self.points
            .get(&z)
            .expect("invariant: a table for every point")
    }

    fn max_width(&self) -> usize {
        let matrices = self.rounds.iter().flat_map(|round| &round.matrices);
        matrices.map(Matrix::width).max().unwrap_or(0)
    }
}

impl PointTables {
    fn new(z: Challenge, coset: &[Val], log_blowup: usize) -> Self {
        let distances: Vec<Challenge> = coset.par_iter().map(|&x| z - x).collect();
        let inverse_distances = batch_multiplicative_inverse(&distances);
        let low = &inverse_distances[..coset.len() >> log_blowup];
        Self {
            weights: compute_adjusted_weights(z, low),
            inverse_distances,
        }
    }
}

/// The growing sum of the quotients of one height.
struct Accumulator {
    values: Vec<Challenge>,
    /// The power of `alpha` that the next column gets.
    next_power: Challenge,
}

impl Accumulator {
    fn new(log_height: usize) -> Self {
        Self {
            values: Challenge::zero_vec(1 << log_height),
            next_power: Challenge::ONE,
        }
    }

    /// Adds the quotients of one matrix at one point.
    ///
    /// `combined` is the sum of its columns with the powers of `alpha`, `claim` the value of each.
    fn add(
        &mut self,
        combined: &[Challenge],
        claim: &[Challenge],
        inverse_distances: &[Challenge],
        alpha: Challenge,
    ) {
        let weight = self.next_power;
        let claimed: Challenge = dot_product(alpha.powers(), claim.iter().copied());
        self.values
            .par_iter_mut()
            .zip(combined)
            .zip(inverse_distances)
            .for_each(|((sum, &row), &inverse)| *sum += weight * (claimed - row) * inverse);
        self.next_power *= alpha.exp_u64(claim.len() as u64);
    }
}

/// `1, alpha, alpha^2, ...`, packed as the rows of a matrix are.
fn packed_powers(
    alpha: Challenge,
    count: usize,
) -> Vec<<Challenge as ExtensionField<Val>>::ExtensionPacking> {
    let packed = count.div_ceil(<Val as Field>::Packing::WIDTH);
    <Challenge as ExtensionField<Val>>::ExtensionPacking::packed_ext_powers(alpha)
        .take(packed)
        .collect()
}

/// The points of `g*K`, `|K| = 2^log_height`; each prefix of a power of two is a coset too.
fn bit_reversed_coset(log_height: usize) -> Vec<Val> {
    let coset = Domain::new(Val::GENERATOR, log_height).expect("invariant: a committed height");
    let mut points: Vec<Val> = coset.iter().collect();
    reverse_slice_index_bits(&mut points);
    points
}

/// The height of the tallest matrix that is opened at each point.
fn heights_by_point(rounds: &[Round<'_>]) -> LinearMap<Challenge, usize> {
    let mut heights = LinearMap::new();
    for (matrix, points) in rounds.iter().flat_map(Round::openings) {
        for &z in points {
            let tallest = heights.get(&z).copied().unwrap_or(0).max(matrix.height());
            heights.insert(z, tallest);
        }
    }
    heights
}
