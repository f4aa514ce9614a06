//! Three gates a row.
//!
//! `out = mul * a * b + a_times * a + b_times * b + d_times * d + constant` over the challenge field,
//! with preprocessed numbers of the base field.

use froben_circuits::config::{Challenge, Val};
use p3_field::Algebra;
use p3_lookup::InteractionBuilder;
use p3_maybe_rayon::prelude::*;

use super::{Row, product, touch, write_element, write_slots};
use crate::circuit::{Layout, PACK};

/// As many as a row of the permutation table needs beside it: more would stand empty.
pub(super) const LANES: usize = 3;
const SLOTS: usize = 4;
const LANE: usize = SLOTS * PACK;
const NUMBERS: usize = 5;
const FIXED_LANE: usize = 2 * SLOTS + NUMBERS;

pub(super) const WIDTH: usize = LANES * LANE;
pub(super) const FIXED: usize = (LANES * FIXED_LANE).next_multiple_of(PACK);

pub(super) fn rows(layout: &Layout) -> usize {
    layout.gates.len().div_ceil(LANES)
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    let rows = cells.chunks_exact_mut(FIXED);
    let lanes = rows.flat_map(|row| row.chunks_exact_mut(FIXED_LANE));
    for (gate, cells) in layout.gates.iter().zip(lanes) {
        write_slots(gate.slots.iter(), &mut cells[..2 * SLOTS]);
        let numbers = &gate.coefficients;
        cells[2 * SLOTS..].copy_from_slice(&[
            numbers.mul,
            numbers.a,
            numbers.b,
            numbers.d,
            numbers.constant,
        ]);
    }
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    cells
        .par_chunks_exact_mut(LANE)
        .zip(&layout.gates)
        .for_each(|(cells, gate)| {
            for (slot, cells) in gate.slots.iter().zip(cells.chunks_exact_mut(PACK)) {
                write_element(slot.value(values), cells);
            }
        });
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    for lane in 0..LANES {
        let element = |slot: usize| row.element(lane * LANE + slot * PACK);
        let [a, b, d, out] = [0, 1, 2, 3].map(element);
        let fixed = &row.fixed[lane * FIXED_LANE..][..FIXED_LANE];
        let (slots, numbers) = fixed.split_at(2 * SLOTS);
        let ab = product(&a, &b);
        for k in 0..PACK {
            let mut value = numbers[0].clone() * ab[k].clone()
                + numbers[1].clone() * a[k].clone()
                + numbers[2].clone() * b[k].clone()
                + numbers[3].clone() * d[k].clone();
            if k == 0 {
                value += numbers[4].clone();
            }
            builder.assert_zero(value - out[k].clone());
        }
        for (i, value) in [a, b, d, out].into_iter().enumerate() {
            touch(builder, slots[i].clone(), slots[SLOTS + i].clone(), value);
        }
    }
}

const _: () = assert!(WIDTH.is_multiple_of(PACK));
