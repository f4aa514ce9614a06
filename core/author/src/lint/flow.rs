//! Code that nothing reaches.

use std::collections::BTreeSet;

use full_moon::ast::{Block, Expression, LastStmt, Stmt};
use full_moon::visitors::Visitor;

use super::chain::Chain;
use super::names::Names;
use super::tree::{plain_call, span};
use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const UNREACHABLE: Lint = Lint {
    name: "unreachable-code",
    severity: Severity::Warning,
    summary: "code after a point that the script never gets past",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut flow = Flow {
        names: &script.names,
        said: BTreeSet::new(),
        found,
    };
    flow.visit_ast(script.ast);
    // The tree's own block is not visited as one.
    flow.visit_block(script.ast.nodes());
}

struct Flow<'a, 'f> {
    names: &'a Names,
    /// Where code begins of which it was said already.
    said: BTreeSet<usize>,
    found: &'a mut Found<'f>,
}

impl Visitor for Flow<'_, '_> {
    fn visit_block(&mut self, block: &Block) {
        let mut statements = block.stmts();
        if !statements.any(|statement| self.stops(statement)) {
            return;
        }
        let after = match (statements.next(), block.last_stmt()) {
            (Some(next), _) => span(next),
            (None, Some(last)) => span(last),
            (None, None) => return,
        };
        let hint = "what stands before it never lets the script get here: take one of the two out";
        if self.said.insert(after.start) {
            self.found
                .report(&UNREACHABLE, after, "this is never reached", hint);
        }
    }
}

impl Flow<'_, '_> {
    /// Whether nothing after the statement, in its block, is ever reached.
    fn stops(&self, statement: &Stmt) -> bool {
        match statement {
            Stmt::FunctionCall(call) => {
                let raises =
                    plain_call(call).is_some_and(|(name, _)| self.names.is_global(name, "error"));
                let fails = |used: &super::chain::Use<'_>| {
                    used.verb.is_some_and(|verb| verb.name == "ctx:fail")
                };
                raises || Chain::of(self.names, call).uses.iter().any(fails)
            }
            Stmt::Do(inner) => self.ends(inner.block()),
            Stmt::If(inner) => {
                let others = inner.else_if().into_iter().flatten();
                self.ends(inner.block())
                    && others.into_iter().all(|other| self.ends(other.block()))
                    && inner.else_block().is_some_and(|block| self.ends(block))
            }
            Stmt::While(inner) => is_true(inner.condition()) && !breaks(inner.block()),
            _ => false,
        }
    }

    fn ends(&self, block: &Block) -> bool {
        block.last_stmt().is_some() || block.stmts().any(|statement| self.stops(statement))
    }
}

fn is_true(expression: &Expression) -> bool {
    matches!(expression, Expression::Symbol(token) if token.token().to_string() == "true")
}

/// Whether a `break` in the block leaves the loop around it.
fn breaks(block: &Block) -> bool {
    if matches!(block.last_stmt(), Some(LastStmt::Break(_))) {
        return true;
    }
    block.stmts().any(|statement| match statement {
        Stmt::Do(inner) => breaks(inner.block()),
        Stmt::If(inner) => {
            let others = inner.else_if().into_iter().flatten();
            breaks(inner.block())
                || others.into_iter().any(|other| breaks(other.block()))
                || inner.else_block().is_some_and(breaks)
        }
        _ => false,
    })
}
