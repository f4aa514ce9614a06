//! What is different between two sets: files, and the pipelines that this touches.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::ScriptSet;
use froben_model::revision::{FieldView, Plan, Signature};

use crate::output::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) change: Change,
    /// Unified.
    pub(crate) diff: String,
}

/// The files that differ, by path.
pub(crate) fn files(served: &ScriptSet, set: &ScriptSet) -> Vec<FileChange> {
    let paths: BTreeSet<&String> = served.files.keys().chain(set.files.keys()).collect();
    let changes = paths.into_iter().filter_map(|path| {
        let (old, new) = (served.files.get(path), set.files.get(path));
        let change = match (old, new) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), Some(_)) => Change::Changed,
            (Some(_), None) => Change::Removed,
            (None, _) => Change::Added,
        };
        let diff = unified(path, old, new);
        Some(FileChange {
            path: path.clone(),
            change,
            diff,
        })
    });
    changes.collect()
}

fn unified<'a>(path: &str, old: Option<&'a String>, new: Option<&'a String>) -> String {
    let name = |prefix: &str, text: Option<&String>| match text {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_string(),
    };
    let text = |text: Option<&'a String>| text.map_or("", String::as_str);
    let (from, to) = (name("served", old), name("new", new));
    froben_author::diff([&from, &to], text(old), text(new))
}

/// A pipeline that a seeker would find different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PipelineChange {
    pub(crate) name: String,
    pub(crate) change: Change,
    /// What it takes and gives that is different, a line each.
    pub(crate) signature: Vec<String>,
    /// The changed files that it stands on.
    pub(crate) files: Vec<String>,
}

pub(crate) fn pipelines(plan: &Plan, served: &ScriptSet, set: &ScriptSet) -> Vec<PipelineChange> {
    if !plan.problems.is_empty() {
        // What the set's pipelines are is not known.
        return Vec::new();
    }
    let by_name = |signatures: &[Signature]| -> BTreeMap<String, Signature> {
        let named = signatures.iter().map(|s| (s.name.clone(), s.clone()));
        named.collect()
    };
    let (before, after) = (by_name(&plan.before), by_name(&plan.after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (change, signature, files) = match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => {
                let files = changed_below(old, new, served, set);
                let signature = [
                    fields("input", &old.inputs, &new.inputs),
                    fields("output", &old.outputs, &new.outputs),
                ];
                (Change::Changed, signature.concat(), files)
            }
            (Some(_), None) => (Change::Removed, Vec::new(), Vec::new()),
            (None, _) => (Change::Added, Vec::new(), Vec::new()),
        };
        let same = change == Change::Changed && signature.is_empty() && files.is_empty();
        (!same).then(|| PipelineChange {
            name: name.clone(),
            change,
            signature,
            files,
        })
    });
    changes.collect()
}

/// The files that a pipeline may use, before or after, and that differ.
fn changed_below(
    old: &Signature,
    new: &Signature,
    served: &ScriptSet,
    set: &ScriptSet,
) -> Vec<String> {
    let mut below = stands_on(&old.path, served);
    below.extend(stands_on(&new.path, set));
    below.retain(|path| served.files.get(path) != set.files.get(path));
    below.into_iter().collect()
}

/// A file, and every module that it mentions, and so on. A mention need not be a `require`: a pipeline is
/// rather shown as affected once too often.
fn stands_on(path: &str, set: &ScriptSet) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![path.to_string()]);
    while let Some(path) = open.pop() {
        let Some(source) = set.files.get(&path) else {
            continue;
        };
        let modules = set.files.keys().filter(|path| path.starts_with("lib/"));
        let mentioned = modules.filter(|module| mentions(source, module.trim_end_matches(".lua")));
        open.extend(mentioned.filter(|module| !found.contains(*module)).cloned());
        found.insert(path);
    }
    found
}

fn mentions(source: &str, module: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
    source.match_indices(module).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        let after = source[at + module.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// What is different between two lists of fields, a line each.
fn fields(what: &str, old: &[FieldView], new: &[FieldView]) -> Vec<String> {
    let names: BTreeSet<&String> = old.iter().chain(new).map(|field| &field.name).collect();
    let find = |fields: &[FieldView], name: &String| {
        let found = fields.iter().find(|field| field.name == *name);
        found.map(field)
    };
    let lines = names
        .into_iter()
        .filter_map(|name| match (find(old, name), find(new, name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(format!("{what} {name}: {old} -> {new}")),
            (Some(old), None) => Some(format!("{what} {name}: {old} -> gone")),
            (None, new) => Some(format!("{what} {name}: new, {}", new.unwrap_or_default())),
        });
    lines.collect()
}

/// `string, optional`, `integer = 3`.
fn field(field: &FieldView) -> String {
    let FieldView {
        name: _,
        expected,
        optional,
        default,
    } = field;
    match default {
        froben_model::Value::Nil if *optional => format!("{expected}, optional"),
        froben_model::Value::Nil => expected.clone(),
        default => format!("{expected} = {}", json::value(default)),
    }
}

#[cfg(test)]
mod tests {
    use froben_model::revision::{Origin, Served};
    use froben_model::{RevisionHash, Value};

    use super::*;

    fn set(files: &[(&str, &str)]) -> ScriptSet {
        let files = files
            .iter()
            .map(|(path, text)| (path.to_string(), text.to_string()));
        ScriptSet {
            files: files.collect(),
        }
    }

    fn signature(name: &str, inputs: &[(&str, &str, bool, Value)]) -> Signature {
        let view = |(name, expected, optional, default): &(&str, &str, bool, Value)| FieldView {
            name: name.to_string(),
            expected: expected.to_string(),
            optional: *optional,
            default: default.clone(),
        };
        Signature {
            name: name.to_string(),
            path: format!("pipelines/{name}.lua"),
            inputs: inputs.iter().map(view).collect(),
            outputs: Vec::new(),
        }
    }

    fn plan(before: Vec<Signature>, after: Vec<Signature>) -> Plan {
        Plan {
            serving: Served {
                index: 1,
                revision: RevisionHash([1; 32]),
                time_ms: 0,
                by: "ada".into(),
                origin: Origin::Start,
                note: String::new(),
            },
            revision: RevisionHash([2; 32]),
            known_as: None,
            problems: Vec::new(),
            before,
            after,
            live: Vec::new(),
            omitted: false,
        }
    }

    #[test]
    fn files_that_differ_have_a_unified_diff() {
        let old = set(&[
            ("lib/a.lua", "1\n2\n3\n"),
            ("lib/b.lua", "x\n"),
            ("lib/c.lua", "c\n"),
        ]);
        let new = set(&[
            ("lib/a.lua", "1\n2!\n3\n"),
            ("lib/c.lua", "c\n"),
            ("lib/d.lua", "y\n"),
        ]);
        let changes = files(&old, &new);
        let shown: Vec<_> = changes
            .iter()
            .map(|c| (c.path.as_str(), c.change))
            .collect();
        assert_eq!(
            shown,
            [
                ("lib/a.lua", Change::Changed),
                ("lib/b.lua", Change::Removed),
                ("lib/d.lua", Change::Added),
            ]
        );
        assert_eq!(
            changes[0].diff,
            "--- served/lib/a.lua\n+++ new/lib/a.lua\n@@ -1,3 +1,3 @@\n 1\n-2\n+2!\n 3\n"
        );
        assert!(
            changes[1].diff.contains("+++ /dev/null"),
            "{}",
            changes[1].diff
        );
        assert_eq!(files(&old, &old), []);
    }

    #[test]
    fn pipelines_are_affected_by_their_modules() {
        let (one, two) = (r#"require("lib/a")"#, r#"require("lib/ab")"#);
        let old = set(&[
            ("pipelines/one.lua", one),
            ("pipelines/two.lua", two),
            ("pipelines/gone.lua", ""),
            ("lib/a.lua", r#"return require("lib/deep/d")"#),
            ("lib/ab.lua", "return 1"),
            ("lib/deep/d.lua", "return 1"),
        ]);
        let mut new = old.clone();
        new.files.insert("lib/deep/d.lua".into(), "return 2".into());
        let before = vec![
            signature("gone", &[]),
            signature("one", &[]),
            signature("two", &[]),
        ];
        let after = vec![
            signature("new", &[]),
            signature("one", &[]),
            signature("two", &[]),
        ];
        let changes = pipelines(&plan(before, after), &old, &new);
        let shown: Vec<_> = changes
            .iter()
            .map(|c| (c.name.as_str(), c.change, c.files.join(",")))
            .collect();
        assert_eq!(
            shown,
            [
                ("gone", Change::Removed, String::new()),
                ("new", Change::Added, String::new()),
                ("one", Change::Changed, "lib/deep/d.lua".to_string()),
            ]
        );
    }

    #[test]
    fn changed_inputs_are_spelled_out() {
        let before = [
            ("gone", "blob", false, Value::Nil),
            ("n", "integer", false, Value::Nil),
            ("same", "string", true, Value::Nil),
        ];
        let after = [
            ("n", "integer", true, Value::Int(3)),
            ("news", "list", true, Value::Nil),
            ("same", "string", true, Value::Nil),
        ];
        let source = set(&[("pipelines/p.lua", "")]);
        let plan = plan(vec![signature("p", &before)], vec![signature("p", &after)]);
        let changes = pipelines(&plan, &source, &source);
        assert_eq!(
            changes[0].signature,
            [
                "input gone: blob -> gone",
                "input n: integer -> integer = 3",
                "input news: new, list, optional",
            ]
        );
        assert_eq!(changes.len(), 1);
    }
}
