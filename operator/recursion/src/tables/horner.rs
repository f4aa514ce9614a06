//! Coefficients of a polynomial at a point, 32 of the base field or 8 of the challenge field a row.
//!
//! `out = acc * point^32 + sum of packs[i][k] * point^(4 i + k)`, pack by pack from the last to the
//! first: `acc' = acc * point^4 + pack[0] + pack[1] * point + pack[2] * point^2 + pack[3] * point^3`.
//!
//! In a row that says so a pack is one coefficient, of the challenge field: then it is the basis that
//! takes the place of the point's powers, and `acc' = acc * point + pack`.

use froben_circuits::config::{Challenge, Val};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;

use super::{Row, product, touch, write_element, write_slots};
use crate::circuit::{HORNER_PACKS, HORNER_SLOTS, Layout, PACK, coefficients};

/// Places of elements in a row: the packs, the accumulator after each of them from the last to the
/// first, the accumulator before, the first three powers of the point and by what a step raises.
const STEPS: usize = HORNER_PACKS * PACK;
const ACC: usize = 2 * STEPS;
const POWERS: usize = ACC + PACK;
const STEP: usize = POWERS + 3 * PACK;
const SLOTS: usize = HORNER_SLOTS;
/// Where a row says that its packs are coefficients.
const WHOLE: usize = 2 * SLOTS;

pub(super) const WIDTH: usize = STEP + PACK;
pub(super) const FIXED: usize = (WHOLE + 1).next_multiple_of(PACK);

const _: () = assert!(WIDTH.is_multiple_of(PACK));

pub(super) fn rows(layout: &Layout) -> usize {
    layout.horner.len()
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (row, cells) in layout.horner.iter().zip(cells.chunks_exact_mut(FIXED)) {
        write_slots(row.slots.iter(), &mut cells[..WHOLE]);
        cells[WHOLE] = Val::from_bool(row.whole);
    }
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    for (row, cells) in layout.horner.iter().zip(cells.chunks_exact_mut(WIDTH)) {
        let mut put = |place: usize, value| write_element(value, &mut cells[place..place + PACK]);
        let (packs, [acc, point, _]) = row.slots.split_at(HORNER_PACKS) else {
            unreachable!("three slots follow the packs")
        };
        let point = point.value(values);
        for (i, power) in point.powers().skip(1).take(3).enumerate() {
            put(POWERS + i * PACK, power);
        }
        let step = if row.whole { point } else { point.exp_u64(4) };
        put(STEP, step);
        let mut acc = acc.value(values);
        put(ACC, acc);
        for (i, pack) in packs.iter().enumerate().rev() {
            let pack = pack.value(values);
            put(i * PACK, pack);
            let entries = coefficients(pack);
            acc = if row.whole {
                acc * step + pack
            } else {
                let step = |acc, &entry: &Val| acc * point + Challenge::from(entry);
                entries.iter().rev().fold(acc, step)
            };
            put(STEPS + i * PACK, acc);
        }
    }
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    let powers: [[AB::Expr; PACK]; 3] = std::array::from_fn(|i| row.element(POWERS + i * PACK));
    let [one, two, three] = &powers;
    for (a, b, made) in [(one, one, two), (two, one, three)] {
        for (value, made) in product(a, b).into_iter().zip(made) {
            builder.assert_zero(value - made.clone());
        }
    }
    let whole = row.fixed[WHOLE].clone();
    // One thing in most rows, another in those of whole coefficients.
    let either = |most: AB::Expr, other: AB::Expr| most.clone() + whole.clone() * (other - most);
    let step = row.element(STEP);
    for ((four, one), step) in product(two, two).into_iter().zip(one).zip(&step) {
        builder.assert_zero(either(four, one.clone()) - step.clone());
    }
    // By what the last three numbers of a pack are multiplied.
    let weights: [[AB::Expr; PACK]; 3] = std::array::from_fn(|i| {
        let basis = |k: usize| AB::Expr::from_bool(k == i + 1);
        std::array::from_fn(|k| either(powers[i][k].clone(), basis(k)))
    });
    let [one, two, three] = &weights;
    let mut acc = row.element(ACC);
    for i in (0..HORNER_PACKS).rev() {
        let pack = row.element(i * PACK);
        let made = row.element(STEPS + i * PACK);
        let raised = product(&acc, &step);
        for (k, raised) in raised.into_iter().enumerate() {
            let [low, a, b, c] = pack.clone();
            let mut value = raised + one[k].clone() * a + two[k].clone() * b + three[k].clone() * c
                - made[k].clone();
            if k == 0 {
                value += low;
            }
            builder.assert_zero(value);
        }
        acc = made;
    }
    let places = (0..HORNER_PACKS)
        .map(|i| i * PACK)
        .chain([ACC, POWERS, STEPS]);
    for (slot, place) in places.enumerate() {
        let [index, times] = [slot, SLOTS + slot].map(|cell| row.fixed[cell].clone());
        touch(builder, index, times, row.element(place));
    }
}
