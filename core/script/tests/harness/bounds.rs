//! Workflows with bounds of their own, and what a step of one took.

use std::time::Duration;

use froben_model::Value;
use froben_script::{Completion, Limits, Progress, Revision, Vm};
use nix::time::{ClockId, clock_gettime};

use super::{STARTED_MS, with_body};

/// Promised: how far past its slice a script may get, in CPU time.
pub const GRACE: Duration = Duration::from_millis(100);
/// Promised: how far past its cap the memory may get.
pub const MARGIN: usize = 8 << 20;

/// CPU time of this thread: other tests and programs run beside it.
pub fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

/// The limits of every workflow, but for a slice and a cap.
pub fn bounded(slice: Duration, memory_bytes: usize) -> Limits {
    Limits {
        slice_ms: slice.as_millis() as u64,
        memory_bytes,
        ..Limits::default()
    }
}

/// The set whose one pipeline, `t`, has this body, checked within these limits.
pub fn check_within(body: &str, limits: &Limits) -> Revision {
    Revision::check(&with_body(body), limits)
        .unwrap_or_else(|problems| panic!("{problems:?} in:\n{body}"))
}

/// Its workflow, with nothing for an input.
pub fn start_within(revision: &Revision, limits: Limits) -> Vm {
    let input = Value::map::<String>([]);
    Vm::start(revision, "t", input, 1, STARTED_MS, limits).unwrap()
}

/// One step, and the CPU time that it took.
pub fn timed(vm: &mut Vm, completions: Vec<Completion>) -> (Progress, Duration) {
    let before = cpu();
    let progress = vm.resume(completions);
    (progress, cpu() - before)
}

/// Whatever it did stays stopped.
pub fn stays_stopped(vm: &mut Vm, progress: &Progress) {
    let again = vm.resume(Vec::new());
    assert_eq!((again.calls.len(), &again.state), (0, &progress.state));
}
