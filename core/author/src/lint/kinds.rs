//! Kinds of task, where they are written out.

use std::collections::BTreeSet;

use froben_model::Kind;
use full_moon::ast::{Expression, Field, FunctionCall, TableConstructor};
use full_moon::visitors::Visitor;

use super::chain::Chain;
use super::names::Names;
use super::tree::{first_table, literal_text, name_of, span};
use super::{Found, Lint, LintOptions, Script, api, meant};
use crate::finding::Severity;

pub(crate) const NAME: Lint = Lint {
    name: "kind-name",
    severity: Severity::Error,
    summary: "a kind that is not written as NAME/VERSION",
};
pub(crate) const UNKNOWN: Lint = Lint {
    name: "unknown-kind",
    severity: Severity::Warning,
    summary: "a kind that no machine offers, as far as is known",
};

/// Keys that, beside `kind`, only a task has.
const OF_A_TASK: [&str; 4] = ["needs", "timeout", "queue_timeout", "avoid"];
/// Keys of a task that are kinds.
const KINDS: [&str; 2] = ["kind", "check"];

pub(super) fn check(script: &Script<'_>, options: &LintOptions, found: &mut Found<'_>) {
    let mut kinds = Kinds {
        names: &script.names,
        known: options.kinds.as_ref(),
        seen: BTreeSet::new(),
        found,
    };
    kinds.visit_ast(script.ast);
}

struct Kinds<'a, 'f> {
    names: &'a Names,
    known: Option<&'a BTreeSet<String>>,
    /// Where tables begin that were looked at.
    seen: BTreeSet<usize>,
    found: &'a mut Found<'f>,
}

impl Visitor for Kinds<'_, '_> {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        for used in Chain::of(self.names, call).uses {
            let first = used.verb.and_then(|verb| verb.params.first());
            let takes_a_task = first
                .and_then(|first| api::keys(first.arg))
                .is_some_and(|keys| keys == api::task_keys());
            if let Some(table) = first_table(used.given).filter(|_| takes_a_task) {
                self.task(table);
            }
        }
    }

    fn visit_table_constructor(&mut self, table: &TableConstructor) {
        let named = |wanted: &str| entry(table, wanted).is_some();
        if OF_A_TASK.into_iter().any(named) {
            self.task(table);
        }
    }
}

impl Kinds<'_, '_> {
    fn task(&mut self, table: &TableConstructor) {
        for value in KINDS.into_iter().filter_map(|key| entry(table, key)) {
            self.kind(value);
        }
    }

    fn kind(&mut self, value: &Expression) {
        let Some(kind) = literal_text(value).filter(|_| self.seen.insert(span(value).start)) else {
            return;
        };
        if let Err(error) = Kind::new(kind) {
            let hint = "a kind has a name and a version, such as \"data.prove/1\"";
            self.found.report(
                &NAME,
                span(value),
                froben_model::limits::one_line(&error.to_string()),
                hint,
            );
        } else if let Some(known) = self.known.filter(|known| !known.contains(kind)) {
            let hint = meant(kind, known.iter().map(String::as_str));
            let message = format!("no machine offers the kind `{kind}`");
            self.found.report(&UNKNOWN, span(value), message, hint);
        }
    }
}

fn entry<'t>(table: &'t TableConstructor, wanted: &str) -> Option<&'t Expression> {
    table.fields().iter().find_map(|field| match field {
        Field::NameKey { key, value, .. } if name_of(key) == wanted => Some(&**value),
        _ => None,
    })
}
