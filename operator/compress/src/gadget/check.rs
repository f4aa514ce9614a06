//! Whether the values on a board satisfy what was asked for, without halo2.
//!
//! It takes milliseconds where halo2's mock prover takes seconds, and says the same: gates, equalities, look-ups
//! and calls are all that the circuit is made of. A prover asks it first, since halo2 finds out late.

use halo2_base::ContextCell;
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;

use super::Board;
use super::rounds::permute_rounds;

/// What is not satisfied first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A gate a + b * c = d, by its first cell.
    Gate(usize),
    /// Two cells that should be equal.
    Equality(usize, usize),
    /// A cell that should hold a constant.
    Constant(usize),
    /// A number that is not in the table, by its place among those looked up.
    LookUp(usize),
    /// A call of the permutation.
    Call(usize),
}

impl Board {
    /// Checks all constraints on the values.
    ///
    /// # Errors
    /// The first that is violated.
    ///
    /// # Panics
    /// On a board for proving, which holds no constraints.
    pub fn check(&self) -> Result<(), Violation> {
        let manager = &self.base.core().phase_manager[0];
        assert!(!manager.witness_gen_only(), "a board without constraints");
        let [context] = manager.threads.as_slice() else {
            unreachable!("invariant: all cells are in one context");
        };
        let cells: Vec<Fr> = context.advice.iter().map(|cell| cell.evaluate()).collect();
        for (i, _) in context.selector.iter().enumerate().filter(|(_, on)| **on) {
            if cells[i] + cells[i + 1] * cells[i + 2] != cells[i + 3] {
                return Err(Violation::Gate(i));
            }
        }
        let at = |cell: &ContextCell| cell.offset;
        let copies = manager
            .copy_manager
            .lock()
            .expect("invariant: no thread of halo2 panicked");
        for (a, b) in &copies.advice_equalities {
            if cells[at(a)] != cells[at(b)] {
                return Err(Violation::Equality(at(a), at(b)));
            }
        }
        for (constant, cell) in &copies.constant_equalities {
            if cells[at(cell)] != *constant {
                return Err(Violation::Constant(at(cell)));
            }
        }
        let table = Fr::from(1 << self.lookup_bits());
        let looked_up = self.base.lookup_manager()[0].cells_to_lookup.lock();
        let looked_up = looked_up.expect("invariant: no thread of halo2 panicked");
        for (i, [cell]) in looked_up.values().flatten().enumerate() {
            if *cell.value() >= table {
                return Err(Violation::LookUp(i));
            }
        }
        for (i, call) in self.calls.iter().enumerate() {
            if permute_rounds(call.input.map(|cell| *cell.value()))
                != call.output.map(|cell| *cell.value())
            {
                return Err(Violation::Call(i));
            }
        }
        Ok(())
    }

    /// Cells whose value could be any other without a violation: there must be none. A look-up does not bind a cell to
    /// one value and does not count.
    #[must_use]
    pub fn free_cells(&self) -> Vec<usize> {
        let context = &self.base.core().phase_manager[0].threads[0];
        let cells: Vec<Fr> = context.advice.iter().map(|cell| cell.evaluate()).collect();
        let mut bound = vec![false; cells.len()];
        for (i, _) in context.selector.iter().enumerate().filter(|(_, on)| **on) {
            let [b, c] = [1, 2].map(|j| cells[i + j] != Fr::zero());
            for (j, binds) in [true, c, b, true].into_iter().enumerate() {
                bound[i + j] |= binds;
            }
        }
        let copies = context
            .copy_manager
            .lock()
            .expect("invariant: no thread of halo2 panicked");
        let pairs = copies.advice_equalities.iter().flat_map(|(a, b)| [a, b]);
        let copied = pairs.chain(copies.constant_equalities.iter().map(|(_, cell)| cell));
        copied.for_each(|cell| bound[cell.offset] = true);
        let ends = self
            .calls
            .iter()
            .flat_map(|call| call.input.iter().chain(&call.output));
        ends.filter_map(|cell| cell.cell)
            .for_each(|cell| bound[cell.offset] = true);
        (0..cells.len()).filter(|&i| !bound[i]).collect()
    }
}
