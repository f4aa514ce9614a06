//! Pipelines to begin with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Modules that templates require; they come with the program too.
const LIBRARY: [(&str, &str); 4] = [
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
];

/// A pipeline that runs, to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    source: &'static str,
}

/// Every template, the simplest first.
pub const TEMPLATES: [Template; 4] = [
    Template {
        name: "hello",
        summary: "one task on one machine",
        source: include_str!("../templates/hello.lua"),
    },
    Template {
        name: "fan-out",
        summary: "many items in pieces; results are used as they arrive",
        source: include_str!("../templates/fan-out.lua"),
    },
    Template {
        name: "retry",
        summary: "items that fail are tried again elsewhere",
        source: include_str!("../templates/retry.lua"),
    },
    Template {
        name: "era-like",
        summary: "witness, circuits, layers of aggregation, compression",
        source: include_str!("../templates/era-like.lua"),
    },
];

/// Why a template was not written out.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("the name `{0}` has other letters than a-z, 0-9, `_` and `-`, or more than 64")]
    Name(String),
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Template {
    /// The source, for a pipeline of that name.
    pub fn source(&self, name: &str) -> String {
        let (own, new) = (
            format!("workflow(\"{}\"", self.name),
            format!("workflow(\"{name}\""),
        );
        self.source.replacen(&own, &new, 1)
    }

    /// Writes it to `pipelines/NAME.lua` in `dir`, with the modules that it requires where they are
    /// missing. Overwrites nothing, and writes nothing if the pipeline is there already.
    ///
    /// Returns the paths that were written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<Vec<PathBuf>, TemplateError> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err(TemplateError::Name(name.to_owned()));
        }
        let pipeline = dir.join(format!("pipelines/{name}.lua"));
        create(&pipeline, &self.source(name))?;
        let mut written = vec![pipeline];
        for (path, source) in self.modules() {
            let path = dir.join(path);
            match create(&path, source) {
                Ok(()) => written.push(path),
                // The author's own version serves as well.
                Err(TemplateError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// The modules that it requires, and what these require.
    fn modules(&self) -> Vec<(&'static str, &'static str)> {
        let mut needed: Vec<(&str, &str)> = Vec::new();
        let mut sources = vec![self.source];
        while let Some(source) = sources.pop() {
            for (path, module) in LIBRARY {
                let name = path.trim_end_matches(".lua");
                let new = needed.iter().all(|(known, _)| *known != path);
                if new && source.contains(&format!("require(\"{name}\")")) {
                    needed.push((path, module));
                    sources.push(module);
                }
            }
        }
        needed
    }
}

/// Writes a file that must not be there yet.
fn create(path: &Path, text: &str) -> Result<(), TemplateError> {
    let wrong = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => TemplateError::Exists(path.to_owned()),
        _ => TemplateError::Unwritable {
            path: path.to_owned(),
            source,
        },
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(wrong)?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckOptions, check, files, format};

    #[test]
    fn every_template_is_checked_linted_and_formatted() {
        for template in TEMPLATES {
            let dir = tempfile::tempdir().expect("a folder");
            let name = format!("my_{}", template.name);
            let written = template.write(dir.path(), &name).expect("it is written");
            assert!(written[0].ends_with(format!("pipelines/{name}.lua")));
            let sources = files::read(dir.path()).expect("it can be read");
            assert_eq!(
                check(&sources, &CheckOptions::default()),
                [],
                "{}",
                template.name
            );
            for (path, text) in &sources {
                let formatted = format(path, text).expect("it parses");
                assert_eq!(
                    crate::diff([path, "formatted"], text, &formatted),
                    "",
                    "{}",
                    template.name
                );
            }
            let revision =
                froben_script::Revision::check(&sources, &froben_script::Limits::default());
            let revision = revision.expect("it is a revision");
            assert!(revision.pipeline(&name).is_ok());
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let [hello, .., retry, _] = TEMPLATES;
        hello.write(dir.path(), "x").expect("it is written");
        let again = retry.write(dir.path(), "x");
        assert!(matches!(again, Err(TemplateError::Exists(_))));
        assert!(!dir.path().join("lib").exists());
        fs::create_dir(dir.path().join("lib")).expect("a folder");
        fs::write(dir.path().join("lib/retry.lua"), "return {}").expect("a file");
        let written = retry.write(dir.path(), "y").expect("it is written");
        assert!(!written.iter().any(|path| path.ends_with("lib/retry.lua")));
        let kept = fs::read_to_string(dir.path().join("lib/retry.lua")).expect("a file");
        assert_eq!(kept, "return {}");
        for bad in ["", "../x", "X", "a/b"] {
            assert!(
                matches!(hello.write(dir.path(), bad), Err(TemplateError::Name(_))),
                "{bad}"
            );
        }
    }
}
