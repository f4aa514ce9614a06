//! Locals that nothing reads.

use super::names::{Role, Shape};
use super::verbs::UNUSED;
use super::{Found, Lint, Script};
use crate::finding::Severity;

pub(crate) const VARIABLE: Lint = Lint {
    name: "unused-variable",
    severity: Severity::Warning,
    summary: "a local that nothing reads",
};

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    for binding in &script.names.bindings {
        let declared = matches!(binding.role, Role::Local | Role::Function);
        let (name, span) = (binding.name.as_str(), binding.span.clone());
        if !declared || binding.reads > 0 || name.starts_with('_') {
            continue;
        }
        match (binding.shape(), binding.writes) {
            (Shape::Host("d" | "child"), _) => {
                let message = format!("nobody waits for `{name}`");
                let hint = format!("wait for it, with `{name}:await()` or `ctx:all`");
                found.report(&UNUSED, span, message, hint);
            }
            (_, 0) => {
                let message = format!("`{name}` is never used");
                let hint = format!("leave it out, or call it `_{name}` if it has to be there");
                found.report(&VARIABLE, span, message, hint);
            }
            _ => {
                let message = format!("`{name}` is assigned, but never read");
                found.report(
                    &VARIABLE,
                    span,
                    message,
                    "leave it out, or use what it holds",
                );
            }
        }
    }
}
