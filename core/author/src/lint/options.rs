//! Tables of options, where they are written out.

use std::collections::{BTreeSet, HashMap};

use froben_model::resources::{parse_duration_ms, parse_size};
use froben_script::{ArgType, Key};
use full_moon::ast::{
    Assignment, Expression, Field, FunctionArgs, FunctionCall, LocalAssignment, Prefix,
    TableConstructor, UnOp, Var,
};
use full_moon::tokenizer::{TokenReference, TokenType};
use full_moon::visitors::Visitor;

use super::chain::{Chain, Use};
use super::names::Names;
use super::tree::{literal_text, name_of, plain_call, span, span_of_token, text_of};
use super::{Found, Lint, Script, api, meant};
use crate::finding::Severity;

pub(crate) const UNKNOWN: Lint = Lint {
    name: "unknown-option",
    severity: Severity::Error,
    summary: "a key that the verb does not take",
};
pub(crate) const MISSING: Lint = Lint {
    name: "missing-option",
    severity: Severity::Error,
    summary: "an argument or a key that the verb cannot do without",
};
pub(crate) const MISTYPED: Lint = Lint {
    name: "mistyped-option",
    severity: Severity::Error,
    summary: "a literal that is not what the verb takes there",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let mut locals = Locals {
        names: &script.names,
        tables: HashMap::new(),
    };
    locals.visit_ast(script.ast);
    let mut options = Options {
        names: &script.names,
        locals: locals.tables,
        told: BTreeSet::new(),
        found,
    };
    options.visit_ast(script.ast);
}

/// Tables that are written out for a local and stay what they are, by declaration.
struct Locals<'a> {
    names: &'a Names,
    tables: HashMap<usize, TableConstructor>,
}

impl Visitor for Locals<'_> {
    fn visit_local_assignment(&mut self, local: &LocalAssignment) {
        for (name, value) in local.names().iter().zip(local.expressions()) {
            if let (Expression::TableConstructor(table), Some(index)) =
                (value, self.names.index(name))
                && self.names.bindings[index].writes == 0
            {
                self.tables.insert(index, (**table).clone());
            }
        }
    }

    /// One that gets other fields later on says little when it is declared.
    fn visit_assignment(&mut self, assignment: &Assignment) {
        for target in assignment.variables() {
            if let Var::Expression(target) = target
                && let Prefix::Name(name) = target.prefix()
                && let Some(index) = self.names.index(name)
            {
                self.tables.remove(&index);
            }
        }
    }
}

struct Options<'a, 'f> {
    names: &'a Names,
    locals: HashMap<usize, TableConstructor>,
    /// Locals that were looked at, by declaration and verb: they may be handed over again.
    told: BTreeSet<(usize, String)>,
    found: &'a mut Found<'f>,
}

impl Visitor for Options<'_, '_> {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        if let Some((name, given)) = plain_call(call)
            && self.names.index(name).is_none()
            && let Some(params) = api::parameters(name_of(name), api::is_spec(self.found.path))
        {
            self.arguments(name_of(name), params, name, given);
        }
        for Use {
            word, given, verb, ..
        } in Chain::of(self.names, call)
            .uses
            .iter()
            .filter(|used| !used.dot)
        {
            if let Some(verb) = verb {
                self.arguments(verb.name, verb.params, word, given);
            }
        }
    }
}

/// A value, as far as it is written out.
enum Literal<'a> {
    Text(Option<&'a str>),
    Number(f64),
    Bool,
    Nil,
    Table(&'a TableConstructor),
    Function,
    /// Not a literal.
    Other,
}

impl<'a> Literal<'a> {
    fn of(expression: &'a Expression) -> Self {
        match expression {
            Expression::String(token) => Literal::Text(text_of(token)),
            Expression::InterpolatedString(_) => Literal::Text(None),
            Expression::Number(token) => number(token).map_or(Literal::Other, Literal::Number),
            Expression::UnaryOperator {
                unop: UnOp::Minus(_),
                expression,
            } => match Literal::of(expression) {
                Literal::Number(number) => Literal::Number(-number),
                _ => Literal::Other,
            },
            Expression::TableConstructor(table) => Literal::Table(table),
            Expression::Function(_) => Literal::Function,
            Expression::Parentheses { expression, .. } => Literal::of(expression),
            Expression::Symbol(token) => match token.token().to_string().as_str() {
                "nil" => Literal::Nil,
                "true" | "false" => Literal::Bool,
                _ => Literal::Other,
            },
            _ => Literal::Other,
        }
    }

    fn is_a(&self) -> &'static str {
        match self {
            Literal::Text(_) => "a string",
            Literal::Number(_) => "a number",
            Literal::Bool => "a boolean",
            Literal::Nil => "nil",
            Literal::Table(_) => "a table",
            Literal::Function => "a function",
            Literal::Other => "something else",
        }
    }

    /// Why it cannot be what the registry asks for; `None` if it may be.
    fn misfit(&self, arg: ArgType) -> Option<String> {
        let fits = match (self, arg) {
            (Literal::Other, _) => true,
            (Literal::Function, ArgType::Value) => false,
            (_, ArgType::Value) => true,
            (_, ArgType::As(_) | ArgType::Rest(_)) => true,
            (Literal::Text(_), ArgType::Text | ArgType::Line) => true,
            (Literal::Number(_), ArgType::Line) => true,
            (Literal::Bool, ArgType::Bool) => true,
            (Literal::Number(number), ArgType::Count | ArgType::Size) => {
                *number >= 0.0 && number.fract() == 0.0
            }
            (Literal::Number(number), ArgType::Duration) => *number >= 0.0,
            (Literal::Text(Some(text)), ArgType::Size) => {
                return parse_size(text).err().map(|error| error.to_string());
            }
            (Literal::Text(Some(text)), ArgType::Duration) => {
                return parse_duration_ms(text).err().map(|error| error.to_string());
            }
            (Literal::Text(None), ArgType::Size | ArgType::Duration) => true,
            (Literal::Table(_), arg) => !matches!(
                arg,
                ArgType::Text
                    | ArgType::Line
                    | ArgType::Bool
                    | ArgType::Count
                    | ArgType::Size
                    | ArgType::Duration
                    | ArgType::Function(_)
            ),
            (Literal::Function, arg) => matches!(arg, ArgType::Function(_)),
            _ => false,
        };
        (!fits).then(|| format!("got {}", self.is_a()))
    }
}

fn number(token: &TokenReference) -> Option<f64> {
    match token.token().token_type() {
        TokenType::Number { text } => text.replace('_', "").parse().ok(),
        _ => None,
    }
}

impl Options<'_, '_> {
    fn arguments(
        &mut self,
        verb: &str,
        params: &'static [Key],
        word: &TokenReference,
        given: &FunctionArgs,
    ) {
        let call = span_of_token(word).start..span(given).end;
        match given {
            FunctionArgs::TableConstructor(table) => {
                if let Some(first) = params.first() {
                    self.value(verb, "", first, &Literal::Table(table), span(&**table));
                }
                self.rest(verb, params.get(1..), call);
            }
            FunctionArgs::String(token) => {
                if let Some(first) = params.first() {
                    let text = Literal::Text(text_of(token));
                    self.value(verb, "", first, &text, span_of_token(token));
                }
                self.rest(verb, params.get(1..), call);
            }
            FunctionArgs::Parentheses { arguments, .. } => {
                for (key, argument) in params.iter().zip(arguments) {
                    self.value(verb, "", key, &Literal::of(argument), span(argument));
                    self.local(verb, key, argument);
                }
                // The last argument may stand for several.
                let open = matches!(
                    arguments.last().map(|last| last.value()),
                    Some(Expression::FunctionCall(_) | Expression::Symbol(_))
                );
                if !open {
                    self.rest(verb, params.get(arguments.len()..), call);
                }
            }
            _ => {}
        }
    }

    /// The argument is a local whose table is written out where it is declared.
    fn local(&mut self, verb: &str, key: &Key, argument: &Expression) {
        let (Some(keys), Expression::Var(Var::Name(name))) = (api::keys(key.arg), argument) else {
            return;
        };
        let Some(index) = self.names.index(name) else {
            return;
        };
        if let Some(table) = self.locals.get(&index).cloned()
            && self.told.insert((index, verb.to_owned()))
        {
            self.table(verb, "", keys, &table);
        }
    }

    /// Parameters for which there is no argument.
    fn rest(&mut self, verb: &str, params: Option<&'static [Key]>, at: std::ops::Range<usize>) {
        let missing = params.into_iter().flatten().find(|key| key.required);
        if let Some(key) = missing {
            let message = format!("{verb}: the argument `{}` is missing", key.name);
            let hint = format!("it is {}: {}", key.arg.expected(), key.prose);
            self.found.report(&MISSING, at, message, hint);
        }
    }

    fn value(
        &mut self,
        verb: &str,
        within: &str,
        key: &Key,
        literal: &Literal<'_>,
        at: std::ops::Range<usize>,
    ) {
        if matches!(literal, Literal::Nil) && !key.required {
            return;
        }
        let name = format!("{within}{}", key.name);
        if let Some(why) = literal.misfit(key.arg) {
            let message = format!("{verb}: `{name}` is {}; {why}", key.arg.expected());
            self.found.report(&MISTYPED, at, message, key.prose);
        } else if let (Literal::Table(table), Some(keys)) = (literal, api::keys(key.arg)) {
            let within = match api::is_options_table(key) {
                true => String::new(),
                false => format!("{name}."),
            };
            self.table(verb, &within, keys, table);
        }
    }

    fn table(&mut self, verb: &str, within: &str, keys: &'static [Key], table: &TableConstructor) {
        let mut written = Vec::new();
        let mut open = false;
        for field in table.fields() {
            match field {
                Field::NameKey { key, value, .. } => {
                    let name = name_of(key);
                    written.push(name.to_owned());
                    self.entry(verb, within, keys, name, span_of_token(key), Some(value));
                }
                Field::ExpressionKey { key, value, .. } => match literal_text(key) {
                    Some(name) => {
                        written.push(name.to_owned());
                        self.entry(verb, within, keys, name, span(key), Some(value));
                    }
                    None => open = true,
                },
                Field::NoKey(value) => {
                    self.entry(verb, within, keys, "1", span(value), None);
                }
                _ => open = true,
            }
        }
        let missing = keys
            .iter()
            .find(|key| key.required && !written.iter().any(|w| w == key.name));
        if let Some(key) = missing.filter(|_| !open) {
            let message = format!("{verb}: `{within}{}` is missing", key.name);
            let hint = format!("it is {}: {}", key.arg.expected(), key.prose);
            self.found.report(&MISSING, span(table), message, hint);
        }
    }

    fn entry(
        &mut self,
        verb: &str,
        within: &str,
        keys: &'static [Key],
        name: &str,
        at: std::ops::Range<usize>,
        value: Option<&Expression>,
    ) {
        let known = keys.iter().find(|key| key.name == name);
        match (known, value) {
            (Some(key), Some(value)) => {
                self.value(verb, within, key, &Literal::of(value), span(value));
            }
            _ if value.is_none() => {
                let message = format!("{verb}: an entry without a key");
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                let hint = format!("the keys are {}", names.join(", "));
                self.found.report(&UNKNOWN, at, message, hint);
            }
            _ => {
                let message = format!("{verb}: unknown key `{within}{name}`");
                let hint = meant(name, keys.iter().map(|key| key.name));
                self.found.report(&UNKNOWN, at, message, hint);
            }
        }
    }
}
