//! A blob on its way out of a worker, in chunks.

use std::collections::VecDeque;
use std::io;

use froben_model::{BlobHash, BlobRef, ErrorClass, limits};

use crate::REQUESTS_IN_FLIGHT;
use crate::connection::Pending;
use crate::context::TaskCtx;
use crate::message::{Failure, FromWorker};

/// An open upload. Nobody sees the blob before [`Upload::publish`] has answered; dropping the upload
/// forgets it.
pub struct Upload<'a> {
    ctx: &'a TaskCtx,
    id: u64,
    hasher: blake3::Hasher,
    size_bytes: u64,
    /// Less than a chunk that waits to be sent.
    buffer: Vec<u8>,
    unanswered: VecDeque<Pending>,
    published: bool,
}

impl<'a> Upload<'a> {
    pub(crate) fn open(ctx: &'a TaskCtx, max_bytes: u64) -> Result<Self, Failure> {
        check_size(max_bytes)?;
        let upload = ctx.connection.fresh_id();
        let open = ctx.connection.request(ctx.task, |req| FromWorker::Open {
            req,
            upload,
            max_bytes,
        })?;
        Ok(Upload {
            ctx,
            id: upload,
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
            buffer: Vec::new(),
            unanswered: VecDeque::from([open]),
            published: false,
        })
    }

    /// Appends bytes.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        check_size(self.size_bytes)?;
        self.hasher.update(bytes);
        while !bytes.is_empty() {
            let room = limits::CHUNK_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == limits::CHUNK_BYTES {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Sends what is left, publishes the blob and waits until it is stored.
    pub fn publish(mut self) -> Result<BlobRef, Failure> {
        if !self.buffer.is_empty() {
            self.send()?;
        }
        let upload = self.id;
        let blob = BlobRef {
            hash: BlobHash(*self.hasher.finalize().as_bytes()),
            size_bytes: self.size_bytes,
        };
        let publish = self
            .ctx
            .connection
            .request(self.ctx.task, |req| FromWorker::Publish {
                req,
                upload,
                blob,
            })?;
        self.unanswered.push_back(publish);
        for pending in std::mem::take(&mut self.unanswered) {
            pending.wait()?;
        }
        self.published = true;
        Ok(blob)
    }

    fn send(&mut self) -> Result<(), Failure> {
        let (upload, bytes) = (self.id, std::mem::take(&mut self.buffer));
        let write = self
            .ctx
            .connection
            .request(self.ctx.task, |req| FromWorker::Write {
                req,
                upload,
                bytes,
            })?;
        self.unanswered.push_back(write);
        // A failure shows after at most a window of chunks, not only at the end.
        while self.unanswered.len() > REQUESTS_IN_FLIGHT {
            if let Some(oldest) = self.unanswered.pop_front() {
                oldest.wait()?;
            }
        }
        Ok(())
    }
}

/// No machine can store more than a blob may have.
fn check_size(size_bytes: u64) -> Result<(), Failure> {
    let limit = limits::BLOB_BYTES;
    match size_bytes <= limit {
        true => Ok(()),
        false => Err(Failure::new(
            ErrorClass::BadRequest,
            format!("an upload of {size_bytes} bytes, the limit is {limit}"),
        )),
    }
}

impl io::Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Bytes go out by the chunk, and only publishing says that they arrived.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.published {
            // The daemon forgets it with the task at the latest.
            let _ = self
                .ctx
                .connection
                .send(&FromWorker::Discard { upload: self.id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_upload_is_larger_than_a_blob() {
        assert_eq!(check_size(limits::BLOB_BYTES), Ok(()));
        let failure = check_size(limits::BLOB_BYTES + 1).unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest);
        assert!(failure.message.contains("the limit is"), "{failure}");
    }
}
