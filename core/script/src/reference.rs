//! What is made from the registry: types for editors and checkers, and the manual.
//!
//! They are files of the repository, so that they are read where scripts are written; a test fails when
//! one of them lags behind. `cargo xtask docs` writes them.

mod luau;
mod manual;
mod specs;

pub use luau::definitions;
pub use manual::manual;
pub use specs::spec_definitions;

use crate::registry::{Key, OBJECTS, Object, Typed, Verb};

/// Where the types stand in the repository.
pub const DEFINITIONS_PATH: &str = "scripts/types/froben.d.luau";
/// Where the types of specs stand, which come on top of these.
pub const SPEC_DEFINITIONS_PATH: &str = "scripts/types/spec.d.luau";
/// Where the manual stands.
pub const MANUAL_PATH: &str = "docs/lua-api.md";
/// Where the page about specs stands.
pub const SPEC_MANUAL_PATH: &str = "docs/spec-api.md";

/// Every file that is made from the registries, by its path in the repository.
pub fn files() -> [(&'static str, String); 4] {
    [
        (DEFINITIONS_PATH, definitions()),
        (SPEC_DEFINITIONS_PATH, spec_definitions()),
        (MANUAL_PATH, manual()),
        (SPEC_MANUAL_PATH, crate::spec::reference()),
    ]
}

/// A parameter as a Luau function type has it: `items: { any }?`.
fn parameter(key: &Key) -> String {
    let luau = key.arg.luau();
    match (key.name, key.required) {
        ("...", _) => luau.to_owned(),
        (name, true) => format!("{name}: {luau}"),
        (name, false) => format!("{name}: {}", optional(luau)),
    }
}

/// The type, or nil.
fn optional(luau: &str) -> String {
    match luau.contains(['|', '>']) {
        true => format!("({luau})?"),
        false => format!("{luau}?"),
    }
}

/// What a verb gives back, as a Luau type.
fn returned(returns: &[Typed]) -> String {
    match returns {
        [] => "()".to_owned(),
        [one] => one.luau.to_owned(),
        several => {
            let types: Vec<&str> = several.iter().map(|typed| typed.luau).collect();
            format!("({})", types.join(", "))
        }
    }
}

/// The object whose verb it is.
fn object_of(verb: &Verb) -> Option<&'static Object> {
    let (variable, _) = verb.method()?;
    OBJECTS.iter().find(|object| object.variable == variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_the_repository_are_up_to_date() {
        for (path, made) in files() {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            let there = std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_default();
            assert!(there == made, "{path} lags behind: run `cargo xtask docs`");
        }
    }
}
