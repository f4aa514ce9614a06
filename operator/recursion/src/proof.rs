//! Proofs of circuits: batch-STARK proofs over the six tables.

use std::panic::{self, AssertUnwindSafe};

use froben_circuits::Params;
use froben_circuits::config::{Challenge, Challenger, Commitment, Domain, StockConfig, Val, stock};
use p3_batch_stark::{
    BatchProof, CommonData, ProverData, StarkInstance, prove_batch, verify_batch,
};
use p3_commit::UnivariateStarkPcs;
use p3_lookup::Lookups;
use p3_uni_stark::StarkConfig;

use crate::circuit::{Circuit, DIGEST, Layout, PACK, PUBLIC_WIRES, Unsatisfied};
use crate::tables::{Heights, MAX_DEGREE, Table, TableAir};

/// What every set of parameters expands by at least, base two: as much as [`MAX_DEGREE`] asks for.
const LEAST_LOG_BLOWUP: usize = 1;

/// A proof that a circuit holds for public values.
pub type CircuitProof = BatchProof<StockConfig>;

/// A configuration whose proofs are those of the stock one.
pub type Config<P> = StarkConfig<P, Challenge, Challenger>;

/// A commitment scheme whose commitments and proofs are encoded as those of the stock one.
pub trait Scheme {
    /// The scheme itself. It stands here since what is required of an associated type need not be
    /// repeated by whoever uses the trait.
    type Pcs: UnivariateStarkPcs<
            Challenge,
            Challenger,
            Domain = Domain,
            Commitment = Commitment,
            ProverData: Sync,
            ProverError: Send,
        > + Clone
        + Sync;
}

impl<P> Scheme for P
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
    type Pcs = P;
}

/// What a prover needs of a circuit: the circuit, its layout and the committed fixed columns.
pub struct ProvingKey<P>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain, Commitment = Commitment> + Clone,
{
    circuit: Circuit,
    layout: Layout,
    airs: Vec<TableAir>,
    heights: Heights,
    data: ProverData<Config<P>>,
}

/// What a verifier needs of a circuit: the commitment to the fixed columns, and the heights.
///
/// All that a circuit computes is in the commitment; tables, buses and their packing are the same for
/// every circuit.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VerifyingKey {
    /// Heights of the tables.
    pub heights: Heights,
    /// The commitment to the fixed columns.
    pub fixed: Commitment,
}

/// Why a circuit was not proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The inputs do not meet it.
    #[error("the circuit is not satisfied: {0}")]
    Unsatisfied(#[from] Unsatisfied),
    /// The circuit is larger than the heights that it is to have.
    #[error(
        "the circuit needs heights 2^{} and 2^{}, more than 2^{} and 2^{}",
        need.tall, need.short, given.tall, given.short
    )]
    TooLarge {
        /// What it needs.
        need: Heights,
        /// What was asked for.
        given: Heights,
    },
    /// The proof system failed.
    #[error("the proof system failed: {0}")]
    Prover(String),
}

/// Why a proof was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {0}")]
pub struct Refused(pub String);

impl<P> ProvingKey<P>
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
    /// The key of a circuit at its smallest heights, or at `heights`.
    ///
    /// *Errors*: [`ProveError::TooLarge`] if it does not fit; [`ProveError::Prover`] if the fixed
    /// columns cannot be committed to.
    pub fn new(
        config: &Config<P>,
        circuit: Circuit,
        heights: Option<Heights>,
    ) -> Result<Self, ProveError> {
        let layout = Layout::new(&circuit);
        let need = Heights::of(&layout);
        let given = heights.unwrap_or(need);
        if !need.fit(given) {
            return Err(ProveError::TooLarge { need, given });
        }
        let airs: Vec<_> = Table::ALL
            .into_iter()
            .map(|table| TableAir::with_fixed(table, table.fixed(&layout, given)))
            .collect();
        // Every table may use the whole degree: fewer columns cost less than fewer chunks save.
        let budgets = [MAX_DEGREE; Table::ALL.len()];
        let data = ProverData::from_airs_and_degrees_with_lookup_budgets(
            config,
            &airs,
            &log_heights(given),
            &budgets,
            LEAST_LOG_BLOWUP,
        )
        .map_err(|error| ProveError::Prover(error.to_string()))?;
        Ok(Self {
            circuit,
            layout,
            airs,
            heights: given,
            data,
        })
    }

    /// The circuit.
    #[must_use]
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// What a verifier needs.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        let fixed = self.data.common.preprocessed.as_ref();
        VerifyingKey {
            heights: self.heights,
            fixed: fixed
                .expect("invariant: every table has fixed columns")
                .commitment
                .clone(),
        }
    }

    /// Memory that the key takes under `params`, in bytes: that of its large parts.
    #[must_use]
    pub fn bytes(&self, params: Params) -> usize {
        /// Digests of the tree over the tallest column: as many again above the leaves.
        const LAYERS: usize = 2;
        let log_blowup = params.fri(()).log_blowup;
        let cells = |table: Table| table.fixed_width() << table.log_height(self.heights);
        let cells: usize = Table::ALL.map(cells).iter().sum();
        let digests = (LAYERS * DIGEST) << (self.heights.tall + log_blowup);
        // The columns as they are, and expanded.
        let words = cells + (cells << log_blowup) + digests;
        words * size_of::<Val>() + self.circuit.bytes() + self.layout.bytes()
    }

    /// Proves that the circuit holds for these inputs; gives its public values beside the proof.
    ///
    /// *Errors*: [`ProveError::Unsatisfied`] before any work if it does not.
    pub fn prove(
        &self,
        config: &Config<P>,
        inputs: &[Challenge],
    ) -> Result<(CircuitProof, Vec<Val>), ProveError> {
        let values = self.circuit.run(inputs)?;
        let publics = self.circuit.public_values(&values);
        let proof = self.prove_values(config, &values, &publics)?;
        Ok((proof, publics))
    }

    /// Proves whatever these values of the wires are; what is false has no proof that verifies.
    pub(crate) fn prove_values(
        &self,
        config: &Config<P>,
        values: &[Challenge],
        publics: &[Val],
    ) -> Result<CircuitProof, ProveError> {
        let traces: Vec<_> = Table::ALL
            .into_iter()
            .map(|table| table.trace(&self.layout, self.heights, values))
            .collect();
        let public_values = public_values(publics);
        let instances: Vec<_> = self
            .airs
            .iter()
            .zip(&traces)
            .zip(public_values)
            .map(|((air, trace), public_values)| StarkInstance {
                air,
                trace,
                public_values,
            })
            .collect();
        let failed = |error: &dyn std::fmt::Display| ProveError::Prover(error.to_string());
        let proof = prove_batch(config, &instances, &self.data).map_err(|error| failed(&error))?;
        // The same proof, whatever scheme made it.
        let bytes = postcard::to_allocvec(&proof).map_err(|error| failed(&error))?;
        postcard::from_bytes(&bytes).map_err(|error| failed(&error))
    }
}

impl VerifyingKey {
    /// Verifies a proof with the unmodified Plonky3 verifier.
    ///
    /// *Errors*: [`Refused`] with its reason.
    pub fn verify(
        &self,
        params: Params,
        proof: &CircuitProof,
        publics: &[Val],
    ) -> Result<(), Refused> {
        if publics.len() != PUBLIC_WIRES * PACK {
            return Err(Refused(format!("{} public values", publics.len())));
        }
        if proof.degree_bits != log_heights(self.heights) {
            return Err(Refused(format!(
                "the tables have heights 2^{:?}, not those of the key",
                proof.degree_bits
            )));
        }
        let airs = verifier_airs();
        let config = stock(params);
        let common = self.common();
        // The verifier is not ours and the proof is a stranger's: should it ever panic, the proof is
        // refused and nothing else happens.
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| {
            verify_batch(&config, &airs, proof, &public_values(publics), &common)
        }));
        match verdict {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Refused(error.to_string())),
            Err(_) => Err(Refused("the verifier panicked".to_owned())),
        }
    }

    /// The library's form of the key.
    fn common(&self) -> CommonData<StockConfig> {
        use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
        let instances = Table::ALL.into_iter().enumerate().map(|(i, table)| {
            Some(PreprocessedInstanceMeta {
                matrix_index: i,
                width: table.fixed_width(),
                degree_bits: table.log_height(self.heights),
            })
        });
        let fixed = GlobalPreprocessed {
            commitment: self.fixed.clone(),
            instances: instances.collect(),
            matrix_to_instance: (0..Table::ALL.len()).collect(),
        };
        CommonData::new(Some(fixed), lookups())
    }
}

/// The buses of each table, as keys pack them; the same for all circuits.
pub(crate) fn lookups() -> Vec<Lookups<Val>> {
    use p3_lookup::{LogUpGadget, LookupProtocol};
    let gadget = LogUpGadget::new();
    verifier_airs()
        .iter()
        .map(|air| {
            Lookups::from_air::<Challenge, _>(air)
                .pack_same_bus_with_degree(MAX_DEGREE, |lookup| gadget.constraint_degree(lookup))
        })
        .collect()
}

pub(crate) fn verifier_airs() -> Vec<TableAir> {
    Table::ALL.map(TableAir::new).into()
}

pub(crate) fn log_heights(heights: Heights) -> Vec<usize> {
    Table::ALL.map(|table| table.log_height(heights)).into()
}

/// Public values per table: all of them belong to `plain`.
pub(crate) fn public_values(publics: &[Val]) -> Vec<Vec<Val>> {
    let of = |table: Table| match table {
        Table::Plain => publics.to_vec(),
        _ => Vec::new(),
    };
    Table::ALL.map(of).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: `p3_security::logup`: a bus of `n` messages of `w` fields errs with `n (w + 2) / |F|`.
    #[test]
    fn a_bus_is_worth_more_than_the_rest_of_a_standard_proof() {
        /// Bits of the challenge field's order.
        const FIELD_BITS: f64 = 123.6;
        let heights = Heights {
            tall: 18,
            short: 18,
        };
        let mut messages = 0_usize;
        let mut widest = 0;
        for (table, lookups) in Table::ALL.into_iter().zip(lookups()) {
            let elements: Vec<_> = lookups.iter().flat_map(|lookup| &lookup.elements).collect();
            messages += elements.len() << table.log_height(heights);
            widest = elements
                .iter()
                .map(|fields| fields.len())
                .max()
                .unwrap_or(0)
                .max(widest);
        }
        let bits = FIELD_BITS - ((messages * (widest + 2)) as f64).log2();
        let work = Params::Standard.bus_work_bits() as f64;
        assert!(bits + work > 104.0, "{bits} bits and {work} of work");
    }
}
