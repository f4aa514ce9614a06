//! `froben lint`: what can be said against scripts without running them.

use std::path::Path;

use froben_author::{Sources, files, lint};

use crate::args::Lint;
use crate::error::Error;
use crate::output::findings;

pub(crate) fn run(args: &Lint) -> Result<(), Error> {
    let Lint { paths, report } = args;
    let sources = read(paths)?;
    let options = findings::lint_options(report)?;
    findings::report(&lint(&sources, &options), &sources, report)
}

/// The scripts under their paths in the file system. A folder `spec` keeps its meaning.
fn read(paths: &[impl AsRef<Path>]) -> Result<Sources, Error> {
    let mut sources = Sources::new();
    for path in paths {
        for path in files::find(path.as_ref())? {
            let text = files::read_one(&path)?;
            let shown = path.display().to_string();
            sources.insert(shown.trim_start_matches("./").to_owned(), text);
        }
    }
    Ok(sources)
}
