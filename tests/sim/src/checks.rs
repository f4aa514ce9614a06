//! Watches from outside: what is written, against what may ever be written.
//!
//! The numbers are those of the invariants in docs/ARCHITECTURE.md. What the scheduler keeps in memory is
//! checked by [`froben_engine::engine::Engine::check_invariants`] after every step.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::Rules;
use froben_journal::{Account, Balance, Batch, Body, Finish, Record, RevisionHash, Seq};
use froben_model::{CallId, LeaseToken, MachineId, MachineSpec, TimeMs, WorkflowId};

macro_rules! must {
    ($holds:expr, $what:literal) => {
        if !$holds {
            return Err($what.to_owned());
        }
    };
}

mod delegation;
mod machines;
mod money;
mod revisions;
mod times;
mod workflow;

use machines::Machines;
use money::Money;
use revisions::Revisions;
use workflow::Seen;

#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The coordinator's start: every attempt is of it.
    pub(crate) epoch: u64,
    /// When it started.
    pub(crate) started_ms: TimeMs,
    /// What the scheduler goes by.
    pub(crate) rules: Rules,
    /// Attempts that their machine refused.
    refused: BTreeSet<LeaseToken>,
    /// Items that the machine of an attempt has sent.
    said: BTreeSet<(LeaseToken, u32)>,
    workflows: BTreeMap<WorkflowId, Seen>,
    machines: Machines,
    money: Money,
    revisions: Revisions,
    pub(crate) items: u64,
    pub(crate) migrations: u64,
}

impl Checks {
    /// Of a coordinator's first start.
    pub(crate) fn of_start(epoch: u64, rules: Rules, served: RevisionHash) -> Self {
        Checks {
            epoch,
            rules,
            revisions: Revisions::of_start(served),
            ..Checks::default()
        }
    }

    /// Takes a batch in that is on the disk.
    ///
    /// *Errors*: the first record that must not be there.
    pub(crate) fn written(&mut self, batch: &Batch) -> Result<(), String> {
        self.revisions.served(&batch.served)?;
        for (workflow, seq, record) in &batch.records {
            self.record(*workflow, *seq, record)
                .map_err(|what| format!("{workflow} record {seq}: {what}: {record:?}"))?;
        }
        self.money.written(&self.workflows, batch)?;
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

    fn record(&mut self, workflow: WorkflowId, seq: Seq, record: &Record) -> Result<(), String> {
        self.revisions
            .record(&self.workflows, workflow, &record.body)?;
        let seen = self.workflows.entry(workflow).or_default();
        must!(seq == seen.records, "it is not the next one");
        seen.records += 1;
        if seen.is_carried(seq) {
            return seen.take(record);
        }
        self.items += u64::from(matches!(record.body, Body::Item(_)));
        self.migrations += u64::from(matches!(record.body, Body::Migrated { .. }));
        check_attempt(self.epoch, &self.refused, workflow, &record.body)?;
        seen.check_trust(&self.rules.trusted, &record.body)?;
        seen.check_said(workflow, &self.said, &record.body)?;
        seen.take(record)?;
        if let Body::Assigned(assigned) = &record.body {
            self.check_hedges(workflow, assigned.call)?;
            self.machines
                .assigned(&self.workflows, workflow, assigned)?;
        }
        Ok(())
    }

    /// Of a hundred attempts that a seeker was given so many may be hedges, and one at a time in any case.
    fn check_hedges(&self, workflow: WorkflowId, call: CallId) -> Result<(), String> {
        let seen = &self.workflows[&workflow];
        if seen.delegations[&call].open.len() < 2 {
            return Ok(());
        }
        let own = self.workflows.values().filter(|w| w.seeker == seen.seeker);
        let own = own.flat_map(|w| w.delegations.values());
        let (mut given, mut hedges) = (0, 0);
        for delegation in own {
            given += delegation.attempts.len();
            hedges += delegation.open.len().saturating_sub(1);
        }
        // The one in question is not among those that allowed it.
        let most = ((given - 1) * self.rules.policy.hedge_share as usize / 100).max(1);
        match hedges <= most {
            true => Ok(()),
            false => Err(format!("{workflow}: {hedges} hedges of {given} attempts")),
        }
    }

    /// I6: what is due has happened, and for what will be due first a timer is set; the next one rings at
    /// `next_timer`.
    pub(crate) fn timed(&self, now: TimeMs, next_timer: Option<TimeMs>) -> Result<(), String> {
        let Some((due_ms, workflow, call)) = times::next(&self.workflows, self.started_ms) else {
            return Ok(());
        };
        if times::is_late(due_ms, now) {
            return Err(format!(
                "I6: {workflow}{call} was due at {due_ms}, it is {now}"
            ));
        }
        match next_timer.is_some_and(|at| at <= due_ms.max(now)) {
            true => Ok(()),
            false => Err(format!(
                "I6: {workflow}{call} is due at {due_ms}, and the next timer rings at {next_timer:?}"
            )),
        }
    }

    /// A machine offers itself.
    pub(crate) fn joined(&mut self, machine: MachineId, spec: MachineSpec) {
        self.machines.joined(spec, machine);
    }

    /// Machines that have ever offered themselves, and what they offered last.
    pub(crate) fn machines(&self) -> impl Iterator<Item = (&MachineId, &MachineSpec)> {
        self.machines.offers.iter()
    }

    /// The machine of an attempt has sent an item.
    pub(crate) fn said(&mut self, token: LeaseToken, index: u32) {
        self.said.insert((token, index));
    }

    /// A machine said that it will not do it.
    pub(crate) fn refused(&mut self, token: LeaseToken) {
        self.refused.insert(token);
    }

    /// I17: what the store says of every account is what its postings come to.
    pub(crate) fn balanced(&self, balances: Vec<(Account, Balance)>) -> Result<(), String> {
        let balances: BTreeMap<_, _> = balances.into_iter().collect();
        match balances == self.money.balances {
            true => Ok(()),
            false => Err(format!(
                "I17: the accounts are {balances:?}, and their postings come to {:?}",
                self.money.balances
            )),
        }
    }

    pub(crate) fn knows(&self, workflow: WorkflowId) -> bool {
        self.workflows.contains_key(&workflow)
    }

    pub(crate) fn finish(&self, workflow: WorkflowId) -> Option<&Finish> {
        self.workflows.get(&workflow)?.finish.as_ref()
    }

    /// The workflow may keep this revision from here on: somebody asks for it.
    pub(crate) fn may_keep(&mut self, workflow: WorkflowId, revision: RevisionHash) {
        self.revisions.asked.insert((workflow, revision));
    }

    /// I8: the script of a workflow that starts is that of the revision which it keeps.
    pub(crate) fn keeps(&self, workflow: WorkflowId, revision: RevisionHash) -> Result<(), String> {
        self.shown_with(workflow, &revision.to_string())
    }

    /// I8: a workflow that is not over is shown with the revision which it keeps.
    pub(crate) fn shown_with(&self, workflow: WorkflowId, revision: &str) -> Result<(), String> {
        let seen = self.workflows.get(&workflow);
        let kept = seen.and_then(|seen| seen.revision);
        let kept = kept.ok_or_else(|| format!("{workflow} is not written down"))?;
        match kept.to_string() == *revision {
            true => Ok(()),
            false => Err(format!("I8: {workflow} keeps {kept}, and has {revision}")),
        }
    }

    /// A workflow that this one runs, or has run.
    pub(crate) fn child_of(&self, workflow: WorkflowId) -> Option<WorkflowId> {
        let mut workflows = self.workflows.iter();
        let child = workflows.find(|(_, seen)| seen.parent == Some(workflow));
        child.map(|(child, _)| *child)
    }

    /// How many calls its script has made.
    pub(crate) fn calls(&self, workflow: WorkflowId) -> u64 {
        self.workflows.get(&workflow).map_or(0, |seen| seen.calls)
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

    /// Whether an item that a machine was told is recorded is, whoever it came from, or that its attempt is
    /// lost.
    pub(crate) fn has_item(&self, token: LeaseToken, index: u32) -> bool {
        let seen = self.workflows.get(&token.workflow);
        let delegation = seen.and_then(|seen| seen.delegations.get(&token.call));
        delegation.is_some_and(|delegation| {
            let claimed = delegation.claims.contains_key(&index);
            // A check that brings no verdict is over, and tried again.
            let open = delegation.open.contains_key(&token.attempt);
            let given_back = delegation.maker.is_some() && !open;
            let come = delegation.come.contains_key(&index);
            let attempt = (token.epoch, token.attempt);
            let lost = delegation.lost_one.contains(&attempt);
            claimed || come || delegation.over || given_back || lost
        })
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
