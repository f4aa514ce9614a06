//! What becomes of a session whose driver goes wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::device::Device;
use crate::error::{Error, Result};

/// Whether the session goes on, as the owner and its callers share it.
///
/// A panic, which `ocl` raises on statuses that it does not know, ends the session: the state of a
/// driver that went so wrong is nothing to compute on.
#[derive(Clone)]
pub(super) struct Fate {
    device: String,
    end: Arc<Mutex<Option<String>>>,
}

impl Fate {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            device: device.to_string(),
            end: Arc::default(),
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// The error that everyone gets from now on.
    pub(super) fn error(&self) -> Error {
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
    pub(super) fn watch<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
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
