//! Content-addressed bytes: the coordinator's blobs, in a directory.
//!
//! A blob is there or it is not: nobody ever sees a part of one. An upload goes to a file under
//! `incoming/` while its hash is computed; [`Upload::finish`] compares the hash with the promised one,
//! syncs the file, renames it to its own name, and syncs the directories. What a crash leaves under
//! `incoming/` is removed when the directory is opened next, which the file `lock` grants to one
//! process at a time.
//!
//! *Shape* of the directory: `ab/abcd...` (64 hex digits of the hash), `incoming/N`, `lock`.
//!
//! All of this goes through `object_store`, with its syncing switched on: its staged uploads and its
//! rename do what is said above for files (version 0.14, `LocalFileSystem::with_fsync`), and an S3
//! service takes the same calls. It is not relied on to compare and swap, which its local backend
//! cannot: a name is the content's, so whoever writes second writes the same bytes. A blob that is
//! there already is replaced all the same, which heals one that was damaged on disk.
//!
//! What this does not do: [`Blobs::get`] holds the bytes against the hash, but [`BlobHandle::read`]
//! gives a range, of which no hash is known; whoever reads a blob in ranges checks the whole at the
//! end. A file whose size is not the blob's counts as absent, so that a truncated blob is uploaded
//! again rather than served. Nothing is ever collected here: only a journal knows what is referred to.

mod blobs;
mod error;
mod upload;

pub use blobs::{BlobHandle, Blobs};
pub use error::Error;
pub use upload::Upload;
