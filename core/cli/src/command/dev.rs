//! `froben dev`: a whole network on this machine, each part a process of its own, kept up until told to
//! stop.
//!
//! A child that dies is started again, the coordinator on the same port and journal: what the network
//! promises elsewhere holds here too. Children end when their standard input closes, so nothing is left
//! running however this process ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use froben_wire::{CRL_FILE, Ca, LIST_VALIDITY, Request, Role, Validity};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::args::Dev;
use crate::command::coordinator::stop_asked;
use crate::command::rerun::{self, Subject};
use crate::command::submit::Input;
use crate::error::{Error, Exit};
use crate::scripts;

/// How long a child may take until it is of use.
const START: Duration = Duration::from_secs(60);
/// How long children have to end by themselves.
const STOP: Duration = Duration::from_secs(10);
/// A child that lived shorter than this is not started again at once.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Certificates of a network that is thrown away.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) fn run(args: Dev) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, format!("cannot start threads: {error}")))?;
    // RPC objects stay on their thread.
    tokio::task::LocalSet::new().block_on(&runtime, up(args))
}

async fn up(args: Dev) -> Result<(), Error> {
    let Dev {
        pipeline,
        inputs,
        settings,
        data,
        port,
        operators,
        scripts,
        watch,
        keystore,
        until_stdin_closes,
    } = args;
    let subject = match pipeline {
        Some(file) => Some(Subject::new(&file, Input::read(&inputs, &settings)?)?),
        None => None,
    };
    let (data, _temporary) = data_folder(data)?;
    let identities = data.join("identities");
    make_identities(&identities, operators)?;
    let scripts = match scripts {
        Some(scripts) => scripts,
        None => write_built_in(&data.join("scripts"))?,
    };
    let port = match port {
        Some(port) => port,
        None => free_port()?,
    };
    let address = format!("127.0.0.1:{port}");

    let mut network = Network::default();
    let mut coordinator = Part::coordinator(&address, &data, &identities, &scripts)?;
    for number in 1..=operators {
        let operator = operator_name(number);
        coordinator.args.extend(["--trust".to_string(), operator]);
    }
    if watch {
        coordinator.args.push("--watch".to_string());
    }
    if subject.is_some() && std::env::var_os("FROBEN_LOG").is_none() {
        // What it would say of each revision is said here, in fewer words.
        coordinator
            .args
            .extend(["--log".to_string(), "warn".to_string()]);
    }
    network.start(coordinator).await?;
    for number in 1..=operators {
        network
            .start(Part::operator(
                &address,
                &identities,
                keystore.as_deref(),
                number,
            )?)
            .await?;
    }
    let rerun = async {
        match &subject {
            Some(subject) => match rerun::keep(subject, &address, &identities).await {
                Ok(never) => match never {},
                Err(error) => error,
            },
            None => {
                announce(&address, &identities, operators);
                std::future::pending().await
            }
        }
    };

    let ended = tokio::select! {
        error = rerun => Err(error),
        stopped = stop_asked(until_stdin_closes) => stopped,
        error = network.failed() => Err(error),
    };
    network.stop().await;
    ended
}

fn announce(address: &str, identities: &Path, operators: u8) {
    eprintln!("froben dev: a coordinator on {address} and {operators} operators are up");
    eprintln!(
        "froben dev: in another shell, type the next three lines and submit a file of yours:"
    );
    println!("export FROBEN_COORDINATOR={address}");
    println!(
        "export FROBEN_IDENTITY={}",
        identities.join("seeker").display()
    );
    println!(
        "export FROBEN_ADMIN_IDENTITY={}",
        identities.join("admin").display()
    );
    eprintln!("froben submit data_commitments --input data=FILE --wait -o bundle.bin");
    eprintln!("froben verify bundle.bin --input FILE");
    eprintln!("froben scripts history");
    println!("ready");
}

/// The folder, and what removes it at the end if it is temporary.
fn data_folder(data: Option<PathBuf>) -> Result<(PathBuf, Option<Temporary>), Error> {
    let make = |dir: &Path| {
        std::fs::create_dir_all(dir).map_err(|error| Error::file("make", dir, &error))?;
        std::fs::canonicalize(dir).map_err(|error| Error::file("find", dir, &error))
    };
    match data {
        Some(dir) => Ok((make(&dir)?, None)),
        None => {
            let dir = std::env::temp_dir().join(format!("froben-dev-{}", std::process::id()));
            let dir = make(&dir)?;
            Ok((dir.clone(), Some(Temporary(dir))))
        }
    }
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A throwaway CA and everybody's certificates, unless they are there from the last time.
fn make_identities(dir: &Path, operators: u8) -> Result<(), Error> {
    let ca_dir = dir.join("ca");
    let ca = match Ca::load(&ca_dir) {
        Ok(ca) => ca,
        Err(froben_wire::Error::Read { .. }) => Ca::init(&ca_dir)?,
        Err(error) => return Err(error.into()),
    };
    if !ca.list_path().exists() {
        // A network of before there were lists.
        ca.renew_list(LIST_VALIDITY)?;
    }
    let operators = (1..=operators).map(|number| (Role::Operator, operator_name(number)));
    let everybody = [
        (Role::Coordinator, "coordinator".to_string()),
        (Role::Seeker, "seeker".to_string()),
        (Role::Admin, "admin".to_string()),
    ];
    for (role, name) in everybody.into_iter().chain(operators) {
        let to = dir.join(&name);
        if to.join("cert.pem").exists() {
            continue;
        }
        let request = Request {
            role,
            name,
            dns: Vec::new(),
            ips: Vec::new(),
            validity: Validity::lasting(LIFETIME),
        };
        ca.issue(&request, &to)?;
    }
    Ok(())
}

fn operator_name(number: u8) -> String {
    format!("operator-{number}")
}

fn write_built_in(dir: &Path) -> Result<PathBuf, Error> {
    for (path, source) in scripts::built_in().files {
        let path = dir.join(path);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, source))
            .map_err(|error| Error::file("write", &path, &error))?;
    }
    Ok(dir.to_path_buf())
}

fn free_port() -> Result<u16, Error> {
    let bound = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr());
    bound
        .map(|address| address.port())
        .map_err(|error| Error::new(Exit::Unexpected, format!("no free port: {error}")))
}

/// One process of the network, as it is started each time.
struct Part {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    /// The beginning of the line on its standard output that says that it is of use.
    ready: &'static str,
}

impl Part {
    fn coordinator(
        address: &str,
        data: &Path,
        identities: &Path,
        scripts: &Path,
    ) -> Result<Part, Error> {
        let path = |path: &Path| path.display().to_string();
        Ok(Part {
            name: "coordinator".to_string(),
            program: program("froben")?,
            args: vec![
                "coordinator".to_string(),
                "run".to_string(),
                "--until-stdin-closes".to_string(),
                "--listen".to_string(),
                address.to_string(),
                "--data".to_string(),
                path(data),
                "--identity".to_string(),
                path(&identities.join("coordinator")),
                "--crl".to_string(),
                path(&identities.join("ca").join(CRL_FILE)),
                "--scripts".to_string(),
                path(scripts),
            ],
            ready: "coordinator listens on ",
        })
    }

    fn operator(
        address: &str,
        identities: &Path,
        keystore: Option<&Path>,
        number: u8,
    ) -> Result<Part, Error> {
        let name = operator_name(number);
        let keystore = keystore.map(|dir| ["--keystore".to_string(), dir.display().to_string()]);
        let args = [
            "run",
            "--until-stdin-closes",
            "--coordinator",
            address,
            "--identity",
            &identities.join(&name).display().to_string(),
            "--label",
            "machine-1",
            "--prover",
            &program("froben-prover")?.display().to_string(),
        ];
        let args = args.into_iter().map(str::to_string);
        Ok(Part {
            program: program("froben-operator")?,
            args: args.chain(keystore.into_iter().flatten()).collect(),
            name,
            ready: "registered ",
        })
    }
}

/// A program that was installed beside this one.
fn program(name: &str) -> Result<PathBuf, Error> {
    let here = std::env::current_exe()
        .map_err(|error| Error::new(Exit::Unexpected, format!("where am I? {error}")))?;
    let path = here.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(
            Error::new(Exit::NotFound, format!("{} is missing", path.display())).hint(
                "`froben dev` runs froben-operator and froben-prover from its own folder; build \
                   them with `cargo build --workspace`",
            ),
        ),
    }
}

/// The running parts: a task each, that starts its part again when it dies.
#[derive(Default)]
struct Network {
    parts: JoinSet<Error>,
    stops: Vec<oneshot::Sender<()>>,
}

impl Network {
    /// Starts a part and waits until it is of use.
    async fn start(&mut self, part: Part) -> Result<(), Error> {
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stop_receiver) = oneshot::channel();
        let name = part.name.clone();
        self.parts.spawn(keep_up(part, ready_sender, stop_receiver));
        self.stops.push(stop);
        tokio::select! {
            up = ready => match up {
                Ok(()) => Ok(()),
                Err(_) => Err(self.failed().await),
            },
            error = failed(&mut self.parts) => Err(error),
            () = tokio::time::sleep(START) => {
                let why = format!("{name} is not up after {} s", START.as_secs());
                Err(Error::new(Exit::Timeout, why).hint("its messages are above"))
            }
        }
    }

    /// Waits until a part can't be kept up.
    async fn failed(&mut self) -> Error {
        failed(&mut self.parts).await
    }

    async fn stop(mut self) {
        self.stops.clear();
        let ended = async { while self.parts.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP + Duration::from_secs(2), ended).await;
    }
}

async fn failed(parts: &mut JoinSet<Error>) -> Error {
    match parts.join_next().await {
        Some(Ok(error)) => error,
        Some(Err(error)) => Error::new(Exit::Unexpected, error.to_string()),
        None => std::future::pending().await,
    }
}

/// Runs a part for ever. Gives up if it never was of use.
async fn keep_up(part: Part, ready: oneshot::Sender<()>, mut stop: oneshot::Receiver<()>) -> Error {
    let mut ready = Some(ready);
    loop {
        let born = Instant::now();
        let mut child = match spawn(&part) {
            Ok(child) => child,
            Err(error) => return error,
        };
        // Waiting for a child closes its standard input, unless that is held elsewhere.
        let stdin = child.stdin.take();
        let said = watch_output(&mut child, part.ready);
        tokio::pin!(said);
        let status = loop {
            tokio::select! {
                true = &mut said, if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                status = child.wait() => break status,
                _ = &mut stop => {
                    drop(stdin);
                    end(child).await;
                    return Error::new(Exit::Unexpected, format!("{} was stopped", part.name));
                }
            }
        };
        let status = status.map_or("gone".to_string(), |status| status.to_string());
        if ready.is_some() {
            let why = format!("{} did not come up: {status}", part.name);
            return Error::new(Exit::Unexpected, why).hint("its messages are above");
        }
        eprintln!(
            "froben dev: {} is gone ({status}), starting it again",
            part.name
        );
        if born.elapsed() < SHORT_LIFE {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn spawn(part: &Part) -> Result<Child, Error> {
    Command::new(&part.program)
        .args(&part.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::file("run", &part.program, &error))
}

/// True once the child has printed its line; never otherwise. Goes on reading, so that the child never
/// blocks on its output.
fn watch_output(child: &mut Child, line: &'static str) -> impl Future<Output = bool> + use<> {
    let stdout = child.stdout.take();
    let (sender, said) = oneshot::channel();
    tokio::spawn(async move {
        let Some(stdout) = stdout else { return };
        let mut sender = Some(sender);
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(text)) = lines.next_line().await {
            if text.starts_with(line)
                && let Some(sender) = sender.take()
            {
                let _ = sender.send(());
            }
        }
    });
    async move { said.await.is_ok() }
}

/// Waits for a child whose standard input was closed; kills it if it does not end.
async fn end(mut child: Child) {
    if tokio::time::timeout(STOP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
