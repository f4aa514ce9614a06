//! The thread that holds the workflows' VMs.
//!
//! A VM runs until it blocks, returns or fails; what it did goes to the engine as one input. The VM's
//! own slice bounds how long one workflow can hold up the others.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};

use froben_journal::Called;
use froben_model::{WorkflowId, limits};
use froben_script::{Call, CallOp, Code, Completion, Failure, Limits, Progress, State, Vm};

use crate::calls::script_call;
use crate::driver::Message;
use crate::effect::{Launch, ScriptCommand};
use crate::input::Input;

/// Runs until the commands end.
pub(crate) fn run(commands: &Receiver<ScriptCommand>, engine: &Sender<Message>) {
    let mut host = ScriptHost::default();
    while let Ok(command) = commands.recv() {
        let Some(input) = host.obey(command) else {
            continue;
        };
        if engine.send(Message::Input(input)).is_err() {
            return;
        }
    }
}

#[derive(Default)]
pub(crate) struct ScriptHost {
    vms: BTreeMap<WorkflowId, Vm>,
}

impl ScriptHost {
    /// What the engine is to hear of it.
    pub(crate) fn obey(&mut self, command: ScriptCommand) -> Option<Input> {
        let (workflow, progress) = match command {
            ScriptCommand::Start(launch) => (launch.workflow, self.start(launch, Vec::new())),
            ScriptCommand::Replay {
                launch,
                calls,
                completions,
            } => {
                let workflow = launch.workflow;
                let progress = self.start(launch, completions);
                (workflow, beyond(progress, calls))
            }
            ScriptCommand::Resume {
                workflow,
                completions,
            } => (workflow, self.vms.get_mut(&workflow)?.resume(completions)),
            ScriptCommand::Drop { workflow } => {
                self.vms.remove(&workflow);
                return None;
            }
        };
        Some(Input::Script { workflow, progress })
    }

    fn start(&mut self, launch: Launch, completions: Vec<Completion>) -> Progress {
        let Launch {
            workflow,
            revision,
            pipeline,
            input,
            seed,
            started_ms,
        } = launch;
        let limits = Limits::default();
        match Vm::start(&revision, &pipeline, input, seed, started_ms, limits) {
            Ok(mut vm) => {
                let progress = vm.resume(completions);
                self.vms.insert(workflow, vm);
                progress
            }
            Err(failure) => Progress {
                calls: Vec::new(),
                state: State::Failed(failure),
            },
        }
    }
}

/// What a replayed script did beyond its journal. It must have made the journal's calls first, each the
/// same; at the first that differs the workflow stops.
fn beyond(progress: Progress, journal: Vec<Called>) -> Progress {
    let Progress { calls, state } = progress;
    let mut made = calls.into_iter();
    for expected in journal.into_iter().map(script_call) {
        let got = made.next();
        if got.as_ref() == Some(&expected) {
            continue;
        }
        // A script that fails on its way fails in its own words.
        if let (None, State::Failed(failure)) = (&got, &state) {
            let state = State::Failed(failure.clone());
            return Progress {
                calls: Vec::new(),
                state,
            };
        }
        return Progress {
            calls: Vec::new(),
            state: State::Failed(divergence(&expected, got)),
        };
    }
    Progress {
        calls: made.collect(),
        state,
    }
}

fn divergence(expected: &Call, got: Option<Call>) -> Failure {
    let got = got.map_or("no call at all".to_string(), |call| describe(&call));
    let expected_text = describe(expected);
    let message = format!(
        "the replay differs at call {}: expected {expected_text}, got {got}",
        expected.id
    );
    let code = Code::Divergence;
    Failure {
        code,
        message: limits::one_line(&message),
    }
}

/// A call in a few words.
fn describe(call: &Call) -> String {
    let what = match &call.op {
        CallOp::Delegate(spec) => format!("delegate {} `{}`", spec.kind, spec.key),
        CallOp::Sleep { ms } => format!("sleep {ms} ms"),
        CallOp::Status { phase, done, total } => format!("status {phase} {done}/{total}"),
        CallOp::Log { text } => format!("log `{text}`"),
        CallOp::Run { pipeline, key, .. } => format!("run {pipeline} `{key}`"),
        CallOp::Cancel { target } => format!("cancel {target}"),
    };
    format!("{what} at line {}", call.line)
}
