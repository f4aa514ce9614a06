//! Each cell of each table is changed in turn. A changed row must break a constraint of its own or
//! unbalance a bus, unless the cell is one that nothing reads; those are counted, with the reason.

use std::collections::{BTreeMap, HashMap};

use expect_test::expect;
use froben_circuits::Params;
use froben_circuits::config::{StockPcs, stock};
use p3_air::RowWindow;
use p3_air::symbolic::{AirLayout, SymbolicExpr};
use p3_field::Field;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::Matrix;

use super::*;
use crate::circuit::tests::every_operation;
use crate::proof::ProvingKey;

/// Evaluates a table on one row of numbers.
struct Evaluation<'a> {
    main: RowWindow<'a, Val>,
    fixed: RowWindow<'a, Val>,
    publics: &'a [Val],
    holds: bool,
    messages: Messages,
}

/// What rows put on the buses, and how often; what cancels is not there.
#[derive(Clone, Debug, Default, PartialEq)]
struct Messages(HashMap<(String, Vec<Val>), Val>);

impl Messages {
    fn add(&mut self, message: (String, Vec<Val>), count: Val) {
        let sum = self.0.entry(message).or_insert(Val::ZERO);
        *sum += count;
        if sum.is_zero() {
            self.0.retain(|_, count| !count.is_zero());
        }
    }
}

impl<'a> Evaluation<'a> {
    fn of(table: Table, main: &'a [Val], fixed: &'a [Val], publics: &'a [Val]) -> Self {
        let mut evaluation = Self {
            main: RowWindow::from_two_rows(main, main),
            fixed: RowWindow::from_two_rows(fixed, fixed),
            publics,
            holds: true,
            messages: Messages::default(),
        };
        TableAir::new(table).eval(&mut evaluation);
        evaluation
    }
}

impl<'a> AirBuilder for Evaluation<'a> {
    type F = Val;
    type Expr = Val;
    type Var = Val;
    type PreprocessedWindow = RowWindow<'a, Val>;
    type MainWindow = RowWindow<'a, Val>;
    type PublicVar = Val;
    type PeriodicVar = Val;

    fn main(&self) -> Self::MainWindow {
        self.main
    }

    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.fixed
    }

    fn is_first_row(&self) -> Val {
        panic!("a table has one rule for all rows")
    }

    fn is_last_row(&self) -> Val {
        panic!("a table has one rule for all rows")
    }

    fn is_transition(&self) -> Val {
        panic!("a table has one rule for all rows")
    }

    fn assert_zero<I: Into<Val>>(&mut self, value: I) {
        self.holds &= value.into().is_zero();
    }

    fn public_values(&self) -> &[Val] {
        self.publics
    }
}

impl InteractionBuilder for Evaluation<'_> {
    fn push_interaction<E: Into<Val>>(
        &mut self,
        bus: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<Val>>,
    ) {
        let (count, _) = count.into().into_parts();
        let fields = fields.into_iter().map(Into::into).collect();
        if !count.is_zero() {
            self.messages.add((bus.to_owned(), fields), count);
        }
    }

    fn push_local_interaction(&mut self, _: impl IntoIterator<Item = (Vec<Val>, Count<Val>)>) {
        panic!("tables meet on named buses")
    }
}

struct Traces {
    layout: Layout,
    fixed: Vec<RowMajorMatrix<Val>>,
    main: Vec<RowMajorMatrix<Val>>,
    publics: Vec<Val>,
}

impl Traces {
    fn honest() -> Self {
        let (circuit, inputs) = every_operation();
        let layout = Layout::new(&circuit);
        let heights = Heights::of(&layout);
        let values = circuit.run(&inputs).expect("the inputs meet it");
        Self {
            fixed: Table::ALL.map(|table| table.fixed(&layout, heights)).into(),
            main: Table::ALL
                .map(|table| table.trace(&layout, heights, &values))
                .into(),
            publics: circuit.public_values(&values),
            layout,
        }
    }

    fn fixed_row(&self, table: usize, row: usize) -> Vec<Val> {
        let row = self.fixed[table].row_slice(row);
        row.expect("a row of the table").to_vec()
    }

    fn main_row(&self, table: usize, row: usize) -> Vec<Val> {
        let row = self.main[table].row_slice(row);
        row.expect("a row of the table").to_vec()
    }
}

#[test]
fn an_honest_trace_holds_and_balances() {
    let traces = Traces::honest();
    let mut all = Messages::default();
    for (i, table) in Table::ALL.into_iter().enumerate() {
        for row in 0..traces.main[i].height() {
            let (main, fixed) = (traces.main_row(i, row), traces.fixed_row(i, row));
            let row_is = Evaluation::of(table, &main, &fixed, &traces.publics);
            assert!(row_is.holds, "{} row {row}", table.name());
            for (message, count) in row_is.messages.0 {
                all.add(message, count);
            }
        }
    }
    assert_eq!(all, Messages::default());
}

/// Why nothing reads a cell that may be changed.
fn free_because(traces: &Traces, table: Table, row: usize, column: usize) -> &'static str {
    let is_padding = row >= table.rows(&traces.layout);
    match table {
        _ if is_padding => "a row without an operation",
        Table::Alu => match traces.layout.gates.get(row * alu::LANES + column / 16) {
            None => "a lane without a gate",
            Some(gate) if gate.slots[column % 16 / 4].is_empty() => "a gate with fewer wires",
            Some(_) => "a wire of one slot",
        },
        Table::Parts if traces.layout.parts.len() <= row * 2 + column / 4 => {
            "a lane without a pack"
        }
        Table::Choice if column < 4 && traces.layout.choices[row].value.times() == Val::ZERO => {
            "a wire of one slot"
        }
        Table::Choice if column == 5 => "the uses of a member, in a row that is none",
        _ => "?",
    }
}

#[test]
fn a_changed_cell_is_refused_or_read_by_nothing() {
    let traces = Traces::honest();
    let (mut changed, mut free) = (0, BTreeMap::new());
    for (i, table) in Table::ALL.into_iter().enumerate() {
        let operations = table.rows(&traces.layout);
        for row in (0..traces.main[i].height()).take(operations + 1) {
            let fixed = traces.fixed_row(i, row);
            let mut cells = traces.main_row(i, row);
            let honest = Evaluation::of(table, &cells, &fixed, &traces.publics).messages;
            for column in 0..table.width() {
                for by in [Val::ONE, Val::NEG_ONE, Val::from_u32(1 << 20)] {
                    cells[column] += by;
                    let forged = Evaluation::of(table, &cells, &fixed, &traces.publics);
                    changed += 1;
                    if forged.holds && forged.messages == honest {
                        let why = free_because(&traces, table, row, column);
                        *free.entry((table.name(), why)).or_insert(0) += 1;
                    }
                    cells[column] -= by;
                }
            }
        }
    }
    let free: String = free
        .iter()
        .map(|((table, why), count)| format!("{table}, {why}: {count}\n"))
        .collect();
    expect![[r#"
        6336 changed
        alu, a gate with fewer wires: 216
        alu, a lane without a gate: 72
        alu, a row without an operation: 108
        choice, a row without an operation: 18
        choice, a wire of one slot: 36
        choice, the uses of a member, in a row that is none: 6
        horner, a row without an operation: 84
        parts, a row without an operation: 24
    "#]]
    .assert_eq(&format!("{changed} changed\n{free}"));
}

#[test]
fn no_constraint_has_a_degree_above_the_bound() {
    for table in Table::ALL {
        let air = TableAir::new(table);
        let mut builder =
            InteractionSymbolicBuilder::<Val, Challenge>::new(AirLayout::from_air::<Val>(&air));
        air.eval(&mut builder);
        let constraints = builder.base_constraints();
        let degree = constraints.iter().map(SymbolicExpr::degree_multiple).max();
        assert!(
            degree.unwrap_or(0) <= MAX_DEGREE,
            "{}: {degree:?}",
            table.name()
        );
    }
}

#[test]
fn a_circuit_is_proved_and_verified() {
    let (circuit, inputs) = every_operation();
    let config = stock(Params::Dev);
    let key = ProvingKey::<StockPcs>::new(&config, circuit, None).expect("fits");
    let (proof, publics) = key.prove(&config, &inputs).expect("the inputs meet it");
    let verifying = key.verifying();
    assert_eq!(verifying.verify(Params::Dev, &proof, &publics), Ok(()));

    for i in 0..publics.len() {
        let mut other = publics.clone();
        other[i] += Val::ONE;
        assert!(
            verifying.verify(Params::Dev, &proof, &other).is_err(),
            "public value {i}"
        );
    }
    assert!(
        verifying
            .verify(Params::Standard, &proof, &publics)
            .is_err()
    );
    assert!(
        verifying
            .verify(Params::Dev, &proof, &publics[1..])
            .is_err()
    );
}

/// The public values behind the published wires are zeros, and no prover's own.
#[test]
fn public_values_that_nothing_publishes_are_bound() {
    let (circuit, inputs) = every_operation();
    let config = stock(Params::Dev);
    let values = circuit.run(&inputs).expect("the inputs meet it");
    let mut publics = circuit.public_values(&values);
    *publics.last_mut().expect("public values") = Val::ONE;
    let key = ProvingKey::<StockPcs>::new(&config, circuit, None).expect("fits");
    let proof = key
        .prove_values(&config, &values, &publics)
        .expect("a proof of something else");
    assert!(
        key.verifying()
            .verify(Params::Dev, &proof, &publics)
            .is_err()
    );
}

#[test]
fn what_is_false_has_no_proof() {
    let (circuit, inputs) = every_operation();
    let config = stock(Params::Dev);
    let values = circuit.run(&inputs).expect("the inputs meet it");
    let publics = circuit.public_values(&values);
    let mut wires: Vec<_> = circuit.publics().iter().map(|wire| wire.index()).collect();
    // The first two inputs.
    wires.extend([0, 1]);
    let key = ProvingKey::<StockPcs>::new(&config, circuit, None).expect("fits");
    let verifying = key.verifying();
    for wire in wires {
        let mut forged = values.clone();
        forged[wire] += Challenge::ONE;
        let proof = key
            .prove_values(&config, &forged, &publics)
            .expect("a proof of it");
        assert!(
            verifying.verify(Params::Dev, &proof, &publics).is_err(),
            "wire {wire}"
        );
    }
}
