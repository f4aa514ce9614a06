//! The `froben-operator` program.

use std::process::ExitCode;

use clap::Parser;
use froben_operator::args::{Cli, Command, Verb};
use froben_operator::{Error, devices, examine, keys, run};

/// As in the coordinator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = log_to_stderr(&cli.log).and_then(|()| match cli.command {
        Command::Run(args) => run(*args),
        Command::Devices(args) => devices(args),
        Command::Bench(args) => examine(Verb::Bench, args.into()),
        Command::Tune(args) => examine(Verb::Tune, args.into()),
        Command::Selftest(args) => examine(Verb::Selftest, args.into()),
        Command::Keys(args) => keys(args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}

fn log_to_stderr(filter: &str) -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| Error::usage(format!("--log {filter}: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that nobody takes must not end the thread that writes it.
        .log_internal_errors(false)
        .init();
    Ok(())
}
