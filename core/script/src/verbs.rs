//! The host's functions, out of which the prelude makes the verbs.
//!
//! None of them raises: they return `true` and results, or `false` and a message that the prelude raises
//! with the script's line. None of them blocks: where a script must wait, the prelude yields.

mod calls;
mod ends;
mod modules;
mod streams;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Table, Value as LuaValue};

use crate::convert::{Objects, whole};
use crate::host::{Host, Refusal};
use crate::signature::PipelineInfo;
use crate::slice::stop_running;
use crate::{Code, Failure};

/// For the few strings that name the place where memory ran out.
const HEADROOM_BYTES: usize = 256 << 10;

/// Compiled sources by path.
pub(crate) type Chunks = BTreeMap<String, Vec<u8>>;

/// What the host's functions share with the VM.
pub(crate) struct Bridge {
    host: Mutex<Host>,
    chunks: Arc<Chunks>,
    memory_bytes: AtomicUsize,
    /// The script is at its end for want of memory, and its place is still to be found out.
    headroom: AtomicBool,
    /// Made by the prelude, when the functions exist already.
    pub(crate) objects: OnceLock<Objects>,
    /// Those of the revision, once a workflow of it was started.
    pipelines: OnceLock<Arc<BTreeMap<String, PipelineInfo>>>,
    /// Fibers that were spawned since the VM last looked, by number.
    spawned: Mutex<Vec<(usize, Function)>>,
}

/// What a function returns beside `true`; what it has no use for is nil.
type Results = Result<[LuaValue; RESULTS], Refusal>;

const RESULTS: usize = 5;
const NOTHING: [LuaValue; RESULTS] = [const { LuaValue::Nil }; RESULTS];

/// The results of a function that returns so many.
fn results<const N: usize>(values: [LuaValue; N]) -> Results {
    const { assert!(N <= RESULTS) };
    let mut all = NOTHING;
    for (place, value) in all.iter_mut().zip(values) {
        *place = value;
    }
    Ok(all)
}

fn number(number: f64) -> Results {
    results([LuaValue::Number(number)])
}

impl Bridge {
    pub(crate) fn new(host: Host, chunks: Arc<Chunks>, memory_bytes: usize) -> Self {
        Bridge {
            host: Mutex::new(host),
            chunks,
            memory_bytes: AtomicUsize::new(memory_bytes),
            headroom: AtomicBool::new(false),
            objects: OnceLock::new(),
            pipelines: OnceLock::new(),
            spawned: Mutex::default(),
        }
    }

    /// Tells which pipelines a script can run.
    pub(crate) fn know(&self, pipelines: Arc<BTreeMap<String, PipelineInfo>>) {
        self.pipelines.get_or_init(|| pipelines);
    }

    pub(crate) fn take_spawned(&self) -> Vec<(usize, Function)> {
        std::mem::take(&mut self.spawned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn objects(&self) -> &Objects {
        let objects = self.objects.get();
        objects.expect("invariant: the prelude made the objects before any script ran")
    }

    /// From the next step on.
    pub(crate) fn cap_memory(&self, memory_bytes: usize) {
        self.memory_bytes.store(memory_bytes, Ordering::Relaxed);
    }

    /// Leaves the Luau state what the host has not taken of the cap that they share.
    pub(crate) fn share_memory(&self, lua: &Lua) -> mlua::Result<()> {
        let left = self.memory_left(&self.host());
        lua.set_memory_limit(left).map(drop)
    }

    fn memory_left(&self, host: &Host) -> usize {
        let headroom = match self.headroom.load(Ordering::Relaxed) {
            true => HEADROOM_BYTES,
            false => 0,
        };
        let cap = self.memory_bytes.load(Ordering::Relaxed) + headroom;
        // Zero would mean no limit.
        cap.saturating_sub(host.bytes()).max(1)
    }

    /// Refuses to make more when the state is past its share of the cap.
    fn check_memory(&self, lua: &Lua) -> Result<(), Refusal> {
        match lua.used_memory() > self.memory_left(&self.host()) {
            true => Err(Refusal::Stop(self.out_of_memory())),
            false => Ok(()),
        }
    }

    pub(crate) fn out_of_memory(&self) -> Failure {
        let limit = self.memory_bytes.load(Ordering::Relaxed) >> 20;
        Failure::new(
            Code::Memory,
            format!("the script needs more than {limit} MiB of memory"),
        )
    }

    /// Puts a refusal into words. One that is final also stops the script.
    fn refuse(&self, refusal: Refusal) -> String {
        let failure = match refusal {
            Refusal::Misuse(message) => return message,
            Refusal::Stop(failure) => failure,
            Refusal::Lua(error) if is_memory_error(&error) => self.out_of_memory(),
            Refusal::Lua(error) => return error.to_string(),
        };
        let message = failure.message.clone();
        self.host().stop(failure);
        stop_running();
        message
    }
}

/// Loads bytecode that this process compiled itself, under the name of its source.
pub(crate) fn load_chunk(lua: &Lua, path: &str, bytecode: &[u8]) -> mlua::Result<mlua::Function> {
    let chunk = lua.load(bytecode).set_name(format!("={path}"));
    chunk.set_mode(ChunkMode::Binary).into_function()
}

pub(crate) fn is_memory_error(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => {
            is_memory_error(cause)
        }
        _ => false,
    }
}

fn line_number(value: &LuaValue) -> u32 {
    whole(value)
        .and_then(|line| u32::try_from(line).ok())
        .unwrap_or(0)
}

/// The table of functions that the prelude takes.
pub(crate) fn natives(lua: &Lua, bridge: &Arc<Bridge>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let add = |name: &str, function: fn(&Bridge, &Lua, [LuaValue; 4]) -> Results| {
        let bridge = bridge.clone();
        type Arguments = (LuaValue, LuaValue, LuaValue, LuaValue);
        let callback = lua.create_function(move |lua, (a, b, c, d): Arguments| {
            // Under a limit each allocation is a protected call of its own, which costs more than what
            // it protects. So the limit is lifted here, and held when the function is back: what one makes
            // at a time is bounded by what a value may weigh.
            lua.set_memory_limit(0)?;
            let made = function(&bridge, lua, [a, b, c, d])
                .and_then(|made| bridge.check_memory(lua).map(|()| made));
            let results = match made {
                Ok([a, b, c, d, e]) => (true, a, b, c, d, e),
                Err(refusal) => {
                    let message = lua.create_string(bridge.refuse(refusal));
                    let message = LuaValue::String(message?);
                    let [b, c, d, e, _] = NOTHING;
                    (false, message, b, c, d, e)
                }
            };
            bridge.share_memory(lua)?;
            Ok(results)
        })?;
        natives.raw_set(name, callback)
    };
    add("delegate", |bridge, lua, [line, spec, verb, _]| {
        bridge.delegate(lua, line_number(&line), &spec, &verb)
    })?;
    add("run", |bridge, lua, [line, pipeline, input, options]| {
        bridge.run(lua, line_number(&line), &pipeline, &input, &options)
    })?;
    add("spawn", |bridge, lua, [function, ..]| {
        bridge.spawn(lua, &function)
    })?;
    add("map", |bridge, _, [task, options, ..]| {
        bridge.map(&task, &options)
    })?;
    add("now", |bridge, _, _| bridge.now())?;
    add("draw", |bridge, _, [bound, ..]| bridge.random(&bound))?;
    add("sleep", |bridge, _, [line, duration, ..]| {
        bridge.sleep(line_number(&line), &duration)
    })?;
    add("status", |bridge, _, [line, status, ..]| {
        bridge.status(line_number(&line), &status)
    })?;
    add("log", |bridge, _, [line, text, ..]| {
        bridge.log(line_number(&line), &text)
    })?;
    add("fail", |bridge, _, [reason, ..]| bridge.fail(&reason))?;
    add("cancel", |bridge, _, [line, object, ..]| {
        bridge.cancel(line_number(&line), &object)
    })?;
    add("over", |bridge, lua, [object, ..]| {
        bridge.over(lua, &object)
    })?;
    add("outcome", |bridge, lua, [delegation, position, ..]| {
        bridge.outcome(lua, &delegation, &position)
    })?;
    add("child_result", |bridge, lua, [call, ..]| {
        bridge.child_result(lua, &call)
    })?;
    add("race", |bridge, _, [list, ..]| bridge.race(&list))?;
    add("winner", |bridge, _, [race, ..]| bridge.winner(&race))?;
    add("members", |bridge, _, [verb, list, delegations_only, _]| {
        bridge.members(&verb, &list, &delegations_only)
    })?;
    add("open", |bridge, _, _| {
        let stream = bridge.host().open_stream()?;
        number(stream as f64)
    })?;
    add("join", |bridge, _, [stream, delegation, ..]| {
        bridge.join(&stream, &delegation)
    })?;
    add("take", |bridge, lua, [stream, ..]| {
        bridge.take(lua, &stream)
    })?;
    add("random", |bridge, _, _| {
        let drawn = bridge.host().random.unit();
        number(drawn)
    })?;
    add("workflow", |bridge, _, [name, options, run, _]| {
        bridge.workflow(&name, &options, &run)
    })?;
    add("load", |bridge, lua, [name, loading, ..]| {
        bridge.load(lua, &name, &loading)
    })?;
    add("unknown", |_, _, [what, name, known, _]| {
        Bridge::unknown(&what, &name, &known)
    })?;
    add("seal", |_, _, [table, ..]| {
        if let LuaValue::Table(table) = table {
            table.set_readonly(true);
        }
        Ok(NOTHING)
    })?;
    add("metatable", |_, _, [table, ..]| {
        let own = table.as_table().and_then(Table::metatable);
        results([own.map_or(LuaValue::Nil, LuaValue::Table)])
    })?;
    add("headroom", |bridge, _, _| {
        bridge.headroom.store(true, Ordering::Relaxed);
        Ok(NOTHING)
    })?;
    add("out_of_memory", |bridge, _, _| {
        Err(Refusal::Stop(bridge.out_of_memory()))
    })?;
    Ok(natives)
}
