//! Plonky3's FRI commitment scheme with its transforms, its trees and its folding on a device.
//!
//! `TwoAdicFriPcs` takes any transform but only its own folding, so [`OpenClPcs`] passes everything on
//! to one of them and makes the opening itself, from the same public parts: the claims and the
//! batching challenge through `PcsProverTranscript`, the low-degree proof through `prove_fri`.

mod opening;

use std::sync::Arc;

use froben_circuits::Params;
use froben_circuits::config::{Challenge, Domain, Val};
use froben_opencl::Session;
use p3_challenger::{CanObserve, FieldChallenger, GrindingChallenger};
use p3_commit::{
    CommitmentOpening, Mmcs, OpenedValues, OpeningRequest, Pcs, PeriodicLdeTable,
    UnivariateStarkPcs,
};
use p3_field::PrimeCharacteristicRing;
use p3_fri::prover::prove_fri;
use p3_fri::verifier::FriError;
use p3_fri::{
    BatchMultiOpening, FriParameters, FriProof, FriProverError, PcsProverTranscript, PcsShape,
    TwoAdicFriPcs,
};
use p3_matrix::dense::RowMajorMatrix;

use super::{Fault, OpenClChallengeMmcs, OpenClDft, OpenClFold, OpenClMmcs};
use opening::{Opening, Round};

/// A FRI commitment scheme over BabyBear whose proofs are those of `TwoAdicFriPcs`.
#[derive(Clone, Debug)]
pub struct OpenClPcs<InputMmcs, FriMmcs> {
    inner: TwoAdicFriPcs<Val, OpenClDft, InputMmcs, FriMmcs>,
    mmcs: InputMmcs,
    fri: FriParameters<FriMmcs>,
    session: Arc<Session>,
    fault: Fault,
}

/// Why a proof was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProverError {
    /// The trace and the parameters do not go together.
    #[error(transparent)]
    Fri(#[from] FriProverError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] froben_opencl::Error),
}

impl OpenClPcs<OpenClMmcs, OpenClChallengeMmcs> {
    /// A scheme on `session`, its trees too, that commits as the stock one does.
    #[must_use]
    pub fn on_device(session: Arc<Session>, params: Params) -> Self {
        let fault = Fault::default();
        let mmcs = OpenClMmcs::new(Arc::clone(&session), fault.clone());
        let fri = params.fri(OpenClChallengeMmcs::new(mmcs.clone()));
        Self::with_fault(session, mmcs, fri, fault)
    }
}

impl<InputMmcs: Clone, FriMmcs: Clone> OpenClPcs<InputMmcs, FriMmcs> {
    /// A scheme on `session` with the trees and the parameters of a stock one.
    #[must_use]
    pub fn new(session: Arc<Session>, mmcs: InputMmcs, fri: FriParameters<FriMmcs>) -> Self {
        Self::with_fault(session, mmcs, fri, Fault::default())
    }

    fn with_fault(
        session: Arc<Session>,
        mmcs: InputMmcs,
        fri: FriParameters<FriMmcs>,
        fault: Fault,
    ) -> Self {
        let dft = OpenClDft::new(Arc::clone(&session), fault.clone());
        Self {
            inner: TwoAdicFriPcs::new(dft, mmcs.clone(), fri.clone()),
            mmcs,
            fri,
            session,
            fault,
        }
    }
}

impl<InputMmcs, FriMmcs> OpenClPcs<InputMmcs, FriMmcs> {
    /// The failure of the device that ended a proof, if it was that.
    #[must_use]
    pub fn device_error(&self) -> Option<&froben_opencl::Error> {
        self.fault.get()
    }

    /// What the inner scheme made, unless the device failed on the way.
    fn sound<T>(&self, made: Result<T, FriProverError>) -> Result<T, ProverError> {
        let made = made?;
        self.fault.check()?;
        Ok(made)
    }

    /// Refuses a height that cannot be folded, before anything reaches the transcript.
    fn check_height(&self, log_input_height: usize) -> Result<(), FriProverError> {
        if self.fri.log_final_poly_len == 0 {
            return Ok(());
        }
        let log_final_height = self
            .fri
            .log_final_poly_len
            .checked_add(self.fri.log_blowup)
            .ok_or(FriProverError::FinalHeightOverflow)?;
        if log_input_height > log_final_height {
            return Ok(());
        }
        Err(FriProverError::InputHeightTooSmall {
            log_input_height,
            log_final_height,
        })
    }
}

/// The inner scheme, as the trait that its methods belong to.
type Inner<InputMmcs, FriMmcs> = TwoAdicFriPcs<Val, OpenClDft, InputMmcs, FriMmcs>;

impl<InputMmcs, FriMmcs, Challenger> Pcs<Challenge, Challenger> for OpenClPcs<InputMmcs, FriMmcs>
where
    InputMmcs: Mmcs<Val, MultiProof: Sync, Error: Sync>,
    FriMmcs: Mmcs<Challenge>,
    Challenger:
        FieldChallenger<Val> + CanObserve<FriMmcs::Commitment> + GrindingChallenger<Witness = Val>,
{
    type Domain = Domain;
    type Commitment = InputMmcs::Commitment;
    type ProverData = InputMmcs::ProverData<RowMajorMatrix<Val>>;
    type Proof = FriProof<Challenge, FriMmcs, Val, Vec<BatchMultiOpening<Val, InputMmcs>>>;
    type Error = FriError<FriMmcs::Error, InputMmcs::Error>;
    type ProverError = ProverError;

    fn natural_domain_for_degree(&self, degree: usize) -> Self::Domain {
        Pcs::<Challenge, Challenger>::natural_domain_for_degree(&self.inner, degree)
    }

    fn commit(
        &self,
        evaluations: impl IntoIterator<Item = (Self::Domain, RowMajorMatrix<Val>)>,
    ) -> Result<(Self::Commitment, Self::ProverData), Self::ProverError> {
        self.sound(Pcs::<Challenge, Challenger>::commit(
            &self.inner,
            evaluations,
        ))
    }

    fn open(
        &self,
        requests: Vec<OpeningRequest<'_, Self::ProverData, Challenge>>,
        challenger: &mut Challenger,
    ) -> Result<(OpenedValues<Challenge>, Self::Proof), Self::ProverError> {
        self.fault.check()?;
        let rounds: Vec<_> = requests
            .iter()
            .map(|request| Round::new(self.mmcs.get_matrices(request.prover_data), &request.points))
            .collect();
        for log_height in rounds.iter().flat_map(Round::log_heights) {
            self.check_height(log_height)?;
        }
        let opening = Opening::new(rounds, self.fri.log_blowup);
        let claims = opening.evaluate();

        let shape = PcsShape::from_opened_values(&self.fri, &claims);
        let mut transcript =
            PcsProverTranscript::<Challenger, Val, Challenge>::new(challenger, shape);
        transcript.claimed_openings(&claims);
        let (alpha, batch_witness) = transcript.batch_phase();

        let quotients = opening.quotients(&claims, alpha);
        let folding =
            OpenClFold::<_, InputMmcs::Error>::new(Arc::clone(&self.session), self.fault.clone());
        let proof = transcript.delegate(|challenger| {
            prove_fri(
                &folding,
                &self.fri,
                quotients,
                challenger,
                opening.log_max_height(),
                &requests,
                &self.mmcs,
                // Without work to show, the field of the proof is still there.
                batch_witness.unwrap_or(Val::ZERO),
            )
        });
        match self.sound(proof) {
            Ok(proof) => {
                transcript.finish();
                Ok((claims, proof))
            }
            Err(error) => {
                transcript.abort();
                Err(error)
            }
        }
    }

    fn verify(
        &self,
        claims: Vec<CommitmentOpening<Challenge, Self::Commitment, Self::Domain>>,
        proof: &Self::Proof,
        challenger: &mut Challenger,
    ) -> Result<(), Self::Error> {
        self.inner.verify(claims, proof, challenger)
    }
}

impl<InputMmcs, FriMmcs, Challenger> UnivariateStarkPcs<Challenge, Challenger>
    for OpenClPcs<InputMmcs, FriMmcs>
where
    InputMmcs: Mmcs<Val, MultiProof: Sync, Error: Sync>,
    FriMmcs: Mmcs<Challenge>,
    Challenger:
        FieldChallenger<Val> + CanObserve<FriMmcs::Commitment> + GrindingChallenger<Witness = Val>,
{
    type EvaluationsOnDomain<'a> = <Inner<InputMmcs, FriMmcs> as UnivariateStarkPcs<
        Challenge,
        Challenger,
    >>::EvaluationsOnDomain<'a>;

    const ZK: bool = <Inner<InputMmcs, FriMmcs> as UnivariateStarkPcs<Challenge, Challenger>>::ZK;

    fn log_max_trace_height(&self) -> usize {
        UnivariateStarkPcs::<Challenge, Challenger>::log_max_trace_height(&self.inner)
    }

    fn log_min_trace_height(&self) -> usize {
        UnivariateStarkPcs::<Challenge, Challenger>::log_min_trace_height(&self.inner)
    }

    fn get_quotient_ldes(
        &self,
        evaluations: impl IntoIterator<Item = (Self::Domain, RowMajorMatrix<Val>)>,
        num_chunks: usize,
    ) -> Result<Vec<RowMajorMatrix<Val>>, Self::ProverError> {
        self.sound(
            UnivariateStarkPcs::<Challenge, Challenger>::get_quotient_ldes(
                &self.inner,
                evaluations,
                num_chunks,
            ),
        )
    }

    fn commit_ldes(
        &self,
        ldes: Vec<RowMajorMatrix<Val>>,
    ) -> Result<(Self::Commitment, Self::ProverData), Self::ProverError> {
        self.sound(UnivariateStarkPcs::<Challenge, Challenger>::commit_ldes(
            &self.inner,
            ldes,
        ))
    }

    fn get_evaluations_on_domain<'a>(
        &self,
        prover_data: &'a Self::ProverData,
        index: usize,
        domain: Self::Domain,
    ) -> Self::EvaluationsOnDomain<'a> {
        UnivariateStarkPcs::<Challenge, Challenger>::get_evaluations_on_domain(
            &self.inner,
            prover_data,
            index,
            domain,
        )
    }

    fn build_periodic_lde_table(
        &self,
        columns: &[Vec<Val>],
        trace_domain: Self::Domain,
        quotient_domain: Self::Domain,
    ) -> PeriodicLdeTable<Val> {
        UnivariateStarkPcs::<Challenge, Challenger>::build_periodic_lde_table(
            &self.inner,
            columns,
            trace_domain,
            quotient_domain,
        )
    }
}
