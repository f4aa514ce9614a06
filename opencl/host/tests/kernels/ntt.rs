use froben_opencl::{Elements, Field, Ntt, Session};
use p3_dft::{NaiveDft, Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field as _, PrimeCharacteristicRing};
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;

use crate::{BabyBears, Goldilockses, KoalaBears, Twin, elements, gpu_layout, native, sessions};

const COLUMNS: [usize; 8] = [1, 2, 3, 5, 8, 16, 17, 100];

type Words<T> = Elements<<T as Twin>::Ours>;

pub(crate) fn matrix<T: Twin>(seed: u64, rows: usize, columns: usize) -> RowMajorMatrix<T::Theirs> {
    RowMajorMatrix::new(elements(seed, rows * columns), columns)
}

/// The rows as they lie in memory when they are in bit-reversed order.
fn bit_reversed<T: Twin>(matrix: impl BitReversibleMatrix<T::Theirs>) -> Vec<T::Theirs> {
    matrix.bit_reverse_rows().to_row_major_matrix().values
}

/// All five transforms of one matrix against `oracle`.
pub(crate) fn check<T: Twin, D: TwoAdicSubgroupDft<T::Theirs>>(
    session: &Session,
    oracle: &D,
    input: &RowMajorMatrix<T::Theirs>,
    shift: T::Theirs,
    added_bits: usize,
) {
    let ntt = Ntt::<T::Ours>::new(session);
    let (columns, rows) = (input.width(), input.height());
    let values = || T::words(&input.values);
    let stored = T::word(shift);
    let context = format!(
        "{}, {rows} rows, {columns} columns, shift {shift}, +{added_bits} bits",
        T::Ours::NAME
    );
    let same = |name: &str, ours: froben_opencl::Result<Words<T>>, theirs: Vec<T::Theirs>| {
        assert!(ours.expect(name) == T::words(&theirs), "{name}: {context}");
    };
    same(
        "dft",
        ntt.dft_batch(values(), columns),
        bit_reversed::<T>(oracle.dft_batch(input.clone())),
    );
    same(
        "coset dft",
        ntt.coset_dft_batch(values(), columns, stored),
        bit_reversed::<T>(oracle.coset_dft_batch(input.clone(), shift)),
    );
    same(
        "idft",
        ntt.idft_batch(values(), columns),
        oracle.idft_batch(input.clone()).values,
    );
    same(
        "coset idft",
        ntt.coset_idft_batch(values(), columns, stored),
        oracle.coset_idft_batch(input.clone(), shift).values,
    );
    same(
        "coset lde",
        ntt.coset_lde_batch(values(), columns, added_bits as u32, stored),
        bit_reversed::<T>(oracle.coset_lde_batch(input.clone(), added_bits, shift)),
    );
}

fn agrees_with_the_definition<T: Twin>() {
    let shifts = [T::Theirs::ONE, T::Theirs::GENERATOR, T::Theirs::NEG_ONE];
    for session in sessions() {
        for log_rows in 0..=5 {
            for columns in COLUMNS {
                let input = matrix::<T>(1, 1 << log_rows, columns);
                let shift = shifts[(log_rows + columns) % shifts.len()];
                check::<T, _>(session, &NaiveDft, &input, shift, 1 + columns % 3);
            }
        }
    }
}

#[test]
fn agrees_with_the_definition_at_small_sizes() {
    agrees_with_the_definition::<BabyBears>();
    agrees_with_the_definition::<KoalaBears>();
    agrees_with_the_definition::<Goldilockses>();
}

/// 2^8 and 2^9 are both sides of the first boundary between passes.
fn agrees_with_plonky3<T: Twin>(session: &Session) {
    let oracle = Radix2DitParallel::default();
    let generator = T::Theirs::GENERATOR;
    for log_rows in 6..=12 {
        for columns in COLUMNS {
            let input = matrix::<T>(2, 1 << log_rows, columns);
            let added_bits = 1 + (log_rows + columns) % 3;
            check::<T, _>(session, &oracle, &input, generator, added_bits);
        }
    }
    for (log_rows, columns) in [(16, 1), (16, 3), (17, 2)] {
        let input = matrix::<T>(3, 1 << log_rows, columns);
        check::<T, _>(session, &oracle, &input, generator.inverse(), 1);
    }
}

#[test]
fn agrees_with_plonky3_at_large_sizes() {
    let Some(session) = native() else { return };
    agrees_with_plonky3::<BabyBears>(session);
    agrees_with_plonky3::<KoalaBears>(session);
    agrees_with_plonky3::<Goldilockses>(session);
}

fn agrees_in_the_layout_of_a_gpu<T: Twin>(session: &Session) {
    let oracle = Radix2DitParallel::default();
    for (log_rows, columns) in [(8, 1), (8, 5), (9, 2), (9, 17), (10, 100)] {
        let input = matrix::<T>(4, 1 << log_rows, columns);
        check::<T, _>(session, &oracle, &input, T::Theirs::GENERATOR, 2);
    }
}

#[test]
fn agrees_with_plonky3_in_the_layout_of_a_gpu() {
    let Some(session) = gpu_layout() else { return };
    agrees_in_the_layout_of_a_gpu::<BabyBears>(session);
    agrees_in_the_layout_of_a_gpu::<KoalaBears>(session);
    agrees_in_the_layout_of_a_gpu::<Goldilockses>(session);
}
