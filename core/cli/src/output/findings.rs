//! What the author's tools found, on standard error.

use std::io::IsTerminal;

use froben_author::{Finding, Paint, Sources, render};

/// The line, carets under it, and the hint.
pub(crate) fn print_one(finding: &Finding, sources: &Sources) {
    eprintln!("{}\n", render(finding, sources, paint()));
}

/// Colours on a terminal, unless the user wants none.
fn paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match wanted && std::io::stderr().is_terminal() {
        true => Paint::Colours,
        false => Paint::Plain,
    }
}
