//! Transforms of every column of a matrix of field elements.
//!
//! A matrix is row-major, its height a power of two. Everything happens on the device: values go up
//! once, the result comes down once. A matrix that is too large for the device goes in panels of
//! columns; where not even one column fits, an extension goes coset by coset, and a transform first in
//! strips of its rows, then in blocks of them.

mod cut;
mod lanes;
mod steps;
mod stream;

use std::marker::PhantomData;

pub(crate) use lanes::UNIT as LANES_UNIT;
pub(crate) use steps::{Steps, launch_spread};

use crate::error::{Error, Result};
use crate::field::{BabyBear, Bls12381Fr, Bn254Fr, Elements, Field, Goldilocks, KoalaBear};
use crate::self_test;
use crate::session::Session;

/// Launches transforms over `F` on a session.
///
/// *Shape*: `values` holds whole rows of `columns` elements; rows are a power of two up to
/// `2^TWO_ADICITY` and `2^31`, at least one, and so are the rows of the result.
/// *Units*: words in the form of [`Field`]; for the 31-bit fields, Montgomery.
/// *Errors*: [`Error::Shape`], and [`Error::NotCanonical`] of a shift, before anything is launched,
/// [`Error::OutOfDeviceMemory`] if not even a few times the square root of a column fits, and what the
/// driver reports.
#[derive(Clone, Copy, Debug)]
pub struct Ntt<'a, F> {
    session: &'a Session,
    field: PhantomData<F>,
}

/// Transforms over BabyBear.
pub type NttBabyBear<'a> = Ntt<'a, BabyBear>;
/// Transforms over KoalaBear.
pub type NttKoalaBear<'a> = Ntt<'a, KoalaBear>;
/// Transforms over the scalar field of BN254.
pub type NttBn254<'a> = Ntt<'a, Bn254Fr>;
/// Transforms over the scalar field of BLS12-381.
pub type NttBls12381<'a> = Ntt<'a, Bls12381Fr>;
/// Transforms over Goldilocks.
pub type NttGoldilocks<'a> = Ntt<'a, Goldilocks>;

impl<'a, F: Field> Ntt<'a, F> {
    /// Transforms on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self {
            session,
            field: PhantomData,
        }
    }

    /// Evaluates polynomials, given by their coefficients, on the subgroup of order `rows`.
    ///
    /// Rows of the result are in bit-reversed order.
    pub fn dft_batch(&self, values: Elements<F>, columns: usize) -> Result<Elements<F>> {
        let log_n = log_rows::<F>(&values, columns, 0)?;
        self.run(Steps::dft(log_n), values, columns)
    }

    /// Evaluates polynomials, given by their coefficients, on the coset `shift * H`.
    ///
    /// Rows of the result are in bit-reversed order.
    pub fn coset_dft_batch(
        &self,
        values: Elements<F>,
        columns: usize,
        shift: F::Word,
    ) -> Result<Elements<F>> {
        let log_n = log_rows::<F>(&values, columns, 0)?;
        let shift = element::<F>(shift)?;
        self.run(Steps::coset_dft(log_n, shift), values, columns)
    }

    /// The coefficients of the polynomials that take these values on the subgroup of order `rows`.
    ///
    /// Both in natural order.
    pub fn idft_batch(&self, values: Elements<F>, columns: usize) -> Result<Elements<F>> {
        self.coset_idft_batch(values, columns, F::ONE)
    }

    /// The coefficients of the polynomials that take these values on the coset `shift * H`.
    ///
    /// Both in natural order. A `shift` of zero is an [`Error::Shape`].
    pub fn coset_idft_batch(
        &self,
        values: Elements<F>,
        columns: usize,
        shift: F::Word,
    ) -> Result<Elements<F>> {
        let log_n = log_rows::<F>(&values, columns, 0)?;
        let shift = element::<F>(shift)?;
        let inverse_shift = F::inverse(shift)
            .ok_or_else(|| Error::Shape("zero is no shift of a coset".to_owned()))?;
        self.run(Steps::coset_idft(log_n, inverse_shift), values, columns)
    }

    /// Extends polynomials from their values on `H` to their values on `shift * K`, where `K` has
    /// `2^added_bits` times the order of `H`.
    ///
    /// Rows of `values` are in natural order, rows of the result in bit-reversed order.
    pub fn coset_lde_batch(
        &self,
        values: Elements<F>,
        columns: usize,
        added_bits: u32,
        shift: F::Word,
    ) -> Result<Elements<F>> {
        let log_n = log_rows::<F>(&values, columns, added_bits)?;
        let shift = element::<F>(shift)?;
        self.run(Steps::coset_lde(log_n, added_bits, shift), values, columns)
    }

    fn run(&self, steps: Steps<F>, values: Elements<F>, columns: usize) -> Result<Elements<F>> {
        self.session.run(move |engine| {
            engine.trust(0, self_test::ntt::<F>)?;
            let words = steps.run(engine, values.into_words(), columns)?;
            Ok(Elements::trusted(words))
        })
    }
}

/// Kernels count rows in 32 bits.
const MAX_LOG_ROWS: u32 = 31;

/// The word, if it is an element.
fn element<F: Field>(word: F::Word) -> Result<F::Word> {
    Ok(Elements::<F>::new(vec![word])?.words()[0])
}

/// The logarithm of the height, if a transform can take the matrix and give its extension.
fn log_rows<F: Field>(values: &Elements<F>, columns: usize, added_bits: u32) -> Result<u32> {
    let bad = |reason: String| Err(Error::Shape(reason));
    let words = values.len();
    if columns == 0 || !words.is_multiple_of(columns) {
        return bad(format!("{words} words are no rows of {columns}"));
    }
    let rows = words / columns;
    if !rows.is_power_of_two() {
        return bad(format!("{rows} rows, not a power of two"));
    }
    let log_n = rows.ilog2();
    let log_extended = log_n.saturating_add(added_bits);
    let (name, limit) = (F::NAME, F::TWO_ADICITY.min(MAX_LOG_ROWS));
    if log_extended > limit {
        return bad(format!(
            "2^{log_extended} rows, transforms over {name} take up to 2^{limit}"
        ));
    }
    let bytes = columns
        .checked_mul(size_of::<F::Word>())
        .and_then(|bytes| bytes.checked_mul(1 << log_extended));
    if bytes.is_none() || u32::try_from(columns).is_err() {
        return bad(format!("2^{log_extended} rows of {columns}"));
    }
    Ok(log_n)
}
