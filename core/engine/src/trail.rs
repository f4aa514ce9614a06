//! A journal as trails: what became of each delegation, attempt by attempt.
//!
//! A fold over the records and nothing else, so a workflow that is over has the same trails as one that
//! lives, and none is ahead of the disk. It decides nothing and holds no value of an item.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Body, CallOp, End, Record, Seq};
use froben_model::trail::{
    AttemptEnd, AttemptTrail, Cause, Claimed, DelegationTrail, TrailPage, TrailQuery,
};
use froben_model::view::{DelegationState, LogLine};
use froben_model::{CallId, ErrorClass, Kind, MachineId, Needs, TimeMs, WorkflowId};

use crate::checks;

/// Lines of an attempt's log that its trail has: the last ones.
const LOG_TAIL: usize = 8;

/// Trails of one workflow, so far.
#[derive(Default)]
pub(crate) struct Trails {
    delegations: BTreeMap<CallId, Trail>,
    /// Where a fork comes from, and how many records behind the first are that one's.
    kept: Option<(WorkflowId, u64)>,
}

struct Trail {
    shown: DelegationTrail,
    /// The kind that approves its items.
    check: Option<Kind>,
    /// Items that wait for that.
    unsettled: BTreeSet<u32>,
    /// Since when it has been waiting for a machine.
    waiting_since: TimeMs,
}

impl Trail {
    fn new(
        call: CallId,
        key: String,
        kind: Kind,
        needs: Needs,
        items: usize,
        now: TimeMs,
    ) -> Trail {
        let shown = DelegationTrail {
            call,
            key,
            kind,
            state: DelegationState::Queued,
            needs,
            items_total: u32::try_from(items).unwrap_or(u32::MAX),
            items_ok: 0,
            items_failed: 0,
            queued_ms: now,
            ended_ms: None,
            cause: None,
            kept_from: None,
            attempts: Vec::new(),
        };
        Trail {
            shown,
            check: None,
            unsettled: BTreeSet::new(),
            waiting_since: now,
        }
    }

    /// The open attempt of this number.
    fn attempt(&mut self, number: u32) -> Option<&mut AttemptTrail> {
        let mut attempts = self.shown.attempts.iter_mut().rev();
        attempts.find(|a| a.number == number && a.end == AttemptEnd::Open)
    }

    /// If nothing is missing but verdicts, no attempt goes on; the one that brought the last item was good.
    fn wait_for_checks(&mut self, now: TimeMs, last: u32) {
        let shown = &mut self.shown;
        let came = shown.items_ok + shown.items_failed + self.unsettled.len() as u32;
        if self.unsettled.is_empty() || came < shown.items_total {
            return;
        }
        shown.state = DelegationState::Checking;
        let open = shown.attempts.iter_mut();
        for attempt in open.filter(|attempt| attempt.end == AttemptEnd::Open) {
            attempt.ended_ms = Some(now);
            attempt.end = match attempt.number == last {
                true => AttemptEnd::Succeeded,
                false => AttemptEnd::Cancelled,
            };
        }
    }

    /// Ends an attempt, if it is open; gives the cause back if it is not.
    fn close(
        &mut self,
        now: TimeMs,
        number: u32,
        end: AttemptEnd,
        cause: Option<Cause>,
    ) -> Option<Cause> {
        let Some(attempt) = self.attempt(number) else {
            return cause;
        };
        attempt.ended_ms = Some(now);
        attempt.end = end;
        // Without a failure of the whole, what the first item failed of stays.
        attempt.cause = cause.or_else(|| attempt.cause.take());
        None
    }
}

impl Trails {
    /// Takes the next record. One that does not fit is passed over: whether a journal holds together is
    /// held elsewhere.
    pub(crate) fn apply(&mut self, seq: Seq, record: &Record) {
        let now = record.time_ms;
        match &record.body {
            Body::Submitted(submitted) => {
                let from = submitted.forked_from.as_ref();
                self.kept = from.map(|from| (from.workflow, from.carried));
            }
            Body::Called(called) => {
                if let CallOp::Delegate(spec) = &called.op {
                    let kept = self.kept.filter(|(_, carried)| seq <= *carried);
                    let (key, kind) = (spec.key.clone(), spec.kind.clone());
                    let items = spec.items.len();
                    let mut trail = Trail::new(called.call, key, kind, spec.needs, items, now);
                    trail.shown.kept_from = kept.map(|(workflow, _)| workflow);
                    trail.check.clone_from(&spec.check);
                    self.delegations.insert(called.call, trail);
                }
            }
            Body::Assigned(assigned) => self.assigned(now, assigned),
            Body::Started { call, attempt } => {
                if let Some(trail) = self.delegations.get_mut(call)
                    && let Some(open) = trail.attempt(*attempt)
                {
                    open.started_ms = Some(now);
                    trail.shown.state = DelegationState::Running;
                }
            }
            Body::Item(item) => self.item(now, item),
            Body::Claimed(item) => self.claimed(now, item),
            Body::Requeued {
                call,
                attempt,
                reason,
                fault,
            } => {
                if let Some(trail) = self.delegations.get_mut(call) {
                    let cause = Cause::given_back(reason.clone(), *fault);
                    trail.close(now, *attempt, AttemptEnd::Requeued, Some(cause));
                    trail.waiting_since = now;
                    trail.shown.state = DelegationState::Queued;
                }
            }
            Body::Lost {
                call,
                attempt,
                failure,
            } => {
                if let Some(trail) = self.delegations.get_mut(call) {
                    let cause = Cause::of_attempt(failure);
                    let end = match failure.class {
                        // It did not take it, or the coordinator was restarted.
                        ErrorClass::NoCapacity => AttemptEnd::Requeued,
                        ErrorClass::Cancelled => AttemptEnd::Cancelled,
                        ErrorClass::Timeout => AttemptEnd::TimedOut,
                        _ => AttemptEnd::Failed,
                    };
                    trail.close(now, *attempt, end, Some(cause));
                    let mut attempts = trail.shown.attempts.iter();
                    if attempts.all(|attempt| attempt.end != AttemptEnd::Open) {
                        trail.shown.state = DelegationState::Checking;
                    }
                }
            }
            Body::Ended(ended) => self.ended(now, ended),
            Body::Logged { source, text, of } => self.logged(seq, now, source, text, *of),
            Body::Slept { .. }
            | Body::CancelRequested
            | Body::Finished(_)
            | Body::ChildEnded { .. }
            | Body::Tallied(_)
            | Body::Paused
            | Body::Resumed
            | Body::Migrated { .. } => {}
        }
    }

    fn assigned(&mut self, now: TimeMs, assigned: &froben_journal::Assigned) {
        let froben_journal::Assigned {
            call,
            attempt,
            epoch: _,
            machine,
            device,
            deadline_ms: _,
            cpu_cores,
            ram_bytes,
            vram_bytes,
            price,
        } = assigned;
        let Some(trail) = self.delegations.get_mut(call) else {
            return;
        };
        let told = *cpu_cores > 0 || *ram_bytes > 0 || *vram_bytes > 0 || !price.is_zero();
        let mut attempts = trail.shown.attempts.iter();
        let queued_ms = match attempts.any(|a| a.end == AttemptEnd::Open) {
            // Another one goes on, and this one did not wait.
            true => now,
            false => {
                trail.shown.state = DelegationState::Assigned;
                trail.waiting_since
            }
        };
        trail.shown.attempts.push(AttemptTrail {
            number: *attempt,
            machine: machine.clone(),
            device: device.clone(),
            claimed: told.then_some(Claimed {
                cpu_cores: *cpu_cores,
                ram_bytes: *ram_bytes,
                vram_bytes: *vram_bytes,
                price: *price,
            }),
            queued_ms,
            assigned_ms: now,
            started_ms: None,
            items_ok: 0,
            items_failed: 0,
            first_item_ms: None,
            last_item_ms: None,
            ended_ms: None,
            end: AttemptEnd::Open,
            cause: None,
            log: Vec::new(),
        });
    }

    /// An item waits for its check, which is a delegation that no script has made. It counts when its verdict
    /// is there.
    fn claimed(&mut self, now: TimeMs, item: &froben_journal::Item) {
        let Some(trail) = self.delegations.get_mut(&item.call) else {
            return;
        };
        trail.unsettled.insert(item.index);
        if let Some(attempt) = trail.attempt(item.attempt) {
            attempt.first_item_ms.get_or_insert(now);
            attempt.last_item_ms = Some(now);
        }
        trail.wait_for_checks(now, item.attempt);
        if let Some(kind) = trail.check.clone() {
            let (call, key) = (item.call.check(item.index), &trail.shown.key);
            let key = format!("{key}/check/{}", item.index);
            let check = Trail::new(call, key, kind, checks::needs(), 1, now);
            self.delegations.insert(call, check);
        }
    }

    fn item(&mut self, now: TimeMs, item: &froben_journal::Item) {
        let Some(trail) = self.delegations.get_mut(&item.call) else {
            return;
        };
        let ok = item.outcome.is_ok();
        trail.shown.items_ok += u32::from(ok);
        trail.shown.items_failed += u32::from(!ok);
        // An attempt that is over may bring an item late, or hear late of what its check said.
        let settled = trail.unsettled.remove(&item.index);
        let mut attempts = trail.shown.attempts.iter_mut();
        if let Some(attempt) = attempts.find(|attempt| attempt.number == item.attempt) {
            attempt.items_ok += u32::from(ok);
            attempt.items_failed += u32::from(!ok);
            if !settled {
                attempt.first_item_ms.get_or_insert(now);
                attempt.last_item_ms = Some(now);
            }
            if item.device.is_some() {
                attempt.device.clone_from(&item.device);
            }
            if let Err(error) = &item.outcome {
                let cause = || Cause::of(error.class, error.message.clone());
                attempt.cause.get_or_insert_with(cause);
                if attempt.end == AttemptEnd::Succeeded {
                    attempt.end = AttemptEnd::Failed;
                }
            }
        }
        trail.wait_for_checks(now, item.attempt);
    }

    fn ended(&mut self, now: TimeMs, ended: &froben_journal::Ended) {
        let Some(trail) = self.delegations.get_mut(&ended.call) else {
            return;
        };
        let (state, end) = match ended.end {
            End::Succeeded => (DelegationState::Succeeded, AttemptEnd::Succeeded),
            End::Failed => (DelegationState::Failed, AttemptEnd::Failed),
            End::TimedOut => (DelegationState::TimedOut, AttemptEnd::TimedOut),
            End::Cancelled => (DelegationState::Cancelled, AttemptEnd::Cancelled),
        };
        let failure = ended.failure.as_ref();
        let cause = failure.map(Cause::of_attempt);
        // Its items came from others, late: it was stopped.
        let end = match trail.attempt(ended.attempt) {
            Some(attempt) if end == AttemptEnd::Succeeded && attempt.items_ok == 0 => {
                AttemptEnd::Cancelled
            }
            _ => end,
        };
        trail.shown.cause = trail.close(now, ended.attempt, end, cause);
        let others = trail.shown.attempts.iter_mut();
        for other in others.filter(|a| a.end == AttemptEnd::Open) {
            (other.end, other.ended_ms) = (AttemptEnd::Cancelled, Some(now));
        }
        trail.shown.state = state;
        trail.shown.ended_ms = Some(now);
        if failure.is_some() {
            let came = trail.shown.items_ok + trail.shown.items_failed;
            trail.shown.items_failed += trail.shown.items_total.saturating_sub(came);
        }
    }

    /// Journals of before format 4 name only the machine that wrote a line. It is an attempt's if the
    /// machine has one open attempt in this workflow; of several it could be any, and is left to
    /// `froben logs`.
    fn logged(
        &mut self,
        seq: Seq,
        now: TimeMs,
        source: &str,
        text: &str,
        of: Option<(CallId, u32)>,
    ) {
        let attempt = match of {
            Some((call, attempt)) => {
                let trail = self.delegations.get_mut(&call);
                trail.and_then(|trail| trail.attempt(attempt))
            }
            None => self.only_attempt_of(source),
        };
        if let Some(attempt) = attempt {
            if attempt.log.len() == LOG_TAIL {
                attempt.log.remove(0);
            }
            attempt.log.push(LogLine {
                seq,
                time_ms: now,
                source: source.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    fn only_attempt_of(&mut self, source: &str) -> Option<&mut AttemptTrail> {
        let machine = source.parse::<MachineId>().ok()?;
        let attempts = self
            .delegations
            .values_mut()
            .flat_map(|t| &mut t.shown.attempts);
        let mut open = attempts.filter(|a| a.end == AttemptEnd::Open && a.machine == machine);
        let only = open.next()?;
        open.next().is_none().then_some(only)
    }

    /// The delegations that are asked for.
    pub(crate) fn page(self, query: &TrailQuery) -> TrailPage {
        let wanted = self.delegations.into_values().filter(|trail| {
            let shown = &trail.shown;
            shown.call >= query.from && is_meant(shown, &query.which)
        });
        let shown = wanted.map(|trail| trail.shown);
        let mut shown = shown.filter(|trail| !query.failed || trail.had_failures());
        TrailPage {
            delegations: shown.by_ref().take(query.limit).collect(),
            next: shown.next().map(|trail| trail.call),
        }
    }

    /// Whether a delegation is called like this.
    pub(crate) fn knows(&self, which: &str) -> bool {
        which.is_empty() || self.delegations.values().any(|t| is_meant(&t.shown, which))
    }

    /// Keys, for whoever named one that is none: the first of them.
    pub(crate) fn keys(&self, count: usize) -> Vec<&str> {
        let keys = self.delegations.values().map(|t| t.shown.key.as_str());
        keys.take(count).collect()
    }
}

fn is_meant(trail: &DelegationTrail, which: &str) -> bool {
    let number = which.strip_prefix('#').unwrap_or(which).parse();
    let goes_on = || {
        let rest = trail.key.strip_prefix(which);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    which.is_empty() || number == Ok(trail.call.0) || goes_on()
}

#[cfg(test)]
mod tests;
