//! Folding of FRI layers.

use std::marker::PhantomData;

use crate::driver::Buffer;
use crate::driver::launch::FriFold;
use crate::engine::{Direction, Engine};
use crate::error::{Error, Result};
use crate::field::{Elements, Extension, Field};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;

/// The largest arity of one launch, base two: a run stays in registers.
pub(crate) const MAX_LOG_ARITY: u32 = 4;

/// Folds evaluations over the challenge field `E` on a session.
#[derive(Clone, Copy, Debug)]
pub struct Fold<'a, E> {
    session: &'a Session,
    extension: PhantomData<E>,
}

type Word<E> = <<E as Extension>::Base as Field>::Word;

impl<'a, E: Extension> Fold<'a, E> {
    /// Folds on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self {
            session,
            extension: PhantomData,
        }
    }

    /// Folds runs of `2^log_arity` evaluations into one each, at the challenge `beta`.
    ///
    /// *Shape*: `values` are extension elements of [`Extension::DEGREE`] words, a power of two of them
    /// and at least `2^log_arity`, in bit-reversed order over a two-adic subgroup; the result has
    /// `2^log_arity` times fewer. `log_arity` is at least one, `beta` one element.
    /// *Errors*: as for [`crate::Ntt`].
    /// *Source*: `TwoAdicFriFolding::fold_matrix` of p3-fri 0.8, whose result this equals.
    pub fn fold(
        &self,
        values: Elements<E::Base>,
        log_arity: u32,
        beta: &Elements<E::Base>,
    ) -> Result<Elements<E::Base>> {
        check_shape::<E>(values.len(), log_arity, beta.len())?;
        let beta = beta.words().to_vec();
        let folded = self.session.run(move |engine| {
            engine.trust(log_arity, move |engine: &mut Engine| {
                launches(log_arity).try_for_each(|launch| self_test::fold::<E>(engine, launch))
            })?;
            fold::<E>(engine, values.into_words(), log_arity, beta)
        })?;
        Ok(Elements::trusted(folded))
    }
}

fn check_shape<E: Extension>(words: usize, log_arity: u32, beta_words: usize) -> Result<()> {
    let bad = |reason: String| Err(Error::Shape(reason));
    let degree = E::DEGREE;
    if beta_words != degree {
        return bad(format!("a challenge of {beta_words} words, not {degree}"));
    }
    let elements = words / degree;
    if !words.is_multiple_of(degree) || !elements.is_power_of_two() {
        return bad(format!("{words} words, not a power of two times {degree}"));
    }
    let log_elements = elements.ilog2();
    if log_elements > E::Base::TWO_ADICITY {
        return bad(format!("2^{log_elements} evaluations"));
    }
    if log_arity == 0 || log_arity > log_elements {
        return bad(format!(
            "arity 2^{log_arity} over 2^{log_elements} evaluations"
        ));
    }
    Ok(())
}

/// The arities, base two, of the launches that fold by `2^log_arity`.
fn launches(log_arity: u32) -> impl Iterator<Item = u32> {
    let whole = log_arity / MAX_LOG_ARITY;
    let rest = log_arity % MAX_LOG_ARITY;
    std::iter::repeat_n(MAX_LOG_ARITY, whole as usize).chain((rest > 0).then_some(rest))
}

/// In as few launches as the largest arity allows.
pub(crate) fn fold<E: Extension>(
    engine: &mut Engine,
    values: Vec<Word<E>>,
    log_arity: u32,
    mut beta: Vec<Word<E>>,
) -> Result<Vec<Word<E>>> {
    let degree = E::DEGREE;
    let log_elements = (values.len() / degree).ilog2();
    let inverse_roots = engine.roots::<E::Base>(Direction::Inverse, log_elements - 1)?;
    engine.plan_launches(launches(log_arity).count());
    let mut rows = values.len() / degree;
    let mut data = engine.bring(values)?;
    for log_arity in launches(log_arity) {
        rows >>= log_arity;
        let mut matrices = Vec::new();
        for _ in 0..log_arity {
            matrices.extend(multiplication::<E>(&beta));
            beta = E::mul(&beta, &beta);
        }
        let matrix = engine.upload(&matrices)?;
        let compiled = engine.kernel::<E::Base>(Operation::FriFold {
            degree: degree as u8,
            log_arity: log_arity as u8,
        })?;
        let (input, host) = data.split();
        let output = engine.make::<E::Base>(rows * degree, host)?;
        let launch = FriFold {
            input: &input,
            output: &output,
            inverse_roots: &inverse_roots,
            matrix: &matrix,
            word_bytes: size_of::<Word<E>>(),
            degree,
            log_arity,
            rows,
        };
        let shape = engine.shape::<E::Base>(Operation::FriFold {
            degree: degree as u8,
            log_arity: log_arity as u8,
        });
        let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), result)?;
        data = output;
    }
    engine.take::<E::Base>(data, rows * degree)
}

/// One launch over `evaluations` that lie on the device already. For measurements.
pub(crate) fn launch<E: Extension>(
    engine: &mut Engine,
    input: &Buffer,
    output: &Buffer,
    evaluations: usize,
    log_arity: u32,
    beta: &[Word<E>],
) -> Result<()> {
    let (degree, mut beta) = (E::DEGREE, beta.to_vec());
    let inverse_roots = engine.roots::<E::Base>(Direction::Inverse, evaluations.ilog2() - 1)?;
    let mut matrices = Vec::new();
    for _ in 0..log_arity {
        matrices.extend(multiplication::<E>(&beta));
        beta = E::mul(&beta, &beta);
    }
    let matrix = engine.upload(&matrices)?;
    let operation = Operation::FriFold {
        degree: degree as u8,
        log_arity: log_arity as u8,
    };
    let compiled = engine.kernel::<E::Base>(operation)?;
    let launch = FriFold {
        input,
        output,
        inverse_roots: &inverse_roots,
        matrix: &matrix,
        word_bytes: size_of::<Word<E>>(),
        degree,
        log_arity,
        rows: evaluations >> log_arity,
    };
    let shape = engine.shape::<E::Base>(operation);
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)
}

/// The matrix of `x -> x * beta`: entry `j*D + k` is coefficient `j` of `X^k * beta`.
fn multiplication<E: Extension>(beta: &[Word<E>]) -> Vec<Word<E>> {
    let degree = E::DEGREE;
    let mut matrix = vec![E::Base::ZERO; degree * degree];
    for k in 0..degree {
        let mut power_of_x = vec![E::Base::ZERO; degree];
        power_of_x[k] = E::Base::ONE;
        for (j, word) in E::mul(&power_of_x, beta).into_iter().enumerate() {
            matrix[j * degree + k] = word;
        }
    }
    matrix
}
