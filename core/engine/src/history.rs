//! A journal as its script went through it: the calls that it made, and what came of them.
//!
//! What a script may do follows from this and from nothing else, so it is what a VM is rebuilt from,
//! what a new revision is tried against, and what a fork is cut out of. It is read from records alone;
//! how far a script has been told, only the engine knows.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{
    Body, CallOp, End, Ended, Failure, Finish, ForkedFrom, Item, Record, RevisionHash, Seq,
};
use froben_model::{CallId, ErrorClass, ItemError, OperatorId, TimeMs, Value, WorkflowId};
use froben_script::{Call, Completion, Event};

use crate::calls::script_call;
use crate::workflow::Misfit;

/// What a workflow's script did and was told, in the journal's order.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub workflow: WorkflowId,
    pub pipeline: String,
    /// The one that the workflow keeps now.
    pub revision: RevisionHash,
    pub input: Value,
    pub seed: u64,
    /// When its script's time began.
    pub begun_ms: TimeMs,
    pub forked_from: Option<ForkedFrom>,
    /// Each with the record that holds it.
    pub calls: Vec<(Seq, Call)>,
    /// Each with the record that it comes from; the end of a delegation brings one for every item
    /// that had not come.
    pub completions: Vec<(Seq, Completion)>,
    next_seq: Seq,
    /// Delegations that are not over.
    open: BTreeMap<CallId, Open>,
    /// Delegations and children that the script cancelled.
    cancelled: BTreeSet<CallId>,
    /// It was cancelled itself.
    given_up: bool,
}

/// A delegation that is not over.
#[derive(Debug, Clone, PartialEq)]
struct Open {
    /// Which items have come.
    items: Vec<bool>,
    /// Who has it, or had it last.
    /// By attempt.
    operators: BTreeMap<u32, OperatorId>,
}

impl History {
    /// Of a whole journal.
    ///
    /// *Errors*: records that do not follow each other.
    pub fn read<'a>(
        workflow: WorkflowId,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<History, Misfit> {
        let mut records = records.into_iter();
        let first = records.next().ok_or_else(|| Misfit {
            workflow,
            seq: 0,
            why: "it has no records".to_string(),
        })?;
        let mut history = History::begin(workflow, first)?;
        for record in records {
            history.follow(record.clone())?;
        }
        Ok(history)
    }

    /// Begins with the first record of a journal.
    pub fn begin(workflow: WorkflowId, first: &Record) -> Result<History, Misfit> {
        let Body::Submitted(submitted) = &first.body else {
            let why = "a workflow begins with `submitted`".to_string();
            return Err(Misfit {
                workflow,
                seq: 0,
                why,
            });
        };
        let froben_journal::Submitted {
            pipeline,
            revision,
            seeker: _,
            idempotency_key: _,
            input,
            seed,
            parent: _,
            forked_from,
            budget: _,
            wanted_by_ms: _,
        } = submitted.clone();
        let begun_ms = forked_from
            .as_ref()
            .map_or(first.time_ms, |from| from.begun_ms);
        Ok(History {
            workflow,
            pipeline,
            revision,
            input,
            seed,
            begun_ms,
            forked_from,
            calls: Vec::new(),
            completions: Vec::new(),
            next_seq: 1,
            open: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            given_up: false,
        })
    }

    /// Takes the next record.
    pub fn follow(&mut self, record: Record) -> Result<(), Misfit> {
        let (seq, now) = (self.next_seq, record.time_ms);
        let taken = match record.body {
            Body::Submitted(_) => Err("a workflow begins once".to_string()),
            Body::Called(called) => {
                match &called.op {
                    CallOp::Delegate(spec) => {
                        let open = Open {
                            items: vec![false; spec.items.len()],
                            operators: BTreeMap::new(),
                        };
                        self.open.insert(called.call, open);
                    }
                    CallOp::Cancel { target } => {
                        self.cancelled.insert(*target);
                    }
                    CallOp::Sleep { .. }
                    | CallOp::Status(_)
                    | CallOp::Log { .. }
                    | CallOp::Run { .. } => {}
                }
                self.calls.push((seq, script_call(called)));
                Ok(())
            }
            // What checks an item is no call of the script's, which hears of it only by the item.
            Body::Item(item) if item.call.checked().is_none() => self.item(seq, now, item),
            Body::Ended(ended) if ended.call.checked().is_none() => self.ended(seq, now, &ended),
            Body::Slept { call } => {
                self.completions.push((seq, slept(now, call)));
                Ok(())
            }
            Body::ChildEnded { call, finish } => {
                // Whoever cancelled it, the script was told, unless it was cancelled itself by then. Where it
                // had returned, a replay has too.
                if finish != Finish::Cancelled || !self.given_up || self.cancelled.contains(&call) {
                    self.completions.push((seq, child_ended(now, call, finish)));
                }
                Ok(())
            }
            Body::Migrated { revision } => {
                self.revision = revision;
                Ok(())
            }
            Body::Assigned(assigned) => {
                if let Some(open) = self.open.get_mut(&assigned.call) {
                    let operator = assigned.machine.operator();
                    open.operators.insert(assigned.attempt, operator);
                }
                Ok(())
            }
            Body::CancelRequested => {
                self.given_up = true;
                Ok(())
            }
            Body::Item(_)
            | Body::Ended(_)
            | Body::Claimed(_)
            | Body::Lost { .. }
            | Body::Started { .. }
            | Body::Requeued { .. }
            | Body::Finished(_)
            | Body::Logged { .. }
            | Body::Tallied(_)
            | Body::Paused
            | Body::Resumed => Ok(()),
        };
        self.next_seq += 1;
        taken.map_err(|why| Misfit {
            workflow: self.workflow,
            seq,
            why,
        })
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        const EACH: usize = 200;
        let calls = self.calls.iter().map(|(_, call)| match &call.op {
            froben_script::CallOp::Delegate(spec) => {
                let items = spec.items.iter().map(Value::weight);
                EACH + spec.input.weight() + items.sum::<usize>()
            }
            _ => EACH,
        });
        let completions = self.completions.iter().map(|(_, told)| match &told.event {
            Event::Item { outcome, .. } => EACH + outcome.as_ref().map_or(0, Value::weight),
            _ => EACH,
        });
        calls.chain(completions).sum()
    }

    fn item(&mut self, seq: Seq, now: TimeMs, item: Item) -> Result<(), String> {
        let Some(open) = self.open.get_mut(&item.call) else {
            return Err(format!("there is no open delegation {}", item.call));
        };
        match open.items.get_mut(item.index as usize) {
            Some(came @ false) => *came = true,
            Some(true) => {
                let (index, call) = (item.index, item.call);
                return Err(format!("item {index} of {call} is there twice"));
            }
            None => {
                let (index, call) = (item.index, item.call);
                return Err(format!("delegation {call} has no item {index}"));
            }
        }
        let operator = open.operators.get(&item.attempt).cloned();
        let told = item_came(now, item, operator);
        self.completions.push((seq, told));
        Ok(())
    }

    fn ended(&mut self, seq: Seq, now: TimeMs, ended: &Ended) -> Result<(), String> {
        let open = self
            .open
            .remove(&ended.call)
            .ok_or_else(|| format!("there is no open delegation {}", ended.call))?;
        if ended.end == End::Cancelled && !self.cancelled.contains(&ended.call) {
            // The workflow's end took it away: its script was gone and was not told.
            return Ok(());
        }
        let missing = (0u32..).zip(open.items).filter(|(_, came)| !came);
        let missing = missing.map(|(index, _)| index);
        let told = delegation_ended(now, ended, missing).map(|completion| (seq, completion));
        self.completions.extend(told);
        Ok(())
    }
}

/// What a script is told when a timer has rung.
pub(crate) fn slept(at_ms: TimeMs, call: CallId) -> Completion {
    let event = Event::Slept;
    Completion { call, event, at_ms }
}

/// What a script is told of an item, and of the operator who had it.
pub(crate) fn item_came(at_ms: TimeMs, item: Item, operator: Option<OperatorId>) -> Completion {
    let Item {
        call,
        attempt: _,
        index,
        outcome,
        device: _,
        usage: _,
    } = item;
    let event = Event::Item {
        index,
        outcome,
        operator,
    };
    Completion { call, event, at_ms }
}

/// What a script is told when a delegation is over: of each item that is `missing`, then of the end.
pub(crate) fn delegation_ended(
    at_ms: TimeMs,
    ended: &Ended,
    missing: impl Iterator<Item = u32>,
) -> impl Iterator<Item = Completion> {
    let call = ended.call;
    let failure = ended.failure.clone().unwrap_or_else(|| ItemError {
        class: ErrorClass::WorkerFailed,
        message: "the delegation ended without this item".to_string(),
        operator: None,
    });
    let items = missing.map(move |index| Event::Item {
        index,
        outcome: Err(failure.clone()),
        operator: failure.operator.clone(),
    });
    let events = items.chain(std::iter::once(Event::Ended));
    events.map(move |event| Completion { call, event, at_ms })
}

/// What a script is told when a workflow that it runs is over.
pub(crate) fn child_ended(at_ms: TimeMs, call: CallId, finish: Finish) -> Completion {
    let outcome = match finish {
        Finish::Output(output) => Ok(output),
        Finish::Failed(failure) => Err(failure),
        Finish::Cancelled => Err(Failure {
            code: "FRB-WFL-010".to_string(),
            message: "the child was cancelled".to_string(),
        }),
    };
    let event = Event::ChildEnded { outcome };
    Completion { call, event, at_ms }
}
