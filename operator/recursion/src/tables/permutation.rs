//! A Poseidon2 permutation a row, or a step of a Merkle path.
//!
//! A permutation takes and gives four packs. A step takes the two packs of a node and a bit; where
//! the bit is 0 the node is the left half of what is permuted, where it is 1 the right half, and the
//! other half, the sibling, is on no bus: the prover may choose it, as in any Merkle proof. A row's
//! *tag* is fixed: what is permuted has it added to the first element of the right half.

use std::borrow::Borrow;
use std::sync::LazyLock;

use froben_circuits::config::{Challenge, Val};
use froben_circuits::permutation_air::{
    PermutationAir, PermutationCols, STATE, permutation_air, permutation_output, permutation_rows,
};
use p3_air::{Air, WindowAccess};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;
use p3_maybe_rayon::prelude::*;
use p3_uni_stark::SubAirBuilder;

use super::{Row, lifted, touch, write_slots};
use crate::circuit::{CAPACITY, Layout, PACK, PermutationRow, Slot, coefficients};

const HALF: usize = STATE / 2;
const CELLS: usize = size_of::<PermutationCols<u8>>();
/// The node of a step; the left half in any case where there is no step.
const NODE: usize = CELLS;
const BIT: usize = NODE + HALF;

const INPUTS: usize = 4;
const OUTPUTS: usize = 4;
const SLOTS: usize = INPUTS + OUTPUTS + 1;
const IS_STEP: usize = 2 * SLOTS;
const TAG: usize = IS_STEP + 1;

pub(super) const WIDTH: usize = (BIT + 1).next_multiple_of(PACK);
pub(super) const FIXED: usize = (TAG + 1).next_multiple_of(PACK);

static AIR: LazyLock<PermutationAir> = LazyLock::new(permutation_air);

pub(super) fn rows(layout: &Layout) -> usize {
    layout.permutations.len()
}

pub(super) fn fill_fixed(layout: &Layout, cells: &mut [Val]) {
    for (row, cells) in layout
        .permutations
        .iter()
        .zip(cells.chunks_exact_mut(FIXED))
    {
        let mut slots = [Slot::default(); SLOTS];
        slots[..INPUTS].copy_from_slice(&row.input);
        slots[INPUTS..INPUTS + OUTPUTS].copy_from_slice(&row.output);
        slots[SLOTS - 1] = row.bit.unwrap_or_default();
        write_slots(slots.iter(), &mut cells[..IS_STEP]);
        cells[IS_STEP] = Val::from_bool(row.bit.is_some());
        cells[TAG] = row.tag;
    }
}

/// The permutation's input, and whether the node is its right half.
fn input(row: &PermutationRow, values: &[Challenge]) -> ([Val; STATE], bool) {
    let packs = row.state.map(|wire| coefficients(values[wire.index()]));
    let bit = row.bit.map_or(Challenge::ZERO, |bit| bit.value(values));
    let turned = bit == Challenge::ONE;
    let turn = if turned { HALF } else { 0 };
    let mut input: [Val; STATE] = std::array::from_fn(|i| {
        let i = i ^ turn;
        packs[i / PACK][i % PACK]
    });
    input[CAPACITY] += row.tag;
    (input, turned)
}

pub(super) fn fill(layout: &Layout, values: &[Challenge], cells: &mut [Val]) {
    let mut inputs: Vec<_> = layout
        .permutations
        .par_iter()
        .map(|row| input(row, values))
        .collect();
    inputs.resize(cells.len() / WIDTH, ([Val::ZERO; STATE], false));
    let permutations = permutation_rows(inputs.iter().map(|(input, _)| *input).collect());
    cells
        .par_chunks_exact_mut(WIDTH)
        .zip(permutations.values.par_chunks_exact(CELLS))
        .zip(&inputs)
        .for_each(|((cells, permutation), (input, turned))| {
            cells[..CELLS].copy_from_slice(permutation);
            let node = if *turned { HALF } else { 0 };
            cells[NODE..BIT].copy_from_slice(&input[node..node + HALF]);
            cells[BIT] = Val::from_bool(*turned);
        });
}

pub(super) fn eval<AB: InteractionBuilder<F = Val>>(builder: &mut AB, row: &Row<AB::Expr>)
where
    AB::Expr: Algebra<Val>,
{
    AIR.eval(&mut SubAirBuilder::<AB, PermutationAir, AB::Var>::new(
        builder,
        0..CELLS,
    ));
    let output: [AB::Expr; STATE] = {
        let main = builder.main();
        let cells: &PermutationCols<AB::Var> = main.current_slice()[..CELLS].borrow();
        permutation_output(cells).map(Into::into)
    };
    let input = &row.main[..STATE];
    let node = &row.main[NODE..BIT];
    let bit = row.main[BIT].clone();
    let is_step = row.fixed[IS_STEP].clone();

    // Where a step turns, its bit is one that the wire's other slots constrain; elsewhere it is 0.
    builder.assert_zero(bit.clone() * (AB::Expr::ONE - is_step));
    for (node, (left, right)) in node.iter().zip(input.iter().zip(&input[HALF..])) {
        let turned = left.clone() + bit.clone() * (right.clone() - left.clone());
        builder.assert_zero(turned - node.clone());
    }
    for cell in &row.main[BIT + 1..] {
        builder.assert_zero(cell.clone());
    }

    let packs = |cells: &[AB::Expr]| -> Vec<[AB::Expr; PACK]> { cells.as_chunks().0.to_vec() };
    let mut right = input[HALF..].to_vec();
    right[CAPACITY - HALF] -= row.fixed[TAG].clone();
    let values = packs(node)
        .into_iter()
        .chain(packs(&right))
        .chain(packs(&output))
        .chain([lifted(bit)]);
    for (slot, value) in values.enumerate() {
        let [index, times] = [slot, SLOTS + slot].map(|cell| row.fixed[cell].clone());
        touch(builder, index, times, value);
    }
}
