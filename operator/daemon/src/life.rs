//! `froben-operator run`: from the first probe to the last worker's end.

use std::cell::Cell;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use froben_model::limits;
use froben_wire::{Identity, Policy, Role};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::session::{Ended, Stop, Terms, hopeless, serve};
use crate::workers::{Pool, Program, RuntimeDir, Timing};
use crate::{Config, Error, Exit, Keystore, args, host, keystore, offer};

/// Between two tries to connect; doubles up to the most.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(5);
/// A session that lasted as long was a good one.
const GOOD_SESSION: Duration = Duration::from_secs(30);
/// How long a session has to end by itself.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long workers have to stop before the process ends all the same.
const STOP_WITHIN: Duration = Duration::from_secs(10);

pub fn run(args: args::Run) -> Result<(), Error> {
    let config = Config::new(args)?;
    // What is wrong most often should be known before anything is started.
    let identity = Identity::load(&config.identity)?;
    if identity.subject.role != Role::Operator {
        let (subject, dir) = (&identity.subject, config.identity.display());
        return Err(Error::new(
            Exit::Denied,
            format!(
                "the certificate in {dir} is that of {subject}, and this needs an operator's; issue one with `froben ca issue --role operator`"
            ),
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, format!("cannot start threads: {error}")))?;
    let done = runtime.block_on(live(config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn live(config: Config) -> Result<(), Error> {
    let stop = Stop::default();
    stop_when_told(&stop, config.until_stdin_closes)?;

    let sockets = match &config.runtime_dir {
        Some(dir) => RuntimeDir::create_in(dir)?,
        None => RuntimeDir::create()?,
    };
    let keys = match &config.keystore {
        Some(dir) => keystore::open(dir)?,
        None => Keystore::default(),
    };
    let timing = Timing::default();
    let probing = offer::programs(
        &config.provers,
        config.cpu_only,
        config.memory_slack_bytes,
        &sockets,
        &timing,
    );
    let programs = tokio::select! {
        programs = probing => programs?,
        () = stop.drained.cancelled() => return Ok(()),
    };
    offer::check(&programs, config.cpu_only)?;
    for note in programs.iter().flat_map(|program| &program.report.notes) {
        say(note);
    }
    warn_of_idle_prices(&config, &programs);
    let pool = Arc::new(Pool::open(
        programs,
        sockets,
        timing,
        host::cpu_cores() as usize,
    ));

    let terms = Terms {
        coordinator: config.coordinator,
        identity: config.identity,
        label: config.label,
        prices: config.prices.into_iter().collect(),
        keys: Arc::new(keys),
        policy: Policy::DAEMON,
        drain_within: config.drain_within,
        pool: pool.clone(),
        workers: Handle::current(),
        outbox: Arc::default(),
    };
    let connected = on_own_thread(terms, stop.clone())?;
    let ended = connected.await.unwrap_or_else(|_| {
        Err(Error::new(
            Exit::Unexpected,
            "the connection's thread is gone",
        ))
    });
    if tokio::time::timeout(STOP_WITHIN, pool.shutdown())
        .await
        .is_err()
    {
        say("some workers did not stop; they end with this process");
    }
    ended
}

/// A price for what nobody here does is most likely a slip of the pen.
fn warn_of_idle_prices(config: &Config, programs: &[Program]) {
    let reports = || programs.iter().map(|program| &program.report);
    let offered = |kind| {
        reports()
            .any(|report| report.cpu_kinds.contains(kind) || report.device_kinds.contains(kind))
    };
    for kind in config.prices.keys().filter(|kind| !offered(kind)) {
        say(&format!(
            "there is a price for {kind}, which no prover here offers; `froben-operator devices` lists what they do"
        ));
    }
}

/// Keeps a session up on a thread of its own; the answer comes when that is over.
fn on_own_thread(terms: Terms, stop: Stop) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
    let (sender, ended) = oneshot::channel();
    let failed = |error: std::io::Error| {
        Error::new(
            Exit::Unexpected,
            format!("cannot start the connection's thread: {error}"),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    std::thread::Builder::new()
        .name("connection".to_owned())
        .spawn(move || {
            let done = LocalSet::new().block_on(&runtime, stay_connected(&terms, &stop));
            let _ = sender.send(done.map_err(Error::from));
        })
        .map_err(failed)?;
    Ok(ended)
}

/// Sessions, one after the other, until told to stop. Gives up only if the first one cannot begin
/// for a reason that a person must see to: later on, a coordinator that refuses may change its mind.
async fn stay_connected(terms: &Terms, stop: &Stop) -> Result<(), froben_wire::Error> {
    let mut ever = false;
    let mut pause = PAUSE_FIRST;
    let mut said = String::new();
    loop {
        let begin = Instant::now();
        let registered = Cell::new(false);
        let session = serve(terms, stop, |id, spec| {
            ever = true;
            registered.set(true);
            said.clear();
            let (devices, at) = (spec.devices.len(), &terms.coordinator);
            let line = format!("registered {id} with {devices} devices at {at}");
            // Whoever reads it may have gone.
            let _ = writeln!(std::io::stdout(), "{line}");
        });
        let ended = tokio::select! {
            ended = session => ended,
            () = overdue(stop, &registered) => return Ok(()),
        };
        let trouble = match ended {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Lost(reason)) => {
                format!("lost the coordinator: {}", limits::one_line(&reason))
            }
            Ok(Ended::Fenced(devices)) => {
                for (device, why) in devices {
                    say(&format!("device {device} is fenced: its worker {why}"));
                }
                say("the machine registers again without the devices that are fenced");
                continue;
            }
            Err(error) if !ever && hopeless(&error) => return Err(error),
            Err(error) => error.to_string(),
        };
        // Said when it changes, not at every try.
        if trouble != said {
            say(&format!("{trouble}; trying again"));
            said = trouble;
        }
        if begin.elapsed() >= GOOD_SESSION {
            pause = PAUSE_FIRST;
        }
        // Machines that lost the same coordinator should not come back in one wave.
        let jitter = 0.5 + rand::random::<f64>();
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(jitter)) => {}
            () = stop.drained.cancelled() => return Ok(()),
        }
        pause = (pause * 2).min(PAUSE_MOST);
    }
}

/// Told to stop, and the session does not: it may be waiting for a coordinator that is not there.
async fn overdue(stop: &Stop, registered: &Cell<bool>) {
    stop.drained.cancelled().await;
    if !registered.get() {
        tokio::time::sleep(CLOSE_WITHIN).await;
    }
    if registered.get() {
        stop.now.cancelled().await;
        tokio::time::sleep(CLOSE_WITHIN).await;
    }
}

/// The first signal drains the machine, the second one stops it.
fn stop_when_told(stop: &Stop, until_stdin_closes: bool) -> Result<(), Error> {
    let told = |kind| {
        signal(kind).map_err(|error| Error::new(Exit::Unexpected, format!("no signals: {error}")))
    };
    let mut interrupted = told(SignalKind::interrupt())?;
    let mut terminated = told(SignalKind::terminate())?;
    let to_stop = stop.clone();
    tokio::spawn(async move {
        for stop in [&to_stop.drained, &to_stop.now] {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
            stop.cancel();
        }
    });
    if until_stdin_closes {
        let stop = stop.clone();
        // A thread of its own: a read of standard input cannot be interrupted.
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while matches!(std::io::stdin().read(&mut bytes), Ok(1..)) {}
            stop.now.cancel();
        });
    }
    Ok(())
}

/// A line for whoever watches.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "froben-operator: {line}");
}
