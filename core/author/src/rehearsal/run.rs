//! What a run was, out of its journal, as specs see it. The fields are declared in
//! `core/script/src/spec/registry.rs`.

use std::collections::BTreeMap;

use froben_journal::{Body, CallOp, End, Finish, Record, Seq};
use froben_model::view::{DelegationState, Failure, WorkflowState};
use froben_model::{CallId, ItemError, TaskSpec, TimeMs, Value};

pub(super) struct Whole<'a> {
    pub(super) records: &'a [(Seq, Record)],
    /// Why it was never started.
    pub(super) refused: Option<&'a Failure>,
    pub(super) elapsed_ms: u64,
    pub(super) writes: u64,
    pub(super) restarts: u64,
    pub(super) seed: u64,
}

struct Delegation<'a> {
    spec: &'a TaskSpec,
    state: DelegationState,
    operators: Vec<Value>,
    ok: i64,
    failed: i64,
    error: Option<&'a ItemError>,
    assigned_ms: Option<TimeMs>,
    ended_ms: Option<TimeMs>,
}

pub(super) fn describe(whole: &Whole<'_>) -> Value {
    let begin = whole
        .records
        .first()
        .map_or(0, |(_, record)| record.time_ms);
    let mut delegations: BTreeMap<CallId, Delegation<'_>> = BTreeMap::new();
    let mut children: BTreeMap<CallId, (&str, &str, &str)> = BTreeMap::new();
    let (mut log, mut status, mut sleeps) = (Vec::new(), Vec::new(), Vec::new());
    let mut state = WorkflowState::Running.name();
    let (mut output, mut failure) = (Value::Nil, whole.refused);
    if failure.is_some() {
        state = "refused";
    }
    for (_, Record { time_ms, body }) in whole.records {
        match body {
            Body::Called(called) => match &called.op {
                CallOp::Delegate(spec) => {
                    delegations.insert(called.call, Delegation::new(spec));
                }
                CallOp::Sleep { ms } => sleeps.push(seconds(*ms)),
                CallOp::Status(told) => status.push(Value::map([
                    ("phase", Value::text(&told.phase)),
                    ("done", Value::Int(told.done as i64)),
                    ("total", Value::Int(told.total as i64)),
                ])),
                CallOp::Log { text } => log.push(Value::text(text)),
                CallOp::Run {
                    pipeline,
                    input: _,
                    key,
                } => {
                    children.insert(called.call, (pipeline, key, "running"));
                }
                CallOp::Cancel { target: _ } => {}
            },
            Body::Assigned(assigned) => {
                if let Some(delegation) = delegations.get_mut(&assigned.call) {
                    let operator = assigned.machine.operator();
                    delegation.operators.push(Value::text(operator.as_str()));
                    delegation.state = DelegationState::Assigned;
                    delegation.assigned_ms.get_or_insert(*time_ms);
                }
            }
            Body::Started { call, attempt: _ } => {
                if let Some(delegation) = delegations.get_mut(call) {
                    delegation.state = DelegationState::Running;
                }
            }
            Body::Requeued { call, .. } => {
                if let Some(delegation) = delegations.get_mut(call) {
                    delegation.state = DelegationState::Queued;
                }
            }
            Body::Lost { call, .. } => {
                if let Some(delegation) = delegations.get_mut(call) {
                    delegation.state = DelegationState::Checking;
                }
            }
            Body::Item(item) => {
                if let Some(delegation) = delegations.get_mut(&item.call) {
                    match &item.outcome {
                        Ok(_) => delegation.ok += 1,
                        Err(error) => {
                            delegation.failed += 1;
                            delegation.error.get_or_insert(error);
                        }
                    }
                }
            }
            Body::Ended(ended) => {
                if let Some(delegation) = delegations.get_mut(&ended.call) {
                    delegation.end(ended, *time_ms);
                }
            }
            Body::ChildEnded { call, finish } => {
                if let Some((_, _, state)) = children.get_mut(call) {
                    *state = match finish {
                        Finish::Output(_) => WorkflowState::Succeeded.name(),
                        Finish::Failed(_) => WorkflowState::Failed.name(),
                        Finish::Cancelled => WorkflowState::Cancelled.name(),
                    };
                }
            }
            Body::Finished(finish) => match finish {
                Finish::Output(value) => {
                    state = WorkflowState::Succeeded.name();
                    output = value.clone();
                }
                Finish::Failed(why) => {
                    state = WorkflowState::Failed.name();
                    failure = Some(why);
                }
                Finish::Cancelled => state = WorkflowState::Cancelled.name(),
            },
            _ => {}
        }
    }
    let delegations = delegations
        .values()
        .map(|delegation| delegation.describe(begin));
    Value::map([
        ("state", Value::text(state)),
        ("output", output),
        ("failure", failure.map_or(Value::Nil, describe_failure)),
        ("delegations", Value::List(delegations.collect())),
        ("children", Value::List(describe_children(&children))),
        ("log", Value::List(log)),
        ("status", Value::List(status)),
        ("sleeps", Value::List(sleeps)),
        ("elapsed", seconds(whole.elapsed_ms)),
        ("writes", Value::Int(whole.writes as i64)),
        ("restarts", Value::Int(whole.restarts as i64)),
        ("seed", Value::Int(whole.seed as i64)),
    ])
}

fn describe_children(children: &BTreeMap<CallId, (&str, &str, &str)>) -> Vec<Value> {
    let children = children.values().map(|(pipeline, key, state)| {
        Value::map([
            ("pipeline", Value::text(*pipeline)),
            ("key", Value::text(*key)),
            ("state", Value::text(*state)),
        ])
    });
    children.collect()
}

impl<'a> Delegation<'a> {
    fn new(spec: &'a TaskSpec) -> Self {
        Delegation {
            spec,
            state: DelegationState::Queued,
            operators: Vec::new(),
            ok: 0,
            failed: 0,
            error: None,
            assigned_ms: None,
            ended_ms: None,
        }
    }

    fn end(&mut self, ended: &'a froben_journal::Ended, at: TimeMs) {
        self.state = match ended.end {
            End::Succeeded => DelegationState::Succeeded,
            End::Failed => DelegationState::Failed,
            End::TimedOut => DelegationState::TimedOut,
            End::Cancelled => DelegationState::Cancelled,
        };
        self.failed = self.spec.items.len() as i64 - self.ok;
        self.error = self.error.or(ended.failure.as_ref());
        self.ended_ms = Some(at);
    }

    fn describe(&self, begin: TimeMs) -> Value {
        let since = |at: Option<TimeMs>| at.map_or(Value::Nil, |at| seconds(at - begin));
        let avoid = self.spec.avoid.iter();
        Value::map([
            ("key", Value::text(&self.spec.key)),
            ("kind", Value::text(self.spec.kind.as_str())),
            ("state", Value::text(self.state.name())),
            ("attempts", Value::Int(self.operators.len() as i64)),
            ("operators", Value::List(self.operators.clone())),
            ("items", Value::Int(self.spec.items.len() as i64)),
            ("items_ok", Value::Int(self.ok)),
            ("items_failed", Value::Int(self.failed)),
            (
                "avoid",
                Value::List(avoid.map(|name| Value::text(name.as_str())).collect()),
            ),
            ("err", self.error.map_or(Value::Nil, describe_error)),
            ("assigned", since(self.assigned_ms)),
            ("ended", since(self.ended_ms)),
        ])
    }
}

fn seconds(ms: u64) -> Value {
    match ms % 1000 {
        0 => Value::Int((ms / 1000) as i64),
        _ => Value::Number(ms as f64 / 1000.0),
    }
}

fn describe_failure(failure: &Failure) -> Value {
    Value::map([
        ("code", Value::text(&failure.code)),
        ("message", Value::text(&failure.message)),
    ])
}

fn describe_error(error: &ItemError) -> Value {
    let operator = error.operator.as_ref();
    Value::map([
        ("class", Value::text(error.class.name())),
        ("message", Value::text(&error.message)),
        (
            "operator",
            operator.map_or(Value::Nil, |name| Value::text(name.as_str())),
        ),
    ])
}
