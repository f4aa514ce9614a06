//! What the daemon says when something goes wrong: one line, a code, an exit code.

use std::io::Write;
use std::process::ExitCode;

use froben_wire::Disposition;

/// How the daemon ends; the numbers are those of `froben help exit-codes`, and 11 is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Unexpected,
    Usage,
    NotFound,
    Denied,
    Unreachable,
    Timeout,
    NoCapacity,
    DeviceFailed,
    RetryLater,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Denied => 5,
            Exit::Unreachable => 6,
            Exit::Timeout => 7,
            Exit::NoCapacity => 10,
            Exit::DeviceFailed => 11,
            Exit::RetryLater => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// One failure, ready to be shown.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub exit: Exit,
    /// Stable, like `FRB-NET-001`; its page is in `docs/errors`.
    pub code: Option<&'static str>,
    pub message: String,
}

impl Error {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Error {
            exit,
            code: None,
            message: message.into(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Exit::Usage, message)
    }

    /// Shows it on standard error.
    pub fn print(&self) {
        let code = self.code.map(|code| format!(" [{code}]"));
        let line = format!("error: {}{}", self.message, code.unwrap_or_default());
        // Whoever reads it may have gone.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

impl From<froben_wire::Error> for Error {
    fn from(error: froben_wire::Error) -> Self {
        let exit = match error.disposition() {
            Disposition::Unreachable => Exit::Unreachable,
            Disposition::Denied => Exit::Denied,
            Disposition::Timeout => Exit::Timeout,
            Disposition::NotFound => Exit::NotFound,
            Disposition::Busy => Exit::RetryLater,
            Disposition::Invalid => Exit::Usage,
            Disposition::Unexpected => Exit::Unexpected,
        };
        Error {
            exit,
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<crate::workers::Error> for Error {
    fn from(error: crate::workers::Error) -> Self {
        let exit = match &error {
            crate::workers::Error::NoKinds { .. } => Exit::NoCapacity,
            crate::workers::Error::Spawn { cause, .. }
                if cause.kind() == std::io::ErrorKind::NotFound =>
            {
                Exit::NotFound
            }
            _ => Exit::Unexpected,
        };
        Error::new(exit, error.to_string())
    }
}
