//! One workflow, as its records tell it.
//!
//! [`Workflow::apply`] is the only way in which a workflow changes: the engine applies a record when it
//! decides it, recovery applies the same records when it reads them, so both hold the same state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use froben_journal::{
    Assigned, Body, CallOp, Called, End, Finish, ForkedFrom, Parent, Record, RevisionHash, Seq,
    Status, Tally,
};
use froben_model::view::{
    DelegationState, DelegationView, Stage, WorkflowDetail, WorkflowState, WorkflowSummary,
};
use froben_model::{
    Amount, CallId, ItemError, Kind, MachineId, SeekerId, TaskSpec, TimeBucket, TimeMs, Value,
    WorkflowId,
};
use froben_scheduler::Laps;
use froben_scheduler::planted::{Bug, planted};
use froben_script::Completion;

use crate::checks;
use crate::history;

/// Phases that a script may name; more are not shown.
const STAGES: usize = 64;
/// How much of its inputs a summary shows.
const INPUT_CHARS: usize = 200;
/// Outcomes are counted together by so much time: short against the half-life of a reputation.
const TALLY_MS: u64 = 60 * 60 * 1000;
/// Tallies that a workflow leaves, the newest: far more than a reputation remembers.
const TALLIES: usize = 1024;

pub(crate) struct Workflow {
    pub(crate) id: WorkflowId,
    pub(crate) seeker: SeekerId,
    pub(crate) idempotency_key: String,
    pub(crate) pipeline: String,
    pub(crate) revision: RevisionHash,
    /// Whether it began with another revision.
    pub(crate) migrated: bool,
    /// What it was started with, for people.
    inputs: String,
    pub(crate) seed: u64,
    pub(crate) parent: Option<Parent>,
    pub(crate) forked_from: Option<ForkedFrom>,
    /// What it and its children may cost.
    pub(crate) budget: Option<Amount>,
    /// When its seeker would like to have it.
    pub(crate) wanted_by_ms: Option<TimeMs>,
    pub(crate) submitted_ms: TimeMs,
    /// Where its next record goes.
    pub(crate) next_seq: Seq,
    /// Boxed, since a map of few large entries takes the room of many.
    pub(crate) delegations: BTreeMap<CallId, Box<Delegation>>,
    /// Workflows that it runs and that are not over.
    children: BTreeMap<CallId, ChildSpec>,
    /// Timers of the script that have not rung, and when they do.
    pub(crate) sleeps: BTreeMap<CallId, TimeMs>,
    /// What has happened that the script has not been fed yet, in journal order.
    inbox: VecDeque<Completion>,
    /// The script is behind its journal and has to be rebuilt from it: nothing goes into the inbox.
    pub(crate) behind: bool,
    /// Completions in the journal.
    taken: u64,
    /// Calls in the journal.
    pub(crate) calls: u64,
    /// How many completions the script had been fed when it made its last call; `None` if it may owe
    /// calls whatever has come since.
    settled: Option<u64>,
    /// The script host has it and will report.
    pub(crate) script_runs: bool,
    pub(crate) paused: bool,
    pub(crate) log_lines: usize,
    pub(crate) cancel_requested: bool,
    /// By machine, kind and hour.
    tallies: BTreeMap<(MachineId, Kind, TimeMs), Tally>,
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
    /// Those that are not over.
    pub(crate) attempts: Vec<Attempt>,
    /// Who was given each attempt, until the delegation is over.
    pub(crate) assignees: BTreeMap<u32, Assignee>,
    /// Values that wait for their checks, by index.
    pub(crate) claims: BTreeMap<u32, Claim>,
    /// What the items that are missing end with, once its claims are settled: no attempt goes on.
    pub(crate) lost: Option<ItemError>,
}

/// An attempt that is not over.
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) assigned_ms: TimeMs,
    /// What it is paid for each item; nothing if a fork carries it over.
    pub(crate) price: Amount,
    laps: Laps,
}

/// Who was given an attempt, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignee {
    /// The start of the coordinator that its token is of.
    pub(crate) epoch: u64,
    pub(crate) machine: MachineId,
    /// Of each item; nothing if a fork carries it over.
    pub(crate) price: Amount,
}

/// A value that waits for its check.
pub(crate) struct Claim {
    pub(crate) item: froben_journal::Item,
    /// Held until it is settled.
    pub(crate) price: Amount,
    /// How long it took, if that is known.
    pub(crate) took_ms: Option<u64>,
}

/// What became of some items, as far as it counts for a machine.
#[derive(Clone, Copy)]
enum Count {
    /// An item with a value: how long it took if that is known, and whether a check approved it.
    Ok { took_ms: Option<u64>, checked: bool },
    /// So many by the operator's own fault.
    Failed(u32),
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
        // The input is the script's: whoever rebuilds it reads it from the journal.
        let froben_journal::Submitted {
            pipeline,
            revision,
            seeker,
            idempotency_key,
            input,
            seed,
            parent,
            forked_from,
            budget,
            wanted_by_ms,
        } = submitted;
        Ok(Workflow {
            id,
            seeker: seeker.clone(),
            idempotency_key: idempotency_key.clone(),
            pipeline: pipeline.clone(),
            revision: *revision,
            migrated: false,
            inputs: input.brief(INPUT_CHARS, froben_script::is_secret_name),
            seed: *seed,
            parent: *parent,
            forked_from: forked_from.clone(),
            budget: *budget,
            wanted_by_ms: *wanted_by_ms,
            submitted_ms: record.time_ms,
            next_seq: 1,
            delegations: BTreeMap::new(),
            children: BTreeMap::new(),
            sleeps: BTreeMap::new(),
            inbox: VecDeque::new(),
            behind: false,
            taken: 0,
            calls: 0,
            settled: None,
            script_runs: false,
            paused: false,
            log_lines: 0,
            cancel_requested: false,
            tallies: BTreeMap::new(),
            stages: Vec::new(),
            finish: None,
        })
    }

    /// Rebuilds a workflow from all its records. Its script is behind them.
    pub(crate) fn replay<'a>(
        id: WorkflowId,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, Misfit> {
        let mut records = records.into_iter();
        let Some(first) = records.next() else {
            let why = "it has no records".to_string();
            return Err(Misfit {
                workflow: id,
                seq: 0,
                why,
            });
        };
        let mut workflow = Workflow::begin(id, first)?;
        workflow.behind = true;
        for record in records {
            workflow.apply(record)?;
        }
        Ok(workflow)
    }

    pub(crate) fn state(&self) -> WorkflowState {
        match &self.finish {
            None if self.paused => WorkflowState::Paused,
            None => WorkflowState::Running,
            Some((_, Finish::Output(_))) => WorkflowState::Succeeded,
            Some((_, Finish::Failed(_))) => WorkflowState::Failed,
            Some((_, Finish::Cancelled)) => WorkflowState::Cancelled,
        }
    }

    /// Whether the script may do something though nothing further comes: it has not been fed all that
    /// came, or whether it has is not known.
    pub(crate) fn owes(&self) -> bool {
        self.settled != Some(self.taken)
    }

    /// Completions that the script has been fed.
    pub(crate) fn fed(&self) -> u64 {
        self.taken - self.inbox.len() as u64
    }

    /// Takes what the script has not been fed.
    pub(crate) fn take_inbox(&mut self) -> Vec<Completion> {
        let mut told = std::mem::take(&mut self.inbox);
        if planted(Bug::TellBackwards) {
            told.make_contiguous().reverse();
        }
        told.into()
    }

    pub(crate) fn has_news(&self) -> bool {
        self.behind || !self.inbox.is_empty()
    }

    /// Forgets what was to be fed: the script is rebuilt from the journal.
    pub(crate) fn fall_behind(&mut self) {
        self.inbox = VecDeque::new();
        self.behind = true;
    }

    /// What its machines did, the oldest first.
    pub(crate) fn tallies(&self) -> Vec<Tally> {
        let mut tallies: Vec<_> = self.tallies.values().cloned().collect();
        tallies.sort_by_key(|tally| tally.at_ms);
        tallies.split_off(tallies.len().saturating_sub(TALLIES))
    }

    /// Delegations that are not over, in call order.
    pub(crate) fn open_delegations(&self) -> Vec<CallId> {
        let open = self.delegations.iter().filter(|(_, d)| !d.state.ended());
        open.map(|(call, _)| *call).collect()
    }

    /// Checks of a delegation's items that are not over.
    pub(crate) fn open_checks(&self, call: CallId) -> impl Iterator<Item = CallId> {
        let last = froben_model::limits::ITEMS as u32;
        let checks = self.delegations.range(call.check(0)..call.check(last));
        checks.map(|(call, _)| *call)
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
            Body::Assigned(assigned) => self.assigned(now, assigned),
            Body::Started { call, attempt: _ } => self
                .delegation(*call)
                .map(|d| d.state = DelegationState::Running),
            Body::Item(item) => self.item(now, item),
            Body::Requeued {
                call,
                attempt,
                reason: _,
                fault,
            } => {
                let failed = u32::from(*fault);
                self.tally(now, *call, *attempt, Count::Failed(failed));
                self.delegation(*call).map(|d| {
                    d.state = DelegationState::Queued;
                    d.over(*attempt);
                })
            }
            Body::Ended(ended) => self.ended(now, ended),
            Body::Slept { call } => {
                self.sleeps.remove(call);
                self.tell(|| history::slept(now, *call));
                Ok(())
            }
            Body::ChildEnded { call, finish } => match self.children.remove(call) {
                Some(_) => {
                    self.tell(|| history::child_ended(now, *call, finish.clone()));
                    Ok(())
                }
                None => Err(format!("there is no child {call}")),
            },
            Body::Paused => {
                self.paused = true;
                Ok(())
            }
            Body::Resumed => {
                self.paused = false;
                Ok(())
            }
            Body::Migrated { revision } => {
                self.revision = *revision;
                self.migrated = true;
                self.settled = None;
                Ok(())
            }
            Body::Tallied(_) => Ok(()),
            Body::CancelRequested => {
                self.cancel_requested = true;
                Ok(())
            }
            Body::Finished(finish) => {
                self.finished(now, finish.clone());
                Ok(())
            }
            Body::Lost {
                call,
                attempt,
                failure,
            } => self.lost(now, *call, *attempt, failure),
            Body::Claimed(item) => self.claimed(now, item),
            Body::Logged {
                source: _,
                text: _,
                of: _,
            } => {
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

    fn tell(&mut self, completion: impl FnOnce() -> Completion) {
        self.taken += 1;
        if !self.behind {
            self.inbox.push_back(completion());
        }
    }

    /// Counts what the machine of an attempt did. What a fork carries over is counted where it came from.
    fn tally(&mut self, now: TimeMs, call: CallId, attempt: u32, count: Count) {
        let delegation = self.delegations.get(&call);
        let of = delegation.and_then(|d| Some((d.assignees.get(&attempt)?, &d.spec.kind)));
        let Some((machine, kind)) = of.map(|(of, kind)| (of.machine.clone(), kind)) else {
            return;
        };
        if self.is_carried() || matches!(count, Count::Failed(0)) {
            return;
        }
        let key = (machine, kind.clone(), now / TALLY_MS);
        let tally = self.tallies.entry(key).or_insert_with_key(|key| Tally {
            machine: key.0.clone(),
            kind: key.1.clone(),
            ok: 0,
            failed: 0,
            at_ms: now,
            times: Vec::new(),
            checked: 0,
        });
        match count {
            Count::Ok { took_ms, checked } => {
                tally.ok = tally.ok.saturating_add(1);
                tally.checked = tally.checked.saturating_add(u32::from(checked));
                let bucket = took_ms.map(TimeBucket::of_ms);
                if let Some(bucket) = bucket {
                    match tally.times.binary_search_by_key(&bucket, |(b, _)| *b) {
                        Ok(at) => tally.times[at].1 = tally.times[at].1.saturating_add(1),
                        Err(at) => tally.times.insert(at, (bucket, 1)),
                    }
                }
            }
            Count::Failed(items) => tally.failed = tally.failed.saturating_add(items),
        }
        tally.at_ms = now;
    }

    fn delegation(&mut self, call: CallId) -> Result<&mut Delegation, String> {
        match self.delegations.get_mut(&call) {
            Some(delegation) if !delegation.state.ended() => Ok(delegation),
            Some(_) => Err(format!("delegation {call} is over")),
            None => Err(format!("there is no delegation {call}")),
        }
    }

    /// Whether the next record is one that a fork carries over: what it tells of is accounted for where
    /// it came from.
    pub(crate) fn is_carried(&self) -> bool {
        let carried = self.forked_from.as_ref().map_or(0, |from| from.carried);
        self.next_seq <= carried
    }

    fn assigned(&mut self, now: TimeMs, assigned: &Assigned) -> Result<(), String> {
        let carried = self.is_carried();
        let delegation = self.delegation(assigned.call)?;
        if delegation.attempts.is_empty() {
            delegation.state = DelegationState::Assigned;
        }
        delegation.attempt = assigned.attempt;
        delegation.machine = Some(assigned.machine.clone());
        delegation.assigned_ms = Some(now);
        let price = match carried {
            true => Amount::ZERO,
            false => assigned.price,
        };
        let assignee = Assignee {
            epoch: assigned.epoch,
            machine: assigned.machine.clone(),
            price,
        };
        delegation.assignees.insert(assigned.attempt, assignee);
        delegation.attempts.push(Attempt {
            number: assigned.attempt,
            assigned_ms: now,
            price,
            laps: Laps::begin(now),
        });
        Ok(())
    }

    /// A value came that counts once its check approves it: the check begins.
    fn claimed(&mut self, now: TimeMs, item: &froben_journal::Item) -> Result<(), String> {
        let (call, index) = (item.call, item.index);
        let Ok(value) = &item.outcome else {
            return Err(format!("item {index} of {call} is claimed without a value"));
        };
        let delegation = self.delegation(call)?;
        match delegation.items.get(index as usize) {
            Some(None) if !delegation.claims.contains_key(&index) => {}
            Some(_) => return Err(format!("item {index} of {call} is there twice")),
            None => return Err(format!("delegation {call} has no item {index}")),
        }
        let took_ms = delegation.lap(item.attempt, now);
        let of = delegation.assignees.get(&item.attempt);
        let maker = of.map(|of| of.machine.operator());
        let Some(check) = checks::task(&delegation.spec, index, value, maker) else {
            return Err(format!("delegation {call} has no check"));
        };
        let claim = Claim {
            price: of.map_or(Amount::ZERO, |of| of.price),
            item: item.clone(),
            took_ms,
        };
        delegation.claims.insert(index, claim);
        delegation.wait_for_checks();
        let check = Box::new(Delegation::new(check, now));
        self.delegations.insert(call.check(index), check);
        Ok(())
    }

    /// An attempt is over, and its delegation is not. If no other one goes on, it waits for its checks.
    fn lost(
        &mut self,
        now: TimeMs,
        call: CallId,
        attempt: u32,
        failure: &ItemError,
    ) -> Result<(), String> {
        let delegation = self.delegation(call)?;
        let missing = delegation.missing();
        let was_open = delegation.open(attempt).is_some();
        delegation.over(attempt);
        let failed = match delegation.attempts.last().map(|left| left.number) {
            Some(left) => {
                delegation.show(left);
                // What one of two owed is still owed by the other.
                1
            }
            None => {
                delegation.state = DelegationState::Checking;
                delegation.lost = Some(failure.clone());
                missing
            }
        };
        if was_open && failure.blames_operator() {
            self.tally(now, call, attempt, Count::Failed(failed));
        }
        Ok(())
    }

    fn called(&mut self, now: TimeMs, called: &Called) -> Result<(), String> {
        let Called {
            call,
            line: _,
            op,
            fed,
        } = called;
        self.calls += 1;
        // Behind a call that was carried over stands one that was not, and is still to be made.
        self.settled = (!self.is_carried()).then_some(*fed);
        match op {
            CallOp::Delegate(spec) => {
                let delegation = Delegation::new(spec.clone(), now);
                match self.delegations.insert(*call, Box::new(delegation)) {
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
    fn status(&mut self, now: TimeMs, status: &Status) {
        let Status { phase, done, total } = status.clone();
        if self.behind && planted(Bug::ForgetProgress) {
            return;
        }
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
            attempt,
            index,
            outcome,
            device,
            usage: _,
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
        let claim = delegation.claims.remove(index);
        let checked = claim.is_some();
        let took_ms = match &claim {
            Some(claim) => claim.took_ms,
            None => delegation.lap(*attempt, now),
        };
        delegation.wait_for_checks();
        let of = delegation.assignees.get(attempt);
        let operator = of.map(|of| of.machine.operator());
        match outcome {
            Ok(_) => {
                let ok = Count::Ok { took_ms, checked };
                if planted(Bug::CreditTwice) {
                    self.tally(now, *call, *attempt, ok);
                }
                self.tally(now, *call, *attempt, ok);
            }
            Err(error) if error.class.blames_operator() => {
                self.tally(now, *call, *attempt, Count::Failed(1));
            }
            Err(_) => {}
        }
        if call.checked().is_none() {
            self.tell(|| history::item_came(now, item.clone(), operator));
        }
        Ok(())
    }

    fn ended(&mut self, now: TimeMs, ended: &froben_journal::Ended) -> Result<(), String> {
        let froben_journal::Ended {
            call,
            attempt,
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
        delegation.show(*attempt);
        let open = delegation.open(*attempt).is_some();
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
        if open && failure.as_ref().is_some_and(|f| f.blames_operator()) {
            let failed = Count::Failed(missing.len() as u32);
            self.tally(now, *call, *attempt, failed);
        }
        if call.checked().is_some() {
            // No script has it, and its trail is in the journal.
            self.delegations.remove(call);
            return Ok(());
        }
        if let Some(delegation) = self.delegations.get_mut(call) {
            delegation.attempts = Vec::new();
            delegation.assignees = BTreeMap::new();
            delegation.claims = BTreeMap::new();
            delegation.lost = None;
        }
        for completion in history::delegation_ended(now, ended, missing.into_iter()) {
            self.tell(|| completion);
        }
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
            inputs: self.inputs.clone(),
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

impl Delegation {
    fn new(spec: TaskSpec, queued_ms: TimeMs) -> Self {
        Delegation {
            items: vec![None; spec.items.len()],
            spec: Arc::new(spec),
            state: DelegationState::Queued,
            attempt: 0,
            queued_ms,
            machine: None,
            device: None,
            assigned_ms: None,
            ended_ms: None,
            error: None,
            attempts: Vec::new(),
            assignees: BTreeMap::new(),
            claims: BTreeMap::new(),
            lost: None,
        }
    }

    /// The attempt of this number, if it is not over.
    pub(crate) fn open(&self, attempt: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|open| open.number == attempt)
    }

    /// Of two attempts, says which one's machine is at it, if it is not over.
    fn show(&mut self, attempt: u32) {
        let open = self.open(attempt).map(|open| open.assigned_ms);
        if let (Some(assigned_ms), Some(assignee)) = (open, self.assignees.get(&attempt)) {
            self.assigned_ms = Some(assigned_ms);
            self.machine = Some(assignee.machine.clone());
        }
    }

    fn over(&mut self, attempt: u32) {
        self.attempts.retain(|open| open.number != attempt);
    }

    /// If nothing is missing but verdicts, no attempt goes on.
    fn wait_for_checks(&mut self) {
        if self.claims.is_empty() || self.missing() > 0 {
            return;
        }
        self.state = DelegationState::Checking;
        self.lost = None;
        self.attempts.clear();
    }

    /// How long the item that has come took; how long a late one did, nobody knows.
    fn lap(&mut self, attempt: u32, now: TimeMs) -> Option<u64> {
        let mut open = self.attempts.iter_mut();
        let open = open.find(|open| open.number == attempt);
        open.map(|open| open.laps.lap(now))
    }

    /// What an item of an attempt costs that is over, if it comes after all.
    pub(crate) fn late_price(&self, attempt: u32) -> Option<Amount> {
        let assignee = self.assignees.get(&attempt)?;
        self.open(attempt).is_none().then_some(assignee.price)
    }

    /// How many items have not come, and are not claimed.
    pub(crate) fn missing(&self) -> u32 {
        let open = self.items.iter().filter(|item| item.is_none()).count();
        (open - self.claims.len()) as u32
    }

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
