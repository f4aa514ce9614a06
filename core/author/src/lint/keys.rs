//! Keys that a table is given twice.

use std::collections::BTreeSet;

use full_moon::ast::{Field, TableConstructor};
use full_moon::visitors::Visitor;

use super::tree::{literal_text, name_of, span};
use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const DUPLICATE: Lint = Lint {
    name: "duplicate-key",
    severity: Severity::Error,
    summary: "a key that a table is given twice, of which the last one counts",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    Keys { found }.visit_ast(script.ast);
}

struct Keys<'a, 'f> {
    found: &'a mut Found<'f>,
}

impl Visitor for Keys<'_, '_> {
    fn visit_table_constructor(&mut self, table: &TableConstructor) {
        let mut seen = BTreeSet::new();
        for field in table.fields() {
            let (name, at) = match field {
                Field::NameKey { key, .. } => (Some(name_of(key)), span(key)),
                Field::ExpressionKey { key, .. } => (literal_text(key), span(key)),
                _ => continue,
            };
            let Some(name) = name else {
                continue;
            };
            if !seen.insert(name.to_owned()) {
                let message = format!("the key `{name}` is given twice; only this one counts");
                self.found.report(&DUPLICATE, at, message, "leave one out");
            }
        }
    }
}
