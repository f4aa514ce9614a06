//! What a pipeline's author runs on a laptop, without a coordinator: formatting, linting, checking.
//!
//! Everything here reads sources and gives [`Finding`]s; nothing is executed but what
//! [`froben_script::Revision::check`] evaluates in its sandbox. Printing and exit codes are the command
//! line's. This is the only crate that knows the formatter, the parser behind it and the renderer of
//! carets.

mod check;
mod explain;
pub mod files;
mod finding;
mod format;
mod lint;
mod render;
mod source;
mod syntax;
mod template;
mod types;

pub use check::{CheckOptions, check};
pub use explain::{Page, explain, pages};
pub use finding::{Finding, Severity};
pub use format::{FormatError, diff, format};
pub use lint::{LINTS, Lint, LintOptions, lint};
pub use render::{Paint, render, to_json};
pub use source::{Place, Source, Sources};
pub use template::{TEMPLATES, Template, TemplateError};
pub use types::TypeChecker;
