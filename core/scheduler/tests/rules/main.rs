//! The scheduler from outside, through its one door.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod attacks;
mod checks;
mod hedging;
mod late;
mod life;
mod matchmaking;
mod money;
mod net;
mod newcomers;
mod profiles;
mod scale;
mod walk;
