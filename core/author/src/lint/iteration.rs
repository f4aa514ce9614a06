//! Loops whose order follows addresses, which differ when the workflow is rebuilt.

use std::collections::BTreeSet;

use full_moon::ast::{Block, Expression, Field, GenericFor, Index, Prefix, Stmt, Suffix, Var};
use full_moon::tokenizer::TokenReference;
use full_moon::visitors::Visitor;

use super::names::{Names, Shape};
use super::tree::{arguments, name_of, plain_call, span, tokens};
use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const UNORDERED: Lint = Lint {
    name: "unordered-iteration",
    severity: Severity::Error,
    summary: "a loop over keys that are objects, whose order is another on replay",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut keyed = Keyed {
        names: &script.names,
        tables: BTreeSet::new(),
    };
    keyed.visit_ast(script.ast);
    let mut loops = Loops {
        names: &script.names,
        keyed: keyed.tables,
        found,
    };
    loops.visit_ast(script.ast);
}

/// Finds the tables that are given an object as a key.
struct Keyed<'a> {
    names: &'a Names,
    tables: BTreeSet<usize>,
}

impl Visitor for Keyed<'_> {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assignment(assignment) => {
                for target in assignment.variables() {
                    self.target(target);
                }
            }
            Stmt::CompoundAssignment(assignment) => self.target(assignment.lhs()),
            Stmt::LocalAssignment(local) => {
                for (name, value) in local.names().iter().zip(local.expressions()) {
                    self.constructed(name, value);
                }
            }
            _ => {}
        }
    }
}

impl Keyed<'_> {
    fn target(&mut self, target: &Var) {
        let Var::Expression(target) = target else {
            return;
        };
        let mut suffixes = target.suffixes();
        if let (Prefix::Name(table), Some(Suffix::Index(Index::Brackets { expression, .. })), None) =
            (target.prefix(), suffixes.next(), suffixes.next())
            && self.names.shape_of(expression).is_object()
        {
            self.tables.extend(self.names.index(table));
        }
    }

    fn constructed(&mut self, name: &TokenReference, value: &Expression) {
        let Expression::TableConstructor(table) = value else {
            return;
        };
        let object = |field: &Field| matches!(field, Field::ExpressionKey { key, .. } if self.names.shape_of(key).is_object());
        if table.fields().iter().any(object) {
            self.tables.extend(self.names.index(name));
        }
    }
}

struct Loops<'a, 'f> {
    names: &'a Names,
    keyed: BTreeSet<usize>,
    found: &'a mut Found<'f>,
}

impl Visitor for Loops<'_, '_> {
    fn visit_generic_for(&mut self, node: &GenericFor) {
        let Some(first) = node.expressions().iter().next() else {
            return;
        };
        let (table, raises) = match first {
            Expression::FunctionCall(call) => match plain_call(call) {
                Some((name, given)) if self.names.is_global(name, "pairs") => {
                    (arguments(given).next(), true)
                }
                _ => (None, false),
            },
            Expression::Var(Var::Name(name)) if self.names.is_global(name, "next") => {
                (node.expressions().iter().nth(1), true)
            }
            other => (Some(other), false),
        };
        let Some(Expression::Var(Var::Name(name))) = table else {
            return;
        };
        let keyed = self
            .names
            .index(name)
            .is_some_and(|index| self.keyed.contains(&index));
        if keyed && (raises || self.reaches_a_verb(node.block())) {
            let table = name_of(name);
            let message = match raises {
                true => format!("the keys of `{table}` are objects, over which this loop raises"),
                false => format!(
                    "this loop visits the keys of `{table}`, which are objects, in another order on \
                     replay, and calls verbs in that order"
                ),
            };
            let hint = "keep the objects in a list and loop over that, or use names as keys";
            self.found
                .report(&UNORDERED, span(node.expressions()), message, hint);
        }
    }
}

impl Loops<'_, '_> {
    fn reaches_a_verb(&self, block: &Block) -> bool {
        tokens(block)
            .into_iter()
            .any(|token| matches!(self.names.shape(token), Shape::Host(_)))
    }
}
