//! A device that is open for work.
//!
//! One thread owns the queue and everything in it; the handle sends it work and waits. Drivers differ
//! in what they allow from several threads, and so none of it is asked of them; a [`Session`] can be
//! shared by all threads of a prover, whose calls are served in turn.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::device::Device;
use crate::driver::launch::LaneShape;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::BabyBear;
use crate::layout::Layout;
use crate::program::cache::Cache;
use crate::self_test;
use crate::stats::Stats;
use crate::storage::Storage;
use crate::tune::Tunings;
use crate::tune::file::TuningFile;

/// Calls that may wait for the device before a caller waits to be heard.
const WAITING_CALLS: usize = 64;

/// How to open a session; `Default` suits every device.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Device memory to use at most, in bytes; by default seven eighths of it.
    pub memory_limit_bytes: Option<u64>,
    /// Lay kernels out as for a GPU even where the device is a CPU. For tests without a GPU.
    pub gpu_layout: bool,
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
        if options.gpu_layout {
            layout.shape = LaneShape::gpu(device.max_group_size);
            layout.in_place = false;
        }
        // What was measured in the device's own layout says nothing of another.
        let file = TuningFile::new(&options.storage, device).filter(|_| !options.gpu_layout);
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
        let session = Self {
            device: device.clone(),
            tuning_file: file,
            stats,
            fate,
            jobs: Some(jobs),
            owner: Some(owner),
        };
        opening.recv().map_err(|_| session.fate.error())??;
        tracing::info!(%device, ?layout, "opencl session open");
        Ok(session)
    }

    /// The device that the session is open on.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) const fn tuning_file(&self) -> Option<&TuningFile> {
        self.tuning_file.as_ref()
    }

    /// What ran on the device so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
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

    /// Runs `work` on the owner's thread and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (done, result) = mpsc::sync_channel(1);
        let fate = self.fate.clone();
        let job: Job = Box::new(move |engine| {
            // The caller waits, so there is someone to take the result.
            let _ = done.send(fate.watch(|| work(engine)));
        });
        let jobs = self.jobs.as_ref().expect("invariant: taken in drop only");
        jobs.send(job).map_err(|_| self.fate.error())?;
        result.recv().map_err(|_| self.fate.error())?
    }
}

impl Drop for Session {
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
            .field("device", &self.device.id)
            .finish_non_exhaustive()
    }
}

/// What the owner's thread starts with.
struct Owner {
    device: Device,
    layout: Layout,
    tunings: Tunings,
    programs: Cache,
    patch: Patch,
    stats: Arc<Mutex<Stats>>,
    fate: Fate,
}

impl Owner {
    /// Opens the device, then serves calls until the handle is dropped or the session is lost.
    fn run(self, opened: &SyncSender<Result<()>>, jobs: &Receiver<Job>) {
        let fate = self.fate.clone();
        let mut engine = match fate.watch(|| self.open()) {
            Ok(engine) => engine,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        let _ = opened.send(Ok(()));
        for job in jobs {
            job(&mut engine);
            if fate.is_sealed() {
                return;
            }
        }
    }

    fn open(self) -> Result<Engine> {
        let Self {
            device,
            layout,
            tunings,
            programs,
            patch,
            stats,
            fate: _,
        } = self;
        Engine::open(device, layout, tunings, programs, stats, patch)
    }
}

/// Whether the session goes on, as the owner and its callers share it.
///
/// A panic, which `ocl` raises on statuses that it does not know, ends the session: the state of a
/// driver that went so wrong is nothing to compute on.
#[derive(Clone)]
struct Fate {
    device: String,
    end: Arc<Mutex<Option<String>>>,
}

impl Fate {
    fn new(device: &Device) -> Self {
        Self {
            device: device.to_string(),
            end: Arc::default(),
        }
    }

    fn is_sealed(&self) -> bool {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// The error that everyone gets from now on.
    fn error(&self) -> Error {
        let reason = self
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Error::SessionLost {
            device: self.device.clone(),
            reason: reason.unwrap_or_else(|| "its thread has ended".to_owned()),
        }
    }

    /// Runs `work`; a panic seals the session and becomes its error.
    fn watch<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it panicked");
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
            Err(self.error())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{BabyBear4, Elements};
    use crate::fold::Fold;

    fn device() -> Option<Device> {
        match Device::discover() {
            Ok(devices) => devices.into_iter().next(),
            Err(error) => {
                println!("SKIP: {error}");
                None
            }
        }
    }

    fn open_patched(patch: Patch) -> Option<Result<Session>> {
        let options = SessionOptions {
            storage: Storage::None,
            ..SessionOptions::default()
        };
        Some(Session::open_patched(&device()?, options, patch))
    }

    /// Each bug stands for a class: steps of a transform, arithmetic, order of rows, roots, cosets.
    #[test]
    fn a_device_that_computes_wrongly_does_not_open() {
        let bugs: [(&str, Patch); 6] = [
            ("a butterfly", |s| {
                s.replace("x[1] = f_sub(sum, b)", "x[1] = f_add(sum, b)")
            }),
            ("a modulus", |s| {
                s.replace("#define MU 0x88000001u", "#define MU 0x88000003u")
            }),
            ("the order of rows", |s| {
                s.replace("reverse_bits(row, reverse_log_n)", "row")
            }),
            ("the order of rows in a tile", |s| {
                s.replace("reverse_bits(row, at->log_k)", "row")
            }),
            ("a node", |s| {
                s.replace("(block << done) << (levels - 1)", "block << done")
            }),
            ("a coset", |s| {
                s.replace("shift[done + levels - 1]", "shift[0]")
            }),
        ];
        for (bug, patch) in bugs {
            let Some(opened) = open_patched(patch) else {
                return;
            };
            assert!(
                matches!(opened, Err(Error::WrongAnswer { .. })),
                "{bug}: {opened:?}"
            );
        }
    }

    /// A session for transforms opens all the same: nothing of the hash was compiled for it.
    #[test]
    fn a_device_that_hashes_wrongly_builds_no_tree() {
        let bugs: [(&str, Patch); 6] = [
            ("a round constant", |s| {
                s.replace("constants + 4 * WIDTH)", "constants + 4 * WIDTH + 1)")
            }),
            ("a matrix", |s| {
                s.replace("_add(left, x01)", "_add(left, x23)")
            }),
            ("a diagonal", |s| {
                s.replace("f_shrink(s[9], 8)", "f_shrink(s[9], 7)")
            }),
            ("a block", |s| s.replace("at += take;", "at += RATE;")),
            ("a child", |s| {
                s.replace("from + 2 * (ulong)node", "from + (ulong)node")
            }),
            ("an injected row", |s| {
                s.replace("pass <= inject", "pass < 1")
            }),
        ];
        for (bug, patch) in bugs {
            let Some(opened) = open_patched(patch) else {
                return;
            };
            let session = opened.expect("the device opens");
            let leaf = crate::LeafMatrix {
                values: vec![p3_baby_bear::BabyBear::default()].into(),
                columns: 1,
            };
            let built = crate::MerkleBabyBear::new(&session).build(vec![leaf]);
            assert!(
                matches!(built, Err(Error::WrongAnswer { .. })),
                "{bug}: {built:?}"
            );
        }
    }

    /// The kernels of a multiplication are tested before its first use, so the session opens.
    #[test]
    fn a_device_that_multiplies_wrongly_is_not_believed() {
        let bugs: [(&str, Patch); 9] = [
            ("a window without its carry", |s| {
                s.replace(")) + carry;", "));")
            }),
            ("infinity among the bases", |s| {
                s.replace("scalar = f_zero();", "{}")
            }),
            ("stored scalars", |s| {
                s.replace("scalar = f_number(scalar)", "{}")
            }),
            ("a sign", |s| s.replace("i | (digit & 0x80000000u)", "i")),
            ("a bucket", |s| {
                s.replace("keys[at] = bucket;", "keys[at] = bucket ^ 1;")
            }),
            ("equal points", |s| {
                s.replace("same_x & same_y &", "~same_x & same_y &")
                    .replace("(f_is_zero(r))", "(!f_is_zero(r))")
            }),
            ("a head", |s| {
                s.replace("if (has_head) head_keys", "if (false) head_keys")
                    .replace("head_keys[run] = key;", "")
            }),
            ("a segment's place", |s| {
                s.replace("point_double(&before);", "")
            }),
            ("a modulus", |s| {
                s.replace(
                    "#define P3 0x30644e72e131a029ul",
                    "#define P3 0x30644e72e131a02aul",
                )
            }),
        ];
        let base = crate::INFINITY;
        for (bug, patch) in bugs {
            for gpu_layout in [false, true] {
                let Some(device) = Device::discover()
                    .ok()
                    .and_then(|all| all.into_iter().next())
                else {
                    println!("SKIP: no device");
                    return;
                };
                let options = SessionOptions {
                    gpu_layout,
                    ..SessionOptions::default()
                };
                let session = Session::open_patched(&device, options, patch).expect("it opens");
                let result = crate::MsmBn254::new(&session).msm(
                    vec![base].into(),
                    vec![[1, 0, 0, 0]],
                    crate::ScalarForm::Canonical,
                );
                assert!(
                    matches!(result, Err(Error::WrongAnswer { .. })),
                    "{bug}, gpu layout {gpu_layout}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_used_later_is_tested_before() {
        let Some(opened) =
            open_patched(|s| s.replace("inverse_roots + row * pairs", "inverse_roots + row"))
        else {
            return;
        };
        let session = opened.expect("folding is not tested when it opens");
        let fold = |log_arity| {
            let values = Elements::new(vec![1; 16]).expect("small numbers");
            let beta = Elements::new(vec![1; 4]).expect("small numbers");
            Fold::<BabyBear4>::new(&session).fold(values, log_arity, &beta)
        };
        for _ in 0..2 {
            let refused = fold(2);
            assert!(
                matches!(refused, Err(Error::WrongAnswer { .. })),
                "{refused:?}"
            );
        }
        fold(1).expect("an arity without the bug");
    }

    #[test]
    fn a_source_that_does_not_compile_shows_the_compilers_log() {
        let Some(opened) = open_patched(|s| s.replace("barrier(", "no_such_function(")) else {
            return;
        };
        match opened {
            Err(Error::BuildFailed { program, log, .. }) => {
                assert_eq!(program, "ntt_pass_babybear");
                assert!(log.contains("no_such_function"), "{log}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_call_held_of_the_memory_is_told_once() {
        let Some(opened) = open_patched(str::to_owned) else {
            return;
        };
        let session = opened.expect("the device opens");
        let bytes = 4 << 12;
        let transform = |rows: usize| {
            let words = Elements::new(vec![1; rows]).expect("ones");
            crate::NttBabyBear::new(&session)
                .dft_batch(words, 1)
                .unwrap();
            let held = session.take_peak_bytes().unwrap();
            let kept = session.take_peak_bytes().unwrap();
            assert!(kept + 4 * rows as u64 <= held, "only tables stay: {kept}");
            held
        };
        let small = transform(1 << 12);
        // Twice the words, where a smaller buffer may have been reused.
        assert!((bytes..=16 * bytes).contains(&small), "{small}");
        let large = transform(1 << 16);
        assert!((16 * bytes..=256 * bytes).contains(&large), "{large}");
    }

    #[test]
    fn a_panic_of_the_driver_ends_the_session_and_is_told_to_everyone() {
        let Some(opened) = open_patched(str::to_owned) else {
            return;
        };
        let session = opened.expect("the device opens");
        for _ in 0..2 {
            let result = session.run::<()>(|_| panic!("unknown status -9999"));
            match result {
                Err(Error::SessionLost { reason, .. }) => {
                    assert_eq!(reason, "unknown status -9999");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
