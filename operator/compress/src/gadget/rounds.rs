//! The rows that prove calls of the permutation.
//!
//! Three columns hold the state and a fourth the square that the S-box needs, so that no gate has a degree above
//! 4. A row is one S-box: x = a + constant on the first word, square = x^2, y = square^2 * x, and the next row
//! holds, by the kind of the row,
//!
//! - *turn*: (b, c, y). Three S-boxes in a row are a full round's, and after two turns the first word is the last one.
//! - *mix*: the external layer of (b, c, y), which ends a full round.
//! - *part*: the internal layer of (y, b, c), which is a partial round.
//!
//! A call takes 8 * 3 + 56 = 80 such rows and one for its output. Its first and last rows are equal to the cells
//! that the board holds. Calls lie beside each other in as many lanes of four columns as it takes.
//!
//! Source: Poseidon2 (ePrint 2023/323), sections 5 and 6. Oracle: `p3-bn254`.

use std::collections::HashMap;
use std::sync::LazyLock;

use halo2_base::ContextCell;
use halo2_base::halo2_proofs::circuit::{Cell, Region, Value};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::halo2_proofs::plonk::{Advice, Column, ConstraintSystem, Expression, Fixed};
use halo2_base::halo2_proofs::poly::Rotation;
use halo2_base::utils::halo2::{raw_assign_advice, raw_assign_fixed, raw_constrain_equal};

use super::Call;
use crate::layer::permutation::{HALF_FULL_ROUNDS, PARTIAL_ROUNDS, WIDTH, round_constants};
use crate::layer::words::to_fr;

/// Rows that a call takes.
pub(crate) const ROWS: usize = 2 * HALF_FULL_ROUNDS * WIDTH + PARTIAL_ROUNDS + 1;

/// What a row does after its S-box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Turn,
    Mix,
    Part,
}

/// The columns.
#[derive(Clone, Debug)]
pub(crate) struct RoundsConfig {
    lanes: Vec<Lane>,
    constant: Column<Fixed>,
    kinds: [Column<Fixed>; 3],
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    state: [Column<Advice>; WIDTH],
    square: Column<Advice>,
}

/// The rows of a call: what is added before the S-box, and what follows it.
fn schedule() -> impl Iterator<Item = (Fr, Kind)> {
    let full = |rounds: &'static [[p3_bn254::Bn254; WIDTH]]| {
        rounds.iter().flat_map(|constants| {
            let kinds = [Kind::Turn, Kind::Turn, Kind::Mix];
            constants.iter().map(|&c| to_fr(c)).zip(kinds)
        })
    };
    let constants = round_constants();
    full(&constants.initial)
        .chain(constants.partial.iter().map(|&c| (to_fr(c), Kind::Part)))
        .chain(full(&constants.terminal))
}

/// One row on values: the square and the next state.
fn step(state: [Fr; WIDTH], constant: Fr, kind: Kind) -> (Fr, [Fr; WIDTH]) {
    let [a, b, c] = state;
    let x = a + constant;
    let square = x.square();
    let y = square.square() * x;
    let sum = y + b + c;
    let next = match kind {
        Kind::Turn => [b, c, y],
        Kind::Mix => [b + sum, c + sum, y + sum],
        Kind::Part => [y + sum, b + sum, c + c + sum],
    };
    (square, next)
}

/// What the rows of a call make of the state that goes in.
pub(crate) fn permute_rounds(input: [Fr; WIDTH]) -> [Fr; WIDTH] {
    static SCHEDULE: LazyLock<Vec<(Fr, Kind)>> = LazyLock::new(|| schedule().collect());
    SCHEDULE.iter().fold(input, |state, &(constant, kind)| {
        step(state, constant, kind).1
    })
}

impl RoundsConfig {
    /// Adds the columns of `lanes` lanes and their gates.
    pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, lanes: usize) -> Self {
        let constant = meta.fixed_column();
        let kinds = [(); 3].map(|()| meta.fixed_column());
        let lanes = (0..lanes)
            .map(|_| {
                let state = [(); WIDTH].map(|()| {
                    let column = meta.advice_column();
                    meta.enable_equality(column);
                    column
                });
                let square = meta.advice_column();
                Lane { state, square }
            })
            .collect::<Vec<_>>();
        for &lane in &lanes {
            meta.create_gate("one S-box of the permutation", |meta| {
                let [turn, mix, part] = kinds.map(|kind| meta.query_fixed(kind, Rotation::cur()));
                let constant = meta.query_fixed(constant, Rotation::cur());
                let [a, b, c] = lane
                    .state
                    .map(|column| meta.query_advice(column, Rotation::cur()));
                let next = lane
                    .state
                    .map(|column| meta.query_advice(column, Rotation::next()));
                let square = meta.query_advice(lane.square, Rotation::cur());
                let x = a + constant;
                let y = square.clone() * square.clone() * x.clone();
                let any = turn.clone() + mix.clone() + part.clone();
                let sum = y.clone() + b.clone() + c.clone();
                let two = Expression::Constant(Fr::from(2));
                let of = |turned: Expression<Fr>, partial: Expression<Fr>, next: Expression<Fr>| {
                    turn.clone() * (next.clone() - turned.clone())
                        + mix.clone() * (next.clone() - turned - sum.clone())
                        + part.clone() * (next - partial - sum.clone())
                };
                let [next_a, next_b, next_c] = next;
                vec![
                    any * (square - x.clone() * x),
                    of(b.clone(), y.clone(), next_a),
                    of(c.clone(), b, next_b),
                    of(y, two * c, next_c),
                ]
            });
        }
        Self {
            lanes,
            constant,
            kinds,
        }
    }

    /// Fills the rows of `calls`. With `cells`, where the board's cells were put, it also says which row does
    /// what and that the calls' ends are the board's.
    pub(crate) fn assign(
        &self,
        region: &mut Region<'_, Fr>,
        calls: &[Call],
        cells: Option<&HashMap<ContextCell, Cell>>,
    ) {
        let schedule: Vec<_> = schedule().collect();
        if cells.is_some() {
            for block in 0..calls.len().div_ceil(self.lanes.len()) {
                for (row, &(constant, kind)) in schedule.iter().enumerate() {
                    let row = block * ROWS + row;
                    raw_assign_fixed(region, self.constant, row, constant);
                    raw_assign_fixed(region, self.kinds[kind as usize], row, Fr::one());
                }
            }
        }
        for (index, call) in calls.iter().enumerate() {
            let lane = self.lanes[index % self.lanes.len()];
            let top = index / self.lanes.len() * ROWS;
            let mut state = call.input.map(|cell| *cell.value());
            let first = assign_state(region, lane, top, state);
            for (row, &(constant, kind)) in schedule.iter().enumerate() {
                let (square, next) = step(state, constant, kind);
                raw_assign_advice(region, lane.square, top + row, Value::known(square));
                state = next;
                if row + 2 < ROWS {
                    assign_state(region, lane, top + row + 1, state);
                }
            }
            let last = assign_state(region, lane, top + ROWS - 1, state);
            let Some(cells) = cells else { continue };
            let ends = first
                .iter()
                .zip(&call.input)
                .chain(last.iter().zip(&call.output));
            for (&row, board) in ends {
                let board = board
                    .cell
                    .expect("invariant: cells are named when constraints are laid");
                raw_constrain_equal(region, row, cells[&board]);
            }
        }
    }
}

fn assign_state(
    region: &mut Region<'_, Fr>,
    lane: Lane,
    row: usize,
    state: [Fr; WIDTH],
) -> [Cell; WIDTH] {
    std::array::from_fn(|i| {
        raw_assign_advice(region, lane.state[i], row, Value::known(state[i])).cell()
    })
}

#[cfg(test)]
mod tests {
    use halo2_base::AssignedValue;
    use halo2_base::halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
    use halo2_base::halo2_proofs::dev::MockProver;
    use halo2_base::halo2_proofs::plonk::{Circuit, Error};

    use super::*;
    use crate::gadget::permutation::permute;
    use crate::layer::permutation::permutation;

    fn ends() -> ([Fr; WIDTH], [Fr; WIDTH]) {
        let state = [5, 7, 1 << 40].map(Fr::from);
        let sum = state[0] + state[1] + state[2];
        (state.map(|word| word + sum), permute(&permutation(), state))
    }

    #[test]
    fn the_rows_are_the_permutation() {
        let (start, end) = ends();
        assert_eq!(permute_rounds(start), end);
        assert_eq!(schedule().count() + 1, ROWS);
    }

    /// One call between six cells of a column, with one cell of its rows changed at the end.
    struct OneCall {
        ends: ([Fr; WIDTH], [Fr; WIDTH]),
        changed: Option<(usize, usize)>,
    }

    impl Circuit<Fr> for OneCall {
        type Config = (RoundsConfig, Column<Advice>);
        type FloorPlanner = SimpleFloorPlanner;
        type Params = ();

        fn without_witnesses(&self) -> Self {
            Self {
                ends: self.ends,
                changed: None,
            }
        }

        fn configure(meta: &mut ConstraintSystem<Fr>) -> Self::Config {
            let board = meta.advice_column();
            meta.enable_equality(board);
            (RoundsConfig::configure(meta, 1), board)
        }

        fn synthesize(
            &self,
            (config, board): Self::Config,
            mut layouter: impl Layouter<Fr>,
        ) -> Result<(), Error> {
            layouter.assign_region(
                || "a call",
                |mut region| {
                    let mut cells = HashMap::new();
                    let mut put = |value: Fr| {
                        let name = ContextCell::new("test", 0, cells.len());
                        let cell =
                            raw_assign_advice(&mut region, board, cells.len(), Value::known(value));
                        cells.insert(name, cell.cell());
                        AssignedValue {
                            value: value.into(),
                            cell: Some(name),
                        }
                    };
                    let call = Call {
                        input: self.ends.0.map(&mut put),
                        output: self.ends.1.map(&mut put),
                    };
                    config.assign(&mut region, &[call], Some(&cells));
                    if let Some((row, column)) = self.changed {
                        let lane = config.lanes[0];
                        let [a, b, c] = lane.state;
                        let column = [a, b, c, lane.square][column];
                        raw_assign_advice(&mut region, column, row, Value::known(Fr::from(42)));
                    }
                    Ok(())
                },
            )
        }
    }

    fn holds(circuit: &OneCall) -> bool {
        MockProver::run(8, circuit, vec![])
            .expect("a run")
            .verify()
            .is_ok()
    }

    #[test]
    fn every_cell_of_the_rows_is_bound() {
        assert!(holds(&OneCall {
            ends: ends(),
            changed: None
        }));
        for row in 0..ROWS {
            // The last row has no S-box, so no square.
            for column in 0..if row + 1 < ROWS { 4 } else { 3 } {
                let changed = Some((row, column));
                assert!(
                    !holds(&OneCall {
                        ends: ends(),
                        changed
                    }),
                    "row {row}, column {column}"
                );
            }
        }
    }

    #[test]
    fn both_ends_are_the_boards() {
        for i in 0..WIDTH {
            let (mut start, mut end) = ends();
            end[i] += Fr::one();
            assert!(!holds(&OneCall {
                ends: (start, end),
                changed: None
            }));
            end[i] -= Fr::one();
            start[i] += Fr::one();
            assert!(!holds(&OneCall {
                ends: (start, end),
                changed: None
            }));
        }
    }
}
