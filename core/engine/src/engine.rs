//! The deciding code: one state machine over inputs, with no clock, no randomness and no I/O.
//!
//! [`Engine::handle`] takes what happened and gives a [`Step`]: records to write, and effects to carry
//! out *after* they are on disk. The state in memory runs ahead of the disk by what is in flight, and
//! nothing of it is shown before: answers are effects too, and steps are carried out in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use froben_journal::{Batch, Body, Finish, Record, RevisionHash, Served, Started};
use froben_model::view::{
    DelegationState, Failure, PipelineInfo, PipelineInput, WorkflowState, WorkflowSummary,
};
use froben_model::{Amount, CallId, Kind, MachineId, SeekerId, TimeMs, WorkflowId};
use froben_scheduler::planted::{Bug, planted};
use froben_scheduler::{DelegationKey, Policy, Scheduler, SessionId};
use froben_script::Revision;

use crate::children::Children;
use crate::driver::Capacity;
use crate::effect::{Answer, Effect, Found, ScriptCommand};
use crate::input::{Input, Ticket};
use crate::ledger::Ledger;
use crate::urgency::Ahead;
use crate::workflow::Workflow;

/// How many lines of why delegations wait a status shows.
const WAITING_LINES: usize = 8;
/// How many queued delegations are asked why.
const WAITING_ASKED: usize = 16;

/// The scripts that new workflows run.
pub struct Serving {
    /// The newest of the history.
    pub entry: Served,
    pub revision: Arc<Revision>,
}

impl Serving {
    pub fn hash(&self) -> RevisionHash {
        self.entry.revision
    }
}

pub struct Engine {
    pub(crate) epoch: u64,
    pub(crate) serving: Serving,
    pub(crate) capacity: Capacity,
    pub(crate) scheduler: Scheduler,
    pub(crate) live: BTreeMap<WorkflowId, Workflow>,
    pub(crate) children: Children,
    pub(crate) ledger: Ledger,
    pub(crate) ahead: Ahead,
    /// How many of them each seeker has, without children.
    pub(crate) live_of: BTreeMap<SeekerId, usize>,
    pub(crate) ended: BTreeMap<WorkflowId, (SeekerId, WorkflowSummary)>,
    pub(crate) by_key: BTreeMap<(SeekerId, String), WorkflowId>,
    /// Every script timer, by when it rings.
    pub(crate) sleeps: BTreeSet<(TimeMs, WorkflowId, CallId)>,
    /// What the scheduler is told next, in the same step.
    pub(crate) follow_ups: VecDeque<froben_scheduler::Input>,
    /// Held back by a planted bug.
    held_back: Vec<(WorkflowId, u64, Record)>,
    /// Who is connected, under which session.
    pub(crate) sessions: BTreeMap<MachineId, SessionId>,
    pub(crate) now: TimeMs,
    pub(crate) step: Step,
}

/// What one input leads to. The effects wait for the batch.
#[derive(Debug, Default)]
pub struct Step {
    pub batch: Batch,
    pub effects: Vec<Effect>,
    /// What its postings pay operators, and for items of which kind.
    pub(crate) paid: Vec<(Kind, Amount)>,
}

impl Step {
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.effects.is_empty()
    }

    /// Adds what comes after it.
    pub(crate) fn add(&mut self, next: Step) {
        self.batch.merge(next.batch);
        self.effects.extend(next.effects);
        self.paid.extend(next.paid);
    }
}

impl Engine {
    /// An engine without workflows; [`Engine::recover`] brings in those of the journal.
    pub fn new(
        epoch: u64,
        seed: u64,
        policy: Policy,
        serving: Serving,
        capacity: Capacity,
    ) -> Self {
        Engine {
            epoch,
            serving,
            capacity,
            children: Children::default(),
            ledger: Ledger::default(),
            ahead: Ahead::default(),
            live_of: BTreeMap::new(),
            scheduler: Scheduler::new(policy, reused(epoch), seed),
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            by_key: BTreeMap::new(),
            sleeps: BTreeSet::new(),
            follow_ups: VecDeque::new(),
            held_back: Vec::new(),
            sessions: BTreeMap::new(),
            now: 0,
            step: Step::default(),
        }
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_timer(&self) -> Option<TimeMs> {
        let sleep = self.sleeps.first().map(|(due, _, _)| *due);
        [sleep, self.scheduler.next_timer()]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle(&mut self, now: TimeMs, input: Input) -> Step {
        self.now = self.now.max(now);
        match input {
            Input::Submit(submit) => self.submit(submit),
            Input::Cancel {
                ticket,
                seeker,
                workflow,
            } => self.cancel(ticket, &seeker, workflow),
            Input::Pause {
                ticket,
                seeker,
                workflow,
                paused,
            } => {
                let state = self.pause(&seeker, workflow, paused);
                self.reply(ticket, Answer::State(state));
            }
            Input::Rules(rules) => self.rules(rules),
            Input::Fork(fork) => self.fork(fork),
            Input::StartedBy {
                ticket,
                seeker,
                idempotency_key,
            } => {
                let started = self.started_by(&seeker, &idempotency_key);
                self.reply(ticket, Answer::StartedBy(started));
            }
            Input::Migrate {
                ticket,
                seeker,
                workflow,
                revision,
                calls,
            } => {
                let answer = self.migrate(&seeker, workflow, revision, calls);
                self.reply(ticket, Answer::Migrated(answer));
            }
            Input::Newest { ticket } => {
                let newest = self.serving.hash();
                self.reply(ticket, Answer::Newest(newest));
            }
            Input::Status {
                ticket,
                seeker,
                workflow,
            } => {
                let found = self.find(&seeker, workflow);
                self.reply(ticket, Answer::Detail(found));
            }
            Input::Why {
                ticket,
                seeker,
                workflow,
                which,
            } => {
                let why = self.why(&seeker, workflow, &which);
                self.reply(ticket, Answer::Why(why));
            }
            Input::List {
                ticket,
                seeker,
                limit,
            } => {
                let list = self.list(&seeker, limit);
                self.reply(ticket, Answer::List(list));
            }
            Input::Serve(serve) => self.serve(serve),
            Input::Serving { ticket } => {
                let now = self.serving_now();
                self.reply(ticket, Answer::Serving(now));
            }
            Input::Pipelines { ticket } => {
                let pipelines = self.pipelines();
                self.reply(ticket, Answer::Pipelines(pipelines));
            }
            Input::Machines { ticket } => {
                let machines = self.machine_views();
                self.reply(ticket, Answer::Machines(machines));
            }
            Input::Profiles { ticket } => {
                let profiles = self.scheduler.profiles().collect();
                self.reply(ticket, Answer::Profiles(profiles));
            }
            Input::MachineJoined {
                session,
                machine,
                spec,
            } => self.joined(session, machine, spec),
            Input::Drain { session } => {
                self.schedule(froben_scheduler::Input::Drain { session });
            }
            Input::MachineLeft { session, reason } => {
                self.sessions.retain(|_, held| *held != session);
                if planted(Bug::ForgetDisconnect) {
                    return Step::default();
                }
                self.schedule(froben_scheduler::Input::MachineLeft { session, reason });
            }
            Input::Trust { operators } => self.trust(operators),
            Input::Accepted { token } => {
                self.schedule(froben_scheduler::Input::Accepted { token });
            }
            Input::Refused { token, reason } => {
                self.schedule(froben_scheduler::Input::Refused { token, reason });
            }
            Input::Item {
                ticket,
                session,
                token,
                report,
            } => self.item(ticket, session, token, report),
            Input::Finish {
                ticket,
                token,
                failure,
            } => self.finish_attempt(ticket, token, failure),
            Input::Log { token, line } => self.worker_line(token, line),
            Input::Script { workflow, progress } => self.script_ran(workflow, progress),
            Input::ScriptLost { workflow, failure } => self.script_lost(workflow, failure),
            Input::Tick => {}
        }
        self.ring();
        self.write_late();
        std::mem::take(&mut self.step)
    }

    /// A planted bug: an assignment is written with the next step, and sent with this one.
    fn write_late(&mut self) {
        if !planted(Bug::WriteLate) {
            return;
        }
        let records = &mut self.step.batch.records;
        let late = records.pop_if(|(_, _, record)| matches!(record.body, Body::Assigned(_)));
        records.splice(0..0, self.held_back.drain(..));
        self.held_back.extend(late);
    }

    /// Rings every timer that is due.
    fn ring(&mut self) {
        while let Some((due, workflow, call)) = self.sleeps.first().copied() {
            if due > self.now {
                break;
            }
            self.sleeps.pop_first();
            self.record(workflow, Body::Slept { call });
            self.wake(workflow);
        }
        if self
            .scheduler
            .next_timer()
            .is_some_and(|due| due <= self.now)
        {
            self.schedule(froben_scheduler::Input::Tick);
        }
    }

    /// Decides a record: puts it into the batch and into the state.
    pub(crate) fn record(&mut self, id: WorkflowId, body: Body) {
        let record = Record {
            time_ms: self.now,
            body,
        };
        self.carry(id, record);
    }

    /// The same for one that was decided before, for another workflow.
    pub(crate) fn carry(&mut self, id: WorkflowId, record: Record) {
        self.post(id, record.time_ms, &record.body);
        let Some(workflow) = self.live.get_mut(&id) else {
            return;
        };
        let seq = workflow.next_seq;
        workflow
            .apply(&record)
            .expect("invariant: the engine decides only records that fit");
        self.step.batch.records.push((id, seq, record));
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, answer: Answer) {
        self.step.effects.push(Effect::Reply { ticket, answer });
    }

    /// Feeds the script what it has not seen, unless it is paused or runs already: then it gets it when
    /// it reports.
    pub(crate) fn wake(&mut self, id: WorkflowId) {
        let Some(workflow) = self.live.get_mut(&id) else {
            return;
        };
        if workflow.script_runs || workflow.paused || !workflow.has_news() {
            return;
        }
        workflow.script_runs = true;
        let behind = std::mem::replace(&mut workflow.behind, false);
        let completions = workflow.take_inbox();
        let upto = workflow.fed();
        let command = match behind {
            true => ScriptCommand::Rebuild {
                workflow: id,
                upto,
                history: None,
            },
            false => ScriptCommand::Resume {
                workflow: id,
                upto,
                completions,
            },
        };
        self.step.effects.push(Effect::Script(command));
    }

    /// Checks the scheduler's state from scratch. For simulations.
    ///
    /// *Errors*: the first thing that does not hold, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.scheduler.check_invariants()?;
        self.check_ledger()
    }

    /// The connections of the machines that tasks may go to. For simulations.
    pub fn connected(&self) -> BTreeSet<SessionId> {
        self.scheduler
            .machines()
            .map(|machine| machine.session)
            .collect()
    }

    /// What each live workflow that no other runs has spent, if anything. For simulations.
    pub fn spent(&self) -> BTreeMap<WorkflowId, Amount> {
        let roots = self.live.keys().map(|id| (*id, self.ledger.totals(*id)));
        let spent = roots.filter(|(_, totals)| !totals.spent.is_zero());
        spent.map(|(id, totals)| (id, totals.spent)).collect()
    }

    /// Workflows that are not over.
    pub fn live_workflows(&self) -> usize {
        self.live.len()
    }

    /// From here on the engine has it.
    pub(crate) fn hold(&mut self, workflow: Workflow) {
        self.children
            .began(&workflow.seeker, workflow.parent.as_ref());
        if workflow.parent.is_none() {
            *self.live_of.entry(workflow.seeker.clone()).or_default() += 1;
            self.open_purse(workflow.id, workflow.budget);
        }
        self.live.insert(workflow.id, workflow);
    }

    /// A key starts one workflow. No key is no key.
    pub(crate) fn remember_key(&mut self, seeker: &SeekerId, key: &str, id: WorkflowId) {
        if !key.is_empty() {
            self.by_key.insert((seeker.clone(), key.to_string()), id);
        }
    }

    /// Brings a new workflow in with its first record.
    pub(crate) fn begin(&mut self, id: WorkflowId, body: Body) {
        let record = Record {
            time_ms: self.now,
            body,
        };
        let workflow = Workflow::begin(id, &record)
            .expect("invariant: the first record of a workflow is `submitted`");
        self.step.batch.started.push(Started {
            workflow: id,
            seeker: workflow.seeker.clone(),
            idempotency_key: workflow.idempotency_key.clone(),
        });
        self.step.batch.records.push((id, 0, record));
        self.remember_key(&workflow.seeker, &workflow.idempotency_key, id);
        self.hold(workflow);
    }

    /// Ends a workflow: its children and delegations are cancelled, its VM is dropped, its journal tells
    /// from now on.
    pub(crate) fn end_workflow(&mut self, id: WorkflowId, finish: Finish) {
        self.end_children(id);
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        // Those that wait go first, or what the others free would be handed to them in between.
        let mut open = workflow.open_delegations();
        open.sort_by_key(|call| workflow.delegations[call].state != DelegationState::Queued);
        for call in open {
            let key = DelegationKey { workflow: id, call };
            if !planted(Bug::LeaveDelegations) {
                self.schedule(froben_scheduler::Input::Cancel { key });
            }
        }
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        let paused = workflow.paused;
        // Of one that has been moved, the first record does not tell the revision: all of it is read.
        let tallies = (!workflow.migrated).then(|| workflow.tallies());
        let sleeps: Vec<_> = workflow
            .sleeps
            .iter()
            .map(|(c, due)| (*due, id, *c))
            .collect();
        if paused {
            self.schedule(froben_scheduler::Input::Resume { workflow: id });
        }
        if let Some(tallies) = tallies {
            self.record(id, Body::Tallied(tallies));
        }
        self.record(id, Body::Finished(finish.clone()));
        self.step.batch.finished.push(id);
        let drop = ScriptCommand::Drop { workflow: id };
        self.step.effects.push(Effect::Script(drop));
        for sleep in sleeps {
            self.sleeps.remove(&sleep);
        }
        if let Some(workflow) = self.live.remove(&id) {
            if let Finish::Output(_) = finish {
                self.ahead.learn(&workflow, self.now);
            }
            if workflow.parent.is_none() {
                self.close_account(&workflow);
                if let Some(own) = self.live_of.get_mut(&workflow.seeker) {
                    *own -= 1;
                    if *own == 0 {
                        self.live_of.remove(&workflow.seeker);
                    }
                }
            }
            let summary = workflow.summary();
            if let Some(parent) = workflow.parent {
                self.child_is_over(&workflow.seeker, &parent, finish);
            }
            self.ended.insert(id, (workflow.seeker, summary));
        }
    }

    fn cancel(&mut self, ticket: Ticket, seeker: &SeekerId, id: WorkflowId) {
        let state = self.state_of(seeker, id).map(|state| {
            if state.ended() {
                return state;
            }
            self.record(id, Body::CancelRequested);
            self.end_workflow(id, Finish::Cancelled);
            WorkflowState::Cancelled
        });
        self.reply(ticket, Answer::State(state));
    }

    pub(crate) fn state_of(&self, seeker: &SeekerId, id: WorkflowId) -> Option<WorkflowState> {
        if let Some(workflow) = self.live.get(&id) {
            return (workflow.seeker == *seeker).then(|| workflow.state());
        }
        let (owner, summary) = self.ended.get(&id)?;
        (owner == seeker).then_some(summary.state)
    }

    fn find(&self, seeker: &SeekerId, id: WorkflowId) -> Found {
        if self.state_of(seeker, id).is_none() {
            return Found::Nowhere;
        }
        let Some(workflow) = self.live.get(&id) else {
            return Found::Journal;
        };
        let mut detail = workflow.detail();
        detail.waiting = self.waiting(workflow);
        Found::Live(Box::new(detail))
    }

    /// Why queued delegations wait: each reason once, the commonest first.
    fn waiting(&self, workflow: &Workflow) -> Vec<String> {
        if workflow.paused {
            let id = workflow.id;
            return vec![format!(
                "it is paused; `froben workflow resume {id}` lets it go on"
            )];
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let queued = workflow
            .delegations
            .iter()
            .filter(|(_, d)| d.state == DelegationState::Queued);
        for (call, delegation) in queued.take(WAITING_ASKED) {
            let key = DelegationKey {
                workflow: workflow.id,
                call: *call,
            };
            if let Some(why) = self.scheduler.waiting_for(key) {
                let line = format!("{}: {why}", delegation.spec.kind);
                *counts.entry(line).or_default() += 1;
            }
        }
        let mut lines: Vec<_> = counts.into_iter().collect();
        lines.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        lines.truncate(WAITING_LINES);
        lines.into_iter().map(|(line, _)| line).collect()
    }

    fn list(&self, seeker: &SeekerId, limit: usize) -> Vec<WorkflowSummary> {
        let live = self.live.values().filter(|w| w.seeker == *seeker);
        let live = live.map(|w| (w.submitted_ms, w.id));
        let ended = self.ended.values().filter(|(owner, _)| owner == seeker);
        let ended = ended.map(|(_, summary)| (summary.submitted_ms, summary.id));
        let mut newest: Vec<_> = live.chain(ended).collect();
        // Of very many only the first few are put in order.
        if limit < newest.len() {
            newest.select_nth_unstable_by_key(limit, |place| std::cmp::Reverse(*place));
            newest.truncate(limit);
        }
        newest.sort_by_key(|place| std::cmp::Reverse(*place));
        let summary = |(_, id)| match self.live.get(&id) {
            Some(workflow) => Some(workflow.summary()),
            None => self.ended.get(&id).map(|(_, summary)| summary.clone()),
        };
        newest.into_iter().filter_map(summary).collect()
    }

    fn pipelines(&self) -> Vec<PipelineInfo> {
        let revision = self.serving.hash().to_string();
        let pipelines = self.serving.revision.pipelines();
        pipelines
            .iter()
            .map(|(name, info)| PipelineInfo {
                name: name.clone(),
                inputs: info
                    .inputs
                    .iter()
                    .map(|(name, field)| pipeline_input(name, field))
                    .collect(),
                revision: revision.clone(),
            })
            .collect()
    }
}

fn reused(epoch: u64) -> u64 {
    match planted(Bug::ReuseEpoch) {
        true => 1,
        false => epoch,
    }
}

fn pipeline_input(name: &str, field: &froben_script::Field) -> PipelineInput {
    PipelineInput {
        name: name.to_string(),
        kind: field.field_type.name().to_string(),
        optional: field.optional,
    }
}

/// A refusal with a stable code.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> Failure {
    let message = froben_model::limits::one_line(&message.into());
    Failure {
        code: code.to_string(),
        message,
    }
}
