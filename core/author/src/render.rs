//! Findings in words: with carets for people, as JSON for programs.

use std::collections::BTreeMap;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

use crate::finding::{Finding, Severity};
use crate::source::{Source, Sources};

/// Longer lines than this are cut around the caret.
const WIDTH: usize = 120;

/// Whether what is printed may hold colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colours,
}

/// A finding with the line that it is about, carets under it, and the hint.
pub fn render(finding: &Finding, sources: &Sources, paint: Paint) -> String {
    let Finding {
        severity,
        code,
        path,
        span,
        message,
        hint,
    } = finding;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(message.as_str()).id(code.as_ref()));
    match (sources.get(path), span) {
        (Some(text), Some(span)) => {
            let caret = AnnotationKind::Primary.span(span.clone());
            let snippet = Snippet::source(text.as_str());
            group = group.element(snippet.path(path.as_str()).annotation(caret));
        }
        _ if !path.is_empty() => group = group.element(Origin::path(path.as_str())),
        _ => {}
    }
    if !hint.is_empty() {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = match paint {
        Paint::Plain => Renderer::plain(),
        Paint::Colours => Renderer::styled(),
    };
    renderer.term_width(WIDTH).render(&[group])
}

/// All findings as one document.
pub fn to_json(findings: &[Finding], sources: &Sources) -> serde_json::Value {
    let sources: BTreeMap<&String, Source<'_>> = sources
        .iter()
        .map(|(path, text)| (path, Source::new(path, text)))
        .collect();
    let one = |finding: &Finding| {
        let Finding {
            severity,
            code,
            path,
            span,
            message,
            hint,
        } = finding;
        let place = |at: usize| sources.get(path).map(|source| source.place(at));
        let start = span.as_ref().and_then(|span| place(span.start));
        let end = span.as_ref().and_then(|span| place(span.end));
        json!({
            "severity": severity.name(),
            "code": code,
            "path": path,
            "line": start.map(|place| place.line),
            "column": start.map(|place| place.column),
            "end_line": end.map(|place| place.line),
            "end_column": end.map(|place| place.column),
            "message": message,
            "hint": hint,
        })
    };
    json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn sources() -> Sources {
        Sources::from([("lib/x.lua".to_owned(), "local ü = os.time()\n".to_owned())])
    }

    fn finding() -> Finding {
        let message = "os is not available";
        Finding::new(
            Severity::Error,
            "removed-global",
            "lib/x.lua",
            Some(11..13),
            message,
        )
        .hint("a workflow has no clock")
    }

    #[test]
    fn a_finding_shows_its_line_and_a_caret() {
        let rendered = render(&finding(), &sources(), Paint::Plain);
        expect![[r#"
            error[removed-global]: os is not available
             --> lib/x.lua:1:11
              |
            1 | local ü = os.time()
              |           ^^
              |
              = help: a workflow has no clock"#]]
        .assert_eq(&rendered);
    }

    #[test]
    fn a_finding_without_a_place_names_its_file() {
        let whole = Finding::new(
            Severity::Warning,
            "FRB-LUA-013",
            "lib/x.lua",
            None,
            "too large",
        );
        expect![[r#"
            warning[FRB-LUA-013]: too large
            --> lib/x.lua"#]]
        .assert_eq(&render(&whole, &sources(), Paint::Plain));
        assert!(render(&whole, &sources(), Paint::Colours).contains('\u{1b}'));
    }

    #[test]
    fn json_has_the_place_as_an_editor_counts() {
        let json = to_json(&[finding()], &sources());
        let found = &json["findings"][0];
        assert_eq!((&found["line"], &found["column"]), (&json!(1), &json!(11)));
        assert_eq!(found["end_column"], json!(13));
        assert_eq!(found["severity"], json!("error"));
    }
}
