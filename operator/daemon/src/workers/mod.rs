//! Worker processes: found out about, kept alive, handed tasks, stopped.
//!
//! [`probe()`] asks a program what it can do. A [`Pool`] keeps one process per device and as many
//! CPU processes as there are tasks for them, each with one task at a time, and turns whatever
//! happens to a process into the end of at most one attempt: a driver that aborts, a worker that
//! hangs, floods or lies never reaches the daemon's session with the coordinator.
//!
//! This module decides nothing about leases or retries and knows no RPC: a task comes as a
//! [`RunTask`], its events come back in order, and blobs go through [`BlobAccess`].

mod blobs;
mod death;
mod error;
mod fences;
mod job;
mod memory;
mod output;
mod pool;
mod probe;
mod process;
mod runtime_dir;
mod session;
mod slot;
mod spec;
mod traffic;

pub use blobs::{BlobAccess, BoxFuture, Upload};
pub use error::Error;
pub use fences::FenceWatch;
pub use froben_protocol::{Failure, Level, RunKey};
pub use job::{RunTask, Running, WorkerEvent};
pub use pool::{Pool, Program, Refusal};
pub use probe::{ProbeReport, probe};
pub use runtime_dir::RuntimeDir;
pub use spec::{MEMORY_SLACK_BYTES, Timing, WorkerSpec};
