//! What the scheduler goes by, as ops set it.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{OperatorId, SeekerId};
use froben_scheduler::{Input, Policy};

use crate::engine::Engine;

/// They can be changed while a coordinator runs, and are in no journal: each start is given its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    pub policy: Policy,
    /// What seekers weigh in the order of service; those that are not named weigh 1.
    pub weights: BTreeMap<SeekerId, u32>,
    /// Whose machines may have checks.
    pub trusted: BTreeSet<OperatorId>,
}

impl Engine {
    pub(crate) fn rules(&mut self, rules: Rules) {
        let Rules {
            policy,
            weights,
            trusted,
        } = rules;
        self.schedule(Input::Policy(policy));
        self.schedule(Input::Weights { weights });
        self.trust(trusted);
    }
}
