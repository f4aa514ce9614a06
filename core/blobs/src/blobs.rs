//! The directory, and reading from it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use froben_model::{BlobRef, limits};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{Error, Upload};

const INCOMING: &str = "incoming";
const LOCK: &str = "lock";

/// The blobs of one directory. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ObjectStore>,
    dir: PathBuf,
    uploads: AtomicU64,
    /// Held as long as any clone lives.
    _lock: File,
}

impl Blobs {
    /// Opens the blobs in the directory `dir`, made if there is none, and removes what uploads of an
    /// earlier process left there.
    ///
    /// *Errors*: [`Error::Locked`] while somebody else has it open.
    pub async fn open(dir: &FilePath) -> Result<Self, Error> {
        let dir = dir.to_owned();
        blocking(move || {
            let failed = |source| Error::Open {
                path: dir.clone(),
                source,
            };
            fs::create_dir_all(dir.join(INCOMING)).map_err(failed)?;
            let lock = File::create(dir.join(LOCK)).map_err(failed)?;
            lock.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => Error::Locked { path: dir.clone() },
                TryLockError::Error(error) => failed(error),
            })?;
            let swept = sweep(&dir.join(INCOMING), |_| true).map_err(failed)?;
            if swept > 0 {
                tracing::info!(swept, dir = %dir.display(), "removed unfinished uploads");
            }
            let store = LocalFileSystem::new_with_prefix(&dir)?.with_fsync(true);
            Ok(Blobs {
                shared: Arc::new(Shared {
                    store: Arc::new(store),
                    dir,
                    uploads: AtomicU64::new(0),
                    _lock: lock,
                }),
            })
        })
        .await
    }

    /// Whether the blob is there, in its full size.
    pub async fn has(&self, blob: BlobRef) -> Result<bool, Error> {
        match self.reader(blob).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a blob for reading in ranges.
    ///
    /// *Errors*: [`Error::NotFound`], also for a blob of that hash and another size.
    pub async fn reader(&self, blob: BlobRef) -> Result<BlobHandle, Error> {
        let path = path_of(blob);
        let store = &self.shared.store;
        let found = store.head(&path).await;
        let found = found.map_err(|error| Error::of_read(blob, error))?;
        if found.size != blob.size_bytes {
            return Err(Error::NotFound(blob.hash));
        }
        Ok(BlobHandle {
            shared: Arc::clone(&self.shared),
            path,
            blob,
        })
    }

    /// The whole blob, held against its hash.
    ///
    /// *Errors*: [`Error::TooLarge`] above `limit_bytes`, before anything is read;
    /// [`Error::Mismatch`] if it was damaged on disk.
    pub async fn get(&self, blob: BlobRef, limit_bytes: u64) -> Result<Bytes, Error> {
        Error::check_size("the blob", blob.size_bytes, limit_bytes)?;
        let read = |error| Error::of_read(blob, error);
        let found = self.shared.store.get(&path_of(blob)).await.map_err(read)?;
        if found.meta.size != blob.size_bytes {
            return Err(Error::NotFound(blob.hash));
        }
        let bytes = found.bytes().await.map_err(read)?;
        blocking(move || match BlobRef::of(&bytes) {
            got if got == blob => Ok(bytes),
            got => Err(Error::Mismatch {
                expected: blob,
                got,
            }),
        })
        .await
    }

    /// Starts an upload of at most `limit_bytes`.
    ///
    /// *Errors*: [`Error::TooLarge`] for a limit above [`limits::BLOB_BYTES`].
    pub async fn writer(&self, limit_bytes: u64) -> Result<Upload, Error> {
        Error::check_size("the upload", limit_bytes, limits::BLOB_BYTES)?;
        let name = self.shared.uploads.fetch_add(1, Ordering::Relaxed);
        let path = Path::from_iter([INCOMING, &name.to_string()]);
        let parts = self.shared.store.put_multipart(&path).await?;
        let shared = Arc::clone(&self.shared);
        Ok(Upload::new(shared, path, parts, limit_bytes))
    }

    /// Keeps `bytes`; durable on return.
    pub async fn put(&self, bytes: Bytes) -> Result<BlobRef, Error> {
        let mut upload = self.writer(bytes.len() as u64).await?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(limits::CHUNK_BYTES));
            upload.write(chunk).await?;
        }
        let blob = upload.written();
        upload.finish(blob).await?;
        Ok(blob)
    }
}

impl Shared {
    /// Gives a complete upload the blob's name.
    pub(crate) async fn publish(&self, staged: &Path, blob: BlobRef) -> Result<(), Error> {
        Ok(self.store.rename(staged, &path_of(blob)).await?)
    }

    /// Removes whatever is left of an upload that could not be published.
    pub(crate) async fn forget(&self, staged: &Path) {
        let incoming = self.dir.join(INCOMING);
        let Some(name) = staged.filename().map(str::to_owned) else {
            return;
        };
        let swept = blocking(move || {
            // The store's own name for an upload that is not complete is `NAME#1`.
            let ours = |file: &str| file == name || file.starts_with(&format!("{name}#"));
            sweep(&incoming, ours).map_err(|error| Error::Io(error.into()))
        })
        .await;
        if let Err(error) = swept {
            tracing::warn!(%error, %staged, "cannot remove a failed upload");
        }
    }
}

/// A blob that was there when it was opened.
pub struct BlobHandle {
    shared: Arc<Shared>,
    path: Path,
    blob: BlobRef,
}

impl BlobHandle {
    pub fn blob(&self) -> BlobRef {
        self.blob
    }

    /// Up to `len` bytes from `offset` on: fewer at the end of the blob, none past it. Not held
    /// against the hash.
    ///
    /// *Errors*: [`Error::TooLarge`] for a `len` above [`limits::CHUNK_BYTES`].
    pub async fn read(&self, offset: u64, len: usize) -> Result<Bytes, Error> {
        Error::check_size("the chunk", len as u64, limits::CHUNK_BYTES as u64)?;
        let end = offset.saturating_add(len as u64).min(self.blob.size_bytes);
        if offset >= end {
            return Ok(Bytes::new());
        }
        let range: Range<u64> = offset..end;
        let read = self.shared.store.get_range(&self.path, range).await;
        read.map_err(|error| Error::of_read(self.blob, error))
    }
}

/// A directory of 65,536 blobs has 256 in each of its folders.
fn path_of(blob: BlobRef) -> Path {
    let name = blob.hash.to_string();
    Path::from_iter([&name[..2], &name])
}

/// Removes the files of `dir` that are `unwanted`, and gives their number.
fn sweep(dir: &FilePath, unwanted: impl Fn(&str) -> bool) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if unwanted(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Io(error.into())),
    }
}

#[cfg(test)]
mod tests;
