//! Which program to run, and how patient to be with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a worker may occupy beyond what its task claims, unless the operator says something else.
pub const MEMORY_SLACK_BYTES: u64 = 512 << 20;

/// A worker program. docs/worker-protocol.md says which flags it must take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSpec {
    pub program: PathBuf,
    /// Come before the flags of the protocol.
    pub args: Vec<String>,
    /// Added to the daemon's own environment, less what starts with `FROBEN_`.
    pub env: BTreeMap<String, String>,
    /// What a process of it may occupy beyond the memory that its task claims: its program, its
    /// libraries, its driver.
    pub memory_slack_bytes: u64,
}

impl WorkerSpec {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        WorkerSpec {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            memory_slack_bytes: MEMORY_SLACK_BYTES,
        }
    }
}

/// How long to wait for a worker before doing something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From its start to its hello; a device worker compiles its kernels first.
    pub hello: Duration,
    /// From one message to the next; a worker says `alive` every [`froben_protocol::ALIVE_MS`].
    pub silence: Duration,
    /// From a cancel or a shutdown to SIGTERM.
    pub term: Duration,
    /// From a cancel or a shutdown to SIGKILL.
    pub kill: Duration,
    /// Before the first new start after a failure; doubles with each further failure in a row.
    pub backoff_first: Duration,
    pub backoff_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            hello: Duration::from_secs(90),
            silence: Duration::from_secs(10),
            term: Duration::from_secs(1),
            kill: Duration::from_secs(3),
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(5),
        }
    }
}

impl Timing {
    /// How long to wait before a new start after `failures` in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        match failures {
            0 => Duration::ZERO,
            _ => self
                .backoff_first
                .saturating_mul(1 << (failures - 1).min(16))
                .min(self.backoff_most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_limit() {
        let timing = Timing::default();
        let waits = [0, 1, 2, 3, 6, 7, 40, u32::MAX].map(|n| timing.backoff(n).as_millis());
        assert_eq!(waits, [0, 100, 200, 400, 3200, 5000, 5000, 5000]);
    }
}
