//! The thread that owns a device.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};

use super::fate::Fate;
use super::{Job, Patch};
use crate::device::Device;
use crate::engine::Engine;
use crate::error::Result;
use crate::layout::Layout;
use crate::program::cache::Cache;
use crate::stats::Stats;
use crate::tune::Tunings;

/// What the owner's thread starts with.
pub(super) struct Owner {
    pub(super) device: Device,
    pub(super) layout: Layout,
    pub(super) tunings: Tunings,
    pub(super) programs: Cache,
    pub(super) patch: Patch,
    pub(super) stats: Arc<Mutex<Stats>>,
    pub(super) fate: Fate,
}

impl Owner {
    /// Opens the device, then serves calls until the handle is dropped or the session is lost.
    pub(super) fn run(self, opened: &SyncSender<Result<()>>, jobs: &Receiver<Job>) {
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
