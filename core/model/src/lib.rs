//! The shared words: ids, values, resources, tasks, outcomes.
//!
//! Every crate of the workspace may use these types; none of them does I/O, reads a clock or draws a
//! random number. They carry no serde and no capnp: each door translates for itself, with exhaustive
//! destructuring, so that a new field breaks the build wherever it must be handled.

pub mod blob;
pub mod id;
pub mod keystore;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod money;
pub mod outcome;
pub mod resources;
pub mod revision;
pub mod task;
pub mod timing;
pub mod trail;
pub mod value;
pub mod view;

pub use blob::{BlobHash, BlobRef};
pub use id::{CallId, Kind, MachineId, OperatorId, SeekerId, WorkflowId};
pub use keystore::{HeldKey, SetupKey};
pub use lease::LeaseToken;
pub use machine::{DeviceSpec, MachineSpec};
pub use money::Amount;
pub use outcome::{ErrorClass, ItemError, ItemOutcome, ItemReport, Usage};
pub use resources::Needs;
pub use revision::{RevisionHash, RevisionPrefix, ScriptSet};
pub use task::{Assignment, TaskSpec, Terms};
pub use timing::TimeBucket;
pub use value::Value;

/// A moment: milliseconds since the Unix epoch. Always an argument, never read from a clock here.
pub type TimeMs = u64;

/// What is wrong with a word that came from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{text}` is not {} {what}: {why}", article(what))]
    Malformed {
        what: &'static str,
        text: String,
        why: &'static str,
    },
    #[error("{what} is {size}, the limit is {limit}")]
    TooLarge {
        what: &'static str,
        size: u64,
        limit: u64,
    },
}

fn article(what: &str) -> &'static str {
    match what.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    }
}

impl Error {
    pub(crate) fn malformed(what: &'static str, text: &str, why: &'static str) -> Self {
        // Long or hostile input is cut, so that an error message stays one line.
        let text = text
            .chars()
            .filter(|c| !limits::steers(*c))
            .take(80)
            .collect();
        Error::Malformed { what, text, why }
    }
}
