//! An answer of "no" that crosses the wire with a stable code.
//!
//! Cap'n Proto's exceptions carry a text and four kinds, which is too little for a caller to act on.
//! A fault puts its code in front of the text; whoever receives it takes the code off again.

use std::fmt;

use froben_model::limits;

use crate::Disposition;

/// Why the other side did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: FaultCode,
    /// One line: what, why and what to do.
    pub message: String,
}

/// Closed: what a caller can do depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCode {
    /// The certificate opens another door.
    WrongRole,
    /// The peer speaks a protocol version that we do not.
    Version,
    /// Malformed, or over a limit of its own.
    Invalid,
    /// The peer holds too much open already.
    TooMany,
    /// The coordinator cannot take more now.
    Busy,
    /// Ours to repair: a disk, a bug.
    Internal,
    NoSuchBlob,
    /// The bytes are not those of the blob that they should be.
    WrongBytes,
    NoSuchWorkflow,
    NoSuchRevision,
}

impl FaultCode {
    pub const ALL: [FaultCode; 10] = [
        FaultCode::WrongRole,
        FaultCode::Version,
        FaultCode::Invalid,
        FaultCode::TooMany,
        FaultCode::Busy,
        FaultCode::Internal,
        FaultCode::NoSuchBlob,
        FaultCode::WrongBytes,
        FaultCode::NoSuchWorkflow,
        FaultCode::NoSuchRevision,
    ];

    pub fn name(self) -> &'static str {
        match self {
            FaultCode::WrongRole => "FRB-TLS-005",
            FaultCode::Version => "FRB-RPC-001",
            FaultCode::Invalid => "FRB-RPC-002",
            FaultCode::TooMany => "FRB-RPC-003",
            FaultCode::Busy => "FRB-RPC-004",
            FaultCode::Internal => "FRB-RPC-005",
            FaultCode::NoSuchBlob => "FRB-BLB-001",
            FaultCode::WrongBytes => "FRB-BLB-002",
            FaultCode::NoSuchWorkflow => "FRB-WFL-001",
            FaultCode::NoSuchRevision => "FRB-SCR-002",
        }
    }

    pub fn disposition(self) -> Disposition {
        match self {
            FaultCode::WrongRole | FaultCode::Version => Disposition::Denied,
            FaultCode::Invalid | FaultCode::WrongBytes => Disposition::Invalid,
            FaultCode::TooMany | FaultCode::Busy => Disposition::Busy,
            FaultCode::NoSuchBlob | FaultCode::NoSuchWorkflow | FaultCode::NoSuchRevision => {
                Disposition::NotFound
            }
            FaultCode::Internal => Disposition::Unexpected,
        }
    }
}

impl Fault {
    pub fn new(code: FaultCode, message: impl AsRef<str>) -> Fault {
        Fault {
            code,
            message: limits::one_line(message.as_ref()),
        }
    }

    /// The fault that an exception carries, if it carries one.
    pub fn read(error: &capnp::Error) -> Option<Fault> {
        // capnp-rpc puts its own words in front of what came from the other side.
        let text = error.extra.strip_prefix("remote exception: ");
        let text = text.unwrap_or(&error.extra);
        let (code, message) = text.split_once(": ")?;
        let code = FaultCode::ALL.into_iter().find(|c| c.name() == code)?;
        Some(Fault::new(code, message))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for capnp::Error {
    fn from(fault: Fault) -> capnp::Error {
        let text = format!("{}: {}", fault.code.name(), fault.message);
        match fault.code {
            FaultCode::Busy | FaultCode::TooMany => capnp::Error::overloaded(text),
            _ => capnp::Error::failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_survives_the_wire() {
        for code in FaultCode::ALL {
            let fault = Fault::new(code, "no: because");
            let mut error = capnp::Error::from(fault.clone());
            assert_eq!(Fault::read(&error), Some(fault.clone()));
            error.extra.insert_str(0, "remote exception: ");
            assert_eq!(Fault::read(&error), Some(fault));
        }
    }

    #[test]
    fn other_exceptions_are_no_faults_and_texts_stay_one_line() {
        for text in ["", "boom", "FRB-XXX-999: boom", "remote exception: x: y"] {
            assert_eq!(Fault::read(&capnp::Error::failed(text.into())), None);
        }
        let hostile =
            capnp::Error::failed(format!("FRB-RPC-005: a\n\u{1b}b{}", "x".repeat(1 << 20)));
        let fault = Fault::read(&hostile).expect("it has a code");
        assert!(fault.message.starts_with("a  b") && fault.message.len() <= limits::TEXT_BYTES);
    }
}
