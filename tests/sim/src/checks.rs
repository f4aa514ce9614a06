//! Watches from outside: what is written, against what may ever be written.
//!
//! The numbers are those of the invariants in docs/ARCHITECTURE.md. What the scheduler keeps in memory is
//! checked by [`froben_engine::engine::Engine::check_invariants`] after every step.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Batch, Body, CallOp, End, Finish, Record, RevisionHash};
use froben_model::{CallId, LeaseToken, MachineId, WorkflowId};

#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The coordinator's start: every attempt is of it.
    pub(crate) epoch: u64,
    /// Attempts that their machine refused.
    refused: BTreeSet<LeaseToken>,
    workflows: BTreeMap<WorkflowId, Seen>,
    pub(crate) items: u64,
}

/// What the journal of one workflow has said so far.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    revision: Option<RevisionHash>,
    delegations: BTreeMap<CallId, Delegation>,
    children: BTreeMap<CallId, bool>,
    parent: Option<WorkflowId>,
    /// Calls that the script has given up.
    given_up: BTreeSet<CallId>,
    paused: bool,
    /// What its machines have done: items that have a value, and those that count against them.
    credit: BTreeMap<MachineId, (u64, u64)>,
    calls: u64,
    cancelled: bool,
    finish: Option<Finish>,
}

#[derive(Debug, Default)]
struct Delegation {
    items: usize,
    /// The attempt that holds it: its number and its coordinator's start.
    attempt: Option<(u64, u32)>,
    machine: Option<MachineId>,
    last: Option<(u64, u32)>,
    /// By item, the attempt that it came from.
    come: BTreeMap<u32, (u64, u32)>,
    failed: bool,
    over: bool,
}

impl Checks {
    /// Of a coordinator's first start.
    pub(crate) fn of_start(epoch: u64) -> Self {
        Checks {
            epoch,
            ..Checks::default()
        }
    }

    /// Takes a batch in that is on the disk.
    ///
    /// *Errors*: the first record that must not be there.
    pub(crate) fn written(&mut self, batch: &Batch) -> Result<(), String> {
        for (workflow, seq, record) in &batch.records {
            let seen = self.workflows.entry(*workflow).or_default();
            if *seq != seen.records {
                return Err(format!("{workflow}: record {seq} after {}", seen.records));
            }
            seen.records += 1;
            let item = matches!(record.body, Body::Item(_));
            self.items += u64::from(item);
            check_attempt(self.epoch, &self.refused, *workflow, &record.body)?;
            seen.take(record)
                .map_err(|what| format!("{workflow} record {seq}: {what}: {record:?}"))?;
        }
        for workflow in batch.records.iter().map(|(workflow, ..)| workflow) {
            let seen = &self.workflows[workflow];
            seen.cancels_are_done()
                .map_err(|what| format!("{workflow}: {what}"))?;
        }
        for (child, seen) in &self.workflows {
            let parent = seen.parent.filter(|_| seen.finish.is_none());
            if parent.is_some_and(|parent| batch.finished.contains(&parent)) {
                return Err(format!("I11: the child {child} outlives its parent"));
            }
        }
        for workflow in &batch.finished {
            let seen = self.workflows.get(workflow);
            if seen.is_none_or(|seen| seen.finish.is_none()) {
                return Err(format!("{workflow} counts as finished without an end"));
            }
        }
        Ok(())
    }

    /// A machine said that it will not do it.
    pub(crate) fn refused(&mut self, token: LeaseToken) {
        self.refused.insert(token);
    }

    pub(crate) fn knows(&self, workflow: WorkflowId) -> bool {
        self.workflows.contains_key(&workflow)
    }

    pub(crate) fn finish(&self, workflow: WorkflowId) -> Option<&Finish> {
        self.workflows.get(&workflow)?.finish.as_ref()
    }

    /// Workflows that are not over.
    pub(crate) fn open(&self) -> Vec<WorkflowId> {
        let open = self
            .workflows
            .iter()
            .filter(|(_, seen)| seen.finish.is_none());
        open.map(|(workflow, _)| *workflow).collect()
    }

    /// Whether an attempt that a machine is told of is written down as the latest.
    pub(crate) fn has_attempt(&self, token: LeaseToken) -> bool {
        let seen = self.workflows.get(&token.workflow);
        let delegation = seen.and_then(|seen| seen.delegations.get(&token.call));
        let attempt = Some((token.epoch, token.attempt));
        delegation.is_some_and(|delegation| delegation.last == attempt)
    }

    /// Whether an item that a machine was told is recorded is, as that of its attempt.
    pub(crate) fn has_item(&self, token: LeaseToken, index: u32) -> bool {
        let seen = self.workflows.get(&token.workflow);
        let delegation = seen.and_then(|seen| seen.delegations.get(&token.call));
        let attempt = (token.epoch, token.attempt);
        delegation.is_some_and(|delegation| delegation.come.get(&index) == Some(&attempt))
    }
}

/// Holds an attempt against what its machine said, and against the start of the coordinator that made it.
fn check_attempt(
    epoch: u64,
    refused: &BTreeSet<LeaseToken>,
    workflow: WorkflowId,
    body: &Body,
) -> Result<(), String> {
    match body {
        Body::Assigned(assigned) if assigned.epoch != epoch => {
            let of = assigned.epoch;
            Err(format!(
                "{workflow}: I5: an attempt of start {of}, this is {epoch}"
            ))
        }
        Body::Requeued {
            call,
            attempt,
            fault: true,
            reason,
        } => {
            let token = LeaseToken {
                workflow,
                call: *call,
                attempt: *attempt,
                epoch,
            };
            match refused.contains(&token) {
                true => Err(format!("I9: {token} counts as a fault: {reason}")),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

macro_rules! must {
    ($holds:expr, $what:literal) => {
        if !$holds {
            return Err($what.to_owned());
        }
    };
}

impl Seen {
    fn take(&mut self, record: &Record) -> Result<(), String> {
        let tallied = matches!(record.body, Body::Tallied(_));
        must!(
            self.finish.is_none() || tallied,
            "I12: something happens after the end"
        );
        match &record.body {
            Body::Submitted(submitted) => {
                must!(self.records == 1, "it is submitted twice");
                self.revision = Some(submitted.revision);
                self.parent = submitted.parent.map(|parent| parent.workflow);
            }
            Body::Called(called) => {
                self.calls += 1;
                must!(
                    called.call == CallId(self.calls),
                    "calls are numbered in order"
                );
                must!(!self.cancelled, "I14: a call after it was cancelled");
                match &called.op {
                    CallOp::Delegate(spec) => {
                        let items = spec.items.len();
                        let delegation = Delegation {
                            items,
                            ..Delegation::default()
                        };
                        self.delegations.insert(called.call, delegation);
                    }
                    CallOp::Run { .. } => {
                        self.children.insert(called.call, false);
                    }
                    CallOp::Cancel { target } => {
                        self.given_up.insert(*target);
                    }
                    _ => {}
                }
            }
            Body::Assigned(assigned) => {
                must!(
                    !self.paused,
                    "it is handed out while its workflow is paused"
                );
                let delegation = self.delegation(assigned.call)?;
                must!(!delegation.over, "an assignment after its end");
                must!(delegation.attempt.is_none(), "I4: two attempts hold it");
                let attempt = (assigned.epoch, assigned.attempt);
                must!(
                    delegation
                        .last
                        .is_none_or(|last| last.0 <= attempt.0 && last.1 < attempt.1),
                    "I5: attempts do not rise"
                );
                delegation.attempt = Some(attempt);
                delegation.machine = Some(assigned.machine.clone());
                delegation.last = Some(attempt);
            }
            Body::Started { call, attempt } => {
                self.held(*call, *attempt)?;
            }
            Body::Item(item) => {
                let delegation = self.held(item.call, item.attempt)?;
                must!(
                    (item.index as usize) < delegation.items,
                    "an item that it has not"
                );
                let attempt = delegation.attempt.unwrap_or_default();
                let twice = delegation.come.insert(item.index, attempt).is_some();
                must!(!twice, "I1: an item counts twice");
                delegation.failed |= item.outcome.is_err();
                let machine = delegation.machine.clone();
                match &item.outcome {
                    Ok(_) => self.credit(machine, 1, 0),
                    Err(error) if error.class.blames_operator() => self.credit(machine, 0, 1),
                    Err(_) => {}
                }
            }
            // Neither checks nor attempts side by side are in the scripts that are played.
            Body::Claimed(_) | Body::Lost { .. } => {
                return Err("a record of nothing that was asked for".into());
            }
            Body::Requeued {
                call,
                attempt,
                fault,
                reason: _,
            } => {
                let delegation = self.held(*call, *attempt)?;
                delegation.attempt = None;
                let machine = delegation.machine.clone();
                self.credit(machine, 0, u64::from(*fault));
            }
            Body::Ended(ended) => {
                let delegation = self.delegation(ended.call)?;
                must!(!delegation.over, "I12: a delegation ends twice");
                let complete = delegation.come.len() == delegation.items;
                match ended.end {
                    End::Succeeded => must!(
                        complete && !delegation.failed,
                        "I1: it succeeded without all of its items"
                    ),
                    _ => must!(
                        !complete || delegation.failed || ended.end == End::Cancelled,
                        "it failed with all of its items"
                    ),
                }
                delegation.over = true;
                let missing = delegation.items - delegation.come.len();
                let had_it = delegation.attempt.take().is_some();
                let machine = delegation.machine.clone().filter(|_| had_it);
                let failure = ended.failure.as_ref();
                if failure.is_some_and(|failure| failure.class.blames_operator()) {
                    self.credit(machine, 0, missing as u64);
                }
            }
            Body::ChildEnded { call, .. } => {
                let over = self.children.get_mut(call);
                let over = over.ok_or("the end of a child that was never run")?;
                must!(!std::mem::replace(over, true), "I12: a child ends twice");
            }
            Body::CancelRequested => self.cancelled = true,
            Body::Finished(finish) => {
                // I11: submitted = over, for whatever it handed out.
                if matches!(finish, Finish::Output(_)) {
                    must!(!self.cancelled, "it succeeded after it was cancelled");
                }
                must!(
                    self.delegations.values().all(|delegation| delegation.over),
                    "I11: it is over and its delegations are not"
                );
                self.finish = Some(finish.clone());
            }
            Body::Migrated { revision } => {
                must!(Some(*revision) == self.revision, "I8: another revision");
            }
            Body::Slept { .. } | Body::Logged { .. } => {}
            Body::Tallied(tallies) => {
                let mut told: BTreeMap<MachineId, (u64, u64)> = BTreeMap::new();
                for tally in tallies {
                    let told = told.entry(tally.machine.clone()).or_default();
                    told.0 += u64::from(tally.ok);
                    told.1 += u64::from(tally.failed);
                    let timed: u32 = tally.times.iter().map(|(_, count)| *count).sum();
                    must!(
                        timed == tally.ok,
                        "a tally that times other items than it counts"
                    );
                }
                must!(
                    told == self.credit,
                    "I9: its tallies are not what its records say"
                );
            }
            Body::Paused => self.paused = true,
            Body::Resumed => self.paused = false,
        }
        Ok(())
    }

    fn credit(&mut self, machine: Option<MachineId>, ok: u64, failed: u64) {
        if let Some(machine) = machine.filter(|_| ok + failed > 0) {
            let credit = self.credit.entry(machine).or_default();
            credit.0 += ok;
            credit.1 += failed;
        }
    }

    /// What the script gives up is over in the same batch.
    fn cancels_are_done(&self) -> Result<(), String> {
        let late = self.given_up.iter().find(|call| {
            let open = self.delegations.get(call).is_some_and(|d| !d.over);
            open || self.children.get(call) == Some(&false)
        });
        match late {
            Some(call) if self.finish.is_none() => {
                Err(format!("call {call} was cancelled and goes on"))
            }
            _ => Ok(()),
        }
    }

    fn delegation(&mut self, call: CallId) -> Result<&mut Delegation, String> {
        let delegation = self.delegations.get_mut(&call);
        delegation.ok_or_else(|| format!("call {call} is no delegation"))
    }

    fn held(&mut self, call: CallId, attempt: u32) -> Result<&mut Delegation, String> {
        let delegation = self.delegation(call)?;
        match delegation.attempt {
            Some((_, holds)) if holds == attempt && !delegation.over => Ok(delegation),
            other => Err(format!("I1: attempt {attempt} holds nothing: {other:?}")),
        }
    }
}
