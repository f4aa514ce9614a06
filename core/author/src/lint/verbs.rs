//! Verbs that do not exist, and results that nobody looks at.

use full_moon::ast::{FunctionCall, Stmt};
use full_moon::visitors::Visitor;

use super::chain::{Chain, Use};
use super::names::Names;
use super::tree::{name_of, plain_call, span, span_of_token};
use super::{Found, Lint, Script, api, meant};
use crate::finding::Severity;

pub(crate) const UNKNOWN: Lint = Lint {
    name: "unknown-verb",
    severity: Severity::Error,
    summary: "a call of something that the host does not offer",
};
pub(crate) const DOT: Lint = Lint {
    name: "dot-call",
    severity: Severity::Error,
    summary: "a verb that is called with `.` instead of `:`",
};
pub(crate) const UNUSED: Lint = Lint {
    name: "unused-result",
    severity: Severity::Warning,
    summary: "a verb whose result, and with it any failure, is ignored",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut verbs = Verbs {
        names: &script.names,
        found,
    };
    verbs.visit_ast(script.ast);
}

struct Verbs<'a, 'f> {
    names: &'a Names,
    found: &'a mut Found<'f>,
}

impl Visitor for Verbs<'_, '_> {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        for Use {
            object,
            word,
            verb,
            dot,
            ..
        } in Chain::of(self.names, call).uses
        {
            let (at, word) = (span_of_token(word), name_of(word));
            match verb {
                None => {
                    let message = format!("there is no verb `{object}:{word}`");
                    let hint = meant(word, api::words(object));
                    self.found.report(&UNKNOWN, at, message, hint);
                }
                Some(_) if dot => {
                    let message = format!("`{object}.{word}(...)` lacks its object");
                    self.found
                        .report(&DOT, at, message, format!("write `{object}:{word}(...)`"));
                }
                Some(_) => {}
            }
        }
    }

    fn visit_stmt(&mut self, statement: &Stmt) {
        let Stmt::FunctionCall(call) = statement else {
            return;
        };
        let chain = Chain::of(self.names, call);
        let last = chain.uses.last().filter(|_| chain.ends_in_verb);
        let verb = match plain_call(call) {
            Some((name, _)) if self.names.index(name).is_none() => {
                api::functions().find(|verb| verb.name == name_of(name))
            }
            _ => last.and_then(|last| last.verb),
        };
        let Some(verb) = verb.filter(|verb| api::result_matters(verb)) else {
            return;
        };
        let name = verb.name;
        let hint = match name {
            "ctx:delegate" => {
                "keep the delegation and wait for it, with `d:await()`, `ctx:all` or `ctx:stream`"
            }
            "ctx:run" => "keep the child and wait for it, with `child:await()` or `ctx:all`",
            "workflow" => "return it: `return workflow(...)`",
            "require" => "keep what the module returns: `local name = require(...)`",
            _ if verb.blocks => {
                "a failure is data: look at it, or write `local _ = ...` if it does not matter"
            }
            _ => "keep the result, or leave the call out",
        };
        self.found.report(
            &UNUSED,
            span(call),
            format!("the result of `{name}` is not used"),
            hint,
        );
    }
}
