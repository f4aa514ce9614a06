//! The operator's daemon: worker processes and a session with the coordinator.

pub mod workers;
