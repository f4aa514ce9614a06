//! Content-addressed bytes: a blob is named by the BLAKE3 digest of what it holds.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The BLAKE3 digest of a blob's bytes, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    pub fn of(bytes: &[u8]) -> Self {
        BlobHash(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::malformed("blob hash", text, "it is 64 hex digits"))?;
        Ok(BlobHash(bytes))
    }
}

/// A blob and its size, as values carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobRef {
    pub hash: BlobHash,
    pub size_bytes: u64,
}

impl BlobRef {
    pub fn of(bytes: &[u8]) -> Self {
        BlobRef {
            hash: BlobHash::of(bytes),
            size_bytes: bytes.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_round_trips_and_is_blake3s() {
        let hash = BlobHash::of(b"");
        assert_eq!(
            hash.to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("../../etc/passwd".parse::<BlobHash>().is_err());
    }
}
