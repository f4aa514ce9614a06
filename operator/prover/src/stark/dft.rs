//! Plonky3's transform, on the device.

use std::sync::Arc;

use froben_opencl::{Elements, NttBabyBear, Result, Session};
use p3_baby_bear::BabyBear;
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;
use p3_matrix::bitrev::{BitReversalPerm, BitReversedMatrixView, BitReversibleMatrix};
use p3_matrix::dense::RowMajorMatrix;

use super::Fault;

/// Transforms of every size on the device of a session.
///
/// `Default`, which the trait asks for and Plonky3's prover never calls, has no device and computes
/// on the CPU.
#[derive(Clone, Debug, Default)]
pub struct OpenClDft(Place);

#[derive(Clone, Debug)]
enum Place {
    Device { session: Arc<Session>, fault: Fault },
    Cpu(Radix2DitParallel<BabyBear>),
}

impl Default for Place {
    fn default() -> Self {
        Self::Cpu(Radix2DitParallel::default())
    }
}

impl OpenClDft {
    /// Transforms on `session`; failures go to `fault`, which the caller looks at.
    pub(super) const fn new(session: Arc<Session>, fault: Fault) -> Self {
        Self(Place::Device { session, fault })
    }
}

type Words = Elements<froben_opencl::BabyBear>;

/// Runs `transform` on the device. A failure leaves zeros, `2^added_bits` times as many as went in.
fn on_device(
    session: &Session,
    fault: &Fault,
    matrix: RowMajorMatrix<BabyBear>,
    added_bits: usize,
    transform: impl FnOnce(NttBabyBear<'_>, Words, usize) -> Result<Words>,
) -> RowMajorMatrix<BabyBear> {
    let (width, len) = (matrix.width(), matrix.values.len() << added_bits);
    let result = transform(NttBabyBear::new(session), matrix.values.into(), width).map(Vec::from);
    let values = fault.note(result, || BabyBear::zero_vec(len));
    RowMajorMatrix::new(values, width)
}

impl TwoAdicSubgroupDft<BabyBear> for OpenClDft {
    type Evaluations = BitReversedMatrixView<RowMajorMatrix<BabyBear>>;

    fn dft_batch(&self, matrix: RowMajorMatrix<BabyBear>) -> Self::Evaluations {
        match &self.0 {
            Place::Cpu(dft) => dft.dft_batch(matrix),
            Place::Device { session, fault } => BitReversalPerm::new_view(on_device(
                session,
                fault,
                matrix,
                0,
                |ntt, words, width| ntt.dft_batch(words, width),
            )),
        }
    }

    fn coset_dft_batch(
        &self,
        matrix: RowMajorMatrix<BabyBear>,
        shift: BabyBear,
    ) -> Self::Evaluations {
        match &self.0 {
            Place::Cpu(dft) => dft.coset_dft_batch(matrix, shift),
            Place::Device { session, fault } => BitReversalPerm::new_view(on_device(
                session,
                fault,
                matrix,
                0,
                |ntt, words, width| ntt.coset_dft_batch(words, width, shift.to_unique_u32()),
            )),
        }
    }

    fn idft_batch(&self, matrix: RowMajorMatrix<BabyBear>) -> RowMajorMatrix<BabyBear> {
        match &self.0 {
            Place::Cpu(dft) => dft.idft_batch(matrix),
            Place::Device { session, fault } => {
                on_device(session, fault, matrix, 0, |ntt, words, width| {
                    ntt.idft_batch(words, width)
                })
            }
        }
    }

    fn coset_idft_batch(
        &self,
        matrix: RowMajorMatrix<BabyBear>,
        shift: BabyBear,
    ) -> RowMajorMatrix<BabyBear> {
        match &self.0 {
            Place::Cpu(dft) => dft.coset_idft_batch(matrix, shift),
            Place::Device { session, fault } => {
                on_device(session, fault, matrix, 0, |ntt, words, width| {
                    ntt.coset_idft_batch(words, width, shift.to_unique_u32())
                })
            }
        }
    }

    fn coset_lde_batch(
        &self,
        matrix: RowMajorMatrix<BabyBear>,
        added_bits: usize,
        shift: BabyBear,
    ) -> Self::Evaluations {
        match &self.0 {
            Place::Cpu(dft) => dft.coset_lde_batch(matrix, added_bits, shift),
            Place::Device { session, fault } => {
                let extend = |ntt: NttBabyBear<'_>, words, width| {
                    ntt.coset_lde_batch(words, width, added_bits as u32, shift.to_unique_u32())
                };
                on_device(session, fault, matrix, added_bits, extend).bit_reverse_rows()
            }
        }
    }
}
