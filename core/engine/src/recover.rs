//! After a restart: the journal's workflows go on.
//!
//! Every machine's session ended with the old process, so an attempt that was in flight is over; the
//! platform, not the operator, is at fault, so its delegation is queued again at once with the items
//! that had come kept, and the script never learns of it. Scripts are rebuilt by replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use froben_journal::{Body, CallOp, Called, Finish, Record, Seq};
use froben_model::view::DelegationState;
use froben_model::{CallId, Kind, MachineId, TimeMs, WorkflowId};
use froben_script::Revision;

use crate::effect::{Effect, Launch, ScriptCommand};
use crate::engine::{Engine, Step, refusal};
use crate::workflow::{Misfit, Workflow};

impl Engine {
    /// Takes a workflow out of the journal. `revision` is the one that it keeps, or why there is none.
    pub fn recover(
        &mut self,
        now: TimeMs,
        id: WorkflowId,
        records: &[(Seq, Record)],
        revision: Result<Arc<Revision>, String>,
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
        if let Ok(revision) = &revision {
            let known = self.revisions.entry(workflow.revision);
            known.or_insert_with(|| revision.clone());
        }
        self.children
            .began(&workflow.seeker, workflow.parent.as_ref());
        let completions = workflow.inbox.drain(..).collect();
        workflow.script_runs = true;
        let open = workflow.open_delegations();
        let sleeps = workflow.sleeps.iter().map(|(call, due)| (*due, id, *call));
        self.sleeps.extend(sleeps);
        let launch = revision.map(|revision| Launch {
            workflow: id,
            revision,
            pipeline: workflow.pipeline.clone(),
            input: workflow.input.clone(),
            seed: workflow.seed,
            started_ms: workflow.submitted_ms,
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
                let fault = false;
                self.record(
                    id,
                    Body::Requeued {
                        call,
                        attempt,
                        reason,
                        fault,
                    },
                );
            }
            self.enqueue(id, call);
        }
        match launch {
            _ if cancel_requested => self.end_workflow(id, Finish::Cancelled),
            Ok(launch) => {
                let calls = calls_of(records);
                let command = ScriptCommand::Replay {
                    launch,
                    calls,
                    completions,
                };
                self.step.effects.push(Effect::Script(command));
            }
            Err(why) => self.end_workflow(id, Finish::Failed(refusal("FRB-WFL-002", why))),
        }
        Ok(std::mem::take(&mut self.step))
    }

    /// Shows a workflow whose journal can't be followed as failed, and keeps its key taken.
    pub fn set_aside(&mut self, id: WorkflowId, first: &Record, why: &str) {
        let Ok(mut workflow) = Workflow::begin(id, first) else {
            return;
        };
        if !workflow.idempotency_key.is_empty() {
            let key = (workflow.seeker.clone(), workflow.idempotency_key.clone());
            self.by_key.insert(key, id);
        }
        let failed = Finish::Failed(refusal("FRB-WFL-003", why));
        let record = Record {
            time_ms: first.time_ms,
            body: Body::Finished(failed),
        };
        // A workflow takes its end at any time.
        let _ = workflow.apply(&record);
        let summary = workflow.summary();
        self.ended.insert(id, (workflow.seeker, summary));
    }

    /// Rebuilds the reputation that these records tell of.
    fn remember_outcomes(&mut self, records: &[(Seq, Record)]) {
        let mut known: BTreeMap<CallId, Held> = BTreeMap::new();
        for (_, Record { time_ms, body }) in records {
            match body {
                Body::Called(Called {
                    call,
                    line: _,
                    op: CallOp::Delegate(spec),
                }) => {
                    let (kind, missing) = (spec.kind.clone(), spec.items.len() as u32);
                    known.insert(
                        *call,
                        Held {
                            kind,
                            missing,
                            machine: None,
                        },
                    );
                }
                Body::Assigned(assigned) => {
                    if let Some(held) = known.get_mut(&assigned.call) {
                        held.machine = Some(assigned.machine.clone());
                    }
                }
                Body::Item(item) => {
                    let Some(held) = known.get_mut(&item.call) else {
                        continue;
                    };
                    held.missing = held.missing.saturating_sub(1);
                    match &item.outcome {
                        Ok(_) => self.remember(held, true, 1, *time_ms),
                        Err(error) if error.class.blames_operator() => {
                            self.remember(held, false, 1, *time_ms);
                        }
                        Err(_) => {}
                    }
                }
                Body::Requeued {
                    call,
                    attempt: _,
                    reason: _,
                    fault: true,
                } => {
                    if let Some(held) = known.get(call) {
                        self.remember(held, false, 1, *time_ms);
                    }
                }
                Body::Ended(ended) => {
                    let Some(held) = known.remove(&ended.call) else {
                        continue;
                    };
                    let failure = ended.failure.as_ref();
                    if failure.is_some_and(|failure| failure.class.blames_operator()) {
                        self.remember(&held, false, held.missing, *time_ms);
                    }
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, held: &Held, ok: bool, items: u32, at: TimeMs) {
        let Some(machine) = held.machine.clone() else {
            return;
        };
        let kind = held.kind.clone();
        let outcome = froben_scheduler::Input::RecordOutcome {
            machine,
            kind,
            ok,
            items,
            at,
        };
        self.scheduler.handle(self.now, outcome);
    }
}

/// What reputation needs to know of a delegation.
struct Held {
    kind: Kind,
    missing: u32,
    /// Who has it, or had it last.
    machine: Option<MachineId>,
}

fn calls_of(records: &[(Seq, Record)]) -> Vec<Called> {
    let calls = records.iter().filter_map(|(_, record)| match &record.body {
        Body::Called(called) => Some(called.clone()),
        _ => None,
    });
    calls.collect()
}
