//! One live workflow.

use std::time::Duration;

use froben_model::{CallId, Value};
use mlua::thread::ThreadStatus;
use mlua::{MultiValue, Thread, Value as LuaValue};

use crate::convert::{to_lua, to_value, whole};
use crate::host::{Call, Completion, Refusal, Wait};
use crate::limits::Limits;
use crate::revision::Revision;
use crate::sandbox::Sandbox;
use crate::signature::{PipelineInfo, check_input};
use crate::{Code, Failure};

/// A workflow's script, suspended between two resumptions.
///
/// The calls that it makes follow from the pipeline, the input, the seed and the completions in their
/// order, and from nothing else: not from how the completions were batched, nor from the clock.
pub struct Vm {
    sandbox: Sandbox,
    info: PipelineInfo,
    limits: Limits,
    main: Thread,
    /// The main function's arguments, until it is started.
    arguments: Option<MultiValue>,
    wait: Option<Wait>,
    state: State,
    cpu_ns: u64,
}

/// What came of a resumption.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Made during it, in order. Those made before a failure are there too.
    pub calls: Vec<Call>,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The script waits for completions that have not come yet.
    Blocked,
    Returned(Value),
    Failed(Failure),
}

impl Vm {
    /// Prepares a workflow of `pipeline`. Nothing is called before the first [`Vm::resume`].
    ///
    /// *Errors*: [`Code::UnknownPipeline`]; [`Code::Input`] if the input does not fit the declaration;
    /// whatever the file's own top level fails with.
    pub fn start(
        revision: &Revision,
        pipeline: &str,
        input: Value,
        seed: u64,
        limits: Limits,
    ) -> Result<Vm, Failure> {
        let info = revision.pipeline(pipeline)?;
        let refused = |why| Failure::new(Code::Input, why);
        check_input(info, &input).map_err(refused)?;
        let input = info.with_defaults(input);
        let sandbox = Sandbox::new(revision.chunks(), &info.path, &limits, seed)?;
        let (function, info) = sandbox.evaluate()?;

        let prepared = || {
            let objects = sandbox.bridge.objects();
            let input = to_lua(&sandbox.lua, objects, "the input", &input)?;
            let main = sandbox.lua.create_thread(sandbox.run.clone())?;
            Ok((main, input))
        };
        let (main, input) = prepared().map_err(|refusal| match refusal {
            Refusal::Misuse(why) => refused(why),
            Refusal::Stop(failure) => failure,
            Refusal::Lua(_) => sandbox.bridge.out_of_memory(),
        })?;
        let arguments = MultiValue::from_iter([
            LuaValue::Function(function),
            LuaValue::Table(sandbox.ctx.clone()),
            input,
        ]);
        Ok(Vm {
            sandbox,
            info,
            limits,
            main,
            arguments: Some(arguments),
            wait: None,
            state: State::Blocked,
            cpu_ns: 0,
        })
    }

    /// Feeds what has happened since, in the journal's order, and runs until the script waits, returns
    /// or fails. The first time it also begins; after the end it does nothing.
    ///
    /// Completions are taken one at a time, and the script runs on after each that it waited for. So a
    /// batch of many is the same as many batches of one, and replay is a start and one resumption.
    pub fn resume(&mut self, completions: Vec<Completion>) -> Progress {
        if let Some(arguments) = self.arguments.take() {
            self.step(arguments);
        }
        for completion in completions {
            if self.state != State::Blocked {
                break;
            }
            if let Err(failure) = self.sandbox.bridge.host().complete(completion) {
                self.state = State::Failed(failure);
                break;
            }
            let woken = |wait| self.sandbox.bridge.host().satisfied(wait);
            if self.wait.is_some_and(woken) {
                self.step(MultiValue::new());
            }
        }
        Progress {
            calls: self.sandbox.bridge.host().take_calls(),
            state: self.state.clone(),
        }
    }

    /// About what the workflow occupies: the Luau state, and what the host keeps for it.
    pub fn memory_bytes(&self) -> usize {
        self.sandbox.lua.used_memory() + self.sandbox.bridge.host().bytes()
    }

    /// CPU time that the script has used so far.
    pub fn cpu_ms(&self) -> u64 {
        self.cpu_ns / 1_000_000
    }

    /// Runs the script from where it waits to where it waits next.
    fn step(&mut self, arguments: MultiValue) {
        self.wait = None;
        self.sandbox.bridge.host().begin_step();
        let left_ms = self.limits.cpu_ms.saturating_sub(self.cpu_ns / 1_000_000);
        let budget = Duration::from_millis(self.limits.slice_ms.min(left_ms));
        let slice = self.sandbox.begin_slice(budget);
        let ran = self.main.resume::<MultiValue>(arguments);
        let spent = slice.end();
        self.cpu_ns += spent.cpu_ns;

        if ran.is_ok() && self.main.status() == ThreadStatus::Resumable {
            match self.sandbox.stopped(&spent, budget) {
                Some(failure) => self.state = State::Failed(failure),
                None => self.wait = ran.ok().and_then(wait_of),
            }
            return;
        }
        let returned = self.sandbox.finished(ran, &spent, budget);
        self.state = match returned.and_then(|value| self.output(&value)) {
            Ok(output) => State::Returned(output),
            Err(mut failure) => {
                if failure.code == Code::Cpu && left_ms <= self.limits.slice_ms {
                    let total = self.limits.cpu_ms;
                    failure.message += &format!(" and {total} ms in all");
                }
                State::Failed(failure)
            }
        };
    }

    fn output(&self, value: &LuaValue) -> Result<Value, Failure> {
        let wrong = |why: String| {
            let path = &self.info.path;
            Failure::new(Code::Output, format!("{path}: {why}"))
        };
        let objects = self.sandbox.bridge.objects();
        let output = to_value(objects, "output", value).map_err(wrong)?;
        self.info.check_output(&output).map_err(wrong)?;
        Ok(output)
    }
}

/// What the prelude yields: the name of the wait and a number.
fn wait_of(yielded: MultiValue) -> Option<Wait> {
    let mut yielded = yielded.into_iter();
    let name = yielded.next()?.to_string().ok()?;
    let number = whole(&yielded.next()?)?;
    match name.as_str() {
        "ended" => Some(Wait::Ended(CallId(number))),
        "slept" => Some(Wait::Slept(CallId(number))),
        "item" => Some(Wait::Item(number as usize)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_moves_between_threads() {
        fn assert_send<T: Send>() {}
        assert_send::<Vm>();
        assert_send::<Revision>();
    }
}
