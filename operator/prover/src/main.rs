//! The `froben-prover` program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use froben_opencl::{Error, loader};
use froben_protocol::{EXIT_UNFIT, announce, serve};
use froben_prover::verbs::{self, Verb};
use froben_prover::worker::{CpuWorker, DeviceWorker, explain};
use tracing_subscriber::EnvFilter;

/// The proving worker of Froben: witnesses, circuit proofs on OpenCL devices, bundles.
///
/// The operator's daemon, froben-operator, starts this program and speaks the worker protocol with
/// it. By hand it shows, tests, measures and tunes the devices of this machine; froben-operator has the same
/// verbs with tables to read.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// Unix socket of the daemon that started this worker
    #[arg(long, value_name = "PATH", requires = "role")]
    socket: Option<PathBuf>,

    /// What this process is for: tasks that claim cores, or tasks that claim a device
    #[arg(long, value_enum, requires = "socket")]
    role: Option<Role>,

    /// The device to prove on, by the id that `devices` shows
    #[arg(long, value_name = "ID", requires = "socket")]
    device: Option<String>,

    /// Say hello, with all that this machine offers in the role, and exit
    #[arg(long, requires = "socket")]
    probe: bool,
}

const AFTER_HELP: &str = "\
Without a device: install the driver of your GPU; or, to prove on the CPU, an OpenCL driver for it \
(Debian: apt-get install pocl-opencl-icd).
Logs go to stderr; RUST_LOG=debug shows more.
Exit codes: 0 done, 1 failed, 2 wrong flags, 3 no such device, 10 no device, 11 a device failed, \
75 the daemon went away, 76 the device computes wrongly.";

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Cpu,
    Device,
}

fn main() -> ExitCode {
    // Before there is a second thread.
    let unnamed = loader::name_missing_driver();
    let arguments = Arguments::parse();
    // A worker's log goes to the daemon's, a verb's to whoever looks at its table.
    let level = if arguments.verb.is_some() {
        "warn"
    } else {
        "info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    if let Some(library) = unnamed {
        let library = library.display();
        tracing::info!(%library, "no icd file names this driver; it is used all the same");
    }
    if let Some(verb) = arguments.verb {
        return verbs::run(verb).exit();
    }
    match run(arguments) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let Arguments {
        verb: _,
        socket,
        role,
        device,
        probe,
    } = arguments;
    let (Some(socket), Some(role)) = (socket, role) else {
        usage("froben-operator starts this program; by hand, try `froben-prover devices`")
    };
    let done = match (role, device, probe) {
        (Role::Cpu, _, true) => announce(CpuWorker::introduction(), &socket),
        (Role::Cpu, _, false) => serve(&mut CpuWorker, &socket),
        (Role::Device, _, true) => announce(DeviceWorker::probe(), &socket),
        (Role::Device, Some(id), false) => {
            let mut worker = match DeviceWorker::open(&id) {
                Ok(worker) => worker,
                Err(error @ (Error::WrongAnswer { .. } | Error::BuildFailed { .. })) => {
                    eprintln!("error: {}", explain(&error));
                    return Ok(ExitCode::from(EXIT_UNFIT));
                }
                Err(error) => return Err(explain(&error)),
            };
            serve(&mut worker, &socket)
        }
        (Role::Device, None, false) => usage("--role device needs --device, except with --probe"),
    };
    done.map(|()| ExitCode::SUCCESS)
        .map_err(|error| error.to_string())
}

/// Ends the program as clap does for wrong flags.
fn usage(message: &str) -> ! {
    Arguments::command()
        .error(ErrorKind::MissingRequiredArgument, message)
        .exit()
}
