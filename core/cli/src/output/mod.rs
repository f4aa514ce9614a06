//! What is printed: text for people, JSON for programs, from the same views.

pub(crate) mod findings;
pub(crate) mod forecast;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod revisions;
pub(crate) mod text;
pub(crate) mod trail;

/// Prints a JSON document on standard output.
pub(crate) fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}
