//! The last layer of the chain: that the scheduler's proof verifies, proven over BN254's hash.
//!
//! The circuit is one of `froben-recursion` and its tables are that crate's; only trees and transcript are others. Its
//! public values are the batch's digest and zeros, so the SNARK over it has one public input: the digest.

use froben_recursion::aggregate::{Proved, Shrink};
use froben_recursion::{CircuitTables, MAX_DEGREE, TableAir, Traces, VerifyingKey};
use p3_commit::UnivariateStarkPcs;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::layer::config::{Challenger, Domain, pcs};
use crate::layer::{Challenge, Commitment, Layer, Params, Proof, Val};
use crate::verifier::{Shape, Values};

/// Elements of a batch's digest: as many as one public input holds.
pub const DIGEST: usize = 8;

/// The last layer over the scheduler's proofs under one key.
pub struct LastLayer {
    shrink: Shrink,
    tables: CircuitTables,
    params: Params,
    layer: Box<dyn ProveTables>,
    shape: Shape,
}

impl LastLayer {
    /// The last layer over the scheduler with this key. Commits to the circuit's fixed columns, which takes as long as a
    /// third of a proof.
    ///
    /// # Errors
    /// If the circuit does not suit the parameters.
    pub fn new(params: froben_circuits::Params, scheduler: &VerifyingKey) -> Result<Self, Error> {
        Self::over(params, pcs(params.into()), scheduler)
    }

    /// The same, proven by a commitment scheme of the caller's: transforms and trees on a device.
    ///
    /// # Errors
    /// As [`LastLayer::new`].
    pub fn over<P>(
        params: froben_circuits::Params,
        pcs: P,
        scheduler: &VerifyingKey,
    ) -> Result<Self, Error>
    where
        P: UnivariateStarkPcs<
                Challenge,
                Challenger,
                Domain = Domain,
                Commitment = Commitment,
                ProverData: Sync,
                ProverError: Send,
            > + Clone
            + Sync
            + Send
            + 'static,
        P::ProverData: Send,
    {
        let (recursion, params) = (params, Params::from(params));
        let shrink = Shrink::new(recursion, scheduler);
        let tables = CircuitTables::new(shrink.circuit().clone());
        let layer = Layer::over(params, pcs, tables.airs(), tables.log_heights(), MAX_DEGREE)?;
        let shape = layer.shape()?.publishing(DIGEST);
        Ok(Self {
            shrink,
            tables,
            params,
            layer: Box::new(layer),
            shape,
        })
    }

    /// What the circuit that verifies this layer's proofs is made from.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Heights of the tables, base two.
    #[must_use]
    pub fn log_heights(&self) -> Vec<usize> {
        self.tables.log_heights()
    }

    /// A hash of all that tells this layer from others: parameters, heights, fixed columns.
    #[must_use]
    pub fn name(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.params.name());
        for log_height in self.tables.log_heights() {
            hash.update((log_height as u64).to_le_bytes());
        }
        let (roots, _) = self
            .shape
            .preprocessed
            .as_ref()
            .expect("invariant: every table has fixed columns");
        for root in roots {
            hash.update(root.to_bytes());
        }
        hash.finalize().into()
    }

    /// Proves that the scheduler's proof verifies: the values of the last layer's proof.
    ///
    /// # Errors
    /// If it has another shape or does not hold.
    pub fn prove(&self, scheduler: &Proved) -> Result<Values, Error> {
        let inputs = self.shrink.inputs(scheduler);
        let inputs = inputs.map_err(|error| Error::Scheduler(error.to_string()))?;
        let traces = self.tables.traces(&inputs);
        let traces = traces.map_err(|error| Error::Scheduler(error.to_string()))?;
        let proof = self.layer.prove_tables(&traces)?;
        Values::new(&self.shape, &proof, &traces.public_values)
    }
}

/// A layer of the recursion's tables over some commitment scheme.
trait ProveTables: Send + Sync {
    fn prove_tables(&self, traces: &Traces) -> Result<Proof, Error>;
}

impl<P> ProveTables for Layer<TableAir, P>
where
    P: UnivariateStarkPcs<
            Challenge,
            Challenger,
            Domain = Domain,
            Commitment = Commitment,
            ProverData: Sync,
            ProverError: Send,
        > + Clone
        + Sync
        + Send,
    P::ProverData: Send,
{
    fn prove_tables(&self, traces: &Traces) -> Result<Proof, Error> {
        self.prove(&traces.traces, &traces.public_values)
    }
}

/// The digest that a public input packs: eight canonical elements in radix 2^31, the lowest first.
pub(crate) fn digest(input: &[u8; 32]) -> Option<[Val; DIGEST]> {
    use p3_field::integers::QuotientMap;
    let bit = |at: usize| u32::from(input[at / 8] >> (at % 8) & 1);
    if (31 * DIGEST..256).any(|at| bit(at) != 0) {
        return None;
    }
    let mut digest = [Val::default(); DIGEST];
    for (i, element) in digest.iter_mut().enumerate() {
        let number = (0..31).map(|j| bit(31 * i + j) << j).sum::<u32>();
        *element = Val::from_canonical_checked(number)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;

    use super::*;

    #[test]
    fn a_digest_has_one_input() {
        let mut input = [0; 32];
        input[0] = 7;
        // 2^31, the second element's one.
        input[3] = 128;
        let found = digest(&input).expect("a digest");
        assert_eq!(found[..3], [Val::from_u8(7), Val::ONE, Val::ZERO]);
        let mut high = input;
        high[31] = 1;
        assert_eq!(digest(&high), None, "a bit above");
        let mut large = [0; 32];
        large[..4].copy_from_slice(&0x7800_0001_u32.to_le_bytes());
        assert_eq!(digest(&large), None, "the modulus");
    }
}
