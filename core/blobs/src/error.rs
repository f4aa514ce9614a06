use std::io;
use std::path::PathBuf;

use froben_model::{BlobHash, BlobRef};

/// Why bytes could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such blob: {0}")]
    NotFound(BlobHash),
    #[error(
        "the bytes are not the blob's: expected {} ({} bytes), got {} ({} bytes)",
        expected.hash, expected.size_bytes, got.hash, got.size_bytes
    )]
    Mismatch { expected: BlobRef, got: BlobRef },
    #[error("{what} is {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        what: &'static str,
        size_bytes: u64,
        limit_bytes: u64,
    },
    #[error("no space is left for blobs")]
    NoSpace,
    /// An earlier write of the same upload failed or was given up half-way.
    #[error("the upload has been given up")]
    GivenUp,
    #[error("the blobs at {} are in use by another process", path.display())]
    Locked { path: PathBuf },
    #[error("cannot open the blobs at {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read or write blobs: {0}")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        let mut link: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = link {
            let io = cause.downcast_ref::<io::Error>();
            if io.is_some_and(|io| full.contains(&io.kind())) {
                return Error::NoSpace;
            }
            link = cause.source();
        }
        Error::Io(error.into())
    }
}

impl Error {
    /// For a read of `blob`.
    pub(crate) fn of_read(blob: BlobRef, error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Error::NotFound(blob.hash),
            error => error.into(),
        }
    }

    pub(crate) fn check_size(
        what: &'static str,
        size_bytes: u64,
        limit_bytes: u64,
    ) -> Result<(), Error> {
        match size_bytes <= limit_bytes {
            true => Ok(()),
            false => Err(Error::TooLarge {
                what,
                size_bytes,
                limit_bytes,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the local backend wraps it.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot copy to file: {source}")]
    struct Wrapped {
        source: io::Error,
    }

    #[test]
    fn a_full_disk_is_told_from_the_rest() {
        let error = |kind: io::ErrorKind| {
            let source = Box::new(Wrapped {
                source: kind.into(),
            });
            Error::from(object_store::Error::Generic {
                store: "test",
                source,
            })
        };
        assert!(matches!(error(io::ErrorKind::StorageFull), Error::NoSpace));
        assert!(matches!(
            error(io::ErrorKind::QuotaExceeded),
            Error::NoSpace
        ));
        assert!(matches!(error(io::ErrorKind::NotFound), Error::Io(_)));
    }
}
