//! What a pipeline's author runs on a laptop, without a coordinator: formatting, linting, checking.
//!
//! Everything here reads sources and gives [`Finding`]s; nothing is executed but what
//! [`froben_script::Revision::check`] evaluates in its sandbox. Printing and exit codes are the command
//! line's. This is the only crate that knows the formatter, the parser behind it and the renderer of
//! carets.

pub mod files;
mod finding;
mod format;
mod lint;
mod render;
mod source;
mod syntax;

pub use finding::{Finding, Severity};
pub use format::{FormatError, diff, format};
pub use lint::{LINTS, Lint, LintOptions, lint};
pub use render::{Paint, render, to_json};
pub use source::{Place, Source, Sources};
