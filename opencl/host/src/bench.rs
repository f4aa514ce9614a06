//! How fast a device runs each kernel, on data that lies there already.
//!
//! A device is held against itself: bytes a second against those of a plain copy on the same device.
//! What other programs reach on the same machine is measured elsewhere.

use crate::driver::launch::MemoryCopy;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::{BabyBear, BabyBear4, Field, Goldilocks, Goldilocks2, KoalaBear, KoalaBear4};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::{Scale, Work};

/// Samples whose median counts, at least.
pub const LEAST_RUNS: usize = 7;

/// A kernel over a field that can be measured.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    kernel: &'static str,
    field: &'static str,
    run: fn(&mut Engine, usize) -> Result<Measurement>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Name of the field.
    pub field: &'static str,
    /// What was computed, for people.
    pub shape: String,
    /// Samples that were taken.
    pub runs: usize,
    /// Median time of one execution, in nanoseconds.
    pub median_ns: u64,
    /// Field elements of the input or the result, whichever has more.
    pub elements: u64,
    /// Bytes of device memory that its launches read and wrote.
    pub bytes: u64,
}

impl Measurement {
    /// Field elements a second.
    #[must_use]
    pub fn elements_per_s(&self) -> f64 {
        self.elements as f64 * 1e9 / self.median_ns.max(1) as f64
    }

    /// Bytes read and written a second.
    #[must_use]
    pub fn bytes_per_s(&self) -> f64 {
        self.bytes as f64 * 1e9 / self.median_ns.max(1) as f64
    }
}

/// All that can be measured. A new kernel is a line here.
const BENCHMARKS: &[Benchmark] = &[
    Benchmark::of::<BabyBear>("ntt", |engine, runs| {
        measure(engine, runs, Work::<BabyBear>::ntt)
    }),
    Benchmark::of::<KoalaBear>("ntt", |engine, runs| {
        measure(engine, runs, Work::<KoalaBear>::ntt)
    }),
    Benchmark::of::<Goldilocks>("ntt", |engine, runs| {
        measure(engine, runs, Work::<Goldilocks>::ntt)
    }),
    Benchmark::of::<BabyBear>("lde", |engine, runs| {
        measure(engine, runs, Work::<BabyBear>::lde)
    }),
    Benchmark::of::<KoalaBear>("lde", |engine, runs| {
        measure(engine, runs, Work::<KoalaBear>::lde)
    }),
    Benchmark::of::<Goldilocks>("lde", |engine, runs| {
        measure(engine, runs, Work::<Goldilocks>::lde)
    }),
    Benchmark::of::<BabyBear>("fold", |engine, runs| {
        measure(engine, runs, Work::<BabyBear>::fold::<BabyBear4>)
    }),
    Benchmark::of::<KoalaBear>("fold", |engine, runs| {
        measure(engine, runs, Work::<KoalaBear>::fold::<KoalaBear4>)
    }),
    Benchmark::of::<Goldilocks>("fold", |engine, runs| {
        measure(engine, runs, Work::<Goldilocks>::fold::<Goldilocks2>)
    }),
];

/// All that can be measured, in the order of a report.
#[must_use]
pub const fn benchmarks() -> &'static [Benchmark] {
    BENCHMARKS
}

impl Benchmark {
    const fn of<F: Field>(
        kernel: &'static str,
        run: fn(&mut Engine, usize) -> Result<Measurement>,
    ) -> Self {
        Self {
            kernel,
            field: F::NAME,
            run,
        }
    }

    /// Name of the kernel.
    #[must_use]
    pub const fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Name of the field.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Checks the kernel at the size that is timed, then times it: the median of `runs` samples, of
    /// [`LEAST_RUNS`] at least.
    ///
    /// # Errors
    /// [`Error::WrongAnswer`], [`Error::OutOfDeviceMemory`], and what the driver reports.
    pub fn run(&self, session: &Session, runs: usize) -> Result<Measurement> {
        let run = self.run;
        session.run(move |engine| run(engine, runs.max(LEAST_RUNS)))
    }
}

fn measure<F: Field>(
    engine: &mut Engine,
    runs: usize,
    make: fn(Scale) -> Work<F>,
) -> Result<Measurement> {
    engine.trust(0, self_test::ntt::<F>)?;
    let mut work = make(Scale::of(engine.device()));
    work.load(engine)?;
    let before = engine.stats();
    work.enqueue(engine)?;
    let did = engine.stats().since(&before);
    if !work.agrees(engine)? {
        return Err(Error::WrongAnswer {
            device: engine.device().to_string(),
            check: format!("{} over {}, {}", work.kernel(), F::NAME, work.shape()),
        });
    }
    Ok(Measurement {
        kernel: work.kernel(),
        field: F::NAME,
        shape: work.shape().to_owned(),
        runs,
        median_ns: timing::median_ns(engine, &mut work, runs)?,
        elements: work.elements(),
        bytes: did.kernels.values().map(|kernel| kernel.bytes).sum(),
    })
}

/// The fastest copy of device memory to device memory: the driver's own or a kernel's.
///
/// # Errors
/// As [`Benchmark::run`].
pub fn copy(session: &Session, runs: usize) -> Result<Measurement> {
    session.run(move |engine| {
        engine.trust(0, self_test::ntt::<BabyBear>)?;
        best_copy(engine, runs.max(LEAST_RUNS))
    })
}

fn best_copy(engine: &mut Engine, runs: usize) -> Result<Measurement> {
    let words = Scale::of(engine.device()).copied_words();
    let bytes = words * size_of::<u32>();
    let values: Vec<u32> = crate::self_test::sample::<BabyBear>(words);
    let from = engine.upload(&values)?;
    let to = engine.lease::<u32>(words)?;
    let compiled = engine.kernel::<BabyBear>(Operation::MemoryCopy)?;
    let shape = engine.shape::<BabyBear>(Operation::MemoryCopy);
    let launch = MemoryCopy {
        input: &from,
        output: &to,
        word_bytes: size_of::<u32>(),
        words,
    };
    let by_kernel = timing::samples_ns(engine, runs, |engine| {
        let launched = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), launched)
    })?;
    let mut copied = vec![0; words];
    engine.download(&to, &mut copied)?;
    if copied != values {
        return Err(Error::WrongAnswer {
            device: engine.device().to_string(),
            check: format!("a copy of {bytes} bytes"),
        });
    }
    let by_driver = timing::samples_ns(engine, runs, |engine| engine.copy(&from, &to, bytes))?;
    Ok(Measurement {
        kernel: "copy",
        field: "",
        shape: format!("{} MiB", bytes >> 20),
        runs,
        median_ns: timing::median(by_kernel).min(timing::median(by_driver)),
        elements: words as u64,
        bytes: 2 * bytes as u64,
    })
}
