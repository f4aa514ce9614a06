//! What a tool has to say about a script.

use std::borrow::Cow;
use std::ops::Range;

/// Whether a script set with it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// An error code, like `FRB-LUA-001`, or a lint's name, like `unused-result`. `froben explain` knows
    /// both.
    pub code: Cow<'static, str>,
    /// The file in the script set; empty if it is the set as a whole.
    pub path: String,
    /// The bytes of the file that it is about; `None` if it is the file as a whole.
    pub span: Option<Range<usize>>,
    /// One line.
    pub message: String,
    /// What to do; empty if the message says it.
    pub hint: String,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        path: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            severity,
            code: code.into(),
            path: path.to_owned(),
            span,
            message: message.into(),
            hint: String::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// By file, then by place, errors first.
pub(crate) fn sort(findings: &mut [Finding]) {
    let place = |finding: &Finding| finding.span.as_ref().map(|span| (span.start, span.end));
    findings.sort_by(|a, b| {
        a.path
            .cmp(&b.path)
            .then_with(|| place(a).cmp(&place(b)))
            .then_with(|| a.severity.cmp(&b.severity))
            .then_with(|| a.code.cmp(&b.code))
    });
}
