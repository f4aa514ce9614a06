//! Proving and verifying natively. The circuit of this crate accepts what [`Layer::verify`] accepts.

use p3_air::{Air, BaseAir};
use p3_batch_stark::folder::{
    ProverConstraintFolderWithLookups, VerifierConstraintFolderWithLookups,
};
use p3_batch_stark::{BatchProof, ProverData, StarkInstance, prove_batch, verify_batch};
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::config::{Challenge, Config, Val, config};
use super::params::Params;
use crate::Error;

/// A proof of this layer.
pub type Proof = BatchProof<Config>;

/// What an AIR must offer: constraints for prover and verifier, and as expressions for the circuit.
pub trait LayerAir:
    Clone
    + BaseAir<Val>
    + Air<InteractionSymbolicBuilder<Val, Challenge>>
    + for<'a> Air<ProverConstraintFolderWithLookups<'a, Config>>
    + for<'a> Air<VerifierConstraintFolderWithLookups<'a, Config>>
{
}

impl<A> LayerAir for A where
    A: Clone
        + BaseAir<Val>
        + Air<InteractionSymbolicBuilder<Val, Challenge>>
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, Config>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, Config>>
{
}

/// AIRs of fixed heights under fixed parameters, with their preprocessed columns committed to.
pub struct Layer<A> {
    pub(crate) params: Params,
    pub(crate) config: Config,
    pub(crate) airs: Vec<A>,
    pub(crate) log_heights: Vec<usize>,
    pub(crate) data: ProverData<Config>,
}

impl<A: LayerAir> Layer<A> {
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
        let config = config(params);
        let data = ProverData::from_airs_and_degrees_with_lookup_budgets(
            &config,
            &airs,
            &log_heights,
            &vec![degree; airs.len()],
            fri.log_blowup,
        )
        .map_err(|e| Error::Stark(e.to_string()))?;
        Ok(Self {
            params,
            config,
            airs,
            log_heights,
            data,
        })
    }

    /// The parameters.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
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
        if traces.len() != self.airs.len()
            || public_values.len() != self.airs.len()
            || heights
                .zip(&self.log_heights)
                .any(|(height, &log)| height != 1 << log)
        {
            return Err(Error::Shape(
                "a trace of its AIR's height, and public values, for each AIR",
            ));
        }
        let instances: Vec<_> = self
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
        prove_batch(&self.config, &instances, &self.data).map_err(|e| Error::Stark(e.to_string()))
    }

    /// Verifies a proof natively.
    ///
    /// # Errors
    /// If it does not hold, or is for traces of other heights.
    pub fn verify(&self, proof: &Proof, public_values: &[Vec<Val>]) -> Result<(), Error> {
        if proof.degree_bits != self.log_heights {
            return Err(Error::Shape("traces of the layer's heights"));
        }
        verify_batch(
            &self.config,
            &self.airs,
            proof,
            public_values,
            &self.data.common,
        )
        .map_err(|e| Error::Stark(e.to_string()))
    }
}
