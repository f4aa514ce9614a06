//! What a machine says of itself. Whose it is, is not among its words: the certificate says that.

use std::collections::BTreeSet;

use capnp::{struct_list, text_list};
use froben_model::{Amount, DeviceSpec, Kind, MachineId, MachineSpec, OperatorId, limits};

use super::{
    Error, check_size, list_len, read_amount, read_held_keys, read_text, write_amount,
    write_held_keys,
};
use crate::operator_capnp::{device_spec, machine_spec};

/// The spec of a machine of `operator`.
///
/// *Errors*: too many devices or kinds; a label that makes no machine name; two devices of one id,
/// for which a reservation could not tell them apart.
pub fn read_machine(
    reader: machine_spec::Reader<'_>,
    operator: &OperatorId,
) -> Result<MachineSpec, Error> {
    let label = read_text("a machine's label", reader.get_label()?, limits::TEXT_BYTES)?;
    MachineId::of(operator, &label)?;

    let listed = reader.get_devices()?;
    check_size(
        "the number of devices",
        u64::from(listed.len()),
        limits::DEVICES as u64,
    )?;
    let devices: Vec<DeviceSpec> = listed.iter().map(read_device).collect::<Result<_, _>>()?;
    let mut ids = BTreeSet::new();
    if let Some(twice) = devices.iter().find(|device| !ids.insert(&device.id)) {
        return Err(Error::Duplicate {
            field: "a machine",
            text: twice.id.clone(),
        });
    }

    Ok(MachineSpec {
        operator: operator.clone(),
        label,
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        devices,
        cpu_kinds: read_kinds(reader.get_cpu_kinds()?)?,
        device_kinds: read_kinds(reader.get_device_kinds()?)?,
        prices: read_prices(reader.get_prices()?)?,
        keys: read_held_keys(reader.get_keys()?)?,
    })
}

/// Writes everything but the operator.
pub fn write_machine(spec: &MachineSpec, mut builder: machine_spec::Builder<'_>) {
    let MachineSpec {
        operator: _,
        label,
        cpu_cores,
        ram_bytes,
        devices,
        cpu_kinds,
        device_kinds,
        prices,
        keys,
    } = spec;
    builder.set_label(label);
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    let mut list = builder.reborrow().init_devices(list_len(devices.len()));
    for (i, device) in (0..).zip(devices) {
        write_device(device, list.reborrow().get(i));
    }
    write_kinds(
        cpu_kinds,
        builder.reborrow().init_cpu_kinds(list_len(cpu_kinds.len())),
    );
    write_kinds(
        device_kinds,
        builder
            .reborrow()
            .init_device_kinds(list_len(device_kinds.len())),
    );
    let mut list = builder.reborrow().init_prices(list_len(prices.len()));
    for (i, (kind, amount)) in (0..).zip(prices) {
        let mut price = list.reborrow().get(i);
        price.set_kind(kind.as_str());
        write_amount(*amount, price.init_amount());
    }
    write_held_keys(keys, builder.init_keys(list_len(keys.len())));
}

/// *Errors*: more prices than there can be kinds; a kind with two prices, of which one would be a lie.
fn read_prices(
    list: struct_list::Reader<'_, machine_spec::price::Owned>,
) -> Result<Vec<(Kind, Amount)>, Error> {
    let (len, limit) = (u64::from(list.len()), 2 * limits::KINDS as u64);
    check_size("the number of prices", len, limit)?;
    let mut seen = BTreeSet::new();
    let prices = list.iter().map(|price| {
        let text = read_text("a kind", price.get_kind()?, limits::TEXT_BYTES)?;
        let kind = Kind::new(text)?;
        if !seen.insert(kind.clone()) {
            return Err(Error::Duplicate {
                field: "a price list",
                text: kind.to_string(),
            });
        }
        let amount = read_amount(price.get_amount()?);
        check_size("a price in millionths", amount.0, limits::PRICE)?;
        Ok((kind, amount))
    });
    prices.collect()
}

pub fn read_device(reader: device_spec::Reader<'_>) -> Result<DeviceSpec, Error> {
    let line = |field, text| {
        read_text(field, text, limits::TEXT_BYTES).map(|text| limits::one_line(&text))
    };
    let device = DeviceSpec {
        id: line("a device's id", reader.get_id()?)?,
        name: line("a device's name", reader.get_name()?)?,
        vendor: line("a device's vendor", reader.get_vendor()?)?,
        driver: line("a device's driver", reader.get_driver()?)?,
        vram_bytes: reader.get_vram_bytes(),
    };
    match device.id.is_empty() {
        false => Ok(device),
        // The journal and the wire write "no device" as an empty id.
        true => Err(Error::Empty {
            field: "a device's id",
        }),
    }
}

pub fn write_device(device: &DeviceSpec, mut builder: device_spec::Builder<'_>) {
    let DeviceSpec {
        id,
        name,
        vendor,
        driver,
        vram_bytes,
    } = device;
    builder.set_id(id);
    builder.set_name(name);
    builder.set_vendor(vendor);
    builder.set_driver(driver);
    builder.set_vram_bytes(*vram_bytes);
}

fn read_kinds(list: text_list::Reader<'_>) -> Result<Vec<Kind>, Error> {
    check_size(
        "the number of kinds",
        u64::from(list.len()),
        limits::KINDS as u64,
    )?;
    list.iter()
        .map(|text| Ok(Kind::new(read_text("a kind", text?, limits::TEXT_BYTES)?)?))
        .collect()
}

fn write_kinds(kinds: &[Kind], mut list: text_list::Builder<'_>) {
    for (i, kind) in (0..).zip(kinds) {
        list.set(i, kind.as_str());
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{HeldKey, SetupKey};

    use super::*;

    fn device(id: &str) -> DeviceSpec {
        DeviceSpec {
            id: id.into(),
            name: "Radeon PRO".into(),
            vendor: "AMD".into(),
            driver: "3.0".into(),
            vram_bytes: 8 << 30,
        }
    }

    fn spec() -> MachineSpec {
        MachineSpec {
            operator: OperatorId::new("op-1").unwrap(),
            label: "gpu-1".into(),
            cpu_cores: 16,
            ram_bytes: 64 << 30,
            devices: vec![device("0000:03:00.0"), device("0000:04:00.0")],
            cpu_kinds: vec![Kind::new("data.witness/1").unwrap()],
            device_kinds: vec![Kind::new("data.prove/1").unwrap()],
            prices: vec![(Kind::new("data.prove/1").unwrap(), Amount(50_000))],
            keys: vec![HeldKey {
                key: SetupKey {
                    name: "crs".into(),
                    sha256: [9; 32],
                },
                bytes: 7 << 30,
            }],
        }
    }

    fn round_trip(spec: &MachineSpec) -> Result<MachineSpec, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_machine(spec, message.init_root());
        read_machine(message.get_root_as_reader()?, &spec.operator)
    }

    #[test]
    fn a_machine_round_trips() {
        assert_eq!(round_trip(&spec()).unwrap(), spec());
    }

    #[test]
    fn malformed_machines_are_refused() {
        type Spoil = fn(&mut MachineSpec);
        let spoil: [(&str, Spoil); 9] = [
            ("lower-case letters", |spec| spec.label = "a/b".into()),
            ("1 to 64 characters", |spec| spec.label = String::new()),
            ("the limit is 4096", |spec| spec.label = "x".repeat(5000)),
            ("device's id is empty", |spec| spec.devices[1].id.clear()),
            ("names `0000:03:00.0` twice", |spec| {
                spec.devices[1].id = spec.devices[0].id.clone();
            }),
            ("number of devices is 65", |spec| {
                spec.devices = (0..65).map(|i| device(&i.to_string())).collect();
            }),
            ("price list names `data.prove/1` twice", |spec| {
                spec.prices.push(spec.prices[0].clone());
            }),
            ("price in millionths is 10000000001", |spec| {
                spec.prices[0].1 = Amount(limits::PRICE + 1);
            }),
            ("number of kinds is 257", |spec| {
                spec.cpu_kinds = vec![spec.cpu_kinds[0].clone(); 257];
            }),
        ];
        for (reason, spoil) in spoil {
            let mut spec = spec();
            spoil(&mut spec);
            let error = round_trip(&spec).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}, not: {reason}");
        }
    }

    #[test]
    fn what_a_driver_says_becomes_one_line() {
        let mut spec = spec();
        spec.devices[0].name = "evil\u{1b}[2J\n".into();
        assert_eq!(round_trip(&spec).unwrap().devices[0].name, "evil [2J ");
    }
}
