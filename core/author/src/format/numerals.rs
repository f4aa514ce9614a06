//! Numerals that the formatter cannot compare.
//!
//! It compares what it wrote with what it read, and panics on a numeral of more than 63 bits, such as the order
//! of a field: `0xFFFF_FFFF_0000_0001`. Such numerals are made small for it, in as many letters, and put back.

use full_moon::ast::Ast;
use full_moon::tokenizer::TokenType;

use crate::lint::tree::{span_of_token, tokens};
use crate::source::Source;
use crate::syntax::parse;

/// Digits that fit 63 bits.
const HEX_DIGITS: usize = 15;
const BINARY_DIGITS: usize = 62;

/// A source without such numerals.
pub(super) struct Narrowed {
    pub(super) text: String,
    wide: Vec<Wide>,
}

struct Wide {
    /// Its position among all numerals.
    position: usize,
    numeral: String,
    stand_in: String,
}

impl Narrowed {
    /// `None` if the source has none.
    pub(super) fn of(text: &str, tree: &Ast) -> Option<Self> {
        let mut narrowed = Narrowed {
            text: text.to_owned(),
            wide: Vec::new(),
        };
        for (position, (at, numeral)) in numerals(tree).into_iter().enumerate() {
            if let Some(stand_in) = stand_in(numeral) {
                let span = at..at + numeral.len();
                narrowed.text.replace_range(span, &stand_in);
                narrowed.wide.push(Wide {
                    position,
                    numeral: numeral.to_owned(),
                    stand_in,
                });
            }
        }
        (!narrowed.wide.is_empty()).then_some(narrowed)
    }

    /// The formatted source with its own numerals.
    ///
    /// *Errors*: they are not where they were.
    pub(super) fn restore(&self, formatted: &str) -> Result<String, String> {
        let source = Source::new("lib/formatted.lua", formatted);
        let tree = parse(&source).map_err(|error| error.message)?;
        let numerals = numerals(&tree);
        let mut restored = formatted.to_owned();
        for wide in &self.wide {
            match numerals.get(wide.position) {
                Some((at, numeral)) if *numeral == wide.stand_in => {
                    restored.replace_range(*at..at + numeral.len(), &wide.numeral);
                }
                _ => return Err(format!("the numeral {:.40} was lost", wide.numeral)),
            }
        }
        Ok(restored)
    }
}

/// Every numeral, with where it begins.
fn numerals(tree: &Ast) -> Vec<(usize, &str)> {
    let numeral = |token| match token_type(token) {
        TokenType::Number { text } => Some((span_of_token(token).start, text.as_str())),
        _ => None,
    };
    tokens(tree.nodes())
        .into_iter()
        .filter_map(numeral)
        .collect()
}

fn token_type(token: &full_moon::tokenizer::TokenReference) -> &TokenType {
    token.token().token_type()
}

/// As many letters of the same kind, whose value is small; `None` if it is so already.
fn stand_in(numeral: &str) -> Option<String> {
    let kept = match numeral.get(..2)? {
        "0x" | "0X" => HEX_DIGITS,
        "0b" | "0B" => BINARY_DIGITS,
        _ => return None,
    };
    let digits = |text: &str| text.bytes().filter(|byte| *byte != b'_').count();
    let mut to_blank = digits(&numeral[2..]).checked_sub(kept)?;
    let blanked = numeral[2..].chars().map(|digit| match digit {
        '_' => '_',
        _ if to_blank > 0 => {
            to_blank -= 1;
            '0'
        }
        digit => digit,
    });
    let stand_in: String = numeral[..2].chars().chain(blanked).collect();
    (stand_in != numeral).then_some(stand_in)
}
