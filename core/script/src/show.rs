//! A Lua value in few words, for a person: what an expectation got, what a local holds.

use std::fmt::Write;

use mlua::{Table, Value as LuaValue};

use crate::convert::{type_name, whole};

/// Entries of one table that are shown.
const ENTRIES: usize = 24;
/// How deep tables are shown.
const DEPTH: usize = 4;

/// Parts of names whose values are nobody's business.
const SECRETS: [&str; 6] = [
    "secret",
    "token",
    "passw",
    "private",
    "credential",
    "api_key",
];

/// `value` in at most about `limit` bytes. Keys are sorted, so that equal values look the same.
pub(crate) fn show(value: &LuaValue, limit: usize) -> String {
    Writer {
        limit,
        discreet: false,
    }
    .write(value)
}

/// The same without the values of fields that may be secrets by their names.
pub(crate) fn show_discreetly(value: &LuaValue, limit: usize) -> String {
    Writer {
        limit,
        discreet: true,
    }
    .write(value)
}

/// Whether something of this name may be a secret, which is not shown.
pub fn hidden(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

struct Writer {
    limit: usize,
    discreet: bool,
}

impl Writer {
    fn write(&self, value: &LuaValue) -> String {
        let limit = self.limit;
        let mut text = String::new();
        self.write_value(&mut text, value, 0);
        if text.len() > limit {
            let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            text.push_str("...");
        }
        text
    }

    fn write_value(&self, text: &mut String, value: &LuaValue, depth: usize) {
        let limit = self.limit;
        if text.len() > limit {
            return;
        }
        match value {
            LuaValue::Nil => text.push_str("nil"),
            LuaValue::Boolean(bool) => text.push_str(if *bool { "true" } else { "false" }),
            LuaValue::Integer(number) => write_to(text, format_args!("{number}")),
            LuaValue::Number(number) => write_to(text, format_args!("{number}")),
            LuaValue::String(string) => {
                let string = string.to_string_lossy();
                let shown: String = string.chars().take(limit).collect();
                write_to(text, format_args!("{shown:?}"));
            }
            LuaValue::Table(table) => self.write_table(text, table, depth),
            LuaValue::Function(function) => match function.info().name {
                Some(name) => write_to(text, format_args!("function {name}")),
                None => text.push_str("function"),
            },
            other => text.push_str(type_name(other)),
        }
    }

    fn write_table(&self, text: &mut String, table: &Table, depth: usize) {
        if let Some(kind) = host_object(table) {
            let entry = |name: &str| table.raw_get::<LuaValue>(name).unwrap_or(LuaValue::Nil);
            match kind.as_str() {
                "blob" => {
                    let hash = entry("hash").to_string().unwrap_or_default();
                    let hash: String = hash.chars().take(12).collect();
                    let size = whole(&entry("size")).unwrap_or_default();
                    write_to(text, format_args!("blob {hash} ({size} bytes)"));
                }
                "delegation" => {
                    let key = entry("key").to_string().unwrap_or_default();
                    write_to(text, format_args!("delegation {key}"));
                }
                kind => text.push_str(kind),
            }
            return;
        }
        if depth >= DEPTH {
            text.push_str("{ ... }");
            return;
        }
        let length = table.raw_len();
        let mut parts = 0;
        text.push('{');
        let mut part = |text: &mut String, name: Option<&str>, value: &LuaValue| {
            parts += 1;
            if parts > ENTRIES {
                return;
            }
            text.push_str(if parts == 1 { " " } else { ", " });
            if let Some(name) = name {
                write_to(text, format_args!("{name} = "));
            }
            match name {
                Some(name) if self.discreet && hidden(name) => text.push_str("(hidden)"),
                _ => self.write_value(text, value, depth + 1),
            }
        };
        for index in 1..=length {
            let element = table.raw_get::<LuaValue>(index).unwrap_or(LuaValue::Nil);
            part(text, None, &element);
        }
        let mut named = Vec::new();
        let walked = table.for_each(|key: LuaValue, value: LuaValue| {
            match &key {
                LuaValue::Integer(at) if (1..=length as i64).contains(at) => {}
                LuaValue::Number(at) if (1.0..=length as f64).contains(at) => {}
                LuaValue::String(key) => named.push((key.to_string_lossy(), value)),
                key => named.push((format!("[{}]", show(key, 40)), value)),
            }
            Ok(())
        });
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, value) in &named {
            part(text, Some(name), value);
        }
        if parts > ENTRIES {
            write_to(text, format_args!(", ... {} more", parts - ENTRIES));
        }
        if walked.is_err() {
            text.push_str(" ?");
        }
        text.push_str(if parts == 0 { "}" } else { " }" });
    }
}

/// The name that a host object's locked metatable tells.
fn host_object(table: &Table) -> Option<String> {
    let name: LuaValue = table.metatable()?.raw_get("__metatable").ok()?;
    name.is_string().then(|| name.to_string().ok()).flatten()
}

fn write_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    #[test]
    fn values_are_shown_the_way_they_are_written_and_cut_when_they_are_long() {
        let lua = Lua::new();
        for (source, shown) in [
            ("nil", "nil"),
            ("1.5", "1.5"),
            ("'a\"b'", "\"a\\\"b\""),
            ("{}", "{}"),
            (
                "{ 1, 2, b = true, a = { x = 'y' } }",
                "{ 1, 2, a = { x = \"y\" }, b = true }",
            ),
            ("{ { { { { 1 } } } } }", "{ { { { { ... } } } } }"),
        ] {
            let value: LuaValue = lua.load(source).eval().unwrap();
            assert_eq!(show(&value, 400), shown, "{source}");
        }
        let long: LuaValue = lua.load("string.rep('é', 1000)").eval().unwrap();
        assert!(show(&long, 100).len() < 110);
        let secret: LuaValue = lua
            .load("{ Token = 1, a = { password = 2 } }")
            .eval()
            .unwrap();
        assert_eq!(
            show_discreetly(&secret, 400),
            "{ Token = (hidden), a = { password = (hidden) } }"
        );
        let wide: LuaValue = lua.load("table.create(100, 1)").eval().unwrap();
        assert!(show(&wide, 400).ends_with(", ... 76 more }"));
    }
}
