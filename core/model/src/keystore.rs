//! Setup data that tasks need: proving keys and the like, known by their content.

use std::fmt;

use crate::Error;

/// A file of an operator's keystore.
///
/// A task that names keys goes only to machines that hold the same bytes: a proof made with another key
/// verifies against nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetupKey {
    pub name: String,
    pub sha256: [u8; 32],
}

impl SetupKey {
    /// A key whose hash is written as 64 hex digits.
    pub fn of(name: impl Into<String>, digits: &str) -> Result<Self, Error> {
        let mut sha256 = [0; 32];
        match hex::decode_to_slice(digits, &mut sha256) {
            Ok(()) => Ok(SetupKey {
                name: name.into(),
                sha256,
            }),
            Err(_) => Err(Error::malformed("SHA-256", digits, "64 hex digits")),
        }
    }
}

/// A key that a machine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    pub key: SetupKey,
    /// How much there is to load, by the machine's word; 0 from a daemon that does not say.
    pub bytes: u64,
}

impl fmt::Display for SetupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}…)", self.name, hex::encode(&self.sha256[..4]))
    }
}
