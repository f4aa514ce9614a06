//! A script set as one source, since the type checker knows one source only.
//!
//! Each file becomes the body of a function, the modules before those that require them, and a
//! `require("lib/x")` becomes the name of what that function returned. Lines stay what they were; columns
//! are counted back where something was inserted.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Sources;

use super::gradual::{Edit, Requires, edits};

/// Names in the bundle; no author writes them.
const PREFIX: &str = "__m";

/// What stands for a module that is there and cannot be typed: one of a circle, or one that does not parse.
const UNTYPED: &str = "__any";

pub(super) struct Bundle {
    pub(super) text: String,
    /// Line ends in `text`, and where its last line begins.
    lines: u32,
    line_start: usize,
    parts: Vec<Part>,
}

/// One file of the set.
struct Part {
    path: String,
    /// In the bundle, from 0.
    first_line: u32,
    lines: u32,
    inserted: Vec<Inserted>,
}

/// Text of ours on a line of the bundle.
struct Inserted {
    line: u32,
    column: u32,
    width: u32,
}

impl Bundle {
    /// `known` are modules beside those of `sources`, of which nothing is typed.
    pub(super) fn of(sources: &Sources, known: &Sources) -> Self {
        let edits: BTreeMap<&str, (Vec<Edit>, Requires)> = sources
            .iter()
            .map(|(path, text)| (path.as_str(), edits(text)))
            .collect();
        let mut bundle = Bundle {
            text: String::new(),
            lines: 0,
            line_start: 0,
            parts: Vec::new(),
        };
        bundle.push(&format!("local {UNTYPED}: any = nil\n"));
        let mut modules = BTreeMap::new();
        for path in in_order(&edits) {
            let Some(text) = sources.get(path) else {
                continue;
            };
            let number = bundle.parts.len();
            let (edits, requires) = &edits[path];
            let mut edits = edits.clone();
            for (span, module) in requires {
                let name = match modules.get(module) {
                    Some(number) => format!("{PREFIX}{number}"),
                    None => {
                        let path = format!("{module}.lua");
                        if !module.starts_with("lib/")
                            || !(sources.contains_key(&path) || known.contains_key(&path))
                        {
                            continue;
                        }
                        UNTYPED.to_owned()
                    }
                };
                edits.push(Edit::Replace(span.clone(), name));
            }
            bundle.add(path, number, text, edits);
            if let Some(module) = path
                .strip_suffix(".lua")
                .filter(|path| path.starts_with("lib/"))
            {
                modules.insert(module.to_owned(), number);
            }
        }
        bundle
    }

    fn add(&mut self, path: &str, number: usize, text: &str, mut edits: Vec<Edit>) {
        self.push(&format!("local function {PREFIX}f{number}()\n"));
        let first_line = self.lines;
        let mut inserted = Vec::new();
        edits.sort_by_key(Edit::start);
        let mut at = 0;
        for edit in edits {
            let start = edit.start();
            self.push(&text[at..start]);
            match edit {
                Edit::Insert(_, new) => {
                    inserted.push(Inserted {
                        line: self.lines,
                        column: count(self.text.len() - self.line_start),
                        width: count(new.len()),
                    });
                    self.push(new);
                    at = start;
                }
                Edit::Replace(span, new) => {
                    let width = span.len();
                    self.push(&format!("{new:width$}"));
                    at = span.end;
                }
            }
        }
        self.push(&text[at..]);
        if !self.text.ends_with('\n') {
            self.push("\n");
        }
        self.parts.push(Part {
            path: path.to_owned(),
            first_line,
            lines: self.lines - first_line,
            inserted,
        });
        self.push("end\n");
        if path.starts_with("lib/") {
            self.push(&format!("local {PREFIX}{number} = {PREFIX}f{number}()\n"));
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(last) = text.rfind('\n') {
            self.lines += count(text.matches('\n').count());
            self.line_start = self.text.len() + last + 1;
        }
        self.text.push_str(text);
    }

    /// The file, and the line and column in it, all from 0, that a place in the bundle is.
    pub(super) fn place(&self, line: u32, column: u32) -> Option<(&str, u32, u32)> {
        let of = |part: &&Part| (part.first_line..part.first_line + part.lines).contains(&line);
        let part = self.parts.iter().find(of)?;
        let mut own = column;
        for inserted in part
            .inserted
            .iter()
            .filter(|inserted| inserted.line == line)
        {
            own -= column.saturating_sub(inserted.column).min(inserted.width);
        }
        Some((&part.path, line - part.first_line, own))
    }

    /// A message without the bundle's own names.
    pub(super) fn rename(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for (number, part) in self.parts.iter().enumerate().rev() {
            let module = part.path.strip_suffix(".lua").unwrap_or(&part.path);
            message = message.replace(&format!("{PREFIX}f{number}"), module);
            message = message.replace(&format!("{PREFIX}{number}"), module);
        }
        message
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Every path once, what it requires before it. In a circle, which is refused elsewhere, somebody is
/// first.
fn in_order<'a>(files: &BTreeMap<&'a str, (Vec<Edit>, Requires)>) -> Vec<&'a str> {
    fn visit<'a>(
        path: &'a str,
        files: &BTreeMap<&'a str, (Vec<Edit>, Requires)>,
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<&'a str>,
    ) {
        if !seen.insert(path) {
            return;
        }
        for (_, module) in &files[path].1 {
            let wanted = format!("{module}.lua");
            if let Some((required, _)) = files.get_key_value(wanted.as_str()) {
                visit(required, files, seen, order);
            }
        }
        order.push(path);
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for path in files.keys() {
        visit(path, files, &mut seen, &mut order);
    }
    order
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let sources = files
            .iter()
            .map(|(path, text)| (path.to_string(), text.to_string()));
        Bundle::of(&sources.collect(), &Sources::new())
    }

    #[test]
    fn files_become_functions_and_keep_their_places() {
        let bundle = bundle(&[
            (
                "lib/a.lua",
                "local b = require(\"lib/b\")\nfunction b.f(ctx, n) return n end\nreturn b",
            ),
            ("lib/b.lua", "return {}\n"),
            (
                "pipelines/x.lua",
                "local a = require(\"lib/a\") -- a\nlocal n = require 'lib/none'\n",
            ),
        ]);
        expect![[r#"
            local __any: any = nil
            local function __mf0()
            return {}
            end
            local __m0 = __mf0()
            local function __mf1()
            local b = __m0            
            function b.f(ctx: Ctx, n: any) return n end
            return b
            end
            local __m1 = __mf1()
            local function __mf2()
            local a = __m1             -- a
            local n = require 'lib/none'
            end
        "#]]
        .assert_eq(&bundle.text);
        assert_eq!(bundle.place(2, 3), Some(("lib/b.lua", 0, 3)));
        assert_eq!(bundle.place(6, 10), Some(("lib/a.lua", 0, 10)));
        assert_eq!(bundle.place(5, 0), None);
        // `function b.f(ctx: Ctx, n: any)`: before, within and after what was inserted.
        for (column, own) in [
            (13, 13),
            (16, 16),
            (18, 16),
            (21, 16),
            (23, 18),
            (24, 19),
            (29, 19),
            (31, 21),
        ] {
            assert_eq!(
                bundle.place(7, column),
                Some(("lib/a.lua", 1, own)),
                "{column}"
            );
        }
        assert_eq!(bundle.rename("'__m0' and __mf1()"), "'lib/b' and lib/a()");
    }

    #[test]
    fn a_circle_ends() {
        let circle = [
            ("lib/a.lua", "return require('lib/b')"),
            ("lib/b.lua", "return require('lib/a')"),
        ];
        let bundle = bundle(&circle);
        assert_eq!(bundle.parts.len(), 2);
        assert!(!bundle.text.contains("require"), "{}", bundle.text);
    }
}
