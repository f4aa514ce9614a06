//! What a coordinator has done, in numbers: for whoever watches it from outside.
//!
//! Records are counted when they are on disk, by the committer, so no figure is ahead of the journal. What
//! is paid is counted by the postings beside them, so no figure says anything else than the ledger.
//! Nothing decides on them, and there are only so many: no id is in them, and of kinds, which scripts
//! make up, the first [`KINDS`] have their own and all others one together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use froben_journal::{Body, CallOp, End, Finish, Record, Seq};
use froben_model::trail::Fault;
use froben_model::view::DelegationState;
use froben_model::{Amount, CallId, ErrorClass, Kind, TimeMs, WorkflowId};

use crate::effect::{Answer, Effect, Receipt};
use crate::engine::{Engine, Step};

/// Kinds that have figures of their own.
const KINDS: usize = 100;
/// What all other kinds are counted as.
const OTHER: &str = "other";

/// Upper bounds of a histogram's buckets in milliseconds; above the last one is one more.
pub const BOUNDS_MS: [u64; 14] = [
    1, 5, 10, 50, 100, 250, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000,
];

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// One for each of [`BOUNDS_MS`], and one above.
    pub buckets: [u64; BOUNDS_MS.len() + 1],
    pub count: u64,
    pub sum: Duration,
}

impl Histogram {
    pub(crate) fn add(&mut self, took: Duration) {
        let fits = |bound: &u64| took <= Duration::from_millis(*bound);
        let bucket = BOUNDS_MS.iter().position(fits);
        self.buckets[bucket.unwrap_or(BOUNDS_MS.len())] += 1;
        self.count += 1;
        self.sum += took;
    }

    fn add_ms(&mut self, from: TimeMs, to: TimeMs) {
        self.add(Duration::from_millis(to.saturating_sub(from)));
    }
}

/// How an attempt ended, and who answers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Succeeded,
    /// It was given back before it began, or by a restart.
    Requeued(Fault),
    Failed(ErrorClass, Fault),
    /// Every item came, and some as errors.
    Partly,
}

const CANCELLED: Outcome = Outcome::Failed(ErrorClass::Cancelled, Fault::Workflow);

/// Of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfKind {
    pub attempts: BTreeMap<Outcome, u64>,
    /// Delegations that are over, by how they ended.
    pub ended: BTreeMap<&'static str, u64>,
    pub items_ok: u64,
    pub items_failed: u64,
    /// What operators were paid for items, as the ledger has it.
    pub credited: Amount,
    /// From the call, or the end of the attempt before, to an assignment.
    pub queue: Histogram,
    /// From an assignment until the machine took it.
    pub answer: Histogram,
    /// From an assignment to the end of its attempt.
    pub run: Histogram,
    pub queued_now: u64,
    pub reserved_now: u64,
    /// Attempts that were made beside another one of the same delegation; those of them that ended it with
    /// all of its items, and those that did not.
    pub hedges: u64,
    pub hedges_won: u64,
    pub hedges_wasted: u64,
}

/// All of it, since the coordinator started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub kinds: BTreeMap<String, OfKind>,
    pub submitted: u64,
    /// Workflows that are over, by how they ended.
    pub finished: BTreeMap<&'static str, u64>,
    pub workflow: Histogram,
    /// Messages about attempts that hold nothing any more.
    pub stale: u64,
    pub records: u64,
    pub commit: Histogram,
}

struct Open {
    kind: String,
    /// Of what checks its items, if anything does.
    check: Option<Kind>,
    /// Items that have neither come nor been claimed.
    missing: usize,
    claimed: BTreeSet<u32>,
    /// It waits for a machine.
    queued: bool,
    waiting_since: TimeMs,
    /// Those that hold a reservation.
    attempts: BTreeMap<u32, Running>,
}

struct Running {
    assigned_ms: TimeMs,
    /// Whether an item of it was an error.
    failed: bool,
    /// Whether it was made beside another one.
    hedge: bool,
}

/// Counts.
#[derive(Default)]
pub(crate) struct Counter {
    figures: Figures,
    open: BTreeMap<(WorkflowId, CallId), Open>,
    began: HashMap<WorkflowId, TimeMs>,
    /// Forks whose first records are another workflow's: up to which.
    carried: HashMap<WorkflowId, Seq>,
}

impl Counter {
    /// One that knows what `engine` has recovered: what began before a restart ends behind it.
    pub(crate) fn of(engine: &Engine) -> Counter {
        let mut counter = Counter::default();
        for (id, workflow) in &engine.live {
            counter.began.insert(*id, workflow.submitted_ms);
            for call in workflow.open_delegations() {
                let delegation = &workflow.delegations[&call];
                let (spec, queued_ms) = (&delegation.spec, delegation.queued_ms);
                let missing = delegation.missing() as usize;
                counter.begin(
                    (*id, call),
                    &spec.kind,
                    spec.check.as_ref(),
                    missing,
                    queued_ms,
                );
                if delegation.state == DelegationState::Checking {
                    counter.leave_queue((*id, call));
                }
                for open in &delegation.attempts {
                    counter.assigned((*id, call), open.number, open.assigned_ms);
                }
            }
        }
        counter
    }

    pub(crate) fn figures(&self) -> Figures {
        self.figures.clone()
    }

    /// Counts what is on disk now, and took so long to be.
    pub(crate) fn count(&mut self, step: &Step, took: Duration) {
        let Step {
            batch,
            effects,
            paid,
        } = step;
        let stale = |effect: &&Effect| {
            matches!(
                effect,
                Effect::Reply {
                    answer: Answer::Receipt(Receipt::Stale),
                    ..
                }
            )
        };
        self.figures.stale += effects.iter().filter(stale).count() as u64;
        if !batch.is_empty() {
            self.figures.records += batch.records.len() as u64;
            self.figures.commit.add(took);
        }
        for (workflow, seq, record) in &batch.records {
            self.see(*workflow, *seq, record);
        }
        for (kind, amount) in paid {
            self.credited(kind, *amount);
        }
    }

    fn credited(&mut self, kind: &Kind, amount: Amount) {
        let kind = self.kind(kind.as_str());
        let figures = self.figures.kinds.entry(kind).or_default();
        figures.credited = figures.credited.saturating_add(amount);
    }

    fn kind(&self, name: &str) -> String {
        let kinds = &self.figures.kinds;
        let known = kinds.contains_key(name) || kinds.len() < KINDS;
        if known { name } else { OTHER }.to_owned()
    }

    fn begin(
        &mut self,
        key: (WorkflowId, CallId),
        kind: &Kind,
        check: Option<&Kind>,
        missing: usize,
        waiting_since: TimeMs,
    ) {
        let kind = self.kind(kind.as_str());
        let figures = self.figures.kinds.entry(kind.clone()).or_default();
        figures.queued_now += 1;
        let open = Open {
            kind,
            check: check.cloned(),
            missing,
            claimed: BTreeSet::new(),
            queued: true,
            waiting_since,
            attempts: BTreeMap::new(),
        };
        self.open.insert(key, open);
    }

    fn see(&mut self, workflow: WorkflowId, seq: Seq, record: &Record) {
        let now = record.time_ms;
        if let Body::Submitted(submitted) = &record.body {
            self.figures.submitted += 1;
            self.began.insert(workflow, now);
            if let Some(from) = &submitted.forked_from {
                self.carried.insert(workflow, from.carried);
            }
        }
        match self.carried.get(&workflow) {
            Some(carried) if seq <= *carried => return,
            Some(_) => drop(self.carried.remove(&workflow)),
            None => {}
        }
        match &record.body {
            Body::Called(called) => {
                if let CallOp::Delegate(spec) = &called.op {
                    let key = (workflow, called.call);
                    self.begin(key, &spec.kind, spec.check.as_ref(), spec.items.len(), now);
                }
            }
            Body::Assigned(assigned) => {
                self.assigned((workflow, assigned.call), assigned.attempt, now);
            }
            Body::Started { call, attempt } => {
                if let Some((figures, open)) = self.of_open((workflow, *call))
                    && let Some(running) = open.attempts.get(attempt)
                {
                    figures.answer.add_ms(running.assigned_ms, now);
                }
            }
            Body::Item(item) => {
                if let Some((figures, open)) = self.of_open((workflow, item.call)) {
                    match &item.outcome {
                        Ok(_) => figures.items_ok += 1,
                        Err(_) => {
                            figures.items_failed += 1;
                            let running = open.attempts.get_mut(&item.attempt);
                            running
                                .into_iter()
                                .for_each(|running| running.failed = true);
                        }
                    }
                }
                self.came((workflow, item.call), item.attempt, item.index, now);
            }
            Body::Claimed(item) => {
                let key = (workflow, item.call);
                let check = self.open.get(&key).and_then(|open| open.check.clone());
                if let Some(check) = check {
                    let key = (workflow, item.call.check(item.index));
                    self.begin(key, &check, None, 1, now);
                }
                if let Some(open) = self.open.get_mut(&key) {
                    open.claimed.insert(item.index);
                    open.missing = open.missing.saturating_sub(1);
                }
                self.wait_for_checks(key, item.attempt, now);
            }
            Body::Requeued {
                call,
                attempt,
                reason: _,
                fault,
            } => {
                let fault = match fault {
                    true => Fault::Operator,
                    false => Fault::Platform,
                };
                let key = (workflow, *call);
                let over = self.attempt_over(key, *attempt, now, |_| Outcome::Requeued(fault));
                if let Some((figures, open)) = self.of_open(key)
                    && over
                    && open.attempts.is_empty()
                {
                    figures.queued_now += 1;
                    open.queued = true;
                    open.waiting_since = now;
                }
            }
            Body::Lost {
                call,
                attempt,
                failure,
            } => {
                // As in a trail: it did not take it, or the coordinator was restarted.
                let outcome = match failure.class {
                    ErrorClass::NoCapacity => Outcome::Requeued(Fault::Platform),
                    class => Outcome::Failed(class, failure.fault()),
                };
                let key = (workflow, *call);
                self.attempt_over(key, *attempt, now, |_| outcome);
                if let Some(open) = self.open.get(&key)
                    && open.attempts.is_empty()
                {
                    self.leave_queue(key);
                }
            }
            Body::Ended(ended) => self.ended(workflow, now, ended),
            Body::Finished(finish) => self.finished(workflow, now, finish),
            Body::Submitted(_)
            | Body::Slept { .. }
            | Body::CancelRequested
            | Body::Logged { .. }
            | Body::ChildEnded { .. }
            | Body::Tallied(_)
            | Body::Paused
            | Body::Resumed
            | Body::Migrated { .. } => {}
        }
    }

    fn of_open(&mut self, key: (WorkflowId, CallId)) -> Option<(&mut OfKind, &mut Open)> {
        let open = self.open.get_mut(&key)?;
        let figures = self.figures.kinds.get_mut(&open.kind)?;
        Some((figures, open))
    }

    fn assigned(&mut self, key: (WorkflowId, CallId), attempt: u32, now: TimeMs) {
        if let Some((figures, open)) = self.of_open(key) {
            if open.attempts.is_empty() {
                figures.queue.add_ms(open.waiting_since, now);
                figures.queued_now = figures.queued_now.saturating_sub(1);
                open.queued = false;
            }
            figures.reserved_now += 1;
            let hedge = !open.attempts.is_empty();
            figures.hedges += u64::from(hedge);
            let running = Running {
                assigned_ms: now,
                failed: false,
                hedge,
            };
            open.attempts.insert(attempt, running);
        }
    }

    /// It waits for a machine no more, and has none.
    fn leave_queue(&mut self, key: (WorkflowId, CallId)) {
        if let Some((figures, open)) = self.of_open(key)
            && std::mem::replace(&mut open.queued, false)
        {
            figures.queued_now = figures.queued_now.saturating_sub(1);
        }
    }

    /// An item is in; one that was claimed is settled.
    fn came(&mut self, key: (WorkflowId, CallId), attempt: u32, index: u32, now: TimeMs) {
        if let Some(open) = self.open.get_mut(&key) {
            if !open.claimed.remove(&index) {
                open.missing = open.missing.saturating_sub(1);
            }
            self.wait_for_checks(key, attempt, now);
        }
    }

    /// If nothing is missing but verdicts, no attempt goes on: the one that brought the last item ends well.
    fn wait_for_checks(&mut self, key: (WorkflowId, CallId), by: u32, now: TimeMs) {
        let Some(open) = self.open.get(&key) else {
            return;
        };
        if open.missing > 0 || open.claimed.is_empty() {
            return;
        }
        for attempt in open.attempts.keys().copied().collect::<Vec<_>>() {
            self.attempt_over(key, attempt, now, |running| match running.failed {
                _ if attempt != by => CANCELLED,
                true => Outcome::Partly,
                false => Outcome::Succeeded,
            });
        }
        self.leave_queue(key);
    }

    /// Whether the attempt held a reservation.
    fn attempt_over(
        &mut self,
        key: (WorkflowId, CallId),
        attempt: u32,
        now: TimeMs,
        outcome: impl FnOnce(&Running) -> Outcome,
    ) -> bool {
        let Some((figures, open)) = self.of_open(key) else {
            return false;
        };
        let Some(running) = open.attempts.remove(&attempt) else {
            return false;
        };
        figures.reserved_now = figures.reserved_now.saturating_sub(1);
        figures.run.add_ms(running.assigned_ms, now);
        let outcome = outcome(&running);
        match outcome {
            Outcome::Succeeded | Outcome::Partly => figures.hedges_won += u64::from(running.hedge),
            Outcome::Requeued(_) | Outcome::Failed(..) => {
                figures.hedges_wasted += u64::from(running.hedge);
            }
        }
        *figures.attempts.entry(outcome).or_default() += 1;
        true
    }

    fn ended(&mut self, workflow: WorkflowId, now: TimeMs, ended: &froben_journal::Ended) {
        let key = (workflow, ended.call);
        let Some((figures, open)) = self.of_open(key) else {
            return;
        };
        let name = match ended.end {
            End::Succeeded => "succeeded",
            End::Failed => "failed",
            End::TimedOut => "timed_out",
            End::Cancelled => "cancelled",
        };
        *figures.ended.entry(name).or_default() += 1;
        if open.queued {
            figures.queued_now = figures.queued_now.saturating_sub(1);
        }
        let failure = ended.failure.as_ref();
        self.attempt_over(key, ended.attempt, now, |running| match failure {
            Some(failure) => Outcome::Failed(failure.class, failure.fault()),
            None if running.failed => Outcome::Partly,
            None => Outcome::Succeeded,
        });
        let others = self.open.get(&key);
        let others: Vec<u32> = others.map_or(Vec::new(), |o| o.attempts.keys().copied().collect());
        for other in others {
            self.attempt_over(key, other, now, |_| CANCELLED);
        }
        self.open.remove(&key);
    }

    fn finished(&mut self, workflow: WorkflowId, now: TimeMs, finish: &Finish) {
        let name = match finish {
            Finish::Output(_) => "succeeded",
            Finish::Failed(_) => "failed",
            Finish::Cancelled => "cancelled",
        };
        *self.figures.finished.entry(name).or_default() += 1;
        if let Some(began) = self.began.remove(&workflow) {
            self.figures.workflow.add_ms(began, now);
        }
    }
}

#[cfg(test)]
mod tests;
