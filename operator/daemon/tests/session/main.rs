//! The daemon against a real coordinator, with scripted workers.

#![allow(clippy::unwrap_used)]

mod network;
mod program;
mod serving;
