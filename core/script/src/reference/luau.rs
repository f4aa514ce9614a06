//! The types, in the notation of Luau's definition files.

use std::fmt::Write;

use super::{object_of, optional, parameter, returned};
use crate::registry::{Key, OBJECTS, Object, OptionTable, Typed, VERBS, Verb, option_tables};

const HEAD: &str = "\
-- The host API of Froben's scripts, for editors and type checkers.
--
-- Made from core/script/src/registry by `cargo xtask docs`; do not edit.
";

/// The whole file.
pub fn definitions() -> String {
    let mut text = HEAD.to_owned();
    for object in OBJECTS {
        text.push('\n');
        write_object(&mut text, object);
    }
    for table in option_tables() {
        text.push('\n');
        write_options(&mut text, table);
    }
    for verb in VERBS.iter().filter(|verb| verb.method().is_none()) {
        text.push('\n');
        write_global(&mut text, verb);
    }
    text
}

fn write_object(text: &mut String, object: &Object) {
    let Object {
        name,
        generics,
        variable: _,
        fields,
        alias,
        prose,
    } = object;
    write_prose(text, "", prose);
    if !alias.is_empty() {
        put(text, format_args!("export type {name} = {alias}\n"));
        return;
    }
    let methods: Vec<&Verb> = VERBS
        .iter()
        .filter(|verb| object_of(verb).is_some_and(|of| of.name == *name))
        .collect();
    if fields.is_empty() && methods.is_empty() {
        put(text, format_args!("export type {name} = {{}}\n"));
        return;
    }
    if is_outcome(fields) {
        write_outcome(text, object);
        return;
    }
    put(text, format_args!("export type {name}{generics} = {{\n"));
    for Typed { name, luau, prose } in *fields {
        write_prose(text, "  ", prose);
        put(text, format_args!("  {name}: {luau},\n"));
    }
    for verb in methods {
        let (_, word) = verb.method().unwrap_or_default();
        let own = format!("self: {name}{generics}");
        let parameters: Vec<String> = [own]
            .into_iter()
            .chain(verb.params.iter().map(parameter))
            .collect();
        write_prose(text, "  ", verb.prose);
        let (parameters, returned) = (parameters.join(", "), returned(verb.returns));
        let generics = verb.generics;
        put(
            text,
            format_args!("  {word}: {generics}({parameters}) -> {returned},\n"),
        );
    }
    text.push_str("}\n");
}

/// It tells by `ok` whether there is an `err`.
fn is_outcome(fields: &[Typed]) -> bool {
    let has = |name: &str| fields.iter().any(|field| field.name == name);
    let tells = fields
        .iter()
        .any(|field| (field.name, field.luau) == ("ok", "boolean"));
    tells && has("err")
}

/// An outcome is one of two tables, so that a checker knows that `err` is there where `ok` is false, and
/// that it may not be there where nobody asked.
fn write_outcome(text: &mut String, object: &Object) {
    put(text, format_args!("export type {} =\n", object.name));
    for (mark, ok) in [(" ", true), ("|", false)] {
        put(text, format_args!("  {mark} {{\n"));
        for Typed { name, luau, prose } in object.fields {
            write_prose(text, "    ", prose);
            let luau = match (*name, ok) {
                ("ok", true) => "true",
                ("ok", false) => "false",
                ("err", true) => "nil",
                ("err", false) => luau.trim_end_matches('?'),
                _ => luau,
            };
            put(text, format_args!("    {name}: {luau},\n"));
        }
        text.push_str("  }\n");
    }
}

pub(super) fn write_options(text: &mut String, table: &OptionTable) {
    put(text, format_args!("export type {} = {{\n", table.name));
    for key in table.keys {
        let Key {
            name,
            arg,
            required,
            prose,
        } = key;
        write_prose(text, "  ", prose);
        let luau = match required {
            true => arg.luau().to_owned(),
            false => optional(arg.luau()),
        };
        put(text, format_args!("  {name}: {luau},\n"));
    }
    text.push_str("}\n");
}

/// `require` is the checker's own: it reads the module's type from its file.
fn write_global(text: &mut String, verb: &Verb) {
    if verb.name != "require" {
        write_function(text, verb.name, verb.prose, verb.params, verb.returns);
    }
}

pub(super) fn write_function(
    text: &mut String,
    name: &str,
    prose: &str,
    params: &[Key],
    returns: &[Typed],
) {
    write_prose(text, "", prose);
    let parameters: Vec<String> = params.iter().map(parameter).collect();
    let (parameters, returned) = (parameters.join(", "), returned(returns));
    put(
        text,
        format_args!("declare function {name}({parameters}): {returned}\n"),
    );
}

pub(super) fn write_prose(text: &mut String, indent: &str, prose: &str) {
    let mut line = String::new();
    for word in prose.split_whitespace() {
        if !line.is_empty() && indent.len() + line.len() + word.len() > 100 {
            put(text, format_args!("{indent}--{line}\n"));
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    put(text, format_args!("{indent}--{line}\n"));
}

pub(super) fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("invariant: writing into a string does not fail");
}
