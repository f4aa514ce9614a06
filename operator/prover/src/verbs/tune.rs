//! `froben-prover tune`.

use froben_opencl::tune::{Target, Tuned, targets};
use froben_opencl::{Device, Session};
use serde::Serialize;

use super::progress::Progress;
use super::{End, Report, Subject, Tune, chosen, first_line};
use crate::worker::explain;

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    subject: Subject,
    kernels: Vec<Kernel>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Kernel {
    kernel: &'static str,
    field: &'static str,
    found: Option<Found>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Found {
    shape: String,
    layout: String,
    candidates: usize,
    /// Layouts that failed, and how.
    rejected: Vec<String>,
    default_ns: u64,
    best_ns: u64,
    /// Why later sessions do not know of it, if they do not.
    not_kept: Option<String>,
}

pub(super) fn run(tune: &Tune) -> Result<End, End> {
    let devices = tune.output.devices()?;
    let progress = Progress::new();
    let rows = devices
        .iter()
        .map(|device| row(device, tune, &progress))
        .collect();
    drop(progress);
    tune.output.print::<Row>(rows)
}

fn row(device: &Device, tune: &Tune, progress: &Progress) -> Row {
    let mut row = Row {
        subject: Subject::of(device),
        kernels: Vec::new(),
        error: None,
    };
    progress.step(format!("tune {}: opening", device.id));
    let session = match Session::open(device) {
        Ok(session) => session,
        Err(error) => {
            row.error = Some(explain(&error));
            return row;
        }
    };
    let wanted: Vec<Target> = targets()
        .filter(|target| chosen(&tune.kernels, target.kernel()))
        .collect();
    for (at, target) in wanted.iter().enumerate() {
        let (kernel, field) = (target.kernel(), target.field());
        let (number, of) = (at + 1, wanted.len());
        progress.step(format!(
            "tune {}: {kernel} {field} ({number}/{of})",
            device.id
        ));
        let (found, error) = match target.tune(&session) {
            Ok(tuned) => (Some(found(tuned)), None),
            Err(error) => (None, Some(explain(&error))),
        };
        row.kernels.push(Kernel {
            kernel,
            field,
            found,
            error,
        });
    }
    row
}

fn found(tuned: Tuned) -> Found {
    let Tuned {
        kernel: _,
        field: _,
        shape,
        layout,
        candidates,
        rejected,
        default_ns,
        best_ns,
        not_kept,
    } = tuned;
    Found {
        shape,
        layout,
        candidates,
        rejected,
        default_ns,
        best_ns,
        not_kept,
    }
}

impl Report for Row {
    fn failed(&self) -> bool {
        self.error.is_some() || self.kernels.iter().any(|kernel| kernel.error.is_some())
    }

    fn lines(&self) -> String {
        let id = &self.subject.id;
        if let Some(error) = &self.error {
            return format!("{id}\tfailed\t{}\n", first_line(error));
        }
        let kernels = self.kernels.iter().map(|kernel| {
            let name = format!("{id}\t{} {}", kernel.kernel, kernel.field);
            match &kernel.found {
                Some(found) => format!(
                    "{name}\t{}\t{} ns by default\t{} ns\n",
                    found.layout, found.default_ns, found.best_ns
                ),
                None => format!(
                    "{name}\tfailed\t{}\n",
                    first_line(kernel.error.as_deref().unwrap_or_default())
                ),
            }
        });
        kernels.collect()
    }
}
