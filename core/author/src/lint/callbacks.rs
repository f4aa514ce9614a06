//! Waiting where C calls the script: there is nothing to come back to.

use full_moon::ast::{
    Assignment, Block, Call, Expression, Field, FunctionArgs, FunctionBody, FunctionCall,
    FunctionDeclaration, Index, Prefix, Suffix, TableConstructor, Var,
};
use full_moon::visitors::{Visit, Visitor};

use super::chain::{Chain, Use};
use super::names::Names;
use super::tree::{arguments, name_of, plain_call, span_of_token};
use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const WAITS: Lint = Lint {
    name: "waits-in-callback",
    severity: Severity::Error,
    summary: "a verb that waits, in a function that the language itself calls",
};

/// The fields of a metatable that the language calls where it cannot be left. (`__call` and `__iter` are
/// called by the script itself.)
const METAMETHODS: [&str; 16] = [
    "__index",
    "__newindex",
    "__concat",
    "__unm",
    "__add",
    "__sub",
    "__mul",
    "__div",
    "__idiv",
    "__mod",
    "__pow",
    "__tostring",
    "__eq",
    "__lt",
    "__le",
    "__len",
];

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut callbacks = Callbacks {
        names: &script.names,
        found,
    };
    callbacks.visit_ast(script.ast);
}

struct Callbacks<'a, 'f> {
    names: &'a Names,
    found: &'a mut Found<'f>,
}

impl Visitor for Callbacks<'_, '_> {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        let Some((caller, given, position)) = self.caller(call) else {
            return;
        };
        if let Some(Expression::Function(function)) = arguments(given).nth(position) {
            self.look_into(function.body(), caller);
        }
    }

    fn visit_table_constructor(&mut self, table: &TableConstructor) {
        for field in table.fields() {
            if let Field::NameKey { key, value, .. } = field
                && let (Some(name), Expression::Function(function)) =
                    (metamethod(name_of(key)), &**value)
            {
                self.look_into(function.body(), name);
            }
        }
    }

    fn visit_assignment(&mut self, assignment: &Assignment) {
        for (target, value) in assignment.variables().iter().zip(assignment.expressions()) {
            if let (Var::Expression(target), Expression::Function(function)) = (target, value)
                && let Some(Suffix::Index(Index::Dot { name, .. })) = target.suffixes().last()
                && let Some(name) = metamethod(name_of(name))
            {
                self.look_into(function.body(), name);
            }
        }
    }

    fn visit_function_declaration(&mut self, function: &FunctionDeclaration) {
        let name = function.name().names().iter().last();
        let qualified = function.name().names().len() > 1;
        if let Some(name) = name
            .filter(|_| qualified)
            .and_then(|name| metamethod(name_of(name)))
        {
            self.look_into(function.body(), name);
        }
    }
}

impl Callbacks<'_, '_> {
    /// A call of a function of the language that calls one of its arguments itself, and which.
    fn caller<'a>(
        &self,
        call: &'a FunctionCall,
    ) -> Option<(&'static str, &'a FunctionArgs, usize)> {
        if let Some((name, given)) = plain_call(call) {
            return self
                .names
                .is_global(name, "xpcall")
                .then_some(("xpcall", given, 1));
        }
        let Prefix::Name(library) = call.prefix() else {
            return None;
        };
        let mut suffixes = call.suffixes();
        let (
            Some(Suffix::Index(Index::Dot { name, .. })),
            Some(Suffix::Call(Call::AnonymousCall(given))),
        ) = (suffixes.next(), suffixes.next())
        else {
            return None;
        };
        let of = |of: &str| self.names.is_global(library, of);
        match name_of(name) {
            "sort" if of("table") => Some(("table.sort", given, 1)),
            "gsub" if of("string") => Some(("string.gsub", given, 2)),
            _ => None,
        }
    }

    fn look_into(&mut self, body: &FunctionBody, caller: &'static str) {
        let mut waits = Waits {
            names: self.names,
            found: Vec::new(),
            depth: 0,
        };
        waits.look_at(body.block());
        for (at, verb) in waits.found {
            let message = format!("`{verb}` cannot wait in a function that `{caller}` calls");
            let hint = "wait before, keep what came of it in a local, and use that here";
            self.found.report(&WAITS, at, message, hint);
        }
    }
}

fn metamethod(name: &str) -> Option<&'static str> {
    METAMETHODS.into_iter().find(|known| *known == name)
}

/// The verbs that wait in a function itself; those of functions in it run who knows where.
struct Waits<'a> {
    names: &'a Names,
    found: Vec<(std::ops::Range<usize>, &'static str)>,
    depth: u32,
}

impl Waits<'_> {
    fn look_at(&mut self, block: &Block) {
        block.visit(self);
    }
}

impl Visitor for Waits<'_> {
    fn visit_function_body(&mut self, _: &FunctionBody) {
        self.depth += 1;
    }

    fn visit_function_body_end(&mut self, _: &FunctionBody) {
        self.depth -= 1;
    }

    fn visit_function_call(&mut self, call: &FunctionCall) {
        if self.depth > 0 {
            return;
        }
        for Use { word, verb, .. } in Chain::of(self.names, call).uses {
            if let Some(verb) = verb.filter(|verb| verb.blocks) {
                self.found.push((span_of_token(word), verb.name));
            }
        }
    }
}
