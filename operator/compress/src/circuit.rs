//! The halo2 circuit: the board's columns and the permutation's, in one constraint system.

use halo2_base::gates::circuit::{
    BaseCircuitParams, BaseConfig, CircuitBuilderStage, MaybeRangeConfig,
};
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_base::halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::halo2_proofs::plonk::{self, Circuit, ConstraintSystem};
use halo2_base::virtual_region::manager::VirtualRegionManager;
use serde::{Deserialize, Serialize};

use crate::gadget::rounds::RoundsConfig;
use crate::gadget::{Board, Violation};
use crate::verifier::{Shape, Values};

/// Rows at the end of each column that blinding takes.
const BLINDED: usize = 20;
/// The degree of the constraint system. Look-ups need 4; with 5 the copy argument takes three columns a product
/// instead of two, on the same domain.
const DEGREE: usize = 5;

/// How many rows and columns the circuit has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Columns {
    pub(crate) base: BaseCircuitParams,
    /// Lanes of the permutation, of four columns each.
    pub(crate) lanes: usize,
    pub(crate) break_points: MultiPhaseThreadBreakPoints,
}

impl Columns {
    /// Rows, base two.
    #[must_use]
    pub const fn k(&self) -> u32 {
        self.base.k as u32
    }

    /// Columns for the vertical gate, for look-ups and for the permutation.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let sum = |counts: &[usize]| counts.iter().sum();
        [
            sum(&self.base.num_advice_per_phase),
            sum(&self.base.num_lookup_advice_per_phase),
            4 * self.lanes,
        ]
    }
}

/// The circuit that verifies one proof of the last layer.
pub struct Wrap {
    pub(crate) board: Board,
    pub(crate) columns: Columns,
}

impl Wrap {
    /// Lays the circuit of `shape` in 2^k rows, with the values of a proof.
    #[must_use]
    pub fn new(shape: &Shape, values: &Values, k: u32, stage: CircuitBuilderStage) -> Self {
        let lookup_bits = lookup_bits(k);
        let mut board = Board::new(stage, lookup_bits);
        board.base.set_k(k as usize);
        board.verify(shape, values);
        let base = board.base.calculate_params(Some(BLINDED));
        let rows = (1 << k) - BLINDED;
        let lanes = board
            .calls
            .len()
            .div_ceil(rows / crate::gadget::rounds::ROWS);
        let columns = Columns {
            base,
            lanes,
            break_points: vec![],
        };
        Self { board, columns }
    }

    /// The columns, with where the board's one column is broken into several: known once keys were generated.
    pub(crate) fn columns_with_break_points(&self) -> Columns {
        Columns {
            break_points: self.board.base.break_points(),
            ..self.columns.clone()
        }
    }

    /// The circuit in the columns of a key.
    pub(crate) fn with_columns(mut self, columns: &Columns) -> Self {
        self.board
            .base
            .set_break_points(columns.break_points.clone());
        self.columns = columns.clone();
        self
    }

    /// Cells that no constraint binds, as [`Board::free_cells`] finds them.
    #[must_use]
    pub fn free_cells(&self) -> Vec<usize> {
        self.board.free_cells()
    }

    /// How many rows and columns it has.
    #[must_use]
    pub const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Checks all constraints on the values, without halo2.
    ///
    /// # Errors
    /// The first that is violated.
    pub fn check(&self) -> Result<(), Violation> {
        self.board.check()
    }

    /// The public inputs, in their order.
    #[must_use]
    pub fn instances(&self) -> Vec<Fr> {
        self.board.base.assigned_instances[0]
            .iter()
            .map(|cell| *cell.value())
            .collect()
    }

    /// Cells of the vertical gate, cells that are looked up, and calls of the permutation.
    #[must_use]
    pub fn sizes(&self) -> [usize; 3] {
        let statistics = self.board.base.statistics();
        [
            statistics.gate.total_advice_per_phase.iter().sum(),
            statistics.total_lookup_advice_per_phase.iter().sum(),
            self.board.calls.len(),
        ]
    }
}

/// The size of the look-up table that fits 2^k rows and the gadgets.
fn lookup_bits(k: u32) -> usize {
    (k as usize - 1).min(18)
}

/// The configured columns.
#[derive(Clone, Debug)]
pub struct WrapConfig {
    base: BaseConfig<Fr>,
    rounds: RoundsConfig,
}

impl Circuit<Fr> for Wrap {
    type Config = WrapConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Columns;

    fn params(&self) -> Columns {
        self.columns.clone()
    }

    fn without_witnesses(&self) -> Self {
        unreachable!("invariant: keys are generated from a blank proof")
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> WrapConfig {
        unreachable!("invariant: a circuit is configured with its columns")
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, columns: Columns) -> WrapConfig {
        meta.set_minimum_degree(DEGREE);
        let rounds = RoundsConfig::configure(meta, columns.lanes);
        let base = BaseConfig::configure(meta, columns.base);
        WrapConfig { base, rounds }
    }

    fn synthesize(
        &self,
        config: WrapConfig,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), plonk::Error> {
        config.base.initialize(&mut layouter);
        let board = &self.board.base;
        layouter.assign_region(
            || "verifier",
            |mut region| {
                let usable = config.base.gate().max_rows;
                let gates = config.base.gate().basic_gates[0].clone();
                board.core().phase_manager[0].assign_raw(&(gates, usable), &mut region);
                if let MaybeRangeConfig::WithRange(range) = &config.base.base {
                    board.assign_lookups_in_phase(range, &mut region, 0);
                }
                let laid = !board.core().witness_gen_only();
                if laid {
                    board
                        .core()
                        .copy_manager
                        .assign_raw(config.base.constants(), &mut region);
                }
                let copies = board
                    .core()
                    .copy_manager
                    .lock()
                    .expect("invariant: no thread of halo2 panicked");
                let cells = laid.then_some(&copies.assigned_advices);
                config.rounds.assign(&mut region, &self.board.calls, cells);
                Ok(())
            },
        )?;
        board.assign_instances(
            &config.base.instance,
            layouter.namespace(|| "public inputs"),
        );
        Ok(())
    }
}
