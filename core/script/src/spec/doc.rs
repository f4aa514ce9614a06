//! The reference of specs, out of the registry: `docs/spec-api.md`.

use super::registry::{
    MATCHERS, OPERATOR, RUN, RUN_CHILD, RUN_DELEGATION, SIMULATE, SPEC_VERBS, TASK,
};
use crate::registry::Key;

/// The whole page.
pub fn reference() -> String {
    let mut page = String::from(
        "# The verbs of specs\n\n\
         Made from `core/script/src/spec/registry.rs` by `cargo xtask docs`. How to write a spec: \
         [guide-author.md](guide-author.md). The same for editors and type checkers: \
         [`spec.d.luau`](../scripts/types/spec.d.luau).\n",
    );
    for verb in SPEC_VERBS {
        let names: Vec<String> = verb.params.iter().map(parameter).collect();
        page += &format!("\n## {}({})\n\n{}", verb.name, names.join(", "), verb.prose);
        for given in verb.returns {
            page += &format!(" Gives {}.", given.prose);
        }
        page += "\n";
        let described = |key: &&Key| !matches!(key.arg, crate::ArgType::Options(_));
        if verb.params.iter().any(|key| described(&key)) {
            page += "\n";
            page += &verb
                .params
                .iter()
                .filter(described)
                .map(line)
                .collect::<String>();
        }
        page += &format!("\n```lua\n{}\n```\n", verb.example);
        match verb.name {
            "expect" => page += &table("Matchers, as `expect(x):to_equal(y)`", MATCHERS),
            "simulate" => {
                page += &table("Options", SIMULATE.keys);
                page += &table("An operator", OPERATOR.keys);
                page += &table("`task`, when an operator's function is asked", TASK.keys);
                page += &table("A run", RUN.keys);
                page += &table(
                    "A delegation of a run; times are seconds since the submit",
                    RUN_DELEGATION.keys,
                );
                page += &table("A child of a run", RUN_CHILD.keys);
            }
            _ => {}
        }
    }
    page
}

fn parameter(key: &Key) -> String {
    let optional = if key.required { "" } else { "?" };
    format!("{}{optional}", key.name)
}

fn line(key: &Key) -> String {
    format!("- `{}`: {}\n", parameter(key), key.prose)
}

fn table(title: &str, keys: &[Key]) -> String {
    let lines: String = keys.iter().map(line).collect();
    format!("\n### {title}\n\n{lines}")
}
