//! Work on sources that may come from anybody: it nests deeply, the parser and the formatter are foreign and
//! may panic, and some take time by the square of what they read.
//!
//! Our own panics are not caught: they are bugs, and are to be seen.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a tool may take for one file. Ours take a tenth of a second for the largest that is allowed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What nests deeply recurses deeply in the parser and in whatever walks its tree. Luau refuses what
/// nests deeper than 1,000, so that this is plenty; it is only reserved, not used up.
const STACK_BYTES: usize = 512 << 20;

/// Runs `work` where deep trees do no harm.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let running = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .expect("invariant: address space for a stack can be had");
        match running.join() {
            Ok(done) => done,
            Err(panic) => panic::resume_unwind(panic),
        }
    })
}

/// The same, but not for longer than `patience`; `None` if it took longer.
///
/// A thread cannot be stopped: what takes longer is left behind, and ends with the program.
pub(crate) fn in_time<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let running = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // Nobody listens any more to what comes late.
            let _ = sender.send(work());
        })
        .expect("invariant: address space for a stack can be had");
    match receiver.recv_timeout(patience) {
        Ok(done) => Some(done),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => match running.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => unreachable!("what ends without a panic has sent its result"),
        },
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs foreign code. A panic of it is an error with its message, and nothing is printed of it.
pub(crate) fn quietly<T>(foreign: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                others(panic);
            }
        }));
    });
    let outside = QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(foreign));
    QUIET.set(outside);
    done.map_err(|panic| {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        froben_model::limits::one_line(said.unwrap_or("it panicked"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_left_behind() {
        let (_keep, never) = mpsc::channel::<()>();
        let stuck = in_time(Duration::from_millis(10), move || never.recv().is_ok());
        assert_eq!(stuck, None);
        let done = in_time(Duration::from_secs(600), || 5);
        assert_eq!(done, Some(5));
    }

    #[test]
    fn a_panic_of_foreign_code_is_an_error_and_one_of_ours_is_not() {
        assert_eq!(quietly(|| 5), Ok(5));
        let number = 7;
        assert_eq!(
            quietly(|| panic!("no {number}")),
            Err::<(), _>("no 7".to_owned())
        );
        assert!(!QUIET.get());
        let ours = panic::catch_unwind(|| in_time(Duration::from_secs(600), || panic!("ours")));
        assert!(ours.is_err());
    }
}
