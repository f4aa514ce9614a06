//! Folding the combined openings to the final polynomial.
//!
//! Source: `p3_fri::verifier::fold_query`, `TwoAdicFriFolding::fold_row`.

use froben_circuits::config::Val;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};

use super::ladder::Ladder;
use crate::circuit::{Builder, PACK, Wire};
use crate::verifier::merkle::{self, Cap, Place, Row};
use crate::verifier::proof::Query;

/// The rounds of folding.
pub(super) struct Folding<'a> {
    pub(super) log_arities: &'a [usize],
    pub(super) betas: &'a [Wire],
    pub(super) joins: &'a [Wire],
    pub(super) caps: &'a [Cap],
    pub(super) final_poly: &'a [Wire],
}

impl Folding<'_> {
    /// Requires the combined openings to fold to the final polynomial.
    pub(super) fn verify(
        &self,
        b: &mut Builder,
        ladder: &Ladder,
        place: &mut Place,
        query: &Query<Wire>,
        reduced: Vec<(usize, Wire)>,
    ) {
        let log_max_height = place.bits.len();
        let mut reduced = reduced.into_iter().peekable();
        let (_, mut value) = reduced.next().expect("invariant: the tallest opening");
        let mut folded = 0;
        for (round, &log_arity) in self.log_arities.iter().enumerate() {
            let opening = &query.folds[round];
            let group = place.bits[folded..folded + log_arity].to_vec();
            let row = b.hint_insert(value, &opening.rows[0], &group);
            let inverse = ladder.inverse_after(b, folded, folded + log_arity);
            let made = fold_row(b, &row, &group, value, inverse, self.betas[round]);
            folded += log_arity;
            let log_height = log_max_height - folded;
            let leaf = Row {
                log_height,
                width: PACK << log_arity,
                packs: &row,
            };
            merkle::verify(b, &self.caps[round], place, &[leaf], &opening.path);
            value = match reduced.next_if(|(height, _)| *height == log_height) {
                Some((_, joining)) => b.fused(self.joins[round], joining, made),
                None => made,
            };
        }
        assert!(reduced.peek().is_none(), "every height is folded in");
        let x = ladder.final_point(b, folded);
        let end = b.polynomial(self.final_poly, x);
        b.assert_equal(end, value);
    }
}

/// Requires `row` to hold `value` where the bits of `group` say, and folds it.
///
/// Pair by pair, `low` at `s` and `high` at `-s` become `(low + high) / 2 + (low - high) * beta / (2 s)`
/// at `s^2`, and the challenge becomes its square. `inverse` is that of the first point's.
fn fold_row(
    b: &mut Builder,
    row: &[Wire],
    group: &[Wire],
    value: Wire,
    inverse: Wire,
    beta: Wire,
) -> Wire {
    let half = Val::ONE.halve();
    let mut ratio = b.mul(inverse, beta);
    let mut values = row.to_vec();
    let mut members = row.to_vec();
    for (level, &bit) in group.iter().enumerate() {
        let log_points = group.len() - level;
        let root = Val::two_adic_generator(log_points).inverse();
        let folds_members = level == 0;
        let pairs: Vec<[Wire; 2]> = values.as_chunks().0.to_vec();
        let mut chosen = Vec::new();
        values = pairs
            .iter()
            .enumerate()
            .map(|(i, &[low, high])| {
                let difference = b.sub(low, high);
                if folds_members {
                    chosen.push(b.mul_add(
                        bit,
                        difference,
                        Val::NEG_ONE,
                        Some((low, Val::ONE)),
                        Val::ZERO,
                    ));
                }
                let exponent = p3_util::reverse_bits_len(i, log_points - 1);
                let point = root.exp_u64(exponent as u64);
                b.step(
                    (difference, half),
                    (ratio, half * point),
                    Some((high, Val::ONE)),
                )
            })
            .collect();
        if !folds_members {
            let pairs: Vec<[Wire; 2]> = members.as_chunks().0.to_vec();
            chosen = pairs
                .iter()
                .map(|&[low, high]| b.select(bit, low, high))
                .collect();
        }
        members = chosen;
        ratio = b.mul(ratio, ratio);
    }
    b.assert_equal(members[0], value);
    values[0]
}
