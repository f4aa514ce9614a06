//! What a workflow has called and what has come of it. Knows nothing of Lua.
//!
//! Everything that a script can observe passes through here in an order that is fixed: calls are
//! numbered as they are made, completions enter one at a time. The host never looks at a clock, and
//! what a script may do next depends only on what it has been given so far.

mod members;
mod stream;

use std::collections::HashMap;

use froben_model::view::Failure as ChildFailure;
use froben_model::{CallId, ItemOutcome, OperatorId, TaskSpec, TimeMs, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits::Limits;
use crate::occupied::{child_bytes, outcome_bytes, task_bytes, value_bytes};
use crate::random::Random;
use crate::signature::PipelineInfo;
use crate::{Code, Failure};
use members::{Child, Members};
use stream::Stream;

pub(crate) use members::{Member, RaceStart};
pub(crate) use stream::Next;

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
    Delegate(Box<TaskSpec>),
    /// Completes with [`Event::Slept`].
    Sleep {
        ms: u64,
    },
    /// Another pipeline of the same revision, as a workflow of its own. Completes with
    /// [`Event::ChildEnded`].
    Run {
        pipeline: String,
        input: Value,
        /// The author's name for it; empty if there is none.
        key: String,
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
    /// The target, a delegation or a child, still ends like any other, and may have ended already.
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
            CallOp::Run {
                pipeline,
                input,
                key,
            } => pipeline.len() + input.weight() + key.len(),
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
    /// When it happened, by the journal.
    pub at_ms: TimeMs,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An item of a delegation ended.
    Item {
        /// Position in the delegation, from 0.
        index: u32,
        outcome: ItemOutcome,
        /// Who had it; `None` if nobody had.
        operator: Option<OperatorId>,
    },
    /// The delegation is over. Every item has come by now.
    Ended,
    /// A sleep is over.
    Slept,
    /// A child is over: what it returned, or why it did not.
    ChildEnded {
        outcome: Result<Value, ChildFailure>,
    },
}

/// What a suspended script waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    Over(Member),
    Slept(CallId),
    /// The next item of a stream.
    Item(usize),
    /// The first of several to be over.
    Race(usize),
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

impl Refusal {
    /// Says what a misuse is about.
    pub(crate) fn of(self, what: &str) -> Self {
        match self {
            Refusal::Misuse(why) => Refusal::Misuse(format!("{what}: {why}")),
            other => other,
        }
    }
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

struct Delegation {
    outcomes: Vec<Option<Arrived>>,
    missing: usize,
    /// Where in `arrivals` its items are.
    arrived: Vec<usize>,
    /// The streams that it is in.
    streams: Vec<usize>,
    /// When it ended, among all that ended.
    over: Option<u64>,
    cancelled: bool,
}

/// An item that came.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) outcome: ItemOutcome,
    pub(crate) operator: Option<OperatorId>,
}

pub(crate) struct Host {
    limits: Limits,
    next_call: u64,
    /// Made since they were last taken.
    calls: Vec<Call>,
    delegations: FxHashMap<CallId, Delegation>,
    children: FxHashMap<CallId, Child>,
    /// Authors choose them, so that this hash is one that nobody can foresee.
    keys: HashMap<String, CallId>,
    sleeping: FxHashSet<CallId>,
    /// Every item that came, in order.
    arrivals: Vec<(CallId, u32)>,
    /// Those that were not read to their end, by number.
    streams: FxHashMap<usize, Stream>,
    next_stream: usize,
    /// Delegations in streams that are not over.
    joined: usize,
    members: Members,
    /// The fiber that runs; 0 is the workflow's function.
    pub(crate) running: usize,
    /// Delegations, children and sleeps that are not over.
    open: usize,
    /// The journal's time.
    now_ms: TimeMs,
    pub(crate) random: Random,
    /// Workflows that the file declared, by the number that its objects carry.
    pub(crate) declared: Vec<PipelineInfo>,
    /// Set once; the script runs no further.
    stop: Option<Failure>,
    journal_bytes: usize,
    step_bytes: usize,
    log_bytes: usize,
    /// What is kept until the end, in memory: results, keys, streams.
    kept_bytes: usize,
    /// Of `calls`, in memory.
    calls_bytes: usize,
}

impl Host {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Host {
            limits,
            next_call: 1,
            calls: Vec::new(),
            delegations: FxHashMap::default(),
            children: FxHashMap::default(),
            keys: HashMap::new(),
            sleeping: FxHashSet::default(),
            arrivals: Vec::new(),
            streams: FxHashMap::default(),
            next_stream: 0,
            joined: 0,
            members: Members::default(),
            running: 0,
            open: 0,
            now_ms: 0,
            random: Random::new(seed),
            declared: Vec::new(),
            stop: None,
            journal_bytes: 0,
            step_bytes: 0,
            log_bytes: 0,
            kept_bytes: 0,
            calls_bytes: 0,
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
        self.calls_bytes = 0;
        std::mem::take(&mut self.calls)
    }

    /// What is held here for the script, outside the Luau state, in memory.
    pub(crate) fn bytes(&self) -> usize {
        let watched = 96 * (self.joined + self.streams.len()) + self.members.bytes();
        self.calls_bytes + self.kept_bytes + 256 * self.children.len() + watched
    }

    /// The journal's time: that of what the script was given last, or of its start.
    pub(crate) fn now_ms(&self) -> TimeMs {
        self.now_ms
    }

    /// Time never runs backwards, whatever a clock did between two lives of the coordinator.
    pub(crate) fn pass_time(&mut self, at_ms: TimeMs) {
        self.now_ms = self.now_ms.max(at_ms);
    }

    /// Whether anything can still come of the calls that were made.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.open == 0
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
                "the key `{}` names call {earlier} already; give each attempt a key of its own",
                spec.key
            )));
        }
        let items = spec.items.len();
        let key = spec.key.clone();
        // Entries of two hash tables, the key, and an outcome for each item with its arrival.
        self.kept_bytes += 400 + key.len() + items * (size_of::<Option<Arrived>>() + 64);
        self.push(line, CallOp::Delegate(Box::new(spec)))?;
        self.keys.insert(key, id);
        let delegation = Delegation {
            outcomes: vec![None; items],
            missing: items,
            arrived: Vec::new(),
            streams: Vec::new(),
            over: None,
            cancelled: false,
        };
        self.delegations.insert(id, delegation);
        self.open += 1;
        Ok(id)
    }

    /// Runs another pipeline. Its name and input were held against the script set.
    pub(crate) fn run(
        &mut self,
        line: u32,
        pipeline: String,
        input: Value,
        key: String,
    ) -> Result<CallId, Refusal> {
        let limit = self.limits.children;
        if self.children.len() >= limit {
            return Err(quota(format!("a workflow runs at most {limit} children")));
        }
        let op = CallOp::Run {
            pipeline,
            input,
            key,
        };
        let id = self.push(line, op)?;
        self.children.insert(id, Child::default());
        self.open += 1;
        Ok(id)
    }

    pub(crate) fn sleep(&mut self, line: u32, ms: u64) -> Result<CallId, Refusal> {
        let id = self.push(line, CallOp::Sleep { ms })?;
        self.sleeping.insert(id);
        self.open += 1;
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
        let delegation = self.delegations.get_mut(&target);
        let child = self.children.get_mut(&target);
        let cancelled = delegation
            .map(|known| &mut known.cancelled)
            .or(child.map(|known| &mut known.cancelled));
        let Some(cancelled) = cancelled else {
            let what = format!("call {target} is neither a delegation nor a child");
            return Err(Refusal::Misuse(what));
        };
        if std::mem::replace(cancelled, true) {
            return Ok(());
        }
        self.push(line, CallOp::Cancel { target })?;
        Ok(())
    }

    /// How many items a delegation has.
    pub(crate) fn items(&self, call: CallId) -> Result<usize, Refusal> {
        Ok(self.delegation(call)?.outcomes.len())
    }

    pub(crate) fn outcome(&self, call: CallId, index: u32) -> Result<&Arrived, Refusal> {
        let outcomes = &self.delegation(call)?.outcomes;
        let outcome = outcomes.get(index as usize).and_then(Option::as_ref);
        outcome.ok_or_else(|| Refusal::Misuse(format!("call {call} has no item {index}")))
    }

    pub(crate) fn satisfied(&self, wait: Wait) -> bool {
        match wait {
            Wait::Over(member) => matches!(self.over(member), Ok(Some(_))),
            Wait::Slept(call) => !self.sleeping.contains(&call),
            Wait::Item(stream) => self.has_item(stream),
            Wait::Race(race) => self.race_is_won(race),
        }
    }

    /// Takes in one completion: the waits that it may satisfy. One that fits no call means that the
    /// journal is not this script's.
    pub(crate) fn complete(&mut self, completion: Completion) -> Result<Vec<Wait>, Failure> {
        let Completion { call, event, at_ms } = completion;
        self.pass_time(at_ms);
        let mut touched = Vec::new();
        match event {
            Event::Slept => {
                if !self.sleeping.remove(&call) {
                    return Err(stray(call, "the end of a sleep"));
                }
                self.open -= 1;
                touched.push(Wait::Slept(call));
            }
            Event::Ended => {
                let end = self.members.next_end();
                match self.delegations.get_mut(&call) {
                    Some(known) if known.missing == 0 && known.over.is_none() => {
                        known.over = Some(end);
                    }
                    Some(_) => return Err(stray(call, "an end too early or too late")),
                    None => return Err(stray(call, "the end of a delegation")),
                }
                self.open -= 1;
                self.members.over(Member::Delegation(call), &mut touched);
            }
            Event::ChildEnded { outcome } => {
                let end = self.members.next_end();
                let bytes = child_weight(&outcome);
                let kept_bytes = child_bytes(&outcome);
                match self.children.get_mut(&call) {
                    Some(known) if known.over.is_none() => {
                        (known.over, known.outcome) = (Some(end), Some(outcome));
                    }
                    _ => return Err(stray(call, "the end of a child")),
                }
                self.open -= 1;
                self.members.over(Member::Child(call), &mut touched);
                self.keep(bytes, kept_bytes)?;
            }
            Event::Item {
                index,
                outcome,
                operator,
            } => {
                let bytes = outcome_weight(&outcome);
                let sender = operator.as_ref().map_or(0, |name| name.as_str().len());
                let kept_bytes = outcome_bytes(&outcome) + sender;
                let owed = self.delegations.get_mut(&call).filter(|delegation| {
                    matches!(delegation.outcomes.get(index as usize), Some(None))
                });
                let delegation = owed.ok_or_else(|| stray(call, &format!("item {index}")))?;
                delegation.outcomes[index as usize] = Some(Arrived { outcome, operator });
                delegation.missing -= 1;
                let arrival = self.arrivals.len();
                delegation.arrived.push(arrival);
                self.arrivals.push((call, index));
                for number in &delegation.streams {
                    if let Some(stream) = self.streams.get_mut(number) {
                        stream.ready.insert(arrival);
                    }
                    touched.push(Wait::Item(*number));
                }
                self.keep(bytes, kept_bytes)?;
            }
        }
        Ok(touched)
    }

    /// Counts a result: its weight in the journal, and what it occupies.
    fn keep(&mut self, bytes: usize, kept_bytes: usize) -> Result<(), Failure> {
        self.kept_bytes += kept_bytes;
        self.journal_bytes += bytes;
        match self.over_journal() {
            Some(message) => Err(Failure::new(Code::Quota, message)),
            None => Ok(()),
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
        // A growing list is half empty at worst, and is copied when it grows.
        self.calls_bytes += 3 * size_of::<Call>() + op_bytes(&op);
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
}

fn stray(call: CallId, what: &str) -> Failure {
    Failure::new(
        Code::Divergence,
        format!("the journal holds {what} for call {call}, which the script did not make so"),
    )
}

fn quota(message: String) -> Refusal {
    Refusal::Stop(Failure::new(Code::Quota, message))
}

fn op_bytes(op: &CallOp) -> usize {
    match op {
        CallOp::Delegate(spec) => size_of::<TaskSpec>() + task_bytes(spec),
        CallOp::Status { phase, .. } => phase.capacity(),
        CallOp::Log { text } => text.capacity(),
        CallOp::Run {
            pipeline,
            input,
            key,
        } => pipeline.len() + value_bytes(input) + 2 * key.len(),
        CallOp::Sleep { .. } | CallOp::Cancel { .. } => 0,
    }
}

fn outcome_weight(outcome: &ItemOutcome) -> usize {
    32 + match outcome {
        Ok(value) => value.weight(),
        Err(error) => error.message.len(),
    }
}

fn child_weight(outcome: &Result<Value, ChildFailure>) -> usize {
    32 + match outcome {
        Ok(value) => value.weight(),
        Err(failure) => failure.code.len() + failure.message.len(),
    }
}

#[cfg(test)]
mod tests;
