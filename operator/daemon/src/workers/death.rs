//! How a worker ended, and what that says about the task it had.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use froben_model::ErrorClass;
use froben_protocol::{EXIT_UNFIT, Failure};
use nix::sys::signal::Signal;

/// What Rust's and C++'s runtimes print before they abort for want of memory.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of ", "std::bad_alloc"];

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    status: Option<ExitStatus>,
    /// Whether the daemon killed it.
    by_us: bool,
    last_lines: Vec<String>,
    /// Whether the kernel killed some process for want of memory in its lifetime.
    oom_kills: bool,
}

impl Death {
    pub(super) fn new(
        status: Option<ExitStatus>,
        by_us: bool,
        last_lines: Vec<String>,
        oom_kills: bool,
    ) -> Self {
        Death {
            status,
            by_us,
            last_lines,
            oom_kills,
        }
    }

    /// Whether it says that its device computes wrongly.
    pub(super) fn is_unfit(&self) -> bool {
        let code = self.status.and_then(|status| status.code());
        code == Some(i32::from(EXIT_UNFIT))
    }

    fn class(&self) -> ErrorClass {
        let signal = self.status.and_then(|status| status.signal());
        let says_so = |line: &String| OUT_OF_MEMORY.iter().any(|words| line.contains(words));
        let killed = signal == Some(Signal::SIGKILL as i32) && !self.by_us && self.oom_kills;
        let aborted = signal == Some(Signal::SIGABRT as i32) && self.last_lines.iter().any(says_so);
        match killed || aborted {
            true => ErrorClass::OutOfMemory,
            false => ErrorClass::WorkerFailed,
        }
    }

    /// The failure of the task that it had.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.class(), format!("the worker {self}"))
    }
}

/// A clause that follows "the worker": `was killed by SIGSEGV; its last lines: ...`.
impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.status.and_then(|status| status.signal());
        let code = self.status.and_then(|status| status.code());
        match (signal.map(Signal::try_from), code) {
            (Some(Ok(signal)), _) => write!(f, "was killed by {signal}")?,
            (Some(Err(_)), _) => write!(f, "was killed by a signal")?,
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => write!(f, "went away")?,
        }
        if self.by_us {
            write!(f, " from the daemon")?;
        }
        if self.class() == ErrorClass::OutOfMemory {
            write!(f, " for want of memory")?;
        }
        match self.last_lines.is_empty() {
            true => write!(f, " and printed nothing"),
            false => write!(f, "; its last lines: {}", self.last_lines.join(" | ")),
        }
    }
}

/// How many processes the kernel has killed for want of memory since it started; 0 if it does not
/// tell.
pub(super) fn oom_kill_count() -> u64 {
    std::fs::read_to_string("/proc/vmstat")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("oom_kill "))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_says_how_and_what_for() {
        let signal = |n| Some(ExitStatus::from_raw(n));
        let lines = |line: &str| vec![line.to_owned()];
        let cases = [
            (
                Death::new(signal(9), false, vec![], false),
                "worker_failed: the worker was killed by SIGKILL and printed nothing",
            ),
            (
                Death::new(signal(9), true, vec![], true),
                "worker_failed: the worker was killed by SIGKILL from the daemon and printed nothing",
            ),
            (
                Death::new(signal(9), false, vec![], true),
                "out_of_memory: the worker was killed by SIGKILL for want of memory and printed nothing",
            ),
            (
                Death::new(signal(11), false, lines("boom"), true),
                "worker_failed: the worker was killed by SIGSEGV; its last lines: boom",
            ),
            (
                Death::new(
                    signal(6),
                    false,
                    lines("memory allocation of 9 bytes failed"),
                    false,
                ),
                "out_of_memory: the worker was killed by SIGABRT for want of memory; its last lines: memory allocation of 9 bytes failed",
            ),
            (
                Death::new(signal(3 << 8), false, lines("a"), false),
                "worker_failed: the worker exited with code 3; its last lines: a",
            ),
            (
                Death::new(None, false, vec![], false),
                "worker_failed: the worker went away and printed nothing",
            ),
        ];
        for (death, expected) in cases {
            assert_eq!(death.failure().to_string(), expected);
        }
    }
}
