//! The journal: what is written down, in what form, and where.
//!
//! [`Record`] is the truth; everything else the coordinator knows of a workflow is derived by applying
//! its records in order. [`Store`] keeps them. This crate decides nothing and opens no file: RocksDB
//! lives in `froben-store`, and [`MemoryStore`] is the twin that tests put faults into.

mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod export;
mod memory;
pub mod order;
mod record;
mod store;

pub use codec::{
    CodecError, FORMAT, RECORD_BYTES, SCRIPT_SET_BYTES, decode, decode_posting, decode_scripts,
    decode_served, encode, encode_posting, encode_scripts, encode_served, revision_hash,
};
pub use export::{EXPORT_BYTES, EXPORT_FORMAT, Export, ExportError, kept_revision};
pub use froben_model::ledger::{Account, Balance, Cause, Posting};
pub use memory::MemoryStore;
pub use record::{
    Assigned, Body, CallOp, Called, End, Ended, Failure, Finish, ForkedFrom, Item, Origin, Parent,
    Record, RevisionHash, ScriptSet, Served, Status, Submitted, Tally,
};
pub use store::{Batch, Error, Seq, Started, Store};
