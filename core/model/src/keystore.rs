//! Setup data that tasks need: proving keys and the like, known by their content.

use std::fmt;

/// A file of an operator's keystore.
///
/// A task that names keys goes only to machines that hold the same bytes: a proof made with another key
/// verifies against nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetupKey {
    pub name: String,
    pub sha256: [u8; 32],
}

impl fmt::Display for SetupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}…)", self.name, hex::encode(&self.sha256[..4]))
    }
}
