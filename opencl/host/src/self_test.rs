//! Known answers that a device must give before it is trusted with work.
//!
//! Drivers do miscompile kernels, and overclocked cards do compute wrongly. The sizes are the
//! smallest at which every branch of the kernels runs: a tail of columns, more than one pass, each
//! step of a pass. A card that fails only when it is hot is not found here; a proof is verified
//! after it was made.

pub(crate) mod hash;

use crate::engine::Engine;
use crate::error::Result;
use crate::field::{Extension, Field};
use crate::fold;
use crate::ntt::Steps;
use crate::reference::{self, reverse_bits};

/// Runs the transforms over `F` against the definition.
pub(crate) fn ntt<F: Field>(engine: &mut Engine) -> Result<()> {
    // A pass of one step, of each size of step and of one that has no step between the first and
    // the last; 2^8 with one; 2^9 are the first that take two passes; 3 and 19 columns leave a tail in
    // every vector. In lanes of large elements 2^8 rows of 16 columns are one pass, in parts.
    for (log_n, columns, added_bits) in [
        (0, 1, 1),
        (1, 1, 1),
        (2, 1, 0),
        (3, 2, 0),
        (5, 19, 1),
        (8, 1, 0),
        (9, 3, 0),
        (8, 16, 0),
    ] {
        let values = sample::<F>(columns << log_n);
        let shift = F::from_u64(31);
        let expected = reference::coset_lde::<F>(&values, columns, added_bits, shift);
        let expected = bit_reverse_rows(&expected, columns);
        let computed =
            Steps::<F>::coset_lde(log_n, added_bits, shift).run(engine, values, columns)?;
        engine.require(computed == expected, || {
            format!("ntt over {}, 2^{log_n} rows of {columns}", F::NAME)
        })?;
    }
    // Back, over a coset and over the subgroup: in one pass, and in two.
    for (log_n, columns, shift) in [(5, 3, 31), (9, 1, 31), (9, 2, 1)] {
        let coefficients = sample::<F>(columns << log_n);
        let shift = F::from_u64(shift);
        let values = reference::coset_dft::<F>(&coefficients, columns, shift);
        let inverse_shift = F::inverse(shift).expect("invariant: the shift is not zero");
        let computed = Steps::<F>::coset_idft(log_n, inverse_shift).run(engine, values, columns)?;
        engine.require(computed == coefficients, || {
            format!("inverse ntt over {}, 2^{log_n} rows of {columns}", F::NAME)
        })?;
    }
    Ok(())
}

/// Runs folding over `E` by one arity against the definition.
pub(crate) fn fold<E: Extension>(engine: &mut Engine, log_arity: u32) -> Result<()> {
    // One row, and enough for whole vectors and a tail.
    for log_rows in [0, 5] {
        let values = sample::<E::Base>(E::DEGREE << (log_rows + log_arity));
        // Past the edges: no coefficient of a challenge is small.
        let beta = sample::<E::Base>(E::DEGREE + 4).split_off(4);
        let expected = reference::fold::<E>(&values, log_arity, &beta);
        let computed = fold::fold::<E>(engine, values, log_arity, beta)?;
        let (name, degree) = (E::Base::NAME, E::DEGREE);
        engine.require(computed == expected, || {
            format!("fri folding over {name}^{degree}, arity 2^{log_arity}")
        })?;
    }
    Ok(())
}

/// Elements that reach both ends of the range, then ones without pattern (Knuth's LCG).
pub(crate) fn sample<F: Field>(count: usize) -> Vec<F::Word> {
    let half = F::inverse_power_of_two(1);
    let edges = [F::ZERO, F::ONE, F::sub(F::ZERO, F::ONE), half];
    let mut state = 0x5eed_u64;
    let noise = std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 1
    });
    edges
        .into_iter()
        .chain(noise.map(F::from_u64))
        .take(count)
        .collect()
}

fn bit_reverse_rows<W: Copy>(values: &[W], columns: usize) -> Vec<W> {
    let rows = values.len() / columns;
    (0..rows)
        .flat_map(|row| {
            let from = reverse_bits(row, rows.ilog2());
            values[from * columns..(from + 1) * columns].iter().copied()
        })
        .collect()
}
