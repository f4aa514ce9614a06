//! Why a worker process cannot be had.

use std::io;
use std::path::PathBuf;

use super::death::Death;

/// An error of starting a worker. What happens to a task is an event, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the directory of worker sockets {path}: {cause}")]
    RuntimeDir { path: PathBuf, cause: io::Error },
    #[error(
        "the path of worker sockets {path} is too long for a socket (at most {limit} bytes); set XDG_RUNTIME_DIR or TMPDIR to a shorter one"
    )]
    PathTooLong { path: PathBuf, limit: usize },
    #[error("cannot listen on {path}: {cause}")]
    Listen { path: PathBuf, cause: io::Error },
    #[error("cannot run the worker {program}: {cause}")]
    Spawn { program: PathBuf, cause: io::Error },
    #[error("the worker {program} {death} before it said hello")]
    Died { program: PathBuf, death: Death },
    #[error("the worker {program} did not say hello within {waited_ms} ms{why}")]
    NoHello {
        program: PathBuf,
        waited_ms: u128,
        why: String,
    },
    #[error("the worker {program} says hello as something else: {what}")]
    Changed { program: PathBuf, what: String },
    #[error("the worker {program} offers no kind in any role{notes}")]
    NoKinds { program: PathBuf, notes: String },
}
