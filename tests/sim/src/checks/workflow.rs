//! One workflow, as its records tell it from outside: what may follow what.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Body, CallOp, End, Finish, Record, RevisionHash, Seq};
use froben_model::{Amount, CallId, MachineId, SeekerId, TimeMs, WorkflowId};

use super::delegation::{Attempt, Delegation};

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) records: u64,
    pub(super) seeker: Option<SeekerId>,
    pub(super) revision: Option<RevisionHash>,
    pub(super) delegations: BTreeMap<CallId, Delegation>,
    pub(super) children: BTreeMap<CallId, bool>,
    pub(super) parent: Option<WorkflowId>,
    pub(super) budget: Option<Amount>,
    /// So many records behind the first tell of the workflow that it is a fork of.
    carried: u64,
    /// Calls that the script has given up.
    pub(super) given_up: BTreeSet<CallId>,
    pub(super) paused: bool,
    /// When it was submitted, or resumed: waits begin anew then.
    pub(super) begun_ms: TimeMs,
    /// When the timers of its script ring that have not.
    pub(super) sleeps: BTreeMap<CallId, TimeMs>,
    /// The time of the latest record.
    pub(super) now_ms: TimeMs,
    /// What its machines have done: items that have a value, and those that count against them.
    pub(super) credit: BTreeMap<MachineId, (u64, u64)>,
    pub(super) calls: u64,
    pub(super) cancelled: bool,
    pub(super) finish: Option<Finish>,
}

impl Seen {
    /// Whether a record tells of the workflow that this one is a fork of.
    pub(super) fn is_carried(&self, seq: Seq) -> bool {
        (1..=self.carried).contains(&seq)
    }

    /// Whether the record that is being taken in is such a one.
    pub(super) fn carries(&self) -> bool {
        self.is_carried(self.records - 1)
    }

    /// Takes the next record in.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), String> {
        self.now_ms = record.time_ms;
        let tallied = matches!(record.body, Body::Tallied(_));
        must!(
            self.finish.is_none() || tallied,
            "I12: something happens after the end"
        );
        match &record.body {
            Body::Submitted(submitted) => {
                must!(self.records == 1, "it is submitted twice");
                self.begun_ms = record.time_ms;
                self.revision = Some(submitted.revision);
                self.seeker = Some(submitted.seeker.clone());
                self.parent = submitted.parent.map(|parent| parent.workflow);
                self.budget = submitted.budget;
                let from = submitted.forked_from.as_ref();
                self.carried = from.map_or(0, |from| from.carried);
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
                        let delegation = Delegation::of(spec.clone(), record.time_ms);
                        self.delegations.insert(called.call, delegation);
                    }
                    CallOp::Sleep { ms } => {
                        self.sleeps.insert(called.call, record.time_ms + ms);
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
                let carried = self.carries();
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
                    deadline_ms: assigned.deadline_ms,
                    price: if carried {
                        Amount::ZERO
                    } else {
                        assigned.price
                    },
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
                let carried = self.carries();
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
                            !delegation.claims.is_empty() || carried,
                            "it is lost, and nothing is checked"
                        );
                        delegation.lost = true;
                        delegation.missing() as u64
                    }
                };
                if had_it && failure.blames_operator() {
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
                if delegation.maker.is_some() {
                    // The wait of a check may begin anew.
                    delegation.queued_ms = record.time_ms;
                }
                let machine = delegation.machine_of(*attempt);
                self.credit(machine, 0, u64::from(*fault));
            }
            Body::Ended(ended) => {
                let delegation = self.delegation(ended.call)?;
                must!(!delegation.over, "I12: a delegation ends twice");
                let complete = delegation.come.len() == delegation.spec.items.len();
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
                if failure.is_some_and(|failure| failure.blames_operator()) {
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
                must!(Some(*revision) != self.revision, "it keeps that already");
                self.revision = Some(*revision);
            }
            Body::Slept { call } => {
                let due = self.sleeps.remove(call);
                must!(
                    due.is_some_and(|due| due <= record.time_ms),
                    "I6: a timer rings too early, or twice"
                );
            }
            Body::Logged { .. } => {}
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
            Body::Resumed => {
                self.paused = false;
                self.begun_ms = record.time_ms;
            }
        }
        Ok(())
    }

    pub(super) fn credit(&mut self, machine: Option<MachineId>, ok: u64, failed: u64) {
        if let Some(machine) = machine.filter(|_| ok + failed > 0 && !self.carries()) {
            let credit = self.credit.entry(machine).or_default();
            credit.0 += ok;
            credit.1 += failed;
        }
    }

    /// What the script gives up is over in the same batch.
    pub(super) fn cancels_are_done(&self) -> Result<(), String> {
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

    pub(super) fn delegation(&mut self, call: CallId) -> Result<&mut Delegation, String> {
        let delegation = self.delegations.get_mut(&call);
        let delegation = delegation.ok_or_else(|| format!("call {call} is no delegation"))?;
        delegation.told_ms = self.now_ms;
        Ok(delegation)
    }

    pub(super) fn held(&mut self, call: CallId, attempt: u32) -> Result<&mut Delegation, String> {
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
