//! Script sets: read from a folder, or those that come with the program.

use std::path::Path;

use froben_author::{LIBRARY, files};
use froben_journal::ScriptSet;
use froben_model::limits;

use crate::error::{Error, Exit};

/// What `froben dev` serves beside the library, unless told otherwise.
const PIPELINES: [(&str, &str); 3] = [
    (
        "pipelines/data_commitments.lua",
        include_str!("../../../scripts/pipelines/data_commitments.lua"),
    ),
    (
        "pipelines/era_batch.lua",
        include_str!("../../../scripts/pipelines/era_batch.lua"),
    ),
    (
        "pipelines/era_circuits.lua",
        include_str!("../../../scripts/pipelines/era_circuits.lua"),
    ),
];

pub(crate) fn built_in() -> ScriptSet {
    let files = LIBRARY.into_iter().chain(PIPELINES);
    let files = files.map(|(path, source)| (path.to_string(), source.to_string()));
    ScriptSet {
        files: files.collect(),
    }
}

/// The scripts of the folder `dir` that a coordinator serves.
pub(crate) fn read(dir: &Path) -> Result<ScriptSet, Error> {
    let pipelines = dir.join("pipelines");
    if !pipelines.is_dir() {
        let why = format!("there is no folder {}", pipelines.display());
        return Err(Error::new(Exit::NotFound, why)
            .code("FRB-LUA-013")
            .hint("a script set is a folder that holds pipelines/ and, if need be, lib/"));
    }
    let files = files::read_set(dir)?;
    Ok(ScriptSet { files })
}

/// The same to be sent to a coordinator, which takes no message that is much larger than a set may be.
pub(crate) fn read_to_send(dir: &Path) -> Result<ScriptSet, Error> {
    let set = read(dir)?;
    let bytes: usize = set.files.values().map(String::len).sum();
    let (count, most_files, most_bytes) = (
        set.files.len(),
        limits::SCRIPT_FILES,
        limits::SCRIPT_SET_BYTES,
    );
    let why = if count > most_files {
        format!("{count} files, the limit is {most_files}")
    } else if bytes > most_bytes {
        format!("{bytes} bytes of sources, the limit is {most_bytes}")
    } else {
        return Ok(set);
    };
    Err(Error::new(Exit::Script, format!("the set: {why}"))
        .code("FRB-LUA-013")
        .hint("nothing was sent; data does not belong in scripts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_over_the_limits_is_not_sent() {
        let dir = tempfile::tempdir().expect("a folder");
        let lib = dir.path().join("lib");
        std::fs::create_dir_all(&lib).expect("a folder");
        std::fs::create_dir(dir.path().join("pipelines")).expect("a folder");
        let write = |n: usize, text: &str| {
            std::fs::write(lib.join(format!("m{n}.lua")), text).expect("a file");
        };
        let refused = |words: &str| {
            let error = read_to_send(dir.path()).expect_err("too much");
            assert_eq!(error.exit, Exit::Script);
            assert_eq!(error.code.as_deref(), Some("FRB-LUA-013"));
            assert!(error.message.contains(words), "{}", error.message);
        };
        (0..limits::SCRIPT_FILES).for_each(|n| write(n, ""));
        assert!(read_to_send(dir.path()).is_ok());
        write(limits::SCRIPT_FILES, "");
        refused("257 files, the limit is 256");
        std::fs::remove_file(lib.join("m256.lua")).expect("it was there");
        let large = "-".repeat(limits::SCRIPT_BYTES);
        (0..16).for_each(|n| write(n, &large));
        assert!(read_to_send(dir.path()).is_ok());
        write(16, "-");
        refused("4194305 bytes of sources, the limit is 4194304");
    }

    #[test]
    fn every_script_of_the_repository_comes_with_the_program() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
        assert_eq!(
            read(&repository).expect("the scripts can be read"),
            built_in()
        );
    }

    #[test]
    fn a_folder_without_pipelines_and_an_oversized_script_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = read(dir.path()).expect_err("there are no pipelines");
        assert_eq!(error.exit, Exit::NotFound);
        std::fs::create_dir(dir.path().join("pipelines")).expect("a folder");
        let big = "-".repeat(limits::SCRIPT_BYTES + 1);
        std::fs::write(dir.path().join("pipelines/x.lua"), big).expect("a file");
        let error = read(dir.path()).expect_err("too large");
        assert_eq!(error.exit, Exit::Script);
        assert_eq!(error.code.as_deref(), Some("FRB-LUA-013"));
    }
}
