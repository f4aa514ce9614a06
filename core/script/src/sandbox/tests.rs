use std::collections::BTreeSet;

use expect_test::expect;

use super::*;
use crate::VERBS;

fn sandbox() -> Sandbox {
    Sandbox::new(Arc::default(), "pipelines/t.lua", &Limits::default(), 1).unwrap()
}

fn names(table: &Table) -> BTreeSet<String> {
    let pairs = table.pairs::<LuaValue, LuaValue>();
    pairs
        .map(|pair| pair.unwrap().0.to_string().unwrap())
        .collect()
}

/// The original table of globals, behind the proxy that scripts see.
fn globals(sandbox: &Sandbox) -> Table {
    let proxy = sandbox.lua.globals();
    proxy.metatable().unwrap().raw_get("__index").unwrap()
}

#[test]
fn the_registry_lists_exactly_the_verbs_that_are_installed() {
    let sandbox = sandbox();
    let mut installed: BTreeSet<String> = names(&sandbox.ctx)
        .iter()
        .map(|name| format!("ctx:{name}"))
        .collect();
    let objects = sandbox.bridge.objects();
    for (variable, metatable) in [
        ("d", &objects.delegation),
        ("fiber", &objects.fiber),
        ("child", &objects.child),
    ] {
        let methods: Table = metatable.raw_get("__index").unwrap();
        installed.extend(
            names(&methods)
                .iter()
                .map(|name| format!("{variable}:{name}")),
        );
    }
    let plain = ["workflow", "require"];
    for name in plain {
        assert!(
            globals(&sandbox)
                .raw_get::<Option<Function>>(name)
                .unwrap()
                .is_some()
        );
        installed.insert(name.to_owned());
    }
    let registered: BTreeSet<String> = VERBS.iter().map(|verb| verb.name.to_owned()).collect();
    assert_eq!(installed, registered);
}

/// A new version of Luau may bring functions that loop in C, tell the time or leak an address. Each name
/// below was looked at.
#[test]
fn nothing_else_is_installed() {
    let sandbox = sandbox();
    let globals = globals(&sandbox);
    let mut lines = Vec::new();
    for name in names(&globals) {
        match globals.raw_get::<LuaValue>(name.as_str()).unwrap() {
            LuaValue::Table(library) => {
                let members: Vec<String> = names(&library).into_iter().collect();
                lines.push(format!("{name}: {}", members.join(" ")));
                assert!(library.is_readonly(), "{name}");
            }
            _ => lines.push(name),
        }
    }
    expect![[r#"
        _VERSION
        __each
        assert
        bit32: arshift band bnot bor btest bxor byteswap countlz countrz extract lrotate lshift replace rrotate rshift
        buffer: copy create fill fromstring len readbits readf32 readf64 readi16 readi32 readi8 readstring readu16 readu32 readu8 tostring writebits writef32 writef64 writei16 writei32 writei8 writestring writeu16 writeu32 writeu8
        error
        getmetatable
        ipairs
        math: abs acos asin atan atan2 ceil clamp cos cosh deg e exp floor fmod frexp huge isfinite isinf isnan ldexp lerp log log10 map max min modf nan noise phi pi pow rad random round sign sin sinh sqrt sqrt2 tan tanh tau
        next
        pairs
        pcall
        rawequal
        rawget
        rawlen
        rawset
        require
        select
        setmetatable
        string: byte char find format gmatch gsub len lower match pack packsize rep reverse split sub unpack upper
        table: clear clone concat create find freeze insert isfrozen move pack remove sort unpack
        tonumber
        tostring
        type
        typeof
        unpack
        utf8: char charpattern codepoint codes len offset
        vector: abs angle ceil clamp create cross dot floor lerp magnitude max min normalize one sign zero
        workflow
        xpcall"#]].assert_eq(&lines.join("\n"));
    assert!(globals.is_readonly() && sandbox.lua.globals().is_readonly());
}

#[test]
fn every_global_of_the_original_library_that_is_gone_says_what_to_use() {
    let sandbox = sandbox();
    for name in [
        "print",
        "os",
        "coroutine",
        "debug",
        "loadstring",
        "getfenv",
        "collectgarbage",
        "io",
    ] {
        let chunk = compile(&format!("return {name}")).unwrap();
        let chunk = load_chunk(&sandbox.lua, "lib/x.lua", &chunk).unwrap();
        let error = chunk.call::<()>(()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{name} is not available: ")),
            "{error}"
        );
    }
}

#[test]
fn places_are_read_back_from_messages() {
    for (message, place) in [
        (
            "lib/x.lua:12: no: really",
            Some(("lib/x.lua", 12, "no: really")),
        ),
        ("lib/x.lua:12 no", None),
        ("lib/x.lua: no", None),
        ("12: no", None),
        ("no", None),
    ] {
        assert_eq!(location(message), place, "{message}");
    }
}
