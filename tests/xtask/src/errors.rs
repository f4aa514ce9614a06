//! Every error code that the sources use has its page in docs/errors, and every page its code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::build;

const SOURCES: [&str; 5] = ["core", "operator", "opencl", "schema", "scripts"];
/// For tests that need a code that nothing has.
const NOBODYS: &str = "FRB-XXX-999";

pub(crate) fn check() -> Result<(), String> {
    let root = build::root();
    let mut used = BTreeSet::new();
    for folder in SOURCES {
        collect(&root.join(folder), &mut used)?;
    }
    used.remove(NOBODYS);
    let pages = fs::read_dir(root.join("docs/errors")).map_err(|error| error.to_string())?;
    let pages: BTreeSet<String> = pages
        .flatten()
        .filter_map(|page| Some(page.file_name().to_str()?.strip_suffix(".md")?.to_string()))
        .collect();
    let missing: Vec<_> = used.difference(&pages).map(String::as_str).collect();
    let stale: Vec<_> = pages.difference(&used).map(String::as_str).collect();
    match missing.is_empty() && stale.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "docs/errors: no page for [{}], no use of [{}]",
            missing.join(", "),
            stale.join(", ")
        )),
    }
}

fn collect(path: &Path, codes: &mut BTreeSet<String>) -> Result<(), String> {
    let wrong = |error| format!("cannot read {}: {error}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(wrong)?.flatten() {
            collect(&entry.path(), codes)?;
        }
    } else if path
        .extension()
        .is_some_and(|it| ["rs", "lua", "luau"].iter().any(|e| it == *e))
    {
        codes.extend(codes_in(&fs::read_to_string(path).map_err(wrong)?));
    }
    Ok(())
}

/// `FRB-`, three capital letters, `-`, three digits.
fn codes_in(text: &str) -> Vec<String> {
    let at = text.match_indices("FRB-").map(|(at, _)| at);
    let codes = at.filter_map(|at| text.get(at..at + 11));
    let fits = |code: &&str| {
        let (letters, digits) = (&code.as_bytes()[4..7], &code.as_bytes()[8..11]);
        letters.iter().all(u8::is_ascii_uppercase)
            && code.as_bytes()[7] == b'-'
            && digits.iter().all(u8::is_ascii_digit)
    };
    codes.filter(fits).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn codes_are_told_from_what_only_looks_like_them() {
        let found =
            codes_in("FRB-NET-001, FRB-LUA-00N, FRB-, xFRB-TLS-010: FRB-net-001 FRB-NET-00");
        assert_eq!(found, ["FRB-NET-001", "FRB-TLS-010"]);
    }
}
