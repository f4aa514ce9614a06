//! Transforms over the scalar field of BN254 against arkworks.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field as _, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use froben_opencl::{Bn254Fr, Elements, Error, NttBn254, Session};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::{native, sessions};

fn words(elements: &[Fr]) -> Elements<Bn254Fr> {
    let words = elements.iter().map(|element| element.0.0);
    Elements::new(words.collect()).expect("elements")
}

/// Zero, one, the largest, and others.
fn elements(seed: u64, count: usize) -> Vec<Fr> {
    let edges = [
        Fr::ZERO,
        Fr::ONE,
        -Fr::ONE,
        Fr::from(2).inverse().expect("not zero"),
    ];
    let mut random = SmallRng::seed_from_u64(seed);
    let mut numbers =
        std::iter::repeat_with(|| Fr::from_le_bytes_mod_order(&random.random::<[u8; 32]>()));
    (0..count)
        .map(|i| {
            if i % 3 == 0 {
                edges[i / 3 % 4]
            } else {
                numbers.next().expect("endless")
            }
        })
        .collect()
}

/// One column after the other by arkworks; rows in natural order.
fn by_columns(values: &[Fr], columns: usize, transform: impl Fn(&mut Vec<Fr>)) -> Vec<Fr> {
    let mut out = values.to_vec();
    for column in 0..columns {
        let mut single: Vec<_> = values
            .iter()
            .skip(column)
            .step_by(columns)
            .copied()
            .collect();
        transform(&mut single);
        for (row, value) in single.into_iter().enumerate() {
            if row * columns + column >= out.len() {
                out.resize((row + 1) * columns, Fr::ZERO);
            }
            out[row * columns + column] = value;
        }
    }
    out
}

fn bit_reversed(values: &[Fr], columns: usize) -> Vec<Fr> {
    let rows = values.len() / columns;
    let source = |row: usize| {
        if rows == 1 {
            row
        } else {
            row.reverse_bits() >> (usize::BITS - rows.ilog2())
        }
    };
    (0..rows)
        .flat_map(|row| values[source(row) * columns..][..columns].to_vec())
        .collect()
}

fn check(session: &Session, log_rows: u32, columns: usize) {
    let ntt = NttBn254::new(session);
    let values = elements(u64::from(log_rows), columns << log_rows);
    let domain = Radix2EvaluationDomain::<Fr>::new(1 << log_rows).expect("a domain");
    let shift = Fr::GENERATOR;
    let coset = domain.get_coset(shift).expect("a coset");
    let large = Radix2EvaluationDomain::<Fr>::new(4 << log_rows).expect("a domain");
    let large = large.get_coset(shift).expect("a coset");
    let shift = shift.0.0;
    let same = |name: &str, ours: froben_opencl::Result<Elements<Bn254Fr>>, theirs: &[Fr]| {
        let ours = ours.expect(name);
        assert!(
            ours == words(theirs),
            "{name}: 2^{log_rows} rows of {columns}"
        );
    };
    let theirs = by_columns(&values, columns, |column| domain.fft_in_place(column));
    same(
        "dft",
        ntt.dft_batch(words(&values), columns),
        &bit_reversed(&theirs, columns),
    );
    let theirs = by_columns(&values, columns, |column| coset.fft_in_place(column));
    let ours = ntt.coset_dft_batch(words(&values), columns, shift);
    same("coset dft", ours, &bit_reversed(&theirs, columns));
    let theirs = by_columns(&values, columns, |column| coset.ifft_in_place(column));
    same(
        "coset idft",
        ntt.coset_idft_batch(words(&values), columns, shift),
        &theirs,
    );
    let theirs = by_columns(&values, columns, |column| {
        domain.ifft_in_place(column);
        large.fft_in_place(column);
    });
    let ours = ntt.coset_lde_batch(words(&values), columns, 2, shift);
    same("coset lde", ours, &bit_reversed(&theirs, columns));
}

#[test]
fn agrees_with_arkworks() {
    for session in sessions() {
        for log_rows in 0..=10 {
            for columns in [1, 2, 3] {
                check(session, log_rows, columns);
            }
        }
    }
    let Some(session) = native() else { return };
    check(session, 15, 1);
}

#[test]
fn a_number_past_the_modulus_is_refused() {
    let refused = Elements::<Bn254Fr>::new(vec![[0; 4], Fr::MODULUS.0]);
    assert!(
        matches!(refused, Err(Error::NotCanonical { index: 1, .. })),
        "{refused:?}"
    );
    let largest = Elements::<Bn254Fr>::new(vec![(-Fr::ONE).0.0]);
    assert!(largest.is_ok());
}
