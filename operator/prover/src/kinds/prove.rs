//! `commitments.prove/1`: the proof of one circuit about one segment, on a device.
//!
//! A proof is verified before it is handed out: that costs little beside the proving, and a device
//! that begins to compute wrongly is found out by its owner before anybody else.

use froben_circuits::{Circuit, MAX_WITNESS_BYTES, Params, Witness, verify};
use froben_model::{ErrorClass, Value};
use froben_opencl::{Control, Error as DeviceError, Progress};
use froben_protocol::{Failure, Run, TaskCtx};

use super::fields::Fields;
use super::{bad_request, chain, failure};
use crate::place::{NoProof, Place};

/// A failure, and whether the device can be trusted with more work.
struct Refused {
    failure: Failure,
    fit: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { failure, fit: true }
    }
}

/// Proves each item's witness. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(run: &Run, ctx: &TaskCtx, place: &Place, fit: &mut bool) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let circuit: Circuit = input.named("circuit")?;
    let params: Params = input.named("params")?;
    let device = place.spec();
    let device = format!("{} ({})", device.name, device.id);
    for item in &run.items {
        ctx.check_cancelled()?;
        let outcome = match proof(circuit, params, &item.input, ctx, place) {
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

fn proof(
    circuit: Circuit,
    params: Params,
    item: &Value,
    ctx: &TaskCtx,
    place: &Place,
) -> Result<Value, Refused> {
    let item = Fields::of("item", item)?;
    let index = item.u32("index")?;
    let encoded = ctx.read_blob(item.blob("witness")?, MAX_WITNESS_BYTES as u64)?;
    let witness = Witness::decode(&encoded).map_err(|error| failure(&error))?;
    if witness.statement.index != index {
        let met = witness.statement.index;
        return Err(bad_request(format!("the witness of segment {index} is that of {met}")).into());
    }

    let cancellation = ctx.cancellation();
    let control = Control::until(move || cancellation.cancelled());
    let made = place.prove(params, circuit, &witness, &control);
    let Progress {
        launches_done,
        launches_planned,
    } = control.progress();
    tracing::debug!(%circuit, index, launches_done, launches_planned, "the device is done with a proof");
    let bytes = made.map_err(|error| match error {
        NoProof::Device(error) => device_failure(&error),
        NoProof::Circuit(error) => failure(&error).into(),
    })?;
    verify(params, circuit, &witness.statement, &bytes).map_err(|error| Refused {
        failure: Failure::new(
            ErrorClass::InvalidResult,
            format!(
                "{} made a proof that does not hold: {}",
                place.spec().id,
                chain(&error)
            ),
        ),
        fit: false,
    })?;
    let blob = ctx.put_blob(&bytes)?;
    Ok(Value::map([("proof", Value::Blob(blob))]))
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
