//! `froben-prover bench`.

use froben_opencl::bench::{self, Measurement, benchmarks};
use froben_opencl::{Device, Session};
use serde::Serialize;

use super::progress::Progress;
use super::{Bench, End, Report, Subject, chosen, first_line};
use crate::worker::explain;

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    subject: Subject,
    /// A plain copy, which the kernels are held against.
    copy: Option<Figures>,
    kernels: Vec<Kernel>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Kernel {
    kernel: &'static str,
    field: &'static str,
    figures: Option<Figures>,
    /// Bytes a second, as a share of those of the copy.
    of_copy: Option<f64>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Figures {
    shape: String,
    runs: usize,
    median_ns: u64,
    elements: u64,
    elements_per_s: f64,
    bytes: u64,
    bytes_per_s: f64,
}

impl Figures {
    fn of(measurement: Measurement) -> Self {
        let (elements_per_s, bytes_per_s) =
            (measurement.elements_per_s(), measurement.bytes_per_s());
        let Measurement {
            kernel: _,
            field: _,
            shape,
            runs,
            median_ns,
            elements,
            bytes,
        } = measurement;
        Figures {
            shape,
            runs,
            median_ns,
            elements,
            elements_per_s,
            bytes,
            bytes_per_s,
        }
    }
}

pub(super) fn run(bench: &Bench) -> Result<End, End> {
    let devices = bench.output.devices()?;
    let progress = Progress::new();
    let rows = devices
        .iter()
        .map(|device| row(device, bench, &progress))
        .collect();
    drop(progress);
    bench.output.print::<Row>(rows)
}

fn row(device: &Device, bench: &Bench, progress: &Progress) -> Row {
    let mut row = Row {
        subject: Subject::of(device),
        copy: None,
        kernels: Vec::new(),
        error: None,
    };
    progress.step(format!("bench {}: opening", device.id));
    let opened = Session::open(device).and_then(|session| {
        progress.step(format!("bench {}: copy", device.id));
        let copy = bench::copy(&session, bench.runs)?;
        Ok((session, copy))
    });
    let (session, copy) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            row.error = Some(explain(&error));
            return row;
        }
    };
    let copied_per_s = copy.bytes_per_s();
    row.copy = Some(Figures::of(copy));
    let wanted: Vec<_> = benchmarks()
        .iter()
        .filter(|benchmark| chosen(&bench.kernels, benchmark.kernel()))
        .collect();
    for (at, benchmark) in wanted.iter().enumerate() {
        let (kernel, field) = (benchmark.kernel(), benchmark.field());
        let (number, of) = (at + 1, wanted.len());
        progress.step(format!(
            "bench {}: {kernel} {field} ({number}/{of})",
            device.id
        ));
        let measured = benchmark.run(&session, bench.runs);
        let (figures, error) = match measured {
            Ok(measurement) => (Some(Figures::of(measurement)), None),
            Err(error) => (None, Some(explain(&error))),
        };
        row.kernels.push(Kernel {
            kernel,
            field,
            of_copy: figures
                .as_ref()
                .map(|figures| figures.bytes_per_s / copied_per_s),
            figures,
            error,
        });
    }
    row
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
        let line = |name: &str, figures: &Option<Figures>, error: &Option<String>| match figures {
            Some(figures) => format!(
                "{id}\t{name}\t{}\t{} ns\t{:.3e} elements/s\t{:.3e} bytes/s\n",
                figures.shape, figures.median_ns, figures.elements_per_s, figures.bytes_per_s
            ),
            None => format!(
                "{id}\t{name}\tfailed\t{}\n",
                first_line(error.as_deref().unwrap_or_default())
            ),
        };
        let kernels = self.kernels.iter().map(|kernel| {
            let name = format!("{} {}", kernel.kernel, kernel.field);
            line(&name, &kernel.figures, &kernel.error)
        });
        std::iter::once(line("copy", &self.copy, &None))
            .chain(kernels)
            .collect()
    }
}
