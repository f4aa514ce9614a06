//! Types: what Luau's own analysis says of a script set, asked of a helper program.
//!
//! The analysis cannot be linked beside the sandbox, and a hostile source must be able to hang or crash it
//! without harm: so it runs in a process of its own, with a bound on time, input and output.

mod bundle;
mod gradual;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use froben_script::reference;
use serde_json::{Value, json};

use crate::finding::{Finding, Severity};
use crate::guard::on_deep_stack;
use crate::source::{Source, Sources};
use crate::syntax::UNREAD;

use bundle::Bundle;

/// What does not fit a type.
pub(crate) const MISFIT: &str = "FRB-CHK-001";

/// How long the helper may take for a whole set.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The helper program.
#[derive(Debug, Clone)]
pub struct TypeChecker {
    program: PathBuf,
    timeout: Duration,
}

impl TypeChecker {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        TypeChecker {
            program: program.into(),
            timeout: TIMEOUT,
        }
    }

    /// The helper, where it stands beside the program that runs.
    pub fn beside_this_program() -> Option<Self> {
        let own = std::env::current_exe().ok()?;
        let program = own.parent()?.join("froben-typecheck");
        program.is_file().then(|| TypeChecker::new(program))
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Types every source of the set at once, so that what a module returns is known where it is
    /// required. Sources that do not parse must have been taken out of `sources`; `set` is the set with
    /// them.
    pub fn check(&self, sources: &Sources, set: &Sources) -> Vec<Finding> {
        self.ask(&reference::definitions(), sources, set)
    }

    /// The same for specs, which have verbs of their own, on the modules of a set.
    pub fn check_specs(&self, sound: &Sources, specs: &Sources, set: &Sources) -> Vec<Finding> {
        let mut sources = sound.clone();
        sources.retain(|path, _| path.starts_with("lib/"));
        sources.extend(specs.clone());
        let definitions = [reference::definitions(), reference::spec_definitions()];
        let mut found = self.ask(&definitions.join("\n"), &sources, set);
        // Of the modules it was said before.
        found.retain(|finding| !finding.path.starts_with("lib/"));
        found
    }

    fn ask(&self, definitions: &str, sources: &Sources, set: &Sources) -> Vec<Finding> {
        let bundle = on_deep_stack(|| Bundle::of(sources, set));
        let request = json!({
            "definitions": definitions,
            "source": bundle.text,
            "timeout_ms": u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
        });
        // The helper gives up by itself; this is for a helper that hangs.
        let patience = self.timeout + Duration::from_secs(5);
        let answer = process::ask(&self.program, request.to_string().as_bytes(), patience);
        match answer.and_then(|answer| read(&bundle, sources, &answer)) {
            Ok(findings) => findings,
            Err(why) => {
                let message = format!("types were not checked: {why}");
                let hint = "everything else was; `--no-types` leaves types out";
                vec![Finding::new(Severity::Warning, UNREAD, "", None, message).hint(hint)]
            }
        }
    }
}

fn read(bundle: &Bundle, sources: &Sources, answer: &[u8]) -> Result<Vec<Finding>, String> {
    let malformed = |_| "the type checker's answer cannot be read".to_owned();
    let answer: Value = serde_json::from_slice(answer).map_err(malformed)?;
    let found = answer["findings"].as_array();
    let found = found.ok_or("the type checker's answer has no findings")?;
    Ok(found
        .iter()
        .filter_map(|one| finding(bundle, sources, one))
        .collect())
}

/// One finding, in its own file. What lies in the bundle's own lines is nobody's.
fn finding(bundle: &Bundle, sources: &Sources, found: &Value) -> Option<Finding> {
    let number = |key: &str| u32::try_from(found[key].as_u64()?).ok();
    let message = found["message"]
        .as_str()
        .filter(|message| !is_unsure(message))?;
    let (path, line, column) = bundle.place(number("line")?, number("column")?)?;
    let text = sources.get(path)?;
    let head = text.lines().take_while(|line| line.starts_with("--"));
    if head.map(str::trim).any(|line| line == "--!nocheck") {
        return None;
    }
    let source = Source::new(path, text);
    let start = source.offset(line, column);
    // To the checker, what `pcall` gives is what the function gives: of the error it knows nothing.
    if message.contains("Function only returns") && of_a_pcall(text, start) {
        return None;
    }
    let end = match bundle.place(number("end_line")?, number("end_column")?) {
        Some((end_path, end_line, end_column)) if (end_path, end_line) == (path, line) => {
            source.offset(end_line, end_column)
        }
        // A finding of many lines is about how it begins.
        _ => source.line_range(line + 1).end,
    };
    let message = froben_model::limits::one_line(&shorten(&bundle.rename(message)));
    let span = Some(start..end.max(start));
    Some(Finding::new(Severity::Error, MISFIT, path, span, message))
}

/// Whether `start` is in the names or the beginning of `local ok, err = pcall(...)`.
fn of_a_pcall(text: &str, start: usize) -> bool {
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    line.contains("pcall(")
}

/// The checker could not infer something and says so in terms of its own. A type error is told only where
/// the types are known; the rest is for the author to annotate, or not.
fn is_unsure(message: &str) -> bool {
    [
        "~(false?)",
        "*error-type*",
        "*blocked",
        "Type function instance",
        "No valid instantiation",
        "generic type parameter",
        "Unknown type used in",
        "too complex",
        "unknown",
        // A table or a type parameter that it made up from how a value is used.
        "{ read ",
        "'R'",
        // What `type(x) == "table"` leaves of a value that may be anything.
        "Type 'table' does not have key",
        // A loop over a table of names, which has no order to the checker but has one here.
        "Cannot iterate over a table without indexer",
        // A call of `ctx:fail` or `error` at the end returns nothing, and need not.
        "Not all codepaths",
    ]
    .iter()
    .any(|term| message.contains(term))
}

/// Types that are written out in full are cut: their beginning says which is meant.
fn shorten(message: &str) -> String {
    const WIDTH: usize = 60;
    let mut parts = Vec::new();
    for (at, part) in message.split('\'').enumerate() {
        let quoted = at % 2 == 1;
        match part.char_indices().nth(WIDTH) {
            Some((end, _)) if quoted => parts.push(format!("{}...", &part[..end])),
            _ => parts.push(part.to_owned()),
        }
    }
    parts.join("'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_types_are_cut() {
        let long = "x".repeat(80);
        let cut = format!("{}...", "x".repeat(60));
        assert_eq!(
            shorten(&format!("a '{long}' b 'c'")),
            format!("a '{cut}' b 'c'")
        );
        assert_eq!(shorten("plain"), "plain");
    }

    #[test]
    fn a_helper_that_is_not_there_is_a_warning() {
        let found = TypeChecker::new("/nonexistent/froben-typecheck")
            .check(&Sources::new(), &Sources::new());
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].code.as_ref(), found[0].severity),
            (UNREAD, Severity::Warning)
        );
    }
}
