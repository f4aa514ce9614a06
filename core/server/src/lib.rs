//! The coordinator's RPC objects, on LocalSet threads; wiring only.
//!
//! RPC objects are `Rc` and stay on the thread of their connection; plain structs cross to the
//! engine. This crate decides nothing: it lets peers in, checks what they send, keeps each of them
//! within its bounds, and passes on.

mod admin;
mod admission;
mod answer;
mod blobs;
mod door;
mod durable;
mod ledger;
mod machine;
pub mod metrics;
mod operator;
mod seeker;
mod serve;
mod trail;

pub use serve::{Error, Options, Server, serve, serve_with};
