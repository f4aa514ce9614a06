//! Transforms over the scalar fields of curves against arkworks.

use ark_ff::{
    AdditiveGroup, BigInt, FftField, Field as _, Fp, MontBackend, MontConfig, PrimeField,
};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use froben_opencl::{Bls12381Fr, Bn254Fr, Elements, Error, Field, Ntt, Session};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::{gpu_layout, native, sessions};

type Bn254 = ark_bn254::FrConfig;
type Bls12381 = ark_bls12_381::FrConfig;

/// An element of arkworks, which both sides store alike.
type Element<C> = Fp<MontBackend<C, 4>, 4>;

fn words<F, C>(elements: &[Element<C>]) -> Elements<F>
where
    F: Field<Word = [u64; 4]>,
    C: MontConfig<4>,
{
    let words = elements.iter().map(|element| element.0.0);
    Elements::new(words.collect()).expect("elements")
}

/// Zero, one, the largest, a half.
fn edges<C: MontConfig<4>>() -> [Element<C>; 4] {
    let half = Element::<C>::from(2_u64).inverse().expect("not zero");
    [Element::ZERO, Element::ONE, -Element::<C>::ONE, half]
}

/// Edges, and others between them.
fn elements<C: MontConfig<4>>(seed: u64, count: usize) -> Vec<Element<C>> {
    let edges = edges();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut number = || Element::from_le_bytes_mod_order(&random.random::<[u8; 32]>());
    (0..count)
        .map(|i| match i % 3 {
            0 => edges[i / 3 % 4],
            _ => number(),
        })
        .collect()
}

/// One column after the other by arkworks; rows in natural order.
fn by_columns<C: MontConfig<4>>(
    values: &[Element<C>],
    columns: usize,
    transform: impl Fn(&mut Vec<Element<C>>),
) -> Vec<Element<C>> {
    let mut out = values.to_vec();
    for column in 0..columns {
        let mut single: Vec<_> = values
            .iter()
            .skip(column)
            .step_by(columns)
            .copied()
            .collect();
        transform(&mut single);
        out.resize(out.len().max(single.len() * columns), Element::ZERO);
        for (row, value) in single.into_iter().enumerate() {
            out[row * columns + column] = value;
        }
    }
    out
}

fn bit_reversed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns;
    let source = |row: usize| match rows {
        1 => row,
        _ => row.reverse_bits() >> (usize::BITS - rows.ilog2()),
    };
    (0..rows)
        .flat_map(|row| values[source(row) * columns..][..columns].to_vec())
        .collect()
}

/// All five transforms of one matrix.
fn check_values<F, C>(session: &Session, values: &[Element<C>], columns: usize)
where
    F: Field<Word = [u64; 4]>,
    C: MontConfig<4>,
{
    let ntt = Ntt::<F>::new(session);
    let rows = values.len() / columns;
    let added_bits = (rows.ilog2() as usize + columns) % 4;
    let domain = |rows| Radix2EvaluationDomain::<Element<C>>::new(rows).expect("a domain");
    let shift = Element::<C>::GENERATOR;
    let on_coset = |rows| domain(rows).get_coset(shift).expect("a coset");
    let shift = shift.0.0;
    let ours = || words::<F, C>(values);
    let same = |name: &str, ours: froben_opencl::Result<Elements<F>>, theirs: &[Element<C>]| {
        let ours = ours.expect(name);
        assert!(
            ours == words::<F, C>(theirs),
            "{name} over {}: {rows} rows of {columns}, +{added_bits} bits",
            F::NAME
        );
    };
    let theirs = by_columns(values, columns, |column| domain(rows).fft_in_place(column));
    let theirs = bit_reversed(&theirs, columns);
    same("dft", ntt.dft_batch(ours(), columns), &theirs);
    let theirs = by_columns(values, columns, |column| {
        on_coset(rows).fft_in_place(column)
    });
    let theirs = bit_reversed(&theirs, columns);
    same(
        "coset dft",
        ntt.coset_dft_batch(ours(), columns, shift),
        &theirs,
    );
    let theirs = by_columns(values, columns, |column| domain(rows).ifft_in_place(column));
    same("idft", ntt.idft_batch(ours(), columns), &theirs);
    let theirs = by_columns(values, columns, |column| {
        on_coset(rows).ifft_in_place(column);
    });
    same(
        "coset idft",
        ntt.coset_idft_batch(ours(), columns, shift),
        &theirs,
    );
    let theirs = by_columns(values, columns, |column| {
        domain(rows).ifft_in_place(column);
        on_coset(rows << added_bits).fft_in_place(column);
    });
    let theirs = bit_reversed(&theirs, columns);
    same(
        "coset lde",
        ntt.coset_lde_batch(ours(), columns, added_bits as u32, shift),
        &theirs,
    );
}

pub(crate) fn check<F, C>(session: &Session, log_rows: u32, columns: usize)
where
    F: Field<Word = [u64; 4]>,
    C: MontConfig<4>,
{
    let values = elements::<C>(u64::from(log_rows), columns << log_rows);
    check_values::<F, C>(session, &values, columns);
}

#[test]
fn agrees_with_arkworks() {
    let Some(session) = native() else { return };
    for log_rows in 0..=12 {
        for columns in 1..=5 {
            check::<Bn254Fr, Bn254>(session, log_rows, columns);
        }
        check::<Bls12381Fr, Bls12381>(session, log_rows, 1 + log_rows as usize % 5);
    }
    // Lanes of one block and of several in one pass, and a second pass that is longer than the first.
    check::<Bn254Fr, Bn254>(session, 8, 19);
    check::<Bn254Fr, Bn254>(session, 15, 1);
    check::<Bls12381Fr, Bls12381>(session, 17, 1);
}

#[test]
fn agrees_with_arkworks_in_the_layout_of_a_gpu() {
    let Some(session) = gpu_layout() else { return };
    for log_rows in 0..=12 {
        // The simulated groups are slow.
        for columns in if log_rows <= 6 { 1..=5 } else { 1..=1 } {
            check::<Bn254Fr, Bn254>(session, log_rows, columns);
        }
        if log_rows <= 9 {
            check::<Bls12381Fr, Bls12381>(session, log_rows, 1 + log_rows as usize % 5);
        }
    }
}

/// Nothing but the largest makes sums and carries as large as they get.
#[test]
fn agrees_with_arkworks_on_equal_values() {
    fn equal<F, C>(session: &Session, log_rows: u32)
    where
        F: Field<Word = [u64; 4]>,
        C: MontConfig<4>,
    {
        for value in edges::<C>() {
            check_values::<F, C>(session, &vec![value; 1 << log_rows], 1);
        }
    }
    for session in sessions() {
        for log_rows in [0, 1, 5, 10] {
            equal::<Bn254Fr, Bn254>(session, log_rows);
            equal::<Bls12381Fr, Bls12381>(session, log_rows);
        }
    }
}

#[test]
fn a_number_past_the_modulus_is_refused() {
    fn refused<F: Field<Word = [u64; 4]>, C: MontConfig<4>>() {
        let BigInt(modulus) = C::MODULUS;
        let past = Elements::<F>::new(vec![[0; 4], modulus]);
        assert!(
            matches!(past, Err(Error::NotCanonical { index: 1, .. })),
            "{past:?}"
        );
        assert!(Elements::<F>::new(vec![(-Element::<C>::ONE).0.0]).is_ok());
    }
    refused::<Bn254Fr, Bn254>();
    refused::<Bls12381Fr, Bls12381>();
}
