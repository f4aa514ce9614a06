//! `froben-prover tune`.

use froben_opencl::Session;
use froben_opencl::tune::{Target, Tuned, targets};
use serde::Serialize;

use super::over::{self, Findings};
use super::{End, Tune, chosen, first_line};

#[derive(Default, Serialize)]
struct Tunings {
    kernels: Vec<Kernel>,
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
    let wanted: Vec<Target> = targets()
        .filter(|target| chosen(&tune.kernels, target.kernel()))
        .filter(|target| chosen(&tune.fields, target.field()))
        .collect();
    over::devices("tune", &tune.output, |device, steps| {
        let session = Session::open(device)?;
        let names = |target: &Target| (target.kernel(), target.field());
        let tuned = steps.each(&wanted, names, |target, step| {
            target.tune(&session, steps.parts(step))
        });
        let kernels = tuned.into_iter().map(|answer| {
            let (found, error) = match answer.found {
                Ok(tuned) => (Some(found(tuned)), None),
                Err(error) => (None, Some(error)),
            };
            Kernel {
                kernel: answer.kernel,
                field: answer.field,
                found,
                error,
            }
        });
        Ok(Tunings {
            kernels: kernels.collect(),
        })
    })
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

impl Findings for Tunings {
    fn failed(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.error.is_some())
    }

    fn lines(&self) -> Vec<String> {
        let kernels = self.kernels.iter().map(|kernel| {
            let name = format!("{} {}", kernel.kernel, kernel.field);
            match &kernel.found {
                Some(found) => format!(
                    "{name}\t{}\t{} ns by default\t{} ns",
                    found.layout, found.default_ns, found.best_ns
                ),
                None => format!(
                    "{name}\tfailed\t{}",
                    first_line(kernel.error.as_deref().unwrap_or_default())
                ),
            }
        });
        kernels.collect()
    }
}
