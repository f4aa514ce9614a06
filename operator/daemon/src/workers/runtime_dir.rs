//! The directory where worker sockets live, for this user only.

use std::fs::{DirBuilder, remove_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;

/// Longest path that fits a socket's address on Linux, without the final zero.
const SOCKET_PATH_BYTES: usize = 107;

/// A fresh directory, mode 0700, that goes away with this value.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    next: AtomicU64,
}

impl RuntimeDir {
    /// Makes one in `XDG_RUNTIME_DIR`, or where temporary files go.
    pub fn create() -> Result<Self, Error> {
        let parent = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_dir())
            .unwrap_or_else(std::env::temp_dir);
        Self::create_in(&parent)
    }

    pub fn create_in(parent: &Path) -> Result<Self, Error> {
        let name = hex::encode(rand::random::<[u8; 8]>());
        let path = parent.join(format!("froben-{name}"));
        let limit = SOCKET_PATH_BYTES;
        if path.as_os_str().len() + "/w18446744073709551615".len() > limit {
            return Err(Error::PathTooLong { path, limit });
        }
        // Fails if it exists: nobody can have put it there before us.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(RuntimeDir {
                path,
                next: AtomicU64::new(1),
            }),
            Err(cause) => Err(Error::RuntimeDir { path, cause }),
        }
    }

    pub(super) fn fresh_socket(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("w{number}"))
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        // What cannot be removed is an empty directory among temporary files.
        let _ = remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_directory_is_the_users_own_and_goes_away() {
        let parent = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::create_in(parent.path()).unwrap();
        let mode = dir.path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_ne!(dir.fresh_socket(), dir.fresh_socket());
        let path = dir.path.clone();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_fits_no_socket_is_refused() {
        let parent = PathBuf::from("/tmp").join("x".repeat(80));
        let error = RuntimeDir::create_in(&parent).unwrap_err();
        assert!(matches!(error, Error::PathTooLong { .. }), "{error}");
    }
}
