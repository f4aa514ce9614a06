//! Parses a script: first with the language's own parser, whose word counts, then with one that keeps
//! every token.

use std::borrow::Cow;
use std::ops::Range;

use froben_model::revision::ScriptProblem;
use froben_script::{Code, Limits, Revision};
use full_moon::LuaVersion;
use full_moon::ast::Ast;

use crate::finding::{Finding, Severity};
use crate::source::{Source, Sources};

/// A source that Luau accepts and our other parser does not, or that the type checker gave up on.
pub(crate) const UNREAD: &str = "FRB-CHK-003";

/// What nests deeply recurses deeply in the parser and in whatever walks its tree. Luau refuses what
/// nests deeper than 1,000, so that this is plenty; it is only reserved, not used up.
const STACK_BYTES: usize = 512 << 20;

/// A source does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl SyntaxError {
    pub(crate) fn finding(self, path: &str) -> Finding {
        // What runs is not refused for a parser of ours.
        let severity = match self.code.as_ref() {
            UNREAD => Severity::Warning,
            _ => Severity::Error,
        };
        Finding::new(severity, self.code, path, Some(self.span), self.message).hint(self.hint)
    }
}

/// Runs `work` where deep trees do no harm.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let running = thread
            .spawn_scoped(scope, work)
            .expect("invariant: address space for a stack can be had");
        match running.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Parses a source. Call it [`on_deep_stack`], and drop the tree there.
pub(crate) fn parse(source: &Source<'_>) -> Result<Ast, SyntaxError> {
    if let Some(problem) = refused(source.text) {
        return Err(SyntaxError {
            span: place(source, &problem),
            code: problem.code.into(),
            message: problem.message,
            hint: problem.hint,
        });
    }
    full_moon::parse_fallible(source.text, LuaVersion::luau())
        .into_result()
        .map_err(|errors| {
            let first = errors.into_iter().next();
            let (span, why) = match first {
                Some(error) => (span_of(&error), error.error_message().into_owned()),
                None => (0..0, "no reason given".to_owned()),
            };
            SyntaxError {
                code: UNREAD.into(),
                span,
                message: format!("the script runs, but this tool cannot read it: {why}"),
                hint: "write the line another way, or leave this file to its author".to_owned(),
            }
        })
}

/// What Luau says of the source, if it does not compile it.
fn refused(text: &str) -> Option<ScriptProblem> {
    let alone = Sources::from([("lib/alone.lua".to_owned(), text.to_owned())]);
    let problems = Revision::check(&alone, &Limits::default()).err()?;
    problems.into_iter().next().map(ScriptProblem::from)
}

/// Luau's compiler names the line only; the other parser often stumbles at the same place and knows the
/// column.
pub(crate) fn place(source: &Source<'_>, problem: &ScriptProblem) -> Range<usize> {
    // What a pipeline declares is told of the line on which it begins to.
    if problem.code == Code::NotAPipeline.as_str() {
        return source.aim_from(problem.line, &problem.message);
    }
    let line = source.line_range(problem.line);
    let aimed = source.aim(problem.line, &problem.message);
    if problem.code != Code::Syntax.as_str() || aimed.start != line_indent(source, &line) {
        return aimed;
    }
    if source.text.len() > 1 << 16 {
        return aimed;
    }
    let parsed = full_moon::parse_fallible(source.text, LuaVersion::luau());
    let spans = parsed.errors().iter().map(span_of);
    let same_line = |span: &Range<usize>| line.contains(&span.start);
    spans.into_iter().find(same_line).unwrap_or(aimed)
}

fn line_indent(source: &Source<'_>, line: &Range<usize>) -> usize {
    let text = &source.text[line.clone()];
    line.start + text.len() - text.trim_start().len()
}

fn span_of(error: &full_moon::Error) -> Range<usize> {
    let (start, end) = error.range();
    start.bytes()..end.bytes().max(start.bytes())
}
