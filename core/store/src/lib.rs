//! The journal in RocksDB, embedded in the coordinator.
//!
//! The only crate that knows of RocksDB. It keeps what [`froben_journal`] defines and decides nothing:
//! the form of a record and the order of records are that crate's.
//!
//! *Shape*, by column family; numbers are big-endian, so that keys sort as numbers do:
//!
//! | family | key | value |
//! |---|---|---|
//! | `records` | workflow, 16 bytes; seq, 8 bytes | an encoded record |
//! | `workflows` | workflow, 16 bytes | 1 byte: 0 live, 1 over |
//! | `keys` | seeker, a zero byte, idempotency key | workflow, 16 bytes |
//! | `revisions` | hash, 32 bytes | an encoded script set |
//! | `history` | index, 8 bytes | an encoded entry: a revision that was served |
//! | `meta` | `format` | 4 bytes, of this table |
//! | | `epoch` | 8 bytes: starts of the coordinator so far |
//!
//! `history` is younger than the rest: a journal from before has none, and gets it when it is opened.

mod keys;
mod options;
mod rocks;

pub use rocks::{FORMAT, RocksStore};
