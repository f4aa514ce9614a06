//! Plonky3's FRI folding, on the device.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use froben_circuits::config::{Challenge, Val};
use froben_opencl::{BabyBear4, Fold, Session};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_matrix::Matrix;

use super::Fault;

/// Folds whole layers on the device of a session.
///
/// The verifier's side, one row at a time, is Plonky3's own. `InputProof` and `InputError` are what
/// the commitment scheme around it makes of the openings.
pub struct OpenClFold<InputProof, InputError> {
    session: Arc<Session>,
    fault: Fault,
    rows: TwoAdicFriFolding<InputProof, InputError>,
}

impl<InputProof, InputError> OpenClFold<InputProof, InputError> {
    /// Folds on `session`; failures go to `fault`, which the caller looks at.
    pub(super) const fn new(session: Arc<Session>, fault: Fault) -> Self {
        Self {
            session,
            fault,
            rows: TwoAdicFriFolding(PhantomData),
        }
    }
}

impl<InputProof: Sync, InputError: Debug + Sync> FriFoldingStrategy<Val, Challenge>
    for OpenClFold<InputProof, InputError>
{
    type InputProof = InputProof;
    type InputError = InputError;

    fn extra_query_index_bits(&self) -> usize {
        FriFoldingStrategy::<Val, Challenge>::extra_query_index_bits(&self.rows)
    }

    fn fold_row(
        &self,
        index: usize,
        log_height: usize,
        log_arity: usize,
        beta: Challenge,
        evaluations: impl Iterator<Item = Challenge>,
    ) -> Challenge {
        FriFoldingStrategy::<Val, Challenge>::fold_row(
            &self.rows,
            index,
            log_height,
            log_arity,
            beta,
            evaluations,
        )
    }

    fn fold_matrix<M: Matrix<Challenge>>(
        &self,
        beta: Challenge,
        log_arity: usize,
        layer: M,
    ) -> Vec<Challenge> {
        let height = layer.height();
        let layer = layer.to_row_major_matrix().values;
        let layer = Challenge::flatten_to_base(layer);
        let beta = Challenge::flatten_to_base(vec![beta]);
        let folded = Fold::<BabyBear4>::new(&self.session)
            .fold(layer.into(), log_arity as u32, &beta.into())
            .map(|folded| Challenge::reconstitute_from_base(folded.into()));
        self.fault.note(folded, || Challenge::zero_vec(height))
    }
}
