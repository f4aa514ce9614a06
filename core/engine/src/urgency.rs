//! How soon a delegation has to go on: what the scheduler's order within a seeker is made of.
//!
//! How long a workflow still takes behind a task of some kind is learned from the workflows of the same
//! pipeline that have succeeded. It is a guess that orders, and nothing else: it is in no journal, and a
//! coordinator that starts learns it anew.

use std::collections::BTreeMap;

use froben_model::{Kind, TimeMs, WorkflowId};
use froben_scheduler::Urgency;

use crate::engine::Engine;
use crate::workflow::Workflow;

/// Pairs of pipeline and kind that are kept in mind; scripts make up kinds.
const PAIRS: usize = 10_000;
/// What one workflow counts against what was known: an eighth.
const NEW: u64 = 8;

/// From the call of a task to the end of its workflow, in milliseconds: a moving average.
#[derive(Debug, Default)]
pub(crate) struct Ahead(BTreeMap<String, BTreeMap<Kind, u64>>);

impl Ahead {
    fn get(&self, pipeline: &str, kind: &Kind) -> u64 {
        let kinds = self.0.get(pipeline);
        kinds
            .and_then(|kinds| kinds.get(kind))
            .copied()
            .unwrap_or(0)
    }

    /// The workflow has succeeded at `now`.
    pub(crate) fn learn(&mut self, workflow: &Workflow, now: TimeMs) {
        let mut sums: BTreeMap<&Kind, (u64, u64)> = BTreeMap::new();
        for delegation in workflow.delegations.values() {
            let (sum, count) = sums.entry(&delegation.spec.kind).or_default();
            *sum = sum.saturating_add(now.saturating_sub(delegation.queued_ms));
            *count += 1;
        }
        let full = self.0.values().map(BTreeMap::len).sum::<usize>() >= PAIRS;
        let known = self.0.get(&workflow.pipeline);
        let new = |kind: &Kind| known.is_none_or(|known| !known.contains_key(kind));
        sums.retain(|kind, _| !full || !new(kind));
        if sums.is_empty() {
            return;
        }
        let kinds = self.0.entry(workflow.pipeline.clone()).or_default();
        for (kind, (sum, count)) in sums {
            let mean = sum / count;
            match kinds.get_mut(kind) {
                Some(known) => *known = (*known / NEW * (NEW - 1)).saturating_add(mean / NEW),
                None => drop(kinds.insert(kind.clone(), mean)),
            }
        }
    }
}

impl Engine {
    /// How soon a workflow's task of the kind has to go on.
    pub(crate) fn urgency(&self, id: WorkflowId, kind: &Kind) -> Urgency {
        let Some(workflow) = self.live.get(&id) else {
            return Urgency::default();
        };
        // A child is as old, and as much in a hurry, as the one that all began with.
        let root = self.live.get(&self.root_of(id)).unwrap_or(workflow);
        Urgency {
            wanted_by_ms: root.wanted_by_ms,
            begun_ms: root.submitted_ms,
            ahead_ms: self.ahead.get(&workflow.pipeline, kind),
        }
    }
}
