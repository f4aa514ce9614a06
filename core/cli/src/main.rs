//! The `froben` program: seekers submit and verify, ops run the coordinator, everybody tries it with
//! `froben dev`.

// First: its macros are for all that follow.
#[macro_use]
mod printing;

mod args;
mod client;
mod command;
mod error;
mod kinds;
mod output;
mod policy;
mod scripts;
mod session;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use error::Error;

/// Much of what a task takes is small objects that one thread makes and another drops.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = || log_to_stderr(&cli.log).and_then(|()| run(cli.command));
    if let Err(error) = printing::command(command) {
        error.print();
        return error.exit.into();
    }
    ExitCode::SUCCESS
}

fn log_to_stderr(filter: &str) -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| Error::usage(format!("--log {filter}: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that nobody takes must not end the thread that writes it.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Submit(args) => command::submit::run(args),
        Command::Wait(args) => command::wait::run(args),
        Command::Verify(args) => command::verify::run(&args),
        Command::Proof(verb) => command::proof::run(verb),
        Command::Status(args) => command::show::status(&args),
        Command::List(args) => command::show::list(&args),
        Command::Cancel(args) => command::show::cancel(&args),
        Command::Logs(args) => command::show::logs(&args),
        Command::Why(args) => command::why::why(&args),
        Command::Trail(args) => command::trail::trail(&args),
        Command::Workflow(verb) => command::workflow::run(&verb),
        Command::Pipelines(args) => command::show::pipelines(&args),
        Command::Machines(args) => command::show::machines(&args),
        Command::Profiles(args) => command::profiles::profiles(&args),
        Command::Ledger(args) => command::ledger::run(&args),
        Command::Ca(command) => command::ca::run(command),
        Command::Scripts(command) => command::scripts::run(command),
        Command::Coordinator(args::Coordinator::Run(args)) => command::coordinator::run(*args),
        Command::Policy(verb) => command::policy::run(&verb),
        Command::Dev(args) => command::dev::run(args),
        Command::Fmt(args) => command::fmt::run(&args),
        Command::Lint(args) => command::lint::run(&args),
        Command::New(args) => command::new::run(&args),
        Command::Explain(args) => command::explain::run(&args),
        Command::Test(args) => command::test::run(args),
        Command::Sim(args) => command::sim::run(&args),
        Command::Help { topic } => command::help::run(topic.as_deref()),
    }
}
