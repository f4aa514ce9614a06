//! The file that `--policy` names: the matchmaker's numbers, and what seekers weigh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use froben_engine::{NotSet, Policy, Rules};
use froben_model::{OperatorId, SeekerId};
use toml::{Table, Value};

use crate::error::{Error, Exit};

/// The table of the seekers that do not weigh 1.
const WEIGHTS: &str = "weights";
/// The list of the operators that may check what others have made.
const TRUSTED: &str = "trusted";

/// Reads the rules. What the file does not name is as by default.
pub(crate) fn read(path: &Path) -> Result<Rules, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
    parse(&text).map_err(|what| {
        Error::new(Exit::Usage, format!("{}: {what}", path.display()))
            .code("FRB-POL-001")
            .hint("`froben policy show` prints a file with every field and what it means")
    })
}

fn parse(text: &str) -> Result<Rules, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let message = error.message();
        match error.span() {
            Some(span) => {
                let before = &text[..span.start.min(text.len())];
                let line = 1 + before.matches('\n').count();
                format!("line {line}: {message}")
            }
            None => message.to_string(),
        }
    })?;
    let mut rules = Rules::default();
    for (name, value) in &table {
        if name == WEIGHTS {
            rules.weights = weights(value)?;
            continue;
        }
        if name == TRUSTED {
            rules.trusted = trusted(value)?;
            continue;
        }
        let number = number(value).ok_or_else(|| {
            format!(
                "{name} is {}, and a whole number of 0 or more is asked for",
                value.type_str()
            )
        })?;
        rules.policy.set(name, number).map_err(|not| match not {
            NotSet::Unknown => {
                let fields = Policy::FIELDS.iter().map(|(field, _)| *field);
                let meant = froben_engine::nearest(name, fields);
                let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
                format!("there is no `{name}`{}", meant.unwrap_or_default())
            }
            NotSet::Range(range) => {
                format!(
                    "{name} is {number}, and can be {} to {}",
                    range.start(),
                    range.end()
                )
            }
        })?;
    }
    Ok(rules)
}

fn trusted(value: &Value) -> Result<BTreeSet<OperatorId>, String> {
    let operators = value.as_array().map(Vec::as_slice);
    let name = |value: &Value| {
        let name = value.as_str()?;
        OperatorId::new(name).ok()
    };
    let operators = operators.and_then(|all| all.iter().map(name).collect());
    operators.ok_or_else(|| format!("{TRUSTED} is a list of names of operators, like [\"a\"]"))
}

fn weights(value: &Value) -> Result<BTreeMap<SeekerId, u32>, String> {
    let Some(table) = value.as_table() else {
        return Err(format!("{WEIGHTS} is a table of seekers: [weights]"));
    };
    let weight = |(name, value): (&String, &Value)| {
        let seeker = SeekerId::new(name.as_str()).map_err(|error| error.to_string())?;
        let weight = number(value).and_then(|n| u32::try_from(n).ok());
        let weight = weight.filter(|weight| (1..=1000).contains(weight));
        match weight {
            Some(weight) => Ok((seeker, weight)),
            None => Err(format!(
                "the weight of {seeker} is a whole number from 1 to 1000"
            )),
        }
    };
    table.iter().map(weight).collect()
}

fn number(value: &Value) -> Option<u64> {
    value.as_integer().and_then(|n| u64::try_from(n).ok())
}

/// A file with every field at its value in `policy`, and what it means.
pub(crate) fn write(policy: &Policy) -> String {
    let mut text = String::new();
    for (name, meaning) in Policy::FIELDS {
        for line in *meaning {
            text += &format!("#{line}\n");
        }
        let value = policy.get(name).expect("invariant: a field has a value");
        text += &format!("{name} = {value}\n\n");
    }
    text +=
        "# Operators whose machines may check what others have made, besides those of --trust.\n";
    text += "trusted = []\n\n";
    text += "# What seekers weigh in the order of service; those that are not named weigh 1.\n";
    text += "[weights]\n# my-seeker = 2\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_and_is_the_default() {
        assert_eq!(parse(&write(&Policy::default())), Ok(Rules::default()));
        assert_eq!(parse(""), Ok(Rules::default()));
    }

    #[test]
    fn fields_and_weights_are_taken() {
        let text = "patience_ms = 5\ntrusted = [\"a\"]\n[weights]\nbig = 3\n";
        let rules = parse(text).unwrap();
        assert!(rules.trusted.iter().map(OperatorId::as_str).eq(["a"]));
        assert_eq!(rules.policy.patience_ms, 5);
        assert_eq!(rules.policy.prior_items, Policy::default().prior_items);
        assert_eq!(rules.weights[&SeekerId::new("big").unwrap()], 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("patience_ms", "line 1: "),
            (
                "\npatience_ms = 1\npatience_ms = 2",
                "line 3: duplicate key",
            ),
            (
                "pause_m = 1",
                "there is no `pause_m`; did you mean `pause_ms`?",
            ),
            ("x = 1", "there is no `x`"),
            ("patience_ms = \"5s\"", "patience_ms is string"),
            ("patience_ms = -5", "a whole number of 0 or more"),
            ("prior_items = 4294967296", "can be 0 to 4294967295"),
            ("weights = 3", "[weights]"),
            ("trusted = \"a\"", "a list of names of operators"),
            ("trusted = [\"A\"]", "a list of names of operators"),
            ("[weights]\nA = 3", "seeker name"),
            ("[weights]\na = 0", "from 1 to 1000"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
