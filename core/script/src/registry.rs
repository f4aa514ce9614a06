//! Every verb that a script may call, declared once.
//!
//! The option tables are read by these declarations, the types for editors and the manual are made from
//! them, and a test holds the list against what a VM really installs. The functions themselves are in
//! `verbs.rs` and `prelude/`.
//!
//! Types are written in Luau's own notation, by the names of [`OBJECTS`] and of the option tables.

mod objects;
mod options;
mod verbs;

pub use objects::OBJECTS;
pub(crate) use options::{DELEGATE, MAP, RUN, STATUS, WORKFLOW};
pub use verbs::VERBS;

/// What an argument or an option holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ArgType {
    Text,
    /// Text, or a number that is written as text.
    Line,
    Bool,
    /// A whole number, 0 or more.
    Count,
    /// `"512MiB"`, or a number of bytes.
    Size,
    /// `"5m"`, or a number of seconds.
    Duration,
    /// Plain data.
    Value,
    /// Plain data of this Luau type, which whoever reads it looks at.
    As(&'static str),
    /// A list of plain data.
    Values,
    /// A list of texts.
    Texts,
    /// A list of delegations.
    Delegations,
    /// A list of delegations, fibers and children.
    Members,
    /// A function of this Luau type.
    Function(&'static str),
    /// Whatever arguments follow, as a pack of types.
    Rest(&'static str),
    /// A table whose keys are field names, as `workflow` declares its input.
    Fields,
    /// A table of options.
    Options(&'static OptionTable),
}

impl ArgType {
    /// What an author is told to write.
    pub fn expected(self) -> &'static str {
        match self {
            ArgType::Text => "a string",
            ArgType::Line => "a string or a number",
            ArgType::Bool => "true or false",
            ArgType::Count => "a whole number, 0 or more",
            ArgType::Size => "a size such as \"512MiB\"",
            ArgType::Duration => "a duration such as \"30s\" or \"5m\", or a number of seconds",
            ArgType::Value => "plain data",
            ArgType::As(luau) => luau,
            ArgType::Values => "a list of plain data",
            ArgType::Texts => "a list of strings",
            ArgType::Delegations => "a list of delegations",
            ArgType::Members => "a list of delegations, fibers and children",
            ArgType::Function(_) => "a function",
            ArgType::Rest(_) => "any arguments",
            ArgType::Fields => "a table of fields",
            ArgType::Options(_) => "a table",
        }
    }

    /// Its Luau type.
    pub fn luau(self) -> &'static str {
        match self {
            ArgType::Text => "string",
            ArgType::Line => "string | number",
            ArgType::Bool => "boolean",
            ArgType::Count => "number",
            ArgType::Size | ArgType::Duration => "number | string",
            ArgType::Value => "any",
            ArgType::As(luau) => luau,
            ArgType::Values => "{ any }",
            ArgType::Texts => "{ string }",
            ArgType::Delegations => "{ Delegation }",
            // Whatever they are: for the checker, a list of children is no list of members.
            ArgType::Members => "{ M }",
            ArgType::Function(signature) => signature,
            ArgType::Rest(pack) => pack,
            ArgType::Fields => "{ [string]: FieldType | Choice }",
            ArgType::Options(table) => table.name,
        }
    }
}

/// One parameter of a verb, or one key of an option table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub arg: ArgType,
    pub required: bool,
    pub prose: &'static str,
}

/// The options of a verb, under the name of their Luau type.
#[derive(Debug, PartialEq)]
pub struct OptionTable {
    pub name: &'static str,
    pub keys: &'static [Key],
}

/// What a verb gives back, or what a field of an object holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Typed {
    /// Empty if a result has no name.
    pub name: &'static str,
    pub luau: &'static str,
    pub prose: &'static str,
}

/// What a script is given: its Luau type, and its fields. Methods are verbs.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    pub name: &'static str,
    /// Type parameters, `<R>`; empty if none.
    pub generics: &'static str,
    /// How a verb of it is written: `ctx` in `ctx:delegate`; empty if it has none.
    pub variable: &'static str,
    pub fields: &'static [Typed],
    /// Instead of fields: it is another name of this type.
    pub alias: &'static str,
    pub prose: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// As it is written: `workflow`, `ctx:delegate`, `d:await`.
    pub name: &'static str,
    /// Type parameters of its own, `<R, A...>`; empty if none.
    pub generics: &'static str,
    pub params: &'static [Key],
    /// Empty if nothing, or never.
    pub returns: &'static [Typed],
    /// Whether the script waits in it.
    pub blocks: bool,
    /// Errors that it raises beyond those for arguments of the wrong type.
    pub raises: &'static [&'static str],
    pub prose: &'static str,
    pub example: &'static str,
}

impl Verb {
    /// The variable before the colon, and the word; `None` for a global function.
    pub fn method(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once(':')
    }
}

pub(crate) const fn required(name: &'static str, arg: ArgType, prose: &'static str) -> Key {
    Key {
        name,
        arg,
        required: true,
        prose,
    }
}

pub(crate) const fn optional(name: &'static str, arg: ArgType, prose: &'static str) -> Key {
    Key {
        required: false,
        ..required(name, arg, prose)
    }
}

const fn typed(name: &'static str, luau: &'static str, prose: &'static str) -> Typed {
    Typed { name, luau, prose }
}

pub(crate) const fn gives(luau: &'static str, prose: &'static str) -> Typed {
    typed("", luau, prose)
}

/// Every option table that a verb or another option table refers to, each once, in the order in which
/// they are met.
pub(crate) fn option_tables() -> Vec<&'static OptionTable> {
    fn collect(keys: &[Key], found: &mut Vec<&'static OptionTable>) {
        for key in keys {
            if let ArgType::Options(table) = key.arg
                && !found.iter().any(|known| known.name == table.name)
            {
                found.push(table);
                collect(table.keys, found);
            }
        }
    }
    let mut found = Vec::new();
    for verb in VERBS {
        collect(verb.params, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_is_named_once_and_described() {
        let mut verbs = BTreeSet::new();
        for verb in VERBS {
            let name = verb.name;
            assert!(verbs.insert(name), "{name}");
            assert!(!verb.prose.is_empty() && !verb.example.is_empty(), "{name}");
            let word = name.rsplit(':').next().unwrap();
            assert!(verb.example.contains(word), "{name}");
            assert!(
                verb.params.iter().all(|key| !key.prose.is_empty()),
                "{name}"
            );
            assert!(
                verb.returns.iter().all(|typed| !typed.prose.is_empty()),
                "{name}"
            );
        }
        let mut types: BTreeSet<_> = OBJECTS.iter().map(|object| object.name).collect();
        assert_eq!(types.len(), OBJECTS.len());
        for table in option_tables() {
            assert!(types.insert(table.name), "{}", table.name);
            let names: BTreeSet<_> = table.keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), table.keys.len());
            assert!(table.keys.iter().all(|key| !key.prose.is_empty()));
        }
    }

    #[test]
    fn every_example_parses() {
        for verb in VERBS {
            let compiled = crate::sandbox::compile(verb.example);
            assert!(compiled.is_ok(), "{}: {:?}", verb.name, compiled.err());
        }
    }

    #[test]
    fn every_method_is_one_of_an_object() {
        for verb in VERBS {
            if let Some((variable, _)) = verb.method() {
                let of = OBJECTS.iter().find(|object| object.variable == variable);
                assert!(of.is_some(), "{}", verb.name);
            }
        }
    }
}
