use super::*;

#[track_caller]
fn rewritten(source: &str) -> String {
    let rewritten = with_ordered_loops(source).unwrap_or_else(|why| panic!("{source}: {why}"));
    let rewritten = rewritten.unwrap_or_else(|| source.to_owned());
    assert_eq!(
        rewritten.matches('\n').count(),
        source.matches('\n').count()
    );
    rewritten
}

#[test]
fn loops_over_values_are_passed_through() {
    for (source, expected) in [
        ("for k in t do end", "for k in __each( t )do end"),
        (
            "for k, v in pairs(t) do end",
            "for k, v in __each( pairs(t) )do end",
        ),
        ("for k in t--c\ndo end", "for k in __each( t--c\n)do end"),
        ("for i = 1, 2 do end", "for i = 1, 2 do end"),
        ("for i: number = 1, 2 do end", "for i: number = 1, 2 do end"),
        (
            "for k: string, v: { x: (a) -> b } in t do end",
            "for k: string, v: { x: (a) -> b } in __each( t )do end",
        ),
        ("for _ in{1}do end", "for _ in __each({1})do end"),
        (
            "for a in x do for b in y do end end",
            "for a in __each( x )do for b in __each( y )do end end",
        ),
        (
            "for k in f(function() for a in b do c() end end) do end",
            "for k in __each( f(function() for a in __each( b )do c() end end) )do end",
        ),
        (
            "for k in f(function() if a then do b() end end while c do d() end return if a then b else c end) do end",
            "for k in __each( f(function() if a then do b() end end while c do d() end return if a then b else c end) )do end",
        ),
        (
            "for k in if a then f(function() if b then c() else d() end end) else t do end",
            "for k in __each( if a then f(function() if b then c() else d() end end) else t )do end",
        ),
        (
            "for k in f(function() while if a then b else c do d() end end) do end",
            "for k in __each( f(function() while if a then b else c do d() end end) )do end",
        ),
        (
            "for k in f(function() local x = if a then if b then c else d else e if x then y() end end) do end",
            "for k in __each( f(function() local x = if a then if b then c else d else e if x then y() end end) )do end",
        ),
        (
            "for k in f(function() repeat local x = 1 until if x then y else z end) do end",
            "for k in __each( f(function() repeat local x = 1 until if x then y else z end) )do end",
        ),
    ] {
        assert_eq!(rewritten(source), expected);
    }
}

/// Whatever stands in the head of a loop: it is passed through, or the source is refused. Never is a loop
/// left to the order of addresses.
#[test]
fn no_loop_is_left_alone() {
    let heads = [
        "`a{if true then \"x\" else \"y\"}`",
        "`a{`b{if c then 1 else 2}`}` if c then d() end",
        "local best: number? if c then d() end",
        "local best: number?\nif c then d() elseif e then f() else g() end",
        "local x: Foo<T> if c then d() end",
        "local x = a > if c then 1 else 2",
        "local f: (number) -> { string? } if c then d() end",
        "local s = `x` if c then d() end",
        "return if a then if b then 1 else 2 else if c then 3 else 4",
        "repeat local y = `{1}` until if a then b else c",
        "while if a then b else c do if d then e() end end",
        "type T = { a: number? } if c then d() end",
    ];
    for head in heads {
        let source = format!("for k in (function() {head} end)() do end");
        match with_ordered_loops(&source) {
            Ok(Some(rewritten)) => {
                let expected = format!("for k in __each( (function() {head} end)() )do end");
                assert_eq!(rewritten, expected);
            }
            Ok(None) => panic!("left alone: {source}"),
            Err(why) => assert!(
                why.starts_with("1: what this loop") && head.contains('>'),
                "{source}: {why}"
            ),
        }
    }
    assert!(with_ordered_loops("for k in").is_err());
    assert_eq!(with_ordered_loops("for k = 1, 2 do end"), Ok(None));
}

#[test]
fn what_only_looks_like_a_loop_is_left_alone() {
    for source in [
        "-- for k in t do end",
        "--[[ for k in t do end ]]",
        "--[==[ for k ]] in t do end ]==]",
        "return 'for k in t do end'",
        "return \"\\\"for k in t do end\"",
        "return [[for k in t do end]]",
        "return `for k in t do {1} for k in t do \\{ for k in t do`",
        "return `\\u{66}for k in t do`",
        "return `{ `for k in t do {{ 1 }}` } for k in t do`",
        "local fort = 1 for_ = 2",
        "return 1 ..'for k in t do'",
        "x = [=[\n]] for k in t do ]=] .. '\\\nfor k in t do'",
    ] {
        assert_eq!(rewritten(source), source);
    }
    let inside = "return `a { f(function() for k in t do end end) } for k in t do`";
    let expected = "return `a { f(function() for k in __each( t )do end end) } for k in t do`";
    assert_eq!(rewritten(inside), expected);
}

#[test]
fn what_changes_how_a_source_is_compiled_is_refused() {
    for (source, line) in [
        ("\n--!optimize 2\nreturn 1", Some("2: only --!strict")),
        ("--!native", Some("1: only --!strict")),
        ("--!strict\nreturn 1", None),
        ("--!nolint LocalUnused\nreturn 1", None),
        ("@native function f() end", Some("1: attributes")),
        ("return '@native --!native'", None),
        (
            "\nlocal function __each() end",
            Some("2: the name `__each`"),
        ),
        (
            "return { __each = 1 }, x.__each",
            Some("1: the name `__each`"),
        ),
        ("return '__each' -- __each", None),
        (
            "\u{feff}return 1",
            Some("1: the file begins with a byte order mark"),
        ),
    ] {
        let refused = refused(source).err();
        match (line, &refused) {
            (None, None) => {}
            (Some(line), Some(why)) if why.starts_with(line) => {}
            _ => panic!("{source}: {refused:?}"),
        }
    }
}

/// Luau refuses what it does not know; we must get through to it.
#[test]
fn characters_of_several_bytes_are_not_cut() {
    for odd in [
        "ÿ", "“hi”", "\u{2028}", "a𝄞b", "`{ÿ}é`", "'\\ÿ'", "\"é", "--é\nÿ", "[[é", "1é.5",
    ] {
        for source in [
            odd.to_owned(),
            format!("local x = {odd}"),
            format!("for k in {odd} do end"),
        ] {
            assert_eq!(refused(&source), Ok(()), "{source:?}");
            let _ = with_ordered_loops(&source);
            required(&source);
        }
    }
}

#[test]
fn modules_are_named_in_calls_of_require() {
    let source = "require 'lib/a'\n-- require('lib/b')\nlocal c = require ( --[[ x ]] \"lib/c\" )\nrequire(name)";
    assert_eq!(required(source), [(1, "lib/a"), (3, "lib/c")]);
}

#[test]
fn constants_joined_again_and_again_are_too_many() {
    let local = format!("local a = '{}'", "q".repeat(4000));
    let joined: String = (0..25_000).map(|n| format!("x=a..'{n}'")).collect();
    assert!(refused(&format!("{local}{joined}")).is_err());
    let templates: String = (0..20_000).map(|n| format!("x=`{{a}}{n}`")).collect();
    assert!(refused(&format!("{local}{templates}")).is_err());
    let reasonable: String = (0..2_000).map(|n| format!("x=a..'{n}'\n")).collect();
    assert_eq!(refused(&reasonable), Ok(()));
    assert_eq!(refused(&"-- .. ..\n".repeat(25_000)), Ok(()));
}
