use froben_opencl::{NttBabyBear, Session, words};
use p3_baby_bear::BabyBear;
use p3_dft::{NaiveDft, Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;

use crate::{elements, gpu_layout, native, sessions};

const COLUMNS: [usize; 8] = [1, 2, 3, 5, 8, 16, 17, 100];

fn matrix(seed: u64, rows: usize, columns: usize) -> RowMajorMatrix<BabyBear> {
    RowMajorMatrix::new(elements(seed, rows * columns), columns)
}

fn stored(element: BabyBear) -> u32 {
    element.to_unique_u32()
}

/// The rows as they lie in memory when they are in bit-reversed order.
fn bit_reversed(matrix: impl BitReversibleMatrix<BabyBear>) -> Vec<BabyBear> {
    matrix.bit_reverse_rows().to_row_major_matrix().values
}

/// All five transforms of one matrix against `oracle`.
fn check<D: TwoAdicSubgroupDft<BabyBear>>(
    session: &Session,
    oracle: &D,
    input: &RowMajorMatrix<BabyBear>,
    shift: BabyBear,
    added_bits: usize,
) {
    let ntt = NttBabyBear::new(session);
    let (columns, rows) = (input.width(), input.height());
    let values = || words::from_babybear(input.values.clone());
    let context = format!("{rows} rows, {columns} columns, shift {shift}, +{added_bits} bits");
    let same = |name: &str, ours: froben_opencl::Result<Vec<u32>>, theirs: Vec<BabyBear>| {
        let ours = words::to_babybear(ours.expect(name));
        assert!(ours == theirs, "{name}: {context}");
    };
    same(
        "dft",
        ntt.dft_batch(values(), columns),
        bit_reversed(oracle.dft_batch(input.clone())),
    );
    same(
        "coset dft",
        ntt.coset_dft_batch(values(), columns, stored(shift)),
        bit_reversed(oracle.coset_dft_batch(input.clone(), shift)),
    );
    same(
        "idft",
        ntt.idft_batch(values(), columns),
        oracle.idft_batch(input.clone()).values,
    );
    same(
        "coset idft",
        ntt.coset_idft_batch(values(), columns, stored(shift)),
        oracle.coset_idft_batch(input.clone(), shift).values,
    );
    same(
        "coset lde",
        ntt.coset_lde_batch(values(), columns, added_bits as u32, stored(shift)),
        bit_reversed(oracle.coset_lde_batch(input.clone(), added_bits, shift)),
    );
}

#[test]
fn agrees_with_the_definition_at_small_sizes() {
    let shifts = [BabyBear::ONE, BabyBear::GENERATOR, BabyBear::NEG_ONE];
    for session in sessions() {
        for log_rows in 0..=5 {
            for columns in COLUMNS {
                let input = matrix(1, 1 << log_rows, columns);
                let shift = shifts[(log_rows + columns) % shifts.len()];
                check(session, &NaiveDft, &input, shift, 1 + columns % 3);
            }
        }
    }
}

/// 2^8 and 2^9 are both sides of the first boundary between passes.
#[test]
fn agrees_with_plonky3_at_large_sizes() {
    let Some(session) = native() else { return };
    let oracle = Radix2DitParallel::default();
    for log_rows in 6..=12 {
        for columns in COLUMNS {
            let input = matrix(2, 1 << log_rows, columns);
            check(
                session,
                &oracle,
                &input,
                BabyBear::GENERATOR,
                1 + (log_rows + columns) % 3,
            );
        }
    }
    for (log_rows, columns) in [(16, 1), (16, 3), (17, 2)] {
        let input = matrix(3, 1 << log_rows, columns);
        check(session, &oracle, &input, BabyBear::GENERATOR.inverse(), 1);
    }
}

#[test]
fn agrees_with_plonky3_in_the_layout_of_a_gpu() {
    let Some(session) = gpu_layout() else { return };
    let oracle = Radix2DitParallel::default();
    for (log_rows, columns) in [(8, 1), (8, 5), (9, 2), (9, 17), (10, 100)] {
        let input = matrix(4, 1 << log_rows, columns);
        check(session, &oracle, &input, BabyBear::GENERATOR, 2);
    }
}
