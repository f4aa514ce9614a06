//! A device that is open for work.
//!
//! One thread owns the queue and everything in it; the handle sends it work and waits. Drivers differ
//! in what they allow from several threads, and so none of it is asked of them; a [`Session`] can be
//! shared by all threads of a prover, whose calls are served in turn.

mod fate;
mod owner;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use fate::Fate;
use owner::Owner;

use crate::control::Control;
use crate::device::Device;
use crate::driver::launch::LaneShape;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::BabyBear;
use crate::field::mont256_backend::Mont256Backend;
use crate::layout::Layout;
use crate::program::cache::Cache;
use crate::self_test;
use crate::stats::Stats;
use crate::storage::Storage;
use crate::tune::file::TuningFile;

/// Calls that may wait for the device before a caller waits to be heard.
const WAITING_CALLS: usize = 64;

/// How to open a session; `Default` suits every device.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Device memory to use at most, in bytes; by default seven eighths of it.
    pub memory_limit_bytes: Option<u64>,
    /// The largest single allocation, in bytes; by default what the driver allows.
    pub max_allocation_bytes: Option<u64>,
    /// Lay kernels out as for a GPU even where the device is a CPU. For tests without a GPU.
    pub gpu_layout: bool,
    /// Compute in large fields as a processor with AVX-512 IFMA does, and have its two instructions
    /// emulated. For tests without one.
    pub emulate_ifma: bool,
    /// Lend no buffer a second time. For simulators, which may take what one before it held for its own.
    pub fresh_memory: bool,
    /// Where compiled programs and tunings are kept.
    pub storage: Storage,
}

/// What is done to a kernel's source before it is compiled: nothing, unless a test plants a bug.
pub(crate) type Patch = fn(&str) -> String;

type Job = Box<dyn FnOnce(&mut Engine) + Send>;

/// A device that passed its self-test, with its programs, tables and memory.
///
/// BabyBear's transforms are tested when it opens, all else before its first use.
pub struct Session {
    shared: Arc<Shared>,
    control: Option<Control>,
}

/// What all handles of a session have in common. The last one to go ends the thread.
struct Shared {
    device: Device,
    tuning_file: Option<TuningFile>,
    stats: Arc<Mutex<Stats>>,
    fate: Fate,
    jobs: Option<SyncSender<Job>>,
    owner: Option<JoinHandle<()>>,
}

impl Session {
    /// Opens `device`, compiles the kernels and checks them against known answers.
    ///
    /// # Errors
    /// [`Error::BuildFailed`], [`Error::WrongAnswer`], [`Error::OutOfDeviceMemory`], and what the
    /// driver reports.
    pub fn open(device: &Device) -> Result<Self> {
        Self::open_with(device, SessionOptions::default())
    }

    /// [`Session::open`] with other options.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_with(device: &Device, options: SessionOptions) -> Result<Self> {
        Self::open_patched(device, options, str::to_owned)
    }

    /// Opens with every kernel source run through `patch`, so that tests can plant a bug.
    pub(crate) fn open_patched(
        device: &Device,
        options: SessionOptions,
        patch: Patch,
    ) -> Result<Self> {
        let session = Self::open_untested(device, options, patch)?;
        session.run(|engine| engine.trust(0, self_test::ntt::<BabyBear>))?;
        Ok(session)
    }

    /// Opens without a test, to find out what a device answers.
    pub(crate) fn open_untested(
        device: &Device,
        options: SessionOptions,
        patch: Patch,
    ) -> Result<Self> {
        let mut layout = Layout::for_device(device, options.memory_limit_bytes);
        if let Some(most) = options.max_allocation_bytes {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            layout.max_allocation_bytes = layout.max_allocation_bytes.min(most);
        }
        layout.recycled = !options.fresh_memory;
        if options.gpu_layout {
            layout.shape = LaneShape::gpu(device.max_group_size);
            layout.mont256 = Mont256Backend::Scalar;
            layout.in_place = false;
        } else if options.emulate_ifma && layout.in_place {
            layout.mont256 = Mont256Backend::Ifma { emulated: true };
        }
        // What was measured in the device's own layout says nothing of another.
        let file = TuningFile::new(&options.storage, device)
            .filter(|_| !options.gpu_layout && !options.emulate_ifma);
        let tunings = file.as_ref().map(TuningFile::load).unwrap_or_default();
        let stats = Arc::new(Mutex::new(Stats::default()));
        let fate = Fate::new(device);
        let (jobs, queue) = mpsc::sync_channel(WAITING_CALLS);
        let (opened, opening) = mpsc::sync_channel(1);
        let thread = Owner {
            device: device.clone(),
            layout,
            tunings,
            programs: Cache::new(&options.storage, device),
            patch,
            stats: Arc::clone(&stats),
            fate: fate.clone(),
        };
        let owner = thread::Builder::new()
            .name("opencl".to_owned())
            .spawn(move || thread.run(&opened, &queue))
            .map_err(|error| Error::SessionLost {
                device: device.to_string(),
                reason: format!("its thread could not be started: {error}"),
            })?;
        let shared = Shared {
            device: device.clone(),
            tuning_file: file,
            stats,
            fate,
            jobs: Some(jobs),
            owner: Some(owner),
        };
        opening.recv().map_err(|_| shared.fate.error())??;
        tracing::info!(%device, ?layout, "opencl session open");
        Ok(Self {
            shared: Arc::new(shared),
            control: None,
        })
    }

    /// The same session, whose calls `control` ends and follows.
    ///
    /// A call that is cancelled gives [`Error::Cancelled`] before the next launch, once what was launched
    /// before is nearly over; its memory is free then, and the session as good as before.
    #[must_use]
    pub fn controlled(&self, control: &Control) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            control: Some(control.clone()),
        }
    }

    /// The device that the session is open on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    pub(crate) fn tuning_file(&self) -> Option<&TuningFile> {
        self.shared.tuning_file.as_ref()
    }

    /// What ran on the device so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The most device memory that was in use at once since this was last asked, in bytes, tables that
    /// stay among it. Buffers that lie idle for the next call are not counted, nor is what the driver
    /// itself takes.
    ///
    /// # Errors
    /// [`Error::SessionLost`].
    pub fn take_peak_bytes(&self) -> Result<u64> {
        self.run(|engine| Ok(engine.take_peak_bytes() as u64))
    }

    /// The same session, whose calls nobody ends.
    pub(crate) fn uncontrolled(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            control: None,
        }
    }

    /// Runs `work` on the owner's thread and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (done, result) = mpsc::sync_channel(1);
        let Shared { fate, jobs, .. } = &*self.shared;
        let (watching, control) = (fate.clone(), self.control.clone());
        let job: Job = Box::new(move |engine| {
            // The caller waits, so there is someone to take the result.
            let _ = done.send(watching.watch(|| engine.controlled(control, work)));
        });
        let jobs = jobs.as_ref().expect("invariant: taken in drop only");
        jobs.send(job).map_err(|_| fate.error())?;
        result.recv().map_err(|_| fate.error())?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(owner) = self.owner.take() {
            // Its panics are caught where they happen.
            let _ = owner.join();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("device", &self.device().id)
            .finish_non_exhaustive()
    }
}
