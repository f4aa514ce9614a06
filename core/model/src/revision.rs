//! Revisions of the scripts: their names, the history of which one was served, and what a change of it
//! would mean.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Error, TimeMs, Value};

/// The BLAKE3 content hash of a script set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionHash(pub [u8; 32]);

impl RevisionHash {
    /// As much of it as people need to tell revisions apart.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for RevisionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for RevisionHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::malformed("revision", text, "64 hex digits"))?;
        Ok(RevisionHash(bytes))
    }
}

/// The beginning of a revision's name in hex: at least 4 digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionPrefix(String);

impl RevisionPrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn admits(&self, hash: &RevisionHash) -> bool {
        hash.to_string().starts_with(&self.0)
    }

    /// The smallest hash that it admits.
    pub fn first(&self) -> RevisionHash {
        let mut digits = self.0.clone();
        digits.extend(std::iter::repeat_n('0', 64 - self.0.len()));
        digits
            .parse()
            .expect("invariant: a prefix has at most 64 hex digits")
    }
}

impl fmt::Display for RevisionPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RevisionPrefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        match (4..=64).contains(&text.len()) && text.bytes().all(hex) {
            true => Ok(RevisionPrefix(text.to_string())),
            false => {
                let why = "4 to 64 lower-case hex digits";
                Err(Error::malformed("revision", text, why))
            }
        }
    }
}

/// The sources of a revision: path (`pipelines/x.lua`, `lib/retry.lua`) and text, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptSet {
    pub files: BTreeMap<String, String>,
}

/// One entry of the history: from here on, until the next one, new workflows got this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// 1, 2, 3 ... without gaps.
    pub index: u64,
    pub revision: RevisionHash,
    pub time_ms: TimeMs,
    /// The name of the admin, or `coordinator`.
    pub by: String,
    pub origin: Origin,
    /// One line, perhaps empty, of whoever did it.
    pub note: String,
}

/// What brought an entry about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The coordinator's own folder, as it was started.
    Start,
    /// That folder, read again.
    Folder,
    Apply,
    Rollback,
}

impl Origin {
    pub const ALL: [Origin; 4] = [
        Origin::Start,
        Origin::Folder,
        Origin::Apply,
        Origin::Rollback,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Origin::Start => "start",
            Origin::Folder => "folder",
            Origin::Apply => "apply",
            Origin::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with a script set, at one place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptProblem {
    /// Stable, like `FRB-LUA-001`; each has its page in `docs/errors`.
    pub code: String,
    /// Empty if it is the set as a whole.
    pub path: String,
    /// 0 if it is the file as a whole.
    pub line: u32,
    pub message: String,
    pub hint: String,
}

impl ScriptProblem {
    /// `pipelines/x.lua:3`, or as much of it as there is.
    pub fn place(&self) -> String {
        match (self.path.as_str(), self.line) {
            ("", _) => "the set".to_string(),
            (path, 0) => path.to_string(),
            (path, line) => format!("{path}:{line}"),
        }
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place(), self.message, self.code)
    }
}

/// What a pipeline takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    pub name: String,
    /// Its file in the set.
    pub path: String,
    pub inputs: Vec<FieldView>,
    pub outputs: Vec<FieldView>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldView {
    pub name: String,
    /// Like `blob`, or `"dev" or "standard"`.
    pub expected: String,
    pub optional: bool,
    /// [`Value::Nil`] if there is none.
    pub default: Value,
}

/// What serving a set instead of the revision that is served now would mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The newest entry: what is served.
    pub serving: Served,
    /// The set's own hash.
    pub revision: RevisionHash,
    /// The newest entry that served this very set, if one did.
    pub known_as: Option<u64>,
    /// Why it can't be served; empty if it can.
    pub problems: Vec<ScriptProblem>,
    /// The pipelines that are served, by name.
    pub before: Vec<Signature>,
    /// Those of the set, by name. Empty if it has problems.
    pub after: Vec<Signature>,
    /// Live workflows by the revision that they keep.
    pub live: Vec<(RevisionHash, u64)>,
    /// The pipelines are left out, before and after: an answer has no room for them.
    pub omitted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_round_trip_and_prefixes_admit_their_own() {
        let hash = RevisionHash(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for digits in [4, 5, 63, 64] {
            let prefix: RevisionPrefix = hash.to_string()[..digits].parse().unwrap();
            assert!(prefix.admits(&hash), "{prefix}");
            assert!(
                prefix.admits(&prefix.first()) && prefix.first() <= hash,
                "{prefix}"
            );
            let other = RevisionHash([0xff; 32]);
            assert!(!prefix.admits(&other), "{prefix}");
        }
        for bad in ["", "abc", "ABCD", "xyz0", &"0".repeat(65)] {
            assert!(bad.parse::<RevisionPrefix>().is_err(), "{bad}");
            assert!(bad.parse::<RevisionHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_problem_says_where() {
        let problem = |path: &str, line| ScriptProblem {
            code: "FRB-LUA-001".into(),
            path: path.into(),
            line,
            message: "no".into(),
            hint: String::new(),
        };
        for (path, line, said) in [
            ("lib/x.lua", 3, "lib/x.lua:3: no [FRB-LUA-001]"),
            ("lib/x.lua", 0, "lib/x.lua: no [FRB-LUA-001]"),
            ("", 0, "the set: no [FRB-LUA-001]"),
        ] {
            assert_eq!(problem(path, line).to_string(), said);
        }
    }
}
