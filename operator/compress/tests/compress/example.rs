//! A small batch with all that a layer may have: two heights, preprocessed columns, public values, constraints
//! of degree 3, and a bus between two AIRs.
//!
//! *Steps* walks a recurrence a, b -> b, a * b * b + a from public values to a public value, and looks the low
//! seven bits of its counter up in *Table*, which counts how often each number is looked up.

use froben_compress::layer::{Layer, Params, Proof, Val};
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

const BUS: &str = "numbers";
pub(crate) const LOG_STEPS: usize = 5;
pub(crate) const LOG_TABLE: usize = 7;

/// One of the AIRs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Example {
    Steps,
    Table,
    /// As the table, with a number more than it at the end.
    OtherTable,
}

impl BaseAir<Val> for Example {
    fn width(&self) -> usize {
        match self {
            Self::Steps => 3,
            Self::Table | Self::OtherTable => 1,
        }
    }

    fn num_public_values(&self) -> usize {
        match self {
            Self::Steps => 9,
            Self::Table | Self::OtherTable => 0,
        }
    }

    fn preprocessed_width(&self) -> usize {
        match self {
            Self::Steps => 0,
            Self::Table | Self::OtherTable => 1,
        }
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        match self {
            Self::Steps => None,
            Self::Table => Some(RowMajorMatrix::new_col(
                (0..1 << LOG_TABLE).map(Val::from_u32).collect(),
            )),
            Self::OtherTable => {
                let numbers = (0..1 << LOG_TABLE).map(|i| i + i / ((1 << LOG_TABLE) - 1));
                Some(RowMajorMatrix::new_col(
                    numbers.map(Val::from_u32).collect(),
                ))
            }
        }
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        match self {
            Self::Steps => vec![0, 1, 2],
            Self::Table | Self::OtherTable => vec![],
        }
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = Val>> Air<AB> for Example {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        match self {
            Self::Steps => {
                let [a, b, count] = [0, 1, 2].map(|i| main.current(i).expect("a column"));
                let [next_a, next_b, next_count] =
                    [0, 1, 2].map(|i| main.next(i).expect("a column"));
                let public: Vec<AB::Expr> = builder
                    .public_values()
                    .iter()
                    .map(|&value| value.into())
                    .collect();
                let step = a.into() * b.into() * b.into() + a.into();
                let mut first = builder.when_first_row();
                first.assert_eq(a, public[0].clone());
                first.assert_eq(b, public[1].clone());
                first.assert_zero(count);
                let mut transition = builder.when_transition();
                transition.assert_eq(next_a, b);
                transition.assert_eq(next_b, step);
                transition.assert_eq(next_count.into(), count.into() + AB::Expr::ONE);
                let mut last = builder.when_last_row();
                last.assert_eq(b, public[2].clone());
                // The rest of the public values are bound by the first row too.
                for i in 3..9 {
                    let value = public[0].clone() * AB::Expr::from_u32(i);
                    builder.assert_eq(public[i as usize].clone(), value);
                }
                builder.push_interaction(BUS, [count.into()], Count::bounded(AB::Expr::ONE, 1));
            }
            Self::Table | Self::OtherTable => {
                let number = builder.preprocessed().current(0).expect("a column");
                let times = main.current(0).expect("a column");
                builder.push_interaction(BUS, [number.into()], Count::provided(-times.into()));
            }
        }
    }
}

/// The layer of the example.
pub(crate) fn layer(params: Params) -> Layer<Example> {
    Layer::new(
        params,
        vec![Example::Steps, Example::Table],
        vec![LOG_STEPS, LOG_TABLE],
    )
    .expect("a layer")
}

/// Traces and public values of a walk from `a` and `b`.
pub(crate) fn walk(a: u32, b: u32) -> (Vec<RowMajorMatrix<Val>>, Vec<Vec<Val>>) {
    walk_of(LOG_STEPS, a, b)
}

/// The same with 2^`log_steps` steps.
pub(crate) fn walk_of(
    log_steps: usize,
    a: u32,
    b: u32,
) -> (Vec<RowMajorMatrix<Val>>, Vec<Vec<Val>>) {
    let (mut a, mut b) = (Val::from_u32(a), Val::from_u32(b));
    let mut public: Vec<Val> = vec![a, b, Val::ZERO];
    public.extend((3..9).map(|i| a * Val::from_u32(i)));
    let mut steps = vec![];
    for count in 0..1 << log_steps {
        steps.extend([a, b, Val::from_u32(count)]);
        public[2] = b;
        (a, b) = (b, a * b * b + a);
    }
    let times = (0..1 << LOG_TABLE).map(|number| Val::from_bool(number < 1 << log_steps));
    let table = RowMajorMatrix::new_col(times.collect());
    (
        vec![RowMajorMatrix::new(steps, 3), table],
        vec![public, vec![]],
    )
}

/// A proof of a walk, with its public values.
pub(crate) fn proof(layer: &Layer<Example>) -> (Proof, Vec<Vec<Val>>) {
    let (traces, public) = walk(3, 5);
    (layer.prove(&traces, &public).expect("a proof"), public)
}
