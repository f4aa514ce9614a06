//! Folding against a copy on the device, and against Plonky3's.
//!
//! On the device it is measured twice: one layer and its result over and over, which the last cache of a
//! processor may hold, against a copy of as many bytes there; and many layers in turn against copies of as
//! many, all from memory.

use std::marker::PhantomData;

use froben_opencl::{BabyBear4, Elements, Extension, Fold, Goldilocks2, Session, bench};
use p3_baby_bear::BabyBear;
use p3_field::extension::BinomialExtensionField;
use p3_field::{ExtensionField, TwoAdicField};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_goldilocks::Goldilocks;
use p3_matrix::dense::RowMajorMatrix;

use crate::contest::{Contender, contest};
use crate::elements;
use crate::ntt::Peer;
use crate::table::Table;

const LOG_EVALUATIONS: u32 = 20;
/// Samples whose median counts; they take milliseconds.
const RUNS: usize = 31;
/// What a copy from memory reads, and writes too: far more than a cache holds.
const FROM_MEMORY: usize = 256 << 20;
/// Of a copy's bandwidth.
const GOAL: f64 = 0.7;

/// `O` and `E` are the same extension of the same field.
fn case<T, O, E>(session: &Session, table: &Table, log_arity: u32)
where
    T: Peer<Ours = O::Base>,
    O: Extension,
    E: ExtensionField<T> + TwoAdicField,
{
    let fields = format!("{}^{}", T::NAME, O::DEGREE);
    let shape = format!("2^{LOG_EVALUATIONS} by {}", 1 << log_arity);
    for (place, least_bytes) in [("in cache", 0), ("from memory", FROM_MEMORY)] {
        let name = format!("{fields} fold {shape} {place}");
        if table.wants(&name) {
            let (fold, copy) =
                bench::fold_and_copy::<O>(session, LOG_EVALUATIONS, log_arity, least_bytes, RUNS)
                    .expect("a fold");
            table.of_copy(&name, GOAL, &fold, &copy);
        }
    }
    let name = format!("{fields} fold {shape}");
    if table.wants(&name) {
        whole_call::<T, O, E>(session, table, &name, log_arity);
    }
}

fn whole_call<T, O, E>(session: &Session, table: &Table, name: &str, log_arity: u32)
where
    T: Peer<Ours = O::Base>,
    O: Extension,
    E: ExtensionField<T> + TwoAdicField,
{
    let mut coefficients = elements::<T>(O::DEGREE * ((1 << LOG_EVALUATIONS) + 1));
    let beta = coefficients.split_off(O::DEGREE << LOG_EVALUATIONS);
    let fold = Fold::<O>::new(session);
    let ours = Contender::new("ours", |watch| {
        let values = T::ours(coefficients.clone());
        let beta: Elements<O::Base> = T::ours(beta.clone());
        T::theirs(watch.measure(|| fold.fold(values, log_arity, &beta).expect("a fold")))
    });
    let strategy = TwoAdicFriFolding::<(), ()>(PhantomData);
    let theirs = Contender::new("p3 fold_matrix", |watch| {
        let values = E::reconstitute_from_base(coefficients.clone());
        let layer = RowMajorMatrix::new(values, 1 << log_arity);
        let beta = E::from_basis_coefficients_slice(&beta).expect("one element");
        let folded = watch.measure(|| {
            FriFoldingStrategy::<T, E>::fold_matrix(&strategy, beta, log_arity as usize, layer)
        });
        E::flatten_to_base(folded)
    });
    table.row(name, None, &contest(vec![ours, theirs]));
}

pub(crate) fn run(session: &Session, table: &Table) {
    for log_arity in [1, 3] {
        case::<BabyBear, BabyBear4, BinomialExtensionField<BabyBear, 4>>(session, table, log_arity);
        case::<Goldilocks, Goldilocks2, BinomialExtensionField<Goldilocks, 2>>(
            session, table, log_arity,
        );
    }
}
