//! What a task can ask of the daemon while it runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use froben_model::{BlobHash, BlobRef, ErrorClass, Value, limits};

use crate::connection::{Connection, cancelled};
use crate::convert::NAME_BYTES;
use crate::message::{Failure, FromWorker, Level};
use crate::upload::Upload;
use crate::{REQUESTS_IN_FLIGHT, codec};

/// A running task's way to the daemon. Several threads of a worker may share it.
///
/// Every call fails with class `cancelled` once the task is cancelled; a task that returns such a
/// failure is done as quickly as the daemon hopes.
pub struct TaskCtx {
    pub(crate) connection: Arc<Connection>,
    pub(crate) task: u64,
    /// The most that the task has held of its device's memory; 0 if nobody said.
    pub(crate) vram_bytes: AtomicU64,
}

impl TaskCtx {
    /// The whole of `blob`, its hash checked.
    ///
    /// *Errors*: class `bad_request` if it has more than `max_bytes`, the daemon's failure if it
    /// cannot be had, `worker_failed` if it arrives damaged.
    pub fn read_blob(&self, blob: BlobRef, max_bytes: u64) -> Result<Vec<u8>, Failure> {
        if blob.size_bytes > max_bytes {
            let message = format!(
                "blob {} has {} bytes, this task takes at most {max_bytes}",
                blob.hash, blob.size_bytes
            );
            return Err(Failure::new(ErrorClass::BadRequest, message));
        }
        let bytes = self.read_range(blob, 0, blob.size_bytes)?;
        match BlobHash::of(&bytes) == blob.hash {
            true => Ok(bytes),
            false => Err(Failure::new(
                ErrorClass::WorkerFailed,
                format!("blob {} arrived damaged", blob.hash),
            )),
        }
    }

    /// `len` bytes of `blob` from `offset`. Nothing checks them against the hash, which is that of
    /// the whole.
    ///
    /// *Errors*: class `bad_request` if they lie outside the blob; as [`Self::read_blob`] otherwise.
    pub fn read_range(&self, blob: BlobRef, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let mut pending = VecDeque::new();
        let mut asked = 0;
        loop {
            while asked < len && pending.len() < REQUESTS_IN_FLIGHT {
                let piece = (len - asked).min(limits::CHUNK_BYTES as u64) as u32;
                codec::check_read(blob, offset.saturating_add(asked), piece)
                    .map_err(|why| Failure::new(ErrorClass::BadRequest, why))?;
                let request = self.connection.request(self.task, |req| FromWorker::Read {
                    req,
                    blob,
                    offset: offset + asked,
                    len: piece,
                })?;
                pending.push_back((request, piece));
                asked += u64::from(piece);
            }
            let Some((request, piece)) = pending.pop_front() else {
                return Ok(bytes);
            };
            let chunk = request.wait()?;
            if chunk.len() != piece as usize {
                let message = format!("blob {}: {} bytes for {piece}", blob.hash, chunk.len());
                return Err(Failure::new(ErrorClass::WorkerFailed, message));
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Stores bytes as a blob.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<BlobRef, Failure> {
        let mut upload = self.upload(bytes.len() as u64)?;
        upload.append(bytes)?;
        upload.publish()
    }

    /// Starts an upload of at most `max_bytes`, for what is made piece by piece.
    ///
    /// *Errors*: class `bad_request` if that is more than a blob may have.
    pub fn upload(&self, max_bytes: u64) -> Result<Upload<'_>, Failure> {
        Upload::open(self, max_bytes)
    }

    /// Notes that the task held so much of its device's memory. The most of it is told with each item
    /// that follows, and the coordinator learns from it what the kind needs.
    pub fn held_vram(&self, bytes: u64) {
        self.vram_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Reports an item. Its blobs are published by now; `device` names what it was computed on.
    ///
    /// A value beyond the model's limits is reported as a failed item of class `invalid_result`; a
    /// device's name is cut to 256 bytes.
    pub fn item(
        &self,
        index: u32,
        outcome: Result<Value, Failure>,
        device: &str,
    ) -> Result<(), Failure> {
        if self.cancelled() {
            return Err(cancelled());
        }
        let outcome = outcome.and_then(|value| match value.check_limits("the item's value") {
            Ok(()) => Ok(value),
            Err(error) => Err(Failure::new(ErrorClass::InvalidResult, error.to_string())),
        });
        self.connection.report(&FromWorker::Item {
            task: self.task,
            index,
            outcome,
            device: (!device.is_empty())
                .then(|| device[..device.floor_char_boundary(NAME_BYTES)].to_owned()),
            vram_bytes: Some(self.vram_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0),
        })
    }

    /// Says something to whoever reads the workflow's log. May be dropped under load.
    pub fn log(&self, level: Level, line: &str) -> Result<(), Failure> {
        self.connection.report(&FromWorker::Log {
            task: Some(self.task),
            level,
            line: limits::one_line(line),
        })
    }

    /// Whether nobody wants the result any more. To be asked between steps.
    pub fn cancelled(&self) -> bool {
        self.connection.is_cancelled(self.task)
    }

    /// [`Self::cancelled`] for code that this borrow does not reach, such as the thread of a device.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation {
            connection: self.connection.clone(),
            task: self.task,
        }
    }

    /// [`Self::cancelled`] as a failure, to be passed on by `?`.
    pub fn check_cancelled(&self) -> Result<(), Failure> {
        match self.cancelled() {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }
}

/// Tells whether a task is still wanted, for as long as anybody asks.
#[derive(Clone)]
pub struct Cancellation {
    connection: Arc<Connection>,
    task: u64,
}

impl Cancellation {
    /// Whether nobody wants the task's result any more; so it is too once the task is over.
    pub fn cancelled(&self) -> bool {
        self.connection.is_cancelled(self.task)
    }
}
