//! How fast a device runs each kernel, on data that lies there already.
//!
//! A device is held against itself: bytes a second against those of a plain copy on the same device.
//! What other programs reach on the same machine is measured elsewhere.

mod fold;

use crate::driver::launch::MemoryCopy;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::{BabyBear, BabyBear4, Field, Goldilocks, Goldilocks2, KoalaBear, KoalaBear4};
use crate::hash::{BabyBear16, Goldilocks8, KoalaBear16, MerkleHash, Poseidon2};
use crate::memory::Lease;
use crate::msm::{self, CURVE};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::{Scale, Work};

pub use fold::fold_and_copy;

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
    /// What the rate counts: permutations of `poseidon2`, rows of the leaves of `merkle`, bases of
    /// `msm`; of all others the field elements of the input or the result, whichever has more.
    pub elements: u64,
    /// Bytes of device memory that its launches read and wrote.
    pub bytes: u64,
}

impl Measurement {
    /// [`Measurement::elements`] a second.
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
    Benchmark::of::<BabyBear>("poseidon2", permutation::<BabyBear16>),
    Benchmark::of::<KoalaBear>("poseidon2", permutation::<KoalaBear16>),
    Benchmark::of::<Goldilocks>("poseidon2", permutation::<Goldilocks8>),
    Benchmark::of::<BabyBear>("merkle", merkle::<BabyBear16>),
    Benchmark::of::<KoalaBear>("merkle", merkle::<KoalaBear16>),
    Benchmark::of::<Goldilocks>("merkle", merkle::<Goldilocks8>),
    Benchmark {
        kernel: "msm",
        field: CURVE,
        run: multiplication,
    },
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
    let work = make(Scale::of(engine.device()));
    measure_work(engine, runs, work)
}

fn permutation<P: Poseidon2>(engine: &mut Engine, runs: usize) -> Result<Measurement> {
    engine.trust(0, self_test::hash::permutation::<P>)?;
    let work = Work::permutation::<P>(Scale::of(engine.device()));
    measure_work(engine, runs, work)
}

fn merkle<P: MerkleHash>(engine: &mut Engine, runs: usize) -> Result<Measurement> {
    engine.trust(0, self_test::hash::merkle::<P>)?;
    let work = Work::merkle::<P>(Scale::of(engine.device()));
    measure_work(engine, runs, work)
}

fn measure_work<F: Field>(
    engine: &mut Engine,
    runs: usize,
    mut work: Work<F>,
) -> Result<Measurement> {
    let mut measurement = check(engine, runs, &mut work)?;
    measurement.median_ns = timing::median_ns(engine, &mut work, runs)?;
    Ok(measurement)
}

/// Loads the work, and does it once: all of the measurement but the time.
fn check<F: Field>(engine: &mut Engine, runs: usize, work: &mut Work<F>) -> Result<Measurement> {
    work.load(engine)?;
    let before = engine.stats();
    work.enqueue(engine)?;
    let did = engine.stats().since(&before);
    let right = work.agrees(engine)?;
    engine.require(right, || work.check())?;
    Ok(Measurement {
        kernel: work.kernel(),
        field: F::NAME,
        shape: work.shape().to_owned(),
        runs,
        median_ns: 0,
        elements: work.rated(),
        bytes: did.bytes(),
    })
}

/// A multi-scalar multiplication. Its last step, which puts the sums of the windows together, is the
/// host's.
fn multiplication(engine: &mut Engine, runs: usize) -> Result<Measurement> {
    engine.trust(0, msm::self_test::run)?;
    let count = Scale::of(engine.device()).bases();
    let shape = format!("2^{} bases", count.ilog2());
    let work = msm::Resident::load(engine, count)?;
    let before = engine.stats();
    let right = work.run(engine)?;
    let did = engine.stats().since(&before);
    engine.require(right, || format!("msm over {CURVE}, {shape}"))?;
    let samples = timing::samples_ns(engine, runs, |engine| work.run(engine).map(drop))?;
    Ok(Measurement {
        kernel: "msm",
        field: CURVE,
        shape,
        runs,
        median_ns: timing::median(samples),
        elements: count as u64,
        bytes: did.bytes(),
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
    let copying = Copying::load(engine, Scale::of(engine.device()).copied_words())?;
    let by_kernel = timing::samples_ns(engine, runs, |engine| copying.by_kernel(engine))?;
    let by_driver = timing::samples_ns(engine, runs, |engine| copying.by_driver(engine))?;
    Ok(copying.measurement(runs, by_kernel, by_driver))
}

/// Words on the device, and room for as many.
struct Copying {
    from: Lease,
    to: Lease,
    words: usize,
}

impl Copying {
    /// Lets the kernel copy once, and checks the copy.
    fn load(engine: &mut Engine, words: usize) -> Result<Self> {
        let values: Vec<u32> = self_test::sample::<BabyBear>(words);
        let copying = Self {
            from: engine.upload(&values)?,
            to: engine.lease::<u32>(words)?,
            words,
        };
        copying.by_kernel(engine)?;
        let mut copied = vec![0; words];
        engine.download(&copying.to, &mut copied)?;
        engine.require(copied == values, || {
            format!("a copy of {} bytes", copying.bytes())
        })?;
        Ok(copying)
    }

    const fn bytes(&self) -> usize {
        self.words * size_of::<u32>()
    }

    fn by_kernel(&self, engine: &mut Engine) -> Result<()> {
        let compiled = engine.kernel::<BabyBear>(Operation::MemoryCopy)?;
        let shape = engine.shape::<BabyBear>(Operation::MemoryCopy);
        let launch = MemoryCopy {
            input: &self.from,
            output: &self.to,
            word_bytes: size_of::<u32>(),
            words: self.words,
        };
        let launched = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), launched)
    }

    fn by_driver(&self, engine: &Engine) -> Result<()> {
        engine.copy(&self.from, &self.to, self.bytes())
    }

    /// The faster of the two.
    fn measurement(&self, runs: usize, by_kernel: Vec<u64>, by_driver: Vec<u64>) -> Measurement {
        Measurement {
            kernel: "copy",
            field: "",
            shape: format!("{} MiB", self.bytes() >> 20),
            runs,
            median_ns: timing::median(by_kernel).min(timing::median(by_driver)),
            elements: self.words as u64,
            bytes: 2 * self.bytes() as u64,
        }
    }
}
