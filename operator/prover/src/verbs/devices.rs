//! `froben-prover devices`.

use froben_opencl::Device;
use serde::Serialize;

use super::{End, Output, Report, Subject};

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    subject: Subject,
    kind: &'static str,
    vendor: String,
    pci: Option<String>,
    memory_bytes: u64,
    compute_units: u32,
}

pub(super) fn run(output: &Output) -> Result<End, End> {
    let rows = output.devices()?.iter().map(row).collect();
    output.print::<Row>(rows)
}

fn row(device: &Device) -> Row {
    Row {
        subject: Subject::of(device),
        kind: device.kind.name(),
        vendor: device.vendor.clone(),
        pci: device.pci.map(|address| address.to_string()),
        memory_bytes: device.global_memory_bytes,
        compute_units: device.compute_units,
    }
}

impl Report for Row {
    fn failed(&self) -> bool {
        false
    }

    fn lines(&self) -> String {
        let Row {
            subject: Subject { id, name, driver },
            kind,
            memory_bytes,
            ..
        } = self;
        let mib = memory_bytes >> 20;
        format!("{id}\t{kind}\t{name}\t{mib} MiB\t{driver}\n")
    }
}
