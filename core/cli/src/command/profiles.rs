//! `froben profiles`: what kinds of tasks are known to take.

use froben_model::view::ProfileView;
use froben_wire::Identity;
use serde_json::{Value as Json, json};

use crate::args::{Format, Query};
use crate::client;
use crate::error::Error;
use crate::output::print_json;
use crate::output::text::{bytes, seconds, table, text};
use crate::session::block_on;

pub(crate) fn profiles(query: &Query) -> Result<(), Error> {
    let profiles = block_on(async {
        let identity = Identity::load(&query.remote.identity)?;
        let found = client::profiles(&query.remote.coordinator, &identity).await;
        Ok::<_, Error>(found?)
    })?;
    match query.output {
        Format::Json => print_json(&profiles.iter().map(profile_json).collect()),
        Format::Text => println!("{}", profiles_text(&profiles)),
    }
    Ok(())
}

fn profile_json(profile: &ProfileView) -> Json {
    let ProfileView {
        kind,
        device,
        items,
        p50_ms,
        p90_ms,
        p99_ms,
        ram_bytes,
        vram_bytes,
    } = profile;
    json!({
        "kind": kind.as_str(),
        "device": device,
        "items": items,
        "p50_ms": p50_ms,
        "p90_ms": p90_ms,
        "p99_ms": p99_ms,
        "ram_bytes": ram_bytes,
        "vram_bytes": vram_bytes,
    })
}

fn profiles_text(profiles: &[ProfileView]) -> String {
    if profiles.is_empty() {
        return "nothing is known yet: no item has come".to_string();
    }
    let mut rows = table(&[
        "kind", "device", "items", "median", "90 %", "99 %", "RAM", "VRAM",
    ]);
    let memory = |known: Option<u64>| known.map_or_else(|| "-".to_string(), bytes);
    for profile in profiles {
        rows.add_row([
            profile.kind.to_string(),
            profile.device.clone().unwrap_or_else(|| "all".to_string()),
            profile.items.to_string(),
            seconds(profile.p50_ms),
            seconds(profile.p90_ms),
            seconds(profile.p99_ms),
            memory(profile.ram_bytes),
            memory(profile.vram_bytes),
        ]);
    }
    text(&rows)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_kind_is_shown_on_all_devices_and_on_each() {
        let all = ProfileView {
            kind: "data.prove/1".parse().expect("a kind"),
            device: None,
            items: 90,
            p50_ms: 1_400,
            p90_ms: 2_020,
            p99_ms: 61_000,
            ram_bytes: None,
            vram_bytes: None,
        };
        let gpu = ProfileView {
            device: Some("RTX 4090".to_string()),
            items: 60,
            ram_bytes: Some(3 << 30),
            vram_bytes: Some(700 << 20),
            ..all.clone()
        };
        let text = profiles_text(&[all, gpu]);
        let squeezed = text.lines().map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.join(" ")
        });
        expect![[r#"
            kind device items median 90 % 99 % RAM VRAM
            data.prove/1 all 90 1.4 s 2.0 s 61.0 s - -
            data.prove/1 RTX 4090 60 1.4 s 2.0 s 61.0 s 3.0 GiB 700.0 MiB"#]]
        .assert_eq(&squeezed.collect::<Vec<_>>().join("\n"));
        assert!(profiles_text(&[]).starts_with("nothing is known yet"));
    }
}
