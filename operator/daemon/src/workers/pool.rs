//! All worker processes of a machine, behind one door.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use froben_model::{DeviceSpec, ErrorClass, Kind};
use froben_protocol::Failure;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::blobs::BlobAccess;
use super::fences::{FenceWatch, Fences};
use super::job::{Job, RunTask, Running};
use super::probe::ProbeReport;
use super::runtime_dir::RuntimeDir;
use super::slot::{Place, Slot, SlotHandle};
use super::spec::{Timing, WorkerSpec};

/// A program and what its probe said.
#[derive(Debug, Clone)]
pub struct Program {
    pub spec: WorkerSpec,
    pub report: ProbeReport,
}

/// Why the pool does not take a task. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no worker here takes `{kind}`{role}")]
    UnknownKind { kind: Kind, role: &'static str },
    #[error("no worker for `{kind}` has the device {device}")]
    UnknownDevice { kind: Kind, device: String },
    #[error("the device {device} is fenced: its worker {why}")]
    DeviceFenced { device: String, why: String },
    #[error("the device {device} has a task already")]
    DeviceBusy { device: String },
    #[error("all {workers} CPU workers have tasks already")]
    CpuBusy { workers: usize },
    #[error("this daemon is shutting down")]
    Stopping,
}

/// Worker processes: one per program and device from the start, CPU processes as tasks come.
///
/// Dropping it kills them all; [`Pool::shutdown`] is the gentle way.
pub struct Pool {
    programs: Vec<Arc<Member>>,
    slots: Mutex<Slots>,
    /// Cancels every task.
    stop: CancellationToken,
    fences: Fences,
    runtime: Arc<RuntimeDir>,
    timing: Timing,
    cpu_workers: usize,
}

struct Member {
    spec: Arc<WorkerSpec>,
    report: Arc<ProbeReport>,
}

struct Slots {
    /// For each program, in its order: its places.
    places: Vec<Vec<(Place, SlotHandle)>>,
    keepers: JoinSet<()>,
}

impl Pool {
    /// Starts the processes that are always there; does not wait for them. To be called inside a
    /// Tokio runtime.
    ///
    /// `cpu_workers`: CPU tasks that may run at a time, for each program; the machine's cores, since
    /// a task claims at least one.
    pub fn open(
        programs: Vec<Program>,
        runtime: RuntimeDir,
        timing: Timing,
        cpu_workers: usize,
    ) -> Pool {
        let programs: Vec<Arc<Member>> = programs
            .into_iter()
            .map(|Program { spec, report }| {
                Arc::new(Member {
                    spec: Arc::new(spec),
                    report: Arc::new(report),
                })
            })
            .collect();
        let pool = Pool {
            slots: Mutex::new(Slots {
                places: programs.iter().map(|_| Vec::new()).collect(),
                keepers: JoinSet::new(),
            }),
            programs,
            stop: CancellationToken::new(),
            fences: Fences::new(),
            runtime: Arc::new(runtime),
            timing,
            cpu_workers: cpu_workers.max(1),
        };
        let mut slots = pool.slots();
        for (which, member) in pool.programs.iter().enumerate() {
            let report = &member.report;
            if !report.cpu_kinds.is_empty() {
                pool.add(&mut slots, which, Place::Cpu);
            }
            for device in &report.devices {
                pool.add(&mut slots, which, Place::Device(device.id.clone()));
            }
        }
        drop(slots);
        pool
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a place; returns its number among those of its program.
    fn add(&self, slots: &mut Slots, which: usize, place: Place) -> usize {
        let member = &self.programs[which];
        let (handle, jobs) = Slot::handle();
        let slot = Slot {
            place: place.clone(),
            spec: member.spec.clone(),
            promised: member.report.clone(),
            runtime: self.runtime.clone(),
            timing: self.timing,
            fences: self.fences.clone(),
        };
        slots.keepers.spawn(slot.keep(jobs));
        slots.places[which].push((place, handle));
        slots.places[which].len() - 1
    }

    /// Kinds that CPU workers take.
    pub fn cpu_kinds(&self) -> Vec<Kind> {
        self.collect(|report| &report.cpu_kinds, |kind| kind.as_str())
    }

    /// Kinds that device workers take; none where every device is fenced.
    pub fn device_kinds(&self) -> Vec<Kind> {
        if self.devices().is_empty() {
            return Vec::new();
        }
        self.collect(|report| &report.device_kinds, |kind| kind.as_str())
    }

    /// The devices that take tasks.
    pub fn devices(&self) -> Vec<DeviceSpec> {
        let mut devices = self.collect(|report| &report.devices, |device| &device.id);
        devices.retain(|device| self.fences.why(&device.id).is_none());
        devices
    }

    /// Tells of devices that are fenced from here on.
    pub fn watch_fences(&self) -> FenceWatch {
        self.fences.watch()
    }

    /// What all programs report, each thing once.
    fn collect<T: Clone>(
        &self,
        of: impl Fn(&ProbeReport) -> &Vec<T>,
        name: impl Fn(&T) -> &str,
    ) -> Vec<T> {
        let mut all: Vec<T> = Vec::new();
        for thing in self.programs.iter().flat_map(|member| of(&member.report)) {
            if !all.iter().any(|known| name(known) == name(thing)) {
                all.push(thing.clone());
            }
        }
        all
    }

    /// Gives a task to a free worker, at once.
    ///
    /// A task whose worker is still being started, or is ending the one before, waits for it within its
    /// own timeout.
    pub fn start(&self, task: RunTask, blobs: Arc<dyn BlobAccess>) -> Result<Running, Refusal> {
        let mut slots = self.slots();
        if self.stop.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let (which, place) = match &task.device {
            Some(device) => self.find_device(&slots, &task.kind, device)?,
            None => self.find_cpu(&mut slots, &task.kind)?,
        };
        let (_, handle) = &slots.places[which][place];
        let (job, running) = Job::new(task, blobs, self.stop.child_token(), handle.load.clone());
        if let Err(refused) = handle.jobs.try_send(job) {
            // Only if the slot's keeper has gone, which outlives the pool.
            let failure = Failure::new(ErrorClass::WorkerFailed, "the worker's place has closed");
            refused.into_inner().drop_with(failure);
        }
        Ok(running)
    }

    fn find_device(
        &self,
        slots: &Slots,
        kind: &Kind,
        device: &str,
    ) -> Result<(usize, usize), Refusal> {
        let takes = |member: &&Arc<Member>| member.report.device_kinds.contains(kind);
        if !self.programs.iter().any(|member| takes(&member)) {
            let (kind, role) = (kind.clone(), " on a device");
            return Err(Refusal::UnknownKind { kind, role });
        }
        if let Some(why) = self.fences.why(device) {
            let device = device.to_owned();
            return Err(Refusal::DeviceFenced { device, why });
        }
        let wanted = Place::Device(device.to_owned());
        for (which, member) in self.programs.iter().enumerate() {
            let places = slots.places[which].iter();
            let found = places.enumerate().find(|(_, (place, _))| *place == wanted);
            match found.filter(|_| takes(&member)) {
                Some((number, (_, handle))) if handle.is_free_soon() => return Ok((which, number)),
                Some(_) => {
                    let device = device.to_owned();
                    return Err(Refusal::DeviceBusy { device });
                }
                None => {}
            }
        }
        let (kind, device) = (kind.clone(), device.to_owned());
        Err(Refusal::UnknownDevice { kind, device })
    }

    fn find_cpu(&self, slots: &mut Slots, kind: &Kind) -> Result<(usize, usize), Refusal> {
        let takes = |member: &Arc<Member>| member.report.cpu_kinds.contains(kind);
        let which = self.programs.iter().position(takes).ok_or_else(|| {
            let (kind, role) = (kind.clone(), " on the CPU");
            Refusal::UnknownKind { kind, role }
        })?;
        let cpu = |wanted: fn(&SlotHandle) -> bool| {
            let places = &slots.places[which];
            let fits =
                |(place, handle): &(Place, SlotHandle)| *place == Place::Cpu && wanted(handle);
            places.iter().position(fits)
        };
        if let Some(number) = cpu(|handle| handle.load.is_idle()) {
            return Ok((which, number));
        }
        let places = slots.places[which].iter();
        let workers = places.filter(|(place, _)| *place == Place::Cpu).count();
        if workers < self.cpu_workers {
            return Ok((which, self.add(slots, which, Place::Cpu)));
        }
        cpu(SlotHandle::is_free_soon)
            .map(|number| (which, number))
            .ok_or(Refusal::CpuBusy { workers })
    }

    /// Cancels every task, stops every process and waits until they have stopped. Tasks are refused
    /// from here on.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut keepers = {
            let mut slots = self.slots();
            // A keeper ends when its handle goes.
            slots.places.iter_mut().for_each(Vec::clear);
            std::mem::take(&mut slots.keepers)
        };
        while keepers.join_next().await.is_some() {}
    }
}
