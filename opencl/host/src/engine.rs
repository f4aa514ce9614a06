//! What the thread that owns a device has at hand: its queue, kernels, memory and tables.

mod kernels;
mod operands;
mod pace;
mod stream;
mod tables;

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use stream::{Ahead, Panels};

use pace::Pace;

use crate::device::Device;
use crate::driver::launch::LaneShape;
use crate::driver::{Failure, Kernel, Queue};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::field::mont256_backend::Mont256Backend;
use crate::hash::Poseidon2;
use crate::hash::bn254::NAME as BN254_3;
use crate::layout::Layout;
use crate::memory::{Lease, Memory};
use crate::msm::MsmKernel;
use crate::program::Operation;
use crate::program::cache::{Cache, Origin};
use crate::session::Patch;
use crate::stats::Stats;
use crate::tune::{MsmTuning, Tuning, Tunings};

/// Which way a transform goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// Coefficients to values.
    Forward,
    /// Values to coefficients, times the number of rows.
    Inverse,
}

/// A compiled kernel and the name that its launches are counted under.
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) kernel: Kernel,
    origin: Origin,
}

/// The state of a session's thread.
pub(crate) struct Engine {
    // Fields drop in order: what lives in the context before the queue that holds the context.
    kernels: HashMap<(Operation, &'static str, LaneShape), Rc<Compiled>>,
    msm_kernels: HashMap<(&'static str, LaneShape), Rc<Compiled>>,
    /// Whether a kernel of the layout's `mont256`, or of transforms in lanes, was asked for since this was last
    /// cleared.
    mont256_used: bool,
    lanes_used: bool,
    /// By field, direction and whether they are for lanes of large elements.
    roots: HashMap<(&'static str, Direction, bool), (u32, Rc<Lease>)>,
    /// Round constants, by permutation.
    hash_constants: HashMap<&'static str, Rc<Lease>>,
    /// What callers have on the device between calls, by the number that they know it by.
    kept: HashMap<u64, Rc<dyn Any>>,
    next_kept: u64,
    memory: Memory,
    queue: Queue,
    layout: Layout,
    tunings: Tunings,
    device: Device,
    programs: Cache,
    stats: Arc<Mutex<Stats>>,
    /// Of the call that goes on, if its caller keeps a hold on it.
    pace: Option<Pace>,
    /// Tests that gave right answers.
    trusted: HashSet<(TypeId, u32)>,
    /// Applied to every source before it is compiled, so that tests can plant a bug.
    patch: Patch,
    /// When transfers beside launches began and ended.
    #[cfg(test)]
    spans: std::cell::RefCell<Vec<crate::driver::Span>>,
}

impl Engine {
    pub(crate) fn open(
        device: Device,
        layout: Layout,
        tunings: Tunings,
        programs: Cache,
        stats: Arc<Mutex<Stats>>,
        patch: Patch,
    ) -> Result<Self> {
        let queue = Queue::open(device.handle, device.local_memory_bytes)
            .map_err(|failure| explain(&device, failure, 0))?;
        Ok(Self {
            kernels: HashMap::new(),
            msm_kernels: HashMap::new(),
            mont256_used: false,
            lanes_used: false,
            roots: HashMap::new(),
            hash_constants: HashMap::new(),
            kept: HashMap::new(),
            next_kept: 0,
            memory: Memory::new(layout.limit_bytes, layout.recycled),
            queue,
            layout,
            tunings,
            device,
            programs,
            stats,
            pace: None,
            trusted: HashSet::new(),
            patch,
            #[cfg(test)]
            spans: std::cell::RefCell::default(),
        })
    }

    pub(crate) fn take_peak_bytes(&self) -> usize {
        self.memory.take_peak_bytes()
    }

    pub(crate) const fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How a kernel is laid out: as was measured, or as suits most devices.
    pub(crate) fn tuning<F: Field>(&self, operation: Operation) -> Tuning {
        let measured = self.tunings.get(operation, F::NAME).filter(|tuning| {
            !operation.in_lanes::<F>() || tuning.vector_width == 1 || self.layout.ntt_lanes
        });
        measured.unwrap_or_else(|| self.layout.tuning::<F>(operation))
    }

    /// Lays a kernel out differently from here on. `name` is that of the field or of the permutation.
    pub(crate) fn tune(&mut self, operation: Operation, name: &'static str, tuning: Tuning) {
        self.tunings.set(operation, name, tuning);
        // What was tested was laid out otherwise.
        self.trusted.clear();
    }

    /// How a multi-scalar multiplication is laid out.
    pub(crate) fn msm_tuning(&self) -> MsmTuning {
        let measured = self.tunings.msm();
        measured.unwrap_or_else(|| self.layout.msm_tuning())
    }

    /// Lays multi-scalar multiplications out differently from here on.
    pub(crate) fn tune_msm(&mut self, tuning: MsmTuning) {
        self.tunings.set_msm(tuning);
        self.trusted.clear();
    }

    /// The lanes of a kernel of a multi-scalar multiplication.
    pub(crate) fn msm_shape(&self, kernel: MsmKernel) -> LaneShape {
        kernel.shape(self.layout.mont256, self.msm_tuning().group_size)
    }

    /// The lanes of the field's elements.
    pub(crate) fn shape<F: Field>(&self, operation: Operation) -> LaneShape {
        self.tuning::<F>(operation).shape()
    }

    /// The lanes of the words that a permutation hashes.
    pub(crate) fn hash_shape<P: Poseidon2>(&self, operation: Operation) -> LaneShape {
        let measured = self.tunings.get(operation, P::NAME);
        let tuning = measured.unwrap_or_else(|| self.layout.hash_tuning::<P>());
        tuning.shape()
    }

    /// With what the permutation over BN254 computes: as the layout says, or as was measured to be faster.
    pub(crate) fn bn254_backend(&self) -> Mont256Backend {
        let measured = self.tunings.get(Operation::Poseidon2Permute, BN254_3);
        let width = measured.map_or(u32::MAX, |tuning| tuning.vector_width);
        self.layout.mont256.no_wider(width)
    }

    /// The lanes of the permutation over BN254.
    pub(crate) fn bn254_shape(&self) -> LaneShape {
        let measured = self.tunings.get(Operation::Poseidon2Permute, BN254_3);
        let tuning = measured.unwrap_or_else(|| self.layout.bn254_tuning());
        LaneShape {
            vector_width: self.bn254_backend().width(),
            group_size: tuning.group_size,
        }
    }

    /// Keeps something between calls; returns the number that it is known by.
    pub(crate) fn keep<T: 'static>(&mut self, value: T) -> u64 {
        self.next_kept += 1;
        self.kept.insert(self.next_kept, Rc::new(value));
        self.next_kept
    }

    /// What is kept under a number, if it is a `T`.
    pub(crate) fn kept<T: 'static>(&self, number: u64) -> Option<Rc<T>> {
        Rc::clone(self.kept.get(&number)?).downcast().ok()
    }

    /// Gives up what is kept under a number.
    pub(crate) fn give_up(&mut self, number: u64) {
        self.kept.remove(&number);
    }

    /// Bytes that the next operation may use.
    pub(crate) fn available_bytes(&self) -> usize {
        self.memory.available_bytes()
    }

    /// Has `test` run before what it tests is first used. `variant` tells apart what one test tests.
    pub(crate) fn trust<T>(&mut self, variant: u32, test: T) -> Result<()>
    where
        T: Fn(&mut Self) -> Result<()> + 'static,
    {
        let key = (TypeId::of::<T>(), variant);
        if self.trusted.contains(&key) {
            return Ok(());
        }
        self.test(test)?;
        self.trusted.insert(key);
        Ok(())
    }

    /// Runs known answers. Where they are wrong with the fastest backend of large fields, the next ones
    /// are tried.
    pub(crate) fn test(&mut self, run: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            self.mont256_used = false;
            self.lanes_used = false;
            match self.test_as_it_is(&run) {
                Err(
                    error @ (Error::WrongAnswer { .. }
                    | Error::BuildFailed { .. }
                    | Error::Driver { .. }),
                ) if self.next_mont256(&error) => {}
                tested => return tested,
            }
        }
    }

    /// Goes on with the next backend of large fields, if that is what failed and there is one.
    fn next_mont256(&mut self, error: &Error) -> bool {
        if self.lanes_used && self.layout.ntt_lanes {
            tracing::warn!(
                device = %self.device, %error,
                "transforms over large fields fail their test in lanes; they go on without"
            );
            self.layout.ntt_lanes = false;
            self.roots.retain(|&(_, _, in_lanes), _| !in_lanes);
            self.trusted.clear();
            return true;
        }
        let backend = self.layout.mont256;
        let next = backend.next().filter(|_| self.mont256_used);
        let Some(next) = next else { return false };
        tracing::warn!(
            device = %self.device, %error,
            "large fields fail their test in {backend}; {next} is used"
        );
        self.layout.mont256 = next;
        self.msm_kernels.clear();
        // What the failed one passed says nothing of the next.
        self.trusted.clear();
        true
    }

    /// Runs known answers with the backends that there are.
    pub(crate) fn test_as_it_is(&mut self, run: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        match self.aside(&run) {
            Err(
                error @ (Error::WrongAnswer { .. }
                | Error::BuildFailed { .. }
                | Error::Driver { .. }),
            ) if self.forget_kept() => {
                // Before the device is blamed: a file of its own making may be what is wrong.
                tracing::warn!(
                    device = %self.device, %error,
                    "kernels fail their test as they were kept; they are compiled anew in the default layout"
                );
                self.aside(&run)
            }
            tested => tested,
        }
    }

    /// An error that names the device and the check, unless it gave the right answer.
    pub(crate) fn require(&self, right: bool, check: impl FnOnce() -> String) -> Result<()> {
        match right {
            true => Ok(()),
            false => Err(Error::WrongAnswer {
                device: self.device.to_string(),
                check: check(),
            }),
        }
    }

    /// Runs what is not counted as work.
    pub(crate) fn aside<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.stats();
        let counting = self.count_launches(false);
        let result = run(self);
        self.count_launches(counting);
        self.count(|stats| {
            *stats = Stats {
                programs: stats.programs,
                ..before
            }
        });
        result
    }

    /// Drops all kernels if any of them, or a layout, came from a file, and reads no more files.
    fn forget_kept(&mut self) -> bool {
        let mut kernels = self.kernels.values().chain(self.msm_kernels.values());
        let loaded = kernels.any(|compiled| compiled.origin == Origin::Cache);
        let kept = self.tunings.forget() || loaded;
        if kept {
            self.kernels.clear();
            self.msm_kernels.clear();
            self.trusted.clear();
            self.programs.distrust();
        }
        kept
    }

    /// Adds the result of a launch to the counters. The next one is not to follow if the caller wants no
    /// more of them.
    pub(crate) fn launched(
        &mut self,
        compiled: &Compiled,
        bytes: u64,
        result: std::result::Result<(), Failure>,
    ) -> Result<()> {
        result.map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.launched(&compiled.name, bytes));
        self.keep_pace(bytes)
    }

    /// Waits until all that was launched is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.queue
            .wait()
            .map_err(|failure| explain(&self.device, failure, 0))
    }

    /// What was counted so far.
    pub(crate) fn stats(&self) -> Stats {
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, update: impl FnOnce(&mut Stats)) {
        update(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The driver's failure in this crate's words.
fn explain(device: &Device, failure: Failure, needed_bytes: u64) -> Error {
    let device_name = device.to_string();
    match failure {
        Failure::OutOfMemory => Error::OutOfDeviceMemory {
            device: device_name,
            needed_bytes,
            available_bytes: 0,
        },
        Failure::Build(log) => Error::BuildFailed {
            device: device_name,
            program: String::new(),
            log,
        },
        Failure::Status { operation, status } => Error::Driver {
            device: device_name,
            operation,
            status,
        },
    }
}
