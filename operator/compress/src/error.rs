//! What can go wrong on the way from a STARK to a contract.

use std::path::{Path, PathBuf};

use halo2_base::halo2_proofs::plonk;

use crate::gadget::Violation;

/// Why something was refused or could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was handed in has not the shape that was asked for.
    #[error("expected {0}")]
    Shape(&'static str),
    /// The proof of the last layer does not hold, or could not be made.
    #[error("the last layer: {0}")]
    Stark(String),
    /// A proof of the last layer does not satisfy the circuit.
    #[error("the proof of the last layer does not hold: {0:?} is violated")]
    Unsatisfied(Violation),
    /// A setup is not what it should be.
    #[error("the setup {}: {reason}", path.display())]
    Setup {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Keys could not be read or written, or are others.
    #[error("the keys {}: {reason}", path.display())]
    Key {
        /// Their file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// halo2 could not make keys or a proof.
    #[error("halo2: {0}")]
    Halo2(String),
    /// A SNARK is refused.
    #[error("the SNARK is refused: {0}")]
    Snark(&'static str),
    /// The scheduler's proof is refused.
    #[error("the scheduler's proof is refused: {0}")]
    Scheduler(String),
    /// The pinned keys are those of other circuits.
    #[error("the pinned keys of {0} are not those of this version's circuits")]
    Stale(&'static str),
    /// A file is no final proof.
    #[error("the final proof is refused: {0}")]
    File(&'static str),
    /// A statement has no public values.
    #[error("the statement is refused: {0}")]
    Statement(String),
    /// The setup of a ceremony was to be made.
    #[error("the key {0} is over the setup of a ceremony, whose file nobody can make")]
    Ceremony(String),
    /// A proof under dev parameters was offered where proofs count.
    #[error("the proof is under dev parameters, which are worth nothing")]
    DevParams,
    /// A key over the dev setup was offered where proofs count.
    #[error("the key {0} is over the dev setup, with which everybody can prove anything")]
    DevKey(String),
}

impl Error {
    pub(crate) fn halo2(error: plonk::Error) -> Self {
        Self::Halo2(error.to_string())
    }

    pub(crate) fn key(path: &Path, reason: String) -> Self {
        Self::Key {
            path: path.to_owned(),
            reason,
        }
    }
}
