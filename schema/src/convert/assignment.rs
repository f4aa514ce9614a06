//! A task on its way to a machine.

use froben_model::{Assignment, Kind, limits};

use super::{
    Error, check_size, list_len, read_keys, read_text, read_token, read_value, write_keys,
    write_token, write_value,
};
use crate::operator_capnp::task;

/// *Errors*: no items or more than [`limits::ITEMS`]; a value, a time or a name over its limit.
pub fn read_assignment(reader: task::Reader<'_>) -> Result<Assignment, Error> {
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
    let items = listed
        .iter()
        .map(|item| Ok((item.get_index(), read_value(item.get_input()?)?)))
        .collect::<Result<_, Error>>()?;
    let device = read_text("a device's id", reader.get_device()?, limits::TEXT_BYTES)?;
    let timeout_ms = reader.get_timeout_ms();
    check_size("a timeout in ms", timeout_ms, limits::TIMEOUT_MS)?;
    Ok(Assignment {
        token: read_token(reader.get_token()?)?,
        kind: Kind::new(kind)?,
        input: read_value(reader.get_input()?)?,
        items,
        device: (!device.is_empty()).then_some(device),
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        vram_bytes: reader.get_vram_bytes(),
        timeout_ms,
        keys: read_keys(reader.get_keys()?)?,
    })
}

pub fn write_assignment(assignment: &Assignment, mut builder: task::Builder<'_>) {
    let Assignment {
        token,
        kind,
        input,
        items,
        device,
        cpu_cores,
        ram_bytes,
        vram_bytes,
        timeout_ms,
        keys,
    } = assignment;
    write_token(token, builder.reborrow().init_token());
    builder.set_kind(kind.as_str());
    write_value(input, builder.reborrow().init_input());
    let mut list = builder.reborrow().init_items(list_len(items.len()));
    for (i, (index, input)) in (0..).zip(items) {
        let mut item = list.reborrow().get(i);
        item.set_index(*index);
        write_value(input, item.init_input());
    }
    if let Some(device) = device {
        builder.set_device(device);
    }
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    builder.set_vram_bytes(*vram_bytes);
    builder.set_timeout_ms(*timeout_ms);
    if !keys.is_empty() {
        write_keys(keys, builder.init_keys(list_len(keys.len())));
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, LeaseToken, SetupKey, Value, WorkflowId};

    use super::*;

    fn assignment() -> Assignment {
        Assignment {
            token: LeaseToken {
                workflow: WorkflowId([7; 16]),
                call: CallId(3),
                attempt: 2,
                epoch: 9,
            },
            kind: Kind::new("data.prove/1").unwrap(),
            input: Value::map([("hash", Value::text("keccak"))]),
            items: vec![(4, Value::Nil), (9, Value::Int(2))],
            device: Some("0000:01:00.0".into()),
            cpu_cores: 2,
            ram_bytes: 4 << 30,
            vram_bytes: 1 << 30,
            timeout_ms: limits::TIMEOUT_MS,
            keys: vec![SetupKey {
                name: "crs".to_owned(),
                sha256: [5; 32],
            }],
        }
    }

    fn round_trip(assignment: &Assignment) -> Result<Assignment, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_assignment(assignment, message.init_root());
        read_assignment(message.get_root_as_reader()?)
    }

    #[test]
    fn an_assignment_round_trips() {
        let with_device = assignment();
        let cpu = Assignment {
            device: None,
            keys: Vec::new(),
            ..assignment()
        };
        for assignment in [with_device, cpu] {
            assert_eq!(round_trip(&assignment).unwrap(), assignment);
        }
    }

    #[test]
    fn malformed_assignments_are_refused() {
        type Spoil = fn(&mut Assignment);
        let spoil: [(&str, Spoil); 3] = [
            ("list of items is empty", |a| a.items.clear()),
            ("number of items is 1025", |a| {
                a.items = vec![(0, Value::Nil); 1025];
            }),
            ("a timeout in ms is 86400001", |a| a.timeout_ms += 1),
        ];
        for (reason, spoil) in spoil {
            let mut assignment = assignment();
            spoil(&mut assignment);
            let error = round_trip(&assignment).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}, not: {reason}");
        }
    }
}
