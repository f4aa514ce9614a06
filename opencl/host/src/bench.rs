//! How fast a device runs each kernel, on data that lies there already.
//!
//! A device is held against itself: bytes a second against those of a plain copy on the same device.
//! What other programs reach on the same machine is measured elsewhere.

mod fold;

use std::sync::LazyLock;

use crate::catalogue::{Visitor, visit};
use crate::driver::launch::MemoryCopy;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::{BabyBear, Bn254Fr, Extension, Field};
use crate::hash::{MerkleHash, Poseidon2};
use crate::memory::Lease;
use crate::msm::{self, CURVE};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::{LOG_ARITY, Scale, Work};

pub use fold::fold_and_copy;

/// Samples whose median counts, at least.
pub const LEAST_RUNS: usize = 7;

/// A kernel over a field that can be measured.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    kernel: &'static str,
    field: &'static str,
    run: Run,
}

type Run = fn(&mut Engine, usize) -> Result<Measurement>;

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

/// Makes the list of all that can be measured. A new kernel is a line here.
struct List(Vec<Benchmark>);

impl List {
    fn add(&mut self, kernel: &'static str, field: &'static str, run: Run) {
        self.0.push(Benchmark { kernel, field, run });
    }
}

impl Visitor for List {
    fn transforms<F: Field>(&mut self) {
        self.add("ntt", F::NAME, |engine, runs| {
            measure(engine, runs, self_test::ntt::<F>, Work::<F>::ntt)
        });
        self.add("lde", F::NAME, |engine, runs| {
            measure(engine, runs, self_test::ntt::<F>, Work::<F>::lde)
        });
        self.add("spread", F::NAME, |engine, runs| {
            measure(engine, runs, self_test::ntt::<F>, Work::<F>::spread)
        });
    }

    fn folds<E: Extension>(&mut self) {
        self.add("fold", E::Base::NAME, |engine, runs| {
            let test = |engine: &mut Engine| self_test::fold::<E>(engine, LOG_ARITY);
            measure(engine, runs, test, Work::<E::Base>::fold::<E>)
        });
    }

    fn permutations<P: Poseidon2, Q: Poseidon2<Field = P::Field>>(&mut self) {
        fn add<P: Poseidon2>(list: &mut List) {
            list.add("poseidon2", P::Field::NAME, |engine, runs| {
                let test = self_test::hash::permutation::<P>;
                measure(engine, runs, test, Work::permutation::<P>)
            });
        }
        add::<P>(self);
        add::<Q>(self);
    }

    fn trees<P: MerkleHash>(&mut self) {
        self.add("merkle", P::Field::NAME, |engine, runs| {
            measure(
                engine,
                runs,
                self_test::hash::merkle::<P>,
                Work::merkle::<P>,
            )
        });
    }

    fn bn254_permutation(&mut self) {
        self.add("poseidon2", Bn254Fr::NAME, |engine, runs| {
            let make = Work::<Bn254Fr>::bn254_permutation;
            measure(engine, runs, self_test::hash::bn254, make)
        });
    }

    fn msm(&mut self) {
        self.add("msm", CURVE, multiplication);
    }
}

/// All that can be measured, in the order of a report.
#[must_use]
pub fn benchmarks() -> &'static [Benchmark] {
    static ALL: LazyLock<Vec<Benchmark>> = LazyLock::new(|| visit(List(Vec::new())).0);
    &ALL
}

impl Benchmark {
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

/// Has `test` pass before what it tests is measured.
fn measure<F: Field>(
    engine: &mut Engine,
    runs: usize,
    test: impl Fn(&mut Engine) -> Result<()> + 'static,
    make: impl FnOnce(Scale) -> Work<F>,
) -> Result<Measurement> {
    engine.trust(0, test)?;
    let mut work = make(Scale::of(engine.device()));
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
    let work = msm::Resident::load(engine, count)?;
    let shape = work.shape();
    let before = engine.stats();
    let right = work.run(engine)?;
    let did = engine.stats().since(&before);
    engine.require(right, || format!("msm over {CURVE}, {shape}"))?;
    let median_ns = work.median_ns(engine, runs)?;
    Ok(Measurement {
        kernel: "msm",
        field: CURVE,
        shape,
        runs,
        median_ns,
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
