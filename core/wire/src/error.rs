//! What goes wrong between two processes, each as one line that says what, why and what to do.

use std::fmt;

use crate::Fault;

/// Why an identity could not be made or read, or a peer could not be reached or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {reason}")]
    Read { path: String, reason: String },
    #[error("cannot write {path}: {reason}")]
    Write { path: String, reason: String },
    #[error("{path} exists already, and a key is never overwritten; choose another directory")]
    Exists { path: String },
    #[error("{path} holds no {what}: {reason}")]
    Malformed {
        path: String,
        what: &'static str,
        reason: String,
    },
    #[error("cannot make the certificate: {0}")]
    Issue(String),
    #[error(
        "the register in {path} has no certificate of `{name}` that is valid; `froben ca list` shows what was issued, and what is older than the register is revoked by --cert or --serial"
    )]
    NoCertificate { name: String, path: String },
    #[error("`{name}` has certificates in several roles ({roles}); say which with --role")]
    SeveralRoles { name: String, roles: String },
    /// A revocation list that would bring back what is revoked.
    #[error(
        "the revocation list has number {theirs}, and number {ours} is in force, which is not older; make a new one with `froben ca crl`"
    )]
    OlderList { ours: u64, theirs: u64 },

    #[error(
        "cannot reach the coordinator at {address}: {reason}; check the address, and that it runs"
    )]
    Unreachable { address: String, reason: String },
    #[error("the coordinator at {address} is not to be trusted: {why}")]
    Untrusted { address: String, why: Rejection },
    #[error("the coordinator at {address} does not let us in: {why}")]
    Rejected { address: String, why: Rejection },
    #[error("{peer} is not let in: {why}")]
    Peer { peer: String, why: Rejection },
    #[error(
        "{what} took longer than {limit_ms} ms; the other side is overloaded or gone, try again"
    )]
    Timeout { what: &'static str, limit_ms: u64 },
    #[error("lost the connection: {reason}")]
    Lost { reason: String },
    /// The other side answered, and the answer is no.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Bytes that are not those that were asked for.
    #[error("{what} is damaged: {reason}")]
    Damaged { what: String, reason: String },
    #[error("cannot {action}: {reason}")]
    Io { action: String, reason: String },
}

/// What the caller can do about an error. Exit codes and retries read only this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Nobody answers there, or not any more: try again later.
    Unreachable,
    /// The other side knows who we are and does not let us: a person must act.
    Denied,
    /// No answer in time: it may or may not have happened.
    Timeout,
    /// It does not exist, or not for us.
    NotFound,
    /// Too much at once: the same call may succeed later.
    Busy,
    /// What we sent is wrong: the same call never succeeds.
    Invalid,
    /// A file of ours, a disk, a bug.
    Unexpected,
}

impl Error {
    pub fn disposition(&self) -> Disposition {
        match self {
            Error::Unreachable { .. } | Error::Lost { .. } => Disposition::Unreachable,
            Error::Untrusted { .. } | Error::Rejected { .. } | Error::Peer { .. } => {
                Disposition::Denied
            }
            Error::Timeout { .. } => Disposition::Timeout,
            Error::Fault(fault) => fault.code.disposition(),
            Error::NoCertificate { .. } => Disposition::NotFound,
            Error::SeveralRoles { .. } => Disposition::Invalid,
            Error::Read { .. }
            | Error::Write { .. }
            | Error::Exists { .. }
            | Error::Malformed { .. }
            | Error::Issue(_)
            | Error::OlderList { .. }
            | Error::Damaged { .. }
            | Error::Io { .. } => Disposition::Unexpected,
        }
    }

    /// Stable, like `FRB-TLS-002`; each has its page in `docs/errors`. `None` for what has no page:
    /// the line itself says everything.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Error::Unreachable { .. } => Some("FRB-NET-001"),
            Error::Timeout { .. } => Some("FRB-NET-002"),
            Error::Lost { .. } => Some("FRB-NET-003"),
            Error::Untrusted { why, .. }
            | Error::Rejected { why, .. }
            | Error::Peer { why, .. } => Some(why.code()),
            Error::Fault(fault) => Some(fault.code.name()),
            Error::Damaged { .. } => Some("FRB-BLB-002"),
            Error::Read { .. }
            | Error::Write { .. }
            | Error::Exists { .. }
            | Error::Malformed { .. }
            | Error::Issue(_)
            | Error::NoCertificate { .. }
            | Error::SeveralRoles { .. }
            | Error::OlderList { .. }
            | Error::Io { .. } => None,
        }
    }

    pub(crate) fn read(path: &std::path::Path, reason: impl fmt::Display) -> Error {
        Error::Read {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn write(path: &std::path::Path, reason: impl fmt::Display) -> Error {
        Error::Write {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Why a certificate, or what came instead of one, is not good enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error(
        "the certificate comes from another CA; both sides need certificates of the same one, see `froben ca issue`"
    )]
    UnknownCa,
    #[error("the certificate has expired{}; issue a new one with `froben ca issue`", .on.as_deref().map(|on| format!(" on {on}")).unwrap_or_default())]
    Expired { on: Option<String> },
    #[error("the certificate is not valid {}; check the clocks of both machines", .before.as_deref().map_or("yet".to_owned(), |date| format!("before {date}")))]
    NotYetValid { before: Option<String> },
    #[error("no certificate was shown; issue one with `froben ca issue`")]
    Missing,
    #[error("the certificate has been revoked; ask whoever runs the CA")]
    Revoked,
    #[error("its certificate is not a coordinator's; check the address")]
    NotACoordinator,
    #[error("the certificate names no role and name of Froben's; issue one with `froben ca issue`")]
    NoIdentity,
    #[error("it does not speak {ours}: {theirs}; use the same version on both sides")]
    Version { ours: String, theirs: String },
    #[error("it does not speak TLS 1.3 ({0}); check the address and the port")]
    NotTls(String),
    #[error("TLS failed: {0}")]
    Other(String),
}

impl Rejection {
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::UnknownCa => "FRB-TLS-001",
            Rejection::Expired { .. } => "FRB-TLS-002",
            Rejection::NotYetValid { .. } => "FRB-TLS-003",
            Rejection::Missing => "FRB-TLS-004",
            Rejection::Revoked => "FRB-TLS-006",
            Rejection::NotACoordinator => "FRB-TLS-007",
            Rejection::NoIdentity => "FRB-TLS-008",
            Rejection::Version { .. } => "FRB-TLS-009",
            Rejection::NotTls(_) => "FRB-TLS-010",
            Rejection::Other(_) => "FRB-TLS-011",
        }
    }
}
