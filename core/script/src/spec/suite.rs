//! One spec file in a VM of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use froben_model::Value;
use mlua::thread::ThreadStatus;
use mlua::{Function, Lua, MultiValue, Table, Thread, Value as LuaValue};

use super::plan::{Question, Reply, Simulation};
use super::read::{self, Answers};
use super::registry::{MATCHERS, RUN};
use crate::convert::{to_lua, type_name};
use crate::host::Refusal;
use crate::limits::Limits;
use crate::options::duration_ms;
use crate::revision::{Problem, Revision, syntax_problem};
use crate::sandbox::{Sandbox, compile, location};
use crate::show::show;
use crate::slice::PRELUDE;
use crate::verbs::load_chunk;
use crate::{Failure, suggest};

/// What a case may use: it is its author's own machine.
const LIMITS: Limits = Limits {
    memory_bytes: 512 << 20,
    slice_ms: 10_000,
    cpu_ms: 60_000,
    ..Limits::DEFAULT
};
/// Of a value in an expectation's words.
const SHOWN_BYTES: usize = 400;

/// One `it`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The names of its groups, then its own.
    pub path: Vec<String>,
    pub line: u32,
}

impl Case {
    /// As it is shown and filtered: `retry › works`.
    pub fn name(&self) -> String {
        self.path.join(" › ")
    }
}

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    pub path: String,
    /// 0 if unknown.
    pub line: u32,
    /// Empty if `expected` and `got` say it all.
    pub message: String,
    pub expected: Option<String>,
    pub got: Option<String>,
}

/// How far a case has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It waits for this run: go on with [`Suite::resume`].
    Simulate(Box<Simulation>),
    Passed,
    Failed(Unmet),
}

/// A spec file whose cases were read. Run one case of it; another wants a suite of its own.
pub struct Suite {
    sandbox: Sandbox,
    path: String,
    cases: Vec<Case>,
    begin: Function,
    ask: Function,
    reply: Table,
    unmet: Arc<Mutex<Option<Unmet>>>,
    main: Option<Thread>,
    answers: Answers,
}

impl Suite {
    /// Evaluates the spec file `path`, whose modules are those of `revision`.
    ///
    /// *Errors*: what is wrong with the file, with its line.
    pub fn load(
        revision: &Revision,
        path: &str,
        source: &str,
        seed: u64,
    ) -> Result<Suite, Problem> {
        let bytecode = compile(source).map_err(|message| syntax_problem(path, &message))?;
        Self::build(revision, path, &bytecode, seed).map_err(|failure| Problem::of(path, &failure))
    }

    fn build(
        revision: &Revision,
        path: &str,
        bytecode: &[u8],
        seed: u64,
    ) -> Result<Suite, Failure> {
        let sandbox = Sandbox::new(revision.chunks(), path, &LIMITS, seed)?;
        let unmet = Arc::new(Mutex::new(None));
        let made = install(&sandbox, path, &unmet).map_err(|error| sandbox.failure_of(&error))?;
        let part = |name: &str| {
            made.raw_get(name)
                .map_err(|error| sandbox.failure_of(&error))
        };
        let (begin, ask) = (part("begin")?, part("ask")?);
        let reply = made.raw_get("reply");
        let reply = reply.map_err(|error| sandbox.failure_of(&error))?;

        let budget = Duration::from_millis(LIMITS.slice_ms);
        let slice = sandbox.begin_slice(budget);
        let ran = load_chunk(&sandbox.lua, path, bytecode)
            .and_then(|chunk| sandbox.run.call::<MultiValue>(chunk));
        let spent = slice.end();
        sandbox.finished(ran, &spent, budget)?;
        let cases = read_cases(&made).map_err(|error| sandbox.failure_of(&error))?;
        Ok(Suite {
            path: path.to_owned(),
            cases,
            begin,
            ask,
            reply,
            unmet,
            main: None,
            answers: Answers::default(),
            sandbox,
        })
    }

    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Begins the case at this position.
    pub fn begin(&mut self, case: usize) -> Step {
        match self.sandbox.lua.create_thread(self.sandbox.run.clone()) {
            Ok(main) => self.main = Some(main),
            Err(error) => return self.failed(&self.sandbox.failure_of(&error)),
        }
        let begin = LuaValue::Function(self.begin.clone());
        let case = LuaValue::Number(case as f64 + 1.0);
        self.step(MultiValue::from_iter([begin, case]))
    }

    /// Goes on with what came of the run that the case waits for: a table as the registry declares
    /// it, or why there is none, which the case fails with.
    pub fn resume(&mut self, run: Result<Value, String>) -> Step {
        let arguments = self.result(run);
        self.step(arguments)
    }

    fn result(&self, run: Result<Value, String>) -> MultiValue {
        let (ok, result) = match run {
            Ok(run) => {
                let objects = self.sandbox.bridge.objects();
                match to_lua(&self.sandbox.lua, objects, &"the run", &run) {
                    Ok(run) => (true, run),
                    Err(Refusal::Misuse(why)) => (false, self.string(&why)),
                    Err(_) => (false, self.string("the run does not fit into memory")),
                }
            }
            Err(why) => (false, self.string(&why)),
        };
        MultiValue::from_iter([LuaValue::Boolean(ok), result])
    }

    fn string(&self, text: &str) -> LuaValue {
        let string = self.sandbox.lua.create_string(text);
        string.map_or(LuaValue::Nil, LuaValue::String)
    }

    fn step(&mut self, mut arguments: MultiValue) -> Step {
        loop {
            let Some(main) = self.main.clone() else {
                return Step::Passed;
            };
            let budget = Duration::from_millis(LIMITS.slice_ms);
            let slice = self.sandbox.begin_slice(budget);
            let ran = main.resume::<MultiValue>(arguments);
            let spent = slice.end();
            if ran.is_ok() && main.status() == ThreadStatus::Resumable {
                if let Some(failure) = self.sandbox.stopped(&spent, budget) {
                    return self.failed(&failure);
                }
                match self.asked_for(ran.unwrap_or_default()) {
                    Ok(simulation) => return Step::Simulate(Box::new(simulation)),
                    Err(why) => arguments = self.result(Err(why)),
                }
                continue;
            }
            self.main = None;
            let finished = self.sandbox.finished(ran, &spent, budget);
            // What an expectation found counts, even if the case went on regardless.
            if let Some(unmet) = lock(&self.unmet).take() {
                return Step::Failed(unmet);
            }
            return match finished {
                Ok(_) => Step::Passed,
                Err(failure) => self.failed(&failure),
            };
        }
    }

    /// `"simulate", options, line`
    fn asked_for(&mut self, yielded: MultiValue) -> Result<Simulation, String> {
        let mut yielded = yielded.into_iter();
        let mut next = || yielded.next().unwrap_or(LuaValue::Nil);
        let (_, options, line) = (next(), next(), next());
        let (simulation, answers) = read::simulation(&self.sandbox, &self.reply, &options, &line)?;
        self.answers = answers;
        Ok(simulation)
    }

    /// What an operator of the run that the case waits for does about an item.
    ///
    /// *Errors*: its function raised an error, or what it returned is no reply.
    pub fn ask(&mut self, question: &Question<'_>) -> Result<Reply, Unmet> {
        let answered = self.answer(question);
        if let Some(unmet) = lock(&self.unmet).take() {
            return Err(unmet);
        }
        answered.map_err(|failure| self.unmet_of(&failure))
    }

    fn answer(&mut self, question: &Question<'_>) -> Result<Reply, Failure> {
        let sandbox = &self.sandbox;
        let raw = |error: mlua::Error| sandbox.failure_of(&error);
        let arguments = read::arguments(sandbox, &mut self.answers, &self.ask, question);
        let arguments = arguments.map_err(raw)?;
        let budget = Duration::from_millis(LIMITS.slice_ms);
        let slice = sandbox.begin_slice(budget);
        let ran = sandbox.run.call::<MultiValue>(arguments);
        let spent = slice.end();
        let said = sandbox.finished(ran, &spent, budget)?;
        read::reply(sandbox, &said).map_err(|why| {
            let name = self.answers.name(question.operator);
            let message = format!("the operator {name} answered {}: {why}", question.key);
            Failure::new(crate::Code::Runtime, message)
        })
    }

    fn failed(&self, failure: &Failure) -> Step {
        Step::Failed(self.unmet_of(failure))
    }

    fn unmet_of(&self, failure: &Failure) -> Unmet {
        let (path, line, message) = match location(&failure.message) {
            Some((path, line, message)) => (path.to_owned(), line, message.to_owned()),
            None => (self.path.clone(), 0, failure.message.clone()),
        };
        Unmet {
            path,
            line,
            message,
            expected: None,
            got: None,
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_cases(made: &Table) -> mlua::Result<Vec<Case>> {
    let cases: Table = made.raw_get("cases")?;
    let mut read = Vec::new();
    for case in cases.sequence_values::<Table>() {
        let case = case?;
        let path = case.raw_get::<Vec<String>>("path")?;
        let line = case.raw_get("line")?;
        read.push(Case { path, line });
    }
    Ok(read)
}

/// Puts the verbs of specs beside those of pipelines.
fn install(
    sandbox: &Sandbox,
    path: &str,
    unmet: &Arc<Mutex<Option<Unmet>>>,
) -> mlua::Result<Table> {
    let lua = &sandbox.lua;
    let natives = natives(lua, sandbox, path, unmet)?;
    let made: Table = load_chunk(lua, PRELUDE, crate::sandbox::spec_prelude())?.call((
        natives,
        &sandbox.tools,
        path,
    ))?;
    let verbs: Table = made.raw_get("verbs")?;
    let globals = lua.globals();
    globals.set_readonly(false);
    let set = verbs.for_each(|name: String, verb: Function| globals.raw_set(name, verb));
    globals.set_readonly(true);
    set?;
    Ok(made)
}

fn natives(
    lua: &Lua,
    sandbox: &Sandbox,
    path: &str,
    unmet: &Arc<Mutex<Option<Unmet>>>,
) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let names = |keys: &'static [crate::Key]| {
        lua.create_function(move |lua, ()| {
            lua.create_sequence_from(keys.iter().map(|key| key.name))
        })
    };
    natives.raw_set("matchers", names(MATCHERS)?)?;
    natives.raw_set("run_fields", names(RUN.keys)?)?;
    let shown = |_: &Lua, value: LuaValue| Ok(show(&value, SHOWN_BYTES));
    natives.raw_set("show", lua.create_function(shown)?)?;
    let seal = |_: &Lua, table: Table| {
        table.set_readonly(true);
        Ok(table)
    };
    natives.raw_set("seal", lua.create_function(seal)?)?;
    let unknown = |_: &Lua, (what, name, known): (String, String, Vec<String>)| {
        let hint = suggest::hint(&name, known.iter().map(String::as_str));
        Ok(format!("{what} has no `{name}`{hint}"))
    };
    natives.raw_set("unknown", lua.create_function(unknown)?)?;
    let class = |_: &Lua, class: LuaValue| Ok(read::class(&class).err());
    natives.raw_set("check_class", lua.create_function(class)?)?;
    let duration = |_: &Lua, value: LuaValue| {
        Ok(match value {
            LuaValue::Nil => (None, None),
            value => match duration_ms(&value) {
                Ok(ms) => (Some(ms as f64), None),
                Err(why) => (None, Some(why)),
            },
        })
    };
    natives.raw_set("duration", lua.create_function(duration)?)?;
    let bridge = sandbox.bridge.clone();
    let blob = move |lua: &Lua, content: LuaValue| {
        let LuaValue::String(content) = &content else {
            let why = format!("a string was expected, got {}", type_name(&content));
            return Ok((LuaValue::Nil, Some(why)));
        };
        let blob = Value::Blob(froben_model::BlobRef::of(&content.as_bytes()));
        match to_lua(lua, bridge.objects(), &"the blob", &blob) {
            Ok(blob) => Ok((blob, None)),
            Err(Refusal::Lua(error)) => Err(error),
            Err(_) => Ok((LuaValue::Nil, Some("it is too large".to_owned()))),
        }
    };
    natives.raw_set("blob", lua.create_function(blob)?)?;
    let (unmet, path) = (unmet.clone(), path.to_owned());
    let note = move |_: &Lua, (line, message, expected, got): (u32, String, String, String)| {
        lock(&unmet).get_or_insert(Unmet {
            path: path.clone(),
            line,
            message,
            expected: Some(expected),
            got: Some(got),
        });
        Ok(())
    };
    natives.raw_set("unmet", lua.create_function(note)?)?;
    Ok(natives)
}
