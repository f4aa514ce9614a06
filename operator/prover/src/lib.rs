//! The built-in proving worker.
//!
//! The operator's daemon starts it as a process per device and per CPU task and speaks the worker
//! protocol with it. It computes witnesses, proves circuits on an OpenCL device and bundles proofs;
//! it knows neither the network nor the coordinator.

mod fence;
pub mod kinds;
pub mod place;
mod snarks;
pub mod stark;
pub mod verbs;
pub mod worker;
