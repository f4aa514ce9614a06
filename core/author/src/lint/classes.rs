//! Comparisons with names of errors that there are not.
//!
//! The types say which classes there are, but Luau's checker lets anything be compared with anything. What
//! is compared is told by its name: `x.err.class`, `err.code`, `run.failure.code`, or a local that is one of
//! these. A name that the file itself writes into such a field is the author's own.

use std::collections::{BTreeSet, HashMap};

use froben_model::ErrorClass;
use full_moon::ast::{
    Assignment, BinOp, Expression, Field, Index, LocalAssignment, Prefix, Suffix, Var,
    VarExpression,
};
use full_moon::visitors::Visitor;

use super::names::Names;
use super::tree::{literal_text, name_of, span};
use super::{Found, Lint, Script, meant};
use crate::explain;
use crate::finding::Severity;

pub(crate) const UNKNOWN: Lint = Lint {
    name: "unknown-class",
    severity: Severity::Error,
    summary: "a comparison with an error class or code that there is not",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut fields = Fields {
        names: &script.names,
        locals: HashMap::new(),
        own: BTreeSet::new(),
    };
    fields.visit_ast(script.ast);
    let mut comparisons = Comparisons { fields, found };
    comparisons.visit_ast(script.ast);
}

/// A field that names what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Class,
    Code,
}

impl Of {
    fn field(name: &str) -> Option<Of> {
        match name {
            "class" => Some(Of::Class),
            "code" => Some(Of::Code),
            _ => None,
        }
    }

    fn known(self) -> Vec<&'static str> {
        match self {
            Of::Class => ErrorClass::ALL.map(ErrorClass::name).to_vec(),
            Of::Code => {
                let codes = explain::pages().into_iter().map(|page| page.name);
                codes.filter(|name| name.starts_with("FRB-")).collect()
            }
        }
    }
}

struct Fields<'a> {
    names: &'a Names,
    /// Locals that hold what such a field held, by declaration.
    locals: HashMap<usize, Of>,
    /// What the file itself writes into such fields.
    own: BTreeSet<(Of, String)>,
}

impl Fields<'_> {
    fn of(&self, expression: &Expression) -> Option<Of> {
        match expression {
            Expression::Parentheses { expression, .. }
            | Expression::TypeAssertion { expression, .. } => self.of(expression),
            Expression::Var(Var::Expression(field)) => of_an_error(field),
            Expression::Var(Var::Name(name)) => {
                let index = self.names.index(name)?;
                self.locals.get(&index).copied()
            }
            _ => None,
        }
    }
}

/// `err.class`, or the same of whatever holds an `err`.
fn of_an_error(field: &VarExpression) -> Option<Of> {
    let mut words = Vec::new();
    if let Prefix::Name(name) = field.prefix() {
        words.push(Some(name_of(name)));
    }
    words.extend(field.suffixes().map(|suffix| match suffix {
        Suffix::Index(Index::Dot { name, .. }) => Some(name_of(name)),
        _ => None,
    }));
    match words[..] {
        [.., Some("err"), Some(last)] => Of::field(last),
        [.., Some("failure"), Some("code")] => Some(Of::Code),
        _ => None,
    }
}

impl Visitor for Fields<'_> {
    fn visit_local_assignment(&mut self, local: &LocalAssignment) {
        for (name, value) in local.names().iter().zip(local.expressions()) {
            let steady = |index: &usize| self.names.bindings[*index].writes == 0;
            if let (Some(index), Some(of)) = (self.names.index(name).filter(steady), self.of(value))
            {
                self.locals.insert(index, of);
            }
        }
    }

    fn visit_field(&mut self, field: &Field) {
        if let Field::NameKey { key, value, .. } = field
            && let (Some(of), Some(text)) = (Of::field(name_of(key)), literal_text(value))
        {
            self.own.insert((of, text.to_owned()));
        }
    }

    fn visit_assignment(&mut self, assignment: &Assignment) {
        for (target, value) in assignment.variables().iter().zip(assignment.expressions()) {
            if let Var::Expression(field) = target
                && let Some(Suffix::Index(Index::Dot { name, .. })) = field.suffixes().last()
                && let (Some(of), Some(text)) = (Of::field(name_of(name)), literal_text(value))
            {
                self.own.insert((of, text.to_owned()));
            }
        }
    }
}

struct Comparisons<'a, 'f> {
    fields: Fields<'a>,
    found: &'a mut Found<'f>,
}

impl Visitor for Comparisons<'_, '_> {
    fn visit_expression(&mut self, expression: &Expression) {
        let Expression::BinaryOperator { lhs, binop, rhs } = expression else {
            return;
        };
        let never = match binop {
            BinOp::TwoEqual(_) => "never",
            BinOp::TildeEqual(_) => "always",
            _ => return,
        };
        for (field, text) in [(lhs, rhs), (rhs, lhs)] {
            let (Some(of), Some(word)) = (self.fields.of(field), literal_text(text)) else {
                continue;
            };
            let known = of.known();
            if known.contains(&word) || self.fields.own.contains(&(of, word.to_owned())) {
                continue;
            }
            let what = match of {
                Of::Class => "error class",
                Of::Code => "error code",
            };
            let message = format!("there is no {what} `{word}`, so this is {never} true");
            let hint = match (of, froben_script::nearest(word, known.iter().copied())) {
                (Of::Code, None) => "`froben explain` lists the codes".to_owned(),
                _ => meant(word, known.iter().copied()),
            };
            self.found.report(&UNKNOWN, span(&**text), message, hint);
        }
    }
}
