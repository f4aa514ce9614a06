//! Small questions to the syntax tree.

use std::ops::Range;

use full_moon::ast::{Call, Expression, FunctionArgs, FunctionCall, Prefix, Suffix};
use full_moon::node::Node;
use full_moon::tokenizer::{Position, TokenReference, TokenType};

/// The bytes of a token, without the space and comments around it.
pub(crate) fn span_of_token(token: &TokenReference) -> Range<usize> {
    let token = token.token();
    token.start_position().bytes()..token.end_position().bytes()
}

/// The bytes of a node, without the space and comments around it.
pub(crate) fn span(node: &impl Node) -> Range<usize> {
    let bytes = |position: Option<Position>| position.map_or(0, Position::bytes);
    bytes(node.start_position())..bytes(node.end_position())
}

/// The tokens of a node, in their order. (Read from the front, each costs the parser as much as all that are
/// left; read from the back they cost nothing.)
pub(crate) fn tokens(node: &impl Node) -> Vec<&TokenReference> {
    let mut tokens: Vec<_> = node.tokens().rev().collect();
    tokens.reverse();
    tokens
}

/// The identifier that a token is, or nothing.
pub(crate) fn name_of(token: &TokenReference) -> &str {
    match token.token().token_type() {
        TokenType::Identifier { identifier } => identifier.as_str(),
        _ => "",
    }
}

/// The text of a plain string without escapes, which is what names and options are written as.
pub(crate) fn text_of(token: &TokenReference) -> Option<&str> {
    match token.token().token_type() {
        TokenType::StringLiteral { literal, .. } if !literal.contains('\\') => {
            Some(literal.as_str())
        }
        _ => None,
    }
}

/// `expression` as a plain string.
pub(crate) fn literal_text(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::String(token) => text_of(token),
        Expression::Parentheses { expression, .. } => literal_text(expression),
        _ => None,
    }
}

/// The arguments in parentheses. (`f "text"` and `f { table }` have one that is no [`Expression`] of the
/// tree: see [`only_table`].)
pub(crate) fn arguments(given: &FunctionArgs) -> impl Iterator<Item = &Expression> {
    let list = match given {
        FunctionArgs::Parentheses { arguments, .. } => Some(arguments.iter()),
        _ => None,
    };
    list.into_iter().flatten()
}

/// The first argument, if it is written as a table.
pub(crate) fn first_table(given: &FunctionArgs) -> Option<&full_moon::ast::TableConstructor> {
    match given {
        FunctionArgs::TableConstructor(table) => Some(table),
        FunctionArgs::Parentheses { arguments, .. } => match arguments.iter().next() {
            Some(Expression::TableConstructor(table)) => Some(table),
            _ => None,
        },
        _ => None,
    }
}

/// The name and arguments of a call `name(...)` with nothing before or after.
pub(crate) fn plain_call(call: &FunctionCall) -> Option<(&TokenReference, &FunctionArgs)> {
    let Prefix::Name(name) = call.prefix() else {
        return None;
    };
    let mut suffixes = call.suffixes();
    match (suffixes.next(), suffixes.next()) {
        (Some(Suffix::Call(Call::AnonymousCall(given))), None) => Some((name, given)),
        _ => None,
    }
}
