//! From the scheduler's proof to the final one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use froben_circuits::Params;
use froben_recursion::VerifyingKey;
use froben_recursion::aggregate::Proved;

use crate::Error;
use crate::final_proof::FinalProof;
use crate::kzg::{Keys, Msm, Setup};
use crate::last::LastLayer;
use crate::pinned::Pinned;

/// What is under way, for who shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the keys file.
    Setup,
    /// Committing to the last layer's fixed columns.
    LastLayer,
    /// Computing the proving key.
    ProvingKey,
    /// Verifying the scheduler's proof.
    Scheduler,
    /// Proving the last layer.
    Proof,
    /// Proving the SNARK.
    Snark,
}

impl Phase {
    /// The name that outputs carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::LastLayer => "last layer",
            Self::ProvingKey => "proving key",
            Self::Scheduler => "scheduler's proof",
            Self::Proof => "last layer's proof",
            Self::Snark => "SNARK",
        }
    }
}

/// All that a prover needs to compress proofs of one scheduler: gigabytes, made once.
pub struct Compressor {
    pinned: Pinned,
    last_layer: LastLayer,
    keys: Keys,
    msm: Arc<dyn Msm>,
}

impl Compressor {
    /// The compressor for the pinned keys under `params`, with the file that they name.
    ///
    /// # Errors
    /// If the file is another, or the circuits of this version are not those of the keys.
    pub fn open(
        params: Params,
        keys_file: &Path,
        msm: Arc<dyn Msm>,
        progress: &dyn Fn(Phase),
    ) -> Result<Self, Error> {
        let last_layer = |scheduler: &VerifyingKey| LastLayer::new(params, scheduler);
        Self::over(params, keys_file, msm, progress, last_layer)
    }

    /// The same, with a last layer that the caller makes over the scheduler's key, as [`LastLayer::over`] does: one whose
    /// transforms and trees are a device's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(
        params: Params,
        keys_file: &Path,
        msm: Arc<dyn Msm>,
        progress: &dyn Fn(Phase),
        last_layer: impl FnOnce(&VerifyingKey) -> Result<LastLayer, Error>,
    ) -> Result<Self, Error> {
        let pinned = Pinned::of(params);
        progress(Phase::Setup);
        let key = &pinned.key;
        let setup = Setup::read_known(keys_file, key.k(), key.origin(), pinned.keys_file)?;
        progress(Phase::LastLayer);
        let last_layer = last_layer(&pinned.scheduler)?;
        if last_layer.name() != pinned.last_layer {
            return Err(Error::Stale(params.name()));
        }
        progress(Phase::ProvingKey);
        let keys = Keys::proving(last_layer.shape(), Arc::new(setup), key.clone())?;
        Ok(Self::of(pinned.clone(), last_layer, keys, msm))
    }

    /// The compressor of keys that were just made.
    #[must_use]
    pub fn of(pinned: Pinned, last_layer: LastLayer, keys: Keys, msm: Arc<dyn Msm>) -> Self {
        Self {
            pinned,
            last_layer,
            keys,
            msm,
        }
    }

    /// The keys that it proves under.
    #[must_use]
    pub const fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Compresses the scheduler's proof about a file of `length` bytes.
    ///
    /// The result was verified.
    ///
    /// # Errors
    /// If the proof is of another scheduler or does not hold.
    pub fn compress(
        &self,
        scheduler: &Proved,
        length: u64,
        progress: &dyn Fn(Phase),
    ) -> Result<FinalProof, Error> {
        progress(Phase::Scheduler);
        if scheduler.key != self.pinned.scheduler {
            return Err(Error::Scheduler("it is under another key".to_owned()));
        }
        let key = &self.pinned.scheduler;
        key.verify(self.pinned.params, &scheduler.proof, &scheduler.publics)
            .map_err(|refused| Error::Scheduler(refused.to_string()))?;
        progress(Phase::Proof);
        let values = self.last_layer.prove(scheduler)?;
        progress(Phase::Snark);
        let snark = self
            .keys
            .prove(self.last_layer.shape(), &values, self.msm.clone())?;
        FinalProof::new(&self.pinned, length, snark)
    }
}

/// Makes the file that a prover needs under `params` in a directory, unless it is there; gives its path.
///
/// It is the dev setup, so it is the same on every machine.
///
/// # Errors
/// If it cannot be written, or a file of its name is another.
pub fn make_keys_file(params: Params, directory: &Path) -> Result<PathBuf, Error> {
    let pinned = Pinned::of(params);
    let key = &pinned.key;
    let path = directory.join(pinned.keys_file_name());
    if !path.exists() {
        fs::create_dir_all(directory).map_err(|error| Error::key(directory, error.to_string()))?;
        // Of a ceremony there is one file, which no machine can make.
        key.require_dev()?;
        Setup::dev(key.k()).save(&path)?;
    }
    Setup::read_known(&path, key.k(), key.origin(), pinned.keys_file)?;
    Ok(path)
}
