//! A few results of large work, each computed anew from the whole input by its definition.
//!
//! The full oracles of [`crate::reference`] are quadratic; one value at a time is not, and a transform
//! that is wrong anywhere is most likely wrong nearly everywhere.

use crate::field::mont256::Limbs;
use crate::field::{Extension, Field};
use crate::hash::{self, MerkleHash, Poseidon2, bn254};
use crate::reference::{self, reverse_bits};

/// Rows that are looked at: both ends and one in between.
fn rows(count: usize) -> [usize; 3] {
    [0, count / 3, count - 1]
}

/// Whether `result` are the values of the polynomials with coefficients `values` on the subgroup, rows
/// bit-reversed.
pub(super) fn ntt<F: Field>(values: &[F::Word], result: &[F::Word], columns: usize) -> bool {
    let count = result.len() / columns;
    rows(count).into_iter().all(|row| {
        let column = row % columns;
        let x = point::<F>(row, count.ilog2());
        let coefficients = values[column..].iter().step_by(columns);
        let value = coefficients.rev().fold(F::ZERO, |sum, &coefficient| {
            F::add(F::mul(sum, x), coefficient)
        });
        result[row * columns + column] == value
    })
}

/// Whether `result` are the values on `shift * K`, rows bit-reversed, of the polynomials that take
/// `values` on `H`: `p(x) = (x^n - 1)/n * sum v_i h_i/(x - h_i)`.
pub(super) fn lde<F: Field>(
    values: &[F::Word],
    result: &[F::Word],
    columns: usize,
    shift: F::Word,
) -> bool {
    let (n, count) = (values.len() / columns, result.len() / columns);
    let h = F::root(n.ilog2());
    rows(count).into_iter().all(|row| {
        let column = row % columns;
        let x = F::mul(shift, point::<F>(row, count.ilog2()));
        // The sum as one fraction: an inverse for each term would take the longest of all.
        let (mut h_i, mut above, mut below) = (F::ONE, F::ZERO, F::ONE);
        for &value in values[column..].iter().step_by(columns) {
            let difference = F::sub(x, h_i);
            let term = F::mul(F::mul(value, h_i), below);
            above = F::add(F::mul(above, difference), term);
            below = F::mul(below, difference);
            h_i = F::mul(h_i, h);
        }
        let Some(inverse) = F::inverse(below) else {
            return false;
        };
        let sum = F::mul(above, inverse);
        let vanishing = F::sub(F::pow(x, n as u64), F::ONE);
        let scale = F::mul(vanishing, F::inverse_power_of_two(n.ilog2()));
        result[row * columns + column] == F::mul(sum, scale)
    })
}

/// Whether row `i` of `result` is that row of `values` whose number has the same bits in reverse order, times
/// `shift^i / n`.
pub(super) fn spread<F: Field>(
    values: &[F::Word],
    result: &[F::Word],
    columns: usize,
    shift: F::Word,
) -> bool {
    let count = result.len() / columns;
    rows(count).into_iter().all(|row| {
        let column = row % columns;
        let from = reverse_bits(row, count.ilog2());
        let factor = F::mul(
            F::pow(shift, row as u64),
            F::inverse_power_of_two(count.ilog2()),
        );
        result[row * columns + column] == F::mul(values[from * columns + column], factor)
    })
}

/// Whether `result` are runs of `values` folded at `beta`, by halves:
/// `(lo + hi)/2 + beta*(lo - hi)/(2x)`, at `beta^2` and `x^2`, and so on.
pub(super) fn fold<E: Extension>(
    values: &[Word<E>],
    result: &[Word<E>],
    log_arity: u32,
    beta: &[Word<E>],
) -> bool {
    let (degree, arity) = (E::DEGREE, 1 << log_arity);
    let count = result.len() / degree;
    let half = E::Base::inverse_power_of_two(1);
    rows(count).into_iter().all(|row| {
        let mut run = values[row * arity * degree..(row + 1) * arity * degree].to_vec();
        let (mut beta, mut first) = (beta.to_vec(), row * arity);
        let mut log_layer = (count * arity).ilog2();
        while run.len() > degree {
            let mut next = Vec::new();
            for (at, pair) in run.chunks_exact(2 * degree).enumerate() {
                let (lo, hi) = pair.split_at(degree);
                let x = point::<E::Base>(first + 2 * at, log_layer);
                let Some(inverse) = E::Base::inverse(x) else {
                    return false;
                };
                let scale = E::Base::mul(half, inverse);
                let odd: Vec<_> = (lo.iter().zip(hi))
                    .map(|(&a, &b)| E::Base::mul(E::Base::sub(a, b), scale))
                    .collect();
                let even =
                    (lo.iter().zip(hi)).map(|(&a, &b)| E::Base::mul(E::Base::add(a, b), half));
                next.extend(
                    even.zip(E::mul(&odd, &beta))
                        .map(|(a, b)| E::Base::add(a, b)),
                );
            }
            run = next;
            beta = E::mul(&beta, &beta);
            first /= 2;
            log_layer -= 1;
        }
        run == result[row * degree..(row + 1) * degree]
    })
}

/// Whether `result` are the permuted states of `values`.
pub(super) fn permutation<P: Poseidon2>(
    values: &[hash::Word<P>],
    result: &[hash::Word<P>],
) -> bool {
    rows(values.len() / P::WIDTH).into_iter().all(|row| {
        let at = row * P::WIDTH..(row + 1) * P::WIDTH;
        let mut state = values[at.clone()].to_vec();
        reference::poseidon2::<P>(&mut state);
        state == result[at]
    })
}

/// Whether `result` are the states of `values`, permuted over BN254.
pub(super) fn bn254_permutation(values: &[Limbs], result: &[Limbs]) -> bool {
    rows(values.len() / bn254::WIDTH).into_iter().all(|row| {
        let at = row * bn254::WIDTH..(row + 1) * bn254::WIDTH;
        let mut state = [[0; 4]; bn254::WIDTH];
        state.copy_from_slice(&values[at.clone()]);
        bn254::reference(&mut state);
        state == result[at]
    })
}

/// Whether `result` are the digests of the rows of `values`, a power of two of them, and then layer
/// by layer those of pairs up to the root.
pub(super) fn merkle<P: MerkleHash>(
    values: &[hash::Word<P>],
    result: &[hash::Word<P>],
    columns: usize,
) -> bool {
    let digest = |at: usize| &result[at * P::DIGEST..(at + 1) * P::DIGEST];
    let mut count = values.len() / columns;
    let leaves = rows(count).into_iter().all(|row| {
        let row_values = &values[row * columns..(row + 1) * columns];
        reference::sponge::<P>(row_values) == digest(row)
    });
    let (mut from, mut nodes) = (0, true);
    while count > 1 {
        let above = from + count;
        nodes &= rows(count / 2).into_iter().all(|node| {
            let (left, right) = (digest(from + 2 * node), digest(from + 2 * node + 1));
            reference::compress::<P>(&[left, right].concat()) == digest(above + node)
        });
        (from, count) = (above, count / 2);
    }
    leaves && nodes
}

type Word<E> = <<E as Extension>::Base as Field>::Word;

/// The point of a row in bit-reversed order over the subgroup of order `2^log_n`.
fn point<F: Field>(row: usize, log_n: u32) -> F::Word {
    F::pow(F::root(log_n), reverse_bits(row, log_n) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{BabyBear4, Bn254Fr, Elements, Goldilocks2, KoalaBear4};
    use crate::hash::{BabyBear16, Goldilocks8};
    use crate::merkle::LeafMatrix;
    use crate::self_test::sample;

    fn bit_reversed<F: Field>(values: &[F::Word], columns: usize) -> Vec<F::Word> {
        let rows = values.len() / columns;
        let of = |row| reverse_bits(row, rows.ilog2()) * columns;
        (0..rows)
            .flat_map(|row| values[of(row)..of(row) + columns].to_vec())
            .collect()
    }

    /// Right by the full oracles, and wrong once any value that is looked at is.
    fn holds<F: Field>(result: &[F::Word], columns: usize, check: impl Fn(&[F::Word]) -> bool) {
        assert!(check(result), "{}", F::NAME);
        for row in rows(result.len() / columns) {
            let mut wrong = result.to_vec();
            let at = row * columns + row % columns;
            wrong[at] = F::add(wrong[at], F::ONE);
            assert!(!check(&wrong), "{}, row {row}", F::NAME);
        }
    }

    fn agree<E: Extension>() {
        agree_on_transforms::<E::Base>();
        for log_arity in 1..=3 {
            let (layer, beta) = (
                sample::<E::Base>(E::DEGREE << 6),
                sample::<E::Base>(E::DEGREE),
            );
            let folded = reference::fold::<E>(&layer, log_arity, &beta);
            holds::<E::Base>(&folded, E::DEGREE, |result| {
                fold::<E>(&layer, result, log_arity, &beta)
            });
        }
    }

    /// Row `i` times `shift^i`.
    fn scaled<F: Field>(values: &[F::Word], columns: usize, shift: F::Word) -> Vec<F::Word> {
        let rows = values.chunks_exact(columns).zip(0..);
        rows.flat_map(|(row, i)| row.iter().map(move |&v| F::mul(v, F::pow(shift, i))))
            .collect()
    }

    fn agree_on_transforms<F: Field>() {
        let (columns, shift) = (3, F::from_u64(31));
        let values = sample::<F>(columns << 5);
        let dft = reference::coset_dft::<F>(&values, columns, F::ONE);
        holds::<F>(&bit_reversed::<F>(&dft, columns), columns, |result| {
            ntt::<F>(&values, result, columns)
        });
        let extended = reference::coset_lde::<F>(&values, columns, 2, shift);
        holds::<F>(&bit_reversed::<F>(&extended, columns), columns, |result| {
            lde::<F>(&values, result, columns, shift)
        });
        // Transformed twice, values are in backward order, times their number.
        let coefficients = reference::coset_dft::<F>(&dft, columns, F::ONE);
        let rows = coefficients.len() / columns;
        let order = (0..rows).map(|row| reverse_bits((rows - row) % rows, rows.ilog2()));
        let mut reversed = vec![F::ZERO; coefficients.len()];
        for (row, to) in order.enumerate() {
            let from = &coefficients[row * columns..(row + 1) * columns];
            reversed[to * columns..(to + 1) * columns].copy_from_slice(from);
        }
        holds::<F>(&scaled::<F>(&values, columns, shift), columns, |result| {
            spread::<F>(&reversed, result, columns, shift)
        });
    }

    fn agree_on_hashes<P: MerkleHash>() {
        let states = sample::<P::Field>(7 * P::WIDTH);
        let mut permuted = states.clone();
        for state in permuted.chunks_exact_mut(P::WIDTH) {
            reference::poseidon2::<P>(state);
        }
        holds::<P::Field>(&permuted, P::WIDTH, |result| {
            permutation::<P>(&states, result)
        });

        let (rows, columns) = (16, P::RATE + 3);
        let values = sample::<P::Field>(rows * columns);
        let leaves = LeafMatrix {
            values: Elements::trusted(values.clone()),
            columns,
        };
        let tree = reference::merkle_tree::<P>(&[leaves]).concat();
        assert!(merkle::<P>(&values, &tree, columns), "{}", P::NAME);
        // Leaves, nodes and the root that are looked at.
        for digest in [0, 5, 15, 16, 23, 24, 29, 30] {
            let mut wrong = tree.clone();
            let word = &mut wrong[digest * P::DIGEST + 1];
            *word = P::Field::add(*word, P::Field::ONE);
            assert!(!merkle::<P>(&values, &wrong, columns), "digest {digest}");
        }
    }

    #[test]
    fn a_look_at_a_few_values_agrees_with_the_full_oracles() {
        agree::<BabyBear4>();
        agree::<KoalaBear4>();
        agree::<Goldilocks2>();
        agree_on_transforms::<Bn254Fr>();
        agree_on_hashes::<BabyBear16>();
        agree_on_hashes::<Goldilocks8>();
    }
}
