//! A member of a list, or a choice from one.
//!
//! Lists live on a bus of their own. A member's row offers `(list, position, value)` as often as the
//! prover says, a choosing row takes it once. So the chosen value is some member's of that list at
//! that position, and a position that no member has cannot be chosen.

use froben_circuits::config::{Challenge, Val};
use p3_field::{Algebra, PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{Count, InteractionBuilder};

use super::{MEMBERS, Row, lifted, touch, write_element, write_slots};
use crate::circuit::{Layout, PACK, base};

/// Columns: value, position, uses of a member.
const POSITION: usize = PACK;
const USES: usize = PACK + 1;
/// Columns that are fixed: slots of position and value, list, position of a member, whether the row
/// is a member, whether it chooses.
const LIST: usize = 4;
const PLACE: usize = 5;
const IS_MEMBER: usize = 6;
const CHOOSES: usize = 7;

pub(super) const WIDTH: usize = 8;
pub(super) const FIXED: usize = 8;

pub(super) fn rows(layout: &Layout) -> usize {
    layout.choices.len()
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (row, cells) in layout.choices.iter().zip(cells.chunks_exact_mut(FIXED)) {
        write_slots([row.position, row.value].iter(), &mut cells[..LIST]);
        cells[LIST] = Val::from_usize(row.list);
        cells[PLACE] = Val::from_usize(row.member.unwrap_or(0));
        cells[IS_MEMBER] = Val::from_bool(row.member.is_some());
        cells[CHOOSES] = Val::from_bool(row.member.is_none());
    }
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    // Where each list's members begin: they stand together, in order.
    let mut first = Vec::new();
    for (row, choice) in layout.choices.iter().enumerate() {
        if choice.member == Some(0) {
            first.resize(choice.list + 1, row);
            first[choice.list] = row;
        }
    }
    for (row, choice) in layout.choices.iter().enumerate() {
        let cells_of = |row: usize| row * WIDTH..(row + 1) * WIDTH;
        let position = match choice.member {
            Some(place) => Val::from_usize(place),
            None => {
                let position = base(choice.position.value(values));
                position.expect("invariant: computed as a position")
            }
        };
        write_element(
            choice.value.value(values),
            &mut cells[cells_of(row)][..PACK],
        );
        cells[cells_of(row)][POSITION] = position;
        if choice.member.is_none() {
            let member = first[choice.list] + position.as_canonical_u32() as usize;
            cells[cells_of(member)][USES] += Val::ONE;
        }
    }
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    let value = row.element(0);
    let [position, uses] = [POSITION, USES].map(|cell| row.main[cell].clone());
    let fixed = |cell: usize| row.fixed[cell].clone();
    builder.assert_zero(fixed(IS_MEMBER) * (position.clone() - fixed(PLACE)));
    // Cells that nothing uses.
    for cell in &row.main[USES + 1..] {
        builder.assert_zero(cell.clone());
    }
    touch(builder, fixed(0), fixed(2), lifted(position.clone()));
    touch(builder, fixed(1), fixed(3), value.clone());
    let message = || {
        [fixed(LIST), position.clone()]
            .into_iter()
            .chain(value.clone())
    };
    builder.push_interaction(MEMBERS, message(), Count::bounded(fixed(CHOOSES), 1));
    builder.push_interaction(
        MEMBERS,
        message(),
        Count::provided(-(fixed(IS_MEMBER) * uses)),
    );
}
