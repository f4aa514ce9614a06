//! `froben-operator bench`, `tune` and `selftest`: what the devices of this machine can do, without a
//! coordinator.
//!
//! This program links no OpenCL. The prover has the same verbs and prints JSON; here they are run in a process
//! for each device, so that a driver that aborts costs its own device's table alone, and made readable.

mod ask;
mod bench;
mod keys;
mod selftest;
mod table;
mod tune;

use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::args::{Examine, Format, Verb};
use crate::config::or_built_in;
use crate::{Error, Exit};
use ask::{Answer, ask};
pub use keys::keys;

/// Of the prover's documents and of ours.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Document<R> {
    format: u32,
    devices: Vec<R>,
}

/// Who a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Subject {
    id: String,
    name: String,
    driver: String,
}

/// What a verb finds on one device, beside who it is about.
trait Findings: Default + Serialize + DeserializeOwned {
    /// Whether the device could not do a part of what it was asked.
    fn failed(&self) -> bool;

    /// Its table, without the device's own line.
    fn table(&self) -> String;
}

/// A device in a document.
#[derive(Debug, Serialize, Deserialize)]
struct Report<F> {
    #[serde(flatten)]
    subject: Subject,
    #[serde(flatten)]
    found: F,
    /// Why there is nothing of it, if there is not.
    error: Option<String>,
}

impl<F: Findings> Report<F> {
    /// A device of which nothing was found, and why.
    fn without(subject: Subject, error: String) -> Self {
        Report {
            subject,
            found: F::default(),
            error: Some(error),
        }
    }

    fn failed(&self) -> bool {
        self.error.is_some() || self.found.failed()
    }

    fn text(&self) -> String {
        let Subject { id, name, driver } = &self.subject;
        let found = match &self.error {
            Some(error) => format!("failed: {error}"),
            None => self.found.table(),
        };
        format!("{id}: {name}, {driver}\n{found}")
    }
}

/// Runs a verb on every device of every prover, or on the one that is named.
pub fn examine(verb: Verb, examine: Examine) -> Result<(), Error> {
    match verb {
        Verb::Bench => run::<bench::Found>("bench", examine),
        Verb::Tune => run::<tune::Tunings>("tune", examine),
        Verb::Selftest => run::<selftest::Found>("selftest", examine),
    }
}

fn run<F: Findings>(verb: &str, examine: Examine) -> Result<(), Error> {
    let Examine {
        programs,
        device,
        arguments,
        output,
    } = examine;
    let mut reports: Vec<Report<F>> = Vec::new();
    for program in or_built_in(programs)? {
        for subject in subjects(&program, device.as_deref())? {
            reports.push(report(&program, verb, subject, &arguments)?);
        }
    }
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| report.failed())
        .map(|report| report.subject.id.clone())
        .collect();
    let text = match output {
        Format::Json => {
            let document = Document {
                format: FORMAT,
                devices: reports,
            };
            let json = serde_json::to_string_pretty(&document);
            json.map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?
        }
        Format::Text => {
            let tables = reports.iter().map(Report::text);
            tables.collect::<Vec<_>>().join("\n\n")
        }
    };
    // Whoever reads it may have gone.
    let _ = writeln!(std::io::stdout(), "{text}");
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::new(
            Exit::DeviceFailed,
            format!("{verb} failed on {}", failed.join(", ")),
        )),
    }
}

/// The devices that a prover sees.
fn subjects(program: &Path, device: Option<&str>) -> Result<Vec<Subject>, Error> {
    let mut arguments = vec!["devices", "-o", "json"];
    arguments.extend(device.iter().flat_map(|id| ["--device", id]));
    match ask::<Subject>(program, &arguments)? {
        Answer::Document(subjects) => Ok(subjects),
        Answer::Died(how) => Err(Error::new(
            Exit::Unexpected,
            format!(
                "looking at the devices, the prover {} {how}",
                program.display()
            ),
        )),
    }
}

fn report<F: Findings>(
    program: &Path,
    verb: &str,
    subject: Subject,
    arguments: &[String],
) -> Result<Report<F>, Error> {
    let mut all = vec![verb, "-o", "json", "--device", &subject.id];
    all.extend(arguments.iter().map(String::as_str));
    let why = match ask::<Report<F>>(program, &all)? {
        Answer::Document(devices) => match devices.into_iter().next() {
            Some(report) => return Ok(report),
            None => "the prover said nothing of it".to_owned(),
        },
        Answer::Died(how) => format!("the prover {how}"),
    };
    Ok(Report::without(subject, why))
}
