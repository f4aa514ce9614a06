//! The keys that this version accepts, one for each set of parameters.
//!
//! A pinned key says which scheduler's key the SNARK speaks of, which verifying key it has, and which file a prover
//! needs. All three are part of the program: a verifier is given a proof and nothing else.
//!
//! They are made anew by `cargo run -p froben-compress --example make_snark_keys` when a circuit changes.

use std::sync::{Arc, LazyLock};

use froben_circuits::Params;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::kzg::{Keys, Setup, VerifyingKey, file_length};
use crate::last::LastLayer;

/// What belongs together under a set of parameters.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The parameters.
    pub params: Params,
    /// The key of the scheduler's proofs.
    pub scheduler: froben_recursion::VerifyingKey,
    /// The key of the SNARK.
    pub key: VerifyingKey,
    /// The last layer's hash, as [`LastLayer::name`] gives it.
    pub last_layer: [u8; 32],
    /// The SHA-256 of the file that a prover needs: the setup.
    pub keys_file: [u8; 32],
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    params: String,
    scheduler: froben_recursion::VerifyingKey,
    key: Vec<u8>,
    last_layer: [u8; 32],
    keys_file: [u8; 32],
}

static DEV: LazyLock<Pinned> = LazyLock::new(|| embedded(include_bytes!("../keys/dev.key")));
static STANDARD: LazyLock<Pinned> =
    LazyLock::new(|| embedded(include_bytes!("../keys/standard.key")));

fn embedded(bytes: &[u8]) -> Pinned {
    Pinned::from_bytes(bytes).expect("invariant: keys/ holds keys of this version")
}

/// Rows of the circuit, base two: the fewest in which it has no more columns than a contract bears.
#[must_use]
pub const fn log_rows(params: Params) -> u32 {
    match params {
        Params::Standard => 19,
        Params::Dev => 18,
    }
}

impl Pinned {
    /// The keys under `params`.
    #[must_use]
    pub fn of(params: Params) -> &'static Self {
        match params {
            Params::Standard => &STANDARD,
            Params::Dev => &DEV,
        }
    }

    /// Makes the keys over a scheduler's key and a setup: what is pinned, and what proves.
    ///
    /// # Errors
    /// If the circuit does not suit the parameters or the setup.
    pub fn make(
        params: Params,
        scheduler: &froben_recursion::VerifyingKey,
        setup: Arc<Setup>,
    ) -> Result<(Self, LastLayer, Keys), Error> {
        let last_layer = LastLayer::new(params, scheduler)?;
        let keys = Keys::generate(last_layer.shape(), setup.clone())?;
        let mut file = HashWriter(Sha256::new());
        setup
            .write(&mut file)
            .expect("invariant: a hash takes all bytes");
        let pinned = Self {
            params,
            scheduler: scheduler.clone(),
            key: keys.verifying().clone(),
            last_layer: last_layer.name(),
            keys_file: file.0.finalize().into(),
        };
        Ok((pinned, last_layer, keys))
    }

    /// The name of the file that a prover needs.
    #[must_use]
    pub fn keys_file_name(&self) -> String {
        format!("setup-{}-{}.bin", self.key.origin(), self.key.k())
    }

    /// The bytes of that file.
    #[must_use]
    pub const fn keys_file_length(&self) -> u64 {
        file_length(self.key.k())
    }

    /// The bytes that are embedded.
    ///
    /// # Panics
    /// Never: all of it has an encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let record = Record {
            params: self.params.name().to_owned(),
            scheduler: self.scheduler.clone(),
            key: self.key.to_bytes(),
            last_layer: self.last_layer,
            keys_file: self.keys_file,
        };
        postcard::to_allocvec(&record).expect("invariant: keys have an encoding")
    }

    /// The keys with these bytes, which are trusted.
    ///
    /// # Errors
    /// If they are none of keys.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const REFUSED: Error = Error::Shape("the bytes of pinned keys");
        let record: Record = postcard::from_bytes(bytes).map_err(|_| REFUSED)?;
        Ok(Self {
            params: record.params.parse().map_err(|_| REFUSED)?,
            scheduler: record.scheduler,
            key: VerifyingKey::from_bytes(&record.key)?,
            last_layer: record.last_layer,
            keys_file: record.keys_file,
        })
    }
}

struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
