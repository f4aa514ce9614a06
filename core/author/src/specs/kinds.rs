//! The kinds that sources name: what an operator offers that does not say what it offers.

use std::collections::BTreeSet;

use froben_model::Kind;

/// Every quoted text of `source` that is a kind, like `"data.prove/1"`. Some may mean something else;
/// an offer that nobody takes up does no harm.
pub(super) fn in_source(source: &str, kinds: &mut BTreeSet<Kind>) {
    for line in source.lines() {
        let parts = line.split(['"', '\'', '`']);
        kinds.extend(parts.filter_map(|part| Kind::new(part).ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_kinds_are_found() {
        let mut kinds = BTreeSet::new();
        in_source(
            "kind = \"a.b/1\", other = 'c/22' .. \"it's d/3\" -- e.f/1 \n  x = `g/1`",
            &mut kinds,
        );
        let names: Vec<_> = kinds.iter().map(Kind::as_str).collect();
        assert_eq!(names, ["a.b/1", "c/22", "g/1"]);
    }
}
