//! Records and script sets as bytes.
//!
//! *Shape*: one byte of version, eight bytes of checksum, then a Cap'n Proto message of
//! `schema/journal.capnp` in its plain form. The checksum is the start of a BLAKE3 hash over what the
//! bytes are, the version and the message. The database below has checksums of its own; ours is held
//! by whoever reads, so that a record damaged anywhere between here and the disk is never taken for
//! another one, and it is BLAKE3 because this program has that already. Plain rather than packed: the
//! database compresses what stays, and a sync costs the same for a hundred bytes more.
//!
//! What is acknowledged must be readable for ever, so [`encode`] reads its own message back before it
//! gives the bytes away and refuses a record that would come back as another one, or not at all.
//! Old versions are decoded for ever (`tests/golden`); a new one gets a new number.

mod body;
mod script_set;
mod served;

use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::serialize;
use capnp::traits::Owned;
use froben_model::limits;
use froben_schema::{common_capnp, convert, journal_capnp};

use crate::{Posting, Record, ScriptSet, Served};

pub use script_set::revision_hash;

/// Of records and script sets that are written now.
///
/// 2 added children: `Submitted.parent`, `Called.run`, `ChildEnded`. 3 added what a script had been
/// told, `Called.fed`, and forks, tallies, pauses and migrations. 4 added money, checks, attempts side by
/// side, and what an attempt claims and uses.
pub const FORMAT: u8 = 4;

/// The largest encoded record, in bytes.
pub const RECORD_BYTES: usize = limits::MESSAGE_BYTES;
/// The largest encoded script set, in bytes.
pub const SCRIPT_SET_BYTES: usize = 4 * limits::MESSAGE_BYTES;

const CHECK_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + CHECK_BYTES;

/// Why bytes are no record, or a record cannot become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("it has format {found}, this program reads up to {known}")]
    Format { found: u8, known: u8 },
    #[error("it has {bytes} bytes, fewer than its header")]
    Short { bytes: usize },
    #[error("its checksum does not match")]
    Checksum,
    #[error(transparent)]
    Form(#[from] convert::Error),
    #[error("it takes {bytes} bytes, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// An empty name where absence is written as an empty name, or a text that is not one line.
    #[error("it would not be read back as it is")]
    Unfaithful,
}

impl From<capnp::Error> for CodecError {
    fn from(error: capnp::Error) -> Self {
        CodecError::Form(error.into())
    }
}

/// *Errors*: a record that [`decode`] would refuse or change.
pub fn encode(record: &Record) -> Result<Vec<u8>, CodecError> {
    let mut message = Builder::new_default();
    body::write(record, message.init_root());
    match body::read(message.get_root_as_reader()?)? == *record {
        true => seal(What::Record, &message),
        false => Err(CodecError::Unfaithful),
    }
}

pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
    let message = open::<journal_capnp::record::Owned>(What::Record, bytes)?;
    Ok(body::read(message.get()?)?)
}

/// *Errors*: a set that [`decode_scripts`] would refuse.
pub fn encode_scripts(set: &ScriptSet) -> Result<Vec<u8>, CodecError> {
    let mut message = Builder::new_default();
    script_set::write(set, message.init_root());
    match script_set::read(message.get_root_as_reader()?)? == *set {
        true => seal(What::Scripts, &message),
        false => Err(CodecError::Unfaithful),
    }
}

pub fn decode_scripts(bytes: &[u8]) -> Result<ScriptSet, CodecError> {
    let message = open::<journal_capnp::script_set::Owned>(What::Scripts, bytes)?;
    Ok(script_set::read(message.get()?)?)
}

/// *Errors*: an entry that [`decode_served`] would refuse or change.
pub fn encode_served(entry: &Served) -> Result<Vec<u8>, CodecError> {
    let mut message = Builder::new_default();
    served::write(entry, message.init_root());
    match served::read(message.get_root_as_reader()?)? == *entry {
        true => seal(What::Served, &message),
        false => Err(CodecError::Unfaithful),
    }
}

pub fn decode_served(bytes: &[u8]) -> Result<Served, CodecError> {
    let message = open::<journal_capnp::served::Owned>(What::Served, bytes)?;
    Ok(served::read(message.get()?)?)
}

/// *Errors*: an entry that [`decode_posting`] would refuse or change.
pub fn encode_posting(posting: &Posting) -> Result<Vec<u8>, CodecError> {
    let mut message = Builder::new_default();
    convert::write_posting(posting, message.init_root());
    match convert::read_posting(message.get_root_as_reader()?)? == *posting {
        true => seal(What::Posting, &message),
        false => Err(CodecError::Unfaithful),
    }
}

pub fn decode_posting(bytes: &[u8]) -> Result<Posting, CodecError> {
    let message = open::<common_capnp::posting::Owned>(What::Posting, bytes)?;
    Ok(convert::read_posting(message.get()?)?)
}

/// What the bytes are, so that one is never read as the other.
#[derive(Clone, Copy)]
enum What {
    Record,
    Scripts,
    Served,
    Posting,
}

impl What {
    fn limit(self) -> usize {
        match self {
            What::Record | What::Served | What::Posting => RECORD_BYTES,
            What::Scripts => SCRIPT_SET_BYTES,
        }
    }

    fn check(self, format: u8, message: &[u8]) -> [u8; CHECK_BYTES] {
        let what = match self {
            What::Record => b'r',
            What::Scripts => b's',
            What::Served => b'h',
            What::Posting => b'l',
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[what, format]).update(message);
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
        check
    }
}

fn seal(what: What, message: &Builder<HeapAllocator>) -> Result<Vec<u8>, CodecError> {
    let bytes = HEADER_BYTES + serialize::compute_serialized_size_in_words(message) * 8;
    let limit = what.limit();
    if bytes > limit {
        return Err(CodecError::TooLarge { bytes, limit });
    }
    let mut sealed = Vec::with_capacity(bytes);
    sealed.push(FORMAT);
    sealed.extend([0; CHECK_BYTES]);
    serialize::write_message(&mut sealed, message)?;
    let check = what.check(FORMAT, &sealed[HEADER_BYTES..]);
    sealed[1..HEADER_BYTES].copy_from_slice(&check);
    Ok(sealed)
}

fn open<T: Owned>(
    what: What,
    bytes: &[u8],
) -> Result<capnp::message::TypedReader<serialize::OwnedSegments, T>, CodecError> {
    let (Some((&format, rest)), bytes) = (bytes.split_first(), bytes.len()) else {
        return Err(CodecError::Short { bytes: 0 });
    };
    if format > FORMAT || format == 0 {
        let (found, known) = (format, FORMAT);
        return Err(CodecError::Format { found, known });
    }
    let Some((check, message)) = rest.split_first_chunk() else {
        return Err(CodecError::Short { bytes });
    };
    if *check != what.check(format, message) {
        return Err(CodecError::Checksum);
    }
    // The checksum says that these are the bytes that were written, and they were written whole; a
    // limit on reading them would only make an old record unreadable.
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(None);
    Ok(serialize::read_message(message, options)?.into_typed())
}

#[cfg(test)]
mod tests;
