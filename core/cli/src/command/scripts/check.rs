//! `froben scripts check`: a folder, on this machine alone.

use froben_author::{CheckOptions, TypeChecker, check as check_set, files};
use froben_engine::serve::no_pipelines;

use crate::args::ScriptsCheck;
use crate::error::{Error, Exit};
use crate::output::findings;

pub(crate) fn check(args: &ScriptsCheck) -> Result<(), Error> {
    let ScriptsCheck {
        dir,
        no_types,
        report,
    } = args;
    if !dir.is_dir() {
        let why = format!("{} is not a folder", dir.display());
        return Err(
            Error::new(Exit::NotFound, why).hint("name the folder that holds pipelines/ and lib/")
        );
    }
    let sources = files::read(dir)?;
    let types = match no_types {
        true => None,
        false => Some(checker()?),
    };
    let options = CheckOptions {
        lint: findings::lint_options(report)?,
        types,
    };
    let mut found = check_set(&sources, &options);
    // What the coordinator has against the set as a whole, and the tools of an author have not.
    if !sources.keys().any(|path| path.starts_with("pipelines/")) {
        let problems = [no_pipelines()];
        found.splice(0..0, froben_author::findings(&problems, &sources));
    }
    findings::report(&found, &sources, report)
}

fn checker() -> Result<TypeChecker, Error> {
    TypeChecker::beside_this_program().ok_or_else(|| {
        Error::new(
            Exit::Unexpected,
            "froben-typecheck is not beside this program",
        )
        .hint("install it there, or leave types out with --no-types")
    })
}
