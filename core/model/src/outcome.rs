//! How a piece of work ended. Expected failures are data, never Rust errors.

use std::fmt;
use std::str::FromStr;

use crate::trail::Fault;
use crate::{Error, OperatorId, Value};

/// The most that a piece of work occupied; 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub ram_bytes: u64,
    pub vram_bytes: u64,
}

/// What a machine says of an item that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemReport {
    /// Position in the delegation, from 0.
    pub index: u32,
    pub outcome: ItemOutcome,
    /// The name of the device that it ran on.
    pub device: Option<String>,
    pub usage: Usage,
}

impl ItemReport {
    /// One that tells nothing but the outcome.
    pub fn new(index: u32, outcome: ItemOutcome) -> Self {
        ItemReport {
            index,
            outcome,
            device: None,
            usage: Usage::default(),
        }
    }
}

/// Why an item has no value. Closed: a script's retry policy decides on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The delegation's time was up.
    Timeout,
    /// The machine went away while it held the task.
    Disconnected,
    /// Host or device memory ran out.
    OutOfMemory,
    /// A result came and did not hold.
    InvalidResult,
    /// The worker failed or died.
    WorkerFailed,
    /// No connected machine can ever take the task.
    NoCapacity,
    /// Somebody cancelled it.
    Cancelled,
    /// The task's input is wrong: no machine can do it.
    BadRequest,
}

impl ErrorClass {
    pub const ALL: [ErrorClass; 8] = [
        ErrorClass::Timeout,
        ErrorClass::Disconnected,
        ErrorClass::OutOfMemory,
        ErrorClass::InvalidResult,
        ErrorClass::WorkerFailed,
        ErrorClass::NoCapacity,
        ErrorClass::Cancelled,
        ErrorClass::BadRequest,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ErrorClass::Timeout => "timeout",
            ErrorClass::Disconnected => "disconnected",
            ErrorClass::OutOfMemory => "out_of_memory",
            ErrorClass::InvalidResult => "invalid_result",
            ErrorClass::WorkerFailed => "worker_failed",
            ErrorClass::NoCapacity => "no_capacity",
            ErrorClass::Cancelled => "cancelled",
            ErrorClass::BadRequest => "bad_request",
        }
    }

    /// Whether another try, perhaps elsewhere, can end better.
    pub fn retryable(self) -> bool {
        match self {
            ErrorClass::Timeout
            | ErrorClass::Disconnected
            | ErrorClass::OutOfMemory
            | ErrorClass::InvalidResult
            | ErrorClass::WorkerFailed
            | ErrorClass::NoCapacity => true,
            ErrorClass::Cancelled | ErrorClass::BadRequest => false,
        }
    }

    /// Whether the operator answers for it in its reputation.
    pub fn blames_operator(self) -> bool {
        match self {
            ErrorClass::Timeout
            | ErrorClass::Disconnected
            | ErrorClass::OutOfMemory
            | ErrorClass::InvalidResult
            | ErrorClass::WorkerFailed => true,
            ErrorClass::NoCapacity | ErrorClass::Cancelled | ErrorClass::BadRequest => false,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ErrorClass {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        ErrorClass::ALL
            .into_iter()
            .find(|class| class.name() == text)
            .ok_or_else(|| {
                Error::malformed("error class", text, "it is not one of the closed list")
            })
    }
}

/// A failed item as a script sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemError {
    pub class: ErrorClass,
    /// One line, at most [`crate::limits::TEXT_BYTES`].
    pub message: String,
    /// Who had it, if anybody had and it is no matter of others: see [`ItemError::fault`].
    pub operator: Option<OperatorId>,
}

impl ItemError {
    /// Who answers for it. What no operator is named for none does, whatever it is: an attempt that was given
    /// less time than its kind is known to take is the workflow's.
    pub fn fault(&self) -> Fault {
        match (Fault::of(self.class), &self.operator) {
            (Fault::Operator, None) => Fault::Workflow,
            (fault, _) => fault,
        }
    }

    /// Whether the operator answers for it in its reputation.
    pub fn blames_operator(&self) -> bool {
        self.fault() == Fault::Operator
    }
}

/// How one item ended.
pub type ItemOutcome = Result<Value, ItemError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_round_trip_and_are_distinct() {
        for class in ErrorClass::ALL {
            assert_eq!(class.name().parse(), Ok(class));
        }
        assert!("lost".parse::<ErrorClass>().is_err());
    }
}
