//! What the two ends say to each other, as plain types; [`crate::codec`] puts them on the wire.

use std::fmt;
use std::str::FromStr;

use froben_model::{BlobRef, DeviceSpec, ErrorClass, Kind, Value, limits};

use crate::Error;

/// What a worker process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes tasks that claim cores; opens no device.
    Cpu,
    /// Takes tasks that claim the device it was started for.
    Device,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Cpu => "cpu",
            Role::Device => "device",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Role::Cpu, Role::Device]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| Error::Malformed {
                cause: format!("`{}` is not a role", limits::one_line(text)),
            })
    }
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::Debug, Level::Info, Level::Warn, Level::Error];

    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Why an item, a task or a request has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ErrorClass,
    /// One line.
    pub message: String,
}

impl Failure {
    pub fn new(class: ErrorClass, message: impl AsRef<str>) -> Self {
        Failure {
            class,
            message: limits::one_line(message.as_ref()),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// A worker's first message.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// The token of this spawn, from [`crate::TOKEN_VARIABLE`].
    pub token: String,
    /// Protocol versions that the worker speaks.
    pub protocols: Vec<u32>,
    /// The program's name and its own version, for people.
    pub name: String,
    pub version: String,
    pub role: Role,
    /// Kinds that it takes in this role.
    pub kinds: Vec<Kind>,
    /// In role `device`: the devices it sees (when probed) or the one it holds (when serving).
    pub devices: Vec<DeviceSpec>,
    /// What the operator should know, such as why there is no device.
    pub notes: Vec<String>,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of every log.
        f.debug_struct("Hello")
            .field("protocols", &self.protocols)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("role", &self.role)
            .field("kinds", &self.kinds)
            .field("devices", &self.devices)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// A task for a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Unique among the tasks of this process; says which task a message is about.
    pub task: u64,
    pub kind: Kind,
    /// Common to all items.
    pub input: Value,
    pub items: Vec<RunItem>,
    /// The device that is claimed for it; none for a CPU task.
    pub device: Option<String>,
    /// Cores that are claimed for it.
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub vram_bytes: u64,
    /// From now. The daemon ends the task by its own clock; this is for planning.
    pub timeout_ms: u64,
    /// The files of the operator's keystore that the task names.
    pub keys: Vec<RunKey>,
}

/// A file of the operator's keystore, which the worker reads where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey {
    /// What the task calls it.
    pub name: String,
    /// Of its content, when the daemon started.
    pub sha256: [u8; 32],
    /// Absolute.
    pub path: String,
}

/// One item that a task owes.
#[derive(Debug, Clone, PartialEq)]
pub struct RunItem {
    /// Its position in the delegation.
    pub index: u32,
    pub input: Value,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq)]
pub enum FromWorker {
    Hello(Hello),
    /// The heartbeat.
    Alive,
    /// Wants `len` bytes of `blob` from `offset`: answered by `Chunk` or `Failed`.
    Read {
        req: u64,
        blob: BlobRef,
        offset: u64,
        len: u32,
    },
    /// Starts upload `upload` of at most `max_bytes`: answered by `Done` or `Failed`.
    Open {
        req: u64,
        upload: u64,
        max_bytes: u64,
    },
    /// Appends to an upload: answered by `Done` or `Failed`.
    Write {
        req: u64,
        upload: u64,
        bytes: Vec<u8>,
    },
    /// Ends an upload, whose bytes are those of `blob`: answered by `Done` or `Failed`.
    Publish {
        req: u64,
        upload: u64,
        blob: BlobRef,
    },
    /// Forgets an upload. Not answered.
    Discard {
        upload: u64,
    },
    /// An item is done, its blobs published. `device` names what it ran on; `vram_bytes`: the most that
    /// the task has held of its memory so far, if the worker knows.
    Item {
        task: u64,
        index: u32,
        outcome: Result<Value, Failure>,
        device: Option<String>,
        vram_bytes: Option<u64>,
    },
    /// The task is over. With a failure, items that have not come end with it.
    Finished {
        task: u64,
        failure: Option<Failure>,
        /// The worker takes no further task: it exits, and wants to be started afresh.
        leaving: bool,
    },
    Log {
        task: Option<u64>,
        level: Level,
        line: String,
    },
}

impl FromWorker {
    /// The message's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            FromWorker::Hello(_) => "hello",
            FromWorker::Alive => "alive",
            FromWorker::Read { .. } => "read",
            FromWorker::Open { .. } => "open",
            FromWorker::Write { .. } => "write",
            FromWorker::Publish { .. } => "publish",
            FromWorker::Discard { .. } => "discard",
            FromWorker::Item { .. } => "item",
            FromWorker::Finished { .. } => "finished",
            FromWorker::Log { .. } => "log",
        }
    }
}

/// What a daemon says.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// Answers `Hello`: from now on every message has this version.
    Welcome {
        protocol: u32,
    },
    /// Answers `Hello`, and closes the connection.
    Refused {
        reason: String,
    },
    Run(Run),
    /// Stop the task. Its unanswered requests stay unanswered; `Finished` ends it.
    Cancel {
        task: u64,
    },
    /// Stop whatever runs and exit.
    Shutdown,
    /// Answers a `Read`.
    Chunk {
        req: u64,
        bytes: Vec<u8>,
    },
    /// Answers an `Open`, a `Write` or a `Publish`.
    Done {
        req: u64,
    },
    /// Answers any request.
    Failed {
        req: u64,
        failure: Failure,
    },
}

impl ToWorker {
    /// The message's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            ToWorker::Welcome { .. } => "welcome",
            ToWorker::Refused { .. } => "refused",
            ToWorker::Run(_) => "run",
            ToWorker::Cancel { .. } => "cancel",
            ToWorker::Shutdown => "shutdown",
            ToWorker::Chunk { .. } => "chunk",
            ToWorker::Done { .. } => "done",
            ToWorker::Failed { .. } => "failed",
        }
    }
}
