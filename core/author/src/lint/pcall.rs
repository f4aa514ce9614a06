//! Failures that are caught and forgotten.

use full_moon::ast::{Expression, FunctionArgs, FunctionCall, Index, Prefix, Stmt, Suffix, Var};
use full_moon::visitors::Visitor;

use super::chain::Chain;
use super::names::{Names, Shape};
use super::tree::{arguments, name_of, plain_call, span};
use super::{Found, Lint, Script, api};
use crate::finding::Severity;

pub(crate) const UNCHECKED: Lint = Lint {
    name: "unchecked-pcall",
    severity: Severity::Warning,
    summary: "a pcall around a verb that waits, whose outcome is not looked at",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut calls = Calls {
        names: &script.names,
        found,
    };
    calls.visit_ast(script.ast);
}

struct Calls<'a, 'f> {
    names: &'a Names,
    found: &'a mut Found<'f>,
}

impl Visitor for Calls<'_, '_> {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FunctionCall(call) => self.ignored(call),
            Stmt::LocalAssignment(local) => {
                let first = local.expressions().iter().next();
                if let (Some(Expression::FunctionCall(call)), Some(ok)) =
                    (first, local.names().iter().next())
                    && self.names.binding(ok).is_some_and(|ok| ok.reads == 0)
                {
                    self.ignored(call);
                }
            }
            _ => {}
        }
    }
}

impl Calls<'_, '_> {
    fn ignored(&mut self, call: &FunctionCall) {
        let Some((name, given)) = plain_call(call) else {
            return;
        };
        let of = |wanted| self.names.is_global(name, wanted);
        if (of("pcall") || of("xpcall")) && self.waits(given) {
            let name = name_of(name);
            let message = format!("whether `{name}` caught an error is not looked at");
            let hint = format!("`local ok, err = {name}(...)`, then `if not ok then ...`");
            self.found.report(&UNCHECKED, span(call), message, hint);
        }
    }

    /// The function that is called may wait in a verb.
    fn waits(&self, given: &FunctionArgs) -> bool {
        match arguments(given).next() {
            Some(Expression::Function(function)) => {
                let mut waits = Waits {
                    names: self.names,
                    found: false,
                };
                waits.look_at(function.body().block());
                waits.found
            }
            Some(Expression::Var(Var::Expression(method))) => {
                let mut suffixes = method.suffixes();
                let (Prefix::Name(object), Some(Suffix::Index(Index::Dot { name, .. })), None) =
                    (method.prefix(), suffixes.next(), suffixes.next())
                else {
                    return false;
                };
                match self.names.shape(object) {
                    Shape::Host(of) => api::verb(of, name_of(name)).is_some_and(|verb| verb.blocks),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

struct Waits<'a> {
    names: &'a Names,
    found: bool,
}

impl Waits<'_> {
    fn look_at(&mut self, block: &full_moon::ast::Block) {
        full_moon::visitors::Visit::visit(block, self);
    }
}

impl Visitor for Waits<'_> {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        let blocks = |used: &super::chain::Use<'_>| used.verb.is_some_and(|verb| verb.blocks);
        self.found |= Chain::of(self.names, call).uses.iter().any(blocks);
    }
}
