//! What is to happen when, by the virtual clock.

use froben_engine::input::Input;
use froben_engine::{SessionId, by_hand};
use froben_model::{Assignment, LeaseToken};

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
    /// How many of those who may be trusted are.
    Trust(usize),
    /// The revision of this number is served from here on.
    Serve(usize),
    /// The wish of this number of the plan.
    Migrate(usize),
    Fork(usize),
    /// The rules of this number of the plan hold from here on.
    Rules(usize),
}

pub(crate) type Agenda = by_hand::Agenda<Due>;
