//! Folding against a copy of as many bytes.

use super::{Copying, LEAST_RUNS, Measurement, check};
use crate::error::{Error, Result};
use crate::field::{Extension, Field};
use crate::fold::MAX_LOG_ARITY;
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::Work;

/// One folding of `2^log_evaluations` elements of `E` by `2^log_arity`, and a copy that reads and
/// writes as many bytes, in turns.
///
/// Both go over several layers, one after the other, so many that the copies read `least_bytes` and write
/// as many before they come back to the first: with zero they work on one layer, which a cache may
/// hold, and with far more than a cache holds they come from memory.
///
/// # Errors
/// As [`super::Benchmark::run`]; [`Error::Shape`] if no single launch folds so.
pub fn fold_and_copy<E: Extension>(
    session: &Session,
    log_evaluations: u32,
    log_arity: u32,
    least_bytes: usize,
    runs: usize,
) -> Result<(Measurement, Measurement)> {
    let arities = 1..=MAX_LOG_ARITY.min(log_evaluations);
    if !arities.contains(&log_arity) || log_evaluations > E::Base::TWO_ADICITY {
        return Err(Error::Shape(format!(
            "arity 2^{log_arity} over 2^{log_evaluations} evaluations in one launch"
        )));
    }
    let runs = runs.max(LEAST_RUNS);
    session.run(move |engine| {
        engine.trust(log_arity, move |engine| {
            self_test::fold::<E>(engine, log_arity)
        })?;
        let mut work = Work::folding::<E>(log_evaluations, log_arity);
        let mut folded = check(engine, runs, &mut work)?;
        let copied = (folded.bytes / 2) as usize;
        let layers = (0..least_bytes.div_ceil(copied).max(1))
            .map(|_| work.layer(engine))
            .collect::<Result<Vec<_>>>()?;
        let copies = (0..layers.len())
            .map(|_| Copying::load(engine, copied / size_of::<u32>()))
            .collect::<Result<Vec<_>>>()?;
        let mut turns = (0..layers.len()).cycle();
        let mut turn = || turns.next().expect("invariant: at least one layer");
        let (mut fold, mut by_kernel, mut by_driver) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            fold.extend(timing::samples_ns(engine, 1, |engine| {
                let (input, output) = &layers[turn()];
                work.launch(engine, input, output)
            })?);
            by_kernel.extend(timing::samples_ns(engine, 1, |engine| {
                copies[turn()].by_kernel(engine)
            })?);
            by_driver.extend(timing::samples_ns(engine, 1, |engine| {
                copies[turn()].by_driver(engine)
            })?);
        }
        folded.median_ns = timing::median(fold);
        Ok((folded, copies[0].measurement(runs, by_kernel, by_driver)))
    })
}
