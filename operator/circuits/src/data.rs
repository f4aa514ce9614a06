//! Which bytes of a row are data: a gadget shared by the circuits.
//!
//! Data is a prefix of all byte places of a trace, in order. Each row has one flag per byte place,
//! falling from 1 to 0 at most once, and a carried cell `open` that says whether data had not ended
//! before the row. The place after the last byte of data is where a hash's padding begins.

use p3_air::AirBuilder;
use p3_air::utils::pack_bits_le;
use p3_field::PrimeCharacteristicRing;

use crate::config::Val;

/// The gadget's cells in one row of `K` byte places.
#[derive(Clone, Copy)]
pub(crate) struct Columns<T, const K: usize> {
    /// 1 if all byte places before this row are data.
    pub(crate) open: T,
    /// 1 for each byte place that is data.
    pub(crate) flags: [T; K],
}

impl<T: Copy, const K: usize> Columns<T, K> {
    /// Cells that the gadget takes.
    pub(crate) const COUNT: usize = 1 + K;

    /// Reads the cells from a row's slice of [`Self::COUNT`].
    pub(crate) fn read(cells: &[T]) -> Self {
        Self {
            open: cells[0],
            flags: core::array::from_fn(|j| cells[1 + j]),
        }
    }
}

/// Constrains the flags; `absorbs` is 1 on rows that take bytes and 0 on others.
///
/// On a row that takes none all flags are 0. The degree of `absorbs` must be 1.
pub(crate) fn eval<AB: AirBuilder<F = Val>, const K: usize>(
    builder: &mut AB,
    local: &Columns<AB::Var, K>,
    next: &Columns<AB::Var, K>,
    absorbs: AB::Expr,
) {
    let open: AB::Expr = local.open.into();
    let last: AB::Expr = local.flags[K - 1].into();

    builder.assert_bool(open.clone());
    builder.when_first_row().assert_one(open.clone());
    builder.when_transition().assert_eq(
        next.open,
        open.clone() + absorbs.clone() * (last - open.clone()),
    );

    builder
        .when(AB::Expr::ONE - absorbs)
        .assert_zero(local.flags[0]);
    let mut before = open;
    for flag in local.flags {
        builder.assert_bool(flag);
        builder.when(AB::Expr::ONE - before).assert_zero(flag);
        before = flag.into();
    }
}

/// 1 at the first byte place after the data, if it lies in this row; degree 1, and 2 at place 0.
///
/// Only meaningful where the flag itself is 0.
pub(crate) fn first_after<AB: AirBuilder<F = Val>, const K: usize>(
    local: &Columns<AB::Var, K>,
    absorbs: AB::Expr,
) -> [AB::Expr; K] {
    core::array::from_fn(|j| {
        let before = match j {
            0 => absorbs.clone() * local.open,
            _ => local.flags[j - 1].into(),
        };
        before - local.flags[j]
    })
}

/// Bytes from their bits, least significant first.
///
/// *Shape*: eight bits per byte.
pub(crate) fn bytes_of_bits<AB: AirBuilder<F = Val>, const K: usize>(
    bits: &[AB::Var],
) -> [AB::Expr; K] {
    debug_assert_eq!(bits.len(), 8 * K);
    core::array::from_fn(|j| pack_bits_le(bits[8 * j..8 * (j + 1)].iter().copied()))
}

/// The bytes, 0 where they are not data; degree one more than theirs.
pub(crate) fn masked<AB: AirBuilder<F = Val>, const K: usize>(
    bytes: &[AB::Expr; K],
    local: &Columns<AB::Var, K>,
) -> [AB::Expr; K] {
    core::array::from_fn(|j| bytes[j].clone() * local.flags[j])
}

/// How many of the row's bytes are data.
pub(crate) fn count<AB: AirBuilder<F = Val>, const K: usize>(
    local: &Columns<AB::Var, K>,
) -> AB::Expr {
    local.flags.iter().map(|&flag| flag.into()).sum()
}

/// Fills the gadget's cells of a row.
pub(crate) fn fill(cells: &mut [Val], open: bool, is_data: &[bool]) {
    cells[0] = Val::from_bool(open);
    for (cell, &is_data) in cells[1..].iter_mut().zip(is_data) {
        *cell = Val::from_bool(is_data);
    }
}
