//! Reads a script's option table by the registry's keys.

use froben_model::limits;
use froben_model::resources::{parse_duration_ms, parse_size};
use mlua::{Table, Value as LuaValue};

use crate::convert::{sequence, text, text_of, type_name, whole};
use crate::registry::{ArgType, Key, OptionTable};
use crate::suggest;

/// One option as it was read.
#[derive(Debug)]
enum Setting {
    Text(String),
    Bool(bool),
    Count(u64),
    Bytes(u64),
    Ms(u64),
    /// Plain data, fields, functions: converted by whoever knows its limits.
    Lua(LuaValue),
    List(Vec<LuaValue>),
    Texts(Vec<String>),
    Options(Options),
}

/// The options of one call, each of the kind that the registry declares.
#[derive(Debug, Default)]
pub(crate) struct Options(Vec<(&'static str, Setting)>);

macro_rules! take {
    ($name:ident, $setting:ident, $type:ty) => {
        pub(crate) fn $name(&mut self, key: &str) -> Option<$type> {
            let place = self.0.iter().position(|(name, _)| *name == key)?;
            match self.0.swap_remove(place).1 {
                Setting::$setting(value) => Some(value),
                _ => None,
            }
        }
    };
}

impl Options {
    /// Reads `table`, the argument of the verb `verb`. Errors name the verb and the key, and say what
    /// was expected.
    pub(crate) fn read(
        verb: &str,
        table: &LuaValue,
        known: &'static OptionTable,
    ) -> Result<Self, String> {
        Self::read_nested(verb, "", table, known.keys)
    }

    fn read_nested(
        verb: &str,
        within: &str,
        table: &LuaValue,
        keys: &'static [Key],
    ) -> Result<Self, String> {
        let LuaValue::Table(table) = table else {
            let got = type_name(table);
            return Err(format!(
                "{verb}: a table of options was expected, got {got}"
            ));
        };
        let mut options = Options::default();
        each(verb, table, |name, value| {
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                let known = keys.iter().map(|key| key.name);
                let hint = suggest::hint(name, known);
                return Err(format!("{verb}: unknown key `{within}{name}`{hint}"));
            };
            let setting = match key.arg {
                ArgType::Options(inner) => {
                    let within = format!("{within}{name}.");
                    let inner = Self::read_nested(verb, &within, &value, inner.keys)?;
                    Setting::Options(inner)
                }
                arg => setting(arg, value).map_err(|why| {
                    let expected = arg.expected();
                    format!("{verb}: `{within}{name}` is {expected}; {why}")
                })?,
            };
            options.0.push((key.name, setting));
            Ok(())
        })?;
        for key in keys.iter().filter(|key| key.required) {
            if options.0.iter().all(|(name, _)| *name != key.name) {
                let (name, expected) = (key.name, key.arg.expected());
                return Err(format!(
                    "{verb}: `{within}{name}` is missing ({expected}: {})",
                    key.prose
                ));
            }
        }
        Ok(options)
    }

    take!(text, Text, String);
    take!(bool, Bool, bool);
    take!(count, Count, u64);
    take!(bytes, Bytes, u64);
    take!(ms, Ms, u64);
    take!(lua, Lua, LuaValue);
    take!(list, List, Vec<LuaValue>);
    take!(texts, Texts, Vec<String>);
    take!(options, Options, Options);
}

/// Reads one value as the registry declares it. The error says what is there instead.
fn setting(arg: ArgType, value: LuaValue) -> Result<Setting, String> {
    let got = || format!("got {}", type_name(&value));
    Ok(match arg {
        ArgType::Text | ArgType::Line => Setting::Text(text(&value)?),
        ArgType::Bool => Setting::Bool(value.as_boolean().ok_or_else(got)?),
        ArgType::Count => Setting::Count(count(&value)?),
        ArgType::Size if value.is_string() => {
            Setting::Bytes(parse_size(&text(&value)?).map_err(|error| error.to_string())?)
        }
        ArgType::Size => Setting::Bytes(count(&value)?),
        ArgType::Duration => Setting::Ms(duration_ms(&value)?),
        ArgType::Function(_) if !value.is_function() => return Err(got()),
        ArgType::Value
        | ArgType::As(_)
        | ArgType::Fields
        | ArgType::Function(_)
        | ArgType::Rest(_) => Setting::Lua(value),
        ArgType::Values | ArgType::Delegations | ArgType::Members => match &value {
            LuaValue::Table(table) => Setting::List(sequence(table, limits::ITEMS)?),
            _ => return Err(got()),
        },
        ArgType::Texts => match &value {
            LuaValue::Table(table) => {
                let texts: Result<_, String> =
                    sequence(table, limits::ITEMS)?.iter().map(text).collect();
                Setting::Texts(texts?)
            }
            _ => return Err(got()),
        },
        ArgType::Options(known) => Setting::Options(Options::read("", &value, known)?),
    })
}

fn count(value: &LuaValue) -> Result<u64, String> {
    whole(value).ok_or_else(|| match value {
        LuaValue::Integer(_) | LuaValue::Number(_) => {
            "got a number that is negative, fractional or beyond 2^53, where it is not exact"
                .to_owned()
        }
        other => format!("got {}", type_name(other)),
    })
}

/// A duration as scripts write it: text with a unit, or seconds.
pub(crate) fn duration_ms(value: &LuaValue) -> Result<u64, String> {
    let seconds = match value {
        LuaValue::String(_) => {
            return parse_duration_ms(&text(value)?).map_err(|error| error.to_string());
        }
        LuaValue::Integer(seconds) => *seconds as f64,
        LuaValue::Number(seconds) => *seconds,
        _ => return Err(format!("got {}", type_name(value))),
    };
    match (0.0..=limits::TIMEOUT_MS as f64).contains(&seconds) {
        true => Ok((seconds * 1000.0).round() as u64),
        false => Err(format!("got {seconds} seconds")),
    }
}

/// Visits a table's own entries, whose keys must be strings, until one is refused. `what` begins the refusal
/// of a key.
pub(crate) fn each(
    what: &str,
    table: &Table,
    mut visit: impl FnMut(&str, LuaValue) -> Result<(), String>,
) -> Result<(), String> {
    let mut wrong = None;
    let walked = table.for_each(|key: LuaValue, value: LuaValue| {
        let visited = match &key {
            LuaValue::String(key) => match text_of(key) {
                Ok(key) => visit(&key, value),
                Err(why) => Err(format!("{what}: a key: {why}")),
            },
            _ => Err(format!("{what}: a key is {}, not a name", type_name(&key))),
        };
        visited.map_err(|why| {
            wrong = Some(why);
            mlua::Error::runtime("stop")
        })
    });
    match (wrong, walked) {
        (Some(why), _) => Err(why),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(())) => Ok(()),
    }
}
