//! I6: nothing waits for ever: whatever goes on has a moment when it is over at the latest.

use std::collections::BTreeMap;

use froben_model::{CallId, TimeMs, WorkflowId};

use super::delegation::Delegation;
use super::workflow::Seen;
use crate::plan::CHECK_ATTEMPTS;

/// So much later than promised an end may be written down.
const GRACE_MS: u64 = 2_000;
/// So much longer than a check may take waits what is checked.
const MARGIN_MS: u64 = 1_000;

/// What is due first, and when: a delegation's end or next attempt, or a timer of a script.
pub(super) fn next(
    workflows: &BTreeMap<WorkflowId, Seen>,
    started_ms: TimeMs,
) -> Option<(TimeMs, WorkflowId, CallId)> {
    let live = workflows.iter().filter(|(_, seen)| seen.finish.is_none());
    let all = live.flat_map(|(workflow, seen)| {
        let begun_ms = started_ms.max(seen.begun_ms);
        let sleeps = seen.sleeps.iter();
        let sleeps = sleeps.map(move |(call, due)| (begun_ms.max(*due), *call));
        let delegations = seen
            .delegations
            .iter()
            .filter_map(move |(call, delegation)| Some((due(seen, delegation, begun_ms)?, *call)));
        sleeps
            .chain(delegations)
            .map(|(due, call)| (due, *workflow, call))
    });
    all.min()
}

/// When a delegation is over at the latest, or given to another machine. Those that wait in a paused workflow
/// may wait.
fn due(seen: &Seen, delegation: &Delegation, begun_ms: TimeMs) -> Option<TimeMs> {
    let spec = &delegation.spec;
    if delegation.over {
        return None;
    }
    let open = delegation.open.keys();
    let deadlines = open.map(|attempt| delegation.attempts[attempt].deadline_ms);
    if let Some(deadline_ms) = deadlines.max() {
        return Some(deadline_ms);
    }
    if seen.paused {
        return None;
    }
    let checking = delegation.missing() == 0 || delegation.lost;
    let within_ms = match checking {
        true => {
            let once_ms = spec.queue_timeout_ms + spec.timeout_ms;
            once_ms * u64::from(CHECK_ATTEMPTS) + MARGIN_MS
        }
        false => spec.queue_timeout_ms,
    };
    let since_ms = match checking {
        true => delegation.told_ms,
        false => delegation.queued_ms,
    };
    Some(since_ms.max(begun_ms) + within_ms)
}

/// Whether it should have happened by now.
pub(super) fn is_late(due_ms: TimeMs, now: TimeMs) -> bool {
    due_ms + GRACE_MS < now
}
