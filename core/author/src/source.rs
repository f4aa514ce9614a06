//! Sources by path, and places in them.

use std::collections::BTreeMap;
use std::ops::Range;

/// Sources by their path in the script set.
pub type Sources = BTreeMap<String, String>;

/// A declaration is looked through so far for what a message about it names.
const CALL_LINES: u32 = 40;

/// One source, and where its lines begin.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
    line_starts: Vec<usize>,
}

/// A line and a column, as an editor counts them: from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl<'a> Source<'a> {
    pub fn new(path: &'a str, text: &'a str) -> Self {
        let after = |(at, _)| at + 1;
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(after));
        Source {
            path,
            text,
            line_starts: line_starts.collect(),
        }
    }

    /// Where the byte `at` stands; past the end is the end.
    pub fn place(&self, at: usize) -> Place {
        let at = self.floor(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1];
        let column = self.text[start..at].chars().count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            line: count(line),
            column: count(column),
        }
    }

    /// The line, from 1, in which the byte `at` stands. Unlike [`Source::place`] it reads no text.
    pub(crate) fn line_of(&self, at: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= at);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The byte at `column`, in bytes from 0, of `line`, from 0: how Luau counts.
    pub(crate) fn offset(&self, line: u32, column: u32) -> usize {
        let line = self.line_range(line.saturating_add(1));
        self.floor(line.end.min(line.start + column as usize))
    }

    /// The bytes of `line`, from 1, without the line's end.
    pub(crate) fn line_range(&self, line: u32) -> Range<usize> {
        let index = line.saturating_sub(1) as usize;
        let Some(&start) = self.line_starts.get(index) else {
            return self.text.len()..self.text.len();
        };
        let next = self.line_starts.get(index + 1);
        let end = next.map_or(self.text.len(), |next| next - 1);
        let line = self.text[start..end].trim_end_matches('\r');
        start..start + line.len()
    }

    /// What `message` speaks of on `line`, as far as it can be told: the first word that it puts between
    /// backticks or quotes and that stands there, or else the whole line without its indentation.
    pub(crate) fn aim(&self, line: u32, message: &str) -> Range<usize> {
        let range = self.line_range(line);
        if let Some(found) = self.find_quoted(range.clone(), message) {
            return found;
        }
        let text = &self.text[range.clone()];
        let indent = text.len() - text.trim_start().len();
        range.start + indent..range.start + text.trim_end().len().max(indent)
    }

    /// The same, of a call that begins on `line` and may go on below.
    pub(crate) fn aim_from(&self, line: u32, message: &str) -> Range<usize> {
        let here = self.line_range(line);
        let below = self.line_range(line.saturating_add(CALL_LINES)).end;
        let found = self.find_quoted(here.clone(), message);
        found
            .or_else(|| self.find_quoted(here.start..below, message))
            .unwrap_or_else(|| self.aim(line, ""))
    }

    fn find_quoted(&self, within: Range<usize>, message: &str) -> Option<Range<usize>> {
        let quoted = message.split(['`', '\'', '"']).skip(1).step_by(2);
        let words = quoted.filter(|word| !word.trim().is_empty());
        words.into_iter().find_map(|word| {
            let at = within.start + find_word(&self.text[within.clone()], word)?;
            Some(at..at + word.len())
        })
    }

    /// `span` as far as it lies in the text, and between characters: others count as they like.
    pub(crate) fn span(&self, span: Range<usize>) -> Range<usize> {
        let start = self.floor(span.start);
        start..self.floor(span.end).max(start)
    }

    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// `word` in `text`, not as a part of a longer word.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let first = word.starts_with(part_of_word) && before.ends_with(part_of_word);
        let last = word.ends_with(part_of_word) && after.starts_with(part_of_word);
        !first && !last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_an_editor_does() {
        let source = Source::new("lib/x.lua", "a\nüb\r\n\nc");
        let place = |at| {
            let Place { line, column } = source.place(at);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(1), (1, 2));
        assert_eq!(place(2), (2, 1));
        assert_eq!(place(3), (2, 1), "in the middle of a letter");
        assert_eq!(place(4), (2, 2));
        assert_eq!(place(7), (3, 1));
        assert_eq!(place(99), (4, 2));
        assert_eq!(source.line_range(2), 2..5);
        assert_eq!(source.line_range(9), 9..9);
        assert_eq!(source.offset(1, 2), 4);
        assert_eq!(source.offset(7, 0), 9);
    }

    #[test]
    fn a_message_is_aimed_at_the_word_it_names() {
        let source = Source::new("x", "local a = 1\n  keyed(key) \n");
        assert_eq!(source.aim(2, "unknown `key`"), 20..23);
        assert_eq!(source.aim(2, "no 'nothing' and `keyed`"), 14..19);
        assert_eq!(source.aim(2, "wrong"), 14..24);
        assert_eq!(source.aim(3, "wrong"), 26..26);
        assert_eq!(source.aim_from(1, "unknown `key`"), 20..23);
        assert_eq!(source.aim_from(2, "`local` and `nothing`"), 14..24);
    }
}
