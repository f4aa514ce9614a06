//! The tables that prove a circuit: one AIR each, together on one bus.
//!
//! | Table | A row is | Height |
//! |---|---|---|
//! | `alu` | three gates | tall |
//! | `permutation` | a Poseidon2 permutation or a step of a Merkle path | tall |
//! | `horner` | 32 coefficients of a polynomial at a point, or 8 of the challenge field | short |
//! | `parts` | two packs and their elements | short |
//! | `choice` | a member of a list, or a choice from one | short |
//! | `plain` | a constant; the first row also the public values | short |
//!
//! Two heights only, because each height that differs costs a verifier a Merkle step, an inverse and
//! a fold for every query. Widths are multiples of four, so that opened rows are whole packs and are
//! hashed as they lie. What a row does, and which wires it touches, is preprocessed: it is part of
//! the circuit and of its key, and the prover has no say in it.
//!
//! No constraint has a degree above [`MAX_DEGREE`], and none reads a second row.

mod alu;
mod choice;
mod horner;
mod parts;
mod permutation;
mod plain;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use froben_circuits::config::{Challenge, Val};
use p3_air::{Air, AirBuilder, BaseAir};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::{Circuit, Layout, Op, PACK, PUBLIC_WIRES, Slot, coefficients};

/// The highest degree of a constraint; a proof has two quotient chunks a table.
pub const MAX_DEGREE: usize = 3;

/// The bus that carries wires: number and four coefficients.
const WIRES: &str = "wire";
/// The bus that carries members of lists: list, position and four coefficients.
const MEMBERS: &str = "member";

/// A table of the circuit machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Arithmetic.
    Alu,
    /// Poseidon2.
    Permutation,
    /// Polynomials at points.
    Horner,
    /// Packs and their elements.
    Parts,
    /// Lists and choices from them.
    Choice,
    /// Constants and public values.
    Plain,
}

/// Evaluates `$body` with `$module` bound to the module of `$table`.
macro_rules! of {
    ($table:expr, $item:ident $args:tt) => {
        match $table {
            Table::Alu => alu::$item $args,
            Table::Permutation => permutation::$item $args,
            Table::Horner => horner::$item $args,
            Table::Parts => parts::$item $args,
            Table::Choice => choice::$item $args,
            Table::Plain => plain::$item $args,
        }
    };
}

/// Heights of the tables, base two: all circuits of one shape have the same.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Heights {
    /// Of `alu` and `permutation`.
    pub tall: usize,
    /// Of all others.
    pub short: usize,
}

impl Table {
    /// Every table, in the order of all proofs.
    pub const ALL: [Self; 6] = [
        Self::Alu,
        Self::Permutation,
        Self::Horner,
        Self::Parts,
        Self::Choice,
        Self::Plain,
    ];

    /// The name that errors and figures carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alu => "alu",
            Self::Permutation => "permutation",
            Self::Horner => "horner",
            Self::Parts => "parts",
            Self::Choice => "choice",
            Self::Plain => "plain",
        }
    }

    /// Height of the table, base two.
    #[must_use]
    pub const fn log_height(self, heights: Heights) -> usize {
        match self {
            Self::Alu | Self::Permutation => heights.tall,
            _ => heights.short,
        }
    }

    /// Columns of the trace.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Alu => alu::WIDTH,
            Self::Permutation => permutation::WIDTH,
            Self::Horner => horner::WIDTH,
            Self::Parts => parts::WIDTH,
            Self::Choice => choice::WIDTH,
            Self::Plain => plain::WIDTH,
        }
    }

    /// Columns that the circuit fixes.
    #[must_use]
    pub const fn fixed_width(self) -> usize {
        match self {
            Self::Alu => alu::FIXED,
            Self::Permutation => permutation::FIXED,
            Self::Horner => horner::FIXED,
            Self::Parts => parts::FIXED,
            Self::Choice => choice::FIXED,
            Self::Plain => plain::FIXED,
        }
    }

    /// Public values.
    #[must_use]
    pub const fn publics(self) -> usize {
        match self {
            Self::Plain => PUBLIC_WIRES * PACK,
            _ => 0,
        }
    }

    /// Rows that the operations take.
    pub(crate) fn rows(self, layout: &Layout) -> usize {
        of!(self, rows(layout))
    }

    /// The columns that the circuit fixes.
    pub(crate) fn fixed(self, layout: &Layout, heights: Heights) -> RowMajorMatrix<Val> {
        let width = self.fixed_width();
        let mut values = Val::zero_vec(width << self.log_height(heights));
        of!(self, fill_fixed(layout, &mut values));
        RowMajorMatrix::new(values, width)
    }

    /// The trace of these values of the wires.
    pub(crate) fn trace(
        self,
        layout: &Layout,
        heights: Heights,
        values: &[Challenge],
    ) -> RowMajorMatrix<Val> {
        let width = self.width();
        let mut trace = Val::zero_vec(width << self.log_height(heights));
        of!(self, fill(layout, values, &mut trace));
        RowMajorMatrix::new(trace, width)
    }
}

/// Rows that a circuit takes in each table.
#[must_use]
pub fn rows(circuit: &Circuit) -> Vec<(Table, usize)> {
    let layout = Layout::new(circuit);
    Table::ALL
        .into_iter()
        .map(|table| (table, table.rows(&layout)))
        .collect()
}

/// Operations of each kind in each part of a circuit, alike parts together: gates, Horner steps,
/// permutations, packs with their elements.
#[must_use]
pub fn operations(circuit: &Circuit) -> BTreeMap<String, [usize; 4]> {
    let mut parts = BTreeMap::new();
    for (name, ops) in circuit.parts() {
        let name = name.trim_end_matches(|end: char| end.is_ascii_digit());
        let counts: &mut [usize; 4] = parts.entry(name.to_owned()).or_default();
        for op in ops {
            match op {
                Op::Gate { .. } => counts[0] += 1,
                Op::Horner { .. } => counts[1] += 1,
                Op::Permutation { .. } | Op::MerkleStep { .. } => counts[2] += 1,
                Op::Parts { .. } => counts[3] += 1,
                Op::Constant { .. } | Op::Input { .. } | Op::Hint(_) | Op::Choice { .. } => {}
            }
        }
    }
    parts
}

impl Heights {
    /// The smallest heights that a circuit fits.
    #[must_use]
    pub fn needed(circuit: &Circuit) -> Self {
        Self::of(&Layout::new(circuit))
    }

    pub(crate) fn of(layout: &Layout) -> Self {
        /// Below this a trace has no more rows than the final polynomial has coefficients.
        const LEAST: usize = 4;
        let log = |tall: bool| {
            let rows = Table::ALL
                .into_iter()
                .filter(|table| matches!(table, Table::Alu | Table::Permutation) == tall)
                .map(|table| table.rows(layout))
                .max();
            let rows = rows.expect("invariant: tables of both heights");
            p3_util::log2_ceil_usize(rows.max(1)).max(LEAST)
        };
        Self {
            tall: log(true),
            short: log(false),
        }
    }

    /// The smallest heights that hold both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            tall: self.tall.max(other.tall),
            short: self.short.max(other.short),
        }
    }

    /// Whether circuits of these heights fit into `other`'s.
    #[must_use]
    pub const fn fit(self, other: Self) -> bool {
        self.tall <= other.tall && self.short <= other.short
    }
}

/// A table with what a circuit fixes in it, where that is at hand: the prover's and the key maker's
/// have it, a verifier's do not.
#[derive(Clone, Debug)]
pub struct TableAir {
    table: Table,
    fixed: Option<RowMajorMatrix<Val>>,
}

impl TableAir {
    /// The table as a verifier knows it.
    #[must_use]
    pub const fn new(table: Table) -> Self {
        Self { table, fixed: None }
    }

    pub(crate) const fn with_fixed(table: Table, fixed: RowMajorMatrix<Val>) -> Self {
        Self {
            table,
            fixed: Some(fixed),
        }
    }

    /// Which table it is.
    #[must_use]
    pub const fn table(&self) -> Table {
        self.table
    }
}

impl BaseAir<Val> for TableAir {
    fn width(&self) -> usize {
        self.table.width()
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        self.fixed.clone()
    }

    fn preprocessed_width(&self) -> usize {
        self.table.fixed_width()
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn num_public_values(&self) -> usize {
        self.table.publics()
    }
}

impl<AB: InteractionBuilder<F = Val>> Air<AB> for TableAir {
    fn eval(&self, builder: &mut AB) {
        let row = Row::read(builder);
        of!(self.table, eval(builder, &row));
    }
}

/// One row, as expressions.
struct Row<E> {
    main: Vec<E>,
    fixed: Vec<E>,
}

impl<E: Algebra<Val>> Row<E> {
    fn read<AB: AirBuilder<F = Val, Expr = E>>(builder: &AB) -> Self {
        use p3_air::WindowAccess;
        let main = builder.main();
        Self {
            main: main
                .current_slice()
                .iter()
                .map(|&cell| cell.into())
                .collect(),
            fixed: builder
                .preprocessed()
                .current_slice()
                .iter()
                .map(|&cell| cell.into())
                .collect(),
        }
    }

    /// Four neighbouring cells: an element of the challenge field.
    fn element(&self, first: usize) -> [E; PACK] {
        std::array::from_fn(|k| self.main[first + k].clone())
    }
}

/// The product of two elements of the challenge field.
fn product<E: Algebra<Val>>(a: &[E; PACK], b: &[E; PACK]) -> [E; PACK] {
    let w = Val::from_u8(11);
    std::array::from_fn(|k| {
        let (mut low, mut high) = (E::ZERO, E::ZERO);
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                if i + j == k {
                    low += a.clone() * b.clone();
                } else if i + j == k + PACK {
                    high += a.clone() * b.clone();
                }
            }
        }
        low + high * w
    })
}

/// Puts a slot's wire on the bus.
fn touch<AB: InteractionBuilder<F = Val>>(
    builder: &mut AB,
    index: AB::Expr,
    times: AB::Expr,
    value: [AB::Expr; PACK],
) {
    let message = std::iter::once(index).chain(value);
    // The count is preprocessed: a slot that vouches has a negative one that no prover chose, and the
    // reads of a wire, one a slot, are what has to stay below the characteristic.
    builder.push_interaction(WIRES, message, Count::bounded(times, 1));
}

/// A base element as an element of the challenge field.
fn lifted<E: Algebra<Val>>(value: E) -> [E; PACK] {
    [value, E::ZERO, E::ZERO, E::ZERO]
}

/// Writes index and count of slots: all indices, then all counts.
fn write_slots<'a>(slots: impl ExactSizeIterator<Item = &'a Slot>, cells: &mut [Val]) {
    let count = slots.len();
    for (i, slot) in slots.enumerate() {
        cells[i] = slot.index();
        cells[count + i] = slot.times();
    }
}

/// Writes an element of the challenge field.
fn write_element(value: Challenge, cells: &mut [Val]) {
    cells.copy_from_slice(&coefficients(value));
}
