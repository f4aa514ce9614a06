//! Where a worker's blobs come from and go to; the RPC side implements it over the coordinator.

use std::pin::Pin;

use froben_model::BlobRef;
use froben_protocol::Failure;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The blobs of one task. A failure's class reaches the worker, and usually ends the task with it.
///
/// Calls are limited in number by the worker protocol and cut off when the task ends; how long one
/// may take is for the implementation to limit.
pub trait BlobAccess: Send + Sync {
    /// `len` bytes of `blob` from `offset`.
    ///
    /// *Shape*: at most [`froben_model::limits::CHUNK_BYTES`], inside the blob; exactly `len` come
    /// back. Calls overlap.
    fn read(&self, blob: BlobRef, offset: u64, len: u32)
    -> BoxFuture<'_, Result<Vec<u8>, Failure>>;

    /// Starts an upload of at most `max_bytes`.
    fn open(&self, max_bytes: u64) -> BoxFuture<'_, Result<Box<dyn Upload>, Failure>>;
}

/// An upload. Dropping it forgets it.
pub trait Upload: Send {
    /// Appends at most [`froben_model::limits::CHUNK_BYTES`].
    ///
    /// The worker may send as many more as its window allows once this returns; an implementation
    /// may return before the bytes have arrived and report a failure later.
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Failure>>;

    /// Publishes the blob: returns when it is stored. Fails if the bytes are not those of `blob`.
    fn finish(self: Box<Self>, blob: BlobRef) -> BoxFuture<'static, Result<(), Failure>>;
}
