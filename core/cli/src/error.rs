//! What the command line says when something goes wrong: one line of what and why, a hint, and an exit
//! code that the kind alone picks.

use std::process::ExitCode;

use froben_author::files::FilesError;
use froben_wire::Disposition;

/// The documented exit codes: `froben help exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Unexpected,
    Usage,
    NotFound,
    Script,
    Denied,
    Unreachable,
    Timeout,
    WorkflowFailed,
    ProofInvalid,
    NoCapacity,
    Changes,
    Moved,
    RetryLater,
    Unread,
}

impl Exit {
    pub(crate) const ALL: [Exit; 14] = [
        Exit::Unexpected,
        Exit::Usage,
        Exit::NotFound,
        Exit::Script,
        Exit::Denied,
        Exit::Unreachable,
        Exit::Timeout,
        Exit::WorkflowFailed,
        Exit::ProofInvalid,
        Exit::NoCapacity,
        Exit::Changes,
        Exit::Moved,
        Exit::RetryLater,
        Exit::Unread,
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Script => 4,
            Exit::Denied => 5,
            Exit::Unreachable => 6,
            Exit::Timeout => 7,
            Exit::WorkflowFailed => 8,
            Exit::ProofInvalid => 9,
            Exit::NoCapacity => 10,
            Exit::Changes => 20,
            Exit::Moved => 21,
            Exit::RetryLater => 75,
            // As a shell tells of a program that SIGPIPE has ended.
            Exit::Unread => 141,
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Exit::Unexpected => "something unexpected: a file, a disk, a bug",
            Exit::Usage => "the command line is wrong",
            Exit::NotFound => "no such workflow, pipeline or file",
            Exit::Script => "a script or an input does not check",
            Exit::Denied => "the certificate, or the role in it, does not allow it",
            Exit::Unreachable => "the coordinator can't be reached",
            Exit::Timeout => "no answer in time: it may or may not have happened",
            Exit::WorkflowFailed => "the workflow failed or was cancelled",
            Exit::ProofInvalid => "a proof, a bundle or a digest does not hold",
            Exit::NoCapacity => "no machine can do it",
            Exit::Changes => "scripts plan: there is a change to apply",
            Exit::Moved => "scripts: somebody was faster, look again",
            Exit::RetryLater => "busy: the same command may succeed later",
            Exit::Unread => "nobody reads the output any more, as behind `| head -1`",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// One failure, ready to be shown.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) exit: Exit,
    /// Stable, like `FRB-NET-001`; its page is in `docs/errors`.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Error {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Error {
            exit,
            code: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::new(Exit::Usage, message)
    }

    /// An exit code that says it all; nothing is printed.
    pub(crate) fn quiet(exit: Exit) -> Self {
        Error::new(exit, "")
    }

    /// A file that can't be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Unexpected,
        };
        Error::new(exit, format!("cannot {action} {}: {error}", path.display()))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Shows it on standard error.
    pub(crate) fn print(&self) {
        let Error {
            exit: _,
            code,
            message,
            hint,
        } = self;
        if message.is_empty() {
            return;
        }
        match code {
            Some(code) => eprintln!("error: {message} [{code}]"),
            None => eprintln!("error: {message}"),
        }
        if let Some(hint) = hint {
            eprintln!("hint: {hint}");
        }
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
            Disposition::Invalid => Exit::Script,
            Disposition::Unexpected => Exit::Unexpected,
        };
        let shown = Error::new(exit, error.to_string());
        match error.code() {
            Some(code) => shown.code(code),
            None => shown,
        }
    }
}

impl From<FilesError> for Error {
    fn from(error: FilesError) -> Self {
        let exit = match &error {
            FilesError::Unreadable { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Exit::NotFound
            }
            FilesError::Unreadable { .. } => Exit::Unexpected,
            FilesError::TooLarge { .. }
            | FilesError::NotText { .. }
            | FilesError::NotAFile { .. } => Exit::Script,
        };
        let shown = Error::new(exit, error.to_string());
        match exit {
            Exit::Script => shown.code("FRB-LUA-013"),
            _ => shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_distinct_and_never_success() {
        let codes: std::collections::BTreeSet<_> = Exit::ALL.map(Exit::code).into();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert!(!codes.contains(&0));
    }
}
