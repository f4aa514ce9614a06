//! What is told of a run of specs: lines for people, a document for programs, JUnit's XML for CI.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use froben_script::Problem;
use serde_json::{Value as Json, json};

use super::{Outcome, Report};

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Ansi,
    None,
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::None => text.to_string(),
        }
    }
}

/// `        PASS [   0.002s] scripts/spec/retry.lua  retry › works`
pub fn case_line(outcome: &Outcome, colour: Colour) -> String {
    let word = match outcome.unmet {
        None => colour.paint("1;32", "        PASS"),
        Some(_) => colour.paint("1;31", "        FAIL"),
    };
    let seconds = outcome.took.as_secs_f64();
    let (file, name) = (outcome.file.display(), outcome.case.name());
    format!("{word} [{seconds:>8.3}s] {file}  {name}")
}

/// Where a case failed, what was expected and what came, and how to run it again alone.
pub fn failure_lines(outcome: &Outcome, seed: u64) -> String {
    let Some(unmet) = &outcome.unmet else {
        return String::new();
    };
    let mut text = String::new();
    let place = place(&outcome.file, &unmet.path, unmet.line);
    let message = match unmet.message.as_str() {
        "" => "an expectation is not met",
        message => message,
    };
    line(&mut text, &format!("  {place}: {message}"));
    if let Some(expected) = &unmet.expected {
        line(&mut text, &format!("    expected  {expected}"));
    }
    if let Some(got) = &unmet.got {
        line(&mut text, &format!("    got       {got}"));
    }
    if !outcome.seeds.is_empty() {
        let seeds: Vec<_> = outcome.seeds.iter().map(u64::to_string).collect();
        line(
            &mut text,
            &format!("    seeds of its runs: {}", seeds.join(", ")),
        );
    }
    line(
        &mut text,
        &format!("    run it alone: {}", again(outcome, seed)),
    );
    text
}

/// The command that runs this case and no other, with the same seed.
fn again(outcome: &Outcome, seed: u64) -> String {
    let file = outcome.file.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let file = match file.chars().all(plain) {
        true => format!("{file}:{}", outcome.case.line),
        false => format!("'{}:{}'", file.replace('\'', "'\\''"), outcome.case.line),
    };
    format!("froben test {file} --seed {seed}")
}

/// The path in the script set, as it can be opened from here: a spec's own path was found some way.
fn place(found: &Path, path: &str, at: u32) -> String {
    let found = found.display().to_string();
    let shown = match found.strip_suffix(path) {
        Some(_) => found,
        None => {
            let spec = found.rfind("spec/").unwrap_or(0);
            format!("{}{path}", &found[..spec])
        }
    };
    match at {
        0 => shown,
        at => format!("{shown}:{at}"),
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// `     Summary [   0.120s] 12 cases: 11 passed, 1 failed; seed 5`
pub fn summary_line(report: &Report, colour: Colour) -> String {
    let failed = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.unmet.is_some())
        .count();
    let all = report.outcomes.len();
    let word = match report.failed() {
        0 => colour.paint("1;32", "     Summary"),
        _ => colour.paint("1;31", "     Summary"),
    };
    let mut text = format!(
        "{word} [{:>8.3}s] {all} {}: {} passed, {failed} failed",
        report.took.as_secs_f64(),
        if all == 1 { "case" } else { "cases" },
        all - failed
    );
    if report.left_out > 0 {
        let _ = write!(text, ", {} left out", report.left_out);
    }
    if !report.problems.is_empty() {
        let _ = write!(text, ", {} do not check", report.problems.len());
    }
    let _ = write!(text, "; seed {}", report.seed);
    text
}

pub fn json(report: &Report) -> Json {
    let cases = report.outcomes.iter().map(|outcome| {
        let mut case = json!({
            "file": outcome.file.display().to_string(),
            "line": outcome.case.line,
            "path": outcome.case.path,
            "passed": outcome.unmet.is_none(),
            "seconds": outcome.took.as_secs_f64(),
            "seeds": outcome.seeds,
        });
        if let Some(unmet) = &outcome.unmet {
            case["failure"] = json!({
                "path": unmet.path,
                "line": unmet.line,
                "message": unmet.message,
                "expected": unmet.expected,
                "got": unmet.got,
                "again": again(outcome, report.seed),
            });
        }
        case
    });
    json!({
        "seed": report.seed,
        "passed": report.failed() == 0,
        "cases": cases.collect::<Vec<_>>(),
        "problems": report.problems.iter().map(|(file, problem)| problem_json(file, problem))
            .collect::<Vec<_>>(),
        "left_out": report.left_out,
        "seconds": report.took.as_secs_f64(),
    })
}

fn problem_json(file: &Path, problem: &Problem) -> Json {
    json!({
        "file": file.display().to_string(),
        "line": problem.line,
        "code": problem.code.as_str(),
        "message": problem.message,
        "hint": problem.hint,
    })
}

/// A document that CI systems read: a suite for each file.
pub fn junit(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (all, failed) = (report.outcomes.len(), report.failed());
    let took = seconds(report.took);
    let errors = report.problems.len();
    let failures = failed - errors;
    line(
        &mut xml,
        &format!(
            "<testsuites name=\"froben test\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" \
             time=\"{took}\">",
            all + errors
        ),
    );
    let mut rest = report.outcomes.as_slice();
    while let Some(first) = rest.first() {
        let count = rest
            .iter()
            .take_while(|outcome| outcome.file == first.file)
            .count();
        let (suite, after) = rest.split_at(count);
        rest = after;
        suite_xml(&mut xml, suite, report.seed);
    }
    for (file, problem) in &report.problems {
        let file = escape(&file.display().to_string());
        let message = escape(&problem.to_string());
        line(
            &mut xml,
            &format!(
                "  <testsuite name=\"{file}\" tests=\"1\" failures=\"0\" errors=\"1\">\n    \
                 <testcase name=\"it checks\" classname=\"{file}\">\n      \
                 <error message=\"{message}\"/>\n    </testcase>\n  </testsuite>"
            ),
        );
    }
    line(&mut xml, "</testsuites>");
    xml
}

fn suite_xml(xml: &mut String, outcomes: &[Outcome], seed: u64) {
    let file = outcomes
        .first()
        .map_or(String::new(), |first| first.file.display().to_string());
    let file = escape(&file);
    let failures = outcomes
        .iter()
        .filter(|outcome| outcome.unmet.is_some())
        .count();
    let took = seconds(outcomes.iter().map(|outcome| outcome.took).sum());
    line(
        xml,
        &format!(
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
             time=\"{took}\">",
            outcomes.len()
        ),
    );
    for outcome in outcomes {
        let name = escape(&outcome.case.name());
        let (at, took) = (outcome.case.line, seconds(outcome.took));
        let head = format!(
            "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{at}\" \
             time=\"{took}\""
        );
        match &outcome.unmet {
            None => line(xml, &format!("{head}/>")),
            Some(unmet) => {
                let short = match (&unmet.expected, &unmet.got) {
                    (Some(expected), Some(got)) => {
                        format!("{} expected {expected}, got {got}", unmet.message)
                    }
                    _ => unmet.message.clone(),
                };
                let (short, whole) = (escape(short.trim()), escape(&failure_lines(outcome, seed)));
                line(
                    xml,
                    &format!(
                        "{head}>\n      <failure message=\"{short}\">{whole}</failure>\n    </testcase>"
                    ),
                );
            }
        }
    }
    line(xml, "  </testsuite>");
}

fn seconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64())
}

/// Text as XML holds it; what XML cannot hold becomes a question mark.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
