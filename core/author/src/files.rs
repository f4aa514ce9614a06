//! Finds the scripts that a command line names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use froben_model::limits::SCRIPT_BYTES;

use crate::source::Sources;

/// The folders of a set that a coordinator serves.
pub const SERVED: [&str; 2] = ["pipelines", "lib"];

/// A folder that nests deeper than this is no folder of scripts.
const DEPTH: usize = 8;

/// Why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has {bytes} bytes; a script has at most {SCRIPT_BYTES}", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
    #[error("{} is not UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error("{} is named like a script, and is no file", path.display())]
    NotAFile { path: PathBuf },
}

/// Every `.lua` file below `path`, in order, or the file itself. What is hidden does not count, nor does
/// a link to a folder, which might lead in circles; a link to a file counts as that file.
///
/// *Errors*: a folder that cannot be read; what is named like a script and is none, or leads nowhere: left
/// out, a pipeline would be gone without a word.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let mut found = Vec::new();
    walk(path, DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let unreadable = |source| FilesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(unreadable)?.is_file() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if hidden {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let path = entry.path();
        let script = path.extension().is_some_and(|extension| extension == "lua");
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, found)?;
        } else if script && !kind.is_dir() {
            let target = fs::metadata(&path);
            let target = target.map_err(|source| FilesError::Unreadable {
                path: path.clone(),
                source,
            })?;
            match (target.is_file(), target.is_dir()) {
                (true, _) => found.push(path),
                (false, true) => {}
                (false, false) => return Err(FilesError::NotAFile { path }),
            }
        }
    }
    Ok(())
}

/// One script.
pub fn read_one(path: &Path) -> Result<String, FilesError> {
    let unreadable = |source| FilesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > SCRIPT_BYTES as u64 {
        let path = path.to_owned();
        return Err(FilesError::TooLarge { path, bytes });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| FilesError::NotText {
        path: path.to_owned(),
    })
}

/// Every script of the folder `dir`, by its path in it, with `/` between the parts.
pub fn read(dir: &Path) -> Result<Sources, FilesError> {
    let mut sources = Sources::new();
    for path in find(dir)? {
        let inner = path.strip_prefix(dir).unwrap_or(&path);
        let parts = inner
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        let inner = parts.collect::<Vec<_>>().join("/");
        sources.insert(inner, read_one(&path)?);
    }
    Ok(sources)
}

/// The scripts of the folder `dir` that a coordinator serves.
pub fn read_set(dir: &Path) -> Result<Sources, FilesError> {
    let mut set = Sources::new();
    for folder in SERVED {
        let inside = dir.join(folder);
        if inside.is_dir() {
            let found = read(&inside)?.into_iter();
            set.extend(found.map(|(path, source)| (format!("{folder}/{path}"), source)));
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_by_their_names() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &[u8]| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("pipelines/b.lua", b"b");
        write("lib/deep/a.lua", b"a");
        write("notes.txt", b"x");
        write(".git/c.lua", b"c");
        write("lib/.#d.lua", b"d");
        write("spec/e.lua", b"e");
        std::os::unix::fs::symlink("../../notes.txt", dir.path().join("lib/deep/f.lua"))
            .expect("a link");
        std::os::unix::fs::symlink(".", dir.path().join("lib/round.lua")).expect("a link");
        let sources = read(dir.path()).expect("all can be read");
        let paths: Vec<_> = sources.keys().map(String::as_str).collect();
        let set = ["lib/deep/a.lua", "lib/deep/f.lua", "pipelines/b.lua"];
        assert_eq!(paths, [&set[..], &["spec/e.lua"]].concat());
        assert!(
            read_set(dir.path())
                .expect("all can be read")
                .keys()
                .eq(set)
        );
        assert_eq!(
            read_one(&dir.path().join("pipelines/b.lua")).expect("text"),
            "b"
        );

        write("lib/bad.lua", b"\xff");
        assert!(matches!(read(dir.path()), Err(FilesError::NotText { .. })));
        write("lib/bad.lua", &vec![b'-'; SCRIPT_BYTES + 1]);
        assert!(matches!(read(dir.path()), Err(FilesError::TooLarge { .. })));
        let missing = find(&dir.path().join("none"));
        assert!(matches!(missing, Err(FilesError::Unreadable { .. })));
    }

    #[test]
    fn nothing_that_is_named_like_a_script_is_left_out_silently() {
        let dir = tempfile::tempdir().expect("a folder");
        let pipelines = dir.path().join("pipelines");
        fs::create_dir(&pipelines).expect("a folder");
        fs::write(pipelines.join("a.lua"), "a").expect("a file");
        let refused = |path: &Path| {
            let error = read_set(dir.path()).expect_err("it is refused");
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
            fs::remove_file(path).expect("it was there");
            error
        };
        let link = pipelines.join("b.lua");
        std::os::unix::fs::symlink("gone.lua", &link).expect("a link");
        let error = refused(&link);
        assert!(matches!(error, FilesError::Unreadable { .. }), "{error}");
        let socket = pipelines.join("c.lua");
        let _held = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let error = refused(&socket);
        assert!(matches!(error, FilesError::NotAFile { .. }), "{error}");
        assert_eq!(read_set(dir.path()).expect("the rest can be read").len(), 1);
    }
}
