//! `froben-prover selftest`.

use froben_opencl::diagnosis::{Examination, known_answers};
use froben_opencl::{Device, SessionOptions};
use serde::Serialize;

use super::progress::Progress;
use super::{End, Report, Selftest, Subject, chosen, first_line};
use crate::worker::explain;

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    subject: Subject,
    checks: Vec<Check>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Check {
    kernel: &'static str,
    field: &'static str,
    ok: bool,
    error: Option<String>,
}

pub(super) fn run(selftest: &Selftest) -> Result<End, End> {
    let devices = selftest.output.devices()?;
    let progress = Progress::new();
    let rows = devices
        .iter()
        .map(|device| row(device, selftest, &progress))
        .collect();
    drop(progress);
    selftest.output.print::<Row>(rows)
}

fn row(device: &Device, selftest: &Selftest, progress: &Progress) -> Row {
    let mut row = Row {
        subject: Subject::of(device),
        checks: Vec::new(),
        error: None,
    };
    progress.step(format!("selftest {}: opening", device.id));
    let examination = match Examination::open(device, SessionOptions::default()) {
        Ok(examination) => examination,
        Err(error) => {
            row.error = Some(explain(&error));
            return row;
        }
    };
    for answer in known_answers() {
        let (kernel, field) = (answer.kernel(), answer.field());
        if !chosen(&selftest.kernels, kernel) || !chosen(&selftest.fields, field) {
            continue;
        }
        progress.step(format!("selftest {}: {kernel} {field}", device.id));
        let error = examination.ask(answer).err();
        row.checks.push(Check {
            kernel,
            field,
            ok: error.is_none(),
            error: error.as_ref().map(explain),
        });
    }
    row
}

impl Report for Row {
    fn failed(&self) -> bool {
        self.error.is_some() || self.checks.iter().any(|check| !check.ok)
    }

    fn lines(&self) -> String {
        let id = &self.subject.id;
        if let Some(error) = &self.error {
            return format!("{id}\tfailed\t{}\n", first_line(error));
        }
        let checks = self.checks.iter().map(|check| {
            let said = check.error.as_deref().map_or("ok", first_line);
            format!("{id}\t{} {}\t{said}\n", check.kernel, check.field)
        });
        checks.collect()
    }
}
