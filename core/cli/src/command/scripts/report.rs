//! What became of a change, for people and for programs.

use froben_author::Sources;
use froben_model::revision::{ScriptProblem, Served};
use serde_json::json;

use crate::args::Format;
use crate::client::Changed;
use crate::error::{Error, Exit};
use crate::output::{findings, print_json, revisions};

/// Prints what became of a change that was asked for on top of `check_index`; `sources` are the files that
/// it is about, as far as they are here, and `look` shows what there is now.
pub(super) fn report(
    changed: Changed,
    check_index: u64,
    to: Option<u64>,
    sources: &Sources,
    look: &str,
    output: Format,
) -> Result<(), Error> {
    if output == Format::Json {
        print_json(&document(&changed));
    }
    let say = |text: String| {
        if output == Format::Text {
            println!("{text}");
        }
    };
    match changed {
        Changed::Served(Served {
            index, revision, ..
        }) => {
            say(format!(
                "#{index}: new workflows get revision {}",
                revision.short()
            ));
            Ok(())
        }
        Changed::Unchanged(Served {
            index, revision, ..
        }) => {
            let short = revision.short();
            say(format!(
                "nothing to change: #{index} serves this very revision, {short}"
            ));
            Ok(())
        }
        Changed::Moved(newest) => {
            let note = match newest.note.as_str() {
                "" => String::new(),
                note => format!(": {note}"),
            };
            let why = format!(
                "nothing was changed: #{check_index} is not the newest entry, that is #{} by {} ({}{note})",
                newest.index, newest.by, newest.origin,
            );
            let hint = format!("look again: `{look}`; then --check-index {}", newest.index);
            let error = Error::new(Exit::Moved, why).code("FRB-SCR-001");
            Err(error.hint(hint))
        }
        Changed::Broken(problems) => Err(does_not_check(&problems, sources, output)),
        Changed::NoEntry { newest } => {
            let why = match to {
                Some(index) => {
                    format!("the history has no entry #{index}; its newest is #{newest}")
                }
                None => "there is no entry before the first".to_string(),
            };
            let error = Error::new(Exit::NotFound, why).code("FRB-SCR-002");
            Err(error.hint("`froben scripts history` lists them"))
        }
    }
}

/// `entry` is the newest one, whether it is new or not.
fn document(changed: &Changed) -> serde_json::Value {
    let (changed, entry, problems) = match changed {
        Changed::Served(entry) => (true, Some(entry), &[][..]),
        Changed::Unchanged(entry) | Changed::Moved(entry) => (false, Some(entry), &[][..]),
        Changed::Broken(problems) => (false, None, problems.as_slice()),
        Changed::NoEntry { newest: _ } => (false, None, &[][..]),
    };
    json!({
        "changed": changed,
        "entry": entry.map(revisions::entry_json),
        "problems": problems.iter().map(revisions::problem_json).collect::<Vec<_>>(),
    })
}

/// Prints every problem at its place in `sources`, for people, and gives the error that stands for them.
pub(super) fn does_not_check(
    problems: &[ScriptProblem],
    sources: &Sources,
    output: Format,
) -> Error {
    if output == Format::Text {
        findings::print_problems(problems, sources);
    }
    let count = problems.len();
    let first = problems.first().map(|problem| problem.place());
    let why = format!(
        "the scripts do not check: {count} problem{} (first: {})",
        if count == 1 { "" } else { "s" },
        first.unwrap_or_default()
    );
    Error::new(Exit::Script, why)
        .code("FRB-SCR-003")
        .hint("nothing was changed; what was served goes on being served")
}
