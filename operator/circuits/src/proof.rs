//! One proof of one circuit: made, decoded, verified.
//!
//! A circuit proof is a batch proof of `p3-batch-stark` with one instance, no lookups and no preprocessed
//! columns. So circuit proofs and the proofs that verify them have one verifier, and a circuit has one to
//! mirror.

use std::panic::{self, AssertUnwindSafe};
use std::slice;

use p3_air::Air;
use p3_batch_stark::folder::ProverConstraintFolderWithLookups;
use p3_batch_stark::{
    BatchCommitments, BatchProof, CommonData, ProverData, StarkInstance, prove_batch, verify_batch,
};
use p3_commit::UnivariateStarkPcs;
use p3_uni_stark::StarkConfig;

use crate::circuit::{Circuit, SegmentAir, with_air};
use crate::config::{Challenge, Challenger, Commitment, Domain, StockConfig, Val, stock};
use crate::error::Error;
use crate::params::{LOG_MERKLE_CAP, Params};
use crate::statement::{Statement, checked_len, fingerprint};
use crate::witness::Witness;

/// Most bytes a proof may have: twice the largest honest one. It also bounds what decoding can be made
/// to allocate before anything else of a proof is checked.
pub const MAX_PROOF_BYTES: usize = 4 << 20;

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
    P: UnivariateStarkPcs<
            Challenge,
            Challenger,
            Domain = Domain,
            Commitment = Commitment,
            ProverData: Sync,
            ProverError: Send,
        > + Clone
        + Sync,
{
    check_witness(circuit, witness)?;
    let values = circuit.public_values(&witness.statement)?;
    with_air!(circuit, air => prove_with(config, circuit, &air, witness, values))
}

fn prove_with<P, A>(
    config: &StarkConfig<P, Challenge, Challenger>,
    circuit: Circuit,
    air: &A,
    witness: &Witness,
    public_values: Vec<Val>,
) -> Result<Vec<u8>, Error>
where
    P: UnivariateStarkPcs<
            Challenge,
            Challenger,
            Domain = Domain,
            Commitment = Commitment,
            ProverData: Sync,
            ProverError: Send,
        > + Clone
        + Sync,
    A: SegmentAir
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, StarkConfig<P, Challenge, Challenger>>>,
{
    let failed = |cause: String| Error::Prover { circuit, cause };
    let trace = air.trace(&witness.bytes, witness.statement.link().r);
    let instance = StarkInstance {
        air,
        trace: &trace,
        public_values,
    };
    let proof = prove_batch(config, &[instance], &ProverData::empty(1))
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

/// Reads a proof of `circuit`, and refuses what no prover writes: another encoding of the same proof,
/// another height than the circuit's, a Merkle cap of another size. Whether it proves anything is
/// left to [`verify`].
///
/// *Errors*: [`Error::Refused`].
pub fn decode(circuit: Circuit, bytes: &[u8]) -> Result<BatchProof<StockConfig>, Error> {
    decode_proof(circuit.log_height(), bytes).map_err(|cause| Error::Refused { circuit, cause })
}

fn decode_proof(log_height: usize, bytes: &[u8]) -> Result<BatchProof<StockConfig>, String> {
    if bytes.len() > MAX_PROOF_BYTES {
        return Err(format!("{} bytes are too many", bytes.len()));
    }
    let proof: BatchProof<StockConfig> =
        postcard::from_bytes(bytes).map_err(|error| format!("not a proof: {error}"))?;
    // One proof, one encoding: whoever stores proofs by content may rely on it.
    match postcard::to_allocvec(&proof) {
        Ok(encoded) if encoded == bytes => {}
        _ => return Err("not encoded canonically".to_owned()),
    }
    match proof.degree_bits[..] {
        [degree_bits] if degree_bits == log_height => {}
        [degree_bits] => {
            return Err(format!(
                "the trace has height 2^{degree_bits}, not 2^{log_height}"
            ));
        }
        _ => {
            return Err(format!(
                "it proves {} instances, not one",
                proof.degree_bits.len()
            ));
        }
    }
    // The library's verifier reads the roots that it needs and never looks at more, so a larger cap
    // would carry along anything at all.
    for cap in caps(&proof) {
        if cap.num_roots() != 1 << LOG_MERKLE_CAP {
            return Err(format!(
                "a Merkle cap has {} roots, not {}",
                cap.num_roots(),
                1 << LOG_MERKLE_CAP
            ));
        }
    }
    Ok(proof)
}

/// Every commitment of a proof, also those that no proof of ours has.
fn caps(proof: &BatchProof<StockConfig>) -> impl Iterator<Item = &Commitment> {
    let BatchCommitments {
        main,
        permutation,
        quotient_chunks,
        random,
    } = &proof.commitments;
    [main, quotient_chunks]
        .into_iter()
        .chain(permutation)
        .chain(random)
        .chain(&proof.opening_proof.commit_phase_commits)
}

/// Verifies a proof of `statement` under `circuit` with Plonky3's verifier.
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
    let values = circuit.public_values(statement)?;
    with_air!(circuit, air => verify_with(params, &air, values, proof))
        .map_err(|cause| Error::Refused { circuit, cause })
}

fn verify_with<A: SegmentAir>(
    params: Params,
    air: &A,
    values: Vec<Val>,
    bytes: &[u8],
) -> Result<(), String> {
    let proof = decode_proof(A::LOG_HEIGHT, bytes)?;
    // The verifier is not ours and the proof is a stranger's: should it ever panic, the proof is
    // refused and nothing else happens. Nothing it touches is used again.
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| {
        let common = CommonData::empty(1);
        verify_batch(
            &stock(params),
            slice::from_ref(air),
            &proof,
            &[values],
            &common,
        )
    }));
    match verdict {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the verifier panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests;
