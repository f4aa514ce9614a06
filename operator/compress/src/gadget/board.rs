//! The circuit under construction: cells of the vertical gate, look-ups, calls of the permutation.

use std::collections::HashMap;

use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::{RangeChip, RangeInstructions};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::{AssignedValue, Context, QuantumCell};
use p3_util::log2_ceil_usize;

use super::{Base, Call};

/// Cells and calls in the order in which they were asked for. Which cells there are depends on the shape
/// of what is verified alone, never on values.
pub struct Board {
    pub(crate) base: BaseCircuitBuilder<Fr>,
    range: RangeChip<Fr>,
    lookup_bits: usize,
    pub(crate) calls: Vec<Call>,
    /// Integers there are, and what those that were reduced were reduced to.
    pub(super) integers: u32,
    pub(super) reduced: HashMap<u32, Base>,
}

impl Board {
    /// An empty board whose look-up table holds the numbers below 2^`lookup_bits`.
    ///
    /// # Panics
    /// Unless two limbs of `lookup_bits` hold 31 bits, and P - 1 = 15 * 2^27 is a multiple of 2^`lookup_bits`.
    #[must_use]
    pub fn new(stage: CircuitBuilderStage, lookup_bits: usize) -> Self {
        assert!(
            (16..=27).contains(&lookup_bits),
            "a table of 2^{lookup_bits} numbers"
        );
        let base = BaseCircuitBuilder::from_stage(stage)
            .use_lookup_bits(lookup_bits)
            .use_instance_columns(1);
        Self {
            range: base.range_chip(),
            base,
            lookup_bits,
            calls: vec![],
            integers: 0,
            reduced: HashMap::new(),
        }
    }

    pub(crate) const fn lookup_bits(&self) -> usize {
        self.lookup_bits
    }

    /// The base of limbs: 2^`lookup_bits`.
    pub(crate) fn radix(&self) -> Fr {
        Fr::from(1 << self.lookup_bits)
    }

    pub(crate) const fn range(&self) -> &RangeChip<Fr> {
        &self.range
    }

    /// The cells.
    pub(crate) fn main(&mut self) -> &mut Context<Fr> {
        self.base.main(0)
    }

    /// Makes `cell` a public input, after those made before.
    pub fn expose(&mut self, cell: AssignedValue<Fr>) {
        self.base.assigned_instances[0].push(cell);
    }

    /// Constrains `cell` to be below 2^`lookup_bits`.
    pub(crate) fn look_up(&mut self, cell: AssignedValue<Fr>) {
        let bits = self.lookup_bits;
        let range = &self.range;
        range.range_check(self.base.main(0), cell, bits);
    }

    /// `start` plus the products: one gate for each.
    pub(crate) fn chain<B, C>(
        &mut self,
        start: impl Into<QuantumCell<Fr>>,
        products: impl IntoIterator<Item = (B, C)>,
    ) -> AssignedValue<Fr>
    where
        B: Into<QuantumCell<Fr>>,
        C: Into<QuantumCell<Fr>>,
    {
        let start = start.into();
        let mut sum = *start.value();
        let mut cells = vec![start];
        for (b, c) in products {
            let (b, c) = (b.into(), c.into());
            sum += *b.value() * c.value();
            cells.extend([b, c, QuantumCell::Witness(sum)]);
        }
        let gates = (0..cells.len() as isize - 1).step_by(3);
        self.main().assign_region_last(cells, gates)
    }

    /// Constrains that a + b * c = d.
    pub(crate) fn gate(&mut self, [a, b, c, d]: [QuantumCell<Fr>; 4]) {
        self.main().assign_region([a, b, c, d], [0]);
    }

    /// The cell that was put `back` places before the end, counted from 1.
    pub(crate) fn back(&mut self, back: isize) -> AssignedValue<Fr> {
        self.main().get(-back)
    }
}

/// Bits that n numbers of one bit more at most add to their sum.
pub(crate) fn sum_bits(terms: usize) -> u32 {
    log2_ceil_usize(terms) as u32
}
