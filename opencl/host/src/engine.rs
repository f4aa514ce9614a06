//! What the thread that owns a device has at hand: its queue, kernels, memory and tables.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::device::Device;
use crate::driver::launch::LaneShape;
use crate::driver::{Failure, Kernel, Queue, Word};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::hash::Poseidon2;
use crate::hash::bn254::{self, NAME as BN254_3};
use crate::layout::Layout;
use crate::memory::{Charge, Lease, Memory, Refusal};
use crate::msm::MsmKernel;
use crate::ntt::LANES_UNIT;
use crate::operand::Operand;
use crate::program::cache::{Cache, Origin};
use crate::program::{Operation, bn254_program, hash_program, program};
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
    /// Tests that gave right answers.
    trusted: HashSet<(TypeId, u32)>,
    /// Applied to every source before it is compiled, so that tests can plant a bug.
    patch: Patch,
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
            roots: HashMap::new(),
            hash_constants: HashMap::new(),
            kept: HashMap::new(),
            next_kept: 0,
            memory: Memory::new(layout.limit_bytes),
            queue,
            layout,
            tunings,
            device,
            programs,
            stats,
            trusted: HashSet::new(),
            patch,
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
        let measured = self.tunings.get(operation, F::NAME);
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
        kernel.shape(LaneShape {
            group_size: self.msm_tuning().group_size,
            ..self.layout.shape
        })
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

    /// The lanes of the permutation over BN254.
    pub(crate) fn bn254_shape(&self) -> LaneShape {
        let measured = self.tunings.get(Operation::Poseidon2Permute, BN254_3);
        let tuning = measured.unwrap_or_else(|| self.layout.bn254_tuning());
        tuning.shape()
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

    /// Runs known answers.
    pub(crate) fn test(&mut self, run: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
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
        let result = run(self);
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

    /// The kernel, made ready at its first use.
    pub(crate) fn kernel<F: Field>(&mut self, operation: Operation) -> Result<Rc<Compiled>> {
        let shape = self.shape::<F>(operation);
        self.compiled((operation, F::NAME), shape, || {
            program::<F>(operation, shape.vector_width > 1)
        })
    }

    /// The kernel of a permutation, compiled at its first use.
    pub(crate) fn hash_kernel<P: Poseidon2>(
        &mut self,
        operation: Operation,
    ) -> Result<Rc<Compiled>> {
        let shape = self.hash_shape::<P>(operation);
        let source = || hash_program::<P>(operation);
        self.compiled((operation, P::NAME), shape, source)
    }

    /// The kernel of the permutation over BN254, compiled at its first use.
    pub(crate) fn bn254_kernel(&mut self) -> Result<Rc<Compiled>> {
        let shape = self.bn254_shape();
        let source = || bn254_program(shape.vector_width > 1);
        self.compiled((Operation::Poseidon2Permute, BN254_3), shape, source)
    }

    fn compiled(
        &mut self,
        key: (Operation, &'static str),
        shape: LaneShape,
        program: impl FnOnce() -> (String, String),
    ) -> Result<Rc<Compiled>> {
        let key = (key.0, key.1, shape);
        if let Some(compiled) = self.kernels.get(&key) {
            return Ok(Rc::clone(compiled));
        }
        let (name, source) = program();
        let compiled = self.compile(name, &source, shape)?;
        self.kernels.insert(key, Rc::clone(&compiled));
        Ok(compiled)
    }

    /// A kernel of a multi-scalar multiplication, compiled at its first use.
    pub(crate) fn msm_kernel(&mut self, kernel: MsmKernel) -> Result<Rc<Compiled>> {
        let (name, shape) = (kernel.name(), self.msm_shape(kernel));
        if let Some(compiled) = self.msm_kernels.get(&(name, shape)) {
            return Ok(Rc::clone(compiled));
        }
        let compiled = self.compile(name.to_owned(), &kernel.source(), shape)?;
        self.msm_kernels.insert((name, shape), Rc::clone(&compiled));
        Ok(compiled)
    }

    fn compile(&self, name: String, source: &str, shape: LaneShape) -> Result<Rc<Compiled>> {
        let source = (self.patch)(source);
        let options = shape.build_options();
        let made = self.programs.kernel(&self.queue, &source, &options, &name);
        let (kernel, origin) = made.map_err(|failure| match failure {
            Failure::Build(log) => Error::BuildFailed {
                device: self.device.to_string(),
                program: name.clone(),
                log,
            },
            other => explain(&self.device, other, 0),
        })?;
        self.count(|stats| match origin {
            Origin::Source => stats.programs.compiled += 1,
            Origin::Cache => stats.programs.loaded += 1,
        });
        Ok(Rc::new(Compiled {
            name,
            kernel,
            origin,
        }))
    }

    /// Adds the result of a launch to the counters.
    pub(crate) fn launched(
        &self,
        compiled: &Compiled,
        bytes: u64,
        result: std::result::Result<(), Failure>,
    ) -> Result<()> {
        result.map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.launched(&compiled.name, bytes));
        Ok(())
    }

    /// Memory for `words` words of `W`, contents undefined.
    pub(crate) fn lease<W: Word>(&self, words: usize) -> Result<Lease> {
        let bytes = words * size_of::<W>();
        self.within_limits(bytes, || self.memory.lease(&self.queue, bytes))
    }

    /// What `reserve` gives, if the device allows an allocation of `bytes` at all.
    fn within_limits<R>(
        &self,
        bytes: usize,
        reserve: impl FnOnce() -> std::result::Result<R, Refusal>,
    ) -> Result<R> {
        let too_large = |available: usize| Error::OutOfDeviceMemory {
            device: self.device.to_string(),
            needed_bytes: bytes as u64,
            available_bytes: available as u64,
        };
        if bytes > self.layout.max_allocation_bytes {
            return Err(too_large(self.layout.max_allocation_bytes));
        }
        reserve().map_err(|refusal| match refusal {
            Refusal::Limit { available_bytes } => too_large(available_bytes),
            Refusal::Driver(failure) => explain(&self.device, failure, bytes as u64),
        })
    }

    /// A copy of `words` on the device.
    pub(crate) fn upload<W: Word>(&self, words: &[W]) -> Result<Lease> {
        let buffer = self.lease::<W>(words.len())?;
        self.queue
            .write(&buffer, words)
            .map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.uploaded_bytes += size_of_val(words) as u64);
        Ok(buffer)
    }

    /// Fills `out` from the start of a buffer, when all that was launched is done.
    pub(crate) fn download<W: Word>(&self, buffer: &Lease, out: &mut [W]) -> Result<()> {
        self.queue
            .read(buffer, out)
            .map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.downloaded_bytes += size_of_val(out) as u64);
        Ok(())
    }

    /// Brings `words` to the device.
    pub(crate) fn bring<W: Word>(&self, words: Vec<W>) -> Result<Operand<W>> {
        if self.layout.in_place {
            return self.adopt(words);
        }
        Ok(Operand::Copied {
            lease: self.upload(&words)?,
            host: words,
        })
    }

    /// Room on the device for `words` words, contents undefined. `host` is memory of the host that
    /// may take the result.
    pub(crate) fn make<F: Field>(
        &self,
        words: usize,
        host: Vec<F::Word>,
    ) -> Result<Operand<F::Word>> {
        if self.layout.in_place {
            let bytes = words * size_of::<F::Word>();
            let charge = self.within_limits(bytes, || self.memory.charge(bytes))?;
            // Zeros that nobody wrote cost nothing until they are written over.
            return self.adopt_charged(vec![F::ZERO; words], charge);
        }
        Ok(Operand::Copied {
            lease: self.lease::<F::Word>(words)?,
            host,
        })
    }

    /// The first `words` words of an operand, when all that was launched is done.
    pub(crate) fn take<F: Field>(
        &self,
        operand: Operand<F::Word>,
        words: usize,
    ) -> Result<Vec<F::Word>> {
        match operand {
            Operand::Copied { lease, mut host } => {
                host.resize(words, F::ZERO);
                self.queue
                    .read(&lease, &mut host)
                    .map_err(|failure| explain(&self.device, failure, 0))?;
                self.count(|stats| stats.downloaded_bytes += size_of_val(host.as_slice()) as u64);
                Ok(host)
            }
            Operand::InPlace { adopted, .. } => {
                let mut host = self
                    .queue
                    .release(adopted)
                    .map_err(|failure| explain(&self.device, failure, 0))?;
                host.truncate(words);
                Ok(host)
            }
        }
    }

    fn adopt<W: Word>(&self, words: Vec<W>) -> Result<Operand<W>> {
        let bytes = size_of_val(words.as_slice());
        let charge = self.within_limits(bytes, || self.memory.charge(bytes))?;
        self.adopt_charged(words, charge)
    }

    fn adopt_charged<W: Word>(&self, words: Vec<W>, charge: Charge) -> Result<Operand<W>> {
        let bytes = size_of_val(words.as_slice());
        let adopted = self
            .queue
            .adopt(words)
            .map_err(|failure| explain(&self.device, failure, bytes as u64))?;
        Ok(Operand::InPlace {
            adopted,
            _charge: charge,
        })
    }

    /// The table `roots[k] = w^(+-bitrev(k))` with at least `2^log_length` entries.
    pub(crate) fn roots<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
    ) -> Result<Rc<Lease>> {
        self.roots_times::<F>(direction, log_length, F::ONE)
    }

    /// [`Engine::roots`] as the lanes of large elements take them.
    pub(crate) fn lane_roots<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
    ) -> Result<Rc<Lease>> {
        self.roots_times::<F>(direction, log_length, F::from_u64(LANES_UNIT))
    }

    fn roots_times<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
        unit: F::Word,
    ) -> Result<Rc<Lease>> {
        let key = (F::NAME, direction, unit != F::ONE);
        if let Some((length, table)) = self.roots.get(&key)
            && *length >= log_length
        {
            return Ok(Rc::clone(table));
        }
        // The old table would only stand in the way of the new one.
        self.roots.remove(&key);
        let table = Rc::new(self.upload(&bit_reversed_roots::<F>(direction, log_length, unit))?);
        self.roots.insert(key, (log_length, Rc::clone(&table)));
        Ok(table)
    }

    /// The round constants of a permutation, as its kernels take them.
    pub(crate) fn hash_constants<P: Poseidon2>(&mut self) -> Result<Rc<Lease>> {
        self.constants(P::NAME, || {
            let constants = P::constants().into_iter();
            constants.map(P::kernel_constant).collect()
        })
    }

    /// The round constants of the permutation over BN254, as its kernel takes them.
    pub(crate) fn bn254_constants(&mut self) -> Result<Rc<Lease>> {
        let in_vectors = self.bn254_shape().vector_width > 1;
        let name = if in_vectors {
            "bn254_3 in limbs"
        } else {
            BN254_3
        };
        self.constants(name, || bn254::kernel_constants(in_vectors))
    }

    fn constants<W: Word>(
        &mut self,
        name: &'static str,
        constants: impl FnOnce() -> Vec<W>,
    ) -> Result<Rc<Lease>> {
        if let Some(table) = self.hash_constants.get(name) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(self.upload(&constants())?);
        self.hash_constants.insert(name, Rc::clone(&table));
        Ok(table)
    }

    /// Enqueues a copy of the first `bytes` of a buffer.
    pub(crate) fn copy(&self, from: &Lease, to: &Lease, bytes: usize) -> Result<()> {
        self.queue
            .copy(from, to, bytes)
            .map_err(|failure| explain(&self.device, failure, 0))
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

/// Entry `k` is `unit` times the root by which block `k` splits at every level that has such a block.
fn bit_reversed_roots<F: Field>(
    direction: Direction,
    log_length: u32,
    unit: F::Word,
) -> Vec<F::Word> {
    let mut table = Vec::with_capacity(1 << log_length);
    table.push(unit);
    for level in 0..log_length {
        // bitrev over one more bit puts the new lowest bit first: half the angle of the last level.
        let root = F::root(level + 2);
        let turn = match direction {
            Direction::Forward => root,
            Direction::Inverse => F::inverse(root).expect("invariant: a root is not zero"),
        };
        for k in 0..table.len() {
            table.push(F::mul(table[k], turn));
        }
    }
    table
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::BabyBear;
    use crate::reference::reverse_bits;

    #[test]
    fn one_table_of_roots_serves_every_size() {
        for direction in [Direction::Forward, Direction::Inverse] {
            let table = bit_reversed_roots::<BabyBear>(direction, 6, BabyBear::ONE);
            assert_eq!(table.len(), 64);
            for log_n in 1..=7 {
                let mut root = BabyBear::root(log_n);
                if direction == Direction::Inverse {
                    root = BabyBear::inverse(root).expect("not zero");
                }
                for (k, &entry) in table.iter().enumerate().take(1 << (log_n - 1)) {
                    let exponent = reverse_bits(k, log_n - 1) as u64;
                    assert_eq!(
                        entry,
                        BabyBear::pow(root, exponent),
                        "log_n {log_n}, block {k}"
                    );
                }
            }
        }
    }
}
