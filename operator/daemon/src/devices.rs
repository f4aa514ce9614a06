//! `froben-operator devices`: what this machine would offer.

use std::io::Write;

use serde_json::json;

use crate::args::{Devices, Format};
use crate::config::or_built_in;
use crate::workers::{MEMORY_SLACK_BYTES, Program, RuntimeDir, Timing};
use crate::{Error, Exit, offer};

pub fn devices(args: Devices) -> Result<(), Error> {
    let Devices { provers, output } = args;
    let programs = or_built_in(provers.programs)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, format!("cannot start: {error}")))?;
    let found = runtime.block_on(async {
        let sockets = RuntimeDir::create()?;
        let timing = Timing::default();
        offer::programs(
            &programs,
            provers.cpu_only,
            MEMORY_SLACK_BYTES,
            &sockets,
            &timing,
        )
        .await
    })?;
    let text = match output {
        Format::Json => format!("{:#}", as_json(&found)),
        Format::Text => as_text(&found),
    };
    // Whoever reads it may have gone.
    let _ = writeln!(std::io::stdout(), "{text}");
    offer::check(&found, provers.cpu_only)
}

fn as_json(programs: &[Program]) -> serde_json::Value {
    let programs = programs.iter().map(|Program { spec, report }| {
        let names = |kinds: &[froben_model::Kind]| -> Vec<String> {
            kinds.iter().map(ToString::to_string).collect()
        };
        let devices = report.devices.iter().map(|device| {
            json!({
                "id": device.id,
                "name": device.name,
                "vendor": device.vendor,
                "driver": device.driver,
                "vram_bytes": device.vram_bytes,
            })
        });
        json!({
            "program": spec.program.display().to_string(),
            "name": report.name,
            "version": report.version,
            "cpu_kinds": names(&report.cpu_kinds),
            "device_kinds": names(&report.device_kinds),
            "devices": devices.collect::<Vec<_>>(),
            "notes": report.notes,
        })
    });
    json!({ "provers": programs.collect::<Vec<_>>() })
}

fn as_text(programs: &[Program]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["DEVICE", "NAME", "VENDOR", "DRIVER", "MEMORY"]);
    for device in programs.iter().flat_map(|program| &program.report.devices) {
        let memory = format!("{} MiB", device.vram_bytes >> 20);
        table.add_row([
            &device.id,
            &device.name,
            &device.vendor,
            &device.driver,
            &memory,
        ]);
    }
    let mut text = table.trim_fmt();
    for Program { spec, report } in programs {
        text += &format!(
            "\n\n{} {} ({})",
            report.name,
            report.version,
            spec.program.display()
        );
        for (role, kinds) in [("CPU", &report.cpu_kinds), ("device", &report.device_kinds)] {
            let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            text += &format!("\n  {role} kinds: {}", names.join(", "));
        }
        for note in &report.notes {
            text += &format!("\n  note: {note}");
        }
    }
    text
}
