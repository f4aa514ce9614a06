//! The matchmaker: it decides which machine gets which task, when an attempt is over, and whom to
//! believe.
//!
//! [`Scheduler::handle`] takes one [`Input`] and the time and gives the [`Decision`]s that follow, in
//! the order in which they must be journaled and carried out. That is all it does: no clock, no I/O, no
//! threads, no floating point, no ambient randomness. The same inputs under the same seed give the same
//! decisions, in the server as in a test or a simulation. It does not know what a task computes, and it
//! does not retry: an attempt that failed ends its delegation, and the script decides what comes next.
//!
//! # Rules
//!
//! **Life of a delegation** ([`next`]). Queued, assigned, running, over. Each state that is not final
//! owns one timer: waiting for a machine, waiting for the machine's answer, the deadline; so does its hedge.
//! Only messages that carry the token of the attempt which holds the reservation count, but for one: a value of an
//! earlier attempt whose item is still missing ([`Input::Late`]).
//!
//! **Checks.** A value of a task that is [`Trust::Checked`] is *claimed*: its index is taken and its price
//! held, and it counts, is paid and adds to a reputation once a verdict approves it. When no attempt goes
//! on, the delegation waits in state Checking, on a timer that outlasts any check. A check is a delegation
//! like others ([`Trust::Trusted`]), but for two things: only machines of trusted operators may have it,
//! and an attempt that fails does not end it: it is tried again, up to [`Policy::check_attempts`] times.
//!
//! **Who goes first.** The seeker with the smallest dominant share of the network over its weight; among
//! equals the one that was served least recently. Within a seeker deadlines, then the oldest workflow,
//! then what has most left to do behind it. Nobody waits behind a delegation that
//! fits nowhere now: whatever fits is handed out. So that a big task does not starve while small ones
//! pass it, a machine on which a younger delegation would overtake one that has waited for
//! [`Policy::patience_ms`] is *held* for the elder: from then on it takes only what fits beside the
//! elder, until the elder has its place. There is one hold for a shape of task (kind and needs), and it
//! moves to a machine that will be free sooner.
//!
//! **Which machine.** Those that offer the kind, have the resources free, hold the keys that the task
//! needs, ask no more than it may cost and than is left of its workflow's budget, are not avoided by it,
//! and are not benched; of these the best reputation tier, then the best pace, then who has least of
//! the keys to load, in bytes, ties at random.
//!
//! **Profiles** tell from the items that came how long those of a kind take and how much memory, on which
//! device and on which machine. A machine's *pace* is how many times its median is twice that of the kind. A
//! task has at least the memory reserved that its kind is known to need, and, if its script names no timeout,
//! one that suits its kind.
//!
//! **Hedging** (`hedge_...` in [`Policy`]). An attempt of which nothing has come for much longer than its
//! kind takes is given to a second machine beside the first, of another operator, that nobody waits for, while
//! nothing else of its workflow waits. The first value of each item counts; when all are in the slower one is
//! stopped. If one of the two is lost, the other goes on.
//!
//! **Newcomers** are operators with few good items, once anybody is known for more. They have one attempt
//! at a time and together a small share of what is in flight; so many of the draws look at them first.
//!
//! **Reputation** counts items, decayed by half-life, per machine and kind; only faults that are the
//! operator's own count against it, and where a machine has little of a record, its operator's others
//! speak for it. A machine that fails several attempts in a row within a short time
//! is quarantined for a time that grows, unless nobody else offers the kind; one that refuses, or that
//! does not answer, is passed over for a moment, so that a queue does not drain into refusals.

mod alarms;
mod attempt;
mod audit;
mod bench;
mod capacity;
mod checking;
mod decision;
mod delegation;
mod delegations;
mod fleet;
mod hedge;
mod input;
mod laps;
mod machine;
mod matcher;
mod operators;
mod phase;
pub mod planted;
mod policy;
mod pool;
mod profile;
mod purse;
mod queue;
mod reputation;
mod rng;
mod scheduler;
mod shapes;
mod share;
mod sketch;
mod timers;
mod why;

pub use decision::{Decision, End};
pub use delegation::{Event, Illegal, State, next};
pub use input::{
    ClaimedItem, DelegationKey, Input, Past, SessionId, Task, Trust, Urgency, Verdict,
};
pub use laps::Laps;
pub use policy::{NotSet, Policy};
pub use scheduler::{MachineView, Scheduler};
pub use why::{Need, Reason};
