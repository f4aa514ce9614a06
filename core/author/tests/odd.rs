//! Sources that nobody would write, at every door of the author's tools: none panics, and what is refused is
//! refused with a place.

mod checker;

use checker::types;
use froben_author::specs::{self, Plan};
use froben_author::{CheckOptions, Finding, LintOptions, Paint, Sources};
use froben_author::{check, format, lint, render, to_json};
use froben_script::{Limits, Revision};
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{collection, proptest, sample};

/// Odd sources, and whether Luau refuses them.
const ODD: [(&str, bool); 19] = [
    ("", false),
    ("\u{feff}return 1\n", true),
    ("local x = \u{201c}hi\u{201d}\nreturn x\n", true),
    ("\u{ff}", true),
    ("return 1 -- \u{1f980}\u{1f980}\n\u{e9}", true),
    ("local \u{e9}t\u{e9} = 1", true),
    ("return \"\u{1f980}\" + \u{1f980}", true),
    ("return '\u{202e}'", false),
    ("\0", false),
    ("return 1\0", false),
    ("return\r\n1\r\n", false),
    ("return\r1\r", false),
    ("return 0x", true),
    (
        "return 0xFFFF_FFFF_0000_0001, 0b1111, 1e999, .5, 0xfffffffffffffffff",
        false,
    ),
    ("return `{`{`{1}`}`}`", false),
    ("return [==[\n]]]=]]==]", false),
    ("return \"\\u{10FFFF}\\z  \\x41\"", false),
    ("--[[", true),
    ("\u{2028}return 1", true),
];

fn said(finding: &Finding, sources: &Sources) {
    let shown = render(finding, sources, Paint::Plain);
    assert!(
        !finding.message.is_empty() && !finding.message.contains('\n'),
        "{finding:?}"
    );
    assert!(!shown.is_empty());
}

/// A refusal has a place in its file, and a caret under it.
fn placed(findings: &[Finding], sources: &Sources, path: &str) {
    let text = &sources[path];
    let refusal = findings
        .iter()
        .find(|finding| finding.code == "FRB-LUA-001");
    let refusal = refusal.unwrap_or_else(|| panic!("{text:?} passes: {findings:?}"));
    assert_eq!(refusal.path, path);
    assert!(refusal.span.is_some(), "{refusal:?}");
    let shown = render(refusal, sources, Paint::Plain);
    assert!(
        shown.contains('^') && shown.contains(path),
        "{text:?}\n{shown}"
    );
}

/// Sends a source through every door; says whether it is Luau.
fn through_every_door(text: &str, check_options: &CheckOptions) -> bool {
    let path = "lib/x.lua";
    let sources = Sources::from([(path.to_owned(), text.to_owned())]);
    // As the coordinator checks it.
    let refused = Revision::check(&sources, &Limits::default()).err();
    let linted = lint(&sources, &LintOptions::default());
    let checked = check(&sources, check_options);
    for finding in linted.iter().chain(&checked) {
        said(finding, &sources);
    }
    to_json(&checked, &sources);
    let formatted = format(path, text);
    let Some(problems) = refused else {
        if let Ok(formatted) = formatted {
            let again = format(path, &formatted);
            assert_eq!(again.as_ref(), Ok(&formatted), "{text:?}");
        }
        return true;
    };
    assert!(
        problems[0].line > 0 && problems[0].path == path,
        "{problems:?}"
    );
    placed(&linted, &sources, path);
    placed(&checked, &sources, path);
    placed(&[*formatted.expect_err("it is no Luau").0], &sources, path);
    false
}

fn options() -> CheckOptions {
    CheckOptions {
        types: types(),
        ..CheckOptions::default()
    }
}

#[test]
fn odd_sources_are_judged_with_a_place_and_nothing_panics() {
    for (text, refused) in ODD {
        assert_eq!(through_every_door(text, &options()), !refused, "{text:?}");
    }
}

#[test]
fn odd_specs_are_refused_with_a_line() {
    for (text, refused) in ODD {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("spec")).expect("a folder");
        std::fs::write(dir.path().join("spec/x.lua"), text).expect("a file");
        let files = specs::find(dir.path()).expect("there is one");
        let report = specs::run(&files, &Plan::default(), &mut |_| {});
        assert_eq!(!report.problems.is_empty(), refused, "{text:?}");
        assert!(
            report.problems.iter().all(|(_, problem)| problem.line > 0),
            "{report:?}"
        );
    }
}

/// Pieces of the language and of what is none, in any order.
fn source() -> impl Strategy<Value = String> {
    let piece = sample::select(vec![
        "local ",
        "x",
        " = ",
        "1",
        "0x",
        "f",
        "function(",
        ")",
        " end ",
        "{",
        "}",
        "`",
        "\"",
        "'",
        "\n",
        "\r",
        "--",
        "[[",
        "]]",
        "..",
        "ctx:",
        "return ",
        "if ",
        " then ",
        "\u{e9}",
        "\u{1f980}",
        "\u{feff}",
        "\0",
        "\\",
        "::",
        "?",
        "@",
        "require",
        "type ",
        "=>",
        ",",
    ]);
    let pieces = collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    let anything =
        collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect());
    pieces.boxed().prop_union(Strategy::boxed(anything))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_source_makes_a_tool_panic(text in source()) {
        through_every_door(&text, &CheckOptions::default());
    }
}
