//! Numbers that a double cannot hold.

use full_moon::tokenizer::{Token, TokenType};
use full_moon::visitors::Visitor;

use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const INEXACT: Lint = Lint {
    name: "inexact-number",
    severity: Severity::Error,
    summary: "a whole number beyond 2^53, which Lua rounds",
};

/// Up to here, doubles tell neighbouring whole numbers apart.
const EXACT: u128 = 1 << 53;

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    Numbers { found }.visit_ast(script.ast);
}

struct Numbers<'a, 'f> {
    found: &'a mut Found<'f>,
}

impl Visitor for Numbers<'_, '_> {
    fn visit_number(&mut self, token: &Token) {
        let TokenType::Number { text } = token.token_type() else {
            return;
        };
        if too_large(text) {
            let span = token.start_position().bytes()..token.end_position().bytes();
            let message = format!("{text} is beyond 2^53, where a number of Lua is not exact");
            self.found
                .report(&INEXACT, span, message, "write it as a string");
        }
    }
}

/// A number that is written as a whole one; with a point or an exponent the author knows it is not
/// meant to the last digit.
fn too_large(text: &str) -> bool {
    let text = text.replace('_', "").to_ascii_lowercase();
    let (digits, base) = match (text.strip_prefix("0x"), text.strip_prefix("0b")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 2),
        _ => (text.as_str(), 10),
    };
    match u128::from_str_radix(digits, base) {
        Ok(number) => number > EXACT,
        Err(error) => *error.kind() == std::num::IntErrorKind::PosOverflow,
    }
}

#[cfg(test)]
mod tests {
    use super::too_large;

    #[test]
    fn whole_numbers_are_held_against_what_a_double_can_do() {
        for (text, large) in [
            ("0", false),
            ("9007199254740992", false),
            ("9007199254740993", true),
            ("9_007_199_254_740_993", true),
            ("0x20000000000000", false),
            ("0x20000000000001", true),
            ("0b1", false),
            ("1e30", false),
            ("18446744073709551615.0", false),
            ("340282366920938463463374607431768211456", true),
        ] {
            assert_eq!(too_large(text), large, "{text}");
        }
    }
}
