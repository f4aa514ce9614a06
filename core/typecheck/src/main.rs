//! Types a script set, and says what does not fit.
//!
//! A program of its own, because Luau's analysis and the Luau of the sandbox are two versions of the same
//! C++ symbols, which cannot be linked into one. It reads one request from standard input, writes one
//! answer to standard output, both JSON, and ends:
//!
//! ```json
//! {"definitions": "declare ...", "source": "...", "timeout_ms": 10000}
//! {"findings": [{"line": 0, "column": 6, "end_line": 0, "end_column": 9, "message": "..."}]}
//! ```
//!
//! Lines and columns count from 0, columns in bytes. It opens no file, and bounds its own memory: sources
//! may come from anybody.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use luau_analyze::{CheckOptions, Checker, Diagnostic, Severity};
use nix::sys::resource::{Resource, setrlimit};
use serde_json::{Value, json};

/// What a request may weigh: a script set has at most 4 MiB, the definitions some KiB, and JSON may
/// double the bytes.
const REQUEST_BYTES: u64 = 16 << 20;
/// Address space; our own scripts need a tenth of it.
const MEMORY_BYTES: u64 = 2 << 30;
/// More findings than anybody reads.
const FINDINGS: usize = 1000;
const TIMEOUT_MS: u64 = 60_000;

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            let written = std::io::stdout().write_all(answer.to_string().as_bytes());
            ExitCode::from(u8::from(written.is_err()))
        }
        Err(why) => {
            eprintln!("froben-typecheck: {why}");
            ExitCode::from(2)
        }
    }
}

fn answer() -> Result<Value, String> {
    setrlimit(Resource::RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES)
        .map_err(|error| error.to_string())?;
    let mut request = Vec::new();
    let stdin = std::io::stdin().lock();
    let read = stdin.take(REQUEST_BYTES + 1).read_to_end(&mut request);
    read.map_err(|error| error.to_string())?;
    if request.len() as u64 > REQUEST_BYTES {
        return Err(format!("the request is larger than {REQUEST_BYTES} bytes"));
    }
    let request: Value = serde_json::from_slice(&request).map_err(|error| error.to_string())?;
    let text = |key: &str| {
        let text = request[key].as_str();
        text.ok_or_else(|| format!("the request has no `{key}`"))
    };
    let timeout = request["timeout_ms"]
        .as_u64()
        .unwrap_or(TIMEOUT_MS)
        .min(TIMEOUT_MS);
    check(
        text("definitions")?,
        text("source")?,
        Duration::from_millis(timeout),
    )
}

fn check(definitions: &str, source: &str, timeout: Duration) -> Result<Value, String> {
    let mut checker = Checker::new().map_err(|error| error.to_string())?;
    let loaded = checker.add_definitions(definitions);
    loaded.map_err(|error| error.to_string())?;
    let options = CheckOptions {
        timeout: Some(timeout),
        ..CheckOptions::default()
    };
    let checked = checker
        .check_with_options(source, options)
        .map_err(|error| error.to_string())?;
    if checked.timed_out {
        return Err(format!("gave up after {} ms", timeout.as_millis()));
    }
    // Warnings are Luau's own lints: ours are elsewhere.
    let errors = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error);
    let findings: Vec<Value> = errors.take(FINDINGS).map(finding).collect();
    Ok(json!({ "findings": findings }))
}

fn finding(diagnostic: &Diagnostic) -> Value {
    let Diagnostic {
        line,
        col,
        end_line,
        end_col,
        severity: _,
        message,
    } = diagnostic;
    json!({
        "line": line,
        "column": col,
        "end_line": end_line,
        "end_column": end_col,
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITIONS: &str = "export type Ctx = { log: (self: Ctx, text: string) -> () }\n\
                               declare function open(): Ctx\n";

    fn found(source: &str) -> Vec<(u64, u64)> {
        let answer = check(DEFINITIONS, source, Duration::from_secs(60)).expect("it is checked");
        let findings = answer["findings"].as_array().expect("a list").iter();
        let at = |finding: &Value| {
            let number = |key: &str| finding[key].as_u64().expect("a number");
            (number("line"), number("column"))
        };
        findings.map(at).collect()
    }

    #[test]
    fn definitions_are_loaded_and_types_are_held_against_them() {
        assert_eq!(found("local c = open()\nc:log('x')\n"), []);
        assert_eq!(found("local c = open()\nc:log(5)\n"), [(1, 6)]);
        assert_eq!(found("local c: Ctx = open()\nc:lock('x')\n").len(), 1);
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        let wrong = check("declare nonsense", "return 1", Duration::from_secs(1));
        assert!(wrong.is_err_and(|why| why.contains("definitions")));
    }
}
