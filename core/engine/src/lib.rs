//! The workflow driver: script, journal and scheduler as one event-sourced machine.
//!
//! [`engine::Engine`] decides and does nothing else; [`driver`] gives it threads, a clock, a disk and
//! the scripts. The engine never knows what a proof is: it knows workflows, delegations, machines and
//! what was said about them.

mod calls;
mod children;
mod delegations;
pub mod driver;
pub mod effect;
pub mod engine;
mod handle;
pub mod input;
mod recover;
mod scripts;
pub mod serve;
mod submit;
#[cfg(test)]
mod tests;
mod workflow;

pub use driver::{Config, Error, Running};
pub use effect::{MachineCommand, Receipt};
pub use froben_scheduler::{Policy, SessionId};
pub use handle::{Busy, EngineHandle};
pub use serve::{Applied, Change, NotServed, Sources};
pub use workflow::Misfit;
