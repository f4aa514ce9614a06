//! Script sets: read from a folder, or those that come with the program.

use std::collections::BTreeMap;
use std::path::Path;

use froben_journal::ScriptSet;
use froben_model::limits;

use crate::error::{Error, Exit};

/// The folders of a set that count.
const FOLDERS: [&str; 2] = ["pipelines", "lib"];

/// What `froben dev` serves unless told otherwise.
const BUILT_IN: [(&str, &str); 5] = [
    (
        "lib/chunk.lua",
        include_str!("../../../scripts/lib/chunk.lua"),
    ),
    ("lib/era.lua", include_str!("../../../scripts/lib/era.lua")),
    (
        "lib/options.lua",
        include_str!("../../../scripts/lib/options.lua"),
    ),
    (
        "lib/retry.lua",
        include_str!("../../../scripts/lib/retry.lua"),
    ),
    (
        "pipelines/data_commitments.lua",
        include_str!("../../../scripts/pipelines/data_commitments.lua"),
    ),
];

pub(crate) fn built_in() -> ScriptSet {
    let files = BUILT_IN
        .iter()
        .map(|(path, source)| (path.to_string(), source.to_string()));
    ScriptSet {
        files: files.collect(),
    }
}

/// Every `.lua` file in the folders of `dir`.
pub(crate) fn read(dir: &Path) -> Result<ScriptSet, Error> {
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        let path = dir.join(folder);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder != "pipelines" => {
                continue;
            }
            Err(error) => {
                return Err(Error::file("read", &path, &error)
                    .code("FRB-LUA-013")
                    .hint("a script set is a folder that holds pipelines/ and, if need be, lib/"));
            }
        };
        for entry in entries {
            let path = entry
                .map_err(|error| Error::file("read", &path, &error))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|name| name.ends_with(".lua")) else {
                continue;
            };
            files.insert(format!("{folder}/{name}"), source(&path)?);
        }
    }
    Ok(ScriptSet { files })
}

fn source(path: &Path) -> Result<String, Error> {
    let size = std::fs::metadata(path)
        .map_err(|error| Error::file("read", path, &error))?
        .len();
    if size > limits::SCRIPT_BYTES as u64 {
        let why = format!(
            "{} has {size} bytes; a script has at most {}",
            path.display(),
            limits::SCRIPT_BYTES
        );
        return Err(Error::new(Exit::Script, why).code("FRB-LUA-013"));
    }
    std::fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(read(dir.path()).expect_err("too large").exit, Exit::Script);
    }
}
