//! A worker for tests: counts, takes too much memory, or lies.
//!
//! As a CPU worker it takes `e2e.count/1` (each item is its own result, after a while) and
//! `e2e.gorge/1` (takes some memory and touches all of it). As a device worker it says that it makes
//! proofs, and sends bytes and values that are none.
//!
//! With `PUPPET_FALTERS_AFTER` in its environment it takes a thousand times as long for what it counts behind
//! so many items of a task; so one machine can be slow where another is not. With `PUPPET_GORGES` it makes
//! witnesses too, and takes so many bytes for each.

use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use froben_model::{DeviceSpec, ErrorClass, Kind, Value};
use froben_protocol::{Error, Failure, Introduction, Role, Run, TaskCtx, Worker, announce, serve};

const FALTERS_AFTER: &str = "PUPPET_FALTERS_AFTER";
const GORGES: &str = "PUPPET_GORGES";

struct Puppet {
    role: Role,
    /// How many items of a task it is quick at.
    quick: usize,
    /// Bytes that it takes for a witness.
    gorges: Option<u64>,
}

/// Takes so much memory and touches all of it, for long enough to be seen.
fn gorge(bytes: u64) -> i64 {
    let much = vec![1_u8; usize::try_from(bytes).unwrap_or(usize::MAX)];
    std::thread::sleep(Duration::from_millis(1500));
    much.iter().map(|byte| i64::from(*byte)).sum()
}

fn number(value: &Value, name: &str) -> Result<u64, Failure> {
    let found = match value {
        Value::Map(map) => map.get(name),
        _ => None,
    };
    match found {
        Some(Value::Int(number)) if *number >= 0 => Ok(number.cast_unsigned()),
        _ => Err(Failure::new(
            ErrorClass::BadRequest,
            format!("no number `{name}`"),
        )),
    }
}

impl Worker for Puppet {
    fn introduction(&self) -> Introduction {
        let (kinds, devices) = match self.role {
            Role::Cpu => {
                let witness = self.gorges.map(|_| "commitments.witness/1");
                let kinds = ["e2e.count/1", "e2e.gorge/1"].into_iter().chain(witness);
                (kinds.collect(), vec![])
            }
            Role::Device => {
                let device = DeviceSpec {
                    id: "pci:liar".to_owned(),
                    name: "a card that is none".to_owned(),
                    vendor: "nobody".to_owned(),
                    driver: "0".to_owned(),
                    vram_bytes: 8 << 30,
                };
                (vec!["commitments.prove/1"], vec![device])
            }
        };
        Introduction {
            name: "puppet".to_owned(),
            version: "1".to_owned(),
            role: self.role,
            kinds: kinds
                .into_iter()
                .filter_map(|kind| Kind::new(kind).ok())
                .collect(),
            devices,
            notes: vec![],
        }
    }

    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
        for (at, item) in run.items.iter().enumerate() {
            let value = match run.kind.as_str() {
                "e2e.count/1" => {
                    let times = if at < self.quick { 1 } else { 1000 };
                    let ms = times * number(&run.input, "each_ms")?;
                    let until = Instant::now() + Duration::from_millis(ms);
                    while Instant::now() < until {
                        if let Err(stopped) = ctx.check_cancelled() {
                            eprintln!("stopped at item {}", item.index);
                            return Err(stopped);
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    item.input.clone()
                }
                "e2e.gorge/1" => Value::Int(gorge(number(&run.input, "bytes")?)),
                "commitments.witness/1" => Value::Int(gorge(self.gorges.unwrap_or(0))),
                // Some of its lies are easy to see, and some look right until somebody verifies them.
                _ => match at % 3 {
                    2 => Value::text("a proof, on my word"),
                    _ => {
                        let blob = ctx.put_blob(format!("proof {}", item.index).as_bytes())?;
                        Value::map([("proof", Value::Blob(blob))])
                    }
                },
            };
            ctx.item(item.index, Ok(value), self.role.name())?;
        }
        Ok(())
    }
}

/// A number in the environment.
fn set<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
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
    let (mut socket, mut role, mut probe) = (String::new(), Role::Cpu, false);
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            "--socket" => socket = flags.next().unwrap_or_default(),
            "--role" => role = flags.next().unwrap_or_default().parse()?,
            "--probe" => probe = true,
            _ => {}
        }
    }
    let mut puppet = Puppet {
        role,
        quick: set(FALTERS_AFTER).unwrap_or(usize::MAX),
        gorges: set(GORGES),
    };
    match probe {
        true => announce(puppet.introduction(), Path::new(&socket)),
        false => serve(&mut puppet, Path::new(&socket)),
    }
}
