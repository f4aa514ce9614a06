//! Why a script set is refused or a workflow fails.

use std::fmt;

/// A stable code. Each has its page in `docs/errors`; a code is never given a second meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The source does not parse.
    Syntax,
    /// The script raised an error, or misused a verb.
    Runtime,
    /// It computed for too long without blocking, or too long altogether.
    Cpu,
    Memory,
    /// Too many calls, or too much data in them.
    Quota,
    /// What the workflow returned does not fit what it declares.
    Output,
    UnknownPipeline,
    /// The script does not make the calls that the journal holds.
    Divergence,
    /// A file in `pipelines/` does not return a workflow, or declares it wrongly.
    NotAPipeline,
    /// `require` of a module that is not there or that requires itself.
    Require,
    /// The script refused the job with `ctx:fail`.
    Refused,
    /// The input does not fit what the pipeline declares.
    Input,
    /// A script set with a bad path, or too large.
    ScriptSet,
}

impl Code {
    pub const ALL: [Code; 13] = [
        Code::Syntax,
        Code::Runtime,
        Code::Cpu,
        Code::Memory,
        Code::Quota,
        Code::Output,
        Code::UnknownPipeline,
        Code::Divergence,
        Code::NotAPipeline,
        Code::Require,
        Code::Refused,
        Code::Input,
        Code::ScriptSet,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "FRB-LUA-001",
            Code::Runtime => "FRB-LUA-002",
            Code::Cpu => "FRB-LUA-003",
            Code::Memory => "FRB-LUA-004",
            Code::Quota => "FRB-LUA-005",
            Code::Output => "FRB-LUA-006",
            Code::UnknownPipeline => "FRB-LUA-007",
            Code::Divergence => "FRB-LUA-008",
            Code::NotAPipeline => "FRB-LUA-009",
            Code::Require => "FRB-LUA-010",
            Code::Refused => "FRB-LUA-011",
            Code::Input => "FRB-LUA-012",
            Code::ScriptSet => "FRB-LUA-013",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a script ended badly: a code and one line, with file and line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl AsRef<str>) -> Self {
        Failure {
            code,
            message: froben_model::limits::one_line(message.as_ref()),
        }
    }

    /// The same, said of a file and a line.
    pub(crate) fn at(self, (path, line): &(String, u32)) -> Self {
        Failure {
            message: format!("{path}:{line}: {}", self.message),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_distinct_and_has_its_page() {
        let errors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code}");
            let page = std::fs::read_to_string(format!("{errors}/{code}.md")).unwrap_or_default();
            assert!(page.starts_with(&format!("# {code}")), "no page for {code}");
        }
    }
}
