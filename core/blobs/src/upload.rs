//! A blob on its way in.

use std::sync::Arc;

use bytes::Bytes;
use froben_model::{BlobHash, BlobRef};
use object_store::MultipartUpload;
use object_store::path::Path;

use crate::Error;
use crate::blobs::Shared;

/// An upload. It exists for nobody until [`Upload::finish`] has returned; dropping it forgets it.
pub struct Upload {
    shared: Arc<Shared>,
    path: Path,
    /// `None` once a write has failed, or was dropped half-way: then what is on disk is not what was
    /// hashed. Dropping the parts removes their file.
    parts: Option<Box<dyn MultipartUpload>>,
    hasher: blake3::Hasher,
    size_bytes: u64,
    limit_bytes: u64,
}

impl Upload {
    pub(crate) fn new(
        shared: Arc<Shared>,
        path: Path,
        parts: Box<dyn MultipartUpload>,
        limit_bytes: u64,
    ) -> Self {
        Upload {
            shared,
            path,
            parts: Some(parts),
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
            limit_bytes,
        }
    }

    /// What has been written so far, as a blob.
    pub fn written(&self) -> BlobRef {
        BlobRef {
            hash: BlobHash(*self.hasher.finalize().as_bytes()),
            size_bytes: self.size_bytes,
        }
    }

    /// Appends `chunk`. After an error, or if the future is dropped before it is ready, the upload is
    /// over and its bytes are gone.
    ///
    /// *Errors*: [`Error::TooLarge`] past the upload's limit; [`Error::NoSpace`];
    /// [`Error::GivenUp`] after an earlier failure.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        let mut parts = self.parts.take().ok_or(Error::GivenUp)?;
        let size_bytes = self.size_bytes + chunk.len() as u64;
        let mut written = Error::check_size("the upload", size_bytes, self.limit_bytes);
        if written.is_ok() && !chunk.is_empty() {
            self.hasher.update(&chunk);
            self.size_bytes = size_bytes;
            written = parts.put_part(chunk.into()).await.map_err(Error::from);
        }
        match written {
            Ok(()) => {
                self.parts = Some(parts);
                Ok(())
            }
            Err(error) => {
                give_up(parts).await;
                Err(error)
            }
        }
    }

    /// Publishes the bytes as `blob`; durable on return.
    ///
    /// *Errors*: [`Error::Mismatch`] if they are not the bytes of `blob`. After any error nothing of
    /// the upload is left.
    pub async fn finish(mut self, blob: BlobRef) -> Result<(), Error> {
        let mut parts = self.parts.take().ok_or(Error::GivenUp)?;
        let got = self.written();
        if got != blob {
            give_up(parts).await;
            return Err(Error::Mismatch {
                expected: blob,
                got,
            });
        }
        // On a task of its own: a caller that goes away must not leave half of this undone.
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        let publish = tokio::spawn(async move {
            let published = match parts.complete().await {
                Ok(_) => shared.publish(&path, blob).await,
                Err(error) => Err(error.into()),
            };
            if published.is_err() {
                shared.forget(&path).await;
            }
            published
        });
        match publish.await {
            Ok(published) => published,
            Err(error) => Err(Error::Io(error.into())),
        }
    }

    /// Forgets the upload; its bytes are gone on return.
    pub async fn abort(mut self) {
        if let Some(parts) = self.parts.take() {
            give_up(parts).await;
        }
    }
}

async fn give_up(mut parts: Box<dyn MultipartUpload>) {
    if let Err(error) = parts.abort().await {
        // It is out of the way; the next start removes it.
        tracing::warn!(%error, "cannot remove an upload that was given up");
    }
}
