//! Rebuilding a script from its journal, and the first difference if it is not the same script.
//!
//! A VM that is told the journal's completions must make the journal's calls, in their order. It may
//! then make more: those were not journaled when the coordinator died, or a new revision adds them
//! behind all that has happened. Lines do not matter, or no edit could be migrated to; what is asked of
//! the world does.

use std::fmt;

use froben_journal::Seq;
use froben_model::{CallId, limits};
use froben_script::{
    Call, CallOp, Code, Completion, Failure, Limits, Progress, Revision, State, Vm,
};

use crate::history::History;

/// A script that has caught up with its journal.
pub struct Replayed {
    /// `None` if it could not even be started.
    pub vm: Option<Vm>,
    /// What it did beyond the journal, and where it stands.
    pub beyond: Progress,
}

/// The first call in which a script differs from its journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// Where in the journal the expected call is.
    pub seq: Seq,
    pub expected: Call,
    pub got: Got,
    /// The pipeline's file in the revision that was replayed; empty if the revision has no such
    /// pipeline.
    pub path: String,
}

/// What a script did where its journal holds a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Got {
    Call(Call),
    /// It failed first.
    Failed(Failure),
    /// It returned first.
    Returned,
    /// It waits for something that the journal has not brought.
    Waits,
}

/// Replays a whole journal, or its first completions, on `revision`.
///
/// The script is told the first `upto` completions and held against all calls. The one that the
/// workflow keeps must reproduce them; any other shows where it would not.
///
/// *Errors*: the first call that differs.
pub fn replay(
    history: &History,
    upto: usize,
    revision: &Revision,
    limits: Limits,
) -> Result<Replayed, Box<Divergence>> {
    let told = history.completions.iter().take(upto);
    let told = told.map(|(_, completion)| completion.clone()).collect();
    let (vm, progress) = run(history, told, revision, limits);
    let path = match revision.pipeline(&history.pipeline) {
        Ok(info) => info.path.clone(),
        Err(_) => String::new(),
    };
    let beyond = beyond(progress, &history.calls, path)?;
    Ok(Replayed { vm, beyond })
}

fn run(
    history: &History,
    told: Vec<Completion>,
    revision: &Revision,
    limits: Limits,
) -> (Option<Vm>, Progress) {
    let input = history.input.clone();
    let (pipeline, seed, begun_ms) = (&history.pipeline, history.seed, history.begun_ms);
    match Vm::rebuild(revision, pipeline, input, seed, begun_ms, limits, told) {
        Ok((vm, progress)) => (Some(vm), progress),
        Err(failure) => {
            let state = State::Failed(failure);
            let calls = Vec::new();
            (None, Progress { calls, state })
        }
    }
}

/// Takes the journal's calls off what a script did.
fn beyond(
    progress: Progress,
    journal: &[(Seq, Call)],
    path: String,
) -> Result<Progress, Box<Divergence>> {
    let Progress { calls, state } = progress;
    let mut made = calls.into_iter();
    for (seq, expected) in journal {
        let got = match (made.next(), &state) {
            (Some(call), _) if same(&call, expected) => continue,
            (Some(call), _) => Got::Call(call),
            (None, State::Failed(failure)) => Got::Failed(failure.clone()),
            (None, State::Returned(_)) => Got::Returned,
            (None, State::Blocked) => Got::Waits,
        };
        return Err(Box::new(Divergence {
            seq: *seq,
            expected: expected.clone(),
            got,
            path,
        }));
    }
    let calls = made.collect();
    Ok(Progress { calls, state })
}

/// Whether two calls ask the world for the same, wherever they stand.
fn same(one: &Call, other: &Call) -> bool {
    one.id == other.id && one.op == other.op
}

impl Divergence {
    pub fn call(&self) -> CallId {
        self.expected.id
    }

    /// As a workflow's end. A script that failed on its way fails in its own words.
    pub(crate) fn failure(self) -> Failure {
        match self.got {
            Got::Failed(failure) if failure.code != Code::Divergence => failure,
            _ => Failure {
                code: Code::Divergence,
                message: limits::one_line(&self.to_string()),
            },
        }
    }

    fn place(&self, line: u32) -> String {
        match (self.path.as_str(), line) {
            ("", 0) => String::new(),
            ("", line) => format!(" at line {line}"),
            (path, 0) => format!(" at {path}"),
            (path, line) => format!(" at {path}:{line}"),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence {
            seq,
            expected,
            got,
            path: _,
        } = self;
        let id = expected.id;
        write!(f, "the replay differs at call {id}, journal record {seq}: ")?;
        let what = describe(&expected.op);
        match expected.line {
            0 => write!(f, "expected {what}")?,
            line => write!(f, "expected {what}, journaled at line {line}")?,
        }
        match got {
            Got::Call(call) => {
                let place = self.place(call.line);
                match difference(&expected.op, &call.op) {
                    Some(difference) => write!(f, ", got it with {difference}{place}"),
                    None => write!(f, ", got {}{place}", describe(&call.op)),
                }
            }
            Got::Failed(failure) => write!(f, ", got a failure: {failure}"),
            Got::Returned => write!(f, ", but the script had returned{}", self.place(0)),
            Got::Waits => write!(f, ", got no call: the script waits{}", self.place(0)),
        }
    }
}

impl std::error::Error for Divergence {}

/// A call in a few words.
pub fn describe(op: &CallOp) -> String {
    match op {
        CallOp::Delegate(spec) => format!("delegate {} `{}`", spec.kind, spec.key),
        CallOp::Sleep { ms } => format!("sleep {ms} ms"),
        CallOp::Status { phase, done, total } => format!("status {phase} {done}/{total}"),
        CallOp::Log { text } => format!("log `{}`", shortened(text)),
        CallOp::Run { pipeline, key, .. } => format!("run {pipeline} `{key}`"),
        CallOp::Cancel { target } => format!("cancel {target}"),
    }
}

/// What differs between two delegations that read the same in a few words.
fn difference(expected: &CallOp, got: &CallOp) -> Option<String> {
    let (CallOp::Delegate(expected), CallOp::Delegate(got)) = (expected, got) else {
        return None;
    };
    if (&expected.kind, &expected.key) != (&got.kind, &got.key) {
        return None;
    }
    let mut fields = Vec::new();
    let mut note = |name, differs: bool| fields.extend(differs.then_some(name));
    note("input", expected.input != got.input);
    note("items", expected.items != got.items);
    note("needs", expected.needs != got.needs);
    note("timeout", expected.timeout_ms != got.timeout_ms);
    note(
        "queue timeout",
        expected.queue_timeout_ms != got.queue_timeout_ms,
    );
    note("avoid", expected.avoid != got.avoid);
    note("keys", expected.keys != got.keys);
    note("check", expected.check != got.check);
    note("highest price", expected.max_price != got.max_price);
    (!fields.is_empty()).then(|| format!("another {}", fields.join(", ")))
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_string(),
    }
}
