//! Comments that allow what a lint forbids: `-- lint: allow(name) reason`.
//!
//! One at the end of a line holds for that line; one on a line of its own for the next line of code.

use std::ops::Range;

use full_moon::tokenizer::{Token, TokenType};

use super::tree::tokens;
use super::{Found, LINTS, Lint, Script, meant};
use crate::finding::{Finding, Severity};

pub(crate) const BAD: Lint = Lint {
    name: "bad-allow",
    severity: Severity::Warning,
    summary: "a comment that allows nothing: an unknown name, no reason, or nothing to allow",
};

/// One comment.
struct Allow {
    name: String,
    span: Range<usize>,
    /// The line that it holds for.
    line: u32,
    used: bool,
}

/// Takes out what the script allows, and says which comments allow nothing.
pub(super) fn apply(script: &Script<'_>, mut found: Found<'_>) -> Vec<Finding> {
    let mut allows = read(script, &mut found);
    let findings = std::mem::take(&mut found.findings);
    for finding in findings {
        let line = finding
            .span
            .as_ref()
            .map(|span| script.source.line_of(span.start));
        let allow = allows
            .iter_mut()
            .find(|allow| Some(allow.line) == line && allow.name == finding.code);
        match allow {
            Some(allow) => allow.used = true,
            None => found.findings.push(finding),
        }
    }
    for allow in allows.into_iter().filter(|allow| !allow.used) {
        let message = format!("nothing here needs `{}` to be allowed", allow.name);
        found.report(&BAD, allow.span, message, "take the comment out");
    }
    found.findings
}

fn read(script: &Script<'_>, found: &mut Found<'_>) -> Vec<Allow> {
    let mut allows = Vec::new();
    let eof = script.ast.eof();
    let line_of = |token: &Token| script.source.line_of(token.start_position().bytes());
    for token in tokens(script.ast.nodes()).into_iter().chain([eof]) {
        let here = line_of(token.token());
        for comment in token.leading_trivia() {
            let own = line_of(comment);
            // After code on its own line it holds for that line.
            let before = script.source.line_range(own).start..comment.start_position().bytes();
            let alone = script.source.text[before].trim().is_empty();
            allows.extend(one(comment, if alone { here } else { own }, found));
        }
        for comment in token.trailing_trivia() {
            let own = line_of(comment);
            allows.extend(one(comment, own, found));
        }
    }
    allows
}

/// Reads `lint: allow(name) reason`, and says what is wrong with it.
fn one(comment: &Token, line: u32, found: &mut Found<'_>) -> Option<Allow> {
    let TokenType::SingleLineComment { comment: text } = comment.token_type() else {
        return None;
    };
    let span = comment.start_position().bytes()..comment.end_position().bytes();
    let rest = text.trim().strip_prefix("lint:")?.trim_start();
    let Some((name, reason)) = rest
        .strip_prefix("allow(")
        .and_then(|rest| rest.split_once(')'))
    else {
        let hint = "write `-- lint: allow(name) reason`";
        found.report(
            &BAD,
            span,
            "a comment for the linter that it does not understand",
            hint,
        );
        return None;
    };
    let name = name.trim();
    if LINTS.iter().all(|lint| lint.name != name) {
        let hint = meant(name, LINTS.iter().map(|lint| lint.name));
        found.report(&BAD, span, format!("there is no lint `{name}`"), hint);
        return None;
    }
    if reason.trim().is_empty() {
        let hint = "say in a few words why it is right here";
        found.report(
            &BAD,
            span,
            format!("`{name}` is allowed without a reason"),
            hint,
        );
        return None;
    }
    Some(Allow {
        name: name.to_owned(),
        span,
        line,
        used: false,
    })
}
