//! Watches from outside: what is written, against what may ever be written.
//!
//! The numbers are those of the invariants in docs/ARCHITECTURE.md. What the scheduler keeps in memory is
//! checked by [`froben_engine::engine::Engine::check_invariants`] after every step.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::Rules;
use froben_journal::{Batch, Body, CallOp, Cause, End, Finish, Item, Record, RevisionHash};
use froben_model::{
    Amount, CallId, ErrorClass, LeaseToken, MachineId, OperatorId, SeekerId, TaskSpec, Value,
    WorkflowId,
};

use crate::fleet::square;

#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The coordinator's start: every attempt is of it.
    pub(crate) epoch: u64,
    /// What the scheduler goes by.
    pub(crate) rules: Rules,
    /// Attempts that their machine refused.
    refused: BTreeSet<LeaseToken>,
    /// Items that the machine of an attempt has sent.
    said: BTreeSet<(LeaseToken, u32)>,
    workflows: BTreeMap<WorkflowId, Seen>,
    pub(crate) items: u64,
}

/// What the journal of one workflow has said so far.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    seeker: Option<SeekerId>,
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
    items: Vec<Value>,
    /// Whether its values are to be checked.
    checked: bool,
    /// Whose value it is to check, if it is a check.
    maker: Option<OperatorId>,
    attempts: BTreeMap<u32, Attempt>,
    /// By item that waits for its check, the attempt that it came from.
    claims: BTreeMap<u32, (u64, u32)>,
    /// What checks have said, by item.
    verdicts: BTreeMap<u32, bool>,
    /// No further attempt is to follow.
    lost: bool,
    /// Attempts that hold it, and whether each has begun.
    open: BTreeMap<u32, bool>,
    /// Attempts that ended while another one went on.
    lost_one: BTreeSet<(u64, u32)>,
    last: Option<(u64, u32)>,
    /// By item, the attempt that it came from.
    come: BTreeMap<u32, (u64, u32)>,
    failed: bool,
    over: bool,
}

#[derive(Debug, Clone)]
struct Attempt {
    epoch: u64,
    machine: MachineId,
    price: Amount,
}

impl Checks {
    /// Of a coordinator's first start.
    pub(crate) fn of_start(epoch: u64, rules: Rules) -> Self {
        Checks {
            epoch,
            rules,
            ..Checks::default()
        }
    }

    /// Takes a batch in that is on the disk.
    ///
    /// *Errors*: the first record that must not be there.
    pub(crate) fn written(&mut self, batch: &Batch) -> Result<(), String> {
        let mut owed = BTreeMap::new();
        for (workflow, seq, record) in &batch.records {
            let seen = self.workflows.entry(*workflow).or_default();
            if *seq != seen.records {
                return Err(format!("{workflow}: record {seq} after {}", seen.records));
            }
            seen.records += 1;
            let item = matches!(record.body, Body::Item(_));
            self.items += u64::from(item);
            check_attempt(self.epoch, &self.refused, *workflow, &record.body)?;
            let wrong = |what| format!("{workflow} record {seq}: {what}: {record:?}");
            seen.check_trust(&self.rules.trusted, &record.body)
                .map_err(wrong)?;
            seen.check_said(*workflow, &self.said, &record.body)
                .map_err(wrong)?;
            seen.take(record).map_err(wrong)?;
            if let Body::Assigned(assigned) = &record.body {
                self.check_hedges(*workflow, assigned.call)?;
            }
            let seen = self.workflows.entry(*workflow).or_default();
            if let Body::Item(item) = &record.body
                && item.outcome.is_ok()
            {
                let delegation = seen.delegation(item.call)?;
                let price = delegation.attempts[&item.attempt].price;
                let key = (*workflow, item.call, item.attempt);
                let owed: &mut Amount = owed.entry(key).or_default();
                *owed = owed.saturating_add(price);
            }
        }
        check_paid(batch, owed)?;
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

    /// Of a hundred attempts that a seeker has in flight so many may be hedges, and one in any case.
    fn check_hedges(&self, workflow: WorkflowId, call: CallId) -> Result<(), String> {
        let seen = &self.workflows[&workflow];
        if seen.delegations[&call].open.len() < 2 {
            return Ok(());
        }
        let own = self.workflows.values().filter(|w| w.seeker == seen.seeker);
        let open = own.flat_map(|w| w.delegations.values().map(|d| d.open.len()));
        let open: Vec<usize> = open.filter(|attempts| *attempts > 0).collect();
        let attempts: usize = open.iter().sum();
        let (hedges, before) = (attempts - open.len(), attempts - 1);
        let most = (before * self.rules.policy.hedge_share as usize / 100).max(1);
        match hedges <= most {
            true => Ok(()),
            false => Err(format!(
                "{workflow}: {hedges} hedges of {attempts} attempts"
            )),
        }
    }

    /// The machine of an attempt has sent an item.
    pub(crate) fn said(&mut self, token: LeaseToken, index: u32) {
        self.said.insert((token, index));
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

/// What is paid in a batch is what its items cost, no more and no less.
fn check_paid(
    batch: &Batch,
    mut owed: BTreeMap<(WorkflowId, CallId, u32), Amount>,
) -> Result<(), String> {
    owed.retain(|_, amount| !amount.is_zero());
    let mut paid: BTreeMap<(WorkflowId, CallId, u32), Amount> = BTreeMap::new();
    for posting in batch.postings.iter().filter(|p| p.cause == Cause::Settle) {
        let call = posting.call.ok_or("somebody is paid for nothing")?;
        let key = (posting.workflow, call, posting.attempt);
        let paid = paid.entry(key).or_default();
        *paid = paid.saturating_add(posting.amount);
    }
    match owed == paid {
        true => Ok(()),
        false => Err(format!("I10: {owed:?} is owed, and {paid:?} is paid")),
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

impl Delegation {
    fn of(spec: &TaskSpec) -> Self {
        Delegation {
            items: spec.items.clone(),
            checked: spec.check.is_some(),
            ..Delegation::default()
        }
    }

    /// Items that have not come, and are not checked.
    fn missing(&self) -> usize {
        self.items.len() - self.come.len() - self.claims.len()
    }

    /// If nothing is missing but verdicts, no attempt goes on.
    fn rest(&mut self) {
        if self.missing() == 0 && !self.claims.is_empty() {
            self.open.clear();
        }
    }

    fn machine_of(&self, attempt: u32) -> Option<MachineId> {
        Some(self.attempts.get(&attempt)?.machine.clone())
    }
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
                self.seeker = Some(submitted.seeker.clone());
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
                        let delegation = Delegation::of(spec);
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
                must!(!delegation.lost, "an assignment while it is checked");
                must!(delegation.open.len() < 2, "I4: three attempts hold it");
                must!(
                    delegation.open.is_empty() || delegation.maker.is_none(),
                    "I4: two attempts hold a check"
                );
                let operator = assigned.machine.operator();
                let mut beside = delegation.open.iter();
                must!(
                    beside.all(|(other, begun)| {
                        *begun && delegation.attempts[other].machine.operator() != operator
                    }),
                    "I4: two attempts of one operator hold it, or the first has not begun"
                );
                let attempt = (assigned.epoch, assigned.attempt);
                must!(
                    delegation
                        .last
                        .is_none_or(|last| last.0 <= attempt.0 && last.1 < attempt.1),
                    "I5: attempts do not rise"
                );
                delegation.open.insert(assigned.attempt, false);
                let of = Attempt {
                    epoch: assigned.epoch,
                    machine: assigned.machine.clone(),
                    price: assigned.price,
                };
                delegation.attempts.insert(assigned.attempt, of);
                delegation.last = Some(attempt);
            }
            Body::Started { call, attempt } => {
                let delegation = self.held(*call, *attempt)?;
                delegation.open.insert(*attempt, true);
            }
            Body::Item(item) => self.item(item)?,
            Body::Claimed(item) => self.claimed(item)?,
            Body::Lost {
                call,
                attempt,
                failure,
            } => {
                let delegation = self.delegation(*call)?;
                must!(!delegation.over, "an attempt is lost after the end");
                must!(delegation.missing() > 0, "it is lost, and has all");
                let had_it = delegation.open.remove(attempt).is_some();
                let machine = delegation.machine_of(*attempt);
                // What one of two owed is still owed by the other.
                let failed = match delegation.open.is_empty() {
                    false => {
                        must!(had_it, "an attempt is lost that holds nothing");
                        let epoch = delegation.attempts[attempt].epoch;
                        delegation.lost_one.insert((epoch, *attempt));
                        1
                    }
                    true => {
                        must!(
                            !delegation.claims.is_empty(),
                            "it is lost, and nothing is checked"
                        );
                        delegation.lost = true;
                        delegation.missing() as u64
                    }
                };
                if had_it && failure.class.blames_operator() {
                    self.credit(machine, 0, failed);
                }
            }
            Body::Requeued {
                call,
                attempt,
                fault,
                reason: _,
            } => {
                let delegation = self.held(*call, *attempt)?;
                delegation.open.remove(attempt);
                must!(
                    delegation.open.is_empty(),
                    "it waits, and an attempt goes on"
                );
                let machine = delegation.machine_of(*attempt);
                self.credit(machine, 0, u64::from(*fault));
            }
            Body::Ended(ended) => {
                let delegation = self.delegation(ended.call)?;
                must!(!delegation.over, "I12: a delegation ends twice");
                let complete = delegation.come.len() == delegation.items.len();
                must!(
                    delegation.claims.is_empty() || ended.end == End::Cancelled,
                    "it ends while it is checked"
                );
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
                let missing = delegation.missing();
                let had_it = delegation.open.remove(&ended.attempt).is_some();
                must!(
                    delegation.open.is_empty() || complete || ended.end == End::Cancelled,
                    "one of two attempts ends it without its items"
                );
                delegation.open.clear();
                let machine = delegation.machine_of(ended.attempt).filter(|_| had_it);
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
                    // How long a late one took, nobody knows.
                    must!(
                        timed <= tally.ok,
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

    /// A value is to be checked; a check of it begins.
    fn claimed(&mut self, item: &Item) -> Result<(), String> {
        let delegation = self.spoken_of(item)?;
        must!(delegation.checked, "a claim of what is not checked");
        must!(item.outcome.is_ok(), "a claim without a value");
        let of = delegation.attempts[&item.attempt].clone();
        let attempt = (of.epoch, item.attempt);
        let twice = delegation.claims.insert(item.index, attempt).is_some();
        must!(!twice, "I1: an item is claimed twice");
        delegation.rest();
        let check = Delegation {
            items: vec![Value::Nil],
            maker: Some(of.machine.operator()),
            ..Delegation::default()
        };
        let call = item.call.check(item.index);
        let twice = self.delegations.insert(call, check).is_some();
        must!(!twice, "an item is checked twice");
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), String> {
        let delegation = self.delegation(item.call)?;
        let claim = delegation.claims.remove(&item.index);
        let verdict = delegation.verdicts.get(&item.index).copied();
        let delegation = self.spoken_of(item)?;
        let of = delegation.attempts[&item.attempt].clone();
        let attempt = (of.epoch, item.attempt);
        must!(
            claim.is_none_or(|claim| claim == attempt),
            "what was claimed is another's"
        );
        let holds = delegation.open.contains_key(&item.attempt);
        must!(
            holds || claim.is_some() || item.outcome.is_ok(),
            "I1: a late failure counts"
        );
        if delegation.checked {
            match &item.outcome {
                Ok(value) => {
                    must!(claim.is_some(), "I15: it counts without a check");
                    must!(
                        verdict == Some(true),
                        "I15: it counts, and nobody approved it"
                    );
                    let n = delegation.items[item.index as usize].as_int();
                    must!(
                        n.is_some_and(|n| *value == square(n, 0)),
                        "I15: a wrong value counts"
                    );
                }
                Err(error) if claim.is_some() => {
                    let class = match verdict {
                        Some(false) => ErrorClass::InvalidResult,
                        _ => ErrorClass::NoCapacity,
                    };
                    must!(error.class == class, "it is not what its check said");
                    must!(verdict != Some(true), "it was approved");
                }
                Err(_) => {}
            }
        }
        let twice = delegation.come.insert(item.index, attempt).is_some();
        must!(!twice, "I1: an item counts twice");
        delegation.failed |= item.outcome.is_err();
        delegation.rest();
        let machine = Some(of.machine);
        match &item.outcome {
            Ok(_) => self.credit(machine, 1, 0),
            Err(error) if error.class.blames_operator() => self.credit(machine, 0, 1),
            Err(_) => {}
        }
        if let (Some((call, index)), Ok(value)) = (item.call.checked(), &item.outcome) {
            let approved = value.get("ok") == Some(&Value::Bool(true));
            self.delegation(call)?.verdicts.insert(index, approved);
        }
        Ok(())
    }

    /// The delegation that an item is of: the attempt that it came from holds it, or held it and brings a
    /// value late.
    fn spoken_of(&mut self, item: &Item) -> Result<&mut Delegation, String> {
        let delegation = self.delegation(item.call)?;
        must!(!delegation.over, "I1: an item after the end");
        must!(
            (item.index as usize) < delegation.items.len(),
            "an item that it has not"
        );
        let had = delegation.attempts.contains_key(&item.attempt);
        must!(had, "I1: an item of an attempt that there was not");
        Ok(delegation)
    }

    /// Only trusted operators check, and none of them what it made.
    fn check_trust(&self, trusted: &BTreeSet<OperatorId>, body: &Body) -> Result<(), String> {
        let Body::Assigned(assigned) = body else {
            return Ok(());
        };
        let delegation = self.delegations.get(&assigned.call);
        let Some(maker) = delegation.and_then(|delegation| delegation.maker.as_ref()) else {
            return Ok(());
        };
        let operator = assigned.machine.operator();
        must!(
            trusted.contains(&operator),
            "I15: somebody checks who is not trusted"
        );
        must!(operator != *maker, "I15: somebody checks what it made");
        Ok(())
    }

    /// A value is written down as of the attempt whose machine sent it.
    fn check_said(
        &self,
        workflow: WorkflowId,
        said: &BTreeSet<(LeaseToken, u32)>,
        body: &Body,
    ) -> Result<(), String> {
        let (Body::Item(item) | Body::Claimed(item)) = body else {
            return Ok(());
        };
        let delegation = self.delegations.get(&item.call);
        let attempt = delegation.and_then(|of| of.attempts.get(&item.attempt));
        let token = LeaseToken {
            workflow,
            call: item.call,
            attempt: item.attempt,
            epoch: attempt.map_or(0, |attempt| attempt.epoch),
        };
        must!(
            said.contains(&(token, item.index)),
            "I1: an item that its machine has not sent"
        );
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
        match delegation.open.contains_key(&attempt) && !delegation.over {
            true => Ok(delegation),
            false => {
                let open = &delegation.open;
                Err(format!("I1: attempt {attempt} holds nothing: {open:?}"))
            }
        }
    }
}
