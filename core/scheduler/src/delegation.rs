//! A delegation: its states, its items, the attempt that holds it.

use std::collections::BTreeMap;

use froben_model::{
    Amount, ItemError, LeaseToken, MachineId, SeekerId, SetupKey, TimeMs, WorkflowId,
};

use crate::capacity::{Claim, Demand, Offer};
use crate::laps::Laps;
use crate::machine::Machine;
use crate::planted::{Bug, planted};
use crate::queue::{Place, Turn};
use crate::shapes::ShapeId;
use crate::timers::Alarms;
use crate::{ClaimedItem, SessionId, Task, Trust, Urgency};

/// Where a delegation stands. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Queued,
    /// A machine has been offered it and has not answered.
    Assigned,
    Running,
    /// No machine has it, and some of its items wait for their checks.
    Checking,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
}

impl State {
    pub const ALL: [State; 8] = [
        State::Queued,
        State::Assigned,
        State::Running,
        State::Checking,
        State::Succeeded,
        State::Failed,
        State::TimedOut,
        State::Cancelled,
    ];
}

/// What can happen to a delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Capacity of a machine is reserved for it.
    Assign,
    /// The machine took it.
    Accept,
    /// The machine did not take it, or could not do it, being a check.
    GiveBack,
    /// A second machine is to have it beside the first.
    Hedge,
    /// One of its two machines lost it, and one that has taken it goes on.
    Lose,
    /// The one that had taken it lost it, and the other has yet to answer.
    FallBack,
    /// No machine is to have it any more, and some items wait for their checks.
    Check,
    /// Every item came with a value.
    Succeed,
    /// It ended with an item that has no value, its time not being up.
    Fail,
    /// Its time was up while a machine had it.
    TimeOut,
    Cancel,
}

impl Event {
    pub const ALL: [Event; 11] = [
        Event::Assign,
        Event::Accept,
        Event::GiveBack,
        Event::Hedge,
        Event::Lose,
        Event::FallBack,
        Event::Check,
        Event::Succeed,
        Event::Fail,
        Event::TimeOut,
        Event::Cancel,
    ];
}

/// An event that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delegation in state {state:?} has no transition for {event:?}")]
pub struct Illegal {
    pub state: State,
    pub event: Event,
}

/// The whole life of a delegation: what is not listed is an error.
pub fn next(state: State, event: Event) -> Result<State, Illegal> {
    match (state, event) {
        (State::Queued, Event::Assign) => Ok(State::Assigned),
        (State::Assigned, Event::Accept) => Ok(State::Running),
        (State::Assigned | State::Running, Event::GiveBack) => Ok(State::Queued),
        (State::Running, Event::Hedge | Event::Lose) => Ok(State::Running),
        (State::Running, Event::FallBack) => Ok(State::Assigned),
        (State::Queued | State::Assigned | State::Running, Event::Check) => Ok(State::Checking),
        // From Queued and Assigned when the last item came late, from an earlier attempt.
        (State::Queued | State::Assigned | State::Running | State::Checking, Event::Succeed) => {
            Ok(State::Succeeded)
        }
        (State::Queued | State::Assigned | State::Running | State::Checking, Event::Fail) => {
            Ok(State::Failed)
        }
        (State::Assigned | State::Running | State::Checking, Event::TimeOut) => Ok(State::TimedOut),
        (State::Queued | State::Assigned | State::Running | State::Checking, Event::Cancel) => {
            Ok(State::Cancelled)
        }
        (state, event) => Err(Illegal { state, event }),
    }
}

/// An attempt that holds the delegation now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) token: LeaseToken,
    pub(crate) session: SessionId,
    pub(crate) machine: MachineId,
    pub(crate) claim: Claim,
    pub(crate) assigned_ms: TimeMs,
    pub(crate) deadline_ms: TimeMs,
    /// Whether it was made beside another one, whose deadline it has.
    pub(crate) hedge: bool,
    /// Whether the machine took it.
    pub(crate) started: bool,
    pub(crate) laps: Laps,
    /// Of each item; held of the purse for those that are missing.
    pub(crate) price: Amount,
    /// Items of this attempt that have a value that counts.
    pub(crate) ok: u32,
    /// Values that wait for their checks, or did.
    pub(crate) claimed: u32,
    /// Items of this attempt that failed by the operator's fault.
    pub(crate) faults: u32,
}

/// A delegation that is not over.
#[derive(Debug)]
pub(crate) struct Delegation {
    pub(crate) seeker: SeekerId,
    pub(crate) task: Task,
    pub(crate) offer: Offer,
    pub(crate) demand: Demand,
    pub(crate) place: Place,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) items: Items,
    /// In the states Assigned and Running.
    pub(crate) lease: Option<Lease>,
    /// Of a second machine, beside a lease that has started.
    pub(crate) hedge: Option<Box<Lease>>,
    /// Of two attempts at it one has failed: it is not given to a second machine again.
    pub(crate) alone: bool,
    /// Attempts that failed and did not end it: it is a check.
    pub(crate) failures: u32,
    /// Values that wait for their checks, by index.
    pub(crate) claims: BTreeMap<u32, ClaimedItem>,
    /// What the missing items end with, in state Checking.
    pub(crate) lost: Option<ItemError>,
    /// When a wait for checks ends, in state Checking.
    pub(crate) checked_by_ms: TimeMs,
    /// The machine that is held for it while it waits.
    pub(crate) hold: Option<SessionId>,
    pub(crate) purse: Option<WorkflowId>,
    pub(crate) urgency: Urgency,
    /// While it stands in a line.
    pub(crate) shape: Option<ShapeId>,
    /// Those that are for it.
    pub(crate) alarms: Alarms,
}

impl Delegation {
    /// Takes the transition.
    ///
    /// *Panics* if there is none: inputs are checked against the state before they become events.
    pub(crate) fn step(&mut self, event: Event) {
        self.state = match next(self.state, event) {
            Ok(state) => state,
            Err(illegal) => unreachable!("invariant: {illegal}"),
        };
    }

    /// Those that hold it: none, one or two.
    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.lease.iter().chain(self.hedge.as_deref())
    }

    pub(crate) fn lease_mut(&mut self, token: LeaseToken) -> Option<&mut Lease> {
        let mut leases = self.lease.iter_mut().chain(self.hedge.as_deref_mut());
        leases.find(|lease| lease.token == token)
    }

    /// Takes out the lease of `token`; if it was the first of two, the hedge takes its place.
    pub(crate) fn take_lease(&mut self, token: LeaseToken) -> Option<Lease> {
        match &self.lease {
            Some(lease) if lease.token == token => {
                let next = self.hedge.take().map(|hedge| *hedge);
                std::mem::replace(&mut self.lease, next)
            }
            _ => {
                let hedge = self.hedge.take_if(|hedge| hedge.token == token);
                hedge.map(|hedge| *hedge)
            }
        }
    }

    /// What its attempts hold of the purse for one item that is missing.
    pub(crate) fn share(&self) -> Amount {
        let prices = self.leases().map(|lease| lease.price);
        prices.fold(Amount::ZERO, Amount::saturating_add)
    }

    /// Its place among those of its seeker.
    pub(crate) fn turn(&self) -> Turn {
        Turn::new(&self.urgency, self.place)
    }

    pub(crate) fn queue_deadline_ms(&self) -> TimeMs {
        self.place
            .queued_ms
            .saturating_add(self.task.queue_timeout_ms)
    }

    /// Whether the task allows the machine, whatever is left of its purse.
    pub(crate) fn may_have(&self, machine: &Machine) -> bool {
        (!self.task.avoid.contains(&machine.spec.operator) || planted(Bug::IgnoreAvoid))
            && self.missing_key(machine).is_none()
            && self.dearer(machine).is_none()
            && self.trusts(machine)
    }

    /// Whether the task may go to an operator that is trusted as the machine's is.
    pub(crate) fn trusts(&self, machine: &Machine) -> bool {
        self.task.trust != Trust::Trusted || machine.trusted || planted(Bug::TrustAnybody)
    }

    /// A key that it needs and the machine has not.
    pub(crate) fn missing_key(&self, machine: &Machine) -> Option<&SetupKey> {
        let mut keys = self.task.keys.iter();
        keys.find(|key| !machine.keys.contains_key(&key.sha256))
    }

    /// The machine's price if it is over what an item may cost, and that.
    pub(crate) fn dearer(&self, machine: &Machine) -> Option<(Amount, Amount)> {
        let most = self.task.max_price?;
        let price = machine.spec.price(&self.task.kind);
        (price > most).then_some((price, most))
    }

    /// What the items that are missing cost on the machine.
    pub(crate) fn cost(&self, machine: &Machine) -> Amount {
        let price = machine.spec.price(&self.task.kind);
        price.times(self.items.missing())
    }

    /// Whether not every machine that offers the kind may have it.
    pub(crate) fn picky(&self) -> bool {
        !self.task.avoid.is_empty()
            || !self.task.keys.is_empty()
            || self.task.max_price.is_some()
            || self.task.trust == Trust::Trusted
            || self.purse.is_some()
    }

    /// What is held of the purse for values that wait for their checks.
    pub(crate) fn claimed(&self) -> Amount {
        let prices = self.claims.values().map(|claim| claim.price);
        prices.fold(Amount::ZERO, Amount::saturating_add)
    }
}

/// Which items of a delegation are in, or claimed.
#[derive(Debug, Clone)]
pub(crate) struct Items {
    total: u32,
    came: u32,
    failed: u32,
    /// Bit `index`: the item is in.
    bits: Vec<u64>,
}

impl Items {
    pub(crate) fn new(total: u32) -> Self {
        Items {
            total,
            came: 0,
            failed: 0,
            bits: vec![0; (total as usize).div_ceil(64)],
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Notes an item; false if it is in already or there is none of that index.
    pub(crate) fn add(&mut self, index: u32, ok: bool) -> bool {
        if index >= self.total || self.has(index) {
            return false;
        }
        self.bits[index as usize / 64] |= 1 << (index % 64);
        self.came += 1;
        self.failed += u32::from(!ok);
        true
    }

    /// A claimed item has no value after all.
    pub(crate) fn fail(&mut self) {
        self.failed += 1;
    }

    pub(crate) fn has(&self, index: u32) -> bool {
        self.bits[index as usize / 64] >> (index % 64) & 1 == 1
    }

    pub(crate) fn missing(&self) -> u32 {
        self.total - self.came
    }

    pub(crate) fn any_failed(&self) -> bool {
        self.failed > 0
    }

    pub(crate) fn owed(&self) -> Vec<u32> {
        (0..self.total).filter(|index| !self.has(*index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_pair_of_state_and_event() {
        let mut table = String::new();
        for state in State::ALL {
            for event in Event::ALL {
                let outcome = match next(state, event) {
                    Ok(state) => format!("{state:?}"),
                    Err(illegal) => {
                        assert_eq!(illegal, Illegal { state, event });
                        "-".into()
                    }
                };
                table += &format!("{outcome:<10}");
            }
            table = format!("{}  <- {state:?}\n", table.trim_end());
        }
        //      Assign    Accept    GiveBack  Hedge     Lose      FallBack  Check     Succeed   Fail      TimeOut   Cancel
        expect![[r#"
            Assigned  -         -         -         -         -         Checking  Succeeded Failed    -         Cancelled  <- Queued
            -         Running   Queued    -         -         -         Checking  Succeeded Failed    TimedOut  Cancelled  <- Assigned
            -         -         Queued    Running   Running   Assigned  Checking  Succeeded Failed    TimedOut  Cancelled  <- Running
            -         -         -         -         -         -         -         Succeeded Failed    TimedOut  Cancelled  <- Checking
            -         -         -         -         -         -         -         -         -         -         -  <- Succeeded
            -         -         -         -         -         -         -         -         -         -         -  <- Failed
            -         -         -         -         -         -         -         -         -         -         -  <- TimedOut
            -         -         -         -         -         -         -         -         -         -         -  <- Cancelled
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn an_item_counts_once_and_only_if_it_exists() {
        let mut items = Items::new(65);
        assert!(items.add(64, true));
        assert!(!items.add(64, false), "the first one counts");
        assert!(!items.add(65, true));
        assert!(!items.any_failed());
        assert!(items.add(0, false));
        assert!(items.any_failed());
        assert_eq!(items.missing(), 63);
        assert_eq!(items.owed(), (1..64).collect::<Vec<_>>());
        assert_eq!(Items::new(0).missing(), 0);
    }
}
