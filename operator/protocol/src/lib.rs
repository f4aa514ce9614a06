//! The worker protocol: framed messages over a Unix socket, both ends.
//!
//! A *worker* is a process that computes; the operator's daemon starts it, hands it one task at a
//! time and carries its blobs. The daemon's end is [`Link`] (async); the worker's is [`serve`]
//! with a [`Worker`] (blocking, its heartbeat on a thread of its own). docs/worker-protocol.md
//! describes the wire for workers in other languages; [`codec`] and [`convert`] are its code.
//!
//! This crate starts no process, kills none, and stores no blob: the daemon does. It knows nothing
//! of what a task computes.

pub mod codec;
pub mod convert;
pub mod frame;
pub mod message;

mod connection;
mod context;
mod error;
mod fields;
mod link;
mod serve;
mod upload;

pub use context::{Cancellation, TaskCtx};
pub use error::Error;
pub use link::Link;
pub use message::{Failure, FromWorker, Hello, Level, Role, Run, RunItem, RunKey, ToWorker};
pub use serve::{Introduction, Worker, announce, serve, serve_on};
pub use upload::Upload;

/// The protocol versions that this crate speaks, the preferred one first.
pub const VERSIONS: [u32; 1] = [1];

/// The environment variable that carries the token of a spawn to the worker.
pub const TOKEN_VARIABLE: &str = "FROBEN_WORKER_TOKEN";

/// Requests (`read`, `open`, `write`, `publish`) of a worker that may be unanswered at a time.
pub const REQUESTS_IN_FLIGHT: usize = 8;

/// Uploads of a worker that may be open at a time.
pub const UPLOADS_OPEN: usize = 8;

/// How often a worker says `alive`.
pub const ALIVE_MS: u64 = 2_000;

/// Exit code of a worker whose daemon has gone.
pub const EXIT_ORPHANED: i32 = 75;

/// Exit code of a worker, before its hello, whose device computes wrongly. It is not started again.
pub const EXIT_UNFIT: u8 = 76;
