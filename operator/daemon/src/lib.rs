//! The operator's daemon: worker processes and a session with the coordinator.
//!
//! Two threads matter. The main runtime minds the worker processes; one thread of its own holds the
//! connection, so that a heartbeat never waits for work. Neither computes: that is the workers'.

pub mod args;
mod attempt;
mod blobs;
mod config;
mod devices;
mod error;
mod host;
mod keystore;
mod life;
mod machine;
mod offer;
mod outbox;
pub mod session;
mod verbs;
pub mod workers;

pub use config::Config;
pub use devices::devices;
pub use error::{Error, Exit};
pub use keystore::Keystore;
pub use life::run;
pub use outbox::Outbox;
pub use verbs::{examine, keys};
