//! The workflow driver: script, journal and scheduler as one event-sourced machine.
//!
//! [`engine::Engine`] decides and does nothing else; [`driver`] gives it threads, a clock, a disk and
//! the scripts. The engine never knows what a proof is: it knows workflows, delegations, machines and
//! what was said about them.

pub mod by_hand;
mod calls;
mod checks;
mod children;
mod contained;
mod delegations;
pub mod driver;
pub mod effect;
pub mod engine;
mod figures;
mod fork;
mod handle;
mod history;
pub mod input;
mod ledger;
mod offline;
mod pace;
mod pseudonyms;
mod recover;
mod replay;
mod restart;
mod revisions;
mod rules;
mod scripts;
pub mod serve;
mod step;
mod submit;
#[cfg(test)]
mod tests;
mod trail;
mod urgency;
mod why;
mod workflow;

pub use driver::{Capacity, Config, Error, Running};
pub use effect::{MachineCommand, Receipt};
pub use figures::{BOUNDS_MS, Figures, Histogram, OfKind, Outcome};
#[cfg(feature = "planted")]
pub use froben_scheduler::planted;
pub use froben_scheduler::{NotSet, Policy, SessionId};
pub use froben_script::{is_secret_name, nearest};
pub use handle::{Busy, EngineHandle, Statement, Viewer};
pub use history::History;
pub use offline::{Migrated, Parting, Unfit, Want};
pub use replay::{Divergence, Got, Replayed, describe, replay};
pub use rules::Rules;
pub use serve::{Applied, Change, NotServed, Sources};
pub use submit::meant;
pub use workflow::Misfit;
