//! `froben sim`: what a fleet would make of a pipeline.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use froben_sim::forecast::{self, Forecast, Job, PlayError, Profile, Question};

use crate::args::{Format, Sim};
use crate::command::rerun;
use crate::command::submit;
use crate::error::{Error, Exit};
use crate::output::{findings, forecast as shown, print_json};
use crate::scripts;

/// Runs that are shorter need no progress.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two lines of progress where nothing can be overwritten.
const EVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &Sim) -> Result<(), Error> {
    if args.price.is_some_and(|price| !(0.0..1e9).contains(&price)) {
        return Err(Error::usage("--price is a number from 0"));
    }
    let profile = profile(&args.profile)?;
    let (job, made_up) = job(args)?;
    if !made_up.is_empty() {
        eprintln!("made up: {}", made_up.join(", "));
    }
    let question = Question {
        machines: args.machines as usize,
        seeds: args.seeds,
        from: args.from,
        workflows: args.workflows,
        before: args.before,
        price: args.price,
        compare: !args.alone,
    };
    let forecast = play(&job, &profile, &question)?;
    match args.output {
        Format::Text => println!("{}", shown::text(&forecast, args.price.is_some())),
        Format::Json => print_json(&shown::json(&forecast)),
    }
    Ok(())
}

/// One of ours, or a file.
fn profile(name: &str) -> Result<Profile, Error> {
    if let Some(profile) = Profile::shipped(name) {
        return Ok(profile);
    }
    let names: Vec<_> = Profile::names().collect();
    let path = Path::new(name);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let known = names.join(", ");
        Error::file("read", path, &error).hint(format!(
            "a profile is one of {known}, or a TOML file like them"
        ))
    })?;
    Profile::parse(&text).map_err(|error| {
        Error::new(Exit::Script, format!("{name}: {error}"))
            .code("FRB-SIM-001")
            .hint("tests/sim/profiles/era.toml says what each field means")
    })
}

fn job(args: &Sim) -> Result<(Job, Vec<String>), Error> {
    let (folder, path) = rerun::place(&args.pipeline)?;
    let set = scripts::read(&folder)?;
    let found = Job::of(&set, &path).map_err(|problems| {
        findings::print_problems(&problems, &set.files);
        let error = Error::new(Exit::Script, "the scripts do not check");
        match problems.into_iter().next() {
            Some(problem) => error.code(problem.code),
            None => error,
        }
    })?;
    let Some(job) = found else {
        let why = format!("{} is no pipeline of its set", args.pipeline.display());
        return Err(Error::new(Exit::NotFound, why).code("FRB-SUB-001"));
    };
    let input = submit::settings(job.pipeline(), &args.settings)?;
    let lack = submit::missing(job.pipeline(), &froben_model::Value::Map(input.clone()));
    job.with_input(input)
        .map_err(|why| Error::new(Exit::Script, why).code("FRB-SUB-002").hint(lack))
}

fn play(job: &Job, profile: &Profile, question: &Question) -> Result<Forecast, Error> {
    let begin = Instant::now();
    let overwrites = std::io::stderr().is_terminal();
    let told: Mutex<Option<Instant>> = Mutex::default();
    let progress = |done: usize, total: usize| {
        let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let pause = if overwrites { EVERY / 50 } else { EVERY };
        let due = told.is_none_or(|last| last.elapsed() >= pause);
        if begin.elapsed() >= PATIENCE && (due || done == total) {
            *told = Some(Instant::now());
            match (overwrites, done == total) {
                (true, true) => eprintln!("\r{done} of {total} runs"),
                (true, false) => eprint!("\r{done} of {total} runs"),
                (false, _) => eprintln!("{done} of {total} runs"),
            }
        }
    };
    forecast::forecast(job, profile, question, &progress).map_err(|(seed, error)| {
        let again = format!("--seeds 1 --from {seed} --alone plays that seed alone");
        let failed = |exit| Error::new(exit, format!("seed {seed}: {error}")).hint(again);
        match &error {
            PlayError::Failed(_) | PlayError::Endless(_) => {
                failed(Exit::WorkflowFailed).code("FRB-SIM-002")
            }
            PlayError::Refused(_) => failed(Exit::Script).code("FRB-SUB-002"),
            PlayError::Journal(_) => failed(Exit::Unexpected),
        }
    })
}
