//! Reads a script's tokens, for what has to be known or changed before Luau compiles it.
//!
//! Only strings, comments and words are told apart; what the words mean together is Luau's affair, and it
//! has already accepted the source when its loops are rewritten. Two things are rewritten or refused:
//!
//! - `for k, v in t do` becomes `for k, v in __each(t) do`, all on the same lines. The language's own loop
//!   over a table can not be replaced at run time, and its order follows addresses where keys are objects.
//! - What changes how the source is compiled (`--!optimize`, `@native`) and what is known to make compiled
//!   code much larger than its source (long constants joined again and again) is refused.

/// Each constant that the compiler may join, and there may be one for each `..` and each backquoted
/// string, is at most this long and is held a few times.
const JOINED_BYTES: usize = 4 * 4096;
/// What compiling a source may need, in memory. Measured: 150 bytes for each byte of source, and then the
/// joined constants.
const COMPILE_BYTES: usize = 64 << 20;
const BYTES_PER_BYTE: usize = 150;

/// What loops are passed through. No script can give the name another meaning.
const EACH: &str = "__each";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// A quoted string or a number.
    Text,
    /// A backquoted string, or a part of one between two of its expressions.
    Template,
    Symbol,
    Comment,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

/// Why a source is refused before it is compiled, in the form of Luau's own messages: `3: ...`.
pub(crate) fn refused(source: &str) -> Result<(), String> {
    let tokens = tokens(source);
    let at = |token: &Token, why: &str| {
        let line = source[..token.start].matches('\n').count() + 1;
        Err(format!("{line}: {why}"))
    };
    if source.starts_with('\u{feff}') {
        return Err(
            "1: the file begins with a byte order mark; save it as UTF-8 without one".to_owned(),
        );
    }
    let mut joins = 0;
    for token in &tokens {
        let text = &source[token.start..token.end];
        match token.kind {
            Kind::Comment if text.starts_with("--!") => {
                let word = text[3..].split_whitespace().next().unwrap_or_default();
                let harmless = ["strict", "nonstrict", "nocheck", "nolint"].contains(&word);
                if !harmless {
                    let why =
                        "only --!strict, --!nonstrict, --!nocheck and --!nolint are available";
                    return at(token, why);
                }
            }
            Kind::Word if text == EACH => return at(token, "the name `__each` is taken"),
            Kind::Symbol if text == "@" => return at(token, "attributes are not available"),
            Kind::Symbol if text == ".." || text == "..=" => joins += 1,
            Kind::Template => joins += 1,
            _ => {}
        }
    }
    let estimate = source.len() * BYTES_PER_BYTE + joins * JOINED_BYTES;
    match estimate > COMPILE_BYTES {
        true => Err(format!(
            "1: {joins} uses of `..` and of backquoted strings in {} bytes are too many for one file",
            source.len()
        )),
        false => Ok(()),
    }
}

/// The modules that a source names in calls of `require`, each with its line.
pub(crate) fn required(source: &str) -> Vec<(u32, &str)> {
    let tokens = tokens(source);
    let mut required = Vec::new();
    // The line of the byte `counted`.
    let (mut line, mut counted) = (1, 0);
    let text = |token: &Token| &source[token.start..token.end];
    for (index, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Word || text(token) != "require" {
            continue;
        }
        let mut after = tokens[index + 1..]
            .iter()
            .filter(|token| token.kind != Kind::Comment && text(token) != "(");
        if let Some(name) = after.next().filter(|token| token.kind == Kind::Text) {
            line += source[counted..token.start].matches('\n').count();
            counted = token.start;
            required.push((line as u32, text(name).trim_matches(['"', '\''])));
        }
    }
    required
}

/// The source with every loop over values passed through `__each`; `None` if it has no such loop.
///
/// *Errors*: a loop whose values cannot be told from what stands around them, with its line. Left alone, it
/// would go by addresses.
pub(crate) fn with_ordered_loops(source: &str) -> Result<Option<String>, String> {
    let tokens: Vec<Token> = tokens(source)
        .into_iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let mut insertions: Vec<(usize, &str)> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Word || &source[token.start..token.end] != "for" {
            continue;
        }
        // A field of that name cannot be: `for` is reserved everywhere.
        let head = head_end(source, &tokens, index + 1);
        if head == Some(Head::Counts) {
            continue;
        }
        let ends = head.and_then(|head| match head {
            Head::Counts => None,
            Head::In(open) => Some((open, values_end(source, &tokens, open + 1)?)),
        });
        let Some((open, close)) = ends else {
            let line = source[..token.start].matches('\n').count() + 1;
            return Err(format!(
                "{line}: what this loop goes over is too intricate; put it into a local before the loop"
            ));
        };
        insertions.push((tokens[open].end, " __each("));
        insertions.push((tokens[close].start, ")"));
    }
    if insertions.is_empty() {
        return Ok(None);
    }
    insertions.sort_by_key(|(at, _)| *at);
    let mut rewritten = String::with_capacity(source.len() + 9 * insertions.len());
    let mut from = 0;
    for (at, text) in insertions {
        rewritten.push_str(&source[from..at]);
        rewritten.push_str(text);
        from = at;
    }
    rewritten.push_str(&source[from..]);
    Ok(Some(rewritten))
}

/// Where the head of a loop ends.
#[derive(Debug, PartialEq, Eq)]
enum Head {
    /// It counts from one number to another.
    Counts,
    /// At the `in` before the values.
    In(usize),
}

fn head_end(source: &str, tokens: &[Token], from: usize) -> Option<Head> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match &source[token.start..token.end] {
            "(" | "{" | "[" | "<" => depth += 1,
            ")" | "}" | "]" | ">" => depth = depth.saturating_sub(1),
            "=" if depth == 0 => return Some(Head::Counts),
            "in" if token.kind == Kind::Word => return Some(Head::In(index)),
            _ => {}
        }
    }
    None
}

/// The `do` that ends the values of a loop. Functions among them have blocks of their own.
fn values_end(source: &str, tokens: &[Token], from: usize) -> Option<usize> {
    #[derive(PartialEq)]
    enum Block {
        /// Closed by `end`; `true` while the `do` of its loop is still to come.
        Plain { head: bool },
        /// An `if` statement.
        If,
        /// An `if` expression, which nothing closes; whether its `else` has come.
        Choice { otherwise: bool },
    }
    let mut blocks: Vec<Block> = Vec::new();
    for index in from..tokens.len() {
        let token = &tokens[index];
        if token.kind != Kind::Word {
            continue;
        }
        let before = &tokens[index - 1];
        let before_text = &source[before.start..before.end];
        match &source[token.start..token.end] {
            "function" => blocks.push(Block::Plain { head: false }),
            "while" | "for" => blocks.push(Block::Plain { head: true }),
            "do" => match blocks.last_mut() {
                None => return Some(index),
                Some(Block::Choice { .. }) => {
                    // The loop whose head ends in an `if` expression.
                    while matches!(blocks.last(), Some(Block::Choice { .. })) {
                        blocks.pop();
                    }
                    match blocks.last_mut() {
                        None => return Some(index),
                        Some(Block::Plain { head }) if *head => *head = false,
                        Some(_) => blocks.push(Block::Plain { head: false }),
                    }
                }
                Some(Block::Plain { head }) if *head => *head = false,
                Some(_) => blocks.push(Block::Plain { head: false }),
            },
            "if" => {
                let in_choice = matches!(blocks.last(), Some(Block::Choice { .. }));
                let expression = match before_text {
                    "then" | "else" => in_choice,
                    "return" | "and" | "or" | "not" | "in" | "until" | "if" | "elseif"
                    | "while" => true,
                    // `?` ends a type.
                    ")" | "]" | "}" | "..." | "?" => false,
                    _ if before.kind == Kind::Template => before_text.ends_with('{'),
                    _ => before.kind == Kind::Symbol && before_text != ";",
                };
                let expression = expression || blocks.is_empty();
                blocks.push(match expression {
                    true => Block::Choice { otherwise: false },
                    false => Block::If,
                });
            }
            "else" | "elseif" => {
                while blocks.last() == Some(&Block::Choice { otherwise: true }) {
                    blocks.pop();
                }
                if let Some(Block::Choice { otherwise }) = blocks.last_mut() {
                    *otherwise = &source[token.start..token.end] == "else";
                }
            }
            "end" => {
                while matches!(blocks.last(), Some(Block::Choice { .. })) {
                    blocks.pop();
                }
                blocks.pop()?;
            }
            _ => {}
        }
    }
    None
}

fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader {
        bytes: source.as_bytes(),
        at: 0,
        tokens: Vec::new(),
        braces: Vec::new(),
    };
    while reader.at < reader.bytes.len() {
        reader.token();
    }
    reader.tokens
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// Open braces: whether each is that of an expression in a backquoted string.
    braces: Vec<bool>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self) {
        let start = self.at;
        let kind = match self.peek(0) {
            byte if byte.is_ascii_whitespace() || byte == 0x0b => {
                self.at += 1;
                return;
            }
            b'-' if self.peek(1) == b'-' => {
                self.at += 2;
                if self.long_open().is_some() {
                    self.long();
                } else {
                    while self.at < self.bytes.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                Kind::Comment
            }
            b'[' if self.long_open().is_some() => {
                self.long();
                Kind::Text
            }
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                self.quoted(quote);
                Kind::Text
            }
            b'`' => {
                self.at += 1;
                self.template();
                Kind::Template
            }
            b'}' if self.braces.pop() == Some(true) => {
                self.at += 1;
                self.template();
                Kind::Template
            }
            b'{' => {
                self.braces.push(false);
                self.at += 1;
                Kind::Symbol
            }
            byte if byte.is_ascii_digit()
                || (byte == b'.' && self.peek(1).is_ascii_digit() && !self.after_dot()) =>
            {
                self.number();
                Kind::Text
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
                    self.at += 1;
                }
                Kind::Word
            }
            b'.' => {
                while self.peek(0) == b'.' && self.at - start < 3 {
                    self.at += 1;
                }
                if self.at - start == 2 && self.peek(0) == b'=' {
                    self.at += 1;
                }
                Kind::Symbol
            }
            _ => {
                self.at += 1;
                // The rest of a character that Luau will refuse.
                while self.peek(0) & 0b1100_0000 == 0b1000_0000 {
                    self.at += 1;
                }
                Kind::Symbol
            }
        };
        self.tokens.push(Token {
            kind,
            start,
            end: self.at,
        });
    }

    /// Whether the byte before is a dot: `a..5` joins, and `.5` in it is no number of its own.
    fn after_dot(&self) -> bool {
        self.at > 0 && self.bytes[self.at - 1] == b'.'
    }

    /// As Luau does: digits, letters and dots, and a sign after an exponent's letter.
    fn number(&mut self) {
        while self.peek(0).is_ascii_digit() || self.peek(0) == b'.' || self.peek(0) == b'_' {
            self.at += 1;
        }
        if self.peek(0) == b'e' || self.peek(0) == b'E' {
            self.at += 1;
            if self.peek(0) == b'+' || self.peek(0) == b'-' {
                self.at += 1;
            }
        }
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.at += 1;
        }
    }

    /// The number of equals signs, where `[[` or `[==[` stands.
    fn long_open(&self) -> Option<usize> {
        if self.peek(0) != b'[' {
            return None;
        }
        let signs = self.bytes[self.at + 1..]
            .iter()
            .take_while(|byte| **byte == b'=')
            .count();
        (self.peek(1 + signs) == b'[').then_some(signs)
    }

    fn long(&mut self) {
        let signs = self.long_open().unwrap_or(0);
        self.at += signs + 2;
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            let closes = rest[0] == b']'
                && rest.len() > signs + 1
                && rest[1..=signs].iter().all(|byte| *byte == b'=')
                && rest[signs + 1] == b']';
            if closes {
                self.at += signs + 2;
                return;
            }
            self.at += 1;
        }
    }

    fn quoted(&mut self, quote: u8) {
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => self.escape(),
                byte => {
                    self.at += 1;
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    /// Up to the end of a backquoted string, or to its next expression.
    fn template(&mut self) {
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => self.escape(),
                b'{' => {
                    self.at += 1;
                    self.braces.push(true);
                    return;
                }
                byte => {
                    self.at += 1;
                    if byte == b'`' {
                        return;
                    }
                }
            }
        }
    }

    fn escape(&mut self) {
        // `\u{7b}` has a brace of its own.
        self.at += match self.peek(1) == b'u' && self.peek(2) == b'{' {
            true => 3,
            false => 2,
        };
        self.at = self.at.min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests;
