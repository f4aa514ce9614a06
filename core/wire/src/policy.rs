//! How patient a connection is, and how much one peer may hold. One page, so that both ends agree.

use std::time::Duration;

use froben_model::limits;

/// What one connection keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub heartbeat: Heartbeat,
    pub limits: Limits,
    /// From the first byte to a finished TLS handshake, and again to the first answer.
    pub handshake: Duration,
    /// How long any one call may take.
    pub call: Duration,
}

/// When a peer counts as gone.
///
/// The end that dialled pings the other, [`Heartbeat::every`] after bytes last went both ways, whether or not
/// the pings before were answered: so they flow at any round trip, even if there is nothing to say. Silence is
/// measured in bytes, not in answers: a slow link that is busy with a blob still delivers, and its owner
/// must not lose the work for that.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    pub every: Duration,
    /// Without a byte from the peer, or with our bytes stuck, for this long, the connection is cut.
    pub silence: Duration,
}

/// What one peer may hold open. capnp-rpc itself limits none of it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One message, which is also what it may be traversed.
    pub message_bytes: usize,
    pub nesting: i32,
    /// Calls that run at once. While there are as many, nothing more is read from the peer.
    pub calls: usize,
    /// Bytes of the calls that run. Reading waits here too.
    pub held_bytes: u64,
    /// Bytes on their way to the peer. Reading waits here too: who does not listen may not ask.
    pub queued_bytes: u64,
    /// Answers that the peer has not let go of. Beyond that the connection is cut: no honest peer
    /// gets there.
    pub open_answers: usize,
}

impl Policy {
    /// What a coordinator keeps to with its operators. An operator that has frozen, or whose link is
    /// gone without a word, loses its work within 3 s; this is most of that time, and four times as
    /// long as the daemon is ever quiet.
    pub const OPERATOR: Policy = Policy {
        heartbeat: Heartbeat {
            every: Duration::from_millis(500),
            silence: Duration::from_secs(2),
        },
        limits: Limits::DEFAULT,
        handshake: Duration::from_secs(5),
        call: Duration::from_secs(30),
    };

    /// What a daemon keeps to with its coordinator: it speaks as often, and listens longer, since giving
    /// up a coordinator that only paused costs all that runs.
    pub const DAEMON: Policy = Policy {
        heartbeat: Heartbeat {
            silence: Duration::from_secs(6),
            ..Policy::OPERATOR.heartbeat
        },
        ..Policy::OPERATOR
    };

    /// Between a coordinator and its seekers. More patient: nobody waits for a seeker's machine.
    pub const SEEKER: Policy = Policy {
        heartbeat: Heartbeat {
            every: Duration::from_secs(2),
            silence: Duration::from_secs(20),
        },
        ..Policy::OPERATOR
    };
}

impl Limits {
    pub const DEFAULT: Limits = Limits {
        message_bytes: limits::MESSAGE_BYTES,
        // Each level of a value takes up to three: see `limits::VALUE_DEPTH`.
        nesting: 64,
        calls: 64,
        held_bytes: 32 << 20,
        queued_bytes: 32 << 20,
        open_answers: 4096,
    };
}
