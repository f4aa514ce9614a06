//! Each lint where it must speak and where it must not.

use std::fmt::Write as _;

use super::{LINTS, LintOptions, lint};
use crate::finding::Severity;
use crate::source::{Source, Sources};

/// What the linter says of `text`: `line:column name`, one a line.
fn found(text: &str) -> String {
    found_with(text, &LintOptions::default())
}

fn found_with(text: &str, options: &LintOptions) -> String {
    let path = "lib/x.lua";
    let sources = Sources::from([(path.to_owned(), text.to_owned())]);
    let source = Source::new(path, text);
    let mut lines = String::new();
    for finding in lint(&sources, options) {
        let place = source.place(finding.span.map_or(0, |span| span.start));
        let (line, column) = (place.line, place.column);
        writeln!(lines, "{line}:{column} {}", finding.code).expect("a string");
    }
    lines
}

fn check(text: &str, expected: &str) {
    assert_eq!(found(text).trim_end(), expected, "{text}");
}

/// The body of a workflow's function.
fn check_run(body: &str, expected: &str) {
    let text = format!("return workflow('x', {{}}, function(ctx, input)\n{body}\nend)\n");
    check(&text, expected);
}

#[test]
fn removed_globals_say_what_to_use_instead() {
    check("return os.time()", "1:8 removed-global");
    check("local t = {}\nt.x = print\nreturn t", "2:7 removed-global");
    check("return math.randomseed(1)", "1:8 removed-global");
    check("return ({ os = 1 }).os", "");
    check("local os = { time = 1 }\nreturn os.time", "");
    check("local t = { os = 1 }\nreturn t.os", "");
}

#[test]
fn undefined_names_are_told_from_declared_ones() {
    check("return undefinde", "1:8 undefined-name");
    check(
        "do local inner = 1; local _ = inner end\nreturn inner",
        "2:8 undefined-name",
    );
    check("local function f() return f end\nreturn f", "");
    check("local x = x\nreturn x", "1:11 undefined-name");
    check("for i = 1, 2 do local _ = i end", "");
    check("for k, v in pairs({}) do local _ = k, v end", "");
    check("repeat local x = 1 until x == 1", "");
    check("local t = {}\nfunction t:m() return self end\nreturn t", "");
    check("return function(...) return select('#', ...) end", "");
    check("return `{nobody}`", "1:10 undefined-name");
    check(
        "local x = 1\nreturn if x then x else nobody",
        "2:25 undefined-name",
    );
    check(
        "type T = { a: number }\nlocal x: T = { a = 1 }\nreturn x",
        "",
    );
}

#[test]
fn specs_have_words_of_their_own() {
    let text = "describe('x', function() end)\nreturn os".to_owned();
    for (path, undefined) in [
        ("scripts/spec/x.lua", 0),
        ("spec/a/x.lua", 0),
        ("lib/spec.lua", 1),
    ] {
        let sources = Sources::from([(path.to_owned(), text.clone())]);
        let found = lint(&sources, &LintOptions::default());
        let of = |name: &str| found.iter().filter(|finding| finding.code == name).count();
        assert_eq!(
            (of("undefined-name"), of("removed-global")),
            (undefined, 1),
            "{path}"
        );
    }
}

#[test]
fn globals_are_frozen() {
    check("x = 1", "1:1 global-assignment");
    check("function f() end", "1:10 global-assignment");
    check("x += 1", "1:1 global-assignment\n1:1 undefined-name");
    check("string.trim = function() end", "1:1 global-assignment");
    check("function table.count() end", "1:10 global-assignment");
    check("local t = {}\nt.x = 1\nfunction t.f() end\nreturn t", "");
    check("local table = 1\nreturn table", "1:7 shadowed-global");
    check(
        "return function(string) return string end",
        "1:17 shadowed-global",
    );
}

#[test]
fn verbs_are_those_of_the_registry() {
    check_run(
        "local _ = ctx:delegat({ kind = 'a/1' })",
        "2:15 unknown-verb",
    );
    check_run(
        "local d = ctx:delegate({ kind = 'a/1' })\nd:awiat()",
        "3:3 unknown-verb",
    );
    check_run(
        "local _ = ctx:delegate({ kind = 'a/1' }):awiat()",
        "2:42 unknown-verb",
    );
    check_run("ctx.log('x')", "2:5 dot-call");
    check_run("local c = ctx\nc:lock('x')", "3:3 unknown-verb");
    check_run("local f = ctx.log\nf(ctx, 'x')", "");
    check(
        "return workflow('x', {}, function(c, input)\nc:lock(input)\nend)",
        "2:3 unknown-verb",
    );
    check("return function(other) other:anything() end", "");
    // What is assigned to may be anything.
    check_run("ctx = nil\nctx:anything()", "");
}

#[test]
fn results_are_looked_at() {
    check_run("ctx:delegate({ kind = 'a/1' })", "2:1 unused-result");
    check_run(
        "local d = ctx:delegate({ kind = 'a/1' })",
        "2:7 unused-result",
    );
    check_run(
        "local d = ctx:delegate({ kind = 'a/1' })\nd:await()",
        "3:1 unused-result",
    );
    check_run(
        "local d = ctx:delegate({ kind = 'a/1' })\nlocal _ = d:await()",
        "",
    );
    check_run("local _d = ctx:delegate({ kind = 'a/1' })", "");
    check_run("ctx:log('x')\nctx:sleep(1)\nctx:fail('x')", "");
    check("workflow('x', {}, function() end)", "1:1 unused-result");
    check("require('lib/y')", "1:1 unused-result");
}

#[test]
fn options_are_held_against_the_registry() {
    let delegate = |table: &str| format!("local _ = ctx:delegate({table}):await()");
    let cases = [
        ("{ kind = 'a/1', timeot = '5m' }", "2:40 unknown-option"),
        ("{ kind = 'a/1', ['timeot'] = '5m' }", "2:41 unknown-option"),
        (
            "{ kind = 'a/1', needs = { cores = 1 } }",
            "2:50 unknown-option",
        ),
        ("{ kind = 'a/1', 5 }", "2:40 unknown-option"),
        ("{ input = 1 }", "2:24 missing-option"),
        ("{ kind = 5 }", "2:33 mistyped-option"),
        (
            "{ kind = 'a/1', timeout = '5 parsecs' }",
            "2:50 mistyped-option",
        ),
        ("{ kind = 'a/1', timeout = -1 }", "2:50 mistyped-option"),
        (
            "{ kind = 'a/1', needs = { ram = true } }",
            "2:56 mistyped-option",
        ),
        (
            "{ kind = 'a/1', needs = { cpu_cores = 1.5 } }",
            "2:62 mistyped-option",
        ),
        (
            "{ kind = 'a/1', input = function() end }",
            "2:48 mistyped-option",
        ),
        ("{ kind = 'a/1', timeout = nil, input = nil }", ""),
        (
            "{ kind = 'a/1', timeout = 30, needs = { ram = '4GiB', shared = true } }",
            "",
        ),
        ("{ [input.key] = 'a/1' }", ""),
        ("input", ""),
    ];
    for (table, expected) in cases {
        check_run(&delegate(table), expected);
    }
    for (body, expected) in [
        (
            "local t = { kind = 'a/1', timeot = '5m' }\nlocal _ = ctx:delegate(t)\nlocal _ = ctx:delegate(t)",
            "2:27 unknown-option",
        ),
        (
            "local t = { items = {} }\nlocal _ = ctx:map(t)",
            "2:11 missing-option",
        ),
        (
            "local o = { width = '3' }\nlocal _ = ctx:map({ kind = 'a/1', items = {} }, o)",
            "2:21 mistyped-option",
        ),
        // It may be something else by then.
        (
            "local t = {}\nt.kind = 'a/1'\nlocal _ = ctx:delegate(t)",
            "",
        ),
        ("local t = {}\nt = input\nlocal _ = ctx:delegate(t)", ""),
    ] {
        check_run(body, expected);
    }
    check_run("ctx:sleep()", "2:5 missing-option");
    check_run("ctx:sleep(input.pause())", "");
    check_run("ctx:log {}", "2:9 mistyped-option");
    check_run("ctx:status 'witness'", "2:12 mistyped-option");
    check(
        "return workflow('x', { inputs = {} }, function() end)",
        "1:24 unknown-option",
    );
    check("return workflow('x', {})", "1:8 missing-option");
}

#[test]
fn errors_are_compared_with_names_that_there_are() {
    let result = "local r = ctx:delegate({ kind = 'a/1' }):await()\n";
    let check_condition = |condition: &str, told: bool| {
        let at = "if ".len() + condition.find('\'').expect("a string") + 1;
        let expected = match told {
            true => format!("3:{at} unknown-class"),
            false => String::new(),
        };
        let body = format!("{result}if {condition} then ctx:log('x') end");
        check_run(&body, &expected);
    };
    for condition in [
        "r.err.class == 'timeot'",
        "'oom' ~= r.err.class",
        "r.ok or (r.err.class == 'lost')",
        "r.items[1].err.class == 'lost'",
        "r.err.code == 'FRB-XXX-999'",
        "r.failure.code == 'FRB_LUA-001'",
    ] {
        check_condition(condition, true);
    }
    for condition in [
        "r.err.class == 'timeout'",
        "r.err.class ~= 'bad_request'",
        "r.err.code == 'FRB-LUA-001'",
        "r.err.message == 'lost'",
        "r.class == 'lost'",
        "r.err.class .. 'lost'",
    ] {
        check_condition(condition, false);
    }
    let local = "local class = r.err.class\nif class == 'lost' then ctx:log('x') end";
    check_run(&format!("{result}{local}"), "4:13 unknown-class");
    // The author's own.
    let own =
        "local e = { err = { class = 'odd' } }\nif e.err.class == 'odd' then ctx:log('x') end";
    check_run(own, "");
}

#[test]
fn kinds_have_a_version_and_somebody_offers_them() {
    check_run(
        "local _ = ctx:delegate({ kind = 'prove' }):await()",
        "2:33 kind-name",
    );
    check("return { kind = 'prove', needs = {} }", "1:17 kind-name");
    check(
        "return { kind = 'a.b/1', needs = {}, check = 'look' }",
        "1:46 kind-name",
    );
    check("return { kind = 'circle' }", "");
    let options = LintOptions {
        kinds: Some(["a.b/1".to_owned()].into()),
    };
    let known = "return { { kind = 'a.b/1', needs = {} }, { kind = 'a.b/2', needs = {} } }";
    assert_eq!(found_with(known, &options), "1:51 unknown-kind\n");
    assert_eq!(found(known), "");
}

#[test]
fn loops_over_objects_have_no_order() {
    let filled = "local d = ctx:delegate({ kind = 'a/1' })\nlocal t = {}\nt[d] = 1\n";
    let cases = [
        (
            "for k in pairs(t) do local _ = k end",
            "5:10 unordered-iteration",
        ),
        (
            "for k in next, t do local _ = k end",
            "5:10 unordered-iteration",
        ),
        (
            "for k in t do ctx:log(k.key) end",
            "5:10 unordered-iteration",
        ),
        ("local n = 0\nfor _ in t do n += 1 end\nctx:log(n)", ""),
    ];
    for (body, expected) in cases {
        check_run(&format!("{filled}{body}"), expected);
    }
    check_run(
        "local t = {}\nt[input.key] = 1\nfor k in pairs(t) do ctx:log(k) end",
        "",
    );
    check_run(
        "local t = { a = 1 }\nfor k in pairs(t) do ctx:log(k) end",
        "",
    );
    check_run(
        "local t = { [{}] = 1 }\nfor k in t do ctx:log(k) end",
        "3:10 unordered-iteration",
    );
}

#[test]
fn whole_numbers_are_exact() {
    check("return 9007199254740993", "1:8 inexact-number");
    check("return 9007199254740992, 1e300, '9007199254740993'", "");
}

#[test]
fn what_pcall_caught_is_looked_at() {
    let waits = "function() ctx:sleep(1) end";
    check_run(&format!("pcall({waits})"), "2:1 unchecked-pcall");
    check_run(&format!("local _ = pcall({waits})"), "2:11 unchecked-pcall");
    check_run(
        &format!("local ok = pcall({waits})\nif ok then return 1 end"),
        "",
    );
    check_run("pcall(ctx.sleep, ctx, 1)", "2:1 unchecked-pcall");
    check_run("pcall(function() return input end)", "");
}

#[test]
fn code_after_the_end_is_not_reached() {
    check_run("ctx:fail('x')\nreturn 1", "3:1 unreachable-code");
    check("error('x')\nlocal _ = 1", "2:1 unreachable-code");
    check_run(
        "while true do ctx:sleep(1) end\nreturn 1",
        "3:1 unreachable-code",
    );
    check_run("while true do if input.x then break end end\nreturn 1", "");
    check_run(
        "if input.x then return 1 else error('x') end\nreturn 2",
        "3:1 unreachable-code",
    );
    check_run("if input.x then return 1 end\nreturn 2", "");
    check_run("do return 1 end", "");
}

#[test]
fn locals_are_read() {
    check("local x = 1", "1:7 unused-variable");
    check("local x\nx = 1", "1:7 unused-variable");
    check("local function f() end", "1:16 unused-variable");
    check("local _x = 1", "");
    check("local x = 0\nx += 1\nreturn x", "");
    check("return function(unused) end", "");
}

#[test]
fn keys_are_given_once() {
    check("return { a = 1, b = 2, a = 3 }", "1:24 duplicate-key");
    check("return { a = 1, ['a'] = 3 }", "1:18 duplicate-key");
    check("return { a = 1, ['b'] = 3 }", "");
}

#[test]
fn a_comment_allows_what_it_names_and_says_why() {
    check(
        "return os -- lint: allow(removed-global) shown in the manual",
        "",
    );
    check(
        "-- lint: allow(removed-global) shown in the manual\nreturn os",
        "",
    );
    check(
        "-- lint: allow(removed-global) both\n-- of them\nreturn os",
        "",
    );
    check(
        "return os -- lint: allow(removed-global)",
        "1:8 removed-global\n1:11 bad-allow",
    );
    check(
        "return os -- lint: allow(removed) why",
        "1:8 removed-global\n1:11 bad-allow",
    );
    check(
        "return 1 -- lint: allow(removed-global) why",
        "1:10 bad-allow",
    );
    check("return 1 -- lint: disable", "1:10 bad-allow");
    check("return 1 -- lint removed the rest", "");
}

#[test]
fn what_does_not_parse_gives_the_syntax_error() {
    check("local x =\nreturn y", "2:1 FRB-LUA-001");
}

#[test]
fn our_own_scripts_are_free_of_findings() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts");
    let sources = crate::files::read(scripts.as_ref()).expect("they can be read");
    assert_eq!(lint(&sources, &LintOptions::default()), []);
}

#[test]
fn every_lint_has_a_section_of_its_own() {
    let page = include_str!("../../../../docs/lints.md");
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let names: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
    assert_eq!(sections, names);
    for lint in LINTS {
        let severity = match lint.severity {
            Severity::Error => "*error*",
            Severity::Warning => "*warning*",
        };
        let section = page
            .split(&format!("## {}\n", lint.name))
            .nth(1)
            .unwrap_or_default();
        assert!(section.trim_start().starts_with(severity), "{}", lint.name);
    }
}

/// What the sandbox says when a pipeline's file does this.
fn raised(text: &str) -> String {
    let files = Sources::from([("pipelines/x.lua".to_owned(), text.to_owned())]);
    let problems = froben_script::Revision::check(&files, &froben_script::Limits::default());
    problems.map_or_else(|problems| problems[0].message.clone(), |_| String::new())
}

#[test]
fn globals_are_those_of_the_sandbox() {
    for name in super::globals::known() {
        let text = format!("local _ = {name}\nerror('there', 0)");
        assert_eq!(raised(&text), "there", "{name}");
    }
    for (name, instead) in super::globals::GONE {
        let message = raised(&format!("return {name}"));
        // What Luau never had is merely not defined.
        let never = ["_G", "load", "loadfile"].contains(&name);
        let fits = message.contains(&format!("{name} is not available: {instead}"));
        assert!(
            fits || (never && message.contains(name)),
            "{name}: {message}"
        );
    }
    for (library, name, _) in super::globals::GONE_MEMBERS {
        let text = format!("error(tostring({library}.{name}), 0)");
        assert_eq!(raised(&text), "nil", "{library}.{name}");
    }
    for function in super::api::functions() {
        assert!(super::globals::known().any(|known| known == function.name));
    }
}

#[test]
fn what_waits_in_a_callback_of_the_language_is_told() {
    let waits = "waits-in-callback";
    for (body, at) in [
        (
            "table.sort(input, function(a, b) ctx:sleep(a) return a < b end)",
            "2:38",
        ),
        (
            "return string.gsub(input, '.', function(c) ctx:race({}) return c end)",
            "2:48",
        ),
        (
            "return xpcall(function() return 1 end, function() return ctx:all({}) end)",
            "2:62",
        ),
        (
            "return setmetatable({}, { __index = function(_, k) return ctx:map(k, {}) end })",
            "2:63",
        ),
        (
            "local d = ctx:delegate { kind = 'a/1', items = {} } local m = {} \
             m.__len = function() return d:await() end return m",
            "2:96",
        ),
    ] {
        let text = format!("return workflow('x', {{}}, function(ctx, input)\n{body}\nend)\n");
        let said = found(&text);
        assert!(said.contains(&format!("{at} {waits}")), "{text}{said}");
    }
    for body in [
        "table.sort(input, function(a, b) ctx:log(a) return a < b end)",
        "local ok = xpcall(function() ctx:sleep(1) end, function(e) return e end) return ok",
        "return { __call = function() ctx:sleep(1) end, index = function() ctx:sleep(1) end }",
        "return { __index = function() return function() ctx:sleep(1) end end }",
        "local table = { sort = function(_, f) f() end } table.sort(input, function() ctx:sleep(1) end)",
    ] {
        let text = format!("return workflow('x', {{}}, function(ctx, input)\n{body}\nend)\n");
        let said = found(&text);
        assert!(!said.contains(waits), "{text}{said}");
    }
}
