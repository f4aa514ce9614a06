//! What a workflow has called and what has come of it. Knows nothing of Lua.
//!
//! Everything that a script can observe passes through here in an order that is fixed: calls are
//! numbered as they are made, completions enter one at a time. The host never looks at a clock, and
//! what a script may do next depends only on what it has been given so far.

mod stream;

use std::collections::{HashMap, HashSet};

use froben_model::{CallId, ItemOutcome, OperatorId, TaskSpec};

use crate::limits::Limits;
use crate::random::Random;
use crate::signature::PipelineInfo;
use crate::{Code, Failure};
use stream::Stream;

/// One call of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// 1, 2, 3 ... in the order in which the script makes them.
    pub id: CallId,
    /// The line of the pipeline's file that led to it; 0 if unknown.
    pub line: u32,
    pub op: CallOp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CallOp {
    /// Completes with one [`Event::Item`] an item, then [`Event::Ended`].
    Delegate(TaskSpec),
    /// Completes with [`Event::Slept`].
    Sleep {
        ms: u64,
    },
    /// Nothing comes of it, like the two below.
    Status {
        phase: String,
        done: u64,
        total: u64,
    },
    Log {
        text: String,
    },
    /// The target still ends like any delegation, and may have ended already.
    Cancel {
        target: CallId,
    },
}

impl CallOp {
    fn weight(&self) -> usize {
        64 + match self {
            CallOp::Delegate(spec) => {
                let items: usize = spec.items.iter().map(|item| item.weight()).sum();
                spec.input.weight() + items + spec.key.len()
            }
            CallOp::Status { phase, .. } => phase.len(),
            CallOp::Log { text } => text.len(),
            CallOp::Sleep { .. } | CallOp::Cancel { .. } => 0,
        }
    }
}

/// Something came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub call: CallId,
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An item of a delegation ended.
    Item {
        /// Position in the delegation, from 0.
        index: u32,
        outcome: ItemOutcome,
        /// Who sent it; an error names its operator itself.
        operator: Option<OperatorId>,
    },
    /// The delegation is over. Every item has come by now.
    Ended,
    /// A sleep is over.
    Slept,
}

/// What a suspended script waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Ended(CallId),
    Slept(CallId),
    /// The next item of a stream.
    Item(usize),
}

/// Why a verb does not do what it was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Misuse: an error that the script may catch.
    Misuse(String),
    /// The workflow is stopped.
    Stop(Failure),
    Lua(mlua::Error),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Refusal::Misuse(message)
    }
}

impl From<mlua::Error> for Refusal {
    fn from(error: mlua::Error) -> Self {
        Refusal::Lua(error)
    }
}

/// An item that has come.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) outcome: ItemOutcome,
    pub(crate) operator: Option<OperatorId>,
}

struct Delegation {
    items: Vec<Option<Arrived>>,
    missing: usize,
    /// Where in `arrivals` its items are.
    arrived: Vec<usize>,
    ended: bool,
    cancelled: bool,
}

pub(crate) struct Host {
    limits: Limits,
    next_call: u64,
    /// Made since they were last taken.
    calls: Vec<Call>,
    delegations: HashMap<CallId, Delegation>,
    keys: HashMap<String, CallId>,
    sleeping: HashSet<CallId>,
    /// Every item that came, in order.
    arrivals: Vec<(CallId, u32)>,
    streams: Vec<Stream>,
    pub(crate) random: Random,
    /// Workflows that the file declared, by the number that its objects carry.
    pub(crate) declared: Vec<PipelineInfo>,
    /// Set once; the script runs no further.
    stop: Option<Failure>,
    journal_bytes: usize,
    step_bytes: usize,
    log_bytes: usize,
    results_bytes: usize,
}

impl Host {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Host {
            limits,
            next_call: 1,
            calls: Vec::new(),
            delegations: HashMap::new(),
            keys: HashMap::new(),
            sleeping: HashSet::new(),
            arrivals: Vec::new(),
            streams: Vec::new(),
            random: Random::new(seed),
            declared: Vec::new(),
            stop: None,
            journal_bytes: 0,
            step_bytes: 0,
            log_bytes: 0,
            results_bytes: 0,
        }
    }

    pub(crate) fn next_call(&self) -> CallId {
        CallId(self.next_call)
    }

    pub(crate) fn stop(&mut self, failure: Failure) {
        self.stop.get_or_insert(failure);
    }

    pub(crate) fn stopped(&self) -> Option<&Failure> {
        self.stop.as_ref()
    }

    pub(crate) fn begin_step(&mut self) {
        self.step_bytes = 0;
    }

    pub(crate) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    /// What is held here for the script, outside the Luau state.
    pub(crate) fn bytes(&self) -> usize {
        let calls: usize = self.calls.iter().map(|call| call.op.weight()).sum();
        calls + self.results_bytes + 16 * self.arrivals.len() + 256 * self.delegations.len()
    }

    pub(crate) fn delegate(&mut self, line: u32, spec: TaskSpec) -> Result<CallId, Refusal> {
        if self.delegations.len() >= self.limits.delegations {
            let limit = self.limits.delegations;
            return Err(quota(format!(
                "a workflow makes at most {limit} delegations"
            )));
        }
        let id = self.next_call();
        if let Some(earlier) = self.keys.get(&spec.key) {
            return Err(Refusal::Misuse(format!(
                "ctx:delegate: the key `{}` names call {earlier} already; give each attempt a key of its own",
                spec.key
            )));
        }
        let items = spec.items.len();
        let key = spec.key.clone();
        self.push(line, CallOp::Delegate(spec))?;
        self.keys.insert(key, id);
        let delegation = Delegation {
            items: vec![None; items],
            missing: items,
            arrived: Vec::new(),
            ended: false,
            cancelled: false,
        };
        self.delegations.insert(id, delegation);
        Ok(id)
    }

    pub(crate) fn sleep(&mut self, line: u32, ms: u64) -> Result<CallId, Refusal> {
        let id = self.push(line, CallOp::Sleep { ms })?;
        self.sleeping.insert(id);
        Ok(id)
    }

    pub(crate) fn status(
        &mut self,
        line: u32,
        phase: String,
        done: u64,
        total: u64,
    ) -> Result<(), Refusal> {
        self.push(line, CallOp::Status { phase, done, total })?;
        Ok(())
    }

    /// Past its quota, log text is dropped: a workflow does not fail for being talkative.
    pub(crate) fn log(&mut self, line: u32, text: String) -> Result<(), Refusal> {
        let limit = self.limits.log_bytes;
        if self.log_bytes > limit {
            return Ok(());
        }
        self.log_bytes += text.len() + 1;
        let text = if self.log_bytes > limit {
            format!("the workflow has logged {limit} bytes; what else it logs is dropped")
        } else {
            text
        };
        self.push(line, CallOp::Log { text })?;
        Ok(())
    }

    /// Makes one call however often a script cancels, and whether or not the target is over: what was
    /// called must not depend on what the script has not seen yet.
    pub(crate) fn cancel(&mut self, line: u32, target: CallId) -> Result<(), Refusal> {
        let delegation = self.delegation_mut(target)?;
        if std::mem::replace(&mut delegation.cancelled, true) {
            return Ok(());
        }
        self.push(line, CallOp::Cancel { target })?;
        Ok(())
    }

    pub(crate) fn ended(&self, call: CallId) -> Result<bool, Refusal> {
        Ok(self.delegation(call)?.ended)
    }

    /// The items of a delegation that is over, in their order.
    pub(crate) fn arrived(&self, call: CallId) -> Result<Vec<&Arrived>, Refusal> {
        let delegation = self.delegation(call)?;
        Ok(delegation.items.iter().flatten().collect())
    }

    pub(crate) fn item(&self, call: CallId, index: u32) -> Result<&Arrived, Refusal> {
        let items = &self.delegation(call)?.items;
        let arrived = items.get(index as usize).and_then(Option::as_ref);
        arrived.ok_or_else(|| Refusal::Misuse(format!("call {call} has no item {index}")))
    }

    pub(crate) fn satisfied(&mut self, wait: Wait) -> bool {
        match wait {
            Wait::Ended(call) => self.delegations.get(&call).is_some_and(|d| d.ended),
            Wait::Slept(call) => !self.sleeping.contains(&call),
            Wait::Item(stream) => self.has_item(stream),
        }
    }

    /// Takes in one completion. One that fits no call means that the journal is not this script's.
    pub(crate) fn complete(&mut self, completion: Completion) -> Result<(), Failure> {
        let Completion { call, event } = completion;
        let stray = |what: &str| {
            Failure::new(
                Code::Divergence,
                format!(
                    "the journal holds {what} for call {call}, which the script did not make so"
                ),
            )
        };
        match event {
            Event::Slept => match self.sleeping.remove(&call) {
                true => Ok(()),
                false => Err(stray("the end of a sleep")),
            },
            Event::Ended => match self.delegations.get_mut(&call) {
                Some(delegation) if delegation.missing == 0 && !delegation.ended => {
                    delegation.ended = true;
                    Ok(())
                }
                Some(_) => Err(stray("an end too early or too late")),
                None => Err(stray("the end of a delegation")),
            },
            Event::Item {
                index,
                outcome,
                operator,
            } => {
                let bytes = outcome_weight(&outcome);
                let owed = self.delegations.get_mut(&call).filter(|delegation| {
                    matches!(delegation.items.get(index as usize), Some(None))
                });
                let delegation = owed.ok_or_else(|| stray(&format!("item {index}")))?;
                delegation.items[index as usize] = Some(Arrived { outcome, operator });
                delegation.missing -= 1;
                delegation.arrived.push(self.arrivals.len());
                self.arrivals.push((call, index));
                self.results_bytes += bytes;
                self.journal_bytes += bytes;
                match self.over_journal() {
                    Some(message) => Err(Failure::new(Code::Quota, message)),
                    None => Ok(()),
                }
            }
        }
    }

    fn push(&mut self, line: u32, op: CallOp) -> Result<CallId, Refusal> {
        let id = self.next_call();
        if id.0 > self.limits.calls {
            let limit = self.limits.calls;
            return Err(quota(format!("a workflow makes at most {limit} calls")));
        }
        let bytes = op.weight();
        self.journal_bytes += bytes;
        self.step_bytes += bytes;
        if let Some(message) = self.over_journal() {
            return Err(quota(message));
        }
        if self.step_bytes > self.limits.step_bytes {
            let limit = self.limits.step_bytes;
            return Err(quota(format!(
                "more than {limit} bytes of calls at once; wait for some results in between"
            )));
        }
        self.next_call += 1;
        self.calls.push(Call { id, line, op });
        Ok(id)
    }

    fn over_journal(&self) -> Option<String> {
        let limit = self.limits.journal_bytes;
        (self.journal_bytes > limit).then(|| {
            format!("the calls and results of this workflow weigh more than {limit} bytes; put large data in blobs")
        })
    }

    fn delegation(&self, call: CallId) -> Result<&Delegation, Refusal> {
        let delegation = self.delegations.get(&call);
        delegation.ok_or_else(|| Refusal::Misuse(format!("call {call} is not a delegation")))
    }

    fn delegation_mut(&mut self, call: CallId) -> Result<&mut Delegation, Refusal> {
        let delegation = self.delegations.get_mut(&call);
        delegation.ok_or_else(|| Refusal::Misuse(format!("call {call} is not a delegation")))
    }
}

fn quota(message: String) -> Refusal {
    Refusal::Stop(Failure::new(Code::Quota, message))
}

fn outcome_weight(outcome: &ItemOutcome) -> usize {
    32 + match outcome {
        Ok(value) => value.weight(),
        Err(error) => error.message.len(),
    }
}

#[cfg(test)]
mod tests;
