//! Asking the other side, within a time.

use std::future::Future;
use std::time::Duration;

use froben_model::limits;

use crate::{Error, Fault, FaultCode};

/// Waits for a call at most `limit`. `what` names it for a person: "submitting the workflow".
///
/// *Errors*: [`Error::Timeout`], after which the call may or may not have happened; [`Error::Lost`];
/// [`Error::Fault`] for an answer of "no".
pub async fn call<T>(
    what: &'static str,
    limit: Duration,
    future: impl Future<Output = Result<T, capnp::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, future).await {
        Ok(answer) => answer.map_err(|error| failed(what, &error)),
        Err(_) => Err(Error::Timeout {
            what,
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

/// What an exception means to whoever made the call.
pub fn failed(what: &'static str, error: &capnp::Error) -> Error {
    if let Some(fault) = Fault::read(error) {
        return Error::Fault(fault);
    }
    let text = limits::one_line(&error.extra);
    match error.kind {
        capnp::ErrorKind::Disconnected | capnp::ErrorKind::PrematureEndOfFile => {
            Error::Lost { reason: text }
        }
        capnp::ErrorKind::Overloaded => Error::Fault(Fault::new(FaultCode::Busy, text)),
        _ => Error::Fault(Fault::new(
            FaultCode::Internal,
            format!("{what} failed: {text}"),
        )),
    }
}
