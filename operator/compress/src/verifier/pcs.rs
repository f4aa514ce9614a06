//! The opening argument up to the folding.
//!
//! Mirrors `p3-fri`'s `two_adic_pcs.rs` and `open_inputs`: each query opens a row of every matrix, and the quotients
//! (p(z) - p(x)) / (z - x) of all columns are combined, by height, with powers of one challenge that go on
//! from commitment to commitment, matrix to matrix, point to point and column to column.
//!
//! All matrices of one height are opened at the same two points, so their quotients are divided together. And a matrix
//! that is opened at both has the same p(x) in both: it is combined once, and shifted by the power that
//! lies between.

use std::collections::BTreeMap;

use halo2_base::AssignedValue;
use halo2_base::QuantumCell;
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};

use super::merkle::Level;
use super::shape::MatrixShape;
use super::transcript::Transcript;
use super::{Shape, Values};
use crate::gadget::{Base, Board, Canonical, Ext};
use crate::layer::{Challenge, Val};

/// A commitment and the claimed values of its matrices.
pub(crate) struct Round {
    pub(crate) cap: Vec<QuantumCell<Fr>>,
    pub(crate) matrices: Vec<Opening>,
}

/// The claimed values of a matrix at zeta, and at the next point.
pub(crate) struct Opening {
    pub(crate) shape: MatrixShape,
    pub(crate) local: Vec<Ext>,
    pub(crate) next: Option<Vec<Ext>>,
}

/// What is the same for all queries.
struct Batching {
    /// Powers of the challenge.
    powers: Vec<Ext>,
    /// By round and matrix: where in the powers its values at zeta begin.
    starts: Vec<Vec<usize>>,
    /// By height after the blow-up.
    heights: BTreeMap<usize, Height>,
}

/// The points of one height, and the combined claims there.
struct Height {
    points: [Ext; 2],
    claims: [Option<Ext>; 2],
}

impl Board {
    /// Verifies that the committed polynomials have the claimed values.
    pub(crate) fn verify_openings(
        &mut self,
        shape: &Shape,
        values: &Values,
        rounds: &[Round],
        zeta: Ext,
        transcript: &mut Transcript,
    ) {
        let bits = shape.fri.batch_proof_of_work_bits;
        if bits > 0 {
            let witness = self.load(values.batch_witness);
            transcript.check_witness(self, bits, witness);
        }
        let alpha = transcript.sample_ext(self);
        let batching = self.batching(shape, rounds, alpha, zeta);
        let folding = self.load_foldings(shape, values, transcript);
        for query in 0..shape.fri.num_queries {
            let index = &transcript.sample_bits(self)[..shape.log_max_height];
            let points = self.query_points(index);
            let reduced =
                self.open_inputs(shape, values, rounds, &batching, query, index, points.0);
            self.fold_query(shape, values, &folding, reduced, query, index, points);
        }
    }

    fn batching(&mut self, shape: &Shape, rounds: &[Round], alpha: Ext, zeta: Ext) -> Batching {
        let mut ladders: BTreeMap<usize, usize> = BTreeMap::new();
        let mut starts = vec![];
        for round in rounds {
            let starts_of = |matrix: &Opening| {
                let ladder = ladders.entry(matrix.shape.log_height).or_insert(0);
                let start = *ladder;
                *ladder += matrix.shape.width * (1 + usize::from(matrix.shape.next));
                start
            };
            starts.push(round.matrices.iter().map(starts_of).collect::<Vec<_>>());
        }
        let powers = self.powers(alpha, ladders.values().copied().max().unwrap_or(0));
        let mut heights: BTreeMap<usize, Height> = ladders
            .keys()
            .map(|&log_height| {
                let generator = Val::two_adic_generator(log_height);
                let next = self.ext_mul_constant(zeta, generator.into());
                let points = [zeta, self.ext_reduce(next)];
                (
                    log_height + shape.fri.log_blowup,
                    Height {
                        points,
                        claims: [None; 2],
                    },
                )
            })
            .collect();
        for (round, starts) in rounds.iter().zip(&starts) {
            for (matrix, &start) in round.matrices.iter().zip(starts) {
                let height = heights
                    .get_mut(&(matrix.shape.log_height + shape.fri.log_blowup))
                    .expect("invariant: each height has a ladder");
                let rows = [Some(&matrix.local), matrix.next.as_ref()];
                for (i, row) in rows.into_iter().enumerate() {
                    let Some(row) = row else { continue };
                    let powers = &powers[start + i * row.len()..];
                    for (&value, &power) in row.iter().zip(powers) {
                        height.claims[i] = Some(self.ext_mul_add(height.claims[i], power, value));
                    }
                }
            }
        }
        for claim in heights.values_mut().flat_map(|height| &mut height.claims) {
            *claim = claim.map(|claim| self.ext_reduce(claim));
        }
        Batching {
            powers,
            starts,
            heights,
        }
    }

    /// 1, base, base^2, ...: `count` powers.
    fn powers(&mut self, base: Ext, count: usize) -> Vec<Ext> {
        let mut powers = vec![self.ext_constant(Challenge::ONE)];
        let base = self.ext_reduce(base);
        while powers.len() < count.max(1) {
            let next = match powers.len() {
                1 => base,
                _ => {
                    let next = self.ext_mul(powers[powers.len() - 1], base);
                    self.ext_reduce(next)
                }
            };
            powers.push(next);
        }
        powers
    }

    /// Opens one query: its reduced openings by height, of which `x` is the point of the tallest without the
    /// coset's shift.
    #[expect(
        clippy::too_many_arguments,
        reason = "one query of what `verify_openings` holds"
    )]
    fn open_inputs(
        &mut self,
        shape: &Shape,
        values: &Values,
        rounds: &[Round],
        batching: &Batching,
        query: usize,
        index: &[AssignedValue<Fr>],
        x: Base,
    ) -> BTreeMap<usize, Ext> {
        let mut sums: BTreeMap<usize, [Option<Ext>; 2]> = BTreeMap::new();
        for ((round, opened), starts) in rounds.iter().zip(&values.rows).zip(&batching.starts) {
            let rows: Vec<Vec<Canonical>> = opened.rows[query]
                .iter()
                .map(|row| row.iter().map(|&value| self.load(value)).collect())
                .collect();
            self.verify_rows(shape, round, &rows, &opened.paths[query], index);
            for ((matrix, row), &start) in round.matrices.iter().zip(&rows).zip(starts) {
                let width = matrix.shape.width;
                let row: Vec<_> = row.iter().map(|&value| Base::from(value)).collect();
                let combined = self.ext_dot_base(&batching.powers[start..start + width], &row);
                let height = matrix.shape.log_height + shape.fri.log_blowup;
                let sums = sums.entry(height).or_insert([None; 2]);
                sums[0] = Some(match sums[0] {
                    None => combined,
                    Some(sum) => self.ext_add(sum, combined),
                });
                if matrix.shape.next {
                    sums[1] = Some(self.ext_mul_add(sums[1], batching.powers[width], combined));
                }
            }
        }
        let mut reduced = BTreeMap::new();
        let mut power = x;
        for log_height in (1..=shape.log_max_height).rev() {
            if let Some(sums) = sums.get(&log_height) {
                let height = &batching.heights[&log_height];
                let value = self.reduced_opening(height, *sums, power);
                reduced.insert(log_height, value);
            }
            // The point of half the height is the square.
            power = self.mul(power, power);
            power = self.reduce(power);
        }
        reduced
    }

    /// The sum of (claim - sum) / (z - g x) over the points z.
    fn reduced_opening(&mut self, height: &Height, sums: [Option<Ext>; 2], x: Base) -> Ext {
        let x = self.mul_constant(x, Val::GENERATOR);
        let mut reduced = None;
        for ((&claim, sum), &point) in height.claims.iter().zip(sums).zip(&height.points) {
            let (Some(claim), Some(sum)) = (claim, sum) else {
                continue;
            };
            let numerator = self.ext_sub(claim, sum);
            let Ext([first, rest @ ..]) = point;
            let [second, third, fourth] = rest;
            let distance = Ext([self.sub(first, x), second, third, fourth]);
            let inverse = self.ext_invert(distance);
            reduced = Some(self.ext_mul_add(reduced, numerator, inverse));
        }
        let reduced = reduced.expect("invariant: each matrix is opened at zeta");
        self.ext_reduce(reduced)
    }

    fn verify_rows(
        &mut self,
        shape: &Shape,
        round: &Round,
        rows: &[Vec<Canonical>],
        path: &[Fr],
        index: &[AssignedValue<Fr>],
    ) {
        let mut levels: BTreeMap<usize, Vec<Canonical>> = BTreeMap::new();
        for (matrix, row) in round.matrices.iter().zip(rows) {
            levels
                .entry(matrix.shape.log_height + shape.fri.log_blowup)
                .or_default()
                .extend(row);
        }
        let levels: Vec<_> = levels
            .into_iter()
            .rev()
            .map(|(log_height, row)| Level { log_height, row })
            .collect();
        let path = self.load_words(path);
        let skipped = shape.log_max_height - levels[0].log_height;
        self.verify_path(&round.cap, &levels, &index[skipped..], &path);
    }
}
