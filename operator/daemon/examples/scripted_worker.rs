//! A worker that does what its task says, good or bad: the smallest example of the [`Worker`] trait,
//! and the one that the daemon's tests start.
//!
//! Flags are those of every worker (docs/worker-protocol.md). Before them may come `--sick`: then
//! looking for devices kills the process, as a broken driver does.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use froben_model::{DeviceSpec, ErrorClass, Kind, Value};
use froben_protocol::{
    EXIT_UNFIT, Error, Failure, Introduction, Level, Role, Run, RunKey, TaskCtx, Worker, announce,
    serve,
};
use nix::sys::signal::{Signal, raise};

struct Scripted {
    role: Role,
    device: Option<String>,
    lost: bool,
}

impl Worker for Scripted {
    fn introduction(&self) -> Introduction {
        let kind = match self.role {
            Role::Cpu => "script.cpu/1",
            Role::Device => "script.device/1",
        };
        let ids = match (&self.role, &self.device) {
            (Role::Cpu, _) => vec![],
            (Role::Device, Some(device)) => vec![device.clone()],
            (Role::Device, None) => vec!["pci:1".to_owned(), "pci:2".to_owned()],
        };
        let device = |id: String| DeviceSpec {
            name: format!("card {id}"),
            id,
            vendor: "nobody".to_owned(),
            driver: "0".to_owned(),
            vram_bytes: 1 << 30,
        };
        Introduction {
            name: "scripted".to_owned(),
            version: "1".to_owned(),
            role: self.role,
            kinds: Kind::new(kind).into_iter().collect(),
            devices: ids.into_iter().map(device).collect(),
            notes: vec![],
        }
    }

    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
        let device = self.device.as_deref().unwrap_or("cpu");
        if self.device.is_some() {
            ctx.held_vram(5 << 20);
            ctx.held_vram(3 << 20);
        }
        let what = run.input.as_text().unwrap_or_default();
        // The first item comes before anything happens.
        let first = run.items.first().map_or(0, |item| item.index);
        match what {
            // Gives each item back; of a blob, a copy with one more byte.
            "echo" => {
                for item in &run.items {
                    ctx.check_cancelled()?;
                    let value = match item.input.as_blob() {
                        Some(blob) => {
                            let mut bytes = ctx.read_blob(blob, 1 << 24)?;
                            bytes.push(b'!');
                            Value::Blob(ctx.put_blob(&bytes)?)
                        }
                        None => item.input.clone(),
                    };
                    ctx.item(item.index, Ok(value), device)?;
                }
                Ok(())
            }
            // Gives back what the keys of the task say, by their names.
            "keys" => {
                let read = |key: &RunKey| {
                    let text = std::fs::read_to_string(&key.path);
                    let failed = |error| Failure::new(ErrorClass::WorkerFailed, format!("{error}"));
                    Ok((key.name.clone(), Value::text(text.map_err(failed)?)))
                };
                let said = run.keys.iter().map(read).collect::<Result<_, Failure>>()?;
                ctx.item(first, Ok(Value::Map(said)), device)
            }
            "refuse" => Err(Failure::new(ErrorClass::BadRequest, "not this")),
            "leave" => Ok(()),
            "lose" => {
                self.lost = true;
                Err(Failure::new(ErrorClass::WorkerFailed, "the device is lost"))
            }
            // Takes 96 MiB, and gives them back when it is cancelled.
            "gorge" => {
                let much = vec![1_u8; 96 << 20];
                ctx.item(first, Ok(Value::Int(much.len() as i64)), device)?;
                while !ctx.cancelled() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                // Held until here.
                drop(much);
                ctx.check_cancelled()
            }
            "foreign" => ctx.item(999, Ok(Value::Nil), device),
            "wait" => {
                ctx.log(Level::Info, "waiting")?;
                while !ctx.cancelled() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                ctx.check_cancelled()
            }
            // Takes a while over each item.
            "doze" => {
                for item in &run.items {
                    std::thread::sleep(Duration::from_secs(2));
                    ctx.check_cancelled()?;
                    ctx.item(item.index, Ok(item.input.clone()), device)?;
                }
                Ok(())
            }
            fatal => {
                ctx.item(first, Ok(Value::Nil), device)?;
                match fatal {
                    "abort" => {
                        eprintln!("the driver gives up");
                        std::process::abort()
                    }
                    "starve" => {
                        eprintln!("memory allocation of 64 bytes failed");
                        std::process::abort()
                    }
                    "exit" => std::process::exit(3),
                    "panic" => panic!("as told"),
                    "freeze" => {
                        let _ = raise(Signal::SIGSTOP);
                    }
                    _ => {}
                }
                // Deaf to everything but signals.
                loop {
                    std::thread::park();
                }
            }
        }
    }

    fn is_fit(&self) -> bool {
        !self.lost
    }
}

fn main() -> ExitCode {
    match begin(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut flags: impl Iterator<Item = String>) -> Result<(), Error> {
    let (mut socket, mut role, mut device) = (None, Role::Cpu, None);
    let (mut probe, mut sick, mut unfit) = (false, false, false);
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            "--socket" => socket = flags.next(),
            "--role" => role = flags.next().unwrap_or_default().parse()?,
            "--device" => device = flags.next(),
            "--probe" => probe = true,
            "--sick" => sick = true,
            "--unfit" => unfit = true,
            other => eprintln!("unknown flag {other}"),
        }
    }
    if sick && role == Role::Device {
        eprintln!("the driver is broken");
        std::process::abort();
    }
    if unfit && role == Role::Device && !probe {
        eprintln!("the device computes wrongly");
        std::process::exit(i32::from(EXIT_UNFIT));
    }
    let socket = socket.unwrap_or_default();
    let lost = false;
    let mut worker = Scripted { role, device, lost };
    match probe {
        true => announce(worker.introduction(), Path::new(&socket)),
        false => serve(&mut worker, Path::new(&socket)),
    }
}
