//! What can be said against a script without running it.
//!
//! Each lint has a name, by which a script may allow it and `docs/lints.md` explains it. A lint speaks up
//! only where it is sure: what cannot be told from the text is left to the types and to the run.

mod allow;
pub(crate) mod api;
mod callbacks;
pub(crate) mod chain;
mod classes;
mod flow;
mod globals;
mod iteration;
mod keys;
mod kinds;
pub(crate) mod names;
mod numbers;
mod options;
mod pcall;
pub(crate) mod tree;
mod unused;
mod verbs;

use std::collections::BTreeSet;
use std::ops::Range;

use full_moon::ast::Ast;

use crate::finding::{Finding, Severity};
use crate::guard::{PATIENCE, in_time};
use crate::source::{Source, Sources};
use crate::syntax::{parse, too_much};

use names::Names;

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Lint {
    pub name: &'static str,
    pub severity: Severity,
    /// One line.
    pub summary: &'static str,
}

/// Every lint, in the order of `docs/lints.md`.
pub const LINTS: [&Lint; 21] = [
    &globals::REMOVED,
    &globals::UNDEFINED,
    &globals::ASSIGNED,
    &globals::SHADOWED,
    &verbs::UNKNOWN,
    &verbs::DOT,
    &verbs::UNUSED,
    &options::UNKNOWN,
    &options::MISSING,
    &options::MISTYPED,
    &classes::UNKNOWN,
    &kinds::NAME,
    &kinds::UNKNOWN,
    &iteration::UNORDERED,
    &numbers::INEXACT,
    &pcall::UNCHECKED,
    &callbacks::WAITS,
    &flow::UNREACHABLE,
    &unused::VARIABLE,
    &keys::DUPLICATE,
    &allow::BAD,
];

/// What the linter is told beside the scripts.
#[derive(Debug, Clone, Default)]
pub struct LintOptions {
    /// The kinds that machines will offer; `None` if that is not known.
    pub kinds: Option<BTreeSet<String>>,
}

/// A script, parsed and its names resolved.
struct Script<'a> {
    source: &'a Source<'a>,
    ast: &'a Ast,
    names: Names,
}

/// Collects what the lints find.
struct Found<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn report(
        &mut self,
        lint: &'static Lint,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let Lint { name, severity, .. } = lint;
        let finding = Finding::new(*severity, *name, self.path, Some(span), message);
        self.findings.push(finding.hint(hint));
    }
}

/// Holds every lint against each source. A source that does not parse gives the syntax error instead.
pub fn lint(sources: &Sources, options: &LintOptions) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources
        .iter()
        .flat_map(|(path, text)| {
            let (of, text, options) = (path.clone(), text.clone(), options.clone());
            in_time(PATIENCE, move || lint_one(&of, &text, &options))
                .unwrap_or_else(|| vec![too_much("linter").finding(path)])
        })
        .collect();
    crate::finding::sort(&mut findings);
    findings
}

fn lint_one(path: &str, text: &str, options: &LintOptions) -> Vec<Finding> {
    let source = Source::new(path, text);
    let ast = match parse(&source) {
        Ok(ast) => ast,
        Err(error) => return vec![error.finding(path)],
    };
    let script = Script {
        source: &source,
        ast: &ast,
        names: Names::of(&ast),
    };
    let mut found = Found {
        path,
        findings: Vec::new(),
    };
    globals::check(&script, &mut found);
    verbs::check(&script, &mut found);
    options::check(&script, &mut found);
    classes::check(&script, &mut found);
    kinds::check(&script, options, &mut found);
    iteration::check(&script, &mut found);
    numbers::check(&script, &mut found);
    pcall::check(&script, &mut found);
    callbacks::check(&script, &mut found);
    flow::check(&script, &mut found);
    unused::check(&script, &mut found);
    keys::check(&script, &mut found);
    allow::apply(&script, found)
}

/// "Did you mean", or what there is.
fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match froben_script::nearest(word, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there is {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests;
