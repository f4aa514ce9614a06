//! The host's functions, out of which the prelude makes the verbs.
//!
//! None of them raises: they return `true` and results, or `false` and a message that the prelude raises
//! with the script's line. None of them blocks: where a script must wait, the prelude yields.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use froben_model::{CallId, limits};
use mlua::chunk::ChunkMode;
use mlua::{Lua, MultiValue, Table, Value as LuaValue};

use crate::convert::{Objects, sequence, text, to_lua, type_name, whole};
use crate::host::{Arrived, Host, Refusal};
use crate::limits::SLEEP_MS;
use crate::options::{Options, duration_ms};
use crate::registry::STATUS;
use crate::signature::PipelineInfo;
use crate::slice::stop_running;
use crate::{Code, Failure, suggest, task};

/// Compiled sources by path.
pub(crate) type Chunks = BTreeMap<String, Vec<u8>>;

/// What the host's functions share with the VM.
pub(crate) struct Bridge {
    host: Mutex<Host>,
    chunks: Arc<Chunks>,
    memory_bytes: usize,
    /// Made by the prelude, when the functions exist already.
    pub(crate) objects: OnceLock<Objects>,
}

/// What a function returns beside `true`.
type Results = Result<Vec<LuaValue>, Refusal>;

impl Bridge {
    pub(crate) fn new(host: Host, chunks: Arc<Chunks>, memory_bytes: usize) -> Self {
        Bridge {
            host: Mutex::new(host),
            chunks,
            memory_bytes,
            objects: OnceLock::new(),
        }
    }

    pub(crate) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn objects(&self) -> &Objects {
        let objects = self.objects.get();
        objects.expect("invariant: the prelude made the objects before any script ran")
    }

    pub(crate) fn out_of_memory(&self) -> Failure {
        let limit = self.memory_bytes >> 20;
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

    /// The call behind a delegation object.
    fn delegation(&self, value: &LuaValue) -> Result<CallId, Refusal> {
        let object = value.as_table();
        let object = object.filter(|table| Objects::is(table, &self.objects().delegation));
        let Some(object) = object else {
            let got = type_name(value);
            return Err(format!("a delegation was expected, got {got}").into());
        };
        let id: f64 = object.raw_get("id")?;
        Ok(CallId(id as u64))
    }

    fn delegate(&self, lua: &Lua, line: u32, spec: &LuaValue) -> Results {
        let objects = self.objects();
        let mut host = self.host();
        let spec = task::read(objects, host.next_call(), spec)?;
        let key = spec.key.clone();
        let id = host.delegate(line, spec)?;
        drop(host);
        let fields = lua.create_table_with_capacity(0, 2)?;
        fields.raw_set("id", id.0 as f64)?;
        fields.raw_set("key", key)?;
        let object = Objects::make(fields, &objects.delegation)?;
        Ok(vec![LuaValue::Table(object)])
    }

    fn sleep(&self, line: u32, duration: &LuaValue) -> Results {
        let ms = duration_ms(duration);
        let ms = ms.map_err(|why| {
            format!("ctx:sleep: \"5s\" or a number of seconds was expected; {why}")
        })?;
        if ms > SLEEP_MS {
            return Err("ctx:sleep: the longest sleep is 30 days".to_owned().into());
        }
        let id = self.host().sleep(line, ms)?;
        Ok(vec![LuaValue::Number(id.0 as f64)])
    }

    fn status(&self, line: u32, status: &LuaValue) -> Results {
        let mut options = Options::read("ctx:status", status, STATUS)?;
        let phase = limits::one_line(&options.text("phase").unwrap_or_default());
        let done = options.count("done").unwrap_or(0);
        let total = options.count("total").unwrap_or(0);
        if total > 0 && done > total {
            return Err(format!("ctx:status: `done` is {done} of a `total` of {total}").into());
        }
        self.host().status(line, phase, done, total)?;
        Ok(Vec::new())
    }

    fn log(&self, line: u32, value: &LuaValue) -> Results {
        let text = match value {
            // A long line is cut rather than refused: it is only a log.
            LuaValue::String(text) => String::from_utf8_lossy(&text.as_bytes()).into_owned(),
            LuaValue::Integer(number) => number.to_string(),
            LuaValue::Number(number) => number.to_string(),
            other => {
                let got = type_name(other);
                return Err(format!("ctx:log: a string was expected, got {got}").into());
            }
        };
        self.host().log(line, limits::one_line(&text))?;
        Ok(Vec::new())
    }

    fn fail(&self, reason: &LuaValue) -> Results {
        let reason =
            text(reason).map_err(|why| format!("ctx:fail: the reason is a string; {why}"))?;
        Err(Refusal::Stop(Failure::new(Code::Refused, reason)))
    }

    fn cancel(&self, line: u32, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        self.host().cancel(line, call)?;
        Ok(Vec::new())
    }

    fn ended(&self, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        Ok(vec![LuaValue::Boolean(self.host().ended(call)?)])
    }

    /// What `d:await()` gives.
    fn result(&self, lua: &Lua, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        let host = self.host();
        let arrived = host.arrived(call)?;
        let result = lua.create_table_with_capacity(0, 4)?;
        let items = lua.create_table_with_capacity(arrived.len(), 0)?;
        let mut first_error = LuaValue::Nil;
        for (index, one) in arrived.iter().enumerate() {
            let item = self.item(lua, index, one)?;
            if one.outcome.is_err() && first_error.is_nil() {
                first_error = item.raw_get("err")?;
            }
            if arrived.len() == 1 {
                result.raw_set("value", item.raw_get::<LuaValue>("value")?)?;
            }
            items.raw_set(index + 1, item)?;
        }
        result.raw_set("ok", first_error.is_nil())?;
        result.raw_set("err", first_error)?;
        result.raw_set("items", items)?;
        Ok(vec![LuaValue::Table(result)])
    }

    /// Holds a list against being one of delegations.
    fn members(&self, verb: &LuaValue, list: &LuaValue) -> Results {
        let verb = text(verb)?;
        let LuaValue::Table(table) = list else {
            let got = type_name(list);
            return Err(format!("{verb}: a list of delegations was expected, got {got}").into());
        };
        if Objects::is(table, &self.objects().delegation) {
            return Err(format!("{verb}: write {{ }} around a single delegation").into());
        }
        let members = sequence(table, limits::DELEGATIONS);
        for (index, member) in members
            .map_err(|why| format!("{verb}: {why}"))?
            .iter()
            .enumerate()
        {
            if let Err(Refusal::Misuse(why)) = self.delegation(member) {
                return Err(format!("{verb}: at position {}, {why}", index + 1).into());
            }
        }
        Ok(Vec::new())
    }

    fn join(&self, stream: &LuaValue, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        self.host().join_stream(stream_number(stream)?, call)?;
        Ok(Vec::new())
    }

    /// The next item of a stream: its delegation's position and the item; 0 if it has not come yet;
    /// nothing if there is none to come.
    fn take(&self, lua: &Lua, stream: &LuaValue) -> Results {
        let stream = stream_number(stream)?;
        let mut host = self.host();
        if host.stream_is_over(stream) {
            return Ok(Vec::new());
        }
        let Some(taken) = host.next_item(stream) else {
            return Ok(vec![LuaValue::Number(0.0)]);
        };
        let arrived = host.item(taken.call, taken.index)?;
        let item = self.item(lua, taken.index as usize, arrived)?;
        let position = LuaValue::Number(taken.position as f64);
        Ok(vec![position, LuaValue::Table(item)])
    }

    /// `{ ok, value, err, index, operator }`
    fn item(&self, lua: &Lua, index: usize, arrived: &Arrived) -> Result<Table, Refusal> {
        let Arrived { outcome, operator } = arrived;
        let item = lua.create_table_with_capacity(0, 5)?;
        item.raw_set("index", index + 1)?;
        if let Some(operator) = operator {
            item.raw_set("operator", operator.as_str())?;
        }
        item.raw_set("ok", outcome.is_ok())?;
        match outcome {
            Ok(value) => {
                let what = format!("the value of item {}", index + 1);
                item.raw_set("value", to_lua(lua, self.objects(), &what, value)?)?;
            }
            Err(error) => {
                let err = lua.create_table_with_capacity(0, 4)?;
                err.raw_set("class", error.class.name())?;
                err.raw_set("message", error.message.as_str())?;
                err.raw_set("retryable", error.class.retryable())?;
                if let Some(operator) = &error.operator {
                    err.raw_set("operator", operator.as_str())?;
                }
                item.raw_set("err", err)?;
            }
        }
        Ok(item)
    }

    fn workflow(&self, name: &LuaValue, options: &LuaValue, run: &LuaValue) -> Results {
        let info = PipelineInfo::read(self.objects(), name, options, run);
        let info = info.map_err(|why| Refusal::Stop(Failure::new(Code::NotAPipeline, why)))?;
        let mut host = self.host();
        host.declared.push(info);
        Ok(vec![LuaValue::Number(host.declared.len() as f64)])
    }

    /// Loads the chunk of a module. `loading` are the names of those that wait for it.
    fn load(&self, lua: &Lua, name: &LuaValue, loading: &LuaValue) -> Results {
        let refuse =
            |why: String| Refusal::Stop(Failure::new(Code::Require, format!("require: {why}")));
        let name = text(name).map_err(|why| refuse(format!("the name is a string; {why}")))?;
        let mut waiting = Vec::new();
        if let LuaValue::Table(loading) = loading {
            for waiter in sequence(loading, usize::MAX)? {
                waiting.push(text(&waiter)?);
            }
        }
        if let Some(first) = waiting.iter().position(|waiter| *waiter == name) {
            waiting.push(name);
            return Err(refuse(format!(
                "a module needs itself: {}",
                waiting[first..].join(" -> ")
            )));
        }
        let path = format!("{name}.lua");
        let chunk = self.chunks.get(&path).filter(|_| name.starts_with("lib/"));
        let Some(chunk) = chunk else {
            let modules = self
                .chunks
                .keys()
                .filter_map(|path| path.strip_suffix(".lua"));
            let modules: Vec<&str> = modules.filter(|name| name.starts_with("lib/")).collect();
            let hint = match modules.is_empty() {
                true => "; the script set has no modules".to_owned(),
                false => suggest::hint(&name, modules.iter().copied()),
            };
            return Err(refuse(format!("there is no module `{name}`{hint}")));
        };
        Ok(vec![LuaValue::Function(load_chunk(lua, &path, chunk)?)])
    }

    fn unknown(what: &LuaValue, name: &LuaValue, known: &LuaValue) -> Results {
        let (what, name) = (text(what)?, text(name)?);
        let mut words = Vec::new();
        if let LuaValue::Table(known) = known {
            for word in sequence(known, limits::ITEMS)? {
                words.push(text(&word)?);
            }
        }
        let hint = suggest::hint(&name, words.iter().map(String::as_str));
        let message = format!("{what} has no `{name}`{hint}");
        Err(message.into())
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

fn stream_number(value: &LuaValue) -> Result<usize, Refusal> {
    let number = whole(value).ok_or_else(|| "a stream was expected".to_owned())?;
    Ok(number as usize)
}

fn line_number(value: &LuaValue) -> u32 {
    whole(value)
        .and_then(|line| u32::try_from(line).ok())
        .unwrap_or(0)
}

/// The table of functions that the prelude takes.
pub(crate) fn natives(lua: &Lua, bridge: &Arc<Bridge>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let add = |name: &str, function: fn(&Bridge, &Lua, [LuaValue; 3]) -> Results| {
        let bridge = bridge.clone();
        let callback = lua.create_function(move |lua, arguments: MultiValue| {
            let mut arguments = arguments.into_iter();
            let three = std::array::from_fn(|_| arguments.next().unwrap_or(LuaValue::Nil));
            let mut results = MultiValue::new();
            match function(&bridge, lua, three) {
                Ok(values) => {
                    results.push_back(LuaValue::Boolean(true));
                    results.extend(values);
                }
                Err(refusal) => {
                    let message = bridge.refuse(refusal);
                    results.push_back(LuaValue::Boolean(false));
                    results.push_back(LuaValue::String(lua.create_string(message)?));
                }
            }
            Ok(results)
        })?;
        natives.raw_set(name, callback)
    };
    add("delegate", |bridge, lua, [line, spec, _]| {
        bridge.delegate(lua, line_number(&line), &spec)
    })?;
    add("sleep", |bridge, _, [line, duration, _]| {
        bridge.sleep(line_number(&line), &duration)
    })?;
    add("status", |bridge, _, [line, status, _]| {
        bridge.status(line_number(&line), &status)
    })?;
    add("log", |bridge, _, [line, text, _]| {
        bridge.log(line_number(&line), &text)
    })?;
    add("fail", |bridge, _, [reason, ..]| bridge.fail(&reason))?;
    add("cancel", |bridge, _, [line, delegation, _]| {
        bridge.cancel(line_number(&line), &delegation)
    })?;
    add("ended", |bridge, _, [delegation, ..]| {
        bridge.ended(&delegation)
    })?;
    add("result", |bridge, lua, [delegation, ..]| {
        bridge.result(lua, &delegation)
    })?;
    add("members", |bridge, _, [verb, list, _]| {
        bridge.members(&verb, &list)
    })?;
    add("open", |bridge, _, _| {
        let stream = bridge.host().open_stream();
        Ok(vec![LuaValue::Number(stream as f64)])
    })?;
    add("join", |bridge, _, [stream, delegation, _]| {
        bridge.join(&stream, &delegation)
    })?;
    add("take", |bridge, lua, [stream, ..]| {
        bridge.take(lua, &stream)
    })?;
    add("random", |bridge, _, _| {
        let drawn = bridge.host().random.unit();
        Ok(vec![LuaValue::Number(drawn)])
    })?;
    add("workflow", |bridge, _, [name, options, run]| {
        bridge.workflow(&name, &options, &run)
    })?;
    add("load", |bridge, lua, [name, loading, _]| {
        bridge.load(lua, &name, &loading)
    })?;
    add("unknown", |_, _, [what, name, known]| {
        Bridge::unknown(&what, &name, &known)
    })?;
    add("seal", |_, _, [table, ..]| {
        if let LuaValue::Table(table) = table {
            table.set_readonly(true);
        }
        Ok(Vec::new())
    })?;
    add("out_of_memory", |bridge, _, _| {
        Err(Refusal::Stop(bridge.out_of_memory()))
    })?;
    Ok(natives)
}
