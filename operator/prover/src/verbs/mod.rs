//! What this program does for a person, or for the daemon on a person's behalf, without a task.
//!
//! Every verb looks at one device after the other, goes on when one of them fails, and prints one
//! document: as lines of tab-separated fields, or as JSON whose names stay. `froben-operator` runs these
//! verbs in a process for each device, so that a driver that aborts costs its own device's rows alone.

mod bench;
mod devices;
mod keys;
mod over;
mod progress;
mod selftest;
mod tune;

use std::io::Write;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use froben_opencl::bench::benchmarks;
use froben_opencl::diagnosis::known_answers;
use froben_opencl::tune::targets;
use froben_opencl::{Device, Error};
use serde::Serialize;

use crate::worker::explain;

/// Of the JSON documents; a new one means that names have changed.
const FORMAT: u32 = 1;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the OpenCL devices of this machine
    Devices(Output),
    /// Measure how fast each kernel runs on each device
    ///
    /// ntt transforms every column of a matrix, lde extends it by four, spread puts the rows of an inverse
    /// transform in order, fold folds a layer of FRI by eight, poseidon2 permutes states, merkle builds a tree
    /// over a matrix, msm adds up multiples of points.
    ///
    /// Each result is checked before it is timed, on data that lies on the device already. Bytes are
    /// those that the kernel's launches read and write, and their rate is held against that of a plain
    /// copy on the same device.
    Bench(Bench),
    /// Find the best layout of each kernel on each device and keep it for later
    ///
    /// A layout is how many elements a lane has and how many work-items a group; of ntt_pass also how much local
    /// memory a tile takes and how many levels a pass does at most; of msm how long runs are and how wide windows.
    /// No layout changes a result: every one is checked before it is timed. What is found is kept in the user's
    /// cache folder, in froben/opencl/tunings, for this device and driver; workers use it from their next start.
    Tune(Tune),
    /// Ask each device for known answers of each kernel
    ///
    /// The sizes are the smallest at which every branch of a kernel runs. The first time every kernel is compiled,
    /// which takes a processor a minute or two; compiled programs are kept.
    Selftest(Selftest),
    /// Put into a keystore what compressing proofs needs
    ///
    /// That is the setup of the last step, tens of megabytes: the `dev` one, which is the same on every machine and worth
    /// nothing to who relies on proofs. `froben-operator run --keystore DIR` offers it.
    Keys(keys::Keys),
}

/// Which devices, and how to print.
#[derive(Debug, Args)]
pub struct Output {
    /// This device alone, by the id that `devices` shows
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// This kernel alone; may be given several times
    #[arg(long = "kernel", value_name = "NAME", value_parser = names(benchmarks().iter().map(|b| b.kernel())))]
    kernels: Vec<String>,
    /// This field alone; may be given several times
    #[arg(long = "field", value_name = "NAME", value_parser = names(benchmarks().iter().map(|b| b.field())))]
    fields: Vec<String>,
    /// Samples whose median counts, 7 at least
    #[arg(long, value_name = "N", default_value_t = froben_opencl::bench::LEAST_RUNS)]
    runs: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct Tune {
    /// This kernel alone; may be given several times
    #[arg(long = "kernel", value_name = "NAME", value_parser = names(targets().map(|t| t.kernel())))]
    kernels: Vec<String>,
    /// This field or permutation alone; may be given several times
    #[arg(long = "field", value_name = "NAME", value_parser = names(targets().map(|t| t.field())))]
    fields: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// This kernel alone; may be given several times
    #[arg(long = "kernel", value_name = "NAME", value_parser = names(known_answers().iter().map(|a| a.kernel())))]
    kernels: Vec<String>,
    /// This field alone; may be given several times
    #[arg(long = "field", value_name = "NAME", value_parser = names(known_answers().iter().map(|a| a.field())))]
    fields: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines of tab-separated fields
    Text,
    /// One JSON document
    Json,
}

/// Each name once.
fn names(all: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    PossibleValuesParser::new(names)
}

/// Whether something that can be chosen was: all are, where nothing is named.
fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|chosen| chosen == name)
}

/// How a verb ends; the numbers are those of `froben-operator`.
#[derive(Debug)]
pub enum End {
    Done,
    /// There is a document, and it says which device failed.
    DeviceFailed,
    NoDevice(String),
    NotFound(String),
    Unexpected(String),
}

impl End {
    /// Says what is left to say, and gives the exit code.
    pub fn exit(self) -> ExitCode {
        let (code, message) = match self {
            End::Done => return ExitCode::SUCCESS,
            End::DeviceFailed => return ExitCode::from(11),
            End::Unexpected(message) => (1, message),
            End::NotFound(message) => (3, message),
            End::NoDevice(message) => (10, message),
        };
        eprintln!("error: {message}");
        ExitCode::from(code)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let message = explain(&error);
        match error {
            Error::NoPlatform | Error::NoDevice { .. } => End::NoDevice(message),
            Error::UnknownDevice { .. } => End::NotFound(message),
            _ => End::Unexpected(message),
        }
    }
}

pub fn run(verb: Verb) -> End {
    let done = match verb {
        Verb::Devices(output) => devices::run(&output),
        Verb::Bench(bench) => bench::run(&bench),
        Verb::Tune(tune) => tune::run(&tune),
        Verb::Selftest(selftest) => selftest::run(&selftest),
        Verb::Keys(keys) => keys::run(&keys),
    };
    done.unwrap_or_else(|end| end)
}

impl Output {
    fn devices(&self) -> Result<Vec<Device>, End> {
        Ok(match &self.device {
            Some(id) => vec![Device::find(id)?],
            None => Device::discover()?,
        })
    }

    /// Prints what a verb found on each device.
    fn print<R: Report>(&self, devices: Vec<R>) -> Result<End, End> {
        let failed = devices.iter().any(Report::failed);
        let text = match self.output {
            Format::Text => devices.iter().map(Report::lines).collect(),
            Format::Json => {
                let document = Document {
                    format: FORMAT,
                    devices,
                };
                let json = serde_json::to_string_pretty(&document);
                json.map_err(|error| End::Unexpected(error.to_string()))? + "\n"
            }
        };
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| End::Unexpected(format!("cannot print: {error}")))?;
        Ok(if failed { End::DeviceFailed } else { End::Done })
    }
}

#[derive(Serialize)]
struct Document<R> {
    format: u32,
    devices: Vec<R>,
}

/// The first line of an error, which may come with a compiler's log.
fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

/// What a verb found on one device.
trait Report: Serialize {
    /// Whether the device could not do what it was asked.
    fn failed(&self) -> bool;

    /// Lines of tab-separated fields, each with its end.
    fn lines(&self) -> String;
}

/// Who a row is about.
#[derive(Serialize)]
struct Subject {
    id: String,
    name: String,
    driver: String,
}

impl Subject {
    fn of(device: &Device) -> Self {
        Subject {
            id: device.id.clone(),
            name: device.name.clone(),
            driver: format!("{} {}", device.platform, device.driver_version),
        }
    }
}
