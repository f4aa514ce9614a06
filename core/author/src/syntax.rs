//! Parses a script: first with the language's own parser, whose word counts, then with one that keeps
//! every token.

use std::borrow::Cow;
use std::ops::Range;

use froben_model::revision::ScriptProblem;
use froben_script::{Code, Limits, Revision};
use full_moon::LuaVersion;
use full_moon::ast::{Ast, AstResult};

use crate::finding::{Finding, Severity};
use crate::guard::{PATIENCE, quietly};
use crate::source::{Source, Sources};

/// A source that Luau accepts and our other parser does not, or that the type checker gave up on.
pub(crate) const UNREAD: &str = "FRB-CHK-003";

/// A source that takes a tool longer than it is given.
pub(crate) const TOO_MUCH: &str = "FRB-CHK-004";

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
            UNREAD | TOO_MUCH => Severity::Warning,
            _ => Severity::Error,
        };
        Finding::new(severity, self.code, path, Some(self.span), self.message).hint(self.hint)
    }
}

/// Parses a source. Call it [on a deep stack](crate::guard), and drop the tree there.
pub(crate) fn parse(source: &Source<'_>) -> Result<Ast, SyntaxError> {
    if let Some(problem) = refused(source.text) {
        return Err(SyntaxError {
            span: place(source, &problem),
            code: problem.code.into(),
            message: problem.message,
            hint: problem.hint,
        });
    }
    let parsed = read_tokens(source.text).map(AstResult::into_result);
    let (span, why) = match parsed {
        Ok(Ok(ast)) => return Ok(ast),
        Ok(Err(errors)) => match errors.into_iter().next() {
            Some(error) => (span_of(source, &error), error.error_message().into_owned()),
            None => (0..0, "no reason given".to_owned()),
        },
        Err(panic) => (0..0, panic),
    };
    Err(SyntaxError {
        code: UNREAD.into(),
        span,
        message: format!("the script runs, but this tool cannot read it: {why}"),
        hint: "write the line another way, or leave this file to its author".to_owned(),
    })
}

/// What the parser that keeps every token makes of a source.
///
/// *Errors*: it panicked.
pub(crate) fn read_tokens(text: &str) -> Result<AstResult, String> {
    quietly(|| full_moon::parse_fallible(text, LuaVersion::luau()))
}

/// The error for a source that takes `tool` too long.
pub(crate) fn too_much(tool: &str) -> SyntaxError {
    SyntaxError {
        code: TOO_MUCH.into(),
        span: 0..0,
        message: format!("this file is too much for the {tool}: it takes longer than {} s", PATIENCE.as_secs()),
        hint: "very long tables are the most common cause: make them in a loop, pass them as input, or \
               split the file"
            .to_owned(),
    }
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
    let Ok(parsed) = read_tokens(source.text) else {
        return aimed;
    };
    let mut spans = parsed.errors().iter().map(|error| span_of(source, error));
    let same_line = |span: &Range<usize>| line.contains(&span.start);
    spans.find(same_line).unwrap_or(aimed)
}

fn line_indent(source: &Source<'_>, line: &Range<usize>) -> usize {
    let text = &source.text[line.clone()];
    line.start + text.len() - text.trim_start().len()
}

fn span_of(source: &Source<'_>, error: &full_moon::Error) -> Range<usize> {
    let (start, end) = error.range();
    source.span(start.bytes()..end.bytes())
}
