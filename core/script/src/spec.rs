//! Specs: files of cases that hold a script set against what its author expects.
//!
//! A [`Suite`] is one spec file in a VM of its own. It does not simulate: where a case asks for a run,
//! [`Suite::begin`] and [`Suite::resume`] give a [`Simulation`], whose result is an input like any
//! other, and [`Suite::ask`] says what a scripted operator does. Whoever drives the suite owns engine,
//! journal and clock.
//!
//! Spec files are no part of a revision: they lie in `spec/`, are read by the author's tools alone, and
//! are never served.

mod declared;
mod doc;
mod plan;
mod read;
pub(crate) mod registry;
mod suite;
#[cfg(test)]
mod tests;

pub use doc::reference;
pub use plan::{Deed, Operator, Question, Reply, Simulation, Subject};
pub use registry::{SPEC_VERBS, SpecVerb};
pub use suite::{Case, Step, Suite, Unmet};
