//! Constants, one a row, and on the first row the public values.
//!
//! The trace itself is empty: all that this table puts on the bus is fixed or public.

use froben_circuits::config::{Challenge, Val};
use p3_field::Algebra;
use p3_lookup::InteractionBuilder;

use super::{Row, touch, write_element, write_slots};
use crate::circuit::{Layout, PACK, PUBLIC_WIRES};

/// Columns that are fixed: slot and value of a constant, then for each public wire its number and its
/// count, which are 0 on every row but the first.
const VALUE: usize = 2;
const PUBLICS: usize = VALUE + PACK;

pub(super) const WIDTH: usize = PACK;
pub(super) const FIXED: usize = (PUBLICS + 2 * PUBLIC_WIRES).next_multiple_of(PACK);

pub(super) fn rows(layout: &Layout) -> usize {
    layout.constants.len()
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (row, cells) in layout.constants.iter().zip(cells.chunks_exact_mut(FIXED)) {
        write_slots(std::iter::once(&row.slot), &mut cells[..VALUE]);
        write_element(row.value, &mut cells[VALUE..PUBLICS]);
    }
    for (i, slot) in layout.publics.iter().enumerate() {
        cells[PUBLICS + i] = slot.index();
        cells[PUBLICS + PUBLIC_WIRES + i] = slot.times();
    }
}

pub(super) fn fill(_: &Layout, _: &[Challenge], _: &mut [Val]) {}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    for cell in &row.main {
        builder.assert_zero(cell.clone());
    }
    let value = std::array::from_fn(|k| row.fixed[VALUE + k].clone());
    touch(builder, row.fixed[0].clone(), row.fixed[1].clone(), value);
    let publics: Vec<AB::Expr> = builder.public_values().iter().map(|&v| v.into()).collect();
    for (i, value) in publics.as_chunks().0.iter().enumerate() {
        let index = row.fixed[PUBLICS + i].clone();
        let times = row.fixed[PUBLICS + PUBLIC_WIRES + i].clone();
        touch(builder, index, times, value.clone());
    }
}
