//! `froben test`: runs specs. Needs no network.

use std::io::IsTerminal;
use std::path::Path;

use froben_author::specs::{self, Colour, FindError, Plan, Report, SpecFile};

use crate::args::{Format, Test};
use crate::error::{Error, Exit};
use crate::output::print_json;

pub(crate) fn run(args: Test) -> Result<(), Error> {
    let Test {
        paths,
        filter,
        seed,
        junit,
        output,
    } = args;
    let files = find(&paths)?;
    let seed = Plan::seed(seed.unwrap_or_else(rand::random));
    let plan = Plan { filter, seed };
    let colour = match std::io::stdout().is_terminal() {
        true => Colour::Ansi,
        false => Colour::None,
    };
    let text = output == Format::Text;
    let report = specs::run(&files, &plan, &mut |outcome| {
        if text {
            println!("{}", specs::case_line(outcome, colour));
        }
    });
    match output {
        Format::Text => print(&report, colour),
        Format::Json => print_json(&specs::json(&report)),
    }
    if let Some(path) = junit {
        write(&path, &specs::junit(&report))?;
    }
    judge(&report, &plan)
}

fn find(paths: &[std::path::PathBuf]) -> Result<Vec<SpecFile>, Error> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(specs::find(path).map_err(not_found)?);
    }
    Ok(files)
}

fn not_found(error: FindError) -> Error {
    match error {
        FindError::Files(error) => Error::from(error),
        FindError::NotASpec(_) | FindError::None(_) => {
            Error::new(Exit::NotFound, error.to_string())
                .hint("specs are .lua files in the folder spec/ beside pipelines/ and lib/")
        }
    }
}

fn print(report: &Report, colour: Colour) {
    println!("{}", specs::summary_line(report, colour));
    for outcome in report
        .outcomes
        .iter()
        .filter(|outcome| outcome.unmet.is_some())
    {
        println!("\n{}", specs::case_line(outcome, colour));
        print!("{}", specs::failure_lines(outcome, report.seed));
    }
    for (file, problem) in &report.problems {
        let line = match problem.line {
            0 => String::new(),
            line => format!(":{line}"),
        };
        println!(
            "\n  {}{line}: {} [{}]",
            file.display(),
            problem.message,
            problem.code
        );
        println!("    {}", problem.hint);
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| Error::file("write", path, &error))
}

fn judge(report: &Report, plan: &Plan) -> Result<(), Error> {
    if report.failed() > 0 {
        let why = match report.failed() {
            1 => "1 spec failed".to_string(),
            failed => format!("{failed} specs failed"),
        };
        return Err(Error::new(Exit::Script, why).code("FRB-SPC-001"));
    }
    if report.outcomes.is_empty() {
        let why = match plan.filter.as_str() {
            "" => "the files have no cases".to_string(),
            filter => format!("no case has {filter:?} in its name"),
        };
        return Err(Error::new(Exit::NotFound, why).hint(
            "a case is `it(name, function() ... end)`; its name begins with those of its groups",
        ));
    }
    Ok(())
}
