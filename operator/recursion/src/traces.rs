//! A circuit as tables, for a proof system that is not this crate's own.

use froben_circuits::config::{Challenge, Val};
use p3_matrix::dense::RowMajorMatrix;

use crate::circuit::{Circuit, Layout, Unsatisfied};
use crate::proof::{log_heights, public_values};
use crate::tables::{Heights, Table, TableAir};

/// A circuit laid out: its AIRs with their fixed columns, in the order of [`Table::ALL`].
pub struct CircuitTables {
    circuit: Circuit,
    layout: Layout,
    heights: Heights,
}

/// What is proved of a circuit on some inputs.
pub struct Traces {
    /// The trace of each table.
    pub traces: Vec<RowMajorMatrix<Val>>,
    /// The public values of each table; all belong to the last.
    pub public_values: Vec<Vec<Val>>,
}

impl CircuitTables {
    /// Lays a circuit out at its smallest heights.
    #[must_use]
    pub fn new(circuit: Circuit) -> Self {
        let layout = Layout::new(&circuit);
        let heights = Heights::of(&layout);
        Self {
            circuit,
            layout,
            heights,
        }
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The AIRs, each with the columns that the circuit fixes.
    #[must_use]
    pub fn airs(&self) -> Vec<TableAir> {
        let air =
            |table: Table| TableAir::with_fixed(table, table.fixed(&self.layout, self.heights));
        Table::ALL.map(air).into()
    }

    /// Heights of the tables, base two.
    #[must_use]
    pub fn log_heights(&self) -> Vec<usize> {
        log_heights(self.heights)
    }

    /// The traces for these inputs.
    ///
    /// *Errors*: [`Unsatisfied`] if they do not meet the circuit.
    pub fn traces(&self, inputs: &[Challenge]) -> Result<Traces, Unsatisfied> {
        let values = self.circuit.run(inputs)?;
        let trace = |table: Table| table.trace(&self.layout, self.heights, &values);
        Ok(Traces {
            traces: Table::ALL.map(trace).into(),
            public_values: public_values(&self.circuit.public_values(&values)),
        })
    }
}
