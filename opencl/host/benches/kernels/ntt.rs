//! Transforms against Plonky3's.

use froben_opencl::{Elements, Field, Ntt, Session};
use p3_baby_bear::BabyBear;
use p3_dft::{Radix2DFTSmallBatch, Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{PrimeField64, TwoAdicField};
use p3_goldilocks::Goldilocks;
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_monty_31::dft::RecursiveDft;

use crate::contest::{Contender, contest};
use crate::elements;
use crate::table::Table;

/// A field of Plonky3's with kernels, and what Plonky3 transforms it with.
pub(crate) trait Peer: TwoAdicField + PrimeField64 {
    type Ours: Field;
    const NAME: &'static str;
    /// Its form of a word of ours.
    fn word(element: Self) -> <Self::Ours as Field>::Word;
    fn ours(elements: Vec<Self>) -> Elements<Self::Ours>;
    fn theirs(elements: Elements<Self::Ours>) -> Vec<Self>;
    fn peers<'a>(job: Job<'a, Self>) -> Vec<Contender<'a, Vec<Self>>>;
}

/// A matrix, and how many bits an extension adds to its height; none: a transform.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a, T> {
    values: &'a [T],
    columns: usize,
    added_bits: usize,
}

impl<'a, T: Peer> Job<'a, T> {
    /// The measured part ends with the values where the transform leaves them: ours and most of
    /// Plonky3's in bit-reversed rows.
    fn with<D: TwoAdicSubgroupDft<T> + 'a>(
        self,
        name: &'static str,
        dft: D,
    ) -> Contender<'a, Vec<T>> {
        Contender::new(name, move |watch| {
            let matrix = RowMajorMatrix::new(self.values.to_vec(), self.columns);
            let evaluations = watch.measure(|| match self.added_bits {
                0 => dft.dft_batch(matrix),
                bits => dft.coset_lde_batch(matrix, bits, T::GENERATOR),
            });
            evaluations.bit_reverse_rows().to_row_major_matrix().values
        })
    }

    fn with_ours(self, session: &'a Session) -> Contender<'a, Vec<T>> {
        let ntt = Ntt::<T::Ours>::new(session);
        let shift = T::word(T::GENERATOR);
        Contender::new("ours", move |watch| {
            let values = T::ours(self.values.to_vec());
            let evaluations = watch.measure(|| match self.added_bits {
                0 => ntt.dft_batch(values, self.columns),
                bits => ntt.coset_lde_batch(values, self.columns, bits as u32, shift),
            });
            T::theirs(evaluations.expect("a transform"))
        })
    }
}

macro_rules! peers {
    ($($theirs:ident $name:literal $word:ident $(, $recursive:ident)?;)*) => {$(
        impl Peer for $theirs {
            type Ours = froben_opencl::$theirs;
            const NAME: &'static str = $name;

            fn word(element: Self) -> <Self::Ours as Field>::Word {
                element.$word()
            }

            fn ours(elements: Vec<Self>) -> Elements<Self::Ours> {
                elements.into()
            }

            fn theirs(elements: Elements<Self::Ours>) -> Vec<Self> {
                elements.into()
            }

            fn peers<'a>(job: Job<'a, Self>) -> Vec<Contender<'a, Vec<Self>>> {
                vec![
                    job.with("p3 Radix2DitParallel", Radix2DitParallel::default()),
                    job.with("p3 Radix2DFTSmallBatch", Radix2DFTSmallBatch::default()),
                    $(job.with("p3 RecursiveDft", $recursive::<Self>::default()),)?
                ]
            }
        }
    )*};
}

use p3_field::PrimeField32 as _;

peers! {
    BabyBear "babybear" to_unique_u32, RecursiveDft;
    KoalaBear "koalabear" to_unique_u32, RecursiveDft;
    Goldilocks "goldilocks" as_canonical_u64;
}

fn case<T: Peer>(
    session: &Session,
    table: &mut Table,
    log_rows: u32,
    columns: usize,
    added_bits: usize,
    goal: f64,
) {
    let name = match added_bits {
        0 => format!("{} ntt 2^{log_rows} x {columns}", T::NAME),
        bits => format!("{} lde x{} 2^{log_rows} x {columns}", T::NAME, 1 << bits),
    };
    if !table.wants(&name) {
        return;
    }
    let values = elements::<T>(columns << log_rows);
    let job = Job {
        values: &values,
        columns,
        added_bits,
    };
    let mut contenders = vec![job.with_ours(session)];
    contenders.extend(T::peers(job));
    table.row(&name, goal, &contest(contenders));
}

pub(crate) fn run(session: &Session, table: &mut Table) {
    case::<Goldilocks>(session, table, 16, 8, 0, 1.5);
    case::<Goldilocks>(session, table, 16, 64, 0, 1.5);
    case::<Goldilocks>(session, table, 20, 8, 0, 2.5);
    case::<KoalaBear>(session, table, 16, 16, 0, 1.3);
    case::<KoalaBear>(session, table, 18, 128, 0, 1.3);
    case::<KoalaBear>(session, table, 20, 16, 0, 2.0);
    case::<BabyBear>(session, table, 16, 16, 0, 1.3);
    case::<BabyBear>(session, table, 18, 128, 0, 1.3);
    case::<BabyBear>(session, table, 20, 16, 0, 2.0);
    case::<Goldilocks>(session, table, 18, 32, 2, 1.5);
    case::<BabyBear>(session, table, 18, 32, 2, 1.5);
}
