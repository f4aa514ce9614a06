//! Proving and verifying natively. The circuit of this crate accepts what [`Layer::verify`] accepts.

use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::common::GlobalPreprocessed;
use p3_batch_stark::folder::{
    ProverConstraintFolderWithLookups, VerifierConstraintFolderWithLookups,
};
use p3_batch_stark::{
    BatchProof, CommonData, ProverData, StarkInstance, prove_batch, verify_batch,
};
use p3_commit::UnivariateStarkPcs;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::config::{
    Challenge, Challenger, Commitment, Config, ConfigOver, Domain, Pcs, Val, config, over, pcs,
};
use super::params::Params;
use crate::Error;
use crate::verifier::Shape;

/// A proof of this layer.
pub type Proof = BatchProof<Config>;

/// What an AIR must offer: constraints for prover and verifier, and as expressions for the circuit.
pub trait LayerAir:
    Clone
    + BaseAir<Val>
    + Air<InteractionSymbolicBuilder<Val, Challenge>>
    + for<'a> Air<DebugConstraintBuilder<'a, Val, Challenge>>
    + for<'a> Air<VerifierConstraintFolderWithLookups<'a, Config>>
{
}

impl<A> LayerAir for A where
    A: Clone
        + BaseAir<Val>
        + Air<InteractionSymbolicBuilder<Val, Challenge>>
        + for<'a> Air<DebugConstraintBuilder<'a, Val, Challenge>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, Config>>
{
}

/// What is known of a layer without a prover: its AIRs and their fixed heights under fixed parameters, and the commitment
/// to their preprocessed columns.
pub(crate) struct Known<A> {
    pub(crate) params: Params,
    pub(crate) airs: Vec<A>,
    pub(crate) log_heights: Vec<usize>,
    pub(crate) common: CommonData<Config>,
}

/// AIRs of fixed heights under fixed parameters, proven by a commitment scheme whose proofs are those of [`Pcs`], however it
/// transforms and hashes.
pub struct Layer<A, P = Pcs>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain, Commitment = Commitment> + Clone,
{
    known: Known<A>,
    config: ConfigOver<P>,
    data: ProverData<ConfigOver<P>>,
}

impl<A> Layer<A>
where
    A: LayerAir + for<'a> Air<ProverConstraintFolderWithLookups<'a, Config>>,
{
    /// Commits to the preprocessed columns of `airs`, whose traces have 2^`log_heights` rows.
    ///
    /// # Errors
    /// If an AIR has what the circuit does not verify (periodic columns), or a height does not suit the
    /// parameters.
    pub fn new(params: Params, airs: Vec<A>, log_heights: Vec<usize>) -> Result<Self, Error> {
        Self::with_degree(params, airs, log_heights, 0)
    }

    /// The same, with the look-ups of a bus packed into as few columns as constraints up to `degree` allow: fewer columns,
    /// and where that is more than the AIR's own degree more quotient chunks.
    ///
    /// # Errors
    /// As [`Self::new`].
    ///
    /// # Panics
    /// If the quotients of such constraints have more chunks than the blow-up.
    pub fn with_degree(
        params: Params,
        airs: Vec<A>,
        log_heights: Vec<usize>,
        degree: usize,
    ) -> Result<Self, Error> {
        Self::over(params, pcs(params), airs, log_heights, degree)
    }
}

impl<A, P> Layer<A, P>
where
    A: LayerAir + for<'a> Air<ProverConstraintFolderWithLookups<'a, ConfigOver<P>>>,
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
    /// As [`Layer::with_degree`], proven by a scheme of the caller's.
    ///
    /// # Errors
    /// As [`Layer::new`].
    ///
    /// # Panics
    /// As [`Layer::with_degree`].
    pub fn over(
        params: Params,
        pcs: P,
        airs: Vec<A>,
        log_heights: Vec<usize>,
        degree: usize,
    ) -> Result<Self, Error> {
        let fri = params.fri(());
        let shortest = fri.log_final_poly_len + 1;
        if airs.is_empty() || airs.len() != log_heights.len() {
            return Err(Error::Shape("one height for each of at least one AIR"));
        }
        if log_heights
            .iter()
            .any(|&log| log < shortest || log + fri.log_blowup > 27)
        {
            return Err(Error::Shape(
                "heights between the final polynomial's and the field's",
            ));
        }
        if airs.iter().any(|air| air.num_periodic_columns() > 0) {
            return Err(Error::Shape("AIRs without periodic columns"));
        }
        let config = over(params, pcs);
        let data = ProverData::from_airs_and_degrees_with_lookup_budgets(
            &config,
            &airs,
            &log_heights,
            &vec![degree; airs.len()],
            fri.log_blowup,
        )
        .map_err(|e| Error::Stark(e.to_string()))?;
        let common = common(&data.common);
        Ok(Self {
            known: Known {
                params,
                airs,
                log_heights,
                common,
            },
            config,
            data,
        })
    }

    /// The parameters.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.known.params
    }

    /// What the circuit that verifies this layer's proofs is made from.
    ///
    /// # Errors
    /// If look-ups could overflow, as the native verifier checks.
    pub fn shape(&self) -> Result<Shape, Error> {
        Shape::new(&self.known)
    }

    /// Proves the traces, one for each AIR, with their public values.
    ///
    /// # Errors
    /// If a trace has not the height of its AIR, or Plonky3 refuses to prove.
    pub fn prove(
        &self,
        traces: &[RowMajorMatrix<Val>],
        public_values: &[Vec<Val>],
    ) -> Result<Proof, Error> {
        let heights = traces.iter().map(Matrix::height);
        if traces.len() != self.known.airs.len()
            || public_values.len() != self.known.airs.len()
            || heights
                .zip(&self.known.log_heights)
                .any(|(height, &log)| height != 1 << log)
        {
            return Err(Error::Shape(
                "a trace of its AIR's height, and public values, for each AIR",
            ));
        }
        let instances: Vec<_> = self
            .known
            .airs
            .iter()
            .zip(traces)
            .zip(public_values)
            .map(|((air, trace), public_values)| StarkInstance {
                air,
                trace,
                public_values: public_values.clone(),
            })
            .collect();
        let failed = |error: &dyn std::fmt::Display| Error::Stark(error.to_string());
        let proof = prove_batch(&self.config, &instances, &self.data).map_err(|e| failed(&e))?;
        // The same proof, whatever scheme made it.
        let bytes = postcard::to_allocvec(&proof).map_err(|e| failed(&e))?;
        postcard::from_bytes(&bytes).map_err(|e| failed(&e))
    }

    /// Verifies a proof natively.
    ///
    /// # Errors
    /// If it does not hold, or is for traces of other heights.
    pub fn verify(&self, proof: &Proof, public_values: &[Vec<Val>]) -> Result<(), Error> {
        if proof.degree_bits != self.known.log_heights {
            return Err(Error::Shape("traces of the layer's heights"));
        }
        let config = config(self.known.params);
        verify_batch(
            &config,
            &self.known.airs,
            proof,
            public_values,
            &self.known.common,
        )
        .map_err(|e| Error::Stark(e.to_string()))
    }
}

/// The same for the scheme of verifiers.
fn common<P>(data: &CommonData<ConfigOver<P>>) -> CommonData<Config>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain, Commitment = Commitment> + Clone,
{
    let preprocessed = data.preprocessed.as_ref().map(|global| GlobalPreprocessed {
        commitment: global.commitment.clone(),
        instances: global.instances.clone(),
        matrix_to_instance: global.matrix_to_instance.clone(),
    });
    CommonData::new(preprocessed, data.lookups.clone())
}
