//! After a restart: the journal's workflows go on.
//!
//! Every machine's session ended with the old process, so an attempt that was in flight is over; the
//! platform, not the operator, is at fault, so its delegation is queued again at once with the items
//! that had come kept, and the script never learns of it. Scripts are rebuilt by replay.

use std::sync::Arc;

use froben_journal::{Body, Called, End, Finish, Record, ScriptSet, Seq};
use froben_model::view::{DelegationState, Failure};
use froben_model::{ErrorClass, MachineId, TimeMs, WorkflowId};

use crate::effect::{Effect, Launch, ScriptCommand};
use crate::engine::{Engine, Step};
use crate::workflow::{Misfit, Workflow};

impl Engine {
    /// Takes a workflow out of the journal. `scripts` is the revision that it keeps.
    pub fn recover(
        &mut self,
        now: TimeMs,
        id: WorkflowId,
        records: &[(Seq, Record)],
        scripts: Option<Arc<ScriptSet>>,
    ) -> Result<Step, Misfit> {
        self.now = self.now.max(now);
        let mut workflow = Workflow::replay(id, records)?;
        self.remember_outcomes(records);
        if !workflow.idempotency_key.is_empty() {
            let key = (workflow.seeker.clone(), workflow.idempotency_key.clone());
            self.by_key.insert(key, id);
        }
        if workflow.state().ended() {
            let summary = workflow.summary();
            self.ended.insert(id, (workflow.seeker, summary));
            return Ok(Step::default());
        }
        let completions = workflow.inbox.drain(..).collect();
        workflow.script_runs = true;
        let open = workflow.open_delegations();
        let sleeps = workflow.sleeps.iter().map(|(call, due)| (*due, id, *call));
        self.sleeps.extend(sleeps);
        let launch = scripts.map(|scripts| Launch {
            workflow: id,
            scripts,
            pipeline: workflow.pipeline.clone(),
            input: workflow.input.clone(),
            seed: workflow.seed,
        });
        let cancel_requested = workflow.cancel_requested;
        self.live.insert(id, workflow);
        for call in open {
            let delegation = self.live.get(&id).and_then(|w| w.delegations.get(&call));
            let Some((state, attempt)) = delegation.map(|d| (d.state, d.attempt)) else {
                continue;
            };
            if state != DelegationState::Queued {
                let reason = "the coordinator was restarted".to_string();
                self.record(id, Body::Requeued { call, attempt, reason });
            }
            self.enqueue(id, call);
        }
        match launch {
            _ if cancel_requested => self.end_workflow(id, Finish::Cancelled),
            Some(launch) => {
                let calls = calls_of(records);
                let command = ScriptCommand::Replay { launch, calls, completions };
                self.step.effects.push(Effect::Script(command));
            }
            None => {
                let code = "FRB-LUA-009".to_string();
                let message = "the scripts of its revision are gone from the store".to_string();
                self.end_workflow(id, Finish::Failed(Failure { code, message }));
            }
        }
        Ok(std::mem::take(&mut self.step))
    }

    /// Rebuilds the reputation that these records tell of.
    fn remember_outcomes(&mut self, records: &[(Seq, Record)]) {
        let mut kinds = std::collections::BTreeMap::new();
        let mut holders: std::collections::BTreeMap<_, MachineId> = Default::default();
        for (_, Record { time_ms, body }) in records {
            let (call, ok) = match body {
                Body::Called(Called { call, line: _, op: froben_journal::CallOp::Delegate(spec) }) => {
                    kinds.insert(*call, spec.kind.clone());
                    continue;
                }
                Body::Assigned(assigned) => {
                    holders.insert(assigned.call, assigned.machine.clone());
                    continue;
                }
                Body::Item(item) => match &item.outcome {
                    Ok(_) => (item.call, true),
                    Err(error) if error.class.blames_operator() => (item.call, false),
                    Err(_) => continue,
                },
                Body::Ended(ended) => match (&ended.end, &ended.failure) {
                    (End::TimedOut, _) => (ended.call, false),
                    (End::Failed, Some(failure)) if blamed(failure.class) => (ended.call, false),
                    _ => continue,
                },
                _ => continue,
            };
            if let (Some(kind), Some(machine)) = (kinds.get(&call), holders.get(&call)) {
                let input = froben_scheduler::Input::RecordOutcome {
                    machine: machine.clone(),
                    kind: kind.clone(),
                    ok,
                    at: *time_ms,
                };
                self.scheduler.handle(self.now, input);
            }
        }
    }
}

fn blamed(class: ErrorClass) -> bool {
    class.blames_operator()
}

fn calls_of(records: &[(Seq, Record)]) -> Vec<Called> {
    let calls = records.iter().filter_map(|(_, record)| match &record.body {
        Body::Called(called) => Some(called.clone()),
        _ => None,
    });
    calls.collect()
}
