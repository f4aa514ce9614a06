//! Where aggregates become SNARKs: the compressor of one set of parameters, with its multi-scalar
//! multiplications on the place's device.
//!
//! A compressor takes over a gigabyte under `dev` and several under `standard`, and many seconds to open. A worker
//! keeps the one that it used last until another kind of task claims a part of its memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use froben_circuits::Params;
use froben_compress::kzg::{
    Bases, Fr, G1, G1Affine, Halo2Msm, Msm, point_of_words, point_words, scalar_words,
};
use froben_compress::{Compressor, Error, FinalProof, Phase};
use froben_opencl::{Affine, Control, Error as DeviceError, MsmBn254, ScalarForm, Session};
use froben_recursion::aggregate::Proved;

use crate::place::Place;
use crate::stark::Fault;

/// The compressor that was used last.
#[derive(Default)]
pub(crate) struct Snarks {
    open: Option<Open>,
}

struct Open {
    params: Params,
    keys_file: PathBuf,
    compressor: Compressor,
    /// None where there is no device.
    device: Option<Arc<DeviceMsm>>,
}

/// Why there is no SNARK.
pub(crate) enum NoSnark {
    Compress(Error),
    Device(DeviceError),
}

impl std::fmt::Debug for Snarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open = self.open.as_ref().map(|open| open.params);
        f.debug_tuple("Snarks").field(&open).finish()
    }
}

impl Snarks {
    /// Compresses a scheduler's proof about a file of `length` bytes, which was verified. `control` ends it at
    /// the next multiplication on a device; the rest cannot be ended.
    pub(crate) fn compress(
        &mut self,
        place: &Place,
        params: Params,
        keys_file: &Path,
        (scheduler, length): (&Proved, u64),
        control: &Control,
    ) -> Result<FinalProof, NoSnark> {
        let open = self.open(place, params, keys_file)?;
        if let (Some(device), Some(session)) = (&open.device, place.session()) {
            device.begin(session.controlled(control));
        }
        let made = open.compressor.compress(scheduler, length, &say);
        let failed = open.device.as_ref().and_then(|device| device.end());
        match failed {
            Some(error) => Err(NoSnark::Device(error)),
            None => made.map_err(NoSnark::Compress),
        }
    }

    /// Lets go of the compressor: a task begins that claims less memory than it takes.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    fn open(&mut self, place: &Place, params: Params, keys_file: &Path) -> Result<&Open, NoSnark> {
        let same = |open: &Open| open.params == params && open.keys_file == keys_file;
        if !self.open.as_ref().is_some_and(same) {
            // The old one goes first: two of them may not fit.
            self.open = None;
            let device = place.session().map(|_| Arc::new(DeviceMsm::default()));
            let msm: Arc<dyn Msm> = match &device {
                Some(device) => device.clone(),
                None => Arc::new(Halo2Msm),
            };
            let compressor = Compressor::open(params, keys_file, msm, &say);
            self.open = Some(Open {
                params,
                keys_file: keys_file.to_owned(),
                compressor: compressor.map_err(NoSnark::Compress)?,
                device,
            });
        }
        Ok(self.open.as_ref().expect("invariant: set above"))
    }
}

fn say(phase: Phase) {
    tracing::info!(phase = phase.name(), "compressing");
}

/// Multiplications on the device of a session, which a proof lends it.
#[derive(Default)]
struct DeviceMsm {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The setup's lists as the device takes them, as long as they were asked for.
    powers: Option<Arc<[Affine]>>,
    lagrange: Option<Arc<[Affine]>>,
    fault: Fault,
}

impl DeviceMsm {
    fn begin(&self, session: Session) {
        let mut state = self.lock();
        state.session = Some(Arc::new(session));
        state.fault = Fault::default();
    }

    /// The failure of the proof, if there was one.
    fn end(&self) -> Option<DeviceError> {
        let mut state = self.lock();
        state.session = None;
        state.fault.get().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Whoever panicked left it whole: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, and the points as the device takes them; none once the device has failed.
    fn prepare(&self, bases: Bases, points: &[G1Affine]) -> Option<Prepared> {
        let mut state = self.lock();
        state.fault.check().ok()?;
        let (session, fault) = (state.session.clone()?, state.fault.clone());
        let kept = match bases {
            Bases::Powers => &mut state.powers,
            Bases::Lagrange => &mut state.lagrange,
        };
        let points = match kept {
            Some(kept) if kept.len() == points.len() => kept.clone(),
            // A prefix of the list.
            Some(kept) if kept.len() > points.len() => kept[..points.len()].into(),
            _ => kept
                .insert(points.iter().map(point_words).collect())
                .clone(),
        };
        Some(Prepared {
            session,
            fault,
            points,
        })
    }
}

struct Prepared {
    session: Arc<Session>,
    fault: Fault,
    points: Arc<[Affine]>,
}

impl Msm for DeviceMsm {
    fn msm(&self, bases: Bases, scalars: &[Fr], points: &[G1Affine]) -> G1 {
        let Some(prepared) = self.prepare(bases, points) else {
            return G1::default();
        };
        let scalars = scalars.iter().map(scalar_words).collect();
        let sum =
            MsmBn254::new(&prepared.session).msm(prepared.points, scalars, ScalarForm::Montgomery);
        prepared.fault.note(sum.map(point_of_words), G1::default)
    }
}
