//! Checking a set, and what of a revision is shown to people.

use std::collections::BTreeMap;

use froben_journal::ScriptSet;
use froben_model::revision::{FieldView, ScriptProblem, Signature};
use froben_model::{Value, limits};
use froben_script::{Code, Field, Limits, PipelineInfo, Revision};

use crate::contained::{Panicked, contained};

/// A fault of the coordinator's own, as whoever asks over the wire is told of it.
const FAULT: &str = "FRB-RPC-005";

/// A source with this in it makes the check panic, as a fault of ours would.
#[cfg(test)]
pub(super) const FAULTY: &str = "-- here the check panics";

/// Compiles and evaluates; never on the engine's thread. It takes bounded time and memory whatever is
/// in the set: see [`Revision::check`].
///
/// *Panics*: only for a fault of ours; whoever must go on contains it.
pub(crate) fn check(set: &ScriptSet) -> Result<Revision, Vec<ScriptProblem>> {
    #[cfg(test)]
    assert!(
        !set.files.values().any(|file| file.contains(FAULTY)),
        "planted"
    );
    let checked = Revision::check(&set.files, &Limits::default());
    let revision = checked.map_err(|problems| {
        problems
            .into_iter()
            .map(ScriptProblem::from)
            .collect::<Vec<_>>()
    })?;
    match revision.pipelines().is_empty() {
        true => Err(vec![no_pipelines()]),
        false => Ok(revision),
    }
}

/// The same for a coordinator that starts: a set over which the check panics is one that does not check.
pub(crate) fn check_contained(set: &ScriptSet) -> Result<Revision, Vec<ScriptProblem>> {
    let checked = contained("checking a set of scripts", || check(set));
    checked.unwrap_or_else(|panicked| Err(vec![fault(panicked)]))
}

fn fault(Panicked(cause): Panicked) -> ScriptProblem {
    ScriptProblem {
        code: FAULT.to_string(),
        path: String::new(),
        line: 0,
        message: format!("the check itself has failed: {cause}"),
        hint: "this is a fault of Froben's and not of the scripts: report it with them".to_string(),
    }
}

/// Serving nothing at all is never what was meant; an empty folder is a mistake.
pub fn no_pipelines() -> ScriptProblem {
    ScriptProblem {
        code: Code::ScriptSet.as_str().to_string(),
        path: String::new(),
        line: 0,
        message: "it has no pipelines".to_string(),
        hint: "a set has at least one file pipelines/NAME.lua that returns a workflow".to_string(),
    }
}

/// What each pipeline takes and gives, by name.
pub(crate) fn signatures(revision: &Revision) -> Vec<Signature> {
    let pipelines = revision.pipelines().values();
    let signature = |info: &PipelineInfo| Signature {
        name: info.name.clone(),
        path: info.path.clone(),
        inputs: fields(&info.inputs),
        outputs: fields(&info.outputs),
    };
    pipelines.map(signature).collect()
}

fn fields(fields: &BTreeMap<String, Field>) -> Vec<FieldView> {
    let view = |(name, field): (&String, &Field)| FieldView {
        // Names and choices may be long; they are to be shown.
        name: limits::one_line(name),
        expected: limits::one_line(&field.expected()),
        optional: field.optional,
        default: field.default.clone().unwrap_or(Value::Nil),
    };
    fields.iter().map(view).collect()
}
