//! What the end of a run waited for.
//!
//! Walked backwards: the delegation that ended last before the end, the one that ended last before that one
//! was made, and so on. It says nothing of what would have been next, had one of them been faster; for that a
//! run is played again.

use froben_model::TimeMs;

use super::run::Told;

/// A part of the way to the end: one delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) kind: String,
    /// Until a machine was found.
    pub(super) wait_ms: u64,
    pub(super) run_ms: u64,
    pub(super) on_slow: bool,
    pub(super) lost: bool,
}

/// The stretches from `end` back to `begin`, the last first.
pub(super) fn critical(mut told: Vec<Told>, begin: TimeMs, end: TimeMs) -> Vec<Stretch> {
    told.sort_by_key(|told| (told.ended, told.queued, told.workflow));
    let (mut path, mut at, mut left) = (Vec::new(), end, told.len());
    while at > begin {
        left = left.min(told.partition_point(|told| told.ended <= at));
        let Some(last) = left.checked_sub(1).map(|last| &told[last]) else {
            break;
        };
        left -= 1;
        let assigned = last.assigned.unwrap_or(last.ended);
        path.push(Stretch {
            kind: last.kind.clone(),
            wait_ms: assigned - last.queued,
            run_ms: last.ended - assigned,
            on_slow: last.on_slow,
            lost: last.lost,
        });
        at = last.queued;
    }
    path
}

#[cfg(test)]
mod tests {
    use froben_model::WorkflowId;

    use super::*;

    fn told(kind: &str, queued: TimeMs, assigned: TimeMs, ended: TimeMs) -> Told {
        Told {
            workflow: WorkflowId([0; 16]),
            kind: kind.to_owned(),
            queued,
            assigned: Some(assigned),
            ended,
            on_slow: false,
            lost: false,
            items: 1,
            attempts: Vec::new(),
            won: false,
        }
    }

    #[test]
    fn the_way_back_follows_whoever_ended_last() {
        let all = vec![
            told("witness", 0, 0, 100),
            told("basic", 100, 100, 120),
            told("basic", 100, 130, 170),
            told("tip", 170, 175, 200),
        ];
        let path = critical(all, 0, 200);
        let seen: Vec<_> = path
            .iter()
            .map(|s| (s.kind.as_str(), s.wait_ms, s.run_ms))
            .collect();
        assert_eq!(
            seen,
            [("tip", 5, 25), ("basic", 30, 40), ("witness", 0, 100)]
        );
    }

    #[test]
    fn what_takes_no_time_makes_no_circle() {
        let all = vec![told("a", 5, 5, 5), told("b", 5, 5, 5)];
        assert_eq!(critical(all, 0, 5).len(), 2);
        assert!(critical(Vec::new(), 0, 5).is_empty());
    }
}
