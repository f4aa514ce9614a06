//! The types of specs, on top of those of pipelines.

use super::luau::{put, write_function, write_options, write_prose};
use super::parameter;
use crate::registry::OptionTable;
use crate::spec::SPEC_VERBS;
use crate::spec::registry::{MATCHERS, OPERATOR, RUN, RUN_CHILD, RUN_DELEGATION, SIMULATE, TASK};

const HEAD: &str = "\
-- The verbs of specs, for editors and type checkers, beside those of froben.d.luau. They are there in spec/ alone.
--
-- Made from core/script/src/spec/registry.rs by `cargo xtask docs`; do not edit.

-- What an operator does about an item: `ok(value)`, `fail(class)` and so on.
export type Reply = { __reply: never }
";

/// The whole file. It needs [`definitions`](super::definitions) before it.
pub fn spec_definitions() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n-- What `expect` gives. Each matcher gives it again.\n");
    text.push_str("export type Expectation = {\n");
    for matcher in MATCHERS {
        write_prose(&mut text, "  ", matcher.prose);
        let value = parameter(&crate::Key {
            name: "value",
            ..*matcher
        });
        put(
            &mut text,
            format_args!(
                "  {}: (self: Expectation, {value}) -> Expectation,\n",
                matcher.name
            ),
        );
    }
    text.push_str("}\n");
    for table in [OPERATOR, SIMULATE] {
        text.push('\n');
        write_options(&mut text, table);
    }
    for table in [TASK, RUN, RUN_DELEGATION, RUN_CHILD] {
        text.push('\n');
        write_result(&mut text, table);
    }
    // A pipeline has it too.
    let own = SPEC_VERBS.iter().filter(|verb| verb.name != "workflow");
    for verb in own {
        text.push('\n');
        write_function(&mut text, verb.name, verb.prose, verb.params, verb.returns);
    }
    text
}

/// What a spec looks at. A field that may be missing has the type that it has when it is there: a case that
/// reads it where it is not is one that fails, as it should.
fn write_result(text: &mut String, table: &OptionTable) {
    put(text, format_args!("export type {} = {{\n", table.name));
    for key in table.keys {
        write_prose(text, "  ", key.prose);
        put(text, format_args!("  {}: {},\n", key.name, key.arg.luau()));
    }
    text.push_str("}\n");
}
