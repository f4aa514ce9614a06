//! The `froben-prover` program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use froben_opencl::Device;
use froben_protocol::{announce, serve};
use froben_prover::worker::{CpuWorker, DeviceWorker, explain};
use tracing_subscriber::EnvFilter;

/// The proving worker of Froben: witnesses, circuit proofs on OpenCL devices, bundles.
///
/// The operator's daemon, froben-operator, starts this program and speaks the worker protocol with
/// it; by hand it is good for one thing: `froben-prover --list-devices` shows what it can prove on.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// Show the OpenCL devices of this machine and exit
    #[arg(long, conflicts_with_all = ["socket", "role", "device", "probe"])]
    list_devices: bool,

    /// Unix socket of the daemon that started this worker
    #[arg(long, value_name = "PATH", requires = "role")]
    socket: Option<PathBuf>,

    /// What this process is for: tasks that claim cores, or tasks that claim a device
    #[arg(long, value_enum, requires = "socket")]
    role: Option<Role>,

    /// The device to prove on, by the id that --list-devices shows
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
Exit codes: 0 done, 1 failed, 2 wrong flags, 75 the daemon went away.";

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Cpu,
    Device,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments {
        list_devices,
        socket,
        role,
        device,
        probe,
    } = arguments;
    if list_devices {
        return list();
    }
    let (Some(socket), Some(role)) = (socket, role) else {
        usage("froben-operator starts this program; by hand, try --list-devices")
    };
    let done = match (role, device, probe) {
        (Role::Cpu, _, true) => announce(CpuWorker::introduction(), &socket),
        (Role::Cpu, _, false) => serve(&mut CpuWorker, &socket),
        (Role::Device, _, true) => announce(DeviceWorker::probe(), &socket),
        (Role::Device, Some(id), false) => {
            let mut worker = DeviceWorker::open(&id).map_err(|error| explain(&error))?;
            serve(&mut worker, &socket)
        }
        (Role::Device, None, false) => usage("--role device needs --device, except with --probe"),
    };
    done.map_err(|error| error.to_string())
}

/// Ends the program as clap does for wrong flags.
fn usage(message: &str) -> ! {
    Arguments::command()
        .error(ErrorKind::MissingRequiredArgument, message)
        .exit()
}

fn list() -> Result<(), String> {
    let devices = Device::discover().map_err(|error| explain(&error))?;
    for device in devices {
        println!(
            "{}\t{}\t{}\t{} MiB\t{} {}",
            device.id,
            device.kind,
            device.name,
            device.global_memory_bytes >> 20,
            device.platform,
            device.driver_version
        );
    }
    Ok(())
}
