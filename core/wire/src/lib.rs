//! Cap'n Proto over mutual TLS: identities, connections, limits; both ends.
//!
//! The coordinator, the daemon and the command line all speak through this crate, so that a limit, a
//! timeout or a verifier exists once. It knows what a connection is and nothing of what is said on
//! it, except for blobs, which every role moves. Whatever touches an RPC object stays on one thread,
//! inside a `LocalSet`.

mod accept;
pub mod blobs;
mod ca;
mod call;
mod connection;
mod dial;
mod error;
mod fault;
mod gate;
mod identity;
mod line;
mod policy;
mod register;
mod revocation;
mod serial;
mod tls;

pub use accept::{Acceptor, Incoming};
pub use ca::{Ca, Entry, LIST_VALIDITY, Request, Validity, Which};
pub use call::{call, failed};
pub use connection::{Connection, Cutter};
pub use dial::{Link, dial};
pub use error::{Disposition, Error, Rejection};
pub use fault::{Fault, FaultCode};
pub use identity::{CA_FILE, CERT_FILE, CRL_FILE, Identity, KEY_FILE, Role, Subject, date};
pub use policy::{Heartbeat, Limits, Policy};
pub use register::Issued;
pub use revocation::RevocationList;
pub use serial::Serial;

/// The DNS name that every coordinator's certificate carries. Clients verify this name and never the
/// address, so that a coordinator that moves needs no new certificate.
pub const SERVER_NAME: &str = "froben-coordinator";
