//! Right answers by definition, as slow as it takes.
//!
//! The oracle of the kernels at small sizes: in the tests, and in the self-test that a device must
//! pass before a session on it opens. Nothing here shares code or ideas with the kernels.

use crate::field::{Extension, Field};
use crate::hash::{MerkleHash, Poseidon2, Word};
use crate::merkle::LeafMatrix;

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

/// The Poseidon2 permutation of a state, by its matrices.
pub(crate) fn poseidon2<P: Poseidon2>(state: &mut [Word<P>]) {
    let width = P::WIDTH;
    let constants = P::constants();
    let (initial, rest) = constants.split_at(4 * width);
    let (internal, terminal) = rest.split_at(P::internal_rounds());
    external_layer::<P>(state);
    external_rounds::<P>(state, initial);
    for &constant in internal {
        state[0] = P::Field::pow(P::Field::add(state[0], constant), P::POWER);
        let sum = sum::<P::Field>(state.iter().copied());
        for (word, &(numerator, log_denominator)) in state.iter_mut().zip(P::DIAGONAL) {
            let size = P::Field::from_u64(u64::from(numerator.unsigned_abs()));
            let scale = P::Field::mul(size, P::Field::inverse_power_of_two(log_denominator));
            let term = P::Field::mul(scale, *word);
            *word = if numerator < 0 {
                P::Field::sub(sum, term)
            } else {
                P::Field::add(sum, term)
            };
        }
    }
    external_rounds::<P>(state, terminal);
}

fn external_rounds<P: Poseidon2>(state: &mut [Word<P>], constants: &[Word<P>]) {
    for round in constants.chunks_exact(P::WIDTH) {
        for (word, &constant) in state.iter_mut().zip(round) {
            *word = P::Field::pow(P::Field::add(*word, constant), P::POWER);
        }
        external_layer::<P>(state);
    }
}

/// Entry `(i, j)` of the matrix is that of `circ(2, 3, 1, 1)`, twice where both are in one four.
fn external_layer<P: Poseidon2>(state: &mut [Word<P>]) {
    const FIRST_ROW: [u64; 4] = [2, 3, 1, 1];
    let before = state.to_vec();
    for (i, word) in state.iter_mut().enumerate() {
        *word = sum::<P::Field>(before.iter().enumerate().map(|(j, &x)| {
            let entry = FIRST_ROW[(j + 4 - i % 4) % 4] * if i / 4 == j / 4 { 2 } else { 1 };
            P::Field::mul(P::Field::from_u64(entry), x)
        }));
    }
}

/// The layers of a Merkle tree over `matrices`, from the leaves to the root: a row's digest is that of
/// all matrices of the height, a layer is padded with zeros to whole pairs.
pub(crate) fn merkle_tree<P: MerkleHash>(matrices: &[LeafMatrix<P::Field>]) -> Vec<Vec<Word<P>>> {
    let height = |matrix: &LeafMatrix<P::Field>| matrix.values.len() / matrix.columns;
    let rows_hashed = |rows: usize| -> Vec<Vec<Word<P>>> {
        let of_height: Vec<_> = matrices.iter().filter(|m| height(m) == rows).collect();
        let digest = |row: usize| {
            let words = of_height.iter().flat_map(|m| {
                let start = row * m.columns;
                &m.values.words()[start..start + m.columns]
            });
            sponge::<P>(&words.copied().collect::<Vec<_>>())
        };
        let rows = if of_height.is_empty() { 0 } else { rows };
        (0..rows).map(digest).collect()
    };
    let zeros = vec![P::Field::ZERO; P::DIGEST];
    let mut rows = matrices.iter().map(height).max().unwrap_or(0);
    let mut layer = rows_hashed(rows);
    let mut layers = Vec::new();
    loop {
        if layer.len() > 1 && layer.len() % 2 == 1 {
            layer.push(zeros.clone());
        }
        layers.push(layer.concat());
        if layer.len() == 1 {
            return layers;
        }
        rows = rows.div_ceil(2);
        let injected = rows_hashed(rows);
        let pairs = layer.chunks_exact(2).enumerate();
        layer = pairs
            .map(|(node, pair)| {
                let digest = compress::<P>(&pair.concat());
                if injected.is_empty() {
                    return digest;
                }
                let row = injected.get(node).unwrap_or(&zeros);
                compress::<P>(&[&digest[..], row].concat())
            })
            .collect();
    }
}

/// Overwrites the state with each block of a row, the last one perhaps short, and permutes.
pub(crate) fn sponge<P: MerkleHash>(row: &[Word<P>]) -> Vec<Word<P>> {
    let mut state = vec![P::Field::ZERO; P::WIDTH];
    for block in row.chunks(P::RATE) {
        state[..block.len()].copy_from_slice(block);
        poseidon2::<P>(&mut state);
    }
    state.truncate(P::DIGEST);
    state
}

/// The first half of the permuted two digests.
pub(crate) fn compress<P: MerkleHash>(digests: &[Word<P>]) -> Vec<Word<P>> {
    let mut state = digests.to_vec();
    poseidon2::<P>(&mut state);
    state.truncate(P::DIGEST);
    state
}

fn sum<F: Field>(terms: impl Iterator<Item = F::Word>) -> F::Word {
    terms.fold(F::ZERO, |sum, term| F::add(sum, term))
}
