//! The host's functions, out of which the prelude makes the verbs.
//!
//! None of them raises: they return `true` and results, or `false` and a message that the prelude raises
//! with the script's line. None of them blocks: where a script must wait, the prelude yields.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use froben_model::{CallId, limits};
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, MultiValue, Table, Value as LuaValue};

use crate::convert::{Objects, sequence, start_of, text, to_lua, to_value, type_name, whole};
use crate::host::{Arrived, Host, Member, Next, RaceStart, Refusal};
use crate::limits::{DECLARED, KEY_BYTES, MAPPED, MEMBERS, SLEEP_MS};
use crate::options::{Options, duration_ms};
use crate::registry::{MAP, RUN, STATUS};
use crate::revision;
use crate::signature::{PipelineInfo, check_input};
use crate::slice::{stop_running, used_up};
use crate::{Code, Failure, suggest, task};

/// For the few strings that name the place where memory ran out.
const HEADROOM_BYTES: usize = 256 << 10;

/// Compiled sources by path.
pub(crate) type Chunks = BTreeMap<String, Vec<u8>>;

/// What the host's functions share with the VM.
pub(crate) struct Bridge {
    host: Mutex<Host>,
    chunks: Arc<Chunks>,
    memory_bytes: usize,
    /// The script is at its end for want of memory, and its place is still to be found out.
    headroom: AtomicBool,
    /// Made by the prelude, when the functions exist already.
    pub(crate) objects: OnceLock<Objects>,
    /// Those of the revision, once a workflow of it was started.
    pipelines: OnceLock<Arc<BTreeMap<String, PipelineInfo>>>,
    /// Fibers that were spawned since the VM last looked, by number.
    spawned: Mutex<Vec<(usize, Function)>>,
}

/// What a function returns beside `true`.
type Results = Result<Vec<LuaValue>, Refusal>;

impl Bridge {
    pub(crate) fn new(host: Host, chunks: Arc<Chunks>, memory_bytes: usize) -> Self {
        Bridge {
            host: Mutex::new(host),
            chunks,
            memory_bytes,
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

    /// Leaves the Luau state what the host has not taken of the cap that they share.
    pub(crate) fn share_memory(&self, lua: &Lua) -> mlua::Result<()> {
        let taken = self.host().bytes();
        let headroom = match self.headroom.load(Ordering::Relaxed) {
            true => HEADROOM_BYTES,
            false => 0,
        };
        // Zero would mean no limit.
        let left = (self.memory_bytes + headroom).saturating_sub(taken).max(1);
        lua.set_memory_limit(left).map(drop)
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

    /// What an object that has an end stands for.
    fn member(&self, value: &LuaValue, delegations_only: bool) -> Result<Member, Refusal> {
        let objects = self.objects();
        if let Some(table) = value.as_table() {
            let number = |key: &str| -> mlua::Result<u64> {
                let number: f64 = table.raw_get(key)?;
                Ok(number as u64)
            };
            if Objects::is(table, &objects.delegation) {
                return Ok(Member::Delegation(CallId(number("id")?)));
            }
            if !delegations_only && Objects::is(table, &objects.child) {
                return Ok(Member::Child(CallId(number("id")?)));
            }
            if !delegations_only && Objects::is(table, &objects.fiber) {
                return Ok(Member::Fiber(number("number")? as usize));
            }
        }
        let expected = match delegations_only {
            true => "a delegation",
            false => "a delegation, a fiber or a child",
        };
        Err(format!("{expected} was expected, got {}", self.name_of(value)).into())
    }

    /// What a value is, with the host's own objects by their names.
    fn name_of(&self, value: &LuaValue) -> &'static str {
        let objects = self.objects();
        let is = |metatable| {
            let table = value.as_table();
            table.is_some_and(|table| Objects::is(table, metatable))
        };
        match () {
            () if is(&objects.delegation) => "a delegation",
            () if is(&objects.fiber) => "a fiber",
            () if is(&objects.child) => "a child",
            () if is(&objects.blob) => "a blob",
            () => type_name(value),
        }
    }

    /// The call behind a delegation object.
    fn delegation(&self, value: &LuaValue) -> Result<CallId, Refusal> {
        match self.member(value, true)? {
            Member::Delegation(call) => Ok(call),
            Member::Child(_) | Member::Fiber(_) => Err("it is no delegation".to_owned().into()),
        }
    }

    fn delegate(&self, lua: &Lua, line: u32, spec: &LuaValue, verb: &LuaValue) -> Results {
        let verb = text(verb)?;
        let objects = self.objects();
        let mut host = self.host();
        let spec = task::read(objects, &verb, host.next_call(), spec)?;
        let key = spec.key.clone();
        let id = host.delegate(line, spec)?;
        drop(host);
        let fields = lua.create_table_with_capacity(0, 2)?;
        fields.raw_set("id", id.0 as f64)?;
        fields.raw_set("key", key)?;
        let object = Objects::make(fields, &objects.delegation)?;
        Ok(vec![LuaValue::Table(object)])
    }

    fn run(
        &self,
        lua: &Lua,
        line: u32,
        pipeline: &LuaValue,
        input: &LuaValue,
        options: &LuaValue,
    ) -> Results {
        let wrong = |why: String| format!("ctx:run: {why}");
        let pipeline = text(pipeline)
            .map_err(|why| wrong(format!("the name of a pipeline is a string; {why}")))?;
        let pipelines = self.pipelines.get().cloned().unwrap_or_default();
        let info = revision::find(&pipelines, &pipeline).map_err(wrong)?;
        let input = to_value(self.objects(), "input", input).map_err(wrong)?;
        check_input(info, &input).map_err(wrong)?;
        let input = info.with_defaults(input);
        let mut options = match options {
            LuaValue::Nil => Options::default(),
            options => Options::read("ctx:run", options, RUN)?,
        };
        let key = options.text("key").unwrap_or_default();
        if key.len() > KEY_BYTES || key.chars().any(char::is_control) {
            return Err(wrong(format!("`key` is 1 to {KEY_BYTES} bytes on one line")).into());
        }
        let id = self
            .host()
            .run(line, pipeline.clone(), input, key.clone())?;
        let fields = lua.create_table_with_capacity(0, 3)?;
        fields.raw_set("id", id.0 as f64)?;
        fields.raw_set("key", if key.is_empty() { id.to_string() } else { key })?;
        fields.raw_set("pipeline", pipeline)?;
        let object = Objects::make(fields, &self.objects().child)?;
        Ok(vec![LuaValue::Table(object)])
    }

    /// Begins a fiber that calls `function` without arguments. It runs when the running one waits.
    fn spawn(&self, lua: &Lua, function: &LuaValue) -> Results {
        let LuaValue::Function(function) = function else {
            let got = self.name_of(function);
            return Err(format!("ctx:spawn: a function was expected, got {got}").into());
        };
        let number = self.host().begin_fiber()?;
        let fields = lua.create_table_with_capacity(0, 1)?;
        fields.raw_set("number", number as f64)?;
        let object = Objects::make(fields, &self.objects().fiber)?;
        let mut spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        spawned.push((number, function.clone()));
        Ok(vec![
            LuaValue::Table(object),
            LuaValue::Number(number as f64),
        ])
    }

    /// What `ctx:map` needs to know: width, concurrency and how many items there are.
    fn map(&self, task: &LuaValue, options: &LuaValue) -> Results {
        let wrong = |why: &str| Refusal::Misuse(format!("ctx:map: {why}"));
        let items = match task.as_table() {
            Some(table) if !table.has_metatable() => table.raw_get::<LuaValue>("items")?,
            _ => return Err(wrong("the task is a plain table, without a metatable")),
        };
        let LuaValue::Table(items) = items else {
            return Err(wrong("`items` is missing (a list of plain data)"));
        };
        if items.has_metatable() {
            return Err(wrong("`items` is a plain list, without a metatable"));
        }
        let count = items.raw_len();
        if count > MAPPED {
            return Err(wrong(&format!(
                "`items` has {count} elements, the limit is {MAPPED}"
            )));
        }
        let mut options = match options {
            LuaValue::Nil => Options::default(),
            options => Options::read("ctx:map", options, MAP)?,
        };
        let width = options.count("width").unwrap_or(1);
        if !(1..=limits::ITEMS as u64).contains(&width) {
            return Err(wrong(&format!(
                "`width` is {width}; it is from 1 to {}",
                limits::ITEMS
            )));
        }
        let concurrency = options.count("concurrency").unwrap_or(u64::from(u32::MAX));
        if concurrency == 0 {
            return Err(wrong("`concurrency` is 0: nothing would ever be done"));
        }
        let on_item = options.lua("on_item").unwrap_or(LuaValue::Nil);
        let numbers = [width as f64, concurrency as f64, count as f64];
        Ok(numbers
            .map(LuaValue::Number)
            .into_iter()
            .chain([on_item])
            .collect())
    }

    fn now(&self) -> Results {
        let seconds = self.host().now_ms() as f64 / 1000.0;
        Ok(vec![LuaValue::Number(seconds)])
    }

    fn random(&self, bound: &LuaValue) -> Results {
        let bound = match bound {
            LuaValue::Nil => None,
            given => match whole(given) {
                Some(bound) if bound >= 1 => Some(bound as f64),
                _ => {
                    let got = match given {
                        LuaValue::Integer(number) => format!("{number}"),
                        LuaValue::Number(number) => format!("{number}"),
                        other => self.name_of(other).to_owned(),
                    };
                    return Err(format!(
                        "ctx:random: a whole number from 1 to 2^53 was expected, got {got}"
                    )
                    .into());
                }
            },
        };
        let drawn = self.host().random.unit();
        let number = bound.map_or(drawn, |bound| (drawn * bound).floor() + 1.0);
        Ok(vec![LuaValue::Number(number)])
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
            LuaValue::String(text) => start_of(text),
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

    fn cancel(&self, line: u32, object: &LuaValue) -> Results {
        match self.member(object, false)? {
            Member::Delegation(call) | Member::Child(call) => self.host().cancel(line, call)?,
            Member::Fiber(_) => return Err("a fiber cannot be cancelled".to_owned().into()),
        }
        Ok(Vec::new())
    }

    /// Whether an object is over, what it is, and its number.
    fn over(&self, lua: &Lua, object: &LuaValue) -> Results {
        let member = self.member(object, false)?;
        let over = self.host().over(member)?.is_some();
        let (what, number) = match member {
            Member::Delegation(call) => ("delegation", call.0 as f64),
            Member::Child(call) => ("child", call.0 as f64),
            Member::Fiber(number) => ("fiber", number as f64),
        };
        Ok(vec![
            LuaValue::Boolean(over),
            LuaValue::String(lua.create_string(what)?),
            LuaValue::Number(number),
        ])
    }

    /// The position of the first that is over; or 0 and the race to wait for.
    fn race(&self, list: &LuaValue) -> Results {
        let members = self.list("ctx:race", list, false)?;
        if members.is_empty() {
            return Err("ctx:race: the list is empty: nothing would ever win"
                .to_owned()
                .into());
        }
        let start = self.host().race(members);
        let (position, race) = match start.map_err(|refusal| refusal.of("ctx:race"))? {
            RaceStart::Won(position) => (position, 0),
            RaceStart::Running(race) => (0, race),
        };
        Ok([position, race]
            .map(|number| LuaValue::Number(number as f64))
            .into())
    }

    fn winner(&self, race: &LuaValue) -> Results {
        let race = whole(race).unwrap_or_default() as usize;
        let position = self.host().finish_race(race);
        let position = position.ok_or_else(|| "ctx:race: nobody has won".to_owned())?;
        Ok(vec![LuaValue::Number(position as f64)])
    }

    /// What `child:await()` gives.
    fn child_result(&self, lua: &Lua, call: &LuaValue) -> Results {
        let call = CallId(whole(call).unwrap_or_default());
        let host = self.host();
        let outcome = host.child_outcome(call)?;
        let result = lua.create_table_with_capacity(0, 3)?;
        result.raw_set("ok", outcome.is_ok())?;
        match outcome {
            Ok(value) => {
                let what = format!("the output of child {call}");
                result.raw_set("value", to_lua(lua, self.objects(), &what, value)?)?;
            }
            Err(failure) => {
                let err = lua.create_table_with_capacity(0, 2)?;
                err.raw_set("code", failure.code.as_str())?;
                err.raw_set("message", failure.message.as_str())?;
                result.raw_set("err", err)?;
            }
        }
        Ok(vec![LuaValue::Table(result)])
    }

    /// What `d:await()` gives.
    fn result(&self, lua: &Lua, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation)?;
        let host = self.host();
        let outcomes = host.outcomes(call)?;
        let result = lua.create_table_with_capacity(0, 4)?;
        let items = lua.create_table_with_capacity(outcomes.len(), 0)?;
        let mut first_error = LuaValue::Nil;
        for (index, arrived) in outcomes.iter().enumerate() {
            if used_up() {
                return Err("the slice is used up".to_owned().into());
            }
            let item = self.item(lua, index, arrived)?;
            if arrived.outcome.is_err() && first_error.is_nil() {
                first_error = item.raw_get("err")?;
            }
            if outcomes.len() == 1 {
                result.raw_set("value", item.raw_get::<LuaValue>("value")?)?;
            }
            items.raw_set(index + 1, item)?;
        }
        result.raw_set("ok", first_error.is_nil())?;
        result.raw_set("err", first_error)?;
        result.raw_set("items", items)?;
        Ok(vec![LuaValue::Table(result)])
    }

    /// Holds a list against being one of delegations, or of anything that has an end.
    fn members(&self, verb: &LuaValue, list: &LuaValue, delegations_only: &LuaValue) -> Results {
        let delegations_only = *delegations_only == LuaValue::Boolean(true);
        self.list(&text(verb)?, list, delegations_only)?;
        Ok(Vec::new())
    }

    fn list(
        &self,
        verb: &str,
        list: &LuaValue,
        delegations_only: bool,
    ) -> Result<Vec<Member>, Refusal> {
        let what = match delegations_only {
            true => "delegations",
            false => "delegations, fibers and children",
        };
        let LuaValue::Table(table) = list else {
            let got = type_name(list);
            return Err(format!("{verb}: a list of {what} was expected, got {got}").into());
        };
        if self.member(list, false).is_ok() {
            let single = self.name_of(list).trim_start_matches("a ");
            return Err(format!("{verb}: write {{ }} around a single {single}").into());
        }
        let elements = sequence(table, MEMBERS).map_err(|why| format!("{verb}: {why}"))?;
        let members = elements.iter().enumerate().map(|(index, element)| {
            let member = self.member(element, delegations_only);
            member.map_err(|refusal| refusal.of(&format!("{verb}: at position {}", index + 1)))
        });
        members.collect()
    }

    fn join(&self, stream: &LuaValue, delegation: &LuaValue) -> Results {
        let call = self.delegation(delegation);
        let call = call.map_err(|refusal| refusal.of("ctx:stream: appended to the list"))?;
        self.host().join_stream(stream_number(stream)?, call)?;
        Ok(Vec::new())
    }

    /// The next item of a stream: its delegation's position and the item; 0 if it has not come yet;
    /// nothing if there is none to come.
    fn take(&self, lua: &Lua, stream: &LuaValue) -> Results {
        let stream = stream_number(stream)?;
        let mut host = self.host();
        let taken = match host.next_item(stream) {
            Next::Over => return Ok(Vec::new()),
            Next::Later => return Ok(vec![LuaValue::Number(0.0)]),
            Next::Item(taken) => taken,
        };
        let arrived = host.outcome(taken.call, taken.index)?;
        let item = self.item(lua, taken.index as usize, arrived)?;
        let position = LuaValue::Number(taken.position as f64);
        Ok(vec![position, LuaValue::Table(item)])
    }

    /// `{ ok, value, err, index, operator }`
    fn item(&self, lua: &Lua, index: usize, arrived: &Arrived) -> Result<Table, Refusal> {
        let Arrived { outcome, operator } = arrived;
        let item = lua.create_table_with_capacity(0, 4)?;
        item.raw_set("index", index + 1)?;
        item.raw_set("ok", outcome.is_ok())?;
        if let Some(operator) = operator {
            item.raw_set("operator", operator.as_str())?;
        }
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
        let info = PipelineInfo::read(name, options, run);
        let info = info.map_err(|why| Refusal::Stop(Failure::new(Code::NotAPipeline, why)))?;
        let mut host = self.host();
        if host.declared.len() >= DECLARED {
            let many =
                format!("a file declares at most {DECLARED} workflows; one is what it returns");
            return Err(Refusal::Stop(Failure::new(Code::NotAPipeline, many)));
        }
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
    let add = |name: &str, function: fn(&Bridge, &Lua, [LuaValue; 4]) -> Results| {
        let bridge = bridge.clone();
        let callback = lua.create_function(move |lua, arguments: MultiValue| {
            let mut arguments = arguments.into_iter();
            let four = std::array::from_fn(|_| arguments.next().unwrap_or(LuaValue::Nil));
            let mut results = MultiValue::new();
            match function(&bridge, lua, four) {
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
    add("result", |bridge, lua, [delegation, ..]| {
        bridge.result(lua, &delegation)
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
        Ok(vec![LuaValue::Number(stream as f64)])
    })?;
    add("join", |bridge, _, [stream, delegation, ..]| {
        bridge.join(&stream, &delegation)
    })?;
    add("take", |bridge, lua, [stream, ..]| {
        bridge.take(lua, &stream)
    })?;
    add("random", |bridge, _, _| {
        let drawn = bridge.host().random.unit();
        Ok(vec![LuaValue::Number(drawn)])
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
        Ok(Vec::new())
    })?;
    add("headroom", |bridge, _, _| {
        bridge.headroom.store(true, Ordering::Relaxed);
        Ok(Vec::new())
    })?;
    add("out_of_memory", |bridge, _, _| {
        Err(Refusal::Stop(bridge.out_of_memory()))
    })?;
    Ok(natives)
}
