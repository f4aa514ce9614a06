//! The shape of a proof: all that is known of it before it is seen.

use froben_circuits::config::{Challenge, Domain, Val};
use froben_circuits::{AirVisitor, Circuit, CircuitAir, Params};
use p3_air::symbolic::{AirLayout, SymbolicExpression};
use p3_air::{Air, BaseAir};
use p3_batch_stark::symbolic::get_log_num_quotient_chunks_for_domain;
use p3_field::PrimeCharacteristicRing;
use p3_fri::{FriParameters, fold_schedule};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookups};

use crate::circuit::PACK;
use crate::proof::{lookups, verifier_airs};
use crate::tables::{Heights, Table};

/// Base elements of a challenge.
const DIMENSION: usize = PACK;

/// One AIR with its height.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) log_height: usize,
    pub(crate) width: usize,
    /// Whether constraints read the next row.
    pub(crate) next: bool,
    pub(crate) fixed_width: usize,
    pub(crate) publics: usize,
    pub(crate) log_chunks: usize,
    pub(crate) constraints: Vec<SymbolicExpression<Val>>,
    pub(crate) lookups: Lookups<Val>,
}

/// Where a matrix is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// At the challenge.
    Here,
    /// At the challenge's successor in the trace domain.
    Next,
}

/// A committed matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// Of its low-degree extension, base two.
    pub(crate) log_height: usize,
    pub(crate) width: usize,
    pub(crate) points: &'static [Point],
}

/// The shape of a proof.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    params: Params,
    instances: Vec<Instance>,
}

impl Instance {
    fn new<A>(air: &A, log_height: usize, lookups: Lookups<Val>) -> Self
    where
        A: BaseAir<Val> + Air<InteractionSymbolicBuilder<Val, Challenge>>,
    {
        let layout = AirLayout::from_air::<Val>(air);
        let mut builder = InteractionSymbolicBuilder::<Val, Challenge>::new(layout);
        air.eval(&mut builder);
        let domain = Domain::new(Val::ONE, log_height).expect("invariant: a two-adic height");
        Self {
            log_height,
            width: air.width(),
            next: !air.main_next_row_columns().is_empty(),
            fixed_width: air.preprocessed_width(),
            publics: air.num_public_values(),
            log_chunks: get_log_num_quotient_chunks_for_domain::<_, Challenge, A, _>(
                air,
                layout,
                domain,
                &lookups,
                0,
                &LogUpGadget::new(),
            ),
            constraints: builder.base_constraints(),
            lookups,
        }
    }

    pub(crate) fn chunks(&self) -> usize {
        1 << self.log_chunks
    }

    /// Columns of the permutation trace, in challenges: the accumulator, then one for each packed
    /// lookup; none without lookups.
    pub(crate) fn permutation_columns(&self) -> usize {
        match self.lookups.len() {
            0 => 0,
            lookups => lookups + 1,
        }
    }
}

impl Shape {
    /// The shape of a circuit proof of `froben-circuits`.
    #[must_use]
    pub(crate) fn of_segment(params: Params, circuit: Circuit) -> Self {
        struct Visitor(usize);
        impl AirVisitor for Visitor {
            type Output = Instance;
            fn visit<A: CircuitAir>(self, air: &A) -> Instance {
                Instance::new(air, self.0, Lookups::default())
            }
        }
        Self {
            params,
            instances: vec![circuit.visit(Visitor(circuit.log_height()))],
        }
    }

    /// The shape of a proof of this crate.
    #[must_use]
    pub(crate) fn of_tables(params: Params, heights: Heights) -> Self {
        let airs = verifier_airs();
        let instances = Table::ALL.iter().zip(&airs).zip(lookups());
        Self {
            params,
            instances: instances
                .map(|((table, air), lookups)| {
                    Instance::new(air, table.log_height(heights), lookups)
                })
                .collect(),
        }
    }

    /// The parameters.
    #[must_use]
    pub(crate) const fn params(&self) -> Params {
        self.params
    }

    pub(crate) fn fri(&self) -> FriParameters<()> {
        self.params.fri(())
    }

    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    pub(crate) fn has_fixed(&self) -> bool {
        self.instances.iter().any(|it| it.fixed_width > 0)
    }

    pub(crate) fn lookup_instances(&self) -> usize {
        let with = self.instances.iter().filter(|it| !it.lookups.is_empty());
        with.count()
    }

    /// The committed matrices of each round, in the order in which they are opened: main, quotient,
    /// fixed, permutation.
    ///
    /// Source: `commitments_with_opening_points`.
    pub(crate) fn rounds(&self) -> Vec<Vec<Committed>> {
        const HERE: &[Point] = &[Point::Here];
        const BOTH: &[Point] = &[Point::Here, Point::Next];
        let log_blowup = self.fri().log_blowup;
        let committed = |it: &Instance, width: usize, points| Committed {
            log_height: it.log_height + log_blowup,
            width,
            points,
        };
        let main = self.instances.iter().map(|it| {
            let points = if it.next { BOTH } else { HERE };
            committed(it, it.width, points)
        });
        let quotient = self
            .instances
            .iter()
            .flat_map(|it| std::iter::repeat_n(committed(it, DIMENSION, HERE), it.chunks()));
        let fixed = self.instances.iter().filter(|it| it.fixed_width > 0);
        let fixed = fixed.map(|it| committed(it, it.fixed_width, HERE));
        let permutation = self.instances.iter().filter(|it| !it.lookups.is_empty());
        let permutation =
            permutation.map(|it| committed(it, it.permutation_columns() * DIMENSION, BOTH));
        let rounds = [
            main.collect(),
            quotient.collect(),
            fixed.collect(),
            permutation.collect(),
        ];
        rounds
            .into_iter()
            .filter(|round: &Vec<_>| !round.is_empty())
            .collect()
    }

    /// Claims of each point of each matrix of each round.
    pub(crate) fn claim_counts(&self) -> Vec<Vec<Vec<usize>>> {
        let of = |matrix: &Committed| vec![matrix.width; matrix.points.len()];
        let rounds = self.rounds();
        rounds
            .iter()
            .map(|round| round.iter().map(of).collect())
            .collect()
    }

    /// The heights of the low-degree extensions, base two, from the tallest down.
    pub(crate) fn log_heights(&self) -> Vec<usize> {
        let log_blowup = self.fri().log_blowup;
        let mut heights: Vec<_> = self
            .instances
            .iter()
            .map(|it| it.log_height + log_blowup)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        heights
    }

    /// The base-two logarithms of the factors by which FRI's rounds fold.
    pub(crate) fn log_arities(&self) -> Vec<usize> {
        let fri = self.fri();
        fold_schedule(
            &self.log_heights(),
            fri.log_blowup + fri.log_final_poly_len,
            fri.max_log_arity,
        )
    }
}
