//! Transforms over the scalar fields of curves against arkworks.

use ark_ff::{BigInt, Fp, MontBackend, MontConfig, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use froben_opencl::{Bls12381Fr, Bn254Fr, Elements, Field, Ntt, Session};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::contest::{Contender, contest};
use crate::table::Table;

/// An element of arkworks, which both sides store alike.
type Element<C> = Fp<MontBackend<C, 4>, 4>;

pub(crate) fn run(session: &Session, table: &Table) {
    for log_rows in [18, 20] {
        transforms::<Bn254Fr, ark_bn254::FrConfig>(session, table, log_rows, 2.0);
    }
    transforms::<Bls12381Fr, ark_bls12_381::FrConfig>(session, table, 18, None);
}

/// Both directions of one column. Values to coefficients, both sides take and give natural order; the other
/// way ours leaves bit-reversed rows, and a copy of them is put in order after the measured part.
fn transforms<F, C>(
    session: &Session,
    table: &Table,
    log_rows: u32,
    goal: impl Into<Option<f64>> + Copy,
) where
    F: Field<Word = [u64; 4]>,
    C: MontConfig<4>,
{
    let names = ["ntt", "inverse ntt"].map(|way| format!("{} {way} 2^{log_rows}", F::NAME));
    let [forward, inverse] = names.each_ref().map(|name| table.wants(name));
    if !forward && !inverse {
        return;
    }
    let mut random = SmallRng::seed_from_u64(1);
    let values: Vec<Element<C>> = (0..1 << log_rows)
        .map(|_| Element::from_le_bytes_mod_order(&random.random::<[u8; 32]>()))
        .collect();
    let values = &values;
    let words = |values: &[Element<C>]| -> Vec<[u64; 4]> {
        values.iter().map(|&Fp(BigInt(words), _)| words).collect()
    };
    let ours = || Elements::<F>::new(words(values)).expect("elements");
    let domain = Radix2EvaluationDomain::<Element<C>>::new(values.len()).expect("a domain");
    let ntt = Ntt::<F>::new(session);
    let [forward_name, inverse_name] = &names;
    if forward {
        let contenders = vec![
            Contender::new("ours", |watch| {
                let values = ours();
                let transformed = watch
                    .measure(|| ntt.dft_batch(values, 1))
                    .expect("a transform")
                    .into_words();
                let shift = usize::BITS - log_rows;
                let in_order = |row: usize| transformed[row.reverse_bits() >> shift];
                (0..transformed.len()).map(in_order).collect()
            }),
            Contender::new("ark-poly", |watch| {
                let mut values = values.clone();
                watch.measure(|| domain.fft_in_place(&mut values));
                words(&values)
            }),
        ];
        table.row(forward_name, goal, &contest(contenders));
    }
    if inverse {
        let contenders = vec![
            Contender::new("ours", |watch| {
                let values = ours();
                watch
                    .measure(|| ntt.idft_batch(values, 1))
                    .expect("a transform")
                    .into_words()
            }),
            Contender::new("ark-poly", |watch| {
                let mut values = values.clone();
                watch.measure(|| domain.ifft_in_place(&mut values));
                words(&values)
            }),
        ];
        table.row(inverse_name, goal, &contest(contenders));
    }
}
