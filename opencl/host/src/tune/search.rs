//! Tries layouts on the device and keeps the best.

use super::Tuning;
use super::candidates::{Limits, candidates};
use super::file::{Entry, TuningFile, source_hash};
use crate::device::Device;
use crate::driver::launch::LaneShape;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::{BabyBear4, Extension, Field, Goldilocks2, KoalaBear4};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::{LOG_ARITY, Scale, Work};

/// Runs of a candidate, and of the last comparison.
const RUNS: usize = 5;
const FINAL_RUNS: usize = 9;
/// A gain that is smaller is as likely noise.
const LEAST_GAIN: f64 = 0.03;

/// A kernel over a field whose layout can be measured.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    operation: Operation,
    field: &'static str,
    source: fn(Operation) -> String,
    run: Search,
}

type Search = fn(&mut Engine, Operation, Option<&TuningFile>) -> Result<Tuned>;

/// What came of measuring a kernel's layouts.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// Name of the kernel, without that of the field.
    pub kernel: &'static str,
    /// Name of the field.
    pub field: &'static str,
    /// What it was measured on.
    pub shape: String,
    /// The layout that later sessions use.
    pub layout: String,
    /// Layouts that were tried.
    pub candidates: usize,
    /// Those of them that failed, and how; none of them was timed.
    pub rejected: Vec<String>,
    /// Median time with the default layout, in nanoseconds.
    pub default_ns: u64,
    /// Median time with the best layout, interleaved with the default's.
    pub best_ns: u64,
    /// Why later sessions do not know of it, if they do not.
    pub not_kept: Option<String>,
}

/// Every kernel whose layout can be measured, one field after the other.
pub fn targets() -> impl Iterator<Item = Target> {
    fn of<E: Extension>() -> [Target; 2] {
        let fold = const {
            Operation::FriFold {
                degree: E::DEGREE as u8,
                log_arity: LOG_ARITY as u8,
            }
        };
        let of = |operation, run| Target {
            operation,
            field: E::Base::NAME,
            source: source_hash::<E::Base>,
            run,
        };
        [
            of(
                Operation::NttPass { inverse: false },
                |engine, operation, file| {
                    search(
                        engine,
                        operation,
                        self_test::ntt::<E::Base>,
                        Work::<E::Base>::ntt,
                        file,
                    )
                },
            ),
            of(fold, |engine, operation, file| {
                let test = |engine: &mut Engine| self_test::fold::<E>(engine, LOG_ARITY);
                search(engine, operation, test, Work::<E::Base>::fold::<E>, file)
            }),
        ]
    }
    [of::<BabyBear4>(), of::<KoalaBear4>(), of::<Goldilocks2>()]
        .into_iter()
        .flatten()
}

impl Target {
    pub(super) const fn operation(&self) -> Operation {
        self.operation
    }

    /// The hash of today's source.
    pub(super) fn source_hash(&self) -> String {
        (self.source)(self.operation)
    }

    /// The kernel's name, without that of the field.
    #[must_use]
    pub const fn kernel(&self) -> &'static str {
        self.operation.name()
    }

    /// The field's name.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Measures the layouts of the kernel on the session's device, uses the best from here on, and keeps it
    /// for later sessions where the session's storage allows.
    ///
    /// # Errors
    /// Those of the default layout; a candidate that fails is only left out.
    pub fn tune(&self, session: &Session) -> Result<Tuned> {
        let (target, file) = (*self, session.tuning_file().cloned());
        session.run(move |engine| (target.run)(engine, target.operation, file.as_ref()))
    }
}

impl Limits {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            group_size: device.max_group_size,
            local_memory_bytes: usize::try_from(device.local_memory_bytes).unwrap_or(usize::MAX),
        }
    }
}

fn search<F: Field>(
    engine: &mut Engine,
    operation: Operation,
    test: fn(&mut Engine) -> Result<()>,
    make: fn(Scale) -> Work<F>,
    file: Option<&TuningFile>,
) -> Result<Tuned> {
    engine.test(test)?;
    let default = engine.layout().tuning::<F>(operation);
    let all = candidates(operation, default, Limits::of(engine.device()));
    let mut work = make(Scale::of(engine.device()));
    let found = best::<F>(engine, operation, test, &all, &mut work);
    match &found {
        Ok(found) => engine.tune::<F>(operation, found.layout),
        Err(_) => engine.tune::<F>(operation, default),
    }
    let Found {
        layout,
        default_ns,
        best_ns,
        rejected,
    } = found?;
    let entry = Entry {
        kernel: operation.name().to_owned(),
        field: F::NAME.to_owned(),
        source: source_hash::<F>(operation),
        default_ns,
        best_ns,
        layout,
    };
    let not_kept = match file {
        Some(file) => file
            .save(entry)
            .err()
            .map(|error| format!("{}: {error}", file.path().display())),
        None => Some("nothing is kept in this session".to_owned()),
    };
    Ok(Tuned {
        kernel: operation.name(),
        field: F::NAME,
        shape: work.shape().to_owned(),
        layout: layout.to_string(),
        candidates: all.len(),
        rejected,
        default_ns,
        best_ns,
        not_kept,
    })
}

struct Found {
    layout: Tuning,
    default_ns: u64,
    best_ns: u64,
    rejected: Vec<String>,
}

fn best<F: Field>(
    engine: &mut Engine,
    operation: Operation,
    test: fn(&mut Engine) -> Result<()>,
    all: &[Tuning],
    work: &mut Work<F>,
) -> Result<Found> {
    let mut rejected = Vec::new();
    let mut times: Vec<(Tuning, u64)> = Vec::new();
    let mut known: Vec<LaneShape> = Vec::new();
    for (at, &tuning) in all.iter().enumerate() {
        engine.tune::<F>(operation, tuning);
        // Another shape is another program; the rest is another plan of launches.
        let mut checked = Ok(());
        if !known.contains(&tuning.shape()) {
            checked = engine.aside(test);
        }
        let timed = checked.and_then(|()| {
            known.push(tuning.shape());
            check::<F>(engine, work)?;
            timing::median_ns(engine, work, RUNS)
        });
        match timed {
            Ok(time) => times.push((tuning, time)),
            // The default is the first; what it cannot do needs no others.
            Err(error) if at == 0 => return Err(error),
            Err(error) => {
                tracing::warn!(kernel = operation.name(), field = F::NAME, %tuning, %error, "a layout fails");
                rejected.push(format!("{tuning}: {error}"));
            }
        }
    }
    let (default, best) = (
        times[0].0,
        times
            .iter()
            .min_by_key(|(_, time)| *time)
            .map_or(times[0].0, |(tuning, _)| *tuning),
    );
    // The best of many is in part the luckiest, and the machine has other work: once more, in turn.
    let mut contest = [(default, Vec::new()), (best, Vec::new())];
    for _ in 0..FINAL_RUNS {
        for (tuning, times) in &mut contest {
            engine.tune::<F>(operation, *tuning);
            times.push(timing::median_ns(engine, work, 1)?);
        }
    }
    let [default_ns, best_ns] = contest.map(|(_, times)| timing::median(times));
    let worth = best != default && best_ns as f64 <= default_ns as f64 * (1.0 - LEAST_GAIN);
    Ok(Found {
        layout: if worth { best } else { default },
        default_ns,
        best_ns: if worth { best_ns } else { default_ns },
        rejected,
    })
}

/// At the size that is timed: right in a few places, and all that the first layout gave.
fn check<F: Field>(engine: &mut Engine, work: &mut Work<F>) -> Result<()> {
    work.load(engine)?;
    work.enqueue(engine)?;
    let right = work.agrees(engine)?;
    engine.require(right, || work.check())
}
