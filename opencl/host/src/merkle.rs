//! Merkle trees over the rows of matrices.
//!
//! The trees are those of Plonky3's `MerkleTreeMmcs`, every digest of every layer: rows of the tallest
//! matrices are the leaves, and rows of a shorter matrix come in at the layer that has as many nodes.
//! Leaves are hashed in panels of rows, so that the matrices need not fit the device, only the digests.

mod layers;
mod plan;

use std::marker::PhantomData;

pub use layers::MerkleLayers;
pub(crate) use plan::Plan;

use crate::driver::Buffer;
use crate::driver::launch::hash::{MerkleLeaves, MerkleNodes};
use crate::engine::{Ahead, Engine};
use crate::error::{Error, Result};
use crate::field::{Elements, Field};
use crate::hash::{BabyBear16, Goldilocks8, KoalaBear16, MerkleHash, Word};
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;

/// A matrix whose rows are hashed.
#[derive(Clone, Debug)]
pub struct LeafMatrix<F: Field> {
    /// Row-major.
    pub values: Elements<F>,
    /// At least one.
    pub columns: usize,
}

/// Builds Merkle trees with the hash `P` on a session.
#[derive(Clone, Copy, Debug)]
pub struct Merkle<'a, P> {
    session: &'a Session,
    hash: PhantomData<P>,
}

/// Trees over BabyBear.
pub type MerkleBabyBear<'a> = Merkle<'a, BabyBear16>;
/// Trees over KoalaBear.
pub type MerkleKoalaBear<'a> = Merkle<'a, KoalaBear16>;
/// Trees over Goldilocks.
pub type MerkleGoldilocks<'a> = Merkle<'a, Goldilocks8>;

impl<'a, P: MerkleHash> Merkle<'a, P> {
    /// Builds on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self {
            session,
            hash: PhantomData,
        }
    }

    /// All digests of the tree over `matrices`.
    ///
    /// *Shape*: at least one matrix, whole rows, at least one row and one column each. With `n` rows in
    /// the tallest, every other has `ceil(n / 2^k)` for some `k`.
    /// *Errors*: as for [`crate::Ntt`]; [`Error::OutOfDeviceMemory`] if the digests do not fit.
    /// *Source*: `MerkleTreeMmcs::commit` of p3-merkle-tree 0.8, arity two, whose tree this equals.
    pub fn build(&self, matrices: Vec<LeafMatrix<P::Field>>) -> Result<MerkleLayers<P::Field>> {
        let mut heights = Vec::with_capacity(matrices.len());
        for LeafMatrix { values, columns } in &matrices {
            if *columns == 0 || !values.len().is_multiple_of(*columns) {
                return Err(Error::Shape(format!(
                    "{} words in rows of {columns}",
                    values.len()
                )));
            }
            if u32::try_from(*columns).is_err() {
                return Err(Error::Shape(format!("{columns} columns")));
            }
            heights.push(values.len() / columns);
        }
        let plan = Plan::new(&heights)?;
        self.session.run(move |engine| {
            engine.trust(0, self_test::hash::merkle::<P>)?;
            build::<P>(engine, &plan, &matrices)
        })
    }
}

/// Builds the tree that was planned over `matrices`.
pub(crate) fn build<P: MerkleHash>(
    engine: &mut Engine,
    plan: &Plan,
    matrices: &[LeafMatrix<P::Field>],
) -> Result<MerkleLayers<P::Field>> {
    engine.plan_launches(plan.levels.len());
    let lengths = plan.lengths();
    let digests: usize = lengths.iter().sum();
    let layers = engine.make::<P::Field>(digests * P::DIGEST, Vec::new())?;
    let of = |indices: &[usize]| indices.iter().map(|&i| &matrices[i]).collect::<Vec<_>>();

    let pad = lengths[0] > plan.leaves;
    hash_rows::<P>(engine, &of(&plan.tallest), plan.leaves, &layers, pad)?;
    let (mut from, mut below) = (0, lengths[0]);
    for (level, &length) in plan.levels.iter().zip(&lengths[1..]) {
        let injected = match &level.injected[..] {
            [] => None,
            indices => {
                let rows = matrices[indices[0]].values.len() / matrices[indices[0]].columns;
                let digests = engine.lease::<Word<P>>(rows * P::DIGEST)?;
                hash_rows::<P>(engine, &of(indices), rows, &digests, false)?;
                Some((digests, rows))
            }
        };
        let injected = injected.as_ref().map(|(digests, rows)| (&**digests, *rows));
        hash_nodes::<P>(engine, &layers, injected, from, from + below, level.nodes)?;
        (from, below) = (from + below, length);
    }
    let words = engine.take::<P::Field>(layers, digests * P::DIGEST)?;
    Ok(MerkleLayers::new(words, lengths, P::DIGEST))
}

/// Launches a tree over `rows` rows, a power of two, that lie on the device already; its digests
/// go to `layers`. For measurements.
pub(crate) fn launch<P: MerkleHash>(
    engine: &mut Engine,
    matrix: &Buffer,
    layers: &Buffer,
    rows: usize,
    columns: usize,
) -> Result<()> {
    assert!(rows.is_power_of_two(), "{rows} rows");
    let constants = engine.hash_constants::<P>()?;
    let compiled = engine.hash_kernel::<P>(Operation::MerkleLeaves)?;
    let launch = MerkleLeaves {
        matrix,
        states: matrix,
        digests: layers,
        constants: &constants,
        word_bytes: size_of::<Word<P>>(),
        width: P::WIDTH,
        rate: P::RATE,
        digest: P::DIGEST,
        internal_rounds: P::internal_rounds(),
        first_digest: 0,
        rows,
        columns,
        filled: 0,
        is_first: true,
        is_last: true,
        pad: false,
    };
    let result = launch.enqueue(
        engine.queue(),
        &compiled.kernel,
        engine.hash_shape::<P>(Operation::MerkleLeaves),
    );
    engine.launched(&compiled, launch.traffic(), result)?;
    let (mut from, mut below) = (0, rows);
    while below > 1 {
        hash_nodes::<P>(engine, layers, None, from, from + below, below / 2)?;
        (from, below) = (from + below, below / 2);
    }
    Ok(())
}

/// Hashes pairs of the layer that begins at digest `from` to `nodes` digests of the one that begins
/// at `to`; with the digests of injected rows, if there are any, and their number.
fn hash_nodes<P: MerkleHash>(
    engine: &mut Engine,
    layers: &Buffer,
    injected: Option<(&Buffer, usize)>,
    from: usize,
    to: usize,
    nodes: usize,
) -> Result<()> {
    let constants = engine.hash_constants::<P>()?;
    let compiled = engine.hash_kernel::<P>(Operation::MerkleNodes)?;
    let launch = MerkleNodes {
        layers,
        injected: injected.map_or(layers, |(digests, _)| digests),
        constants: &constants,
        word_bytes: size_of::<Word<P>>(),
        width: P::WIDTH,
        internal_rounds: P::internal_rounds(),
        from,
        to,
        nodes,
        injected_rows: injected.map(|(_, rows)| rows),
    };
    let result = launch.enqueue(
        engine.queue(),
        &compiled.kernel,
        engine.hash_shape::<P>(Operation::MerkleNodes),
    );
    engine.launched(&compiled, launch.traffic(), result)
}

/// Hashes row `i` of all `matrices`, one after the other, to digest `i` of `digests`; with `pad`, a
/// digest of zeros follows.
fn hash_rows<P: MerkleHash>(
    engine: &mut Engine,
    matrices: &[&LeafMatrix<P::Field>],
    rows: usize,
    digests: &Buffer,
    pad: bool,
) -> Result<()> {
    let constants = engine.hash_constants::<P>()?;
    let compiled = engine.hash_kernel::<P>(Operation::MerkleLeaves)?;
    let panel = panel_rows::<P>(engine, matrices, rows)?;
    engine.plan_launches(rows.div_ceil(panel) * matrices.len());
    let words = |start: usize, index: usize| {
        let LeafMatrix { values, columns } = matrices.get(index)?;
        let end = rows.min(start + panel);
        (start < end).then(|| &values.words()[start * columns..end * columns])
    };
    let mut ahead = Ahead::new();
    for start in (0..rows).step_by(panel) {
        let pad = pad && start + panel >= rows;
        let rows = panel.min(rows - start);
        let state_words = if matrices.len() > 1 {
            rows * P::WIDTH
        } else {
            1
        };
        let states = engine.lease::<Word<P>>(state_words)?;
        let mut absorbed = 0;
        for (index, LeafMatrix { columns, .. }) in matrices.iter().enumerate() {
            let now = words(start, index).expect("invariant: a panel of a matrix");
            let next = words(start, index + 1).or_else(|| words(start + panel, 0));
            let matrix = ahead.upload(engine, now, next)?;
            let launch = MerkleLeaves {
                matrix: &matrix,
                states: &states,
                digests,
                constants: &constants,
                word_bytes: size_of::<Word<P>>(),
                width: P::WIDTH,
                rate: P::RATE,
                digest: P::DIGEST,
                internal_rounds: P::internal_rounds(),
                first_digest: start,
                rows,
                columns: *columns,
                filled: absorbed % P::RATE,
                is_first: index == 0,
                is_last: index + 1 == matrices.len(),
                pad: pad && index + 1 == matrices.len(),
            };
            let result = launch.enqueue(
                engine.queue(),
                &compiled.kernel,
                engine.hash_shape::<P>(Operation::MerkleLeaves),
            );
            engine.launched(&compiled, launch.traffic(), result)?;
            absorbed += columns;
        }
    }
    Ok(())
}

/// Rows that go to the device at once: what fits, and no more than keeps it busy.
fn panel_rows<P: MerkleHash>(
    engine: &Engine,
    matrices: &[&LeafMatrix<P::Field>],
    rows: usize,
) -> Result<usize> {
    let shape = engine.hash_shape::<P>(Operation::MerkleLeaves);
    let columns: usize = matrices.iter().map(|matrix| matrix.columns).sum();
    let states = if matrices.len() > 1 { P::WIDTH } else { 0 };
    let row_bytes = (columns + states) * size_of::<Word<P>>();
    // What a CPU is given stays in its cache until it is hashed.
    let target_bytes = if shape.group_size == 1 {
        1 << 22
    } else {
        64 << 20
    };
    let available = engine
        .available_bytes()
        .min(engine.layout().max_allocation_bytes);
    let lanes = (shape.vector_width * shape.group_size) as usize;
    let wanted = (target_bytes / row_bytes)
        .next_multiple_of(lanes)
        .max(lanes);
    let mut fit = available / row_bytes;
    if fit.min(wanted) < rows && !engine.layout().in_place {
        // While one panel is hashed the next one goes up.
        fit = available / (2 * row_bytes);
    }
    if fit == 0 {
        return Err(Error::OutOfDeviceMemory {
            device: engine.device().to_string(),
            needed_bytes: row_bytes as u64,
            available_bytes: available as u64,
        });
    }
    Ok(rows.min(wanted).min(fit))
}
