//! `froben-prover bench`.

use froben_opencl::Session;
use froben_opencl::bench::{self, Benchmark, Measurement, benchmarks};
use serde::Serialize;

use super::over::{self, Findings};
use super::{Bench, End, chosen, first_line};

#[derive(Default, Serialize)]
struct Found {
    /// A plain copy, which the kernels are held against.
    copy: Option<Figures>,
    kernels: Vec<Kernel>,
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
    let wanted: Vec<&Benchmark> = benchmarks()
        .iter()
        .filter(|benchmark| chosen(&bench.kernels, benchmark.kernel()))
        .filter(|benchmark| chosen(&bench.fields, benchmark.field()))
        .collect();
    over::devices("bench", &bench.output, |device, steps| {
        let session = Session::open(device)?;
        steps.begin("copy");
        let copy = bench::copy(&session, bench.runs)?;
        let copied_per_s = copy.bytes_per_s();
        let names = |benchmark: &&Benchmark| (benchmark.kernel(), benchmark.field());
        let measured = steps.each(&wanted, names, |benchmark, _| {
            benchmark.run(&session, bench.runs)
        });
        let kernels = measured.into_iter().map(|answer| {
            let (figures, error) = match answer.found {
                Ok(measurement) => (Some(Figures::of(measurement)), None),
                Err(error) => (None, Some(error)),
            };
            Kernel {
                kernel: answer.kernel,
                field: answer.field,
                of_copy: figures
                    .as_ref()
                    .map(|figures| figures.bytes_per_s / copied_per_s),
                figures,
                error,
            }
        });
        Ok(Found {
            copy: Some(Figures::of(copy)),
            kernels: kernels.collect(),
        })
    })
}

impl Findings for Found {
    fn failed(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.error.is_some())
    }

    fn lines(&self) -> Vec<String> {
        let line = |name: &str, figures: &Option<Figures>, error: &Option<String>| match figures {
            Some(figures) => format!(
                "{name}\t{}\t{} ns\t{:.3e} elements/s\t{:.3e} bytes/s",
                figures.shape, figures.median_ns, figures.elements_per_s, figures.bytes_per_s
            ),
            None => format!(
                "{name}\tfailed\t{}",
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
