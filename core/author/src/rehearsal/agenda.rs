//! What is to happen when, by the virtual clock.

use std::collections::BTreeMap;

use froben_model::{LeaseToken, TimeMs};
use froben_script::spec::Deed;

/// Something that happens outside the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Due {
    /// A machine connects.
    Join(usize),
    /// A machine disconnects for good.
    Leave(usize),
    /// An attempt comes to the item at this position of what it owes.
    Work { token: LeaseToken, position: usize },
    /// The item at this position is done, or whatever became of it.
    Report {
        token: LeaseToken,
        position: usize,
        deed: Deed,
    },
    /// The seeker cancels the workflow.
    Cancel,
}

/// Ordered by time; at the same time, first in, first out.
#[derive(Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(TimeMs, u64), Due>,
    next: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: TimeMs, due: Due) {
        self.entries.insert((at, self.next), due);
        self.next += 1;
    }

    pub(super) fn next_time(&self) -> Option<TimeMs> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// The next entry, if it is due.
    pub(super) fn take(&mut self, now: TimeMs) -> Option<Due> {
        let (key, _) = self.entries.first_key_value()?;
        let key = *key;
        (key.0 <= now).then(|| self.entries.remove(&key)).flatten()
    }

    /// Drops what attempts had still to do: nobody listens any more.
    pub(super) fn drop_attempts(&mut self) {
        self.entries
            .retain(|_, due| !matches!(due, Due::Work { .. } | Due::Report { .. }));
    }
}
