//! The two sets of FRI numbers that a proof can be made under, and what each is worth.
//!
//! A set is named in every output, because a `dev` proof is a rehearsal: it runs every step of the
//! real one and guards against nothing but accidents.
//!
//! What `standard` is worth, for the widest of our circuits, is computed by `security.rs` and
//! pinned by its tests; docs/circuits.md says what the numbers rest on.

use std::fmt;
use std::str::FromStr;

use p3_fri::FriParameters;

/// A named set of FRI numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Params {
    /// At least 100 bits under the conjecture named in `security.rs`.
    Standard,
    /// A few bits: for rehearsals and tests, never for a proof that someone relies on.
    Dev,
}

/// Height of the Merkle caps, base two: the top of each tree is sent instead of hashed away, since
/// all queries would open it anyway.
pub const LOG_MERKLE_CAP: usize = 4;

impl Params {
    /// Every set, the strongest first.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Dev];

    /// The name that outputs carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Dev => "dev",
        }
    }

    /// The FRI parameters of this set over the commitment scheme `mmcs`.
    #[must_use]
    pub const fn fri<M>(self, mmcs: M) -> FriParameters<M> {
        match self {
            Self::Standard => FriParameters {
                log_blowup: 2,
                log_final_poly_len: 3,
                max_log_arity: 3,
                num_queries: 43,
                batch_proof_of_work_bits: 8,
                commit_proof_of_work_bits: 0,
                query_proof_of_work_bits: 16,
                mmcs,
            },
            Self::Dev => FriParameters {
                log_blowup: 1,
                log_final_poly_len: 3,
                max_log_arity: 3,
                num_queries: 8,
                batch_proof_of_work_bits: 1,
                commit_proof_of_work_bits: 0,
                query_proof_of_work_bits: 1,
                mmcs,
            },
        }
    }
}

impl Params {
    /// Bits of work before the challenges of a batch's buses, where it has any. The error of a bus grows
    /// with the rows on it; docs/recursion.md counts it.
    #[must_use]
    pub const fn bus_work_bits(self) -> usize {
        match self {
            Self::Standard => 8,
            Self::Dev => 1,
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no set of parameters.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown parameters {0:?}, expected \"standard\" or \"dev\"")]
pub struct UnknownParams(pub String);

impl FromStr for Params {
    type Err = UnknownParams;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|params| params.name() == name)
            .ok_or_else(|| UnknownParams(name.to_owned()))
    }
}
