//! Two packs a row, each with its four base elements.

use froben_circuits::config::{Challenge, Val};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;

use super::{Row, lifted, touch, write_element, write_slots};
use crate::circuit::{Layout, PACK};

const LANES: usize = 2;
const SLOTS: usize = 1 + PACK;
/// Where a lane says that its elements are bits.
const BITS: usize = 2 * SLOTS;
const FIXED_LANE: usize = BITS + 2;

pub(super) const WIDTH: usize = LANES * PACK;
pub(super) const FIXED: usize = LANES * FIXED_LANE;

const _: () = assert!(FIXED.is_multiple_of(PACK));

pub(super) fn rows(layout: &Layout) -> usize {
    layout.parts.len().div_ceil(LANES)
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (row, cells) in layout.parts.iter().zip(cells.chunks_exact_mut(FIXED_LANE)) {
        let mut slots = [row.pack; SLOTS];
        slots[1..].copy_from_slice(&row.entries);
        write_slots(slots.iter(), &mut cells[..BITS]);
        cells[BITS] = Val::from_bool(row.bits);
    }
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    for (row, cells) in layout.parts.iter().zip(cells.chunks_exact_mut(PACK)) {
        write_element(row.pack.value(values), cells);
    }
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    for lane in 0..LANES {
        let pack = row.element(lane * PACK);
        let fixed = &row.fixed[lane * FIXED_LANE..][..FIXED_LANE];
        for entry in &pack {
            builder
                .assert_zero(fixed[BITS].clone() * entry.clone() * (entry.clone() - AB::Expr::ONE));
        }
        let entries = pack.clone().map(lifted);
        for (slot, value) in std::iter::once(pack).chain(entries).enumerate() {
            touch(
                builder,
                fixed[slot].clone(),
                fixed[SLOTS + slot].clone(),
                value,
            );
        }
    }
}
