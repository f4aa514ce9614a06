//! What goes back: refusals with their codes, and answers that fit a message.

use froben_engine::Busy;
use froben_model::view::{WorkflowDetail, WorkflowSummary};
use froben_model::{Value, limits};
use froben_schema::convert;
use froben_wire::{Fault, FaultCode};

/// What an answer may hold by our own estimate, so that it stays below [`limits::MESSAGE_BYTES`]: a
/// larger one would end the connection of whoever asked.
const ANSWER_BYTES: usize = 5 << 20;
/// Outputs in a list; each of them is to be had by asking for the workflow.
const OUTPUTS_BYTES: usize = 1 << 20;

pub(crate) fn fault(code: FaultCode, message: impl AsRef<str>) -> capnp::Error {
    Fault::new(code, message).into()
}

/// A message that does not read.
pub(crate) fn invalid(error: convert::Error) -> capnp::Error {
    fault(FaultCode::Invalid, error.to_string())
}

pub(crate) fn busy(busy: Busy) -> capnp::Error {
    match busy {
        Busy::Overloaded | Busy::Stopping | Busy::MovingOn => {
            fault(FaultCode::Busy, busy.to_string())
        }
        Busy::Journal(_) | Busy::Broken { .. } => fault(FaultCode::Internal, busy.to_string()),
    }
}

pub(crate) fn of_blobs(error: froben_blobs::Error) -> capnp::Error {
    let code = match &error {
        froben_blobs::Error::NotFound(_) => FaultCode::NoSuchBlob,
        froben_blobs::Error::Mismatch { .. } => FaultCode::WrongBytes,
        froben_blobs::Error::TooLarge { .. } | froben_blobs::Error::GivenUp => FaultCode::Invalid,
        froben_blobs::Error::NoSpace => FaultCode::Busy,
        froben_blobs::Error::Locked { .. }
        | froben_blobs::Error::Open { .. }
        | froben_blobs::Error::Io(_) => FaultCode::Internal,
    };
    if code == FaultCode::Internal {
        tracing::error!(%error, "the blob store failed");
    }
    fault(code, error.to_string())
}

/// As many of the first `things` as an answer holds, each of `weight` bytes.
pub(crate) fn first_that_fit<T>(things: &[T], weight: impl Fn(&T) -> usize) -> &[T] {
    let mut left = ANSWER_BYTES;
    let fit = things.iter().take_while(|thing| {
        let bytes = weight(thing);
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    &things[..fit.count()]
}

/// Leaves out outputs that a list has no room for.
pub(crate) fn shorten_list(list: &mut [WorkflowSummary]) {
    let mut left = OUTPUTS_BYTES;
    for summary in list {
        let bytes = summary.output.weight();
        match bytes <= left {
            true => left -= bytes,
            false => summary.output = Value::Nil,
        }
    }
}

/// Leaves out the oldest delegations that an answer has no room for, and says how many.
pub(crate) fn shorten_detail(detail: &mut WorkflowDetail) {
    let mut left = ANSWER_BYTES;
    let fit = detail.delegations.iter().rev().take_while(|delegation| {
        let error = delegation.error.as_ref().map_or(0, |e| e.message.len());
        let device = delegation.device.as_ref().map_or(0, String::len);
        // The struct itself, a kind and a machine, generously.
        let bytes = 512 + delegation.key.len() + error + device;
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    let left_out = detail.delegations.len() - fit.count();
    if left_out > 0 {
        detail.delegations.drain(..left_out);
        let note = format!("{left_out} older delegations are not listed: an answer has no room");
        detail.waiting.push(note);
    }
}

/// A text that a peer sent, at most `limit` bytes.
pub(crate) fn text(
    what: &'static str,
    text: capnp::text::Reader<'_>,
    limit: usize,
) -> Result<String, capnp::Error> {
    convert::read_text(what, text, limit).map_err(invalid)
}

/// A line that a peer sent, to be shown to people. Longer ones are cut.
pub(crate) fn line(text: capnp::text::Reader<'_>) -> String {
    limits::one_line(&String::from_utf8_lossy(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use froben_model::view::{DelegationState, DelegationView, WorkflowState};
    use froben_model::{CallId, ErrorClass, ItemError, Kind, WorkflowId};

    use super::*;

    fn summary(output: Value) -> WorkflowSummary {
        WorkflowSummary {
            id: WorkflowId([0; 16]),
            pipeline: "p".into(),
            inputs: String::new(),
            parent: None,
            revision: "00".into(),
            state: WorkflowState::Succeeded,
            submitted_ms: 1,
            ended_ms: Some(2),
            failure: None,
            output,
        }
    }

    #[test]
    fn the_largest_detail_fits_a_message() {
        let error = ItemError {
            class: ErrorClass::WorkerFailed,
            message: "x".repeat(limits::TEXT_BYTES),
            operator: None,
        };
        let delegation = |call| DelegationView {
            call: CallId(call),
            key: "k".repeat(256),
            kind: Kind::new("a/1").unwrap(),
            state: DelegationState::Failed,
            attempt: 1,
            machine: None,
            device: None,
            items_total: 1,
            items_ok: 0,
            items_failed: 1,
            queued_ms: 1,
            assigned_ms: None,
            ended_ms: None,
            error: Some(error.clone()),
        };
        let mut detail = WorkflowDetail {
            summary: summary(Value::text("x".repeat(limits::VALUE_BYTES - 16))),
            stages: Vec::new(),
            delegations: (1..=limits::DELEGATIONS as u64).map(delegation).collect(),
            waiting: Vec::new(),
        };
        shorten_detail(&mut detail);
        let newest = detail.delegations.last().map(|d| d.call);
        assert_eq!(newest, Some(CallId(limits::DELEGATIONS as u64)));
        assert!(
            detail.waiting[0].contains("not listed"),
            "{:?}",
            detail.waiting
        );

        let mut message = capnp::message::Builder::new_default();
        convert::write_detail(&detail, message.init_root());
        assert!(message.size_in_words() * 8 < limits::MESSAGE_BYTES);
    }

    #[test]
    fn only_what_may_pass_is_to_be_tried_again() {
        let code = |why: Busy| Fault::read(&busy(why)).expect("it has a code").code;
        for passing in [Busy::Overloaded, Busy::Stopping, Busy::MovingOn] {
            assert_eq!(code(passing), FaultCode::Busy);
        }
        let doing = "checking the scripts";
        for lasting in [Busy::Broken { doing }, Busy::Journal(String::new())] {
            assert_eq!(code(lasting), FaultCode::Internal);
        }
    }

    #[test]
    fn a_small_detail_is_whole() {
        let mut detail = WorkflowDetail {
            summary: summary(Value::Nil),
            stages: Vec::new(),
            delegations: Vec::new(),
            waiting: Vec::new(),
        };
        shorten_detail(&mut detail);
        assert!(detail.waiting.is_empty());
    }

    #[test]
    fn lists_drop_outputs_before_they_grow_too_large() {
        let large = Value::text("x".repeat(300 << 10));
        let mut list = vec![summary(large); 10];
        shorten_list(&mut list);
        let kept = list.iter().filter(|s| s.output != Value::Nil).count();
        assert_eq!(kept, 3);
        assert_eq!(first_that_fit(&[1 << 20; 10], |bytes| *bytes).len(), 5);
    }
}
