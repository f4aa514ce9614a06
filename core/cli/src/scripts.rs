//! Script sets: read from a folder, or those that come with the program.

use std::path::Path;

use froben_author::{LIBRARY, files};
use froben_journal::ScriptSet;

use crate::error::{Error, Exit};

/// What `froben dev` serves beside the library, unless told otherwise.
const PIPELINE: (&str, &str) = (
    "pipelines/data_commitments.lua",
    include_str!("../../../scripts/pipelines/data_commitments.lua"),
);

pub(crate) fn built_in() -> ScriptSet {
    let files = LIBRARY.into_iter().chain([PIPELINE]);
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

#[cfg(test)]
mod tests {
    use froben_model::limits;

    use super::*;

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
