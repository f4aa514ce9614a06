//! The first failure of a device while it works for a proof.

use std::sync::{Arc, OnceLock};

use froben_opencl::{Error, Result};

/// Set once by whoever meets the failure, seen by everyone who shares it.
///
/// It stays set: values that were computed after it are worthless, and so is every proof that its
/// owner could still make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<OnceLock<Error>>);

impl Fault {
    /// The value, or what `otherwise` makes of its absence once the failure is noted.
    pub(crate) fn note<T>(&self, result: Result<T>, otherwise: impl FnOnce() -> T) -> T {
        result.unwrap_or_else(|error| {
            match error {
                Error::Cancelled { .. } => tracing::debug!(%error, "a proof ends"),
                _ => tracing::error!(%error, "the opencl device failed in the middle of a proof"),
            }
            // Whatever follows a first failure is its consequence.
            let _ = self.0.set(error);
            otherwise()
        })
    }

    /// The failure, if there was one.
    pub(crate) fn get(&self) -> Option<&Error> {
        self.0.get()
    }

    /// An error once there was a failure.
    pub(crate) fn check(&self) -> Result<()> {
        self.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stays() {
        let fault = Fault::default();
        let shared = fault.clone();
        assert_eq!(fault.note(Ok(1), || 2), 1);
        assert_eq!(shared.check(), Ok(()));
        assert_eq!(fault.note(Err(Error::NoPlatform), || 2), 2);
        assert_eq!(fault.note(Err(Error::Shape("later".to_owned())), || 3), 3);
        assert_eq!(shared.check(), Err(Error::NoPlatform));
        assert_eq!(fault.note(Ok(1), || 2), 1);
        assert_eq!(fault.check(), Err(Error::NoPlatform));
    }
}
