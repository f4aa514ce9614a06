//! Tries layouts on the device and chooses the best.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::timing;

/// Runs of a candidate, and of the last comparison.
const RUNS: usize = 5;
const FINAL_RUNS: usize = 9;
/// A gain that is smaller is as likely noise.
const LEAST_GAIN: f64 = 0.03;

/// Work that can be laid out in several ways.
pub(super) trait Trial {
    type Layout: Copy + PartialEq;

    /// What is tried, for the log.
    fn name(&self) -> String;

    /// A layout, for people.
    fn shown(&self, layout: Self::Layout) -> String;

    /// Has the engine use a layout from here on.
    fn lay_out(&self, engine: &mut Engine, layout: Self::Layout);

    /// Whether two layouts are the same programs in other plans of launches.
    fn same_programs(a: Self::Layout, b: Self::Layout) -> bool;

    /// The known answers of the programs.
    fn test(&self, engine: &mut Engine) -> Result<()>;

    /// The work itself, once: an error unless its result is right.
    fn check(&mut self, engine: &mut Engine) -> Result<()>;

    /// How long the work takes, once it was checked.
    fn median_ns(&mut self, engine: &mut Engine, runs: usize) -> Result<u64>;
}

/// The best of some layouts.
pub(super) struct Found<L> {
    pub(super) layout: L,
    pub(super) default_ns: u64,
    pub(super) best_ns: u64,
    pub(super) rejected: Vec<String>,
}

/// Tries `all`, the default first, and leaves the engine with the best; with the default if that is an error.
///
/// `told` hears of each before it is tried.
pub(super) fn best<T: Trial>(
    engine: &mut Engine,
    trial: &mut T,
    all: &[T::Layout],
    told: &mut dyn FnMut(),
) -> Result<Found<T::Layout>> {
    let found = try_all(engine, trial, all, told);
    let chosen = found.as_ref().map_or(all[0], |found| found.layout);
    trial.lay_out(engine, chosen);
    found
}

fn try_all<T: Trial>(
    engine: &mut Engine,
    trial: &mut T,
    all: &[T::Layout],
    told: &mut dyn FnMut(),
) -> Result<Found<T::Layout>> {
    let mut rejected = Vec::new();
    let mut times: Vec<(T::Layout, u64)> = Vec::new();
    let mut known: Vec<T::Layout> = Vec::new();
    for (at, &layout) in all.iter().enumerate() {
        told();
        trial.lay_out(engine, layout);
        let mut checked = Ok(());
        if !known.iter().any(|&other| T::same_programs(other, layout)) {
            checked = engine.aside(|engine| trial.test(engine));
        }
        let timed = checked.and_then(|()| {
            known.push(layout);
            trial.check(engine)?;
            trial.median_ns(engine, RUNS)
        });
        match timed {
            Ok(time) => times.push((layout, time)),
            // The default is the first; what it cannot do needs no others.
            Err(error) if at == 0 || matches!(error, Error::Cancelled { .. }) => {
                return Err(error);
            }
            Err(error) => {
                let layout = trial.shown(layout);
                tracing::warn!(of = trial.name(), layout, %error, "a layout fails");
                rejected.push(format!("{layout}: {error}"));
            }
        }
    }
    let (default, best) = (
        times[0].0,
        times
            .iter()
            .min_by_key(|(_, time)| *time)
            .map_or(times[0].0, |(layout, _)| *layout),
    );
    let [default_ns, best_ns] = contest(engine, trial, [default, best])?;
    let worth = best != default && best_ns as f64 <= default_ns as f64 * (1.0 - LEAST_GAIN);
    Ok(Found {
        layout: if worth { best } else { default },
        default_ns,
        best_ns: if worth { best_ns } else { default_ns },
        rejected,
    })
}

/// Times of two layouts, in turn: the best of many is in part the luckiest, and the machine has other
/// work.
pub(super) fn contest<T: Trial>(
    engine: &mut Engine,
    trial: &mut T,
    layouts: [T::Layout; 2],
) -> Result<[u64; 2]> {
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..FINAL_RUNS {
        for (layout, times) in layouts.into_iter().zip(&mut samples) {
            trial.lay_out(engine, layout);
            times.push(trial.median_ns(engine, 1)?);
        }
    }
    Ok(samples.map(timing::median))
}
