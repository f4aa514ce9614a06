//! What the author's tools found: on standard error for people, as a document on standard output for
//! programs.

use std::io::IsTerminal;

use froben_author::{Finding, LintOptions, Paint, Sources, render, to_json};
use froben_model::revision::ScriptProblem;

use crate::args::{Format, Report};
use crate::error::{Error, Exit};
use crate::kinds;
use crate::output::print_json;

/// How many findings are shown with their lines.
const SHOWN: usize = 200;

/// What the linter is told beside the scripts.
pub(crate) fn lint_options(report: &Report) -> Result<LintOptions, Error> {
    let kinds = kinds::known(report.kinds.as_deref())?;
    Ok(LintOptions { kinds })
}

/// Prints what was found in `files` files.
///
/// *Errors*: something has to be mended.
pub(crate) fn report(
    findings: &[Finding],
    sources: &Sources,
    report: &Report,
) -> Result<(), Error> {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    match report.output {
        Format::Json => print_json(&to_json(findings, sources)),
        Format::Text => print_first(findings, sources),
    }
    let files = count(sources.len(), "script", "scripts");
    let summary = match findings.is_empty() {
        true => format!("nothing to mend in {files}"),
        false => {
            let (errors, warnings) = (
                count(errors, "error", "errors"),
                count(warnings, "warning", "warnings"),
            );
            format!("{errors} and {warnings} in {files}")
        }
    };
    if errors > 0 || (report.strict && warnings > 0) {
        return Err(Error::new(Exit::Script, summary)
            .hint("`froben explain CODE` tells more about a code or a lint"));
    }
    eprintln!("{summary}");
    Ok(())
}

/// More than anybody reads would only hide the first.
fn print_first(findings: &[Finding], sources: &Sources) {
    let (first, rest) = findings.split_at(findings.len().min(SHOWN));
    for finding in first {
        print_one(finding, sources);
    }
    if !rest.is_empty() {
        eprintln!("and {} more, which `--output json` lists", rest.len());
    }
}

/// `1 error`, `2 errors`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Prints what a coordinator has against the set that these sources are of.
pub(crate) fn print_problems(problems: &[ScriptProblem], sources: &Sources) {
    for finding in froben_author::findings(problems, sources) {
        print_one(&finding, sources);
    }
}

/// The line, carets under it, and the hint.
pub(crate) fn print_one(finding: &Finding, sources: &Sources) {
    eprintln!("{}\n", render(finding, sources, paint()));
}

/// Colours on a terminal, unless the user wants none.
fn paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match wanted && std::io::stderr().is_terminal() {
        true => Paint::Colours,
        false => Paint::Plain,
    }
}
