//! Money, and what else says how much.

use froben_model::{Amount, HeldKey, SetupKey, Usage, limits};

use super::{Error, check_size, list_len, read_bytes, read_text};
use crate::common_capnp::{amount, setup_key, usage};
use crate::operator_capnp::machine_spec::held_key;

pub fn read_amount(reader: amount::Reader<'_>) -> Amount {
    Amount(reader.get_micros())
}

pub fn write_amount(amount: Amount, mut builder: amount::Builder<'_>) {
    let Amount(micros) = amount;
    builder.set_micros(micros);
}

pub fn read_usage(reader: usage::Reader<'_>) -> Usage {
    Usage {
        ram_bytes: reader.get_ram_bytes(),
        vram_bytes: reader.get_vram_bytes(),
    }
}

pub fn write_usage(usage: &Usage, mut builder: usage::Builder<'_>) {
    let Usage {
        ram_bytes,
        vram_bytes,
    } = usage;
    builder.set_ram_bytes(*ram_bytes);
    builder.set_vram_bytes(*vram_bytes);
}

/// *Errors*: more than [`limits::SETUP_KEYS`]; a name over its limit; a hash that is none.
pub fn read_keys(
    list: capnp::struct_list::Reader<'_, setup_key::Owned>,
) -> Result<Vec<SetupKey>, Error> {
    check_keys(list.len())?;
    let keys = list.iter();
    keys.map(|key| read_key(key.get_name()?, key.get_sha256()?))
        .collect()
}

fn check_keys(len: u32) -> Result<(), Error> {
    let limit = limits::SETUP_KEYS as u64;
    check_size("the number of keys of a keystore", u64::from(len), limit)
}

fn read_key(name: capnp::text::Reader<'_>, sha256: &[u8]) -> Result<SetupKey, Error> {
    let name = read_text("a key's name", name, limits::TEXT_BYTES)?;
    Ok(SetupKey {
        name: limits::one_line(&name),
        sha256: read_bytes("a key's hash", sha256)?,
    })
}

/// *Errors*: as of [`read_keys`].
pub fn read_held_keys(
    list: capnp::struct_list::Reader<'_, held_key::Owned>,
) -> Result<Vec<HeldKey>, Error> {
    check_keys(list.len())?;
    let keys = list.iter().map(|held| {
        Ok(HeldKey {
            key: read_key(held.get_name()?, held.get_sha256()?)?,
            bytes: held.get_bytes(),
        })
    });
    keys.collect()
}

pub fn write_held_keys(
    keys: &[HeldKey],
    mut list: capnp::struct_list::Builder<'_, held_key::Owned>,
) {
    debug_assert_eq!(list.len(), list_len(keys.len()));
    for (i, HeldKey { key, bytes }) in (0..).zip(keys) {
        let mut builder = list.reborrow().get(i);
        builder.set_name(&key.name);
        builder.set_sha256(&key.sha256);
        builder.set_bytes(*bytes);
    }
}

pub fn write_keys(keys: &[SetupKey], mut list: capnp::struct_list::Builder<'_, setup_key::Owned>) {
    debug_assert_eq!(list.len(), list_len(keys.len()));
    for (i, SetupKey { name, sha256 }) in (0..).zip(keys) {
        let mut builder = list.reborrow().get(i);
        builder.set_name(name);
        builder.set_sha256(sha256);
    }
}
