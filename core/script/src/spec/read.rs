//! Reads what `simulate` and the replies of operators are, and makes what an operator's function is
//! asked.

use froben_model::{ErrorClass, Kind, OperatorId, SetupKey, Value, limits};
use mlua::{Function, MultiValue, Table, Value as LuaValue};

use super::plan::{Deed, Operator, Question, Reply, Simulation, Subject};
use super::registry::{OPERATOR, SIMULATE};
use crate::convert::{Objects, text, to_lua, to_value, type_name, whole};
use crate::host::Refusal;
use crate::options::{Options, each};
use crate::sandbox::Sandbox;
use crate::suggest;

const OPERATORS: usize = 64;
const MACHINES: u64 = 64;
const DAY_MS: u64 = 24 * 3_600_000;
/// What only the coordinator can know, and how a spec brings it about.
const NOT_A_MACHINES: [(ErrorClass, &str); 2] = [
    (
        ErrorClass::NoCapacity,
        "leave the task without an operator that takes it",
    ),
    (
        ErrorClass::Cancelled,
        "cancel the delegation in the workflow, or use `cancel_at`",
    ),
];

/// The operators' answers, as the case gave them, and how often each was asked.
#[derive(Default)]
pub(super) struct Answers(Vec<Answer>);

struct Answer {
    name: String,
    value: LuaValue,
    asked: u64,
}

impl Answers {
    pub(super) fn name(&self, operator: usize) -> &str {
        self.0.get(operator).map_or("?", |answer| &answer.name)
    }
}

pub(super) fn class(value: &LuaValue) -> Result<ErrorClass, String> {
    let name = text(value).map_err(|why| format!("fail: the class is a string; {why}"))?;
    let class = ErrorClass::ALL
        .into_iter()
        .find(|class| class.name() == name);
    let class = class.ok_or_else(|| {
        let known = ErrorClass::ALL.iter().map(|class| class.name());
        format!(
            "fail: there is no class `{name}`{}",
            suggest::hint(&name, known)
        )
    })?;
    match NOT_A_MACHINES.iter().find(|(theirs, _)| *theirs == class) {
        Some((_, instead)) => Err(format!(
            "fail: `{name}` is what the coordinator says, not an operator: {instead}"
        )),
        None => Ok(class),
    }
}

pub(super) fn simulation(
    sandbox: &Sandbox,
    reply_meta: &Table,
    options: &LuaValue,
    line: &LuaValue,
) -> Result<(Simulation, Answers), String> {
    let wrong = |why: String| format!("simulate: {why}");
    let objects = sandbox.bridge.objects();
    let mut options = Options::read("simulate", options, SIMULATE)?;
    let subject = match (options.text("pipeline"), options.lua("workflow")) {
        (Some(name), None) => Subject::Pipeline(name),
        (None, Some(declared)) => Subject::Declared(declared_name(sandbox, &declared)?),
        (None, None) => return Err(wrong("name a `pipeline` or give a `workflow`".to_owned())),
        (Some(_), Some(_)) => {
            return Err(wrong(
                "give a `pipeline` or a `workflow`, not both".to_owned(),
            ));
        }
    };
    let input = match options.lua("input") {
        Some(input) => to_value(objects, "input", &input).map_err(wrong)?,
        None => Value::map::<String>([]),
    };
    let (operators, answers) = match options.lua("operators") {
        Some(operators) => read_operators(&operators, reply_meta)?,
        None => (Vec::new(), Answers::default()),
    };
    let simulation = Simulation {
        line: whole(line)
            .and_then(|line| u32::try_from(line).ok())
            .unwrap_or(0),
        subject,
        input,
        operators,
        seed: options.count("seed"),
        crash_at: match options.lua("crash_at") {
            Some(writes) => read_writes(&writes).map_err(wrong)?,
            None => Vec::new(),
        },
        cancel_at_ms: options.ms("cancel_at"),
        give_up_ms: options.ms("give_up").unwrap_or(DAY_MS),
    };
    Ok((simulation, answers))
}

fn declared_name(sandbox: &Sandbox, declared: &LuaValue) -> Result<String, String> {
    let not_one = || {
        let got = type_name(declared);
        format!("simulate: `workflow` is what workflow(name, options, run) returned; got {got}")
    };
    let object = declared.as_table();
    let object = object.filter(|table| Objects::is(table, &sandbox.bridge.objects().workflow));
    let number: usize = object
        .ok_or_else(not_one)?
        .raw_get("number")
        .map_err(|_| not_one())?;
    let host = sandbox.bridge.host();
    let info = host.declared.get(number.wrapping_sub(1));
    let name = info.map(|info| info.name.clone()).ok_or_else(not_one)?;
    match host
        .declared
        .iter()
        .filter(|info| info.name == name)
        .count()
    {
        1 => Ok(name),
        _ => Err(format!(
            "simulate: the file declares more than one workflow `{name}`"
        )),
    }
}

fn read_writes(writes: &LuaValue) -> Result<Vec<u64>, String> {
    let wrong = || "`crash_at` is a number of writes, from 1, or a list of them".to_owned();
    let read = |value: &LuaValue| whole(value).filter(|write| *write > 0).ok_or_else(wrong);
    match writes {
        LuaValue::Table(table) => {
            let list = crate::convert::sequence(table, limits::ITEMS);
            list.map_err(|_| wrong())?.iter().map(read).collect()
        }
        value => Ok(vec![read(value)?]),
    }
}

fn read_operators(
    operators: &LuaValue,
    reply_meta: &Table,
) -> Result<(Vec<Operator>, Answers), String> {
    let LuaValue::Table(table) = operators else {
        let got = type_name(operators);
        return Err(format!(
            "simulate: `operators` is a table by name, got {got}"
        ));
    };
    let mut read = Vec::new();
    each("simulate: `operators`", table, |name, value| {
        let operator = read_operator(name, &value, reply_meta);
        read.push(operator.map_err(|why| format!("simulate: the operator {name}: {why}"))?);
        Ok(())
    })?;
    if read.len() > OPERATORS {
        return Err(format!("simulate: more than {OPERATORS} operators"));
    }
    // The order in which a table is walked is not the author's.
    read.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let (operators, answers) = read.into_iter().unzip();
    Ok((operators, Answers(answers)))
}

fn read_operator(
    name: &str,
    value: &LuaValue,
    reply_meta: &Table,
) -> Result<(Operator, Answer), String> {
    let operator = OperatorId::new(name).map_err(|error| error.to_string())?;
    let mut options = match value {
        LuaValue::Table(table) if !is_answer(table, reply_meta) => {
            Options::read("it", value, OPERATOR)?
        }
        _ => Options::default(),
    };
    let answer = options.lua("answer").unwrap_or_else(|| value.clone());
    let fits = match &answer {
        LuaValue::Function(_) => true,
        LuaValue::Table(table) => is_answer(table, reply_meta),
        _ => false,
    };
    if !fits {
        return Err(format!(
            "it answers with a function(task, item, n), a reply such as ok(1), or a list of replies; \
             got {}",
            type_name(&answer)
        ));
    }
    let kinds = match options.texts("kinds") {
        Some(kinds) => {
            let kinds: Result<Vec<Kind>, _> = kinds.into_iter().map(Kind::new).collect();
            Some(kinds.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let keys = options.texts("keys").unwrap_or_default().into_iter();
    let keys: Result<Vec<SetupKey>, _> = keys.map(|digits| SetupKey::of("key", &digits)).collect();
    let keys = keys.map_err(|error| error.to_string())?;
    let machines = options.count("machines").unwrap_or(1);
    if !(1..=MACHINES).contains(&machines) {
        return Err(format!(
            "`machines` is {machines}; it is from 1 to {MACHINES}"
        ));
    }
    let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let read = Operator {
        name: operator,
        machines: small(machines),
        cpu_cores: small(options.count("cpu_cores").unwrap_or(8)),
        ram_bytes: options.bytes("ram").unwrap_or(32 << 30),
        devices: small(options.count("devices").unwrap_or(1).min(64)),
        vram_bytes: options.bytes("vram").unwrap_or(8 << 30),
        kinds,
        keys,
        takes_ms: options.ms("takes").unwrap_or(1000),
        joins_ms: options.ms("joins").unwrap_or(0),
        leaves_ms: options.ms("leaves"),
    };
    let answer = Answer {
        name: name.to_owned(),
        value: answer,
        asked: 0,
    };
    Ok((read, answer))
}

/// A reply, or a list of nothing but replies.
fn is_answer(table: &Table, reply_meta: &Table) -> bool {
    if Objects::is(table, reply_meta) {
        return true;
    }
    let list = crate::convert::sequence(table, limits::ITEMS).unwrap_or_default();
    let replies = |element: &LuaValue| {
        let table = element.as_table();
        table.is_some_and(|table| Objects::is(table, reply_meta))
    };
    !list.is_empty() && list.iter().all(replies)
}

/// The arguments of the prelude's `ask`.
pub(super) fn arguments(
    sandbox: &Sandbox,
    answers: &mut Answers,
    ask: &Function,
    question: &Question<'_>,
) -> mlua::Result<MultiValue> {
    let Question {
        operator,
        machine,
        kind,
        key,
        input,
        items,
        attempt,
        item,
        index,
    } = question;
    let lua = &sandbox.lua;
    let plain = |value: &Value| {
        to_lua(lua, sandbox.bridge.objects(), &"the item", value).map_err(|refusal| match refusal {
            Refusal::Lua(error) => error,
            Refusal::Misuse(why) => mlua::Error::runtime(why),
            Refusal::Stop(failure) => mlua::Error::runtime(failure.message),
        })
    };
    let answer = answers.0.get_mut(*operator);
    let answer = answer.ok_or_else(|| mlua::Error::runtime("there is no such operator"))?;
    answer.asked += 1;
    let task = lua.create_table()?;
    task.raw_set("kind", kind.as_str())?;
    task.raw_set("key", *key)?;
    task.raw_set("input", plain(input)?)?;
    task.raw_set("items", *items)?;
    task.raw_set("attempt", *attempt)?;
    task.raw_set("operator", answer.name.as_str())?;
    task.raw_set("machine", *machine)?;
    Ok(MultiValue::from_iter([
        LuaValue::Function(ask.clone()),
        answer.value.clone(),
        LuaValue::String(lua.create_string(&answer.name)?),
        LuaValue::Number(answer.asked as f64),
        LuaValue::Table(task),
        plain(item)?,
        LuaValue::Number(f64::from(*index) + 1.0),
    ]))
}

/// Reads a reply that the prelude has seen to be one.
pub(super) fn reply(sandbox: &Sandbox, said: &LuaValue) -> Result<Reply, String> {
    let table = said.as_table().ok_or("it is no reply")?;
    let field = |name: &str| {
        let field = table.raw_get::<LuaValue>(name);
        field.map_err(|error| error.to_string())
    };
    let message = || -> Result<String, String> {
        Ok(limits::one_line(
            &field("message")?.to_string().unwrap_or_default(),
        ))
    };
    let deed = match field("verb")?.to_string().unwrap_or_default().as_str() {
        "ok" => Deed::Ok(to_value(
            sandbox.bridge.objects(),
            "the value",
            &field("value")?,
        )?),
        "fail" => Deed::Fail(class(&field("class")?)?, message()?),
        "die" => Deed::Die(message()?),
        "hang" => Deed::Hang,
        "disconnect" => Deed::Disconnect {
            back_ms: whole(&field("back")?),
        },
        _ => Deed::Refuse(message()?),
    };
    Ok(Reply {
        deed,
        after_ms: whole(&field("after")?),
    })
}
