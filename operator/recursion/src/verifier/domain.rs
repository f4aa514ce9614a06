//! Two-adic domains at a point outside them.
//!
//! Source: `p3_field::coset::TwoAdicMultiplicativeCoset`: `selectors_at_point`, `split_domains`;
//! `p3_uni_stark::recompose_quotient_from_chunks`.

use froben_circuits::config::Val;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};

use crate::circuit::{Builder, PACK, Wire, pack};

/// What a trace domain of one height makes of a point.
#[derive(Clone, Copy)]
pub(super) struct Selectors {
    /// `Z(x) / (x - 1)`.
    pub(super) first: Wire,
    /// `Z(x) / (x - g^-1)`.
    pub(super) last: Wire,
    /// `x - g^-1`.
    pub(super) transition: Wire,
    /// `Z(x) = x^n - 1`.
    pub(super) vanishing: Wire,
    /// `x^n`.
    power: Wire,
}

impl Selectors {
    /// Requires the point to lie outside the domain.
    pub(super) fn new(b: &mut Builder, log_height: usize, point: Wire) -> Self {
        let generator = Val::two_adic_generator(log_height);
        let power = b.power_of_two(point, log_height);
        let vanishing = b.add_constant(power, Val::NEG_ONE);
        // Nothing divides by it, but a point of the domain must be refused, as it is natively.
        b.inverse(vanishing);
        let from_first = b.add_constant(point, Val::NEG_ONE);
        let transition = b.add_constant(point, -generator.inverse());
        let inverses = [from_first, transition].map(|wire| b.inverse(wire));
        let [first, last] = inverses.map(|inverse| b.mul(vanishing, inverse));
        Self {
            first,
            last,
            transition,
            vanishing,
            power,
        }
    }
}

/// An element of the challenge field from the openings of its coefficients' columns.
pub(super) fn recompose(b: &mut Builder, coefficients: &[Wire]) -> Wire {
    assert_eq!(coefficients.len(), PACK, "a challenge is four columns");
    let root = b.constant(pack([Val::ZERO, Val::ONE, Val::ZERO, Val::ZERO]));
    b.polynomial(coefficients, root)
}

/// The quotient from the openings of its chunks, each over a coset of its own.
pub(super) fn quotient(
    b: &mut Builder,
    log_height: usize,
    selectors: &Selectors,
    chunks: &[&[Wire]],
) -> Wire {
    let log_chunks = chunks.len().ilog2() as usize;
    let generator = Val::two_adic_generator(log_height + log_chunks);
    // The cosets' shifts, raised to their size.
    let shifts: Vec<Val> = generator
        .shifted_powers(Val::GENERATOR)
        .take(chunks.len())
        .map(|shift| shift.exp_power_of_2(log_height))
        .collect();
    let mut sum = None;
    for (i, chunk) in chunks.iter().enumerate() {
        let mut value = recompose(b, chunk);
        for (j, shift) in shifts.iter().enumerate().filter(|(j, _)| *j != i) {
            // Z_j(x) / Z_j(first point of i), with Z_j(x) = (x / shift_j)^n - 1.
            debug_assert_ne!(i, j);
            let scale = (shifts[i] * shift.inverse() - Val::ONE).inverse();
            let factor = b.sum([(selectors.power, shift.inverse() * scale)], -scale);
            value = b.mul(value, factor);
        }
        sum = Some(match sum {
            None => value,
            Some(sum) => b.add(sum, value),
        });
    }
    sum.expect("invariant: a quotient has a chunk")
}
