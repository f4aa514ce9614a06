//! I7: what the coordinator shows is what its journal says.
//!
//! A second coordinator is made of what is on the disk, as after a crash, and both are asked the same.

use froben_engine::effect::{Answer, Effect, Found};
use froben_engine::engine::Engine;
use froben_engine::input::{Input, Ticket};
use froben_model::view::{DelegationState, WorkflowDetail};
use froben_model::{SeekerId, TimeMs, WorkflowId};

/// Compares what both show of each workflow.
///
/// *Errors*: the first that they do not agree on.
pub(crate) fn compare<'a>(
    live: &mut Engine,
    recovered: &mut Engine,
    now: TimeMs,
    workflows: impl Iterator<Item = (SeekerId, &'a WorkflowId)>,
) -> Result<(), String> {
    for (seeker, workflow) in workflows {
        let shown = show(live, now, &seeker, *workflow);
        let told = show(recovered, now, &seeker, *workflow);
        if shown != told {
            return Err(format!(
                "I7: {workflow} is shown as {shown:?}, its journal says {told:?}"
            ));
        }
    }
    Ok(())
}

/// What is the same before and after a crash: an attempt that runs is waiting again then. `None` for a
/// workflow that is over, of which only the journal tells.
fn show(
    engine: &mut Engine,
    now: TimeMs,
    seeker: &SeekerId,
    workflow: WorkflowId,
) -> Option<WorkflowDetail> {
    let step = engine.handle(
        now,
        Input::Status {
            ticket: Ticket(0),
            seeker: seeker.clone(),
            workflow,
        },
    );
    let found = step.effects.into_iter().find_map(|effect| match effect {
        Effect::Reply {
            ticket: _,
            answer: Answer::Detail(Found::Live(detail)),
        } => Some(*detail),
        _ => None,
    });
    found.map(|mut detail| {
        detail.waiting.clear();
        for delegation in &mut detail.delegations {
            if !delegation.state.ended() {
                delegation.state = DelegationState::Queued;
            }
        }
        detail
    })
}
