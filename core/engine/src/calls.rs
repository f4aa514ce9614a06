//! A script ran: its calls become records, its end becomes the workflow's.

use froben_journal::{Body, CallOp, Called, Finish, Status};
use froben_model::view::Failure;
use froben_model::{CallId, WorkflowId, limits};
use froben_scheduler::planted::{Bug, planted};
use froben_scheduler::{ClaimedItem, DelegationKey, Past, Task, Trust};
use froben_script::{Call, Progress, State};

use crate::engine::Engine;

impl Engine {
    pub(crate) fn script_ran(&mut self, id: WorkflowId, progress: Progress) {
        let Some(workflow) = self.live.get(&id) else {
            // It ended, say by a cancel, while the script ran.
            return;
        };
        let fed = workflow.fed();
        let Progress { calls, state } = progress;
        for call in calls {
            self.called(id, journal_call(call, fed));
        }
        if let Some(workflow) = self.live.get_mut(&id) {
            workflow.script_runs = false;
        }
        match state {
            State::Blocked => self.wake(id),
            State::Returned(output) => self.end_workflow(id, Finish::Output(output)),
            State::Failed(failure) => {
                let froben_script::Failure { code, message } = failure;
                let (code, message) = (code.to_string(), limits::one_line(&message));
                self.end_workflow(id, Finish::Failed(Failure { code, message }));
            }
        }
    }

    /// The script could not be brought back: its revision or its journal can't be read.
    pub(crate) fn script_lost(&mut self, id: WorkflowId, failure: Failure) {
        if let Some(workflow) = self.live.get_mut(&id) {
            workflow.script_runs = false;
            self.end_workflow(id, Finish::Failed(failure));
        }
    }

    fn called(&mut self, id: WorkflowId, called: Called) {
        let Called {
            call,
            line: _,
            op,
            fed: _,
        } = called.clone();
        self.record(id, Body::Called(called));
        match op {
            CallOp::Delegate(_) => self.enqueue(id, call),
            CallOp::Sleep { ms: _ } => {
                let due = self.live.get(&id).and_then(|w| w.sleeps.get(&call));
                self.sleeps.extend(due.map(|due| (*due, id, call)));
            }
            CallOp::Run { .. } => self.run_child(id, call),
            CallOp::Cancel { target: _ } if planted(Bug::LoseCancel) => {}
            CallOp::Cancel { target } => {
                // Whichever of the two it is not knows nothing of it.
                self.cancel_child(id, target);
                let key = DelegationKey {
                    workflow: id,
                    call: target,
                };
                self.schedule(froben_scheduler::Input::Cancel { key });
            }
            CallOp::Status(_) | CallOp::Log { text: _ } => {}
        }
    }

    /// Hands a delegation to the scheduler, as its records tell it.
    pub(crate) fn enqueue(&mut self, id: WorkflowId, call: CallId) {
        if let Some(input) = self.queued(id, call) {
            self.schedule(input);
        }
    }

    pub(crate) fn queued(&self, id: WorkflowId, call: CallId) -> Option<froben_scheduler::Input> {
        let workflow = self.live.get(&id)?;
        let delegation = workflow.delegations.get(&call)?;
        let done = (0u32..)
            .zip(&delegation.items)
            .filter_map(|(index, item)| item.map(|ok| (index, ok)))
            .skip(usize::from(planted(Bug::ForgetItems)))
            .collect();
        let claims = delegation.claims.iter().filter_map(|(index, claim)| {
            let attempt = claim.item.attempt;
            let claimed = ClaimedItem {
                attempt,
                machine: delegation.assignees.get(&attempt)?.machine.clone(),
                price: claim.price,
                took_ms: claim.took_ms,
            };
            Some((*index, claimed))
        });
        let claims = claims.filter(|_| !planted(Bug::ForgetClaims)).collect();
        let mut task = Task::from(delegation.spec.as_ref());
        if call.checked().is_some() {
            task.trust = Trust::Trusted;
        }
        Some(froben_scheduler::Input::Queue {
            key: DelegationKey { workflow: id, call },
            seeker: workflow.seeker.clone(),
            task,
            // After a restart it begins to wait anew: machines need a moment to come back.
            queued_ms: self.now,
            past: Past {
                attempts: delegation.attempt,
                done,
                claims,
                lost: delegation.lost.clone(),
            },
            purse: self.purse_of(id),
            urgency: self.urgency(id, &delegation.spec.kind),
        })
    }
}

fn journal_call(call: Call, fed: u64) -> Called {
    let Call { id, line, op } = call;
    let op = match op {
        froben_script::CallOp::Delegate(spec) => CallOp::Delegate(*spec),
        froben_script::CallOp::Sleep { ms } => CallOp::Sleep { ms },
        froben_script::CallOp::Status { phase, done, total } => {
            CallOp::Status(Status { phase, done, total })
        }
        froben_script::CallOp::Log { text } => CallOp::Log { text },
        froben_script::CallOp::Run {
            pipeline,
            input,
            key,
        } => CallOp::Run {
            pipeline,
            input,
            key,
        },
        froben_script::CallOp::Cancel { target } => CallOp::Cancel { target },
    };
    Called {
        call: id,
        line,
        op,
        fed,
    }
}

/// The same call in the script crate's words, as a replay compares it.
pub(crate) fn script_call(called: Called) -> Call {
    let Called {
        call,
        line,
        op,
        fed: _,
    } = called;
    let op = match op {
        CallOp::Delegate(spec) => froben_script::CallOp::Delegate(Box::new(spec)),
        CallOp::Sleep { ms } => froben_script::CallOp::Sleep { ms },
        CallOp::Status(Status { phase, done, total }) => {
            froben_script::CallOp::Status { phase, done, total }
        }
        CallOp::Log { text } => froben_script::CallOp::Log { text },
        CallOp::Run {
            pipeline,
            input,
            key,
        } => froben_script::CallOp::Run {
            pipeline,
            input,
            key,
        },
        CallOp::Cancel { target } => froben_script::CallOp::Cancel { target },
    };
    Call { id: call, line, op }
}
