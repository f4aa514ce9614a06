//! Why a delegation is where it is, machine by machine, in words for a person.

use froben_model::view::{Failure, MachineReason, WhyView};
use froben_model::{CallId, SeekerId, WorkflowId};
use froben_scheduler::DelegationKey;

use crate::engine::{Engine, refusal};
use crate::workflow::Workflow;

impl Engine {
    /// `None`: the seeker has no such workflow.
    pub(crate) fn why(
        &self,
        seeker: &SeekerId,
        id: WorkflowId,
        which: &str,
    ) -> Option<Result<WhyView, Failure>> {
        self.state_of(seeker, id)?;
        let Some(workflow) = self.live.get(&id) else {
            let why = "the workflow is over: `froben trail` tells what became of its delegations";
            return Some(Err(refusal("FRB-WFL-004", why)));
        };
        Some(match find(workflow, which) {
            Some(call) => Ok(self.why_of(workflow, call)),
            None => {
                let which: String = which.chars().take(80).collect();
                let why = format!(
                    "no delegation is called `{which}`: `froben status {id}` shows their keys"
                );
                Err(refusal("FRB-WFL-004", why))
            }
        })
    }

    fn why_of(&self, workflow: &Workflow, call: CallId) -> WhyView {
        let delegation = &workflow.delegations[&call];
        let key = DelegationKey {
            workflow: workflow.id,
            call,
        };
        let reasons = self.scheduler.why(key).into_iter();
        let machines = reasons.map(|(machine, reason)| MachineReason {
            machine,
            reason: reason.to_string(),
            lasts: reason.lasts(),
        });
        let waits = match workflow.paused {
            true => Some("its workflow is paused".to_owned()),
            false => self.scheduler.waiting_for(key),
        };
        WhyView {
            call,
            key: delegation.spec.key.clone(),
            kind: delegation.spec.kind.clone(),
            state: delegation.state,
            waits: waits.filter(|_| !delegation.state.ended()),
            machines: machines.collect(),
        }
    }
}

/// The delegation of a key, the newest of several, or of a call's number.
fn find(workflow: &Workflow, which: &str) -> Option<CallId> {
    let mut newest = workflow.delegations.iter().rev();
    let keyed = newest.find(|(_, delegation)| delegation.spec.key == which);
    keyed.map(|(call, _)| *call).or_else(|| {
        let number = which.strip_prefix('#').unwrap_or(which).parse().ok()?;
        let call = CallId(number);
        workflow.delegations.contains_key(&call).then_some(call)
    })
}
