//! A delegation's task.

use froben_model::{Kind, Needs, OperatorId, TaskSpec, limits};

use super::{
    Error, check_size, list_len, read_amount, read_keys, read_text, read_value, write_amount,
    write_keys, write_value,
};
use crate::common_capnp::{needs, task_spec};

/// Operators that one task may shut out.
const AVOIDED: usize = 256;

pub fn read_needs(reader: needs::Reader<'_>) -> Needs {
    Needs {
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        vram_bytes: reader.get_vram_bytes(),
        shared: reader.get_shared(),
    }
}

pub fn write_needs(needs: &Needs, mut builder: needs::Builder<'_>) {
    let Needs {
        cpu_cores,
        ram_bytes,
        vram_bytes,
        shared,
    } = needs;
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    builder.set_vram_bytes(*vram_bytes);
    builder.set_shared(*shared);
}

/// *Errors*: no items or more than [`limits::ITEMS`]; a value, a time or a name over its limit.
pub fn read_task(reader: task_spec::Reader<'_>) -> Result<TaskSpec, Error> {
    let kind = read_text("a kind", reader.get_kind()?, limits::TEXT_BYTES)?;

    let listed = reader.get_items()?;
    check_size(
        "the number of items",
        u64::from(listed.len()),
        limits::ITEMS as u64,
    )?;
    if listed.is_empty() {
        return Err(Error::Empty {
            field: "a task's list of items",
        });
    }
    let items = listed.iter().map(read_value).collect::<Result<_, _>>()?;

    let listed = reader.get_avoid()?;
    check_size(
        "the number of operators to avoid",
        u64::from(listed.len()),
        AVOIDED as u64,
    )?;
    let avoid = listed
        .iter()
        .map(|text| {
            let name = read_text("an operator's name", text?, limits::TEXT_BYTES)?;
            Ok(OperatorId::new(name)?)
        })
        .collect::<Result<_, Error>>()?;

    let check = read_text("a check's kind", reader.get_check()?, limits::TEXT_BYTES)?;
    let time = |field, ms| check_size(field, ms, limits::TIMEOUT_MS).map(|()| ms);
    Ok(TaskSpec {
        kind: Kind::new(kind)?,
        input: read_value(reader.get_input()?)?,
        items,
        needs: read_needs(reader.get_needs()?),
        timeout_ms: time("a timeout in ms", reader.get_timeout_ms())?,
        queue_timeout_ms: time("a queue timeout in ms", reader.get_queue_timeout_ms())?,
        avoid,
        key: read_text("a task's key", reader.get_key()?, limits::TEXT_BYTES)?,
        keys: read_keys(reader.get_keys()?)?,
        check: match check.is_empty() {
            true => None,
            false => Some(Kind::new(check)?),
        },
        max_price: match reader.has_max_price() {
            true => Some(read_amount(reader.get_max_price()?)),
            false => None,
        },
    })
}

pub fn write_task(task: &TaskSpec, mut builder: task_spec::Builder<'_>) {
    let TaskSpec {
        kind,
        input,
        items,
        needs,
        timeout_ms,
        queue_timeout_ms,
        avoid,
        key,
        keys,
        check,
        max_price,
    } = task;
    builder.set_kind(kind.as_str());
    write_value(input, builder.reborrow().init_input());
    let mut list = builder.reborrow().init_items(list_len(items.len()));
    for (i, item) in (0..).zip(items) {
        write_value(item, list.reborrow().get(i));
    }
    write_needs(needs, builder.reborrow().init_needs());
    builder.set_timeout_ms(*timeout_ms);
    builder.set_queue_timeout_ms(*queue_timeout_ms);
    let mut list = builder.reborrow().init_avoid(list_len(avoid.len()));
    for (i, operator) in (0..).zip(avoid) {
        list.set(i, operator.as_str());
    }
    builder.set_key(key);
    if !keys.is_empty() {
        write_keys(keys, builder.reborrow().init_keys(list_len(keys.len())));
    }
    if let Some(check) = check {
        builder.set_check(check.as_str());
    }
    if let Some(max_price) = max_price {
        write_amount(*max_price, builder.init_max_price());
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{Amount, SetupKey, Value};

    use super::*;

    fn task() -> TaskSpec {
        TaskSpec {
            kind: Kind::new("data.prove/1").unwrap(),
            input: Value::map([("hash", Value::text("keccak"))]),
            items: vec![Value::Nil, Value::Int(2)],
            needs: Needs {
                cpu_cores: 2,
                ram_bytes: 4 << 30,
                vram_bytes: 1 << 30,
                shared: true,
            },
            timeout_ms: limits::TIMEOUT_MS,
            queue_timeout_ms: 60_000,
            avoid: vec![OperatorId::new("slow").unwrap()],
            key: "prove/keccak/0".into(),
            keys: vec![SetupKey {
                name: "crs".into(),
                sha256: [9; 32],
            }],
            check: Some(Kind::new("data.check/1").unwrap()),
            max_price: Some(Amount(50_000)),
        }
    }

    fn round_trip(task: &TaskSpec) -> Result<TaskSpec, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_task(task, message.init_root());
        read_task(message.get_root_as_reader()?)
    }

    #[test]
    fn a_task_round_trips() {
        assert_eq!(round_trip(&task()).unwrap(), task());
    }

    #[test]
    fn malformed_tasks_are_refused() {
        type Spoil = fn(&mut TaskSpec);
        let spoil: [(&str, Spoil); 7] = [
            ("list of items is empty", |task| task.items.clear()),
            ("number of items is 1025", |task| {
                task.items = vec![Value::Nil; 1025];
            }),
            ("a timeout in ms is 86400001", |task| task.timeout_ms += 1),
            ("a queue timeout in ms is", |task| {
                task.queue_timeout_ms = u64::MAX;
            }),
            ("operators to avoid is 257", |task| {
                task.avoid = vec![task.avoid[0].clone(); 257];
            }),
            ("key is 4097", |task| task.key = "x".repeat(4097)),
            ("keys of a keystore is 1025", |task| {
                task.keys = vec![task.keys[0].clone(); 1025];
            }),
        ];
        for (reason, spoil) in spoil {
            let mut task = task();
            spoil(&mut task);
            let error = round_trip(&task).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}, not: {reason}");
        }
    }

    #[test]
    fn a_message_that_says_nothing_is_no_task() {
        let mut message = capnp::message::Builder::new_default();
        message.init_root::<task_spec::Builder<'_>>();
        assert!(read_task(message.get_root_as_reader().unwrap()).is_err());
    }
}
