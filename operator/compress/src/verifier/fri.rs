//! The folding.
//!
//! Mirrors `p3-fri`'s `verify_fri` and `fold_query`. A row of 2^a values, the values of a polynomial on a coset s H with H of
//! order 2^a in bit-reversed order, is folded by halves: each pair at +-t becomes (lo + hi)/2 +
//! beta (lo - hi)/(2 t). With u = beta / s the divisions by t are multiplications by constants, and the
//! halves are left to the end.

use std::collections::BTreeMap;

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing, Witness};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::utils::ScalarField;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_util::reverse_bits_len;

use super::merkle::Level;
use super::transcript::Transcript;
use super::{Shape, Values};
use crate::gadget::{Base, Board, Canonical, Ext, signed_word};
use crate::layer::{Challenge, Val};

/// What all queries fold by.
pub(crate) struct Foldings {
    rounds: Vec<Folded>,
    final_poly: Vec<Ext>,
}

struct Folded {
    cap: Vec<QuantumCell<Fr>>,
    beta: Ext,
}

impl Board {
    /// The transcript of the folding up to the queries.
    pub(crate) fn load_foldings(
        &mut self,
        shape: &Shape,
        values: &Values,
        transcript: &mut Transcript,
    ) -> Foldings {
        transcript.observe_seed(self, &shape.fri_seed);
        let rounds = values
            .foldings
            .iter()
            .map(|folding| {
                let cap = self.load_cap(&folding.cap);
                transcript.observe_cap(self, &cap);
                Folded {
                    cap,
                    beta: transcript.sample_ext(self),
                }
            })
            .collect();
        let final_poly = values
            .final_poly
            .iter()
            .map(|&coefficient| {
                let coefficient = self.load_ext(coefficient);
                transcript.observe_ext(self, coefficient);
                Ext::from(coefficient)
            })
            .collect();
        let bits = shape.fri.query_proof_of_work_bits;
        if bits > 0 {
            let witness = self.load(values.query_witness);
            transcript.check_witness(self, bits, witness);
        }
        Foldings { rounds, final_poly }
    }

    /// The point of the tallest domain that an index stands for, without the coset's shift, and its inverse.
    pub(crate) fn query_points(&mut self, index: &[AssignedValue<Fr>]) -> (Base, Base) {
        // Index bits are reversed: bit i counts 2^(n - 1 - i), and g^(2^(n - 1 - i)) has order 2^(i + 1).
        let factor = |i: usize| Val::two_adic_generator(i + 1);
        let x = self.product(index, factor);
        let inverse = self.product(index, |i| factor(i).inverse());
        (x, inverse)
    }

    /// The product of the factors whose bits are 1.
    fn product(&mut self, bits: &[AssignedValue<Fr>], factor: impl Fn(usize) -> Val) -> Base {
        let mut product = self.constant(Val::ONE);
        for (i, &bit) in bits.iter().enumerate() {
            // 1 + bit * (factor - 1).
            let (word, size) = signed_word(factor(i) - Val::ONE);
            let cell = self.chain(Constant(Fr::one()), [(bit, Constant(word))]);
            let factor = self.integer(cell, size + 1);
            product = self.mul(product, factor);
        }
        self.reduce(product)
    }

    /// Folds one query and compares it with the final polynomial.
    #[expect(
        clippy::too_many_arguments,
        reason = "one query of what `verify_openings` holds"
    )]
    pub(crate) fn fold_query(
        &mut self,
        shape: &Shape,
        values: &Values,
        foldings: &Foldings,
        reduced: BTreeMap<usize, Ext>,
        query: usize,
        index: &[AssignedValue<Fr>],
        (mut x, mut inverse): (Base, Base),
    ) {
        let mut log_height = shape.log_max_height;
        let mut index = index;
        let mut folded = reduced[&log_height];
        for ((round, folding), &log_arity) in foldings
            .rounds
            .iter()
            .zip(&values.foldings)
            .zip(&shape.schedule)
        {
            let (place, group) = index.split_at(log_arity);
            let row = self.row(folded, &folding.siblings[query], place);
            log_height -= log_arity;
            let level = Level {
                log_height,
                row: row.concat(),
            };
            let path = self.load_words(&folding.paths[query]);
            self.verify_path(&round.cap, &[level], group, &path);
            // s is the point of the row's first value, x that of the query's own.
            let shift = self.product(place, |i| Val::two_adic_generator(i + 1));
            let inverse_of_s = self.mul(inverse, shift);
            let u = self.ext_mul_base(None, round.beta, inverse_of_s);
            let row: Vec<_> = row.into_iter().map(Ext::from).collect();
            folded = self.fold_row(&row, u);
            if let Some(&opening) = reduced.get(&log_height) {
                let power = self.ext_power_of_2(round.beta, log_arity);
                folded = self.ext_mul_add(Some(folded), power, opening);
            }
            for _ in 0..log_arity {
                x = self.mul(x, x);
                x = self.reduce(x);
                inverse = self.mul(inverse, inverse);
                inverse = self.reduce(inverse);
            }
            index = group;
        }
        let mut value = None;
        for &coefficient in foldings.final_poly.iter().rev() {
            value = Some(match value {
                None => coefficient,
                Some(value) => self.ext_mul_base(Some(coefficient), value, x),
            });
        }
        let value = value.expect("invariant: a polynomial has a coefficient");
        self.ext_assert_equal(value, folded);
    }

    /// The row of the values that a folding commits to: the siblings, and the query's own value at its place. The
    /// row is loaded whole and constrained to have at that place what is `own`.
    fn row(
        &mut self,
        own: Ext,
        siblings: &[Challenge],
        place: &[AssignedValue<Fr>],
    ) -> Vec<[Canonical; 4]> {
        let at = place
            .iter()
            .rev()
            .fold(0, |at, bit| 2 * at + bit.value().get_lower_32() as usize);
        let mut values = siblings.to_vec();
        values.insert(at.min(siblings.len()), own.value());
        let row: Vec<_> = values
            .into_iter()
            .map(|value| self.load_ext(value))
            .collect();
        let indicators = self.indicators(place);
        let chosen = std::array::from_fn(|k| {
            let products: Vec<_> = row
                .iter()
                .zip(&indicators)
                .map(|(value, &at)| (value[k].0, at))
                .collect();
            let cell = self.chain(Constant(Fr::zero()), products);
            self.integer(cell, 31)
        });
        self.ext_assert_equal(Ext(chosen), own);
        row
    }

    /// For each number of as many bits: 1 if it is the one whose bits, the lowest first, are `bits`, and else 0.
    fn indicators(&mut self, bits: &[AssignedValue<Fr>]) -> Vec<AssignedValue<Fr>> {
        let one = Constant(Fr::one());
        let mut indicators = vec![self.main().load_constant(Fr::one())];
        for &bit in bits {
            let ones: Vec<_> = indicators
                .iter()
                .map(|&at| self.chain(Constant(Fr::zero()), [(at, bit)]))
                .collect();
            let zeros: Vec<_> = indicators
                .iter()
                .zip(&ones)
                .map(|(&at, &one_of)| {
                    let zero_of = *at.value() - one_of.value();
                    self.gate([Witness(zero_of), Existing(one_of), one, Existing(at)]);
                    self.back(4)
                })
                .collect();
            indicators = [zeros, ones].concat();
        }
        indicators
    }

    /// Folds a row to one value, with u = beta / s.
    fn fold_row(&mut self, row: &[Ext], u: Ext) -> Ext {
        let mut row = row.to_vec();
        let mut u = self.ext_reduce(u);
        let size = row.len();
        while row.len() > 1 {
            let log = row.len().trailing_zeros() as usize;
            let root = Val::two_adic_generator(log).inverse();
            row = (0..row.len() / 2)
                .map(|j| {
                    let (lo, hi) = (row[2 * j], row[2 * j + 1]);
                    let twiddle = root.exp_u64(reverse_bits_len(j, log - 1) as u64);
                    let difference = self.ext_sub(lo, hi);
                    let difference = self.ext_mul_constant(difference, twiddle.into());
                    let sum = self.ext_add(lo, hi);
                    let folded = self.ext_mul_add(Some(sum), difference, u);
                    self.ext_reduce(folded)
                })
                .collect();
            u = self.ext_mul(u, u);
            u = self.ext_reduce(u);
        }
        let scale = Val::from_usize(size).inverse();
        let folded = self.ext_mul_constant(row[0], scale.into());
        self.ext_reduce(folded)
    }
}
