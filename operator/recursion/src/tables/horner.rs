//! 32 coefficients of a polynomial at a point, a row.
//!
//! `out = acc * point^32 + sum of packs[i][k] * point^(4 i + k)`, pack by pack from the last to the
//! first: `acc' = acc * point^4 + pack[0] + pack[1] * point + pack[2] * point^2 + pack[3] * point^3`.

use froben_circuits::config::{Challenge, Val};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;

use super::{Row, product, touch, write_element, write_slots};
use crate::circuit::{HORNER_PACKS, HORNER_SLOTS, Layout, PACK, coefficients};

/// Places of elements in a row: the packs, the accumulator after each of them from the last to the
/// first, the accumulator before, the first four powers of the point.
const STEPS: usize = HORNER_PACKS * PACK;
const ACC: usize = 2 * STEPS;
const POWERS: usize = ACC + PACK;
const SLOTS: usize = HORNER_SLOTS;

pub(super) const WIDTH: usize = POWERS + 4 * PACK;
pub(super) const FIXED: usize = (2 * SLOTS).next_multiple_of(PACK);

const _: () = assert!(WIDTH.is_multiple_of(PACK));

pub(super) fn rows(layout: &Layout) -> usize {
    layout.horner.len()
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (slots, cells) in layout.horner.iter().zip(cells.chunks_exact_mut(FIXED)) {
        write_slots(slots.iter(), cells);
    }
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    for (slots, cells) in layout.horner.iter().zip(cells.chunks_exact_mut(WIDTH)) {
        let mut put = |place: usize, value| write_element(value, &mut cells[place..place + PACK]);
        let (packs, [acc, point, _]) = slots.split_at(HORNER_PACKS) else {
            unreachable!("three slots follow the packs")
        };
        let point = point.value(values);
        for (i, power) in point.powers().skip(1).take(4).enumerate() {
            put(POWERS + i * PACK, power);
        }
        let mut acc = acc.value(values);
        put(ACC, acc);
        for (i, pack) in packs.iter().enumerate().rev() {
            let pack = pack.value(values);
            put(i * PACK, pack);
            acc = coefficients(pack)
                .iter()
                .rev()
                .fold(acc, |acc, &entry| acc * point + Challenge::from(entry));
            put(STEPS + i * PACK, acc);
        }
    }
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    let powers: [[AB::Expr; PACK]; 4] = std::array::from_fn(|i| row.element(POWERS + i * PACK));
    let [one, two, three, four] = &powers;
    for (a, b, made) in [(one, one, two), (two, one, three), (two, two, four)] {
        for (value, made) in product(a, b).into_iter().zip(made) {
            builder.assert_zero(value - made.clone());
        }
    }
    let mut acc = row.element(ACC);
    for i in (0..HORNER_PACKS).rev() {
        let pack = row.element(i * PACK);
        let made = row.element(STEPS + i * PACK);
        let raised = product(&acc, four);
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
