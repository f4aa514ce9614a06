//! One workflow, as its records tell it.
//!
//! [`Workflow::apply`] is the only way in which a workflow changes: the engine applies a record when it
//! decides it, recovery applies the same records when it reads them, so both hold the same state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use froben_journal::{
    Body, CallOp, Called, End, Failure, Finish, Parent, Record, RevisionHash, Seq, Status,
};
use froben_model::view::{
    DelegationState, DelegationView, Stage, WorkflowDetail, WorkflowState, WorkflowSummary,
};
use froben_model::{
    CallId, ErrorClass, ItemError, MachineId, SeekerId, TaskSpec, TimeMs, Value, WorkflowId,
};
use froben_script::{Completion, Event};

/// Phases that a script may name; more are not shown.
const STAGES: usize = 64;
/// How much of its inputs a summary shows.
const INPUT_CHARS: usize = 200;

pub(crate) struct Workflow {
    pub(crate) id: WorkflowId,
    pub(crate) seeker: SeekerId,
    pub(crate) idempotency_key: String,
    pub(crate) pipeline: String,
    pub(crate) revision: RevisionHash,
    pub(crate) input: Value,
    pub(crate) seed: u64,
    pub(crate) parent: Option<Parent>,
    pub(crate) submitted_ms: TimeMs,
    /// Where its next record goes.
    pub(crate) next_seq: Seq,
    pub(crate) delegations: BTreeMap<CallId, Delegation>,
    /// Workflows that it runs and that are not over.
    children: BTreeMap<CallId, ChildSpec>,
    /// Timers of the script that have not rung, and when they do.
    pub(crate) sleeps: BTreeMap<CallId, TimeMs>,
    /// What has happened that the script has not been fed yet, in journal order.
    pub(crate) inbox: VecDeque<Completion>,
    /// The script host has it and will report.
    pub(crate) script_runs: bool,
    pub(crate) log_lines: usize,
    pub(crate) cancel_requested: bool,
    stages: Vec<Stage>,
    finish: Option<(TimeMs, Finish)>,
}

/// What a child is to run. Its input is left out once it has begun, and has it in its own journal.
#[derive(Clone)]
pub(crate) struct ChildSpec {
    pub(crate) pipeline: String,
    pub(crate) input: Value,
}

pub(crate) struct Delegation {
    pub(crate) spec: Arc<TaskSpec>,
    pub(crate) state: DelegationState,
    pub(crate) attempt: u32,
    /// Whether each item has a value; `None` until it has come.
    pub(crate) items: Vec<Option<bool>>,
    pub(crate) queued_ms: TimeMs,
    pub(crate) machine: Option<MachineId>,
    device: Option<String>,
    assigned_ms: Option<TimeMs>,
    ended_ms: Option<TimeMs>,
    error: Option<ItemError>,
}

/// A record that cannot follow what came before it: the journal, or we, are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} of {workflow} does not fit: {why}")]
pub struct Misfit {
    pub workflow: WorkflowId,
    pub seq: Seq,
    pub why: String,
}

impl Workflow {
    /// Begins with the first record, which must be [`Body::Submitted`].
    pub(crate) fn begin(id: WorkflowId, record: &Record) -> Result<Self, Misfit> {
        let Body::Submitted(submitted) = &record.body else {
            let why = "a workflow begins with `submitted`".to_string();
            return Err(Misfit {
                workflow: id,
                seq: 0,
                why,
            });
        };
        let froben_journal::Submitted {
            pipeline,
            revision,
            seeker,
            idempotency_key,
            input,
            seed,
            parent,
        } = submitted.clone();
        Ok(Workflow {
            id,
            seeker,
            idempotency_key,
            pipeline,
            revision,
            input,
            seed,
            parent,
            submitted_ms: record.time_ms,
            next_seq: 1,
            delegations: BTreeMap::new(),
            children: BTreeMap::new(),
            sleeps: BTreeMap::new(),
            inbox: VecDeque::new(),
            script_runs: false,
            log_lines: 0,
            cancel_requested: false,
            stages: Vec::new(),
            finish: None,
        })
    }

    /// Rebuilds a workflow from all its records.
    pub(crate) fn replay(id: WorkflowId, records: &[(Seq, Record)]) -> Result<Self, Misfit> {
        let Some(((_, first), rest)) = records.split_first() else {
            let why = "it has no records".to_string();
            return Err(Misfit {
                workflow: id,
                seq: 0,
                why,
            });
        };
        let mut workflow = Workflow::begin(id, first)?;
        for (_, record) in rest {
            workflow.apply(record)?;
        }
        Ok(workflow)
    }

    pub(crate) fn state(&self) -> WorkflowState {
        match &self.finish {
            None => WorkflowState::Running,
            Some((_, Finish::Output(_))) => WorkflowState::Succeeded,
            Some((_, Finish::Failed(_))) => WorkflowState::Failed,
            Some((_, Finish::Cancelled)) => WorkflowState::Cancelled,
        }
    }

    /// Delegations that are not over, in call order.
    pub(crate) fn open_delegations(&self) -> Vec<CallId> {
        let open = self.delegations.iter().filter(|(_, d)| !d.state.ended());
        open.map(|(call, _)| *call).collect()
    }

    /// Calls of children that are not over, in call order.
    pub(crate) fn open_children(&self) -> impl Iterator<Item = CallId> {
        self.children.keys().copied()
    }

    pub(crate) fn has_open_child(&self, call: CallId) -> bool {
        self.children.contains_key(&call)
    }

    /// What the child of `call` is to run, if it is not over.
    pub(crate) fn begin_child(&mut self, call: CallId) -> Option<ChildSpec> {
        let spec = self.children.get_mut(&call)?;
        let input = std::mem::replace(&mut spec.input, Value::Nil);
        let pipeline = spec.pipeline.clone();
        Some(ChildSpec { pipeline, input })
    }

    /// Takes the next record.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        let now = record.time_ms;
        let fits = match &record.body {
            Body::Submitted(_) => Err("a workflow begins once".to_string()),
            Body::Called(called) => self.called(now, called),
            Body::Assigned(assigned) => self.delegation(assigned.call).map(|d| {
                d.state = DelegationState::Assigned;
                d.attempt = assigned.attempt;
                d.machine = Some(assigned.machine.clone());
                d.assigned_ms = Some(now);
            }),
            Body::Started { call, attempt: _ } => self
                .delegation(*call)
                .map(|d| d.state = DelegationState::Running),
            Body::Item(item) => self.item(now, item),
            Body::Requeued {
                call,
                attempt: _,
                reason: _,
                fault: _,
            } => self
                .delegation(*call)
                .map(|d| d.state = DelegationState::Queued),
            Body::Ended(ended) => self.ended(now, ended),
            Body::Slept { call } => {
                self.sleeps.remove(call);
                self.happened(now, *call, Event::Slept);
                Ok(())
            }
            Body::ChildEnded { call, finish } => match self.children.remove(call) {
                Some(_) => {
                    let outcome = child_outcome(finish.clone());
                    self.happened(now, *call, Event::ChildEnded { outcome });
                    Ok(())
                }
                None => Err(format!("there is no child {call}")),
            },
            Body::CancelRequested => {
                self.cancel_requested = true;
                Ok(())
            }
            Body::Finished(finish) => {
                self.finished(now, finish.clone());
                Ok(())
            }
            Body::Logged { source: _, text: _ } => {
                self.log_lines += 1;
                Ok(())
            }
        };
        let seq = self.next_seq;
        self.next_seq += 1;
        fits.map_err(|why| Misfit {
            workflow: self.id,
            seq,
            why,
        })
    }

    fn delegation(&mut self, call: CallId) -> Result<&mut Delegation, String> {
        match self.delegations.get_mut(&call) {
            Some(delegation) if !delegation.state.ended() => Ok(delegation),
            Some(_) => Err(format!("delegation {call} is over")),
            None => Err(format!("there is no delegation {call}")),
        }
    }

    fn called(&mut self, now: TimeMs, called: &Called) -> Result<(), String> {
        let Called { call, line: _, op } = called;
        match op {
            CallOp::Delegate(spec) => {
                let delegation = Delegation {
                    items: vec![None; spec.items.len()],
                    spec: Arc::new(spec.clone()),
                    state: DelegationState::Queued,
                    attempt: 0,
                    queued_ms: now,
                    machine: None,
                    device: None,
                    assigned_ms: None,
                    ended_ms: None,
                    error: None,
                };
                match self.delegations.insert(*call, delegation) {
                    None => Ok(()),
                    Some(_) => Err(format!("call {call} is there twice")),
                }
            }
            CallOp::Sleep { ms } => {
                self.sleeps.insert(*call, now.saturating_add(*ms));
                Ok(())
            }
            CallOp::Status(status) => {
                self.status(now, status);
                Ok(())
            }
            CallOp::Log { text: _ } => {
                self.log_lines += 1;
                Ok(())
            }
            CallOp::Run {
                pipeline,
                input,
                key: _,
            } => {
                let (pipeline, input) = (pipeline.clone(), input.clone());
                match self.children.insert(*call, ChildSpec { pipeline, input }) {
                    None => Ok(()),
                    Some(_) => Err(format!("call {call} is there twice")),
                }
            }
            CallOp::Cancel { target: _ } => Ok(()),
        }
    }

    /// Keeps what came of a call for the script.
    fn happened(&mut self, at_ms: TimeMs, call: CallId, event: Event) {
        self.inbox.push_back(Completion { call, event, at_ms });
    }

    fn status(&mut self, now: TimeMs, status: &Status) {
        let Status { phase, done, total } = status.clone();
        let ended_ms = (total > 0 && done >= total).then_some(now);
        if let Some(stage) = self.stages.iter_mut().find(|stage| stage.phase == phase) {
            (stage.done, stage.total, stage.ended_ms) = (done, total, ended_ms);
        } else if self.stages.len() < STAGES {
            let started_ms = now;
            self.stages.push(Stage {
                phase,
                done,
                total,
                started_ms,
                ended_ms,
            });
        }
    }

    fn item(&mut self, now: TimeMs, item: &froben_journal::Item) -> Result<(), String> {
        let froben_journal::Item {
            call,
            attempt: _,
            index,
            outcome,
            device,
        } = item;
        let delegation = self.delegation(*call)?;
        match delegation.items.get_mut(*index as usize) {
            Some(slot @ None) => *slot = Some(outcome.is_ok()),
            Some(Some(_)) => return Err(format!("item {index} of {call} is there twice")),
            None => return Err(format!("delegation {call} has no item {index}")),
        }
        if let Err(error) = outcome {
            delegation.error.get_or_insert_with(|| error.clone());
        }
        if device.is_some() {
            delegation.device.clone_from(device);
        }
        let event = Event::Item {
            index: *index,
            outcome: outcome.clone(),
            operator: delegation.machine.as_ref().map(MachineId::operator),
        };
        self.happened(now, *call, event);
        Ok(())
    }

    fn ended(&mut self, now: TimeMs, ended: &froben_journal::Ended) -> Result<(), String> {
        let froben_journal::Ended {
            call,
            attempt: _,
            end,
            failure,
        } = ended;
        let delegation = self.delegation(*call)?;
        delegation.state = match end {
            End::Succeeded => DelegationState::Succeeded,
            End::Failed => DelegationState::Failed,
            End::TimedOut => DelegationState::TimedOut,
            End::Cancelled => DelegationState::Cancelled,
        };
        delegation.ended_ms = Some(now);
        if let Some(failure) = failure {
            delegation.error.get_or_insert_with(|| failure.clone());
        }
        // Its inputs have done their duty; a workflow of thousands of delegations need not hold them.
        let spec = Arc::make_mut(&mut delegation.spec);
        (spec.input, spec.items) = (Value::Nil, Vec::new());
        let items = (0u32..).zip(&mut delegation.items);
        let missing: Vec<u32> = items
            .filter_map(|(index, item)| {
                item.replace(item.unwrap_or(false))
                    .is_none()
                    .then_some(index)
            })
            .collect();
        let failure = failure.clone().unwrap_or_else(|| ItemError {
            class: ErrorClass::WorkerFailed,
            message: "the delegation ended without this item".to_string(),
            operator: None,
        });
        for index in missing {
            let event = Event::Item {
                index,
                outcome: Err(failure.clone()),
                operator: failure.operator.clone(),
            };
            self.happened(now, *call, event);
        }
        self.happened(now, *call, Event::Ended);
        Ok(())
    }

    fn finished(&mut self, now: TimeMs, finish: Finish) {
        for stage in &mut self.stages {
            stage.ended_ms.get_or_insert(now);
        }
        self.sleeps.clear();
        self.children.clear();
        self.inbox.clear();
        self.finish = Some((now, finish));
    }

    pub(crate) fn summary(&self) -> WorkflowSummary {
        let (ended_ms, failure, output) = match &self.finish {
            None => (None, None, Value::Nil),
            Some((at, Finish::Output(output))) => (Some(*at), None, output.clone()),
            Some((at, Finish::Failed(failure))) => (Some(*at), Some(failure.clone()), Value::Nil),
            Some((at, Finish::Cancelled)) => (Some(*at), None, Value::Nil),
        };
        WorkflowSummary {
            id: self.id,
            pipeline: self.pipeline.clone(),
            inputs: self.input.brief(INPUT_CHARS),
            parent: self.parent.map(|parent| parent.workflow),
            revision: self.revision.to_string(),
            state: self.state(),
            submitted_ms: self.submitted_ms,
            ended_ms,
            failure,
            output,
        }
    }

    /// The whole of it, but for why delegations wait, which only the scheduler knows.
    pub(crate) fn detail(&self) -> WorkflowDetail {
        WorkflowDetail {
            summary: self.summary(),
            stages: self.stages.clone(),
            delegations: self
                .delegations
                .iter()
                .map(|(call, d)| d.view(*call))
                .collect(),
            waiting: Vec::new(),
        }
    }
}

/// How a child ended, in the script's words.
fn child_outcome(finish: Finish) -> Result<Value, Failure> {
    match finish {
        Finish::Output(output) => Ok(output),
        Finish::Failed(failure) => Err(failure),
        Finish::Cancelled => Err(Failure {
            code: "FRB-WFL-010".to_string(),
            message: "the child was cancelled".to_string(),
        }),
    }
}

impl Delegation {
    fn view(&self, call: CallId) -> DelegationView {
        let count = |wanted| {
            self.items
                .iter()
                .filter(|item| **item == Some(wanted))
                .count() as u32
        };
        DelegationView {
            call,
            key: self.spec.key.clone(),
            kind: self.spec.kind.clone(),
            state: self.state,
            attempt: self.attempt,
            machine: self.machine.clone(),
            device: self.device.clone(),
            items_total: self.items.len() as u32,
            items_ok: count(true),
            items_failed: count(false),
            queued_ms: self.queued_ms,
            assigned_ms: self.assigned_ms,
            ended_ms: self.ended_ms,
            error: self.error.clone(),
        }
    }
}
