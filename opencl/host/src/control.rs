//! How a caller ends a call that goes on, and sees how far it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A caller's hold on what it has a session compute: see [`crate::Session::controlled`].
///
/// Clones are one and the same. What is cancelled stays so: a control is for one piece of work, which may
/// be many calls.
#[derive(Clone, Default)]
pub struct Control(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    /// Asked between launches.
    is_unwanted: Option<Box<dyn Fn() -> bool + Send + Sync>>,
    launches_done: AtomicU64,
    launches_planned: AtomicU64,
}

/// How far the calls under a control are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Launches of kernels that are over.
    pub launches_done: u64,
    /// Launches that the calls so far need, those that are done among them.
    pub launches_planned: u64,
}

impl Control {
    /// For work that goes on until [`Control::cancel`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For work that goes on until [`Control::cancel`], or until `is_unwanted` says so. That is asked
    /// between launches, on the session's thread: it has to be quick.
    #[must_use]
    pub fn until(is_unwanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            is_unwanted: Some(Box::new(is_unwanted)),
            ..Shared::default()
        }))
    }

    /// Ends the call that goes on with [`crate::Error::Cancelled`], before its next launch, and every
    /// later one before its first. Does not wait for that.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let Shared {
            cancelled,
            is_unwanted,
            ..
        } = &*self.0;
        if !cancelled.load(Ordering::Relaxed) && is_unwanted.as_ref().is_some_and(|ask| ask()) {
            self.cancel();
        }
        cancelled.load(Ordering::Relaxed)
    }

    /// How far the work is. Self-tests are not counted.
    #[must_use]
    pub fn progress(&self) -> Progress {
        // Done first: it never overtakes what was planned before it.
        let launches_done = self.0.launches_done.load(Ordering::Acquire);
        Progress {
            launches_done,
            launches_planned: self.0.launches_planned.load(Ordering::Acquire),
        }
    }

    pub(crate) fn plan(&self, launches: u64) {
        self.0
            .launches_planned
            .fetch_add(launches, Ordering::Release);
    }

    pub(crate) fn did(&self, launches: u64) {
        self.0.launches_done.fetch_add(launches, Ordering::Release);
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("cancelled", &self.0.cancelled)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
