//! The manual: a page for whoever writes a pipeline.

use std::fmt::Write;

use super::{object_of, optional, parameter, returned};
use crate::registry::{Key, OBJECTS, Object, OptionTable, Typed, VERBS, Verb, option_tables};

const HEAD: &str = "\
# Host API of scripts

<!-- Made from core/script/src/registry by `cargo xtask docs`; do not edit. -->

What a pipeline may call, verb by verb. [The author's guide](guide-author.md) says how it fits together;
[`froben.d.luau`](../scripts/types/froben.d.luau) holds the same for editors and type checkers.

An argument of the wrong type, and a key that an option table does not have, raise an error with the
script's file and line; a mistyped key is answered with the one that was probably meant. A verb that
*waits* lets other fibers run meanwhile.
";

/// The whole page.
pub fn manual() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Verbs\n\n| verb | gives |\n|---|---|\n");
    for verb in VERBS {
        let gives: Vec<&str> = verb.returns.iter().map(|typed| typed.prose).collect();
        let (name, gives) = (verb.name, gives.join("; "));
        put(
            &mut text,
            format_args!("| [`{name}`](#{}) | {gives} |\n", anchor(name)),
        );
    }
    for verb in VERBS {
        write_verb(&mut text, verb);
    }
    text.push_str("\n## Options\n");
    for table in option_tables() {
        write_options(&mut text, table);
    }
    text.push_str("\n## Objects and tables\n");
    for object in OBJECTS {
        write_object(&mut text, object);
    }
    text
}

/// As the usual renderers of Markdown name a heading.
fn anchor(name: &str) -> String {
    name.replace(':', "")
}

fn write_verb(text: &mut String, verb: &Verb) {
    let Verb {
        name,
        generics,
        params,
        returns,
        blocks,
        raises,
        prose,
        example,
    } = verb;
    put(text, format_args!("\n### `{name}`\n\n{prose}"));
    if *blocks {
        text.push_str(" *Waits.*");
    }
    let arguments: Vec<String> = params.iter().map(parameter).collect();
    let (arguments, gives) = (arguments.join(", "), returned(verb.returns));
    put(
        text,
        format_args!("\n\n```luau\n{name}{generics}({arguments}) -> {gives}\n```\n\n"),
    );
    for key in *params {
        let Key { name, prose, .. } = key;
        put(text, format_args!("- `{name}`: {prose}\n"));
    }
    for Typed {
        name,
        luau: _,
        prose,
    } in *returns
    {
        match *name {
            "" => put(text, format_args!("- gives {prose}\n")),
            name => put(text, format_args!("- gives `{name}`: {prose}\n")),
        }
    }
    for case in *raises {
        put(text, format_args!("- raises if {case}\n"));
    }
    put(text, format_args!("\n```lua\n{example}\n```\n"));
}

fn write_options(text: &mut String, table: &OptionTable) {
    put(
        text,
        format_args!("\n### {}\n\n| key | type | |\n|---|---|---|\n", table.name),
    );
    for key in table.keys {
        let Key {
            name,
            arg,
            required,
            prose,
        } = key;
        let luau = match required {
            true => arg.luau().to_owned(),
            false => optional(arg.luau()),
        };
        put(
            text,
            format_args!("| `{name}` | `{}` | {prose} |\n", in_table(&luau)),
        );
    }
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
    let generics = generics.replace('<', "&lt;");
    put(text, format_args!("\n### {name}{generics}\n\n{prose}\n"));
    if !alias.is_empty() {
        put(text, format_args!("\n```luau\n{alias}\n```\n"));
    }
    if !fields.is_empty() {
        text.push_str("\n| field | type | |\n|---|---|---|\n");
    }
    for Typed { name, luau, prose } in *fields {
        put(
            text,
            format_args!("| `{name}` | `{}` | {prose} |\n", in_table(luau)),
        );
    }
    let verbs: Vec<String> = VERBS
        .iter()
        .filter(|verb| object_of(verb).is_some_and(|of| of.name == *name))
        .map(|verb| format!("[`{}`](#{})", verb.name, anchor(verb.name)))
        .collect();
    if !verbs.is_empty() {
        put(text, format_args!("\nVerbs: {}.\n", verbs.join(", ")));
    }
}

/// A bar would end the cell.
fn in_table(luau: &str) -> String {
    luau.replace('|', "\\|")
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("invariant: writing into a string does not fail");
}
