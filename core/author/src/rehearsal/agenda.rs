//! What is to happen when, by the virtual clock.

use froben_engine::by_hand;
use froben_model::LeaseToken;
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

pub(super) type Agenda = by_hand::Agenda<Due>;

/// Drops what attempts had still to do: nobody listens any more.
pub(super) fn drop_attempts(agenda: &mut Agenda) {
    agenda.retain(|due| !matches!(due, Due::Work { .. } | Due::Report { .. }));
}
