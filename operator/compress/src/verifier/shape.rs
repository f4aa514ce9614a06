//! Everything about the proofs of a layer that is the same for all of them: the constants of the circuit.

use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_air::symbolic::{AirLayout, SymbolicExpression, SymbolicExpressionExt};
use p3_baby_bear::BabyBear;
use p3_batch_stark::BatchShape;
use p3_batch_stark::symbolic::{
    get_constraint_layout, get_log_num_quotient_chunks, get_symbolic_constraints,
};
use p3_fri::{FriParameters, FriShape, PcsShape, fold_schedule};
use p3_lookup::{LogUpGadget, Lookup, check_multiplicity_height_bound};

use super::transcript::Recorder;
use crate::Error;
use crate::layer::words::to_fr;
use crate::layer::{Challenge, Known, LayerAir, Params, Val};

/// One AIR of the batch.
pub(crate) struct InstanceShape {
    pub(crate) log_height: usize,
    pub(crate) width: usize,
    /// Whether the next row of the trace is opened.
    pub(crate) next: bool,
    pub(crate) preprocessed_width: usize,
    pub(crate) preprocessed_next: bool,
    pub(crate) public_values: usize,
    pub(crate) log_chunks: usize,
    pub(crate) lookups: Vec<Lookup<Val>>,
    pub(crate) constraints: Vec<Constraint>,
}

/// A constraint: an expression that is zero on every row.
pub(crate) enum Constraint {
    Base(SymbolicExpression<Val>),
    Ext(SymbolicExpressionExt<Val, Challenge>),
}

impl InstanceShape {
    /// Columns of the permutation trace: the accumulator and one for each look-up.
    pub(crate) fn permutation_width(&self) -> usize {
        if self.lookups.is_empty() {
            0
        } else {
            self.lookups.len() + 1
        }
    }
}

/// A matrix that is opened: its rows, base two, before the blow-up; its width; and whether also at the next row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixShape {
    pub(crate) log_height: usize,
    pub(crate) width: usize,
    pub(crate) next: bool,
}

/// What is the same for all proofs of a layer.
pub struct Shape {
    pub(crate) params: Params,
    pub(crate) fri: FriParameters<()>,
    pub(crate) instances: Vec<InstanceShape>,
    /// How many of the public values, counted through all instances, are published; the others are zero.
    pub(crate) published: usize,
    /// The preprocessed commitment, and the instances that have a matrix in it, in their order.
    pub(crate) preprocessed: Option<(Vec<Fr>, Vec<usize>)>,
    pub(crate) batch_seed: Vec<BabyBear>,
    pub(crate) pcs_seed: Vec<BabyBear>,
    pub(crate) fri_seed: Vec<BabyBear>,
    /// Log-arity of each folding.
    pub(crate) schedule: Vec<usize>,
    /// Height of the tallest matrix after the blow-up, base two.
    pub(crate) log_max_height: usize,
}

impl Shape {
    /// The shape of the proofs of `layer`.
    ///
    /// # Errors
    /// If look-ups could overflow, as the native verifier checks.
    pub(crate) fn new<A: LayerAir>(layer: &Known<A>) -> Result<Self, Error> {
        let fri = layer.params.fri(());
        let common = &layer.common;
        let heights: Vec<_> = layer.log_heights.iter().map(|log| 1 << log).collect();
        check_multiplicity_height_bound(&common.lookups, &heights)
            .map_err(|e| Error::Stark(e.to_string()))?;
        let instances: Vec<_> = layer
            .airs
            .iter()
            .enumerate()
            .map(|(i, air)| instance(layer, i, air))
            .collect();
        let preprocessed = common.preprocessed.as_ref().map(|global| {
            let roots = global
                .commitment
                .roots()
                .iter()
                .map(|[root]| to_fr(*root))
                .collect();
            (roots, global.matrix_to_instance.clone())
        });
        let mut shape = Self {
            params: layer.params,
            fri,
            published: instances.iter().map(|i| i.public_values).sum(),
            instances,
            preprocessed,
            batch_seed: vec![],
            pcs_seed: vec![],
            fri_seed: vec![],
            schedule: vec![],
            log_max_height: 0,
        };
        shape.fix_folding();
        shape.fix_seeds();
        Ok(shape)
    }

    /// The same, of whose public values only the first `count` are published, and the others are fixed to zero.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn publishing(mut self, count: usize) -> Self {
        assert!(count <= self.published, "{count} public values");
        self.published = count;
        self
    }

    /// The matrices of each opened commitment, in the order of the native verifier: main, quotient,
    /// preprocessed, permutation.
    pub(crate) fn rounds(&self) -> Vec<Vec<MatrixShape>> {
        let matrix = |instance: &InstanceShape, width, next| MatrixShape {
            log_height: instance.log_height,
            width,
            next,
        };
        let main = self
            .instances
            .iter()
            .map(|i| matrix(i, i.width, i.next))
            .collect();
        let chunks = |i| std::iter::repeat_n(matrix(i, 4, false), 1 << i.log_chunks);
        let mut rounds = vec![main, self.instances.iter().flat_map(chunks).collect()];
        if let Some((_, with)) = &self.preprocessed {
            let instances = with.iter().map(|&i| &self.instances[i]);
            rounds.push(
                instances
                    .map(|i| matrix(i, i.preprocessed_width, i.preprocessed_next))
                    .collect(),
            );
        }
        if self.has_lookups() {
            let with = self.instances.iter().filter(|i| !i.lookups.is_empty());
            rounds.push(
                with.map(|i| matrix(i, 4 * i.permutation_width(), true))
                    .collect(),
            );
        }
        rounds
    }

    pub(crate) fn has_lookups(&self) -> bool {
        self.instances
            .iter()
            .any(|instance| !instance.lookups.is_empty())
    }

    fn fix_folding(&mut self) {
        let mut heights: Vec<_> = self
            .instances
            .iter()
            .map(|i| i.log_height + self.fri.log_blowup)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        self.log_max_height = heights[0];
        let last = self.fri.log_blowup + self.fri.log_final_poly_len;
        self.schedule = fold_schedule(&heights, last, self.fri.max_log_arity);
    }

    fn fix_seeds(&mut self) {
        let batch = BatchShape {
            trace_widths: self.instances.iter().map(|i| i.width).collect(),
            public_value_counts: self.instances.iter().map(|i| i.public_values).collect(),
            preprocessed_widths: self
                .instances
                .iter()
                .map(|i| i.preprocessed_width)
                .collect(),
            has_preprocessed_commitment: self.preprocessed.is_some(),
            num_lookup_instances: self
                .instances
                .iter()
                .filter(|i| !i.lookups.is_empty())
                .count(),
            lookup_pow_bits: self.params.lookup_proof_of_work_bits(),
            has_randomization_commitment: false,
            ood_pow_bits: 0,
        };
        let claims = |matrix: &MatrixShape| vec![matrix.width; 1 + usize::from(matrix.next)];
        let pcs = PcsShape {
            claimed_evaluation_counts: self
                .rounds()
                .iter()
                .map(|round| round.iter().map(claims).collect())
                .collect(),
            batch_pow_bits: self.fri.batch_proof_of_work_bits,
        };
        let fri = FriShape::with_schedule(&self.fri, self.schedule.clone(), self.log_max_height);
        let mut seed = Recorder::default();
        batch.domain_separator::<Val, Challenge>().seed(&mut seed);
        self.batch_seed = std::mem::take(&mut seed.0);
        pcs.domain_separator::<Val, Challenge>().seed(&mut seed);
        self.pcs_seed = std::mem::take(&mut seed.0);
        fri.domain_separator::<Val, Challenge>().seed(&mut seed);
        self.fri_seed = seed.0;
    }
}

fn instance<A: LayerAir>(layer: &Known<A>, i: usize, air: &A) -> InstanceShape {
    let common = &layer.common;
    let lookups = &common.lookups[i];
    let meta = common
        .preprocessed
        .as_ref()
        .and_then(|global| global.instances[i].as_ref());
    let preprocessed_width = meta.map_or(0, |meta| meta.width);
    let layout = AirLayout {
        preprocessed_width,
        main_width: air.width(),
        num_public_values: air.num_public_values(),
        num_periodic_columns: 0,
        ..Default::default()
    };
    let gadget = LogUpGadget::new();
    let (base, ext) =
        get_symbolic_constraints::<Val, Challenge, A, _>(air, layout, lookups, &gadget);
    let order = get_constraint_layout::<Val, Challenge, A, _>(air, layout, lookups, &gadget);
    let base = order
        .base_indices
        .into_iter()
        .zip(base.into_iter().map(Constraint::Base));
    let ext = order
        .ext_indices
        .into_iter()
        .zip(ext.into_iter().map(Constraint::Ext));
    let mut constraints: Vec<_> = base.chain(ext).collect();
    constraints.sort_by_key(|(index, _)| *index);
    let log_height = layer.log_heights[i];
    let log_chunks = get_log_num_quotient_chunks::<Val, Challenge, A, _>(
        air,
        layout,
        1 << log_height,
        lookups,
        0,
        &gadget,
    );
    InstanceShape {
        log_height,
        width: air.width(),
        next: !air.main_next_row_columns().is_empty(),
        preprocessed_width,
        preprocessed_next: preprocessed_width > 0
            && !air.preprocessed_next_row_columns().is_empty(),
        public_values: air.num_public_values(),
        log_chunks,
        lookups: lookups.to_vec(),
        constraints: constraints
            .into_iter()
            .map(|(_, constraint)| constraint)
            .collect(),
    }
}
