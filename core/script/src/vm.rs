//! One live workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use froben_model::{CallId, TimeMs, Value};
use mlua::thread::ThreadStatus;
use mlua::{MultiValue, Thread, Value as LuaValue};
use rustc_hash::FxHashMap;

use crate::convert::{to_lua, to_value, whole};
use crate::host::{Call, Completion, Member, Refusal, Wait};
use crate::inspect::{Standing, standing};
use crate::limits::Limits;
use crate::revision::Revision;
use crate::sandbox::Sandbox;
use crate::signature::{PipelineInfo, check_input};
use crate::{Code, Failure};

/// A workflow's script, suspended between two resumptions.
///
/// The calls that it makes follow from the pipeline, the input, the seed, the time of its start and the
/// completions in their order, and from nothing else: not from how the completions were batched, nor
/// from the clock.
///
/// The workflow's function and those that it spawned are fibers: threads of one Luau state, of which one
/// runs at a time, until it waits. A completion wakes those that waited for it, and they run, the one
/// that was spawned first before the others, until all of them wait again; then comes the next
/// completion.
pub struct Vm {
    sandbox: Sandbox,
    info: PipelineInfo,
    limits: Limits,
    /// Those that are not over. Number 0 is the workflow's function.
    fibers: BTreeMap<usize, Fiber>,
    /// Those that can go on.
    ready: BTreeSet<usize>,
    waiting: FxHashMap<Wait, Vec<usize>>,
    state: State,
    cpu_ns: u64,
    /// Of it, since the last completion was taken.
    slice_ns: u64,
    /// The thread's CPU clock when a fiber last stopped in this resumption, so that it is read once a step.
    clock_ns: Option<u64>,
    started: bool,
}

struct Fiber {
    thread: Thread,
    /// Until it is started.
    arguments: Option<MultiValue>,
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
    /// Prepares a workflow of `pipeline`, started at `started_ms` by the journal. Nothing is called before
    /// the first [`Vm::resume`].
    ///
    /// *Errors*: [`Code::UnknownPipeline`]; [`Code::Input`] if the input does not fit the declaration;
    /// whatever the file's own top level fails with.
    pub fn start(
        revision: &Revision,
        pipeline: &str,
        input: Value,
        seed: u64,
        started_ms: TimeMs,
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
            let input = to_lua(&sandbox.lua, objects, &"the input", &input)?;
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
        sandbox.bridge.know(revision.known());
        sandbox.bridge.host().pass_time(started_ms);
        let main = Fiber {
            thread: main,
            arguments: Some(arguments),
        };
        Ok(Vm {
            sandbox,
            info,
            limits,
            fibers: BTreeMap::from([(0, main)]),
            ready: BTreeSet::from([0]),
            waiting: FxHashMap::default(),
            state: State::Blocked,
            cpu_ns: 0,
            slice_ns: 0,
            clock_ns: None,
            started: false,
        })
    }

    /// Prepares a workflow as [`Vm::start`] does and tells it `completions`, which it has been told before:
    /// what it did, and how it stands. Until then its limits are [`Limits::relaxed`].
    ///
    /// *Errors*: as [`Vm::start`].
    pub fn rebuild(
        revision: &Revision,
        pipeline: &str,
        input: Value,
        seed: u64,
        started_ms: TimeMs,
        limits: Limits,
        completions: Vec<Completion>,
    ) -> Result<(Vm, Progress), Failure> {
        let relaxed = limits.clone().relaxed();
        let mut vm = Vm::start(revision, pipeline, input, seed, started_ms, relaxed)?;
        let progress = vm.resume(completions);
        if progress.state == State::Blocked {
            // What garbage there is, and what being rebuilt took longer, must not count against the limits
            // that are now due.
            vm.sandbox.lua.gc_collect().ok();
            let most_ms = limits.cpu_ms.saturating_sub(limits.slice_ms);
            vm.cpu_ns = vm.cpu_ns.min(most_ms.saturating_mul(1_000_000));
        }
        vm.sandbox.bridge.cap_memory(limits.memory_bytes);
        vm.limits = limits;
        Ok((vm, progress))
    }

    /// Feeds what has happened since, in the journal's order, and runs until the script waits, returns
    /// or fails. The first time it also begins; after the end it does nothing.
    ///
    /// Completions are taken one at a time, and the script runs on after each that it waited for. So a
    /// batch of many is the same as many batches of one, and replay is a start and one resumption.
    pub fn resume(&mut self, completions: Vec<Completion>) -> Progress {
        self.clock_ns = None;
        if !std::mem::replace(&mut self.started, true) {
            self.run();
        }
        for completion in completions {
            if self.state != State::Blocked {
                break;
            }
            let completed = self.sandbox.bridge.host().complete(completion);
            match completed {
                Ok(touched) => self.wake(touched),
                Err(failure) => self.state = State::Failed(failure),
            }
            self.run();
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

    /// Where the script waits, fiber by fiber, and what its locals hold there.
    pub fn standings(&self) -> Vec<Standing> {
        if self.state != State::Blocked {
            return Vec::new();
        }
        let fibers = self.fibers.iter();
        fibers
            .map(|(number, fiber)| standing(&self.sandbox.lua, *number, &fiber.thread))
            .collect()
    }

    /// CPU time that the script has used so far.
    pub fn cpu_ms(&self) -> u64 {
        self.cpu_ns / 1_000_000
    }

    /// Lets every fiber that can go on run until it waits, in the order in which they were spawned.
    fn run(&mut self) {
        self.slice_ns = 0;
        self.sandbox.bridge.host().begin_step();
        while self.state == State::Blocked {
            let Some(number) = self.ready.pop_first() else {
                if self.sandbox.bridge.host().expects_nothing() {
                    self.state = State::Failed(self.stuck());
                }
                return;
            };
            self.step(number);
        }
    }

    /// Readies whoever waited for what has come.
    fn wake(&mut self, touched: Vec<Wait>) {
        for wait in touched {
            let satisfied = self.sandbox.bridge.host().satisfied(wait);
            if satisfied && let Some(fibers) = self.waiting.remove(&wait) {
                self.ready.extend(fibers);
            }
        }
    }

    /// Runs a fiber from where it waits to where it waits next. All that run between two completions
    /// share one slice.
    fn step(&mut self, number: usize) {
        let Some(fiber) = self.fibers.get_mut(&number) else {
            return;
        };
        let arguments = fiber.arguments.take().unwrap_or_default();
        let thread = fiber.thread.clone();
        self.sandbox.bridge.host().running = number;
        if self.sandbox.bridge.share_memory(&self.sandbox.lua).is_err() {
            self.state = State::Failed(self.sandbox.bridge.out_of_memory());
            return;
        }
        let left_ms = self.limits.cpu_ms.saturating_sub(self.cpu_ns / 1_000_000);
        let slice_ms = Duration::from_millis(self.limits.slice_ms.min(left_ms));
        let budget = slice_ms.saturating_sub(Duration::from_nanos(self.slice_ns));
        let slice = self.sandbox.begin_slice_at(budget, self.clock_ns);
        let ran = thread.resume::<MultiValue>(arguments);
        let spent = slice.end();
        self.clock_ns = Some(spent.ended_ns);
        self.cpu_ns += spent.cpu_ns;
        self.slice_ns += spent.cpu_ns;

        for (number, function) in self.sandbox.bridge.take_spawned() {
            match self.sandbox.lua.create_thread(self.sandbox.run.clone()) {
                Ok(thread) => {
                    let arguments = Some(MultiValue::from_iter([LuaValue::Function(function)]));
                    self.fibers.insert(number, Fiber { thread, arguments });
                    self.ready.insert(number);
                }
                Err(_) => self.state = State::Failed(self.sandbox.bridge.out_of_memory()),
            }
        }
        if ran.is_ok() && thread.status() == ThreadStatus::Resumable {
            match self.sandbox.stopped(&spent, slice_ms) {
                Some(failure) => self.state = State::Failed(failure),
                None => self.wait(number, ran.ok().and_then(wait_of)),
            }
            return;
        }
        self.fibers.remove(&number);
        let returned = self.sandbox.finished(ran, &spent, slice_ms);
        let ended = match returned {
            Ok(value) if number == 0 => self.output(&value).map(State::Returned),
            Ok(_) => {
                let touched = self.sandbox.bridge.host().end_fiber(number);
                self.wake(touched);
                return;
            }
            Err(failure) => Err(failure),
        };
        self.state = ended.unwrap_or_else(|mut failure| {
            if failure.code == Code::Cpu && left_ms <= self.limits.slice_ms {
                let total = self.limits.cpu_ms;
                failure.message += &format!(" and {total} ms in all");
            }
            State::Failed(failure)
        });
    }

    fn wait(&mut self, number: usize, wait: Option<Wait>) {
        let Some(wait) = wait else {
            let what = "a fiber waits for nothing that there is";
            self.state = State::Failed(Failure::new(Code::Runtime, what));
            return;
        };
        if self.sandbox.bridge.host().satisfied(wait) {
            self.ready.insert(number);
        } else {
            self.waiting.entry(wait).or_default().push(number);
        }
    }

    /// Every fiber waits, and nothing can come any more: fibers wait for each other.
    fn stuck(&self) -> Failure {
        let main = self.fibers.get(&0);
        let place = main.and_then(|main| self.sandbox.place(&main.thread));
        let place = place.unwrap_or_else(|| self.info.path.clone());
        let what = "the workflow waits for ever: its fibers wait for each other";
        Failure::new(Code::Runtime, format!("{place}: {what}"))
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
    let LuaValue::String(name) = yielded.next()? else {
        return None;
    };
    let number = whole(&yielded.next()?)?;
    match &*name.to_str().ok()? {
        "delegation" => Some(Wait::Over(Member::Delegation(CallId(number)))),
        "child" => Some(Wait::Over(Member::Child(CallId(number)))),
        "fiber" => Some(Wait::Over(Member::Fiber(number as usize))),
        "slept" => Some(Wait::Slept(CallId(number))),
        "item" => Some(Wait::Item(number as usize)),
        "race" => Some(Wait::Race(number as usize)),
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
