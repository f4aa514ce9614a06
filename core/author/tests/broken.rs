//! A script set that is broken says where: every script of `tests/broken` gets, first of all, the place and
//! the code that `tests/broken.txt` names.

mod checker;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use checker::types;
use expect_test::expect_file;
use froben_author::{CheckOptions, Finding, Source, Sources, TypeChecker, check, files, render};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
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

/// What authors write every day, and strict inference stumbles over.
#[test]
fn what_is_right_is_checked_without_a_word() {
    let right = r#"
local LIMITS = { small = 1, large = 2 }

return workflow("x", { input = { list = "list" } }, function(ctx, input)
  local task = { kind = "a/1", items = input.list, needs = { cpu_cores = 1 } }
  local mapped = ctx:map(task, { width = 3 })
  local children, fibers = {}, {}
  for name, limit in LIMITS do
    table.insert(children, ctx:run("x", { limit = limit }, { key = name }))
    table.insert(fibers, ctx:spawn(function(n)
      ctx:sleep(n)
      return n
    end, limit))
  end
  for at, result in ipairs(ctx:all(children)) do
    ctx:log(`{children[at].key}: {result.ok}`)
  end
  local first = ctx:race(fibers)
  local ok, raised = pcall(function()
    error("no luck")
  end)
  return { first = first, ok = ok, raised = tostring(raised), count = #mapped.ok }
end)
"#;
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    assert_eq!(findings(right, types).1, []);
}

/// The verbs of specs are known in specs, and there alone.
#[test]
fn specs_are_checked_with_their_own_verbs() {
    let spec = r#"
local run = simulate { pipeline = "x", operators = { a = fail("timeout") } }
describe("x", function()
  it("is typed", function()
    expect(run.state):to_equal("succeeded"):to_be_at_least(1)
    expect(run.outptu):to_equal(1)
    expect(run.failure.code):to_equl("x")
    local reply = fail("timeot")
    expect(reply):to_equal(after("9s", 3))
    expect(run.delegations[1].keys):to_equal({})
    simulate { pipelin = "x" }
    desribe("y", function() end)
  end)
end)
"#;
    let pipeline = "return workflow(\"x\", {}, function(ctx, input) return expect(input) end)\n";
    let files = [("pipelines/x.lua", pipeline), ("spec/x.lua", spec)];
    let sources = Sources::from(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    let typed = types.is_some();
    let options = CheckOptions {
        types,
        ..CheckOptions::default()
    };
    let mut said = Vec::new();
    for finding in check(&sources, &options) {
        let span = finding.span.expect("a place");
        let place = Source::new(&finding.path, &sources[&finding.path]).place(span.start);
        said.push(format!("{}:{} {}", finding.path, place.line, finding.code));
    }
    let expected = [
        "pipelines/x.lua:1 undefined-name",
        "spec/x.lua:6 FRB-CHK-001",
        "spec/x.lua:7 FRB-CHK-001",
        "spec/x.lua:8 FRB-CHK-001",
        "spec/x.lua:9 FRB-CHK-001",
        "spec/x.lua:10 FRB-CHK-001",
        "spec/x.lua:11 unknown-option",
        "spec/x.lua:12 undefined-name",
    ];
    let expected = expected
        .into_iter()
        .filter(|said| typed || !said.ends_with("FRB-CHK-001"));
    assert_eq!(said, expected.collect::<Vec<_>>());
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
        .map(|finding| (finding.path.as_str(), finding.code.as_ref()))
        .collect();
    let expected = [
        ("lib/a.lua", "removed-global"),
        ("lib/broken.lua", "FRB-LUA-001"),
        ("pipeline/d.lua", "FRB-LUA-013"),
        ("pipelines/b.lua", "FRB-LUA-009"),
    ];
    assert_eq!(said, expected);
}

/// Modules that need each other are told with their circle, and by nobody else.
#[test]
fn a_circle_of_modules_is_told_once_and_with_its_chain() {
    let files = [
        (
            "lib/a.lua",
            "local b = require(\"lib/b\")\nlocal A = {}\nfunction A.f() return b.f() end\nreturn A\n",
        ),
        (
            "lib/b.lua",
            "local A = require(\"lib/a\")\nreturn { f = function() return A end }\n",
        ),
        ("lib/broken.lua", "local x =\n"),
        (
            "lib/c.lua",
            "return { a = require(\"lib/a\"), d = require(\"lib/broken\") }\n",
        ),
    ];
    let sources = Sources::from(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    let options = CheckOptions {
        types,
        ..CheckOptions::default()
    };
    let found = check(&sources, &options);
    let said: Vec<_> = found
        .iter()
        .map(|finding| {
            (
                finding.path.as_str(),
                finding.code.as_ref(),
                finding.message.as_str(),
            )
        })
        .collect();
    let circle = "a module needs itself: lib/a -> lib/b -> lib/a";
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], ("lib/b.lua", "FRB-LUA-010", circle));
    assert_eq!((said[1].0, said[1].1), ("lib/broken.lua", "FRB-LUA-001"));
    let shown = render(&found[0], &sources, froben_author::Paint::Plain);
    assert!(
        shown.contains("lib/b.lua:1:") && shown.contains('^'),
        "{shown}"
    );
}
