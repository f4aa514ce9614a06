//! A workflow's run without a network: the real engine, matchmaker and sandbox, a journal in memory,
//! operators that do as they are told, and a clock that jumps to whatever is due next.
//!
//! Everything happens on the caller's thread, in an order that follows from the plan and its seed. A
//! crash of the coordinator is part of it: what was written is kept, everything else is lost.

mod agenda;
mod fleet;
mod run;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use froben_model::{Kind, Value};
use froben_script::Revision;
use froben_script::spec::{Question, Reply, Simulation, Unmet};

use world::World;

/// A run to come.
pub struct Rehearsal<'a> {
    pub simulation: &'a Simulation,
    /// With the workflow that is simulated among its pipelines.
    pub revision: Arc<Revision>,
    /// What operators offer that do not say what they offer.
    pub kinds: &'a BTreeSet<Kind>,
    /// Where the simulation has none of its own.
    pub seed: u64,
}

/// Why a run has no end.
#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// An operator's answer is none.
    Operator(Unmet),
    /// In words for the author.
    Stuck(String),
}

/// Runs to the end of the workflow. `ask` says what an operator does about an item. Gives the run as
/// specs see it.
pub fn rehearse(
    rehearsal: &Rehearsal<'_>,
    ask: &mut dyn FnMut(&Question<'_>) -> Result<Reply, Unmet>,
) -> Result<Value, Halt> {
    let mut world = World::new(rehearsal);
    world.play(ask)?;
    world.result()
}
