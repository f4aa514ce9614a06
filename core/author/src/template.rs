//! Pipelines to begin with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::library::LIBRARY;

/// A pipeline that runs, with a spec that holds it to what it promises; to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// By what follows the name, in the file's as in the pipeline's: the first is the one to submit.
    pipelines: &'static [(&'static str, &'static str)],
    spec: &'static str,
    /// Options of `froben dev` and `submit` that give it an input to try: a name and a value.
    settings: &'static [(&'static str, &'static str)],
    /// Its inputs that are files.
    files: &'static [&'static str],
}

/// Every template, the simplest first.
pub const TEMPLATES: [Template; 6] = [
    Template {
        name: "hello",
        summary: "one task on one machine",
        pipelines: &[("", include_str!("../templates/hello.lua"))],
        spec: include_str!("../templates/spec/hello.lua"),
        settings: &[("name", "Ada")],
        files: &[],
    },
    Template {
        name: "fan-out",
        summary: "many items in pieces, so many at a time; what fails is left out",
        pipelines: &[("", include_str!("../templates/fan-out.lua"))],
        spec: include_str!("../templates/spec/fan-out.lua"),
        settings: &[("numbers", "[1,2,3]")],
        files: &[],
    },
    Template {
        name: "retry",
        summary: "items that fail are tried again elsewhere",
        pipelines: &[("", include_str!("../templates/retry.lua"))],
        spec: include_str!("../templates/spec/retry.lua"),
        settings: &[("numbers", "[1,2,3]")],
        files: &[],
    },
    Template {
        name: "aggregate",
        summary: "results are put together as they arrive, with retries at both steps",
        pipelines: &[("", include_str!("../templates/aggregate.lua"))],
        spec: include_str!("../templates/spec/aggregate.lua"),
        settings: &[("numbers", "[1,2,3]")],
        files: &[],
    },
    Template {
        name: "children",
        summary: "a large job as several workflows",
        pipelines: &[
            ("", include_str!("../templates/children.lua")),
            ("-part", include_str!("../templates/children-part.lua")),
        ],
        spec: include_str!("../templates/spec/children.lua"),
        settings: &[("numbers", "[1,2,3]")],
        files: &[],
    },
    Template {
        name: "era-like",
        summary: "witness, circuits, layers of aggregation, compression",
        pipelines: &[("", include_str!("../templates/era-like.lua"))],
        spec: include_str!("../templates/spec/era-like.lua"),
        settings: &[],
        files: &["batch"],
    },
];

/// No pipeline's name is longer, what a template puts after it included.
const NAME_BYTES: usize = 64;

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
    /// Its pipelines and its spec under that name: paths in the folder of scripts, and sources.
    pub fn files(&self, name: &str) -> Vec<(String, String)> {
        let named = |source: &str| {
            let renamed = |text: String, (end, _): &(&str, &str)| {
                text.replace(
                    &format!("\"{}{end}\"", self.name),
                    &format!("\"{name}{end}\""),
                )
            };
            let own = self.pipelines.iter().fold(source.to_owned(), renamed);
            // The first line of a file speaks of it.
            own.replace(
                &format!("pipeline {}", self.name),
                &format!("pipeline {name}"),
            )
        };
        let pipeline =
            |(end, source): &(&str, &'static str)| (format!("pipelines/{name}{end}.lua"), *source);
        let spec = (format!("spec/{name}.lua"), self.spec);
        let files = self.pipelines.iter().map(pipeline).chain([spec]);
        let files = files.map(|(path, source)| {
            let source = named(source);
            // A longer name may want another line.
            let formatted = crate::format(&path, &source);
            (path, formatted.unwrap_or(source))
        });
        files.collect()
    }

    /// The options that give the pipeline an input to try; `file` stands for any file.
    pub fn options(&self, file: &str) -> Vec<[String; 2]> {
        let set = self.settings.iter();
        let set = set.map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]);
        let input = self.files.iter();
        let input = input.map(|name| ["--input".to_owned(), format!("{name}={file}")]);
        set.chain(input).collect()
    }

    /// Writes its pipelines to `pipelines/` in `dir` and its spec to `spec/NAME.lua`, with the modules
    /// that they require where they are missing. Overwrites nothing, and writes nothing if one of the
    /// template's own files is there already.
    ///
    /// Returns the paths that were written, the pipeline to submit first.
    pub fn write(&self, dir: &Path, name: &str) -> Result<Vec<PathBuf>, TemplateError> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        let longest = self.pipelines.iter().map(|(end, _)| end.len()).max();
        let long = name.len() + longest.unwrap_or(0) > NAME_BYTES;
        if name.is_empty() || long || !name.bytes().all(fits) {
            return Err(TemplateError::Name(name.to_owned()));
        }
        let own = self.files(name);
        let there = own
            .iter()
            .map(|(path, _)| dir.join(path))
            .find(|path| path.exists());
        if let Some(path) = there {
            return Err(TemplateError::Exists(path));
        }
        let mut written = Vec::new();
        for (path, source) in &own {
            let path = dir.join(path);
            create(&path, source)?;
            written.push(path);
        }
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
        let pipelines = self.pipelines.iter().map(|(_, source)| *source);
        let mut sources: Vec<&str> = pipelines.chain([self.spec]).collect();
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

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let [hello, _, retry, _, children, _] = TEMPLATES;
        hello.write(dir.path(), "x").expect("it is written");
        let again = retry.write(dir.path(), "x");
        assert!(matches!(again, Err(TemplateError::Exists(_))));
        assert!(!dir.path().join("lib").exists());
        // Nor is a spec, and then the pipeline is not written either.
        fs::write(dir.path().join("spec/z.lua"), "-- mine").expect("a file");
        let taken = retry.write(dir.path(), "z");
        assert!(
            matches!(&taken, Err(TemplateError::Exists(path)) if path.ends_with("spec/z.lua")),
            "{taken:?}"
        );
        assert!(!dir.path().join("pipelines/z.lua").exists());
        fs::create_dir(dir.path().join("lib")).expect("a folder");
        fs::write(dir.path().join("lib/retry.lua"), "return {}").expect("a file");
        let written = retry.write(dir.path(), "y").expect("it is written");
        assert!(!written.iter().any(|path| path.ends_with("lib/retry.lua")));
        let kept = fs::read_to_string(dir.path().join("lib/retry.lua")).expect("a file");
        assert_eq!(kept, "return {}");
        let long = "x".repeat(NAME_BYTES - 4);
        assert!(hello.write(dir.path(), &long).is_ok());
        for (template, bad) in [
            (hello, ""),
            (hello, "../x"),
            (hello, "X"),
            (hello, "a/b"),
            // `-part` comes after it.
            (children, long.as_str()),
        ] {
            let refused = template.write(dir.path(), bad);
            assert!(matches!(refused, Err(TemplateError::Name(_))), "{bad}");
        }
    }
}
