//! Where a session keeps what it need not find out again: compiled programs and tunings.
//!
//! Files are written beside their place and moved there, so that a reader meets a whole file or none,
//! whoever else writes and whenever the machine stops. Nothing here is trusted for being there: each
//! reader checks what it reads, and a folder that cannot be used costs time, not work.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Where compiled programs and tunings are kept between sessions.
///
/// A compiled program is code that runs as the user: a folder that belongs to somebody else, or that others
/// may write to, is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// `froben/opencl` in the user's folder of caches, which is `XDG_CACHE_HOME` or `~/.cache`; nowhere
    /// for a user who has no home.
    #[default]
    User,
    /// This folder, which is made when it is first written to.
    Folder(PathBuf),
    /// Nowhere: programs are compiled and defaults used, each time anew.
    None,
}

impl Storage {
    /// The folder that it stands for.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        let folder = match self {
            Self::User => user_folder(|name| std::env::var_os(name)),
            Self::Folder(folder) => Some(folder.clone()),
            Self::None => None,
        }?;
        match is_private(&folder) {
            Ok(true) => Some(folder),
            Ok(false) => {
                tracing::warn!(
                    folder = %folder.display(),
                    "the folder of compiled programs belongs to somebody else or can be written to by \
                     others, so it is not used; make it yours alone with chown and chmod 700"
                );
                None
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "the folder of compiled programs is not used");
                None
            }
        }
    }
}

/// Whether the folder is this user's, and nobody else may write to it; one that is not there will be.
fn is_private(folder: &Path) -> io::Result<bool> {
    let found = match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        found => found?,
    };
    // A process owns its own entry there as the user that it runs as.
    let user = fs::metadata("/proc/self")?.uid();
    Ok(found.uid() == user && found.mode() & 0o022 == 0)
}

fn user_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path would mean another folder for each working directory; the standard says to ignore it.
    let absolute = |name| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("froben").join("opencl"))
}

/// Makes `bytes` the content of `path`, at once; makes its folder, for this user alone, if need be.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.{number}", process::id()));
    let beside = folder.join(beside);
    let mut open = OpenOptions::new();
    let written = open
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What failed is said already; a file that stays is found by [`keep_newest`].
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Leaves the `count` files of a folder that were written last: those of older drivers are of no more use.
pub(crate) fn keep_newest(folder: &Path, count: usize) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            files.push((metadata.modified()?, entry.path()));
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(count);
    for (_, path) in files.drain(..surplus) {
        match fs::remove_file(path) {
            // Another session clears the same folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_write_to_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let used = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path(), permissions).expect("our folder");
            Storage::Folder(folder.path().to_owned()).folder().is_some()
        };
        assert!(used(0o700) && used(0o755));
        assert!(!used(0o770) && !used(0o757));
        let missing = folder.path().join("missing");
        assert_eq!(Storage::Folder(missing.clone()).folder(), Some(missing));
    }

    #[test]
    fn the_users_folder_is_where_the_standard_puts_it() {
        let folder = |cache: Option<&str>, home: Option<&str>| {
            let found = user_folder(|name| match name {
                "XDG_CACHE_HOME" => cache.map(OsString::from),
                "HOME" => home.map(OsString::from),
                _ => None,
            });
            found.map(|path| path.display().to_string())
        };
        let at = |path: &str| Some(path.to_owned());
        assert_eq!(folder(Some("/c"), Some("/h")), at("/c/froben/opencl"));
        assert_eq!(folder(None, Some("/h")), at("/h/.cache/froben/opencl"));
        assert_eq!(folder(Some("c"), Some("/h")), at("/h/.cache/froben/opencl"));
        assert_eq!(folder(Some("c"), Some("h")), None);
        assert_eq!(folder(None, None), None);
        assert_eq!(Storage::None.folder(), None);
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b/file");
        for content in ["first", "2"] {
            write(&path, content.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
        }
        let names = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
        assert_eq!(names(path.parent().expect("a folder")), 1);
        // A folder in the way is no file to replace.
        fs::create_dir(dir.path().join("taken")).expect("a folder");
        assert!(write(&dir.path().join("taken"), b"x").is_err());
        assert_eq!(names(dir.path()), 2);
    }

    #[test]
    fn the_oldest_files_go_first() {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, age) in [("old", 30), ("new", 10), ("older", 40), ("newest", 0)] {
            let file = fs::File::create(dir.path().join(name)).expect("a file");
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(then).expect("a time");
        }
        keep_newest(dir.path(), 2).expect("cleared");
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["new", "newest"]);
    }
}
