//! One Luau state, closed: its libraries bounded and frozen, its memory capped.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mlua::chunk::Compiler;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value as LuaValue};

use crate::convert::{Objects, start_of, whole};
use crate::host::Host;
use crate::limits::Limits;
use crate::signature::PipelineInfo;
use crate::slice::{Callbacks, PRELUDE, Slice, Spent};
use crate::source;
use crate::verbs::{Bridge, Chunks, is_memory_error, load_chunk, natives};
use crate::{Code, Failure};

/// Calls of these must reach our versions: the compiler has shortcuts for the originals.
const REPLACED: [&str; 7] = [
    "getmetatable",
    "next",
    "pairs",
    "pcall",
    "rawset",
    "setmetatable",
    "xpcall",
];

/// A turn of the garbage collector works off 1 MiB, and the heap may grow by half between rounds. The
/// defaults, 2 KiB and doubling, are for games: a script that drops large strings would outrun them and
/// meet its cap with nothing alive.
const GC_STEP_KIB: i32 = 256;
const GC_WORK_PERCENT: i32 = 400;
const GC_GOAL_PERCENT: i32 = 150;

/// What the parser's and the compiler's recursion may take, whoever calls: a thousand levels, which Luau
/// allows, need 0.8 MiB.
const COMPILER_STACK_BYTES: usize = 8 << 20;

/// Compiles a script. The error is Luau's message, with the line before it: `3: Expected ...`.
///
/// The VM's memory limit does not hold here; [`source::refused`] says what does.
pub(crate) fn compile(source: &str) -> Result<Vec<u8>, String> {
    compile_with(source, Debug::Lines)
}

/// What a compiled script knows of its source. It does the same either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Debug {
    Lines,
    /// The names of locals too, for whoever looks at a replay.
    Locals,
}

pub(crate) fn compile_with(source: &str, debug: Debug) -> Result<Vec<u8>, String> {
    source::refused(source)?;
    let compile = || {
        let compiler = Compiler::new()
            .set_optimization_level(1)
            .set_debug_level(match debug {
                Debug::Lines => 1,
                Debug::Locals => 2,
            })
            .set_mutable_globals(REPLACED);
        // As it stands first, so that messages quote what the author wrote.
        let plain = compiler.compile(source)?;
        match source::with_ordered_loops(source) {
            Ok(Some(ordered)) => compiler.compile(ordered),
            Ok(None) => Ok(plain),
            Err(message) => Err(mlua::Error::SyntaxError {
                message,
                incomplete_input: false,
            }),
        }
    };
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(COMPILER_STACK_BYTES);
        let thread = thread.spawn_scoped(scope, compile);
        thread.map(|thread| {
            thread
                .join()
                .expect("invariant: the compiler does not panic")
        })
    });
    let compiled = compiled.map_err(|error| format!("no thread to compile in: {error}"))?;
    compiled.map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => message,
        other => other.to_string(),
    })
}

/// Our own Lua code, which opens a state before it is closed: the verbs, then the libraries.
fn prelude() -> &'static [Vec<u8>; 2] {
    static PRELUDE: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        // Not inlined, so that levels of the call stack are what they seem.
        let compiler = Compiler::new().set_optimization_level(1).set_debug_level(0);
        let sources = [
            include_str!("prelude/verbs.luau"),
            include_str!("prelude/library.luau"),
        ];
        sources.map(|source| {
            let compiled = compiler.compile(source);
            compiled.expect("invariant: our own prelude compiles")
        })
    });
    &PRELUDE
}

/// The verbs of specs, compiled like the rest of our own Lua code.
pub(crate) fn spec_prelude() -> &'static [u8] {
    static PRELUDE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let compiler = Compiler::new().set_optimization_level(1).set_debug_level(0);
        let compiled = compiler.compile(include_str!("prelude/spec.luau"));
        compiled.expect("invariant: our own prelude compiles")
    });
    &PRELUDE
}

pub(crate) struct Sandbox {
    pub(crate) lua: Lua,
    pub(crate) bridge: Arc<Bridge>,
    /// `run(f, ...)` of the prelude: calls `f` and never raises what it raises.
    pub(crate) run: Function,
    pub(crate) ctx: Table,
    /// `where(thread)` of the prelude: the file and line of a script at which a thread waits.
    place: Function,
    /// `{ yield, info }`, which scripts do not have.
    pub(crate) tools: Table,
    callbacks: Callbacks,
    chunks: Arc<Chunks>,
    pipeline: String,
    limits: Limits,
}

impl Sandbox {
    /// A fresh state for the pipeline in the file `pipeline`.
    pub(crate) fn new(
        chunks: Arc<Chunks>,
        pipeline: &str,
        limits: &Limits,
        seed: u64,
    ) -> Result<Self, Failure> {
        let host = Host::new(limits.clone(), seed);
        let bridge = Arc::new(Bridge::new(host, chunks.clone(), limits.memory_bytes));
        let built = Self::build(chunks, bridge.clone(), pipeline, limits);
        built.map_err(|error| match is_memory_error(&error) {
            true => bridge.out_of_memory(),
            false => Failure::new(Code::Runtime, format!("no sandbox: {error}")),
        })
    }

    fn build(
        chunks: Arc<Chunks>,
        bridge: Arc<Bridge>,
        pipeline: &str,
        limits: &Limits,
    ) -> mlua::Result<Self> {
        let libraries = StdLib::COROUTINE
            | StdLib::DEBUG
            | StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::BUFFER
            | StdLib::VECTOR;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        lua.set_memory_limit(limits.memory_bytes)?;
        let pace = GcIncParams::default()
            .goal(GC_GOAL_PERCENT)
            .step_multiplier(GC_WORK_PERCENT)
            .step_size(GC_STEP_KIB);
        lua.gc_set_mode(GcMode::Incremental(pace));
        let natives = natives(&lua, &bridge)?;
        let [verbs, library] = prelude();
        let made: Table = load_chunk(&lua, PRELUDE, verbs)?.call((&natives, pipeline))?;
        load_chunk(&lua, PRELUDE, library)?.call::<()>(natives)?;
        lua.sandbox(true)?;
        // Scripts share one table of globals, which is frozen like all the rest.
        lua.globals().set_readonly(true);
        let objects = Objects {
            blob: made.raw_get("blob")?,
            delegation: made.raw_get("delegation")?,
            fiber: made.raw_get("fiber")?,
            child: made.raw_get("child")?,
            workflow: made.raw_get("workflow")?,
        };
        let set = bridge.objects.set(objects);
        debug_assert!(set.is_ok());
        Ok(Sandbox {
            run: made.raw_get("run")?,
            ctx: made.raw_get("ctx")?,
            place: made.raw_get("place")?,
            tools: made.raw_get("tools")?,
            callbacks: Callbacks::of(&lua)?,
            chunks,
            bridge,
            pipeline: pipeline.to_owned(),
            limits: limits.clone(),
            lua,
        })
    }

    /// Runs the pipeline's file, which declares its workflow.
    pub(crate) fn evaluate(&self) -> Result<(Function, PipelineInfo), Failure> {
        let chunk = self.chunks.get(&self.pipeline);
        let chunk = chunk.ok_or_else(|| {
            Failure::new(
                Code::UnknownPipeline,
                format!("there is no file {}", self.pipeline),
            )
        })?;
        let budget = Duration::from_millis(self.limits.slice_ms);
        let slice = self.begin_slice(budget);
        let ran = load_chunk(&self.lua, &self.pipeline, chunk)
            .and_then(|chunk| self.run.call::<MultiValue>(chunk));
        let spent = slice.end();
        let returned = self.finished(ran, &spent, budget)?;
        let not_a_workflow = || {
            let message = format!("{}: the file does not return a workflow", self.pipeline);
            Failure::new(Code::NotAPipeline, message)
        };
        let objects = self.bridge.objects();
        let object = returned
            .as_table()
            .filter(|table| Objects::is(table, &objects.workflow));
        let object = object.ok_or_else(not_a_workflow)?;
        let number: usize = object.raw_get("number").map_err(|_| not_a_workflow())?;
        let run: Function = object.raw_get("run").map_err(|_| not_a_workflow())?;
        let host = self.bridge.host();
        let info = host.declared.get(number.wrapping_sub(1));
        let mut info = info.cloned().ok_or_else(not_a_workflow)?;
        info.path.clone_from(&self.pipeline);
        Ok((run, info))
    }

    /// Where in a script a thread waits, as `path:line`.
    pub(crate) fn place(&self, thread: &mlua::Thread) -> Option<String> {
        let found = self.place.call::<(Option<String>, u32)>(thread.clone());
        let (path, line) = found.ok()?;
        path.map(|path| format!("{path}:{line}"))
    }

    pub(crate) fn begin_slice(&self, budget: Duration) -> Slice<'_> {
        self.begin_slice_at(budget, None)
    }

    /// `clock_ns` as [`Slice::begin`] takes it.
    pub(crate) fn begin_slice_at(&self, budget: Duration, clock_ns: Option<u64>) -> Slice<'_> {
        Slice::begin(&self.lua, self.callbacks, budget, clock_ns)
    }

    /// What `run` gave back, or why the script failed.
    pub(crate) fn finished(
        &self,
        ran: mlua::Result<MultiValue>,
        spent: &Spent,
        budget: Duration,
    ) -> Result<LuaValue, Failure> {
        if let Some(failure) = self.stopped(spent, budget) {
            return Err(failure);
        }
        let placed = |failure: Failure| match &spent.failed_at {
            Some(place) if failure.code == Code::Memory && location(&failure.message).is_none() => {
                failure.at(place)
            }
            _ => failure,
        };
        let ran = ran.map_err(|error| placed(self.failure_of(&error)));
        let mut results = ran?.into_iter();
        let mut next = || results.next().unwrap_or(LuaValue::Nil);
        let (ok, result) = (next(), next());
        if ok == LuaValue::Boolean(true) {
            return Ok(result);
        }
        let (source, line, pipeline_line) = (next(), next(), next());
        let line_of = |value| whole(value).and_then(|line| u32::try_from(line).ok());
        let place = source.to_string().ok().zip(line_of(&line));
        let raised = self.raised(&result, place, line_of(&pipeline_line));
        Err(placed(raised))
    }

    /// Why the script was stopped, if it was.
    pub(crate) fn stopped(&self, spent: &Spent, budget: Duration) -> Option<Failure> {
        let host = self.bridge.host();
        let failure = match host.stopped() {
            Some(failure) if failure.code == Code::Refused => return Some(failure.clone()),
            Some(failure) => failure.clone(),
            None if spent.over_budget => {
                let ms = budget.as_millis();
                Failure::new(
                    Code::Cpu,
                    format!("the script computed for {ms} ms without waiting"),
                )
            }
            None => return None,
        };
        Some(match &spent.stopped_at {
            Some(place) => failure.at(place),
            None => failure,
        })
    }

    pub(crate) fn failure_of(&self, error: &mlua::Error) -> Failure {
        if is_memory_error(error) {
            return self.bridge.out_of_memory();
        }
        let message = error.to_string();
        let message = message
            .split("\nstack traceback:")
            .next()
            .unwrap_or_default();
        Failure::new(Code::Runtime, message)
    }

    /// Puts a raised value into words: `path:line: message`, and the pipeline's line if that is
    /// elsewhere.
    fn raised(
        &self,
        raised: &LuaValue,
        place: Option<(String, u32)>,
        pipeline_line: Option<u32>,
    ) -> Failure {
        let message = match raised {
            LuaValue::String(text) => start_of(text),
            LuaValue::Error(error) => return self.failure_of(error),
            LuaValue::Table(table) => match table.raw_get::<LuaString>("message") {
                Ok(message) => start_of(&message),
                Err(_) => "the script raised a table".to_owned(),
            },
            LuaValue::Nil => "the script raised nil".to_owned(),
            LuaValue::Boolean(_) | LuaValue::Integer(_) | LuaValue::Number(_) => {
                format!(
                    "the script raised {}",
                    raised.to_string().unwrap_or_default()
                )
            }
            _ => "the script raised an object".to_owned(),
        };
        let own = format!("{PRELUDE}:0: ");
        let message = message.strip_prefix(&own).unwrap_or(&message);
        let mut failure = match message == "not enough memory" {
            true => self.bridge.out_of_memory(),
            false => Failure::new(Code::Runtime, message),
        };
        let located = location(&failure.message).map(|(path, _, _)| path.to_owned());
        let path = match (located, place) {
            (Some(path), _) => Some(path),
            (None, Some(place)) => {
                failure = failure.at(&place);
                Some(place.0)
            }
            (None, None) => None,
        };
        if let (Some(path), Some(line)) = (path, pipeline_line)
            && path != self.pipeline
        {
            failure.message = format!(
                "{} (reached from {}:{line})",
                failure.message, self.pipeline
            );
        }
        failure
    }
}

/// Takes `path.lua:12: message` apart.
pub(crate) fn location(message: &str) -> Option<(&str, u32, &str)> {
    let (path, rest) = message.split_once(':')?;
    let (line, rest) = rest.split_once(": ")?;
    let line = line.parse().ok()?;
    path.ends_with(".lua").then_some((path, line, rest))
}

#[cfg(test)]
mod reach;
#[cfg(test)]
mod tests;
