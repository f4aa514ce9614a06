//! How multi-scalar multiplications are cut: windows by length, runs, tasks.
//!
//! The width of a window is measured at a few lengths and kept as a difference to the one that additions
//! alone would ask for, so that it holds between the lengths, too. What it costs to weigh a bucket, beside an
//! addition, is what devices differ in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::candidates::Limits;
use super::file::short_hash;
use super::search::{Found, Trial, best, contest};
use super::targets::{Context, Target, Tuned};
use crate::engine::Engine;
use crate::error::Result;
use crate::field::mont256_backend::Mont256Backend;
use crate::msm::{self, MsmKernel, Resident};
use crate::work::Scale;

/// How multi-scalar multiplications are laid out on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MsmTuning {
    /// Work-items in a group; threads that work in vectors where it is one.
    pub(crate) group_size: u32,
    /// Groups for each compute unit.
    pub(crate) groups: u32,
    /// Entries that a work-item adds up at a time, at most; a multiple of eight. Of affine additions, twice as
    /// many as share an inversion.
    pub(crate) run: u32,
    /// Bits that windows are wider than by the count of additions, at each of [`MsmTuning::LENGTHS`].
    pub(crate) wider: [i32; 4],
}

impl MsmTuning {
    /// Scalars of a multiplication, base two. The last stands for all that are longer.
    pub(crate) const LENGTHS: [u32; 4] = [12, 14, 16, 18];

    /// Bits that the windows of `count` scalars are wider.
    pub(crate) fn wider(&self, count: usize) -> i32 {
        let log_count = count.max(1).ilog2();
        let nearest = Self::LENGTHS.iter().rposition(|&log| log <= log_count + 1);
        self.wider[nearest.unwrap_or(0)]
    }
}

impl fmt::Display for MsmTuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group_size,
            groups,
            run,
            wider,
        } = self;
        write!(f, "group {group_size}, {groups} a unit, run {run}, windows")?;
        wider.iter().try_for_each(|bits| write!(f, " {bits:+}"))
    }
}

/// The hash of all sources.
pub(super) fn source_hash() -> String {
    let backends = Mont256Backend::ALL.into_iter();
    short_hash(backends.flat_map(|backend| MsmKernel::ALL.map(|kernel| kernel.source(backend))))
}

/// Multiplications of several lengths.
pub(super) struct Multiplications(Vec<Resident>);

impl Multiplications {
    fn load(engine: &mut Engine, log_counts: &[u32]) -> Result<Self> {
        let counts = log_counts.iter();
        let loaded = counts.map(|&log_count| Resident::load(engine, 1 << log_count));
        loaded.collect::<Result<_>>().map(Self)
    }
}

impl Trial for Multiplications {
    type Layout = MsmTuning;

    fn name(&self) -> String {
        "multi-scalar multiplication".to_owned()
    }

    fn shown(&self, layout: MsmTuning) -> String {
        layout.to_string()
    }

    fn lay_out(&self, engine: &mut Engine, layout: MsmTuning) {
        engine.tune_msm(layout);
    }

    fn same_programs(a: MsmTuning, b: MsmTuning) -> bool {
        a.group_size == b.group_size
    }

    fn test(&self, engine: &mut Engine) -> Result<()> {
        msm::self_test::run(engine)
    }

    fn check(&mut self, engine: &mut Engine) -> Result<()> {
        for work in &self.0 {
            let right = work.run(engine)?;
            engine.require(right, || {
                format!("msm over {}, {}", msm::CURVE, work.shape())
            })?;
        }
        Ok(())
    }

    fn median_ns(&mut self, engine: &mut Engine, runs: usize) -> Result<u64> {
        let times = self.0.iter().map(|work| work.median_ns(engine, runs));
        times.sum()
    }
}

/// One step of the search: layouts beside the best so far, and the length that they are tried at.
struct Step {
    log_count: u32,
    vary: fn(MsmTuning, usize) -> Vec<MsmTuning>,
    /// What `vary` is about.
    at: usize,
}

fn windows(tuning: MsmTuning, at: usize) -> Vec<MsmTuning> {
    [-2, -1, 1, 2]
        .map(|difference| {
            let mut other = tuning;
            other.wider[at] += difference;
            other
        })
        .to_vec()
}

fn runs(tuning: MsmTuning, _: usize) -> Vec<MsmTuning> {
    let run = tuning.run;
    [run / 4, run / 2, run * 2]
        .map(|run| MsmTuning { run, ..tuning })
        .to_vec()
}

fn groups(tuning: MsmTuning, _: usize) -> Vec<MsmTuning> {
    let groups = tuning.groups;
    [groups / 4, groups / 2, groups * 2]
        .map(|groups| MsmTuning { groups, ..tuning })
        .to_vec()
}

fn group_sizes(tuning: MsmTuning, _: usize) -> Vec<MsmTuning> {
    match tuning.group_size {
        // Work-items are threads.
        1 => Vec::new(),
        _ => [32, 64, 128, 256]
            .map(|group_size| MsmTuning {
                group_size,
                ..tuning
            })
            .to_vec(),
    }
}

/// What is tried, one thing after the other, each with the best that those before have left.
fn steps(log_largest: u32, lengths: &[u32]) -> Vec<Step> {
    let one = |vary| Step {
        log_count: log_largest,
        vary,
        at: 0,
    };
    let of_windows = lengths.iter().zip(0..).map(|(&log_count, at)| Step {
        log_count,
        vary: windows,
        at,
    });
    let shapes = [one(group_sizes), one(runs), one(groups)];
    shapes.into_iter().chain(of_windows).collect()
}

pub(super) fn search(engine: &mut Engine, target: &Target, context: &Context<'_>) -> Result<Tuned> {
    let log_largest = Scale::of(engine.device()).bases().ilog2();
    let (found, tried) = search_at(engine, context, log_largest, &MsmTuning::LENGTHS)?;
    let (first, last) = (
        MsmTuning::LENGTHS[0],
        log_largest.max(MsmTuning::LENGTHS[3]),
    );
    let shape = format!("2^{first} to 2^{last} bases");
    let shown = found.layout.to_string();
    Ok(target.finish(context, shape, tried, found, shown))
}

/// [`search`] at other lengths; and how many layouts were tried.
pub(super) fn search_at(
    engine: &mut Engine,
    context: &Context<'_>,
    log_largest: u32,
    lengths: &[u32],
) -> Result<(Found<MsmTuning>, usize)> {
    engine.test(msm::self_test::run)?;
    let default = engine.layout().msm_tuning();
    let limits = Limits::of(engine.device());
    let steps = steps(log_largest, lengths);
    let (mut chosen, mut tried, mut rejected) = (default, 0, Vec::new());
    let of = steps
        .iter()
        .map(|step| 1 + (step.vary)(default, step.at).len())
        .sum();
    for step in steps {
        let mut all = vec![chosen];
        for layout in (step.vary)(chosen, step.at) {
            if limits.allow_msm(layout) && !all.contains(&layout) {
                all.push(layout);
            }
        }
        if all.len() == 1 {
            continue;
        }
        let mut work = Multiplications::load(engine, &[step.log_count])?;
        let found = best(engine, &mut work, &all, &mut || {
            tried += 1;
            (context.told)(tried, of);
        })?;
        chosen = found.layout;
        rejected.extend(found.rejected);
    }
    let mut logs = [lengths, &[log_largest]].concat();
    logs.sort_unstable();
    logs.dedup();
    let mut work = Multiplications::load(engine, &logs)?;
    let [default_ns, best_ns] = contest(engine, &mut work, [default, chosen])?;
    let worth = best_ns <= default_ns && chosen != default;
    let layout = if worth { chosen } else { default };
    engine.tune_msm(layout);
    let found = Found {
        layout,
        default_ns,
        best_ns: if worth { best_ns } else { default_ns },
        rejected,
    };
    Ok((found, tried))
}
