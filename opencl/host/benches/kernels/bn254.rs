//! Transforms over the scalar field of BN254 against arkworks.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use froben_opencl::{Bn254Fr, Elements, NttBn254, Session};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::contest::{Contender, contest};
use crate::table::Table;

fn ours(values: &[Fr]) -> Elements<Bn254Fr> {
    let words = values.iter().map(|value| value.0.0);
    Elements::new(words.collect()).expect("elements")
}

/// Values to coefficients: the direction in which both sides take and give natural order.
pub(crate) fn run(session: &Session, table: &Table) {
    for log_rows in [18, 20] {
        let name = format!("bn254_fr inverse ntt 2^{log_rows}");
        if !table.wants(&name) {
            continue;
        }
        let mut random = SmallRng::seed_from_u64(1);
        let values: Vec<_> = (0..1 << log_rows)
            .map(|_| Fr::from_le_bytes_mod_order(&random.random::<[u8; 32]>()))
            .collect();
        let values = &values;
        let domain = Radix2EvaluationDomain::<Fr>::new(values.len()).expect("a domain");
        let ntt = NttBn254::new(session);
        let contenders = vec![
            Contender::new("ours", move |watch| {
                let values = ours(values);
                watch
                    .measure(|| ntt.idft_batch(values, 1))
                    .expect("a transform")
                    .into_words()
            }),
            Contender::new("ark-poly", move |watch| {
                let mut values = values.clone();
                watch.measure(|| domain.ifft_in_place(&mut values));
                values.into_iter().map(|value| value.0.0).collect()
            }),
        ];
        table.row(&name, Some(2.0), &contest(contenders));
    }
}
