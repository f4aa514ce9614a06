//! Drives a VM by hand against operators that do as they are told.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod bounds;

use std::collections::{BTreeMap, VecDeque};

use froben_model::view::Failure as ChildFailure;
use froben_model::{CallId, ErrorClass, ItemError, ItemOutcome, OperatorId, TaskSpec, Value};
use froben_script::{Call, CallOp, Completion, Event, Failure, Limits, Revision, State, Vm};

/// When every workflow here is started.
pub const STARTED_MS: u64 = 1_800_000_000_000;

/// The scripts that ship with Froben.
pub fn shipped() -> BTreeMap<String, String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts");
    let mut files = BTreeMap::new();
    for folder in ["pipelines", "lib"] {
        for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.insert(
                format!("{folder}/{name}"),
                std::fs::read_to_string(path).unwrap(),
            );
        }
    }
    files
}

/// A set whose one pipeline, `t`, has this body of `function(ctx, input)`, on line 2 of its file.
pub fn with_body(body: &str) -> BTreeMap<String, String> {
    let source = format!("return workflow('t', {{}}, function(ctx, input)\n{body}\nend)");
    BTreeMap::from([("pipelines/t.lua".to_owned(), source)])
}

pub fn check(files: &BTreeMap<String, String>) -> Revision {
    Revision::check(files, &Limits::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub fn start(files: &BTreeMap<String, String>, input: Value) -> Vm {
    Vm::start(&check(files), "t", input, 7, STARTED_MS, Limits::default()).unwrap()
}

/// Starts a body and lets it run into its first wait or its end.
pub fn first_step(body: &str) -> (Vec<Call>, State) {
    let progress = start(&with_body(body), Value::map::<String>([])).resume(Vec::new());
    (progress.calls, progress.state)
}

/// What a body without waits returns.
pub fn eval(body: &str) -> Value {
    match first_step(body).1 {
        State::Returned(value) => value,
        other => panic!("{other:?}\n{body}"),
    }
}

/// How a body without waits fails.
pub fn fail(body: &str) -> Failure {
    match first_step(body).1 {
        State::Failed(failure) => failure,
        other => panic!("{other:?}\n{body}"),
    }
}

pub fn lost(class: ErrorClass, operator: &str) -> ItemOutcome {
    Err(ItemError {
        class,
        message: format!("{class} on purpose"),
        operator: (!operator.is_empty()).then(|| OperatorId::new(operator).unwrap()),
    })
}

/// Why a child failed.
pub fn child_failure(code: &str, message: &str) -> ChildFailure {
    ChildFailure {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// A workflow, and everything that it called.
pub struct Run {
    pub vm: Vm,
    pub calls: Vec<Call>,
    /// What has happened and was not fed yet.
    pub pending: VecDeque<Completion>,
}

impl Run {
    pub fn new(vm: Vm) -> Self {
        Run {
            vm,
            calls: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    /// Runs to the end. `answer` gives an outcome for each item of a delegation; sleeps end at once,
    /// and a child returns the name of its pipeline.
    pub fn finish(&mut self, answer: impl FnMut(&TaskSpec) -> Vec<ItemOutcome>) -> State {
        self.finish_by(|_| "op-a", answer)
    }

    /// The same, where `sender` says which operator answers.
    pub fn finish_by(
        &mut self,
        sender: impl Fn(&TaskSpec) -> &'static str,
        mut answer: impl FnMut(&TaskSpec) -> Vec<ItemOutcome>,
    ) -> State {
        loop {
            let progress = self.vm.resume(self.pending.drain(..).collect());
            for call in &progress.calls {
                match &call.op {
                    CallOp::Delegate(spec) => {
                        let outcomes = answer(spec);
                        assert_eq!(outcomes.len(), spec.items.len());
                        self.pending
                            .extend(deliver(call.id, outcomes, sender(spec)));
                    }
                    CallOp::Sleep { .. } => {
                        self.pending.push_back(happened(call.id, Event::Slept));
                    }
                    CallOp::Run { pipeline, .. } => {
                        let outcome = Ok(Value::text(pipeline.clone()));
                        let ended = Event::ChildEnded { outcome };
                        self.pending.push_back(happened(call.id, ended));
                    }
                    CallOp::Status { .. } | CallOp::Log { .. } | CallOp::Cancel { .. } => {}
                }
            }
            self.calls.extend(progress.calls);
            if progress.state != State::Blocked {
                return progress.state;
            }
            assert!(
                !self.pending.is_empty(),
                "blocked for ever after {:#?}",
                self.calls.last()
            );
        }
    }

    pub fn tasks(&self) -> Vec<&TaskSpec> {
        let tasks = self.calls.iter().filter_map(|call| match &call.op {
            CallOp::Delegate(spec) => Some(spec.as_ref()),
            _ => None,
        });
        tasks.collect()
    }

    pub fn keys(&self) -> Vec<&str> {
        self.tasks().iter().map(|task| task.key.as_str()).collect()
    }

    pub fn statuses(&self) -> Vec<(&str, u64, u64)> {
        let statuses = self.calls.iter().filter_map(|call| match &call.op {
            CallOp::Status { phase, done, total } => Some((phase.as_str(), *done, *total)),
            _ => None,
        });
        statuses.collect()
    }

    pub fn sleeps(&self) -> usize {
        let sleeps = self
            .calls
            .iter()
            .filter(|call| matches!(call.op, CallOp::Sleep { .. }));
        sleeps.count()
    }
}

/// Every item of a delegation, by one operator, then its end.
pub fn deliver(call: CallId, outcomes: Vec<ItemOutcome>, operator: &str) -> Vec<Completion> {
    let item = |(index, outcome)| came(index as u32, outcome, operator);
    let events = outcomes
        .into_iter()
        .enumerate()
        .map(item)
        .chain([Event::Ended]);
    events.map(|event| happened(call, event)).collect()
}

/// An item that `operator` had, unless its error says who.
pub fn came(index: u32, outcome: ItemOutcome, operator: &str) -> Event {
    let operator = match &outcome {
        Ok(_) => Some(OperatorId::new(operator).unwrap()),
        Err(error) => error.operator.clone(),
    };
    Event::Item {
        index,
        outcome,
        operator,
    }
}

/// It happened when the workflow was started.
pub fn happened(call: CallId, event: Event) -> Completion {
    let at_ms = STARTED_MS;
    Completion { call, event, at_ms }
}
