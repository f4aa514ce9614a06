//! The four circuits behind one face: trace, prove, verify.
//!
//! A circuit's trace always has the height that a full segment needs, also for a short one, so that
//! each circuit has exactly one shape per parameter set and a verifier accepts no other.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;

use p3_air::symbolic::SymbolicAirBuilder;
use p3_air::{Air, BaseAir};
use p3_commit::UnivariateStarkPcs;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::{Proof, QuotientAir, StarkConfig, VerifierConstraintFolder};

use crate::config::{Challenge, Challenger, Commitment, Domain, StockConfig, Val, stock};
use crate::digest;
use crate::error::Error;
use crate::params::{LOG_MERKLE_CAP, Params};
use crate::public::public_values;
use crate::statement::{Statement, checked_len, fingerprint};
use crate::witness::Witness;

/// Most bytes a proof may have: twice the largest honest one. It also bounds what decoding can be made
/// to allocate before anything else of a proof is checked.
pub const MAX_PROOF_BYTES: usize = 4 << 20;

/// A circuit, named after the hash that it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Circuit {
    /// Keccak-256.
    Keccak256,
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
    /// Poseidon2 over BabyBear.
    Poseidon2,
}

/// An AIR that binds a digest and a fingerprint to the bytes of a segment.
pub(crate) trait SegmentAir: BaseAir<Val> + Default {
    /// Height of every trace, base two.
    const LOG_HEIGHT: usize;

    /// A digest as public values, each digest in one way only; none if it is no output of the hash.
    fn digest_values(digest: &[u8; 32]) -> Option<Vec<Val>>;

    /// The trace for `bytes`, with the running fingerprint at `r`.
    ///
    /// *Shape*: `1 << LOG_HEIGHT` rows of `width()` columns; 1 to [`crate::SEGMENT_BYTES`] bytes.
    fn trace(&self, bytes: &[u8], r: Challenge) -> RowMajorMatrix<Val>;
}

/// A zero trace with room for its low-degree extension, which then needs no second allocation.
pub(crate) fn empty_trace(log_height: usize, width: usize) -> RowMajorMatrix<Val> {
    /// The largest blow-up of [`Params`], base two.
    const LOG_ROOM: usize = 2;
    let len = width << log_height;
    let mut values = Val::zero_vec(len << LOG_ROOM);
    values.truncate(len);
    RowMajorMatrix::new(values, width)
}

/// Evaluates `$body` with `$air` bound to the AIR of `$circuit`.
macro_rules! with_air {
    ($circuit:expr, $air:ident => $body:expr) => {
        match $circuit {
            Circuit::Keccak256 => {
                let $air = crate::keccak::KeccakSegmentAir;
                $body
            }
            Circuit::Sha256 => {
                let $air = crate::sha256::Sha256SegmentAir;
                $body
            }
            Circuit::Blake3 => {
                let $air = crate::blake3::Blake3SegmentAir;
                $body
            }
            Circuit::Poseidon2 => {
                let $air = crate::poseidon2::Poseidon2SegmentAir::default();
                $body
            }
        }
    };
}
pub(crate) use with_air;

impl Circuit {
    /// Every circuit, in the order of all encodings.
    pub const ALL: [Self; 4] = [Self::Keccak256, Self::Sha256, Self::Blake3, Self::Poseidon2];

    /// The name that outputs and task kinds carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keccak256 => "keccak256",
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Poseidon2 => "poseidon2",
        }
    }

    /// Height of the circuit's trace, base two.
    #[must_use]
    pub fn log_height(self) -> usize {
        with_air!(self, air => log_height_of(&air))
    }

    /// Columns of the circuit's trace.
    #[must_use]
    pub fn width(self) -> usize {
        with_air!(self, air => air.width())
    }

    /// The digest of `bytes` under this circuit's hash, by an independent implementation.
    #[must_use]
    pub fn native_digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Keccak256 => digest::keccak256(bytes),
            Self::Sha256 => digest::sha256(bytes),
            Self::Blake3 => digest::blake3(bytes),
            Self::Poseidon2 => digest::poseidon2(bytes),
        }
    }

    /// The digest as public values of this circuit.
    ///
    /// *Errors*: [`Error::NotCanonical`] if the digest is no output of the circuit's hash.
    pub(crate) fn digest_values(self, digest: &[u8; 32]) -> Result<Vec<Val>, Error> {
        with_air!(self, air => digest_values_of(&air, digest)).ok_or(Error::NotCanonical {
            what: "the poseidon2 digest",
        })
    }
}

fn log_height_of<A: SegmentAir>(_: &A) -> usize {
    A::LOG_HEIGHT
}

fn digest_values_of<A: SegmentAir>(_: &A, digest: &[u8; 32]) -> Option<Vec<Val>> {
    A::digest_values(digest)
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no circuit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown circuit {0:?}, expected one of keccak256, sha256, blake3, poseidon2")]
pub struct UnknownCircuit(pub String);

impl FromStr for Circuit {
    type Err = UnknownCircuit;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|circuit| circuit.name() == name)
            .ok_or_else(|| UnknownCircuit(name.to_owned()))
    }
}

/// Proves that the bytes of `witness` have the length, the fingerprint and, under the circuit's
/// hash, the digest that its statement claims.
///
/// Any `Pcs` that encodes like the stock one will do; [`stock`] is the one without a GPU. The proof
/// is what [`verify`] reads.
///
/// *Errors*: [`Error::WrongWitness`] before any work if the statement is not true of the bytes;
/// [`Error::Prover`] if the proof system fails.
pub fn prove<P>(
    config: &StarkConfig<P, Challenge, Challenger>,
    circuit: Circuit,
    witness: &Witness,
) -> Result<Vec<u8>, Error>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain, Commitment = Commitment> + Clone,
{
    check_witness(circuit, witness)?;
    let values = public_values(circuit, &witness.statement)?;
    with_air!(circuit, air => prove_with(config, circuit, &air, witness, &values))
}

fn prove_with<P, A>(
    config: &StarkConfig<P, Challenge, Challenger>,
    circuit: Circuit,
    air: &A,
    witness: &Witness,
    values: &[Val],
) -> Result<Vec<u8>, Error>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain, Commitment = Commitment> + Clone,
    A: SegmentAir
        + Air<SymbolicAirBuilder<Val>>
        + QuotientAir<StarkConfig<P, Challenge, Challenger>>,
{
    let failed = |cause: String| Error::Prover { circuit, cause };
    let trace = air.trace(&witness.bytes, witness.statement.link().r);
    let proof = p3_uni_stark::prove(config, air, trace, values)
        .map_err(|error| failed(error.to_string()))?;
    let bytes = postcard::to_allocvec(&proof).map_err(|error| failed(error.to_string()))?;
    if bytes.len() > MAX_PROOF_BYTES {
        return Err(failed(format!("{} bytes are too many", bytes.len())));
    }
    Ok(bytes)
}

/// Compares the statement with the bytes natively: a trace of a false statement has no proof, and
/// finding that out by constraints costs a thousand times more.
fn check_witness(circuit: Circuit, witness: &Witness) -> Result<(), Error> {
    let Witness { statement, bytes } = witness;
    let wrong = |what| Error::WrongWitness { circuit, what };
    let len = checked_len(bytes.len() as u64)?;
    if statement.len != len {
        return Err(wrong("the length is not that of the bytes"));
    }
    if *statement.digests.of(circuit) != circuit.native_digest(bytes) {
        return Err(wrong("the digest is not that of the bytes"));
    }
    if statement.f != fingerprint(bytes, statement.link().r) {
        return Err(wrong("the fingerprint is not that of the bytes"));
    }
    Ok(())
}

/// Verifies a proof of `statement` under `circuit` with the unmodified Plonky3 verifier.
///
/// A statement is proved when all four circuits' proofs of it verify; one alone says nothing about
/// the other digests.
///
/// *Errors*: [`Error::Refused`] with the verifier's reason; [`Error::SegmentLength`] and
/// [`Error::NotCanonical`] if the statement itself is malformed.
pub fn verify(
    params: Params,
    circuit: Circuit,
    statement: &Statement,
    proof: &[u8],
) -> Result<(), Error> {
    checked_len(u64::from(statement.len))?;
    let values = public_values(circuit, statement)?;
    with_air!(circuit, air => verify_with(params, &air, &values, proof))
        .map_err(|cause| Error::Refused { circuit, cause })
}

fn verify_with<A>(params: Params, air: &A, values: &[Val], bytes: &[u8]) -> Result<(), String>
where
    A: SegmentAir
        + Air<SymbolicAirBuilder<Val>>
        + for<'a> Air<VerifierConstraintFolder<'a, StockConfig>>,
{
    if bytes.len() > MAX_PROOF_BYTES {
        return Err(format!("{} bytes are too many", bytes.len()));
    }
    let proof: Proof<StockConfig> =
        postcard::from_bytes(bytes).map_err(|error| format!("not a proof: {error}"))?;
    // One proof, one encoding: whoever stores proofs by content may rely on it.
    match postcard::to_allocvec(&proof) {
        Ok(encoded) if encoded == bytes => {}
        _ => return Err("not encoded canonically".to_owned()),
    }
    if proof.degree_bits != A::LOG_HEIGHT {
        return Err(format!(
            "the trace has height 2^{}, not 2^{}",
            proof.degree_bits,
            A::LOG_HEIGHT
        ));
    }
    // The library's verifier reads the roots that it needs and never looks at more, so a larger cap
    // would carry along anything at all.
    let commitments = &proof.commitments;
    let caps = [&commitments.trace, &commitments.quotient_chunks];
    let caps = caps
        .into_iter()
        .chain(&proof.opening_proof.commit_phase_commits);
    if let Some(cap) = caps
        .into_iter()
        .find(|cap| cap.num_roots() != 1 << LOG_MERKLE_CAP)
    {
        return Err(format!(
            "a Merkle cap has {} roots, not {}",
            cap.num_roots(),
            1 << LOG_MERKLE_CAP
        ));
    }
    // The verifier is not ours and the proof is a stranger's: should it ever panic, the proof is
    // refused and nothing else happens. Nothing it touches is used again.
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| {
        p3_uni_stark::verify(&stock(params), air, &proof, values)
    }));
    match verdict {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the verifier panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests;
