//! A script set that is broken says where: every script of `tests/broken` gets, first of all, the place and
//! the code that `tests/broken.txt` names.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use froben_author::{CheckOptions, Finding, Source, Sources, TypeChecker, check, files, render};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

/// The helper, two folders above the test's own program.
fn types() -> Option<TypeChecker> {
    let own = std::env::current_exe().expect("a test has a program");
    let program = own
        .ancestors()
        .nth(2)
        .expect("target/debug")
        .join("froben-typecheck");
    program.is_file().then(|| TypeChecker::new(program))
}

/// What is said of one script as the only pipeline of a set.
fn findings(text: &str, types: Option<TypeChecker>) -> (Sources, Vec<Finding>) {
    let mut sources = files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib"))
        .expect("the library can be read")
        .into_iter()
        .map(|(path, text)| (format!("lib/{path}"), text))
        .collect::<Sources>();
    sources.insert("pipelines/x.lua".to_owned(), text.to_owned());
    let options = CheckOptions {
        types,
        ..CheckOptions::default()
    };
    let findings = check(&sources, &options);
    (sources, findings)
}

#[test]
fn every_broken_script_gets_a_place_and_a_code() {
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    let mut said = String::new();
    let expected = include_str!("broken.txt");
    for path in files::find(&folder()).expect("the corpus can be read") {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let of_types = expected.contains(&format!("{name}:")) && name.starts_with("type_");
        if of_types && types.is_none() {
            let line = expected.lines().find(|line| line.starts_with(&name));
            writeln!(said, "{}", line.unwrap_or_default()).expect("a string");
            continue;
        }
        let text = fs::read_to_string(&path).expect("a script");
        let (sources, findings) = findings(&text, types.clone());
        let first = findings.iter().find(|finding| finding.is_error());
        let first = first.unwrap_or_else(|| panic!("{name} passes"));
        assert_eq!(first.path, "pipelines/x.lua", "{name}: {first:?}");
        assert!(
            !first.message.is_empty() && !first.message.contains('\n'),
            "{name}"
        );
        let shown = render(first, &sources, froben_author::Paint::Plain);
        assert!(
            shown.contains('^') || text.trim().is_empty(),
            "{name} has no caret:\n{shown}"
        );
        let span = first
            .span
            .clone()
            .unwrap_or_else(|| panic!("{name} has no place"));
        let place = Source::new(&first.path, &text).place(span.start);
        writeln!(
            said,
            "{name}:{}:{} {}",
            place.line, place.column, first.code
        )
        .expect("a string");
    }
    assert!(said.lines().count() >= 60);
    expect_file!["broken.txt"].assert_eq(&said);
}

#[test]
fn our_own_scripts_are_checked_without_a_word() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let sources = files::read(&scripts).expect("they can be read");
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    let options = CheckOptions {
        types,
        ..CheckOptions::default()
    };
    assert_eq!(check(&sources, &options), []);
}

#[test]
fn all_faults_of_a_set_are_told_at_once() {
    let files = [
        ("lib/a.lua", "return os.time()\n"),
        ("lib/broken.lua", "local x =\n"),
        ("pipelines/b.lua", "return 1\n"),
        ("pipelines/c.lua", "return require(\"lib/broken\")\n"),
        ("pipeline/d.lua", "return 1\n"),
    ];
    let sources = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let found = check(&Sources::from(sources), &CheckOptions::default());
    let said: Vec<_> = found
        .iter()
        .map(|finding| (finding.path.as_str(), finding.code))
        .collect();
    let expected = [
        ("lib/a.lua", "removed-global"),
        ("lib/broken.lua", "FRB-LUA-001"),
        ("pipeline/d.lua", "FRB-LUA-013"),
        ("pipelines/b.lua", "FRB-LUA-009"),
    ];
    assert_eq!(said, expected);
}
