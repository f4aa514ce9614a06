//! `froben test`: finds spec files, runs their cases, tells what came of them.
//!
//! A case runs in a VM of its own, against the script set that its file belongs to: the folder around
//! `spec/`. What it simulates is rehearsed. Everything follows from the files and one seed.

mod find;
mod kinds;
mod report;
mod seed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use froben_model::Value;
use froben_script::spec::{Case, Simulation, Step, Subject, Suite, Unmet};
use froben_script::{Limits, Problem, Revision};

pub use find::{FindError, SpecFile, find};
pub use report::{Colour, case_line, failure_lines, json, junit, summary_line};

use crate::rehearsal::{Halt, Rehearsal, rehearse};

/// Which cases are run, and how.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// A part of the case's name, or empty.
    pub filter: String,
    /// Everything that is drawn at random follows from it.
    pub seed: u64,
}

impl Plan {
    /// A seed as a script's numbers can hold it.
    pub fn seed(number: u64) -> u64 {
        seed::exact(number)
    }
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The spec file, as it was found.
    pub file: PathBuf,
    pub case: Case,
    /// `None`: it passed.
    pub unmet: Option<Unmet>,
    pub took: Duration,
    /// The seed of each run that it simulated.
    pub seeds: Vec<u64>,
}

/// What became of all.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub seed: u64,
    pub outcomes: Vec<Outcome>,
    /// Files and script sets that do not check, each with where it was found.
    pub problems: Vec<(PathBuf, Problem)>,
    /// Cases that the filter left out.
    pub left_out: usize,
    pub took: Duration,
}

impl Report {
    pub fn failed(&self) -> usize {
        let failed = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.unmet.is_some());
        failed.count() + self.problems.len()
    }
}

/// Runs the cases of these files, in their order. `told` hears of each as it is done.
pub fn run(files: &[SpecFile], plan: &Plan, told: &mut dyn FnMut(&Outcome)) -> Report {
    let start = Instant::now();
    let mut report = Report {
        seed: plan.seed,
        ..Report::default()
    };
    let mut known: Option<(PathBuf, Result<Revision, ()>)> = None;
    for file in files {
        let revision = match &known {
            Some((root, revision)) if *root == file.root => revision.clone(),
            _ => {
                let revision = check_set(file, &mut report);
                known = Some((file.root.clone(), revision.clone()));
                revision
            }
        };
        if let Ok(revision) = revision {
            run_file(file, &revision, plan, &mut report, told);
        }
    }
    report.took = start.elapsed();
    report
}

fn check_set(file: &SpecFile, report: &mut Report) -> Result<Revision, ()> {
    Revision::check(&file.set, &Limits::default()).map_err(|problems| {
        let found = problems
            .into_iter()
            .map(|problem| (file.root.join(&problem.path), problem));
        report.problems.extend(found);
    })
}

fn run_file(
    file: &SpecFile,
    revision: &Revision,
    plan: &Plan,
    report: &mut Report,
    told: &mut dyn FnMut(&Outcome),
) {
    let load = || Suite::load(revision, &file.path, &file.source, plan.seed);
    let cases = match load() {
        Ok(suite) => suite.cases().to_vec(),
        Err(problem) => {
            report.problems.push((file.found.clone(), problem));
            return;
        }
    };
    let chosen = |case: &Case| {
        file.chosen(&cases, case) && (plan.filter.is_empty() || case.name().contains(&plan.filter))
    };
    for (position, case) in cases.iter().enumerate() {
        if !chosen(case) {
            report.left_out += 1;
            continue;
        }
        let start = Instant::now();
        let mut seeds = Vec::new();
        let unmet = match load() {
            Ok(mut suite) => {
                let rehearsal = |simulation: &Simulation, suite: &mut Suite| {
                    simulate(file, revision, plan, case, simulation, suite, &mut seeds)
                };
                run_case(&mut suite, position, rehearsal)
            }
            // It loaded a moment ago.
            Err(problem) => Some(unmet(file, problem.line, problem.message)),
        };
        let outcome = Outcome {
            file: file.found.clone(),
            case: case.clone(),
            unmet,
            took: start.elapsed(),
            seeds,
        };
        told(&outcome);
        report.outcomes.push(outcome);
    }
}

fn run_case(
    suite: &mut Suite,
    position: usize,
    mut rehearsal: impl FnMut(&Simulation, &mut Suite) -> Result<Value, Halt>,
) -> Option<Unmet> {
    let mut step = suite.begin(position);
    loop {
        let simulation = match step {
            Step::Passed => return None,
            Step::Failed(unmet) => return Some(unmet),
            Step::Simulate(simulation) => simulation,
        };
        let run = match rehearsal(&simulation, suite) {
            Ok(run) => Ok(run),
            // The operator's own line says more than that of `simulate`.
            Err(Halt::Operator(unmet)) => return Some(unmet),
            Err(Halt::Stuck(why)) => Err(format!("simulate: {why}")),
        };
        step = suite.resume(run);
    }
}

fn simulate(
    file: &SpecFile,
    revision: &Revision,
    plan: &Plan,
    case: &Case,
    simulation: &Simulation,
    suite: &mut Suite,
    seeds: &mut Vec<u64>,
) -> Result<Value, Halt> {
    let revision = match &simulation.subject {
        Subject::Pipeline(name) => {
            // A run that is refused is a result like others; a name that nobody has is a mistake of the spec's.
            let known = revision.pipeline(name);
            known.map_err(|failure| Halt::Stuck(failure.message))?;
            revision.clone()
        }
        Subject::Declared(name) => {
            let limits = Limits::default();
            let declared = revision.with_declared(&file.path, &file.source, name, &limits);
            declared
                .map_err(|problem| Halt::Operator(unmet(file, problem.line, problem.message)))?
        }
    };
    let name = format!("{} {} {}", file.path, case.name(), seeds.len());
    let rehearsal = Rehearsal {
        simulation,
        revision: Arc::new(revision),
        kinds: &file.kinds,
        seed: seed::of(plan.seed, &name),
    };
    seeds.push(simulation.seed.unwrap_or(rehearsal.seed));
    rehearse(&rehearsal, &mut |question| suite.ask(question))
}

fn unmet(file: &SpecFile, line: u32, message: String) -> Unmet {
    Unmet {
        path: file.path.clone(),
        line,
        message,
        expected: None,
        got: None,
    }
}

#[cfg(test)]
mod tests;
