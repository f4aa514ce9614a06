//! One file per command.

pub(crate) mod ca;
pub(crate) mod coordinator;
pub(crate) mod dev;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod help;
mod lack;
pub(crate) mod ledger;
pub(crate) mod lint;
pub(crate) mod new;
pub(crate) mod policy;
pub(crate) mod profiles;
pub(crate) mod proof;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod rerun;
mod revoked;
pub(crate) mod scripts;
pub(crate) mod show;
pub(crate) mod sim;
pub(crate) mod submit;
pub(crate) mod test;
pub(crate) mod trail;
pub(crate) mod verify;
pub(crate) mod wait;
pub(crate) mod why;
pub(crate) mod workflow;
