//! Spec files, and the script set that each is about.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use froben_model::Kind;
use froben_script::spec::Case;

use super::kinds;
use crate::Sources;
use crate::files::{self, FilesError};

/// The folder of specs in a folder of scripts.
const FOLDER: &str = "spec";

/// One file of specs.
#[derive(Debug, Clone)]
pub struct SpecFile {
    /// As it is shown: the way by which it was found.
    pub found: PathBuf,
    /// The folder of scripts around `spec/`.
    pub root: PathBuf,
    /// Its path in there: `spec/retry.lua`.
    pub path: String,
    pub source: String,
    /// The scripts that are served: pipelines and modules.
    pub set: Sources,
    /// The kinds that the scripts and the spec name.
    pub kinds: BTreeSet<Kind>,
    /// Only the case that this line belongs to.
    pub line: Option<u32>,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("{} is not in a folder `{FOLDER}/`", .0.display())]
    NotASpec(PathBuf),
    #[error("there are no specs in {}", .0.display())]
    None(PathBuf),
}

impl SpecFile {
    /// Whether the file was asked for as a whole, or by a line of this case.
    pub(super) fn chosen(&self, cases: &[Case], case: &Case) -> bool {
        let Some(line) = self.line else { return true };
        let lines = cases.iter().map(|case| case.line);
        let begins = lines.filter(|begins| *begins <= line).max();
        begins == Some(case.line)
    }
}

/// The specs at `path`: a file, `FILE:LINE`, a folder of specs, or a folder of scripts that has one.
pub fn find(path: &Path) -> Result<Vec<SpecFile>, FindError> {
    let (path, line) = split_line(path);
    let inside = path.join(FOLDER);
    let folder = if inside.is_dir() { &inside } else { &path };
    let mut found = Vec::new();
    let mut set: Option<(PathBuf, Sources)> = None;
    for file in files::find(folder)? {
        let (root, inner) = root_of(&file).ok_or_else(|| FindError::NotASpec(file.clone()))?;
        let scripts = match &set {
            Some((known, scripts)) if *known == root => scripts.clone(),
            _ => {
                let scripts = files::read_set(&root)?;
                set = Some((root.clone(), scripts.clone()));
                scripts
            }
        };
        let source = files::read_one(&file)?;
        let mut kinds = BTreeSet::new();
        for text in scripts.values().chain([&source]) {
            kinds::in_source(text, &mut kinds);
        }
        found.push(SpecFile {
            found: file,
            root,
            path: inner,
            source,
            set: scripts,
            kinds,
            line,
        });
    }
    match found.is_empty() {
        true => Err(FindError::None(path)),
        false => Ok(found),
    }
}

/// Takes `FILE:LINE` apart, if there is no such file.
fn split_line(path: &Path) -> (PathBuf, Option<u32>) {
    let text = path.to_string_lossy();
    let split = text
        .rsplit_once(':')
        .and_then(|(file, line)| Some((file, line.parse().ok()?)));
    match split {
        Some((file, line)) if !path.exists() => (PathBuf::from(file), Some(line)),
        _ => (path.to_path_buf(), None),
    }
}

/// The folder around the nearest `spec/`, and the path from there.
fn root_of(file: &Path) -> Option<(PathBuf, String)> {
    let absolute = std::path::absolute(file).ok()?;
    let spec = absolute
        .ancestors()
        .skip(1)
        .find(|dir| dir.ends_with(FOLDER))?;
    let root = spec.parent()?;
    let inner = absolute.strip_prefix(root).ok()?;
    let parts = inner
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    Some((root.to_path_buf(), parts.collect::<Vec<_>>().join("/")))
}
