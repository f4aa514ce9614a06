//! Stand-ins for secrets: texts under a name like `token` or `password`, and passwords in addresses.
//!
//! A script may hand a secret on, alone or within a longer text, so it is replaced wherever it stands. The
//! stand-in is as long as what it stands for; a script that looks closer is found out by the replay that
//! follows. Numbers stay: `tokens = 5` is no secret.

use std::collections::BTreeSet;

use froben_journal::ScriptSet;
use froben_model::Value;
use froben_script::is_secret_name;

/// Shorter ones stand in too many texts by chance; they are replaced only where they were found.
const SHORTEST: usize = 4;

#[derive(Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    pub(super) fn look_at(&mut self, value: &Value) {
        self.look(value, false);
    }

    fn look(&mut self, value: &Value, named: bool) {
        match value {
            Value::Text(text) if named => {
                if text.len() >= SHORTEST {
                    self.0.insert(text.clone());
                }
            }
            Value::Text(text) => self.look_at_text(text),
            Value::List(list) => list.iter().for_each(|value| self.look(value, named)),
            Value::Map(map) => map
                .iter()
                .for_each(|(key, value)| self.look(value, named || is_secret_name(key))),
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Blob(_) => {}
        }
    }

    /// The password of `scheme://user:password@host`.
    pub(super) fn look_at_text(&mut self, text: &str) {
        for (start, mark) in text.match_indices("://") {
            let rest = &text[start + mark.len()..];
            let end = rest.find(|c: char| c.is_whitespace() || "/?#".contains(c));
            let authority = &rest[..end.unwrap_or(rest.len())];
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            if let Some((_, password)) = user.and_then(|user| user.split_once(':'))
                && password.len() >= SHORTEST
            {
                self.0.insert(password.to_string());
            }
        }
    }

    pub(super) fn stand_ins(self, scripts: &ScriptSet) -> StandIns {
        let written = |secret: &String| {
            let mut sources = scripts.files.values();
            sources.any(|source| source.contains(secret.as_str()))
        };
        let number = |(number, secret): (usize, String)| {
            let digits = format!("{number:04}");
            let digits = &digits[digits.len() - SHORTEST..];
            let stand_in = format!("{}{digits}", "x".repeat(secret.len() - SHORTEST));
            (secret, stand_in)
        };
        let mut pairs: Vec<_> = (1..)
            .zip(self.0.into_iter().filter(|secret| !written(secret)))
            .map(number)
            .collect();
        // One may be a part of another.
        pairs.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        StandIns(pairs)
    }
}

pub(super) struct StandIns(Vec<(String, String)>);

impl StandIns {
    pub(super) fn replace_in(&self, text: &mut String) {
        for (secret, stand_in) in &self.0 {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), stand_in);
            }
        }
    }

    /// What is too short to be looked for, under a name that gives it away.
    pub(super) fn hide_short(key: &str, value: &mut Value) {
        if let Value::Text(text) = value
            && is_secret_name(key)
            && text.len() < SHORTEST
        {
            *text = "x".repeat(text.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_names_and_in_addresses() {
        let mut secrets = Secrets::default();
        secrets.look_at(&Value::map([
            ("token", Value::text("hunter2secret")),
            ("tokens", Value::Int(5)),
            (
                "url",
                Value::text("see https://u:pass9@host/a:b@c and http://x:1@y"),
            ),
            (
                "api",
                Value::map([("Password", Value::List(vec![Value::text("öffne")]))]),
            ),
            ("name", Value::text("ada")),
        ]));
        let stand_ins = secrets.stand_ins(&ScriptSet::default());
        let mut text = "hunter2secret, u:pass9@host, öffne, pass, ada".to_string();
        let before = text.len();
        stand_ins.replace_in(&mut text);
        assert_eq!(text, "xxxxxxxxx0001, u:x0002@host, xx0003, pass, ada");
        assert_eq!(text.len(), before);
        let mut short = Value::text("123");
        StandIns::hide_short("pin", &mut short);
        assert_eq!(short, Value::text("123"));
        StandIns::hide_short("secret_pin", &mut short);
        assert_eq!(short, Value::text("xxx"));
    }
}
