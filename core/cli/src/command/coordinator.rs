//! `froben coordinator run`: journal, blobs, engine and server in one process.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use froben_blobs::Blobs;
use froben_engine::{Capacity, Config, EngineHandle, Running};
use froben_journal::{ScriptSet, Store};
use froben_store::RocksStore;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{CapacityArgs, CoordinatorRun};
use crate::command::reload;
use crate::command::revoked::Revoked;
use crate::error::{Error, Exit};
use crate::scripts;
use crate::watch::Watch;

pub(crate) fn run(args: CoordinatorRun) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(args))
}

async fn serve(args: CoordinatorRun) -> Result<(), Error> {
    let CoordinatorRun {
        metrics,
        listen,
        data,
        identity,
        crl,
        scripts: folder,
        watch,
        policy,
        trust,
        shards,
        capacity,
        until_stdin_closes,
    } = args;
    let identity = froben_wire::Identity::load(&identity)?;
    let (revoked, list) = match &crl {
        Some(path) => {
            Revoked::load(path, &identity).map(|(revoked, list)| (Some(revoked), Some(list)))?
        }
        None => (None, None),
    };
    let scripts = scripts::read(&folder);
    let watch = match watch {
        true => Some(Watch::new(&folder)?),
        false => None,
    };
    let rules = policy.as_deref().map(crate::policy::read).transpose()?;
    let mut rules = rules.unwrap_or_default();
    rules.trusted.extend(trust.iter().cloned());
    let policy_hangup = listen_to(SignalKind::hangup())?;
    let hangup = listen_to(SignalKind::hangup())?;
    let revoked_hangup = listen_to(SignalKind::hangup())?;
    // The port first: what is wrong most often should be known before the journal is opened.
    let listener = bind(listen)?;
    let metrics = metrics.map(bind).transpose()?;
    std::fs::create_dir_all(&data).map_err(|error| Error::file("make", &data, &error))?;
    let store = open_store(&data.join("journal"))?;
    let scripts = match scripts {
        Ok(scripts) => scripts,
        Err(error) => served_before(store.as_ref(), error)?,
    };
    let blobs = Blobs::open(&data.join("blobs"))
        .await
        .map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
    let config = Config {
        rules,
        seed: rand::random(),
        scripts,
        capacity: capacity.read()?,
    };
    let running = Running::start(store, config).map_err(start_error)?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
    let options = froben_server::Options {
        shards: usize::from(shards),
        revoked: list,
        ..froben_server::Options::default()
    };
    let handle = running.handle.clone();
    let server = froben_server::serve_with(listener, &identity, handle, blobs, options)
        .map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
    // On standard output, so that whoever started it knows that it can be used.
    println!("coordinator listens on {address}");

    if let Some(Ok(address)) = metrics.as_ref().map(TcpListener::local_addr) {
        eprintln!("figures at http://{address}/metrics");
    }
    let figures = figures(metrics, running.handle.clone());

    let keep_revoked = async {
        match revoked {
            Some(revoked) => revoked.keep(&server, &identity, revoked_hangup).await,
            None => std::future::pending().await,
        }
    };
    let keep_policy = async {
        match &policy {
            Some(path) => {
                let engine = &running.handle;
                crate::command::policy::keep(engine, path, &trust, policy_hangup).await
            }
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        never = keep_policy => match never {},
        never = keep_revoked => match never {},
        reason = running.failure() => Err(journal_failed(&reason)),
        stopped = stop_asked(until_stdin_closes) => stopped,
        error = figures => Err(error),
        never = reload::keep(&running.handle, &folder, hangup, watch) => match never {},
    };
    server.stop().await;
    running.stop();
    ended
}

impl CapacityArgs {
    fn read(&self) -> Result<Capacity, Error> {
        let CapacityArgs {
            script_threads,
            script_memory,
            workflows,
            workflows_of_one,
        } = self;
        let default = Capacity::default();
        Ok(Capacity {
            script_threads: script_threads.map_or(default.script_threads, usize::from),
            script_bytes: size(script_memory)?,
            live: *workflows,
            live_of_one: *workflows_of_one,
            ..default
        })
    }
}

/// A size such as `512MiB`.
fn size(text: &str) -> Result<usize, Error> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let split = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let read = split.and_then(|(number, shift)| number.parse::<usize>().ok()?.checked_shl(shift));
    read.filter(|bytes| *bytes > 0).ok_or_else(|| {
        Error::usage(format!("--script-memory {text}: not a size")).hint("write it like 512MiB")
    })
}

/// Shows the figures, if somebody wants them, for as long as the coordinator runs.
async fn figures(listener: Option<TcpListener>, engine: EngineHandle) -> Error {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let error = froben_server::metrics::serve(listener, engine).await;
    Error::new(Exit::Unexpected, format!("cannot show figures: {error}"))
}

fn bind(listen: std::net::SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(listen).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Error::new(
            Exit::Unexpected,
            format!("{listen} is in use by another program"),
        )
        .hint("choose another with --listen; `ss -ltnp` tells who has it"),
        std::io::ErrorKind::PermissionDenied => {
            Error::new(Exit::Denied, format!("not allowed to listen on {listen}"))
                .hint("ports below 1024 need privileges; choose another with --listen")
        }
        _ => Error::new(
            Exit::Unexpected,
            format!("cannot listen on {listen}: {error}"),
        ),
    })
}

fn open_store(path: &Path) -> Result<Arc<RocksStore>, Error> {
    RocksStore::open(path).map(Arc::new).map_err(|error| {
        let shown = Error::new(Exit::Unexpected, error.to_string());
        match error {
            froben_journal::Error::Locked { .. } => shown
                .hint("another coordinator runs on this folder; stop it, or choose another --data"),
            froben_journal::Error::Version { .. } => {
                shown.hint("run the version that wrote it, or a newer one")
            }
            _ => shown,
        }
    })
}

/// What was served last, for a coordinator whose own scripts can't be read.
fn served_before(store: &RocksStore, error: Error) -> Result<ScriptSet, Error> {
    let read = || -> Result<Option<ScriptSet>, froben_journal::Error> {
        match store.newest_served()? {
            Some(entry) => store.revision(entry.revision),
            None => Ok(None),
        }
    };
    let failed = |error: froben_journal::Error| Error::new(Exit::Unexpected, error.to_string());
    match read().map_err(failed)? {
        Some(scripts) => {
            reload::log(&error);
            Ok(scripts)
        }
        None => Err(error),
    }
}

fn start_error(error: froben_engine::Error) -> Error {
    match error {
        froben_engine::Error::Scripts(_) => Error::new(Exit::Script, error.to_string()),
        froben_engine::Error::Store(_) | froben_engine::Error::Thread(_) => {
            Error::new(Exit::Unexpected, error.to_string())
        }
    }
}

fn journal_failed(reason: &str) -> Error {
    Error::new(Exit::Unexpected, format!("stopped: {reason}")).hint(
        "make room or repair the disk and start again: everything acknowledged is in the journal",
    )
}

fn listen_to(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|error| Error::new(Exit::Unexpected, format!("no signals: {error}")))
}

/// Waits for SIGINT, SIGTERM or, if asked, the end of standard input.
pub(crate) async fn stop_asked(until_stdin_closes: bool) -> Result<(), Error> {
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut terminate = listen_to(SignalKind::terminate())?;
    let stdin = async {
        if until_stdin_closes {
            stdin_closed().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = stdin => {}
    }
    Ok(())
}

/// Reads on a thread of its own, since a read of standard input can't be interrupted.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error on standard input is its end, too.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}
