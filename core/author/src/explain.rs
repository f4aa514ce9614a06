//! The pages of error codes and lints, which come with the program.

use crate::lint::LINTS;

const ERRORS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
const LINT_PAGE: &str = include_str!("../../../docs/lints.md");

/// What there is to read about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// An error code or a lint's name.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
}

/// Every page: codes, then lints.
pub fn pages() -> Vec<Page> {
    let codes = ERRORS.iter().map(|(name, text)| Page {
        name,
        title: text
            .lines()
            .next()
            .and_then(|line| line.split_once(": "))
            .map_or("", |(_, title)| title),
    });
    let lints = LINTS.iter().map(|lint| Page {
        name: lint.name,
        title: lint.summary,
    });
    codes.chain(lints).collect()
}

/// The page of a code, whatever its case, or the section of a lint.
///
/// *Errors*: there is none; the name that may have been meant.
pub fn explain(name: &str) -> Result<String, Option<&'static str>> {
    let code = name.to_ascii_uppercase();
    if let Some((_, text)) = ERRORS.iter().find(|(known, _)| *known == code) {
        return Ok((*text).to_owned());
    }
    let lint = name.to_ascii_lowercase();
    if let Some(section) = section(&lint) {
        return Ok(format!("# {lint}\n{section}"));
    }
    let known: Vec<&str> = pages().iter().map(|page| page.name).collect();
    let wanted = if name.contains("FRB") || name.contains("frb") {
        code
    } else {
        lint
    };
    Err(froben_script::nearest(&wanted, known))
}

fn section(lint: &str) -> Option<&'static str> {
    let (_, rest) = LINT_PAGE.split_once(&format!("\n## {lint}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_lints_are_explained() {
        let page = explain("frb-lua-001").expect("there is such a page");
        assert!(page.starts_with("# FRB-LUA-001"));
        let page = explain("unused-result").expect("there is such a lint");
        assert!(page.starts_with("# unused-result\n\n*warning*"), "{page}");
        assert!(!page.contains("unknown-option"));
        assert_eq!(explain("unused-resutl"), Err(Some("unused-result")));
        assert_eq!(explain("something"), Err(None));
        for page in pages() {
            assert!(
                explain(page.name).is_ok() && !page.title.is_empty(),
                "{}",
                page.name
            );
        }
    }
}
