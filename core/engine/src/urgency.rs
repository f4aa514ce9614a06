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

/// From the call of a task of a kind to the end of its workflow, in milliseconds: a moving average.
#[derive(Debug, Default)]
struct OfPipeline {
    kinds: BTreeMap<Kind, u64>,
    learned_ms: TimeMs,
}

#[derive(Debug, Default)]
pub(crate) struct Ahead(BTreeMap<String, OfPipeline>);

impl Ahead {
    fn get(&self, pipeline: &str, kind: &Kind) -> u64 {
        let known = self.0.get(pipeline);
        known
            .and_then(|known| known.kinds.get(kind))
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
        let means = sums.into_iter().map(|(kind, (sum, n))| (kind, sum / n));
        self.note(&workflow.pipeline, means, now);
    }

    fn note<'a>(
        &mut self,
        pipeline: &str,
        means: impl Iterator<Item = (&'a Kind, u64)>,
        now: TimeMs,
    ) {
        let known = self.0.entry(pipeline.to_owned()).or_default();
        known.learned_ms = now;
        for (kind, mean) in means.take(PAIRS) {
            match known.kinds.get_mut(kind) {
                Some(known) => *known = (*known / NEW * (NEW - 1)).saturating_add(mean / NEW),
                None => drop(known.kinds.insert(kind.clone(), mean)),
            }
        }
        // A pipeline whose scripts make up kinds begins anew; others make room, the stalest first.
        while self.0.values().map(|of| of.kinds.len()).sum::<usize>() > PAIRS {
            let stalest = self.0.iter().min_by_key(|(_, of)| of.learned_ms);
            let Some(stalest) = stalest.map(|(pipeline, _)| pipeline.clone()) else {
                return;
            };
            self.0.remove(&stalest);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(n: usize) -> Kind {
        Kind::new(format!("k{n}/1")).unwrap()
    }

    #[test]
    fn what_is_ahead_is_a_moving_average() {
        let mut ahead = Ahead::default();
        let kind = kind(0);
        for (mean, known) in [(800, 800), (1600, 900), (0, 784)] {
            ahead.note("p", [(&kind, mean)].into_iter(), 1);
            assert_eq!(ahead.get("p", &kind), known);
        }
        assert_eq!(ahead.get("q", &kind), 0);
    }

    #[test]
    fn the_pipeline_that_is_stalest_makes_room() {
        let mut ahead = Ahead::default();
        let kinds: Vec<_> = (0..PAIRS / 2).map(kind).collect();
        for (at, pipeline) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
            ahead.note(pipeline, kinds.iter().map(|kind| (kind, 8)), at);
        }
        let known = ["a", "b", "c"].map(|pipeline| ahead.get(pipeline, &kinds[0]));
        assert_eq!(known, [8, 0, 8]);
        let many: Vec<_> = (0..2 * PAIRS).map(kind).collect();
        ahead.note("d", many.iter().map(|kind| (kind, 8)), 5);
        let pairs: usize = ahead.0.values().map(|of| of.kinds.len()).sum();
        assert!(pairs <= PAIRS && ahead.get("d", &many[0]) == 8);
    }
}
