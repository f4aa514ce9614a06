//! Workflows that a spec file declares, as pipelines that a real VM can run.
//!
//! A Luau function cannot move to another VM, so the file's source does: it is evaluated once more, in
//! the sandbox of the workflow, with the verbs of specs standing for nothing but `describe`, which runs
//! what it is given. What stands before the file shares its first line and what follows comes after its
//! last, so that every line keeps its number.

use crate::limits::Limits;
use crate::revision::{Problem, Revision, syntax_problem};
use crate::sandbox::compile;
use crate::spec::registry::SPEC_VERBS;

impl Revision {
    /// This revision and, beside its pipelines, the workflow `name` of the spec file `path`.
    ///
    /// *Errors*: what is wrong with the file where it is evaluated on its own.
    pub fn with_declared(
        &self,
        path: &str,
        source: &str,
        name: &str,
        limits: &Limits,
    ) -> Result<Revision, Problem> {
        let bytecode =
            compile(&wrapped(source, name)).map_err(|message| syntax_problem(path, &message))?;
        self.with_file(path, bytecode, limits)
            .map_err(|failure| Problem::of(path, &failure))
    }
}

fn wrapped(source: &str, name: &str) -> String {
    let stubs: Vec<&str> = SPEC_VERBS
        .iter()
        .map(|verb| verb.name)
        .filter(|verb| !["workflow", "describe"].contains(verb))
        .collect();
    let nothing = vec!["_nothing"; stubs.len()].join(", ");
    let stubs = stubs.join(", ");
    format!(
        "local _declared, _workflow, _nothing = {{}}, workflow, nil \
         _nothing = setmetatable({{}}, {{ __index = function() return _nothing end, \
         __call = function() return _nothing end }}) \
         local function workflow(name, options, run) \
         _declared[name] = _workflow(name, options, run) return _declared[name] end \
         local function describe(_, f) f() end local {stubs} = {nothing} {source}\n\
         return _declared[\"{name}\"]"
    )
}
