//! Calls: what a script has done, and notes.

use std::sync::PoisonError;

use froben_model::limits;
use mlua::{Lua, Value as LuaValue};

use super::{Bridge, NOTHING, Results, number, results};
use crate::convert::{Objects, sequence, start_of, text, to_value, type_name, whole};
use crate::host::{Member, Refusal};
use crate::limits::{KEY_BYTES, MAPPED, SLEEP_MS};
use crate::options::{Options, duration_ms};
use crate::registry::{MAP, RUN, STATUS};
use crate::signature::check_input;
use crate::{Code, Failure, revision, task};

impl Bridge {
    pub(super) fn delegate(
        &self,
        lua: &Lua,
        line: u32,
        spec: &LuaValue,
        verb: &LuaValue,
    ) -> Results {
        let verb = text(verb)?;
        let objects = self.objects();
        let mut host = self.host();
        let spec = task::read(objects, &verb, host.next_call(), spec)?;
        let key = spec.key.clone();
        let id = host
            .delegate(line, spec)
            .map_err(|refusal| refusal.of(&verb))?;
        drop(host);
        let fields = lua.create_table_with_capacity(0, 2)?;
        fields.raw_set("id", id.0 as f64)?;
        fields.raw_set("key", key)?;
        let object = Objects::make(fields, &objects.delegation)?;
        results([LuaValue::Table(object)])
    }

    pub(super) fn run(
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
        results([LuaValue::Table(object)])
    }

    /// Begins a fiber that calls `function` without arguments. It runs when the running one waits.
    pub(super) fn spawn(&self, lua: &Lua, function: &LuaValue) -> Results {
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
        results([LuaValue::Table(object), LuaValue::Number(number as f64)])
    }

    /// What `ctx:map` needs to know: width, concurrency and how many items there are.
    pub(super) fn map(&self, task: &LuaValue, options: &LuaValue) -> Results {
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
        let listed = sequence(&items, MAPPED);
        let count = listed
            .map_err(|why| wrong(&format!("`items`: {why}")))?
            .len();
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
        let [width, concurrency, count] =
            [width as f64, concurrency as f64, count as f64].map(LuaValue::Number);
        results([width, concurrency, count, on_item])
    }

    pub(super) fn now(&self) -> Results {
        let seconds = self.host().now_ms() as f64 / 1000.0;
        number(seconds)
    }

    pub(super) fn random(&self, bound: &LuaValue) -> Results {
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
        let drawn = bound.map_or(drawn, |bound| (drawn * bound).floor() + 1.0);
        number(drawn)
    }

    pub(super) fn sleep(&self, line: u32, duration: &LuaValue) -> Results {
        let ms = duration_ms(duration);
        let ms = ms.map_err(|why| {
            format!("ctx:sleep: \"5s\" or a number of seconds was expected; {why}")
        })?;
        if ms > SLEEP_MS {
            return Err("ctx:sleep: the longest sleep is 30 days".to_owned().into());
        }
        let id = self.host().sleep(line, ms)?;
        number(id.0 as f64)
    }

    pub(super) fn status(&self, line: u32, status: &LuaValue) -> Results {
        let mut options = Options::read("ctx:status", status, STATUS)?;
        let phase = limits::one_line(&options.text("phase").unwrap_or_default());
        if phase.is_empty() {
            return Err("ctx:status: `phase` is empty; it is a word"
                .to_owned()
                .into());
        }
        let done = options.count("done").unwrap_or(0);
        let total = options.count("total").unwrap_or(0);
        if total > 0 && done > total {
            return Err(format!("ctx:status: `done` is {done} of a `total` of {total}").into());
        }
        self.host().status(line, phase, done, total)?;
        Ok(NOTHING)
    }

    pub(super) fn log(&self, line: u32, value: &LuaValue) -> Results {
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
        Ok(NOTHING)
    }

    pub(super) fn fail(&self, reason: &LuaValue) -> Results {
        let reason =
            text(reason).map_err(|why| format!("ctx:fail: the reason is a string; {why}"))?;
        Err(Refusal::Stop(Failure::new(Code::Refused, reason)))
    }

    pub(super) fn cancel(&self, line: u32, object: &LuaValue) -> Results {
        match self.member(object, false)? {
            Member::Delegation(call) | Member::Child(call) => self.host().cancel(line, call)?,
            Member::Fiber(_) => return Err("a fiber cannot be cancelled".to_owned().into()),
        }
        Ok(NOTHING)
    }
}
