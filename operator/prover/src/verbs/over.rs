//! How every verb goes over devices: one after the other, each opened once, then asked for one thing after the
//! other. What fails is told and the rest goes on.

use froben_opencl::{Device, Error};
use serde::Serialize;

use super::progress::Progress;
use super::{End, Output, Subject, first_line};
use crate::worker::explain;

/// What a verb finds on one device, beside who it is about.
pub(super) trait Findings: Serialize {
    /// Whether the device could not do a part of what it was asked.
    fn failed(&self) -> bool;

    /// Fields of each line, without the device's id.
    fn lines(&self) -> Vec<String>;
}

/// A device in a document.
#[derive(Serialize)]
pub(super) struct Row<F> {
    #[serde(flatten)]
    subject: Subject,
    #[serde(flatten)]
    found: F,
    /// Why there is nothing of it, if there is not.
    error: Option<String>,
}

/// Where a verb is on a device.
pub(super) struct Steps<'a> {
    progress: &'a Progress,
    /// The verb and the device.
    at: String,
}

impl Steps<'_> {
    /// A step begins.
    pub(super) fn begin(&self, step: &str) {
        self.progress.step(format!("{}: {step}", self.at));
    }

    /// Tells of parts of a step, from any thread.
    pub(super) fn parts(&self, step: &str) -> impl Fn(usize, usize) + Send + 'static {
        let (teller, step) = (self.progress.teller(), format!("{}: {step}", self.at));
        move |part, of| teller.part(format!("{step}, {part} of {of}"))
    }

    /// Asks for each of `wanted`, whose names are its kernel's and its field's.
    pub(super) fn each<T, R>(
        &self,
        wanted: &[T],
        names: impl Fn(&T) -> (&'static str, &'static str),
        ask: impl Fn(&T, &str) -> Result<R, Error>,
    ) -> Vec<Answer<R>> {
        let asked = wanted.iter().enumerate().map(|(at, one)| {
            let (kernel, field) = names(one);
            let step = format!("{kernel} {field} ({}/{})", at + 1, wanted.len());
            self.begin(&step);
            Answer {
                kernel,
                field,
                found: ask(one, &step).map_err(|error| explain(&error)),
            }
        });
        asked.collect()
    }
}

/// What came of asking for one thing.
pub(super) struct Answer<R> {
    pub(super) kernel: &'static str,
    pub(super) field: &'static str,
    pub(super) found: Result<R, String>,
}

/// Goes over the devices and prints what `examine` finds on each.
pub(super) fn devices<F: Findings + Default>(
    verb: &str,
    output: &Output,
    examine: impl Fn(&Device, &Steps<'_>) -> Result<F, Error>,
) -> Result<End, End> {
    let devices = output.devices()?;
    let progress = Progress::new();
    let rows: Vec<_> = devices
        .iter()
        .map(|device| {
            let steps = Steps {
                progress: &progress,
                at: format!("{verb} {}", device.id),
            };
            steps.begin("opening");
            let (found, error) = match examine(device, &steps) {
                Ok(found) => (found, None),
                Err(error) => (F::default(), Some(explain(&error))),
            };
            Row {
                subject: Subject::of(device),
                found,
                error,
            }
        })
        .collect();
    drop(progress);
    output.print(rows)
}

impl<F: Findings> super::Report for Row<F> {
    fn failed(&self) -> bool {
        self.error.is_some() || self.found.failed()
    }

    fn lines(&self) -> String {
        let id = &self.subject.id;
        if let Some(error) = &self.error {
            return format!("{id}\tfailed\t{}\n", first_line(error));
        }
        let lines = self.found.lines().into_iter();
        lines.map(|line| format!("{id}\t{line}\n")).collect()
    }
}
