//! What every kind on a device has in common: its items one by one, each ended when nobody wants it, and a
//! device that fails or computes wrongly given up.

use froben_model::{ErrorClass, Value};
use froben_opencl::{Control, Error as DeviceError, Progress};
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::tree::TreeError;

use super::failure;
use crate::place::{NoProof, Place};

/// A failure, and whether the device can be trusted with more work.
pub(super) struct Refused {
    pub(super) failure: Failure,
    pub(super) fit: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { failure, fit: true }
    }
}

/// Makes each item's value. Sets `fit` to false if the device has to be opened anew.
pub(super) fn each_item(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
    mut make: impl FnMut(&Value, &mut Place) -> Result<Value, Refused>,
) -> Result<(), Failure> {
    let device = place.spec();
    let device = format!("{} ({})", device.name, device.id);
    for item in &run.items {
        ctx.check_cancelled()?;
        let outcome = match make(&item.input, place) {
            Ok(value) => Ok(value),
            Err(Refused { failure, .. }) if failure.class == ErrorClass::Cancelled => {
                return Err(failure);
            }
            Err(Refused {
                failure,
                fit: still,
            }) => {
                *fit &= still;
                Err(failure)
            }
        };
        ctx.held_vram(place.take_peak_bytes());
        ctx.item(item.index, outcome, &device)?;
        if !*fit {
            let message = format!("{device} failed; its worker starts anew");
            return Err(Failure::new(ErrorClass::WorkerFailed, message));
        }
    }
    Ok(())
}

/// Makes a proof that ends when the task is cancelled. `what` it is, is for the log.
pub(super) fn prove<T>(
    ctx: &TaskCtx,
    place: &mut Place,
    what: &str,
    make: impl FnOnce(&mut Place, &Control) -> Result<T, NoProof>,
) -> Result<T, Refused> {
    let cancellation = ctx.cancellation();
    let control = Control::until(move || cancellation.cancelled());
    let made = make(place, &control);
    let Progress {
        launches_done,
        launches_planned,
    } = control.progress();
    tracing::debug!(%what, launches_done, launches_planned, "the device is done with a proof");
    made.map_err(|error| match error {
        NoProof::Device(error) => device_failure(&error),
        NoProof::Circuit(error) => failure(&error).into(),
        NoProof::Tree(error) => tree_failure(place, &error),
        NoProof::Snark(error) => super::compress::snark_failure(place, &error),
    })
}

/// A proof was made that does not hold.
pub(super) fn unsound(place: &Place, why: &str) -> Refused {
    let message = format!("{} made a proof that does not hold: {why}", place.spec().id);
    Refused {
        failure: Failure::new(ErrorClass::InvalidResult, message),
        fit: false,
    }
}

fn device_failure(error: &DeviceError) -> Refused {
    let (class, fit) = match error {
        DeviceError::OutOfDeviceMemory { .. } => (ErrorClass::OutOfMemory, true),
        DeviceError::Cancelled { .. } => (ErrorClass::Cancelled, true),
        _ => (ErrorClass::WorkerFailed, false),
    };
    let hint = error.hint().map(|hint| format!(" ({hint})"));
    let message = format!("{error}{}", hint.unwrap_or_default());
    let failure = Failure::new(class, message);
    Refused { failure, fit }
}

/// What was given has been verified by now, so nothing here is its maker's fault.
fn tree_failure(place: &Place, error: &TreeError) -> Refused {
    match error {
        TreeError::Unsound { .. } => unsound(place, &error.to_string()),
        // A test holds the keys that are known against those that are built: the device built another.
        TreeError::Key { .. } => Refused {
            failure: Failure::new(ErrorClass::WorkerFailed, error.to_string()),
            fit: false,
        },
        TreeError::Keys(missing) => super::bad_request(missing.to_string()).into(),
        TreeError::Malformed(_) | TreeError::Prove(_) => {
            Failure::new(ErrorClass::WorkerFailed, error.to_string()).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_full_stays_and_one_that_fails_goes() {
        let full = device_failure(&DeviceError::OutOfDeviceMemory {
            device: "d".to_owned(),
            needed_bytes: 2,
            available_bytes: 1,
        });
        assert_eq!(
            (full.failure.class, full.fit),
            (ErrorClass::OutOfMemory, true)
        );
        assert!(full.failure.message.contains("use a device with more"));
        let ended = device_failure(&DeviceError::Cancelled {
            device: "d".to_owned(),
            launches_done: 3,
            launches_planned: 8,
        });
        assert_eq!(
            (ended.failure.class, ended.fit),
            (ErrorClass::Cancelled, true)
        );
        let lost = device_failure(&DeviceError::SessionLost {
            device: "d".to_owned(),
            reason: "r".to_owned(),
        });
        assert_eq!(
            (lost.failure.class, lost.fit),
            (ErrorClass::WorkerFailed, false)
        );
    }
}
