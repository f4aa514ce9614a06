//! Script sets and what their pipelines declare.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use froben_model::{BlobRef, Value};
use froben_script::{Code, FieldType, Limits, Revision, State, Vm, check_input};
use harness::*;

fn set(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(path, source): &(&str, &str)| ((*path).to_owned(), (*source).to_owned());
    files.iter().map(own).collect()
}

const TYPED: &str = "return workflow('typed', {
    description = 'takes all sorts',
    input = { data = 'blob', n = 'integer?', params = { 'dev', 'standard', default = 'standard' } },
    output = { bundle = 'blob', note = 'string?' },
  }, function(ctx, input)
    if input.n == 1 then return {} end
    if input.n == 2 then return { bundle = 'x' } end
    if input.n == 3 then return { bundle = input.data, more = 1 } end
    return { bundle = input.data, note = input.params }
  end)";

#[test]
fn a_set_is_checked_as_a_whole() {
    let check = |files: &[(&str, &str)], expected: Expect| {
        let found = Revision::check(&set(files), &Limits::default()).map(|_| ());
        let problems = found.err().unwrap_or_default();
        assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        expected.assert_eq(&lines.join("\n"));
    };
    check(
        &[("pipelines/a.lua", TYPED), ("lib/x.lua", "return 1")],
        expect![[""]],
    );
    check(
        &[
            ("pipelines/a.lua", "local x = = 1"),
            ("lib/x.lua", "\n\nreturn {"),
            ("lib/y.lua", ""),
        ],
        expect![[r#"
            FRB-LUA-001: lib/x.lua:3: Expected identifier when parsing expression, got <eof>
            FRB-LUA-001: pipelines/a.lua:1: Expected identifier when parsing expression, got '='"#]],
    );
    check(
        &[
            ("pipelines/a.lua", "return 5"),
            ("pipelines/b.lua", "\nerror('no')"),
            (
                "pipelines/c.lua",
                "return workflow('c', { input = { x = 'blub' } }, function() end)",
            ),
            ("pipelines/d.lua", "return workflow('d', {})"),
            (
                "pipelines/e.lua",
                "return workflow('Bad Name', {}, function() end)",
            ),
            (
                "pipelines/f.lua",
                "return workflow('f', { inputs = {} }, function() end)",
            ),
            ("pipelines/g.lua", "return require('lib/none')"),
            (
                "pipelines/h.lua",
                "return { number = 1, run = function() end }",
            ),
            (
                "pipelines/i.lua",
                "return workflow('i', { input = { p = { 'a', default = 'b' } } }, function() end)",
            ),
            (
                "pipelines/j.lua",
                "return workflow('j', { input = { p = { 'a', defualt = 'a' } } }, function() end)",
            ),
            (
                "pipelines/k.lua",
                "return workflow('k', { output = { p = { default = 'a' } } }, function() end)",
            ),
        ],
        expect![[r#"
            FRB-LUA-009: pipelines/a.lua: the file does not return a workflow
            FRB-LUA-002: pipelines/b.lua:2: no
            FRB-LUA-009: pipelines/c.lua:1: workflow: `input.x` has the unknown type "blub"; did you mean `blob`?
            FRB-LUA-009: pipelines/d.lua:1: workflow: the third argument is a function, got nil
            FRB-LUA-009: pipelines/e.lua:1: workflow: the name "Bad Name" must be 1 to 64 lower-case letters, digits, `_` and `-`
            FRB-LUA-009: pipelines/f.lua:1: workflow: unknown key `inputs`; did you mean `input`?
            FRB-LUA-010: pipelines/g.lua:1: require: there is no module `lib/none`; the script set has no modules
            FRB-LUA-009: pipelines/h.lua: the file does not return a workflow
            FRB-LUA-009: pipelines/i.lua:1: workflow: `input.p` has a `default` that is not one of its choices
            FRB-LUA-009: pipelines/j.lua:1: workflow: `input.p` has an unknown key `defualt` beside its choices; did you mean `default`?
            FRB-LUA-009: pipelines/k.lua:1: workflow: `output.p` is a type, or a list of strings to choose from and a `default`; got none"#]],
    );
    check(
        &[
            ("pipelines/a.lua", TYPED),
            ("pipelines/b.lua", TYPED),
            ("x.lua", ""),
        ],
        expect![
            "FRB-LUA-013: x.lua: not a path of a script: pipelines/NAME.lua or lib/NAME.lua is"
        ],
    );
    check(
        &[("pipelines/a.lua", TYPED), ("pipelines/b.lua", TYPED)],
        expect![
            "FRB-LUA-009: pipelines/b.lua: the name `typed` is that of pipelines/a.lua already"
        ],
    );
}

#[test]
fn a_set_has_limits() {
    let many: BTreeMap<String, String> = (0..300)
        .map(|i| (format!("lib/m{i}.lua"), "return 1".to_owned()))
        .collect();
    let large: BTreeMap<String, String> = (0..20)
        .map(|i| (format!("lib/m{i}.lua"), "-".repeat(250_000)))
        .collect();
    for files in [many, large] {
        let problems = Revision::check(&files, &Limits::default())
            .map(|_| ())
            .unwrap_err();
        assert_eq!((problems.len(), problems[0].code), (1, Code::ScriptSet));
    }
}

#[test]
fn what_a_pipeline_declares_is_read_and_held_against_the_input() {
    let revision = check(&set(&[("pipelines/a.lua", TYPED)]));
    let info = &revision.pipelines()["typed"];
    assert_eq!(
        (info.path.as_str(), info.description.as_str()),
        ("pipelines/a.lua", "takes all sorts")
    );
    assert_eq!(info.inputs["data"].field_type, FieldType::Blob);
    assert!(info.inputs["n"].optional && !info.inputs["data"].optional);
    assert_eq!(info.inputs["params"].choices, ["dev", "standard"]);

    let blob = || ("data", Value::Blob(BlobRef::of(b"x")));
    let check = |input: Value, expected: Expect| {
        let said = check_input(info, &input).err().unwrap_or_default();
        expected.assert_eq(&said);
        let started = Vm::start(&revision, "typed", input, 1, STARTED_MS, Limits::default());
        assert_eq!(started.is_ok(), said.is_empty());
        assert!(
            started
                .err()
                .is_none_or(|failure| failure.code == Code::Input)
        );
    };
    check(Value::map([blob()]), expect![""]);
    check(Value::map([blob(), ("n", Value::Nil)]), expect![""]);
    check(
        Value::map([blob(), ("n", Value::Int(4)), ("params", Value::text("dev"))]),
        expect![""],
    );
    check(
        Value::Nil,
        expect!["the input is a table of fields, got nil"],
    );
    check(
        Value::map::<String>([]),
        expect!["input `data` is missing: blob is expected"],
    );
    check(
        Value::map([("data", Value::text("x"))]),
        expect!["input `data` is a string: blob is expected"],
    );
    check(
        Value::map([blob(), ("n", Value::Number(0.5))]),
        expect!["input `n` is a number: integer is expected"],
    );
    check(
        Value::map([blob(), ("params", Value::text("fast"))]),
        expect![[r#"input `params` is "fast": "dev" or "standard" is expected"#]],
    );
    check(
        Value::map([blob(), ("parms", Value::text("dev"))]),
        expect!["unknown input `parms`; did you mean `params`?"],
    );
    // All of it at once: the one that is mistyped is the one that is missing.
    check(
        Value::map([("dta", Value::Nil), ("n", Value::text("x"))]),
        expect![
            "input `data` is missing: blob is expected; input `n` is a string: integer is expected; unknown input `dta`; did you mean `data`?"
        ],
    );
    let many = (0..100).map(|n| (format!("other-{n:02}"), Value::Nil));
    let said = check_input(&revision.pipelines()["typed"], &Value::map(many));
    let said = said.expect_err("none of them is known");
    assert_eq!(said.matches("unknown input").count(), 7, "{said}");
    assert!(said.ends_with("; and more"), "{said}");
    check(
        Value::map([("data", Value::text("x".repeat(300_000)))]),
        expect!["the input is too large: its weight or depth is 300052, the limit is 262144"],
    );
}

#[test]
fn an_unknown_pipeline_is_named_with_what_was_meant() {
    let revision = check(&set(&[("pipelines/a.lua", TYPED)]));
    let failure = Vm::start(
        &revision,
        "typd",
        Value::Nil,
        1,
        STARTED_MS,
        Limits::default(),
    )
    .map(|_| ())
    .unwrap_err();
    assert_eq!(failure.code, Code::UnknownPipeline);
    assert_eq!(
        failure.message,
        "there is no pipeline `typd`; did you mean `typed`?"
    );
}

#[test]
fn defaults_are_filled_in_and_outputs_are_checked() {
    let revision = check(&set(&[("pipelines/a.lua", TYPED)]));
    let run = |n: i64| {
        let blob = Value::Blob(BlobRef::of(b"x"));
        let input = Value::map([("data", blob), ("n", Value::Int(n))]);
        Vm::start(&revision, "typed", input, 1, STARTED_MS, Limits::default())
            .unwrap()
            .resume(Vec::new())
            .state
    };
    let State::Returned(output) = run(0) else {
        panic!()
    };
    assert_eq!(output.get("note"), Some(&Value::text("standard")));
    for (n, part) in [
        (1, "output `bundle` is missing: blob is expected"),
        (2, "output `bundle` is a string: blob is expected"),
        (3, "unknown output `more`"),
    ] {
        let State::Failed(failure) = run(n) else {
            panic!()
        };
        assert_eq!(failure.code, Code::Output);
        assert!(failure.message.contains(part), "{failure}");
    }
}
