//! A deterministic simulator: the real engine, scheduler, journal code and scripts, under a virtual clock,
//! among machines and on a disk that fail as one seed decides.
//!
//! [`run`] plays one seed: first the faults, among them the configuration itself, which is drawn and changes
//! under way: terms, rules, scripts; then they stop, and everything has to come to its right end. Meanwhile [`checks`] watches what is written and what is
//! promised, from outside. The same seed gives the same [`Report::trace`]; a failure names the seed.
//!
//! [`forecast`] plays the same engine for a planner: which fleet does a pipeline in what time.
//!
//! What is real: `froben-engine` with its scheduler, `froben-script`, the retry library of `scripts/lib`,
//! the journal's encoding. What is not: the network (a connection delivers in order, after delays of its own, or
//! breaks; a broken one may go unnoticed for a while), the disk (a commit is whole, lost, or made and not told
//! of), machines.

mod agenda;
mod checks;
mod fleet;
mod fold;
pub mod forecast;
mod plan;
mod revisions;
mod seekers;
mod world;

pub use plan::Plan;

#[cfg(feature = "planted")]
pub use froben_engine::planted::{Bug, plant};

/// A seed that came to its right end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    /// Of everything that was written and told to machines, in order.
    pub trace: u64,
    pub virtual_ms: u64,
    pub commits: u64,
    pub restarts: u64,
    /// Messages that came too late and changed nothing.
    pub stale: u64,
    pub items: u64,
    /// Workflows that were moved to another revision, and forks.
    pub migrations: u64,
    pub forks: u64,
}

/// Plays a seed to its end.
///
/// *Errors*: what did not hold, in words.
pub fn run(seed: u64) -> Result<Report, String> {
    world::World::new(Plan::of(seed)).play()
}
