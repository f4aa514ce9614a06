//! Reads the table that says what a task is.

use froben_model::{CallId, Error, Kind, Needs, OperatorId, SetupKey, TaskSpec, Value, limits};
use mlua::Value as LuaValue;

use crate::convert::{Objects, to_value};
use crate::limits::{KEY_BYTES, TASK_BYTES};
use crate::options::Options;
use crate::registry::DELEGATE;

const QUEUE_TIMEOUT_MS: u64 = 60 * 60 * 1000;
/// Operators that a task may avoid.
const AVOIDED: usize = 256;

/// Reads the argument of `verb` as the task of `call`.
pub(crate) fn read(
    objects: &Objects,
    verb: &str,
    call: CallId,
    table: &LuaValue,
) -> Result<TaskSpec, String> {
    let mut options = Options::read(verb, table, DELEGATE)?;
    let wrong = |why: String| format!("{verb}: {why}");

    let kind = options.text("kind").unwrap_or_default();
    let kind = Kind::new(kind).map_err(|error| wrong(error.to_string()))?;
    let input = options.lua("input").unwrap_or(LuaValue::Nil);
    let input = to_value(objects, "input", &input).map_err(wrong)?;
    let items = read_items(objects, options.list("items")).map_err(wrong)?;
    let bytes = input.weight() + items.iter().map(Value::weight).sum::<usize>();
    if bytes > TASK_BYTES {
        return Err(wrong(format!(
            "the input and the items weigh {bytes} bytes, the limit is {TASK_BYTES}: put large data in blobs"
        )));
    }
    let key = match options.text("key") {
        Some(key) => check_key(key).map_err(wrong)?,
        None => call.to_string(),
    };
    let mut needs = options.options("needs").unwrap_or_default();
    let keys = needs.lua("keys").unwrap_or(LuaValue::Nil);
    let keys = read_keys(to_value(objects, "needs.keys", &keys).map_err(wrong)?).map_err(wrong)?;
    let check = options.text("check").map(Kind::new).transpose();
    let check = check.map_err(|error| wrong(format!("`check`: {error}")))?;
    let max_price = options.text("max_price").map(|text| text.parse());
    let max_price = max_price.transpose();
    let max_price = max_price.map_err(|error: Error| wrong(format!("`max_price`: {error}")))?;
    Ok(TaskSpec {
        kind,
        input,
        items,
        needs: read_needs(needs).map_err(wrong)?,
        timeout_ms: time(&mut options, "timeout", limits::DEFAULT_TIMEOUT_MS).map_err(wrong)?,
        queue_timeout_ms: time(&mut options, "queue_timeout", QUEUE_TIMEOUT_MS).map_err(wrong)?,
        avoid: read_avoid(options.texts("avoid").unwrap_or_default()).map_err(wrong)?,
        key,
        keys,
        check,
        max_price,
    })
}

fn read_items(objects: &Objects, items: Option<Vec<LuaValue>>) -> Result<Vec<Value>, String> {
    let Some(items) = items else {
        return Ok(vec![Value::Nil]);
    };
    if items.is_empty() {
        return Err("`items` is empty; leave it out for a task of one item".to_owned());
    }
    let read = |(index, item)| to_value(objects, &format!("items[{}]", index + 1), item);
    items.iter().enumerate().map(read).collect()
}

fn read_needs(mut needs: Options) -> Result<Needs, String> {
    let cores = needs.count("cpu_cores").unwrap_or(0);
    Ok(Needs {
        cpu_cores: u32::try_from(cores)
            .map_err(|_| format!("`needs.cpu_cores` is {cores}, which no machine has"))?,
        ram_bytes: needs.bytes("ram").unwrap_or(0),
        vram_bytes: needs.bytes("vram").unwrap_or(0),
        shared: needs.bool("shared").unwrap_or(false),
    })
}

fn read_keys(keys: Value) -> Result<Vec<SetupKey>, String> {
    let form = "`needs.keys` is a table of names and their SHA-256, each 64 hex digits";
    let keys = match keys {
        Value::Nil => return Ok(Vec::new()),
        Value::Map(keys) => keys,
        _ => return Err(form.to_owned()),
    };
    if keys.len() > limits::SETUP_KEYS {
        let limit = limits::SETUP_KEYS;
        return Err(format!(
            "`needs.keys` has {} keys, the limit is {limit}",
            keys.len()
        ));
    }
    let read = keys.into_iter().map(|(name, digits)| {
        let Value::Text(digits) = digits else {
            return Err(form.to_owned());
        };
        SetupKey::of(name, &digits).map_err(|error| format!("`needs.keys`: {error}"))
    });
    read.collect()
}

fn time(options: &mut Options, key: &str, default_ms: u64) -> Result<u64, String> {
    let ms = options.ms(key).unwrap_or(default_ms);
    match (1..=limits::TIMEOUT_MS).contains(&ms) {
        true => Ok(ms),
        false => Err(format!("`{key}` is {ms} ms; it is from 1 ms to 24 h")),
    }
}

fn read_avoid(names: Vec<String>) -> Result<Vec<OperatorId>, String> {
    if names.len() > AVOIDED {
        return Err(format!("`avoid` names more than {AVOIDED} operators"));
    }
    let mut avoid: Vec<OperatorId> = Vec::new();
    for name in names {
        let operator = OperatorId::new(name).map_err(|error| format!("`avoid`: {error}"))?;
        if !avoid.contains(&operator) {
            avoid.push(operator);
        }
    }
    Ok(avoid)
}

fn check_key(key: String) -> Result<String, String> {
    let plain = !key.is_empty() && key.len() <= KEY_BYTES && !key.chars().any(char::is_control);
    match plain {
        true => Ok(key),
        false => Err(format!("`key` is 1 to {KEY_BYTES} bytes on one line")),
    }
}
