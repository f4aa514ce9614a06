//! What a pipeline's author runs on a laptop, without a coordinator: formatting, linting, checking, specs.
//!
//! Most of it reads sources and gives [`Finding`]s, and executes nothing but what
//! [`froben_script::Revision::check`] evaluates in its sandbox; [`specs`] rehearse workflows. Printing and exit codes are the command
//! line's. This is the only crate that knows the formatter, the parser behind it and the renderer of
//! carets.

mod check;
mod explain;
pub mod files;
mod finding;
mod format;
mod guard;
mod library;
mod lint;
mod problem;
pub mod rehearsal;
mod render;
pub mod replay;
mod source;
pub mod specs;
mod syntax;
mod template;
mod types;

pub use check::{CheckOptions, check};
pub use explain::{Page, explain, pages};
pub use finding::{Finding, Severity};
pub use format::{FormatError, diff, format};
pub use library::LIBRARY;
pub use lint::{LINTS, Lint, LintOptions, lint};
pub use problem::findings;
pub use render::{Paint, render, to_json};
pub use source::{Place, Source, Sources};
pub use template::{TEMPLATES, Template, TemplateError};
pub use types::TypeChecker;
