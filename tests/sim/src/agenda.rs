//! What is to happen when, by the virtual clock.

use std::collections::BTreeMap;

use froben_engine::SessionId;
use froben_engine::input::Input;
use froben_model::{Assignment, LeaseToken, TimeMs};

#[derive(Debug)]
pub(crate) enum Due {
    /// A seeker submits workflow number so and so, or asks again because nobody answered.
    Submit(usize),
    Cancel(usize),
    Pause(usize, bool),
    /// A machine connects.
    Connect(usize),
    /// It loses all that it was at, and comes again.
    Crash(usize),
    /// Its connection is cut without anybody noticing at first.
    Partition(usize),
    /// The coordinator has heard nothing over this connection for too long.
    HeardNothing(SessionId),
    /// A message reaches the coordinator, if the connection still stands.
    Arrive(SessionId, Box<Input>),
    /// A task reaches its machine.
    Task(usize, SessionId, Box<Assignment>),
    /// A machine is told to drop one.
    Drop(SessionId, LeaseToken),
    /// A machine comes to the item at this position of what it owes.
    Work(usize, LeaseToken, usize),
    CrashCoordinator,
}

/// Ordered by time; at the same time, first in, first out.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(TimeMs, u64), Due>,
    next: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: TimeMs, due: Due) {
        self.entries.insert((at, self.next), due);
        self.next += 1;
    }

    pub(crate) fn next_time(&self) -> Option<TimeMs> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// The next entry, if it is due.
    pub(crate) fn take(&mut self, now: TimeMs) -> Option<Due> {
        let key = *self.entries.keys().next()?;
        (key.0 <= now).then(|| self.entries.remove(&key)).flatten()
    }
}
