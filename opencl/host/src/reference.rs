//! Right answers by definition, as slow as it takes.
//!
//! The oracle of the kernels at small sizes: in the tests, and in the self-test that a device must
//! pass before a session on it opens. Nothing here shares code or ideas with the kernels.

use crate::field::{Extension, Field};

/// A number in `0..2^bits` with its bits reversed.
pub(crate) const fn reverse_bits(index: usize, bits: u32) -> usize {
    if bits == 0 {
        0
    } else {
        index.reverse_bits() >> (usize::BITS - bits)
    }
}

/// Evaluates every column, as coefficients, on `shift * H`, `|H|` the number of rows; row `i` of the
/// result belongs to `shift * w^i`.
pub(crate) fn coset_dft<F: Field>(
    values: &[F::Word],
    columns: usize,
    shift: F::Word,
) -> Vec<F::Word> {
    evaluate::<F>(values, columns, shift, F::root(log_rows(values, columns)))
}

/// The coefficients of the polynomials that take the values of every column on `H`.
pub(crate) fn idft<F: Field>(values: &[F::Word], columns: usize) -> Vec<F::Word> {
    let log_n = log_rows(values, columns);
    let inverse_root = F::inverse(F::root(log_n)).expect("invariant: a root is not zero");
    let scale = F::inverse_power_of_two(log_n);
    let sums = evaluate::<F>(values, columns, F::ONE, inverse_root);
    sums.into_iter().map(|sum| F::mul(sum, scale)).collect()
}

/// The values on `shift * K`, `|K| = |H| << added_bits`, of the polynomials that take the values of
/// every column on `H`; natural order.
pub(crate) fn coset_lde<F: Field>(
    values: &[F::Word],
    columns: usize,
    added_bits: u32,
    shift: F::Word,
) -> Vec<F::Word> {
    let mut coefficients = idft::<F>(values, columns);
    coefficients.resize(values.len() << added_bits, F::ZERO);
    coset_dft::<F>(&coefficients, columns, shift)
}

/// Interpolates each run of `2^log_arity` extension elements, in bit-reversed order over a coset,
/// by halves: `f(x) = e(x^2) + x*o(x^2)`, and so `e + beta*o` at `x^2`.
pub(crate) fn fold<E: Extension>(
    values: &[<E::Base as Field>::Word],
    log_arity: u32,
    beta: &[<E::Base as Field>::Word],
) -> Vec<<E::Base as Field>::Word> {
    let degree = E::DEGREE;
    let (mut layer, mut beta) = (values.to_vec(), beta.to_vec());
    let half = E::Base::inverse_power_of_two(1);
    for _ in 0..log_arity {
        let pairs = layer.len() / (2 * degree);
        let log_pairs = pairs.ilog2();
        let root = E::Base::root(log_pairs + 1);
        layer = layer
            .chunks_exact(2 * degree)
            .enumerate()
            .flat_map(|(i, pair)| {
                let (lo, hi) = pair.split_at(degree);
                let x = E::Base::pow(root, reverse_bits(i, log_pairs) as u64);
                let half_x = E::Base::mul(
                    half,
                    E::Base::inverse(x).expect("invariant: a root is not zero"),
                );
                let even = lo
                    .iter()
                    .zip(hi)
                    .map(|(&a, &b)| E::Base::mul(E::Base::add(a, b), half));
                let odd: Vec<_> = lo
                    .iter()
                    .zip(hi)
                    .map(|(&a, &b)| E::Base::mul(E::Base::sub(a, b), half_x))
                    .collect();
                let odd = E::mul(&odd, &beta);
                even.zip(odd)
                    .map(|(a, b)| E::Base::add(a, b))
                    .collect::<Vec<_>>()
            })
            .collect();
        beta = E::mul(&beta, &beta);
    }
    layer
}

fn log_rows<W>(values: &[W], columns: usize) -> u32 {
    (values.len() / columns).ilog2()
}

/// `out[i] = sum_j in[j] * (shift * base^i)^j`, for every column.
fn evaluate<F: Field>(
    values: &[F::Word],
    columns: usize,
    shift: F::Word,
    base: F::Word,
) -> Vec<F::Word> {
    let rows = values.len() / columns;
    let mut out = Vec::with_capacity(values.len());
    let mut x = shift;
    for _ in 0..rows {
        let mut sums = vec![F::ZERO; columns];
        let mut power = F::ONE;
        for row in values.chunks_exact(columns) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = F::add(*sum, F::mul(value, power));
            }
            power = F::mul(power, x);
        }
        out.extend(sums);
        x = F::mul(x, base);
    }
    out
}
