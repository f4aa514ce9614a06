//! The sets of FRI numbers of the last layer.
//!
//! A query costs the circuit that verifies this layer some eight thousand rows, and a wider blow-up
//! costs it nothing: so the blow-up is large and the queries are few.

use std::fmt;

use p3_fri::FriParameters;

/// A named set of FRI numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Params {
    /// At least 100 bits under the conjecture named in `security.rs`.
    Standard,
    /// A few bits: for rehearsals and tests, never for a proof that someone relies on.
    Dev,
}

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

    /// Height of the Merkle caps, base two. Each root of a cap costs one permutation once, and each
    /// level of a path one a query.
    #[must_use]
    pub const fn log_cap(self) -> usize {
        match self {
            Self::Standard => 4,
            Self::Dev => 1,
        }
    }

    /// Bits of proof of work before the challenges of the look-ups are drawn: messages are told apart by one element
    /// of the extension, which for as many as a layer has is worth less than 100 bits.
    #[must_use]
    pub const fn lookup_proof_of_work_bits(self) -> usize {
        match self {
            Self::Standard => 10,
            Self::Dev => 1,
        }
    }

    /// The FRI parameters of this set over the commitment scheme `mmcs`.
    #[must_use]
    pub const fn fri<M>(self, mmcs: M) -> FriParameters<M> {
        match self {
            Self::Standard => FriParameters {
                log_blowup: 4,
                log_final_poly_len: 5,
                max_log_arity: 3,
                num_queries: 22,
                batch_proof_of_work_bits: 8,
                commit_proof_of_work_bits: 0,
                query_proof_of_work_bits: 16,
                mmcs,
            },
            Self::Dev => FriParameters {
                log_blowup: 1,
                log_final_poly_len: 2,
                max_log_arity: 3,
                num_queries: 2,
                batch_proof_of_work_bits: 1,
                commit_proof_of_work_bits: 0,
                query_proof_of_work_bits: 1,
                mmcs,
            },
        }
    }
}

impl From<froben_circuits::Params> for Params {
    fn from(params: froben_circuits::Params) -> Self {
        match params {
            froben_circuits::Params::Standard => Self::Standard,
            froben_circuits::Params::Dev => Self::Dev,
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
