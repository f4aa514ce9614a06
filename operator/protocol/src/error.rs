//! What can go wrong between a daemon and a worker.

/// An error of either end. After any of them the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a frame of {size} bytes, the limit is {limit}")]
    FrameTooLarge { size: u64, limit: usize },
    #[error("the connection closed inside a frame")]
    Truncated,
    #[error("the connection is closed")]
    Closed,
    #[error("a frame holds no message: {cause}")]
    Malformed { cause: String },
    #[error("message type `{name}` is not known")]
    UnknownType { name: String },
    #[error("a `{message}` message: `{field}` {why}")]
    Field {
        message: String,
        field: String,
        why: String,
    },
    #[error("a message of protocol version {met}, agreed is {agreed}")]
    Version { met: u64, agreed: u32 },
    #[error("no common protocol version: the worker speaks {offered:?}, this daemon {ours:?}")]
    NoCommonVersion {
        offered: Vec<u32>,
        ours: &'static [u32],
    },
    #[error("the daemon refused this worker: {reason}")]
    Refused { reason: String },
    #[error("expected `{expected}`, got `{met}`")]
    Unexpected {
        expected: &'static str,
        met: &'static str,
    },
    #[error("the peer runs as user {met}, expected {expected}")]
    WrongUser { met: u32, expected: u32 },
    #[error("the token is not that of this spawn")]
    WrongToken,
    #[error("the peer does not read: {queued} messages wait for it")]
    NotReading { queued: usize },
    #[error("{variable} is not set: a worker is started by the operator's daemon")]
    NoToken { variable: &'static str },
    #[error("the worker panicked: {message}")]
    Panicked { message: String },
    #[error("socket {path}: {cause}")]
    Connect { path: String, cause: std::io::Error },
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
}
