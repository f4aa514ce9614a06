//! How a proof of the tree travels between workers.

use froben_circuits::config::Val;

use crate::aggregate::Proved;
use crate::circuit::{PACK, PUBLIC_WIRES};

/// The first bytes of every such proof, the last of them its version.
const MAGIC: &[u8; 12] = b"FROBEN-TREE\x01";

/// Most bytes of an encoded proof: a few times what the largest one takes.
pub const MAX_PROVED_BYTES: usize = 4 << 20;

/// Bytes are no proof of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no proof of a tree: {0}")]
pub struct NotProved(pub String);

impl Proved {
    /// The proof with its key and public values: a magic, a version, and `postcard`.
    ///
    /// *Panics* if memory runs out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(postcard::to_allocvec(self).expect("invariant: a proof can be encoded"));
        bytes
    }

    /// Reads what [`Proved::encode`] wrote, and no other encoding of it. Whether it proves anything is left
    /// to [`super::Keys`].
    ///
    /// *Errors*: [`NotProved`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NotProved> {
        let wrong = |why: String| NotProved(why);
        if bytes.len() > MAX_PROVED_BYTES {
            return Err(wrong(format!("{} bytes are too many", bytes.len())));
        }
        let rest = bytes.strip_prefix(MAGIC);
        let rest = rest.ok_or_else(|| wrong("it does not begin like one".to_owned()))?;
        let proved: Self =
            postcard::from_bytes(rest).map_err(|error| wrong(format!("unreadable: {error}")))?;
        // One proof, one encoding: blobs are known by their content.
        if proved.encode() != bytes {
            return Err(wrong("not encoded canonically".to_owned()));
        }
        let publics = proved.publics.len();
        if publics != PUBLIC_WIRES * PACK {
            return Err(wrong(format!("{publics} public values")));
        }
        Ok(proved)
    }
}

/// Public values of a scheduler's proof behind its digest are zero.
pub(super) fn padded(digest: [Val; 8]) -> Vec<Val> {
    let mut publics = digest.to_vec();
    publics.resize(PUBLIC_WIRES * PACK, Val::default());
    publics
}
