//! `froben-prover selftest`.

use froben_opencl::SessionOptions;
use froben_opencl::diagnosis::{Examination, KnownAnswer, known_answers};
use serde::Serialize;

use super::over::{self, Findings};
use super::{End, Selftest, chosen, first_line};

#[derive(Default, Serialize)]
struct Found {
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    kernel: &'static str,
    field: &'static str,
    ok: bool,
    error: Option<String>,
}

pub(super) fn run(selftest: &Selftest) -> Result<End, End> {
    let wanted: Vec<&KnownAnswer> = known_answers()
        .iter()
        .filter(|answer| chosen(&selftest.kernels, answer.kernel()))
        .filter(|answer| chosen(&selftest.fields, answer.field()))
        .collect();
    over::devices("selftest", &selftest.output, |device, steps| {
        let examination = Examination::open(device, SessionOptions::default())?;
        let names = |answer: &&KnownAnswer| (answer.kernel(), answer.field());
        let answers = steps.each(&wanted, names, |answer, _| examination.ask(answer));
        let checks = answers.into_iter().map(|answer| Check {
            kernel: answer.kernel,
            field: answer.field,
            ok: answer.found.is_ok(),
            error: answer.found.err(),
        });
        Ok(Found {
            checks: checks.collect(),
        })
    })
}

impl Findings for Found {
    fn failed(&self) -> bool {
        self.checks.iter().any(|check| !check.ok)
    }

    fn lines(&self) -> Vec<String> {
        let checks = self.checks.iter().map(|check| {
            let said = check.error.as_deref().map_or("ok", first_line);
            format!("{} {}\t{said}", check.kernel, check.field)
        });
        checks.collect()
    }
}
