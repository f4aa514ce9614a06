//! What kinds of tasks are known to take.

use froben_model::view::ProfileView;
use froben_model::{Kind, Usage, limits};

use super::{Error, read_text, read_usage, write_usage};
use crate::seeker_capnp::profile;

pub fn read_profile(reader: profile::Reader<'_>) -> Result<ProfileView, Error> {
    let line = |field, text| {
        read_text(field, text, limits::TEXT_BYTES).map(|text| limits::one_line(&text))
    };
    let device = line("a device's name", reader.get_device()?)?;
    let Usage {
        ram_bytes,
        vram_bytes,
    } = read_usage(reader.get_usage()?);
    let known = |bytes: u64| (bytes > 0).then_some(bytes);
    Ok(ProfileView {
        kind: Kind::new(line("a kind", reader.get_kind()?)?)?,
        device: (!device.is_empty()).then_some(device),
        items: reader.get_items(),
        p50_ms: reader.get_p50_ms(),
        p90_ms: reader.get_p90_ms(),
        p99_ms: reader.get_p99_ms(),
        ram_bytes: known(ram_bytes),
        vram_bytes: known(vram_bytes),
    })
}

pub fn write_profile(view: &ProfileView, mut builder: profile::Builder<'_>) {
    let ProfileView {
        kind,
        device,
        items,
        p50_ms,
        p90_ms,
        p99_ms,
        ram_bytes,
        vram_bytes,
    } = view;
    builder.set_kind(kind.as_str());
    builder.set_device(device.as_deref().unwrap_or_default());
    builder.set_items(*items);
    builder.set_p50_ms(*p50_ms);
    builder.set_p90_ms(*p90_ms);
    builder.set_p99_ms(*p99_ms);
    let usage = Usage {
        ram_bytes: ram_bytes.unwrap_or(0),
        vram_bytes: vram_bytes.unwrap_or(0),
    };
    write_usage(&usage, builder.init_usage());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_round_trips() {
        let mut view = ProfileView {
            kind: "data.prove/1".parse().unwrap(),
            device: Some("a device".into()),
            items: 7,
            p50_ms: 1000,
            p90_ms: 2000,
            p99_ms: 3000,
            ram_bytes: Some(1 << 30),
            vram_bytes: None,
        };
        for device in [view.device.clone(), None] {
            view.device = device;
            let mut message = capnp::message::Builder::new_default();
            write_profile(&view, message.init_root());
            let read = read_profile(message.get_root_as_reader().unwrap()).unwrap();
            assert_eq!(read, view);
        }
    }
}
