//! The reference of specs, out of the registry: `docs/spec-api.md`.

use super::registry::{MATCHERS, OPERATOR, RUN, SIMULATE, SPEC_VERBS, TASK};
use crate::registry::Key;

/// The whole page.
pub fn reference() -> String {
    let mut page = String::from(
        "# The verbs of specs\n\n\
         Generated from `core/script/src/spec/registry.rs`; a test fails when it lags. How to write a \
         spec: [guide-author.md](guide-author.md).\n",
    );
    for verb in SPEC_VERBS {
        let names: Vec<String> = verb.params.iter().map(parameter).collect();
        page += &format!("\n## {}({})\n\n{}", verb.name, names.join(", "), verb.prose);
        if !verb.returns.is_empty() {
            page += &format!(" Gives {}.", verb.returns);
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
                page += &table("`task`, when an operator's function is asked", TASK);
                page += &table("A run", RUN);
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
