//! Money, and what else says how much.

use froben_model::{Amount, SetupKey, Usage, limits};

use super::{Error, check_size, list_len, read_bytes, read_text};
use crate::common_capnp::{amount, setup_key, usage};

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
    let (len, limit) = (u64::from(list.len()), limits::SETUP_KEYS as u64);
    check_size("the number of keys of a keystore", len, limit)?;
    let keys = list.iter().map(|key| {
        let name = read_text("a key's name", key.get_name()?, limits::TEXT_BYTES)?;
        Ok(SetupKey {
            name: limits::one_line(&name),
            sha256: read_bytes("a key's hash", key.get_sha256()?)?,
        })
    });
    keys.collect()
}

pub fn write_keys(keys: &[SetupKey], mut list: capnp::struct_list::Builder<'_, setup_key::Owned>) {
    debug_assert_eq!(list.len(), list_len(keys.len()));
    for (i, SetupKey { name, sha256 }) in (0..).zip(keys) {
        let mut builder = list.reborrow().get(i);
        builder.set_name(name);
        builder.set_sha256(sha256);
    }
}
