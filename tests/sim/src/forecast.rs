//! The planner: what a fleet that nobody has bought yet would make of a pipeline.
//!
//! The real engine, scheduler and script run under a virtual clock, as in [`crate::run`]; the machines are
//! those of a [`Profile`], and what goes wrong is what it says: some are slow, some are lost. The
//! coordinator does not crash here. [`forecast`] plays many seeds and adds them up.
//!
//! What a seed decides of one machine or one attempt hangs on that machine's number or that attempt alone:
//! with one machine more or fewer, the others are and do the same, and what differs is what it brought. One more
//! is played of each class, since each brings something else.

mod fleet;
mod path;
mod profile;
mod report;
mod run;

pub use profile::{Profile, ProfileError};
pub use report::{Change, Forecast, KindUse, Question, Spread, forecast};
pub use run::{Job, PlayError};
