//! A worker's main loop.
//!
//! Three threads: the caller's runs tasks, one reads what the daemon says, one sends the heartbeat,
//! so that a long step starves neither. A worker lives as long as its daemon: when the connection
//! ends, the process does, in the middle of a step if need be.

use std::any::Any;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

use froben_model::{DeviceSpec, ErrorClass, Kind, limits};

use crate::connection::Connection;
use crate::context::TaskCtx;
use crate::frame::{self, TO_DAEMON_BYTES, TO_WORKER_BYTES};
use crate::message::{Failure, FromWorker, Hello, Role, Run, ToWorker};
use crate::{ALIVE_MS, EXIT_ORPHANED, Error, TOKEN_VARIABLE, VERSIONS, codec};

/// How long the daemon may leave a message unread before it counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the daemon may take to answer a hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// What a worker says of itself; the fields are those of [`Hello`].
#[derive(Debug, Clone)]
pub struct Introduction {
    pub name: String,
    pub version: String,
    pub role: Role,
    pub kinds: Vec<Kind>,
    pub devices: Vec<DeviceSpec>,
    pub notes: Vec<String>,
}

/// Something that computes.
pub trait Worker {
    fn introduction(&self) -> Introduction;

    /// Does one task: reports each item by [`TaskCtx::item`] and returns. A failure ends the items
    /// that have not been reported; a panic does too, and ends the process.
    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure>;

    /// Asked after each task: whether the process can take another. One that cannot, such as after
    /// its device was lost, exits and is started afresh.
    fn is_fit(&self) -> bool {
        true
    }
}

/// Says what a worker can do and returns: all that a probe asks.
pub fn announce(introduction: Introduction, socket: &Path) -> Result<(), Error> {
    let (mut stream, token) = connect(socket)?;
    greet(&mut stream, token, introduction).map(|_| ())
}

/// Connects to the daemon and takes tasks until it says stop.
///
/// Does not return when the daemon goes away: the process exits with [`EXIT_ORPHANED`].
pub fn serve(worker: &mut dyn Worker, socket: &Path) -> Result<(), Error> {
    let (stream, token) = connect(socket)?;
    serve_on(stream, token, worker, || {
        complain("the operator's daemon is gone, so this worker exits");
        std::process::exit(EXIT_ORPHANED)
    })
}

/// [`serve`] over a connection that is there already; `orphaned` is called on the reading thread if
/// the daemon goes away, and what runs is cancelled if it returns.
pub fn serve_on(
    mut stream: UnixStream,
    token: String,
    worker: &mut dyn Worker,
    orphaned: impl FnOnce() + Send + 'static,
) -> Result<(), Error> {
    let protocol = greet(&mut stream, token, worker.introduction())?;
    let connection = Arc::new(Connection::new(stream.try_clone()?));
    // The daemon sends a task after the end of the one before.
    let (runs, tasks) = sync_channel(1);
    let (stop, stopped) = channel();
    let reading = Reading {
        stream: stream.try_clone()?,
        protocol,
        connection: connection.clone(),
        runs,
    };
    let heart = connection.clone();
    let leaving = AtomicBool::new(false);
    thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        named("heartbeat").spawn_scoped(scope, move || beat(&heart, &stopped))?;
        named("daemon").spawn_scoped(scope, || {
            // Dropped at this thread's end, which ends the main loop: not before `orphaned` was called.
            let mut reading = reading;
            let told = reading.until_shutdown();
            if !told && !leaving.load(Ordering::SeqCst) {
                orphaned();
            }
        })?;

        let result = work(worker, &connection, &tasks);
        drop((stop, tasks));
        // Ends the reading thread, which otherwise waits for the daemon.
        leaving.store(true, Ordering::SeqCst);
        let _ = stream.shutdown(Shutdown::Both);
        result
    })
}

fn connect(socket: &Path) -> Result<(UnixStream, String), Error> {
    let token = std::env::var(TOKEN_VARIABLE).map_err(|_| Error::NoToken {
        variable: TOKEN_VARIABLE,
    })?;
    let stream = UnixStream::connect(socket).map_err(|cause| Error::Connect {
        path: socket.display().to_string(),
        cause,
    })?;
    Ok((stream, token))
}

/// Says hello; returns the version that the daemon chose.
fn greet(stream: &mut UnixStream, token: String, worker: Introduction) -> Result<u32, Error> {
    let Introduction {
        name,
        version,
        role,
        kinds,
        devices,
        notes,
    } = worker;
    let hello = FromWorker::Hello(Hello {
        token,
        protocols: VERSIONS.to_vec(),
        name,
        version,
        role,
        kinds,
        devices,
        notes,
    });
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.set_read_timeout(Some(WELCOME_TIMEOUT))?;
    frame::write(stream, &codec::encode_from_worker(&hello), TO_DAEMON_BYTES)?;
    let body = frame::read(stream, TO_WORKER_BYTES)?.ok_or(Error::Closed)?;
    stream.set_read_timeout(None)?;
    match codec::decode_to_worker(&body, VERSIONS[0])? {
        ToWorker::Welcome { protocol } if VERSIONS.contains(&protocol) => Ok(protocol),
        ToWorker::Welcome { protocol } => Err(Error::NoCommonVersion {
            offered: vec![protocol],
            ours: &VERSIONS,
        }),
        ToWorker::Refused { reason } => Err(Error::Refused { reason }),
        other => Err(Error::Unexpected {
            expected: "welcome",
            met: other.name(),
        }),
    }
}

/// The reading thread's part.
struct Reading {
    stream: UnixStream,
    protocol: u32,
    connection: Arc<Connection>,
    runs: SyncSender<Run>,
}

impl Reading {
    /// Reads until the daemon says stop (true) or is gone (false).
    fn until_shutdown(&mut self) -> bool {
        let told = loop {
            match self.read() {
                Ok(Some(ToWorker::Shutdown)) => break true,
                Ok(Some(message)) => {
                    if !self.take(message) {
                        break true;
                    }
                }
                Ok(None) => break false,
                Err(error) => {
                    complain(&format!("connection to the daemon: {error}"));
                    break false;
                }
            }
        };
        self.connection.cancel(None);
        told
    }

    fn read(&mut self) -> Result<Option<ToWorker>, Error> {
        match frame::read(&mut self.stream, TO_WORKER_BYTES)? {
            Some(body) => codec::decode_to_worker(&body, self.protocol).map(Some),
            None => Ok(None),
        }
    }

    /// Acts on a message; false if the main loop is over.
    fn take(&self, message: ToWorker) -> bool {
        match message {
            ToWorker::Run(run) => {
                self.connection.begin(run.task);
                // Must not block: this thread notices that the daemon is gone.
                return match self.runs.try_send(run) {
                    Ok(()) => true,
                    Err(TrySendError::Disconnected(_)) => false,
                    Err(TrySendError::Full(_)) => {
                        complain("the daemon sends tasks before this worker is done with one");
                        false
                    }
                };
            }
            ToWorker::Cancel { task } => self.connection.cancel(Some(task)),
            ToWorker::Chunk { req, bytes } => self.connection.answer(req, Ok(bytes)),
            ToWorker::Done { req } => self.connection.answer(req, Ok(Vec::new())),
            ToWorker::Failed { req, failure } => self.connection.answer(req, Err(failure)),
            ToWorker::Welcome { .. } | ToWorker::Refused { .. } | ToWorker::Shutdown => {}
        }
        true
    }
}

fn beat(connection: &Connection, stopped: &Receiver<()>) {
    let interval = Duration::from_millis(ALIVE_MS);
    while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        if connection.send(&FromWorker::Alive).is_err() {
            // A closed connection is the reading thread's to act on. A daemon that reads nothing
            // for so long hears no heartbeat either, and kills this process once it lives again.
            return;
        }
    }
}

/// Runs tasks one after the other until the reading thread is done.
fn work(
    worker: &mut dyn Worker,
    connection: &Arc<Connection>,
    tasks: &Receiver<Run>,
) -> Result<(), Error> {
    while let Ok(run) = tasks.recv() {
        let ctx = TaskCtx {
            connection: connection.clone(),
            task: run.task,
            vram_bytes: AtomicU64::new(0),
        };
        let result = catch_unwind(AssertUnwindSafe(|| worker.run(&run, &ctx)));
        let (failure, panic) = match result {
            Ok(result) => (result.err(), None),
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                let failure = format!("the worker panicked: {message}");
                let failure = Failure::new(ErrorClass::WorkerFailed, failure);
                (Some(failure), Some(Error::Panicked { message }))
            }
        };
        let leaving = panic.is_some() || !worker.is_fit();
        let finished = FromWorker::Finished {
            task: run.task,
            failure,
            leaving,
        };
        let stopping = connection.is_cancelled(run.task);
        connection.end();
        let sent = connection.send(&finished);
        if let Some(panic) = panic {
            return Err(panic);
        }
        match sent {
            Ok(()) if leaving => return Ok(()),
            Ok(()) => {}
            // Told to stop, or orphaned: the reading thread has the last word.
            Err(_) if stopping => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A line on standard error, which is a pipe to the daemon: with the daemon gone the write fails, and
/// what follows it must happen all the same.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    limits::one_line(text.unwrap_or("it gave no reason"))
}
