//! The thread that holds the workflows' VMs.
//!
//! A VM runs until it blocks, returns or fails; what it did goes to the engine as one input. The VM's
//! own slice bounds how long one workflow can hold up the others.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};

use froben_journal::Called;
use froben_model::WorkflowId;
use froben_script::{Call, Completion, Failure, Limits, Progress, State, Vm};

use crate::calls::script_call;
use crate::driver::Message;
use crate::effect::{Launch, ScriptCommand};
use crate::input::Input;

pub(crate) struct ScriptHost {
    engine: Sender<Message>,
    vms: BTreeMap<WorkflowId, Vm>,
}

impl ScriptHost {
    pub(crate) fn new(engine: Sender<Message>) -> Self {
        ScriptHost { engine, vms: BTreeMap::new() }
    }

    pub(crate) fn run(mut self, commands: &Receiver<ScriptCommand>) {
        while let Ok(command) = commands.recv() {
            let (workflow, progress) = match command {
                ScriptCommand::Start(launch) => (launch.workflow, self.start(launch, Vec::new())),
                ScriptCommand::Replay { launch, calls, completions } => {
                    let workflow = launch.workflow;
                    let progress = self.start(launch, completions);
                    (workflow, beyond(progress, calls))
                }
                ScriptCommand::Resume { workflow, completions } => {
                    let Some(vm) = self.vms.get_mut(&workflow) else { continue };
                    (workflow, vm.resume(completions))
                }
                ScriptCommand::Drop { workflow } => {
                    self.vms.remove(&workflow);
                    continue;
                }
            };
            let input = Input::Script { workflow, progress };
            if self.engine.send(Message::Input(input)).is_err() {
                return;
            }
        }
    }

    fn start(&mut self, launch: Launch, completions: Vec<Completion>) -> Progress {
        let Launch { workflow, scripts, pipeline, input, seed } = launch;
        match Vm::start(&scripts.files, &pipeline, input, seed, Limits::default()) {
            Ok(mut vm) => {
                let progress = vm.resume(completions);
                self.vms.insert(workflow, vm);
                progress
            }
            Err(failure) => Progress { calls: Vec::new(), state: State::Failed(failure) },
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
            return Progress { calls: Vec::new(), state };
        }
        return Progress { calls: Vec::new(), state: State::Failed(divergence(&expected, got)) };
    }
    Progress { calls: made.collect(), state }
}

fn divergence(expected: &Call, got: Option<Call>) -> Failure {
    let got = got.map_or("no call at all".to_string(), |call| call.to_string());
    let message = format!("the replay differs at {}: expected {expected}, got {got}", expected.id);
    Failure::new("FRB-LUA-008", message)
}
