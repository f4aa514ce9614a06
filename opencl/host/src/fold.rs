//! Folding of FRI layers.

use std::marker::PhantomData;

use crate::driver::launch::FriFold2;
use crate::engine::{Direction, Engine};
use crate::error::{Error, Result};
use crate::field::{self, BabyBear, Field, Goldilocks, KoalaBear};
use crate::program::Operation;
use crate::session::Session;

/// Folds evaluations over the challenge field of `F` on a session.
#[derive(Clone, Copy, Debug)]
pub struct Fold<'a, F> {
    session: &'a Session,
    field: PhantomData<F>,
}

/// Folding over the degree-4 extension of BabyBear.
pub type FoldBabyBear<'a> = Fold<'a, BabyBear>;
/// Folding over the degree-4 extension of KoalaBear.
pub type FoldKoalaBear<'a> = Fold<'a, KoalaBear>;
/// Folding over the degree-2 extension of Goldilocks.
pub type FoldGoldilocks<'a> = Fold<'a, Goldilocks>;

impl<'a, F: Field> Fold<'a, F> {
    /// Folds on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self {
            session,
            field: PhantomData,
        }
    }

    /// Folds runs of `2^log_arity` evaluations into one each, at the challenge `beta`.
    ///
    /// *Shape*: `values` are extension elements of `EXTENSION_DEGREE` words, a power of two of them
    /// and at least `2^log_arity`, in bit-reversed order over a two-adic subgroup; the result has
    /// `2^log_arity` times fewer. `log_arity` is at least one, `beta` one element.
    /// *Errors*: as for [`crate::Ntt`].
    /// *Source*: `TwoAdicFriFolding::fold_matrix` of p3-fri 0.8, whose result this equals.
    pub fn fold(
        &self,
        values: Vec<F::Word>,
        log_arity: u32,
        beta: &[F::Word],
    ) -> Result<Vec<F::Word>> {
        check_shape::<F>(values.len(), log_arity, beta.len())?;
        field::require_canonical::<F>(&values)?;
        field::require_canonical::<F>(beta)?;
        let beta = beta.to_vec();
        self.session.run(move |engine| {
            engine.trust::<F>()?;
            fold::<F>(engine, values, log_arity, beta)
        })
    }
}

fn check_shape<F: Field>(words: usize, log_arity: u32, beta_words: usize) -> Result<()> {
    let bad = |reason: String| Err(Error::Shape(reason));
    let degree = F::EXTENSION_DEGREE;
    if beta_words != degree {
        return bad(format!("a challenge of {beta_words} words, not {degree}"));
    }
    let elements = words / degree;
    if !words.is_multiple_of(degree) || !elements.is_power_of_two() {
        return bad(format!("{words} words, not a power of two times {degree}"));
    }
    let log_elements = elements.ilog2();
    if log_elements > F::TWO_ADICITY {
        return bad(format!("2^{log_elements} evaluations"));
    }
    if log_arity == 0 || log_arity > log_elements {
        return bad(format!(
            "arity 2^{log_arity} over 2^{log_elements} evaluations"
        ));
    }
    Ok(())
}

/// Arity 2^k as k folds by two: at beta, beta^2, beta^4, ...
pub(crate) fn fold<F: Field>(
    engine: &mut Engine,
    mut values: Vec<F::Word>,
    log_arity: u32,
    mut beta: Vec<F::Word>,
) -> Result<Vec<F::Word>> {
    let degree = F::EXTENSION_DEGREE;
    let mut pairs = values.len() / degree / 2;
    let inverse_roots = engine.roots::<F>(Direction::Inverse, pairs.ilog2())?;
    let compiled = engine.kernel::<F>(Operation::FriFold2)?;
    let mut input = engine.upload(&values)?;
    for round in 0..log_arity {
        let matrix = engine.upload(&half_multiplication::<F>(&beta))?;
        let output = engine.lease::<F::Word>(pairs * degree)?;
        let launch = FriFold2 {
            input: &input,
            output: &output,
            inverse_roots: &inverse_roots,
            matrix: &matrix,
            word_bytes: size_of::<F::Word>(),
            degree,
            pairs,
        };
        let result = launch.enqueue(engine.queue(), &compiled.kernel, engine.shape::<F>());
        engine.launched(&compiled, launch.traffic(), result)?;
        input = output;
        if round + 1 < log_arity {
            pairs /= 2;
            beta = F::extension_mul(&beta, &beta);
        }
    }
    values.truncate(pairs * degree);
    engine.download::<F>(&input, &mut values)?;
    Ok(values)
}

/// The matrix of `x -> x * beta/2`: entry `j*D + k` is coefficient `j` of `X^k * beta/2`.
fn half_multiplication<F: Field>(beta: &[F::Word]) -> Vec<F::Word> {
    let degree = F::EXTENSION_DEGREE;
    let half = F::inverse_power_of_two(1);
    let half_beta: Vec<_> = beta.iter().map(|&word| F::mul(word, half)).collect();
    let mut matrix = vec![F::ZERO; degree * degree];
    for k in 0..degree {
        let mut power_of_x = vec![F::ZERO; degree];
        power_of_x[k] = F::ONE;
        for (j, word) in F::extension_mul(&power_of_x, &half_beta)
            .into_iter()
            .enumerate()
        {
            matrix[j * degree + k] = word;
        }
    }
    matrix
}
