//! What can be tuned: which kernels, on what work, against which known answers.

use super::candidates::{Limits, candidates};
use super::file::{Entry, TuningFile, short_hash};
use super::msm::{self, MsmTuning};
use super::search::{Found, Trial, best};
use super::{Kept, Tuning, Tunings};
use crate::catalogue::{Visitor, visit};
use crate::driver::launch::ntt_lanes::LANES;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::mont256_backend::Mont256Backend;
use crate::field::{Bn254Fr, Extension, Field};
use crate::hash::{MerkleHash, Poseidon2, bn254};
use crate::layout::Layout;
use crate::msm::CURVE;
use crate::program::{Operation, bn254_program, hash_program, program};
use crate::self_test;
use crate::session::Session;
use crate::timing;
use crate::work::{LOG_ARITY, Scale, Work};

/// A kernel over a field whose layout can be measured.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    subject: Subject,
    /// Of the field, or of the permutation.
    name: &'static str,
    source: fn() -> String,
    run: Search,
}

/// What is laid out.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Lanes {
        operation: Operation,
        /// The lanes that the sources can be compiled for.
        widths: &'static [u32],
    },
    Msm,
}

type Search = fn(&mut Engine, &Target, &Context<'_>) -> Result<Tuned>;

/// What a search has besides the engine.
pub(super) struct Context<'a> {
    pub(super) file: Option<&'a TuningFile>,
    /// Hears which layout is tried, and of how many.
    pub(super) told: &'a dyn Fn(usize, usize),
}

/// What came of measuring a kernel's layouts.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// Name of the kernel, without that of the field.
    pub kernel: &'static str,
    /// Name of the field, or of the permutation.
    pub field: &'static str,
    /// What it was measured on.
    pub shape: String,
    /// The layout that later sessions use.
    pub layout: String,
    /// Layouts that were tried.
    pub candidates: usize,
    /// Those of them that failed, and how; none of them was timed.
    pub rejected: Vec<String>,
    /// Median time with the default layout, in nanoseconds.
    pub default_ns: u64,
    /// Median time with the best layout, interleaved with the default's.
    pub best_ns: u64,
    /// Why later sessions do not know of it, if they do not.
    pub not_kept: Option<String>,
}

const PASS: Operation = Operation::NttPass { inverse: false };

const fn fold_operation<E: Extension>() -> Operation {
    Operation::FriFold {
        degree: E::DEGREE as u8,
        log_arity: LOG_ARITY as u8,
    }
}

/// The lanes that sources are written for.
const ANY_WIDTH: &[u32] = &[1, 2, 4, 8, 16];
const ONE_WIDTH: &[u32] = &[1];
/// Of elements of several words: in lanes of four, or one by one.
const LARGE_WIDTHS: &[u32] = &[1, LANES as u32];

const fn widths<F: Field>() -> &'static [u32] {
    match F::VECTORS {
        true => ANY_WIDTH,
        false => ONE_WIDTH,
    }
}

/// Makes the list of targets. A new kernel is a line here.
struct List(Vec<Target>);

impl List {
    fn lanes(
        &mut self,
        operation: Operation,
        name: &'static str,
        widths: &'static [u32],
        source: fn() -> String,
        run: Search,
    ) {
        self.0.push(Target {
            subject: Subject::Lanes { operation, widths },
            name,
            source,
            run,
        });
    }

    fn hash<P: Poseidon2>(&mut self, operation: Operation, source: fn() -> String, run: Search) {
        self.lanes(operation, P::NAME, widths::<P::Field>(), source, run);
    }

    fn permutation<P: Poseidon2>(&mut self) {
        self.hash::<P>(
            Operation::Poseidon2Permute,
            || short_hash([hash_program::<P>(Operation::Poseidon2Permute).1]),
            |engine, target, context| {
                search(
                    engine,
                    target,
                    context,
                    Layout::hash_tuning::<P>,
                    self_test::hash::permutation::<P>,
                    Work::permutation::<P>,
                )
            },
        );
    }
}

impl Visitor for List {
    fn transforms<F: Field>(&mut self) {
        self.lanes(
            PASS,
            F::NAME,
            if PASS.in_lanes::<F>() {
                LARGE_WIDTHS
            } else {
                widths::<F>()
            },
            || short_hash([false, true].map(|in_lanes| program::<F>(PASS, in_lanes).1)),
            |engine, target, context| {
                search(
                    engine,
                    target,
                    context,
                    |layout| layout.tuning::<F>(PASS),
                    self_test::ntt::<F>,
                    Work::<F>::ntt,
                )
            },
        );
        self.lanes(
            Operation::NttSpread,
            F::NAME,
            widths::<F>(),
            || short_hash([program::<F>(Operation::NttSpread, false).1]),
            |engine, target, context| {
                search(
                    engine,
                    target,
                    context,
                    |layout| layout.tuning::<F>(Operation::NttSpread),
                    self_test::ntt::<F>,
                    Work::<F>::spread,
                )
            },
        );
    }

    fn folds<E: Extension>(&mut self) {
        self.lanes(
            const { fold_operation::<E>() },
            E::Base::NAME,
            widths::<E::Base>(),
            || short_hash([program::<E::Base>(fold_operation::<E>(), false).1]),
            |engine, target, context| {
                let test = |engine: &mut Engine| self_test::fold::<E>(engine, LOG_ARITY);
                search(
                    engine,
                    target,
                    context,
                    |layout| layout.tuning::<E::Base>(fold_operation::<E>()),
                    test,
                    Work::<E::Base>::fold::<E>,
                )
            },
        );
    }

    fn permutations<P: Poseidon2, Q: Poseidon2<Field = P::Field>>(&mut self) {
        self.permutation::<P>();
        self.permutation::<Q>();
    }

    fn trees<P: MerkleHash>(&mut self) {
        // Both on whole trees, which have rows of several blocks and layers of all lengths.
        let run: Search = |engine, target, context| {
            let test = self_test::hash::merkle::<P>;
            search(
                engine,
                target,
                context,
                Layout::hash_tuning::<P>,
                test,
                Work::merkle::<P>,
            )
        };
        let leaves = || short_hash([hash_program::<P>(Operation::MerkleLeaves).1]);
        let nodes = || short_hash([hash_program::<P>(Operation::MerkleNodes).1]);
        self.hash::<P>(Operation::MerkleLeaves, leaves, run);
        self.hash::<P>(Operation::MerkleNodes, nodes, run);
    }

    fn bn254_permutation(&mut self) {
        self.lanes(
            Operation::Poseidon2Permute,
            bn254::NAME,
            bn254::LANE_WIDTHS,
            || short_hash(Mont256Backend::ALL.map(|backend| bn254_program(backend).1)),
            |engine, target, context| {
                search(
                    engine,
                    target,
                    context,
                    Layout::bn254_tuning,
                    self_test::hash::bn254,
                    Work::<Bn254Fr>::bn254_permutation,
                )
            },
        );
    }

    fn msm(&mut self) {
        self.0.push(Target {
            subject: Subject::Msm,
            name: CURVE,
            source: msm::source_hash,
            run: msm::search,
        });
    }
}

/// Every kernel whose layout can be measured.
pub fn targets() -> impl Iterator<Item = Target> {
    visit(List(Vec::new())).0.into_iter()
}

impl Target {
    /// The hash of today's source.
    pub(super) fn source_hash(&self) -> String {
        (self.source)()
    }

    /// The kernel's name, without that of the field.
    #[must_use]
    pub const fn kernel(&self) -> &'static str {
        match self.subject {
            Subject::Lanes { operation, .. } => operation.name(),
            Subject::Msm => "msm",
        }
    }

    /// The name of the field, or of the permutation.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.name
    }

    /// Measures the layouts of the kernel on the session's device, uses the best from here on, and keeps it
    /// for later sessions where the session's storage allows.
    ///
    /// `told` hears of each layout before it is tried: its number, from one, and how many there are.
    ///
    /// # Errors
    /// Those of the default layout; a candidate that fails is only left out.
    pub fn tune(
        &self,
        session: &Session,
        told: impl Fn(usize, usize) + Send + 'static,
    ) -> Result<Tuned> {
        let (target, file) = (*self, session.tuning_file().cloned());
        session.run(move |engine| {
            let context = Context {
                file: file.as_ref(),
                told: &told,
            };
            (target.run)(engine, &target, &context)
        })
    }

    /// Has later sessions use a layout that was kept, unless the device or the sources cannot.
    pub(super) fn accept(&self, layout: Kept, limits: Limits, tunings: &mut Tunings) -> bool {
        match (self.subject, layout) {
            (Subject::Lanes { operation, widths }, Kept::Lanes(tuning)) => {
                let can = limits.allow(tuning) && widths.contains(&tuning.vector_width);
                if can {
                    tunings.set(operation, self.name, tuning);
                }
                can
            }
            (Subject::Msm, Kept::Msm(tuning)) => {
                let can = limits.allow_msm(tuning);
                if can {
                    tunings.set_msm(tuning);
                }
                can
            }
            (Subject::Lanes { .. }, Kept::Msm(MsmTuning { .. }))
            | (Subject::Msm, Kept::Lanes(Tuning { .. })) => false,
        }
    }

    /// Keeps what was found for later sessions, and says so.
    pub(super) fn finish<L>(
        &self,
        context: &Context<'_>,
        shape: String,
        candidates: usize,
        found: Found<L>,
        shown: String,
    ) -> Tuned
    where
        L: Into<Kept>,
    {
        let Found {
            layout,
            default_ns,
            best_ns,
            rejected,
        } = found;
        let entry = Entry {
            kernel: self.kernel().to_owned(),
            field: self.name.to_owned(),
            source: self.source_hash(),
            default_ns,
            best_ns,
            layout: layout.into(),
        };
        let not_kept = match context.file {
            Some(file) => file
                .save(entry)
                .err()
                .map(|error| format!("{}: {error}", file.path().display())),
            None => Some("nothing is kept in this session".to_owned()),
        };
        Tuned {
            kernel: self.kernel(),
            field: self.name,
            shape,
            layout: shown,
            candidates,
            rejected,
            default_ns,
            best_ns,
            not_kept,
        }
    }
}

/// A kernel in lanes, and work that it does.
struct Lanes<F: Field, T> {
    operation: Operation,
    name: &'static str,
    test: T,
    work: Work<F>,
}

impl<F: Field, T: Fn(&mut Engine) -> Result<()>> Trial for Lanes<F, T> {
    type Layout = Tuning;

    fn name(&self) -> String {
        format!("{} over {}", self.operation.name(), self.name)
    }

    fn shown(&self, layout: Tuning) -> String {
        layout.shown(self.operation.has_tile())
    }

    fn lay_out(&self, engine: &mut Engine, layout: Tuning) {
        engine.tune(self.operation, self.name, layout);
    }

    fn same_programs(a: Tuning, b: Tuning) -> bool {
        a.shape() == b.shape()
    }

    fn test(&self, engine: &mut Engine) -> Result<()> {
        (self.test)(engine)
    }

    /// Right in a few places, and all that the first layout gave.
    fn check(&mut self, engine: &mut Engine) -> Result<()> {
        self.work.load(engine)?;
        self.work.enqueue(engine)?;
        let right = self.work.agrees(engine)?;
        engine.require(right, || self.work.check())
    }

    fn median_ns(&mut self, engine: &mut Engine, runs: usize) -> Result<u64> {
        timing::median_ns(engine, &mut self.work, runs)
    }
}

/// Tries the layouts of a kernel in lanes: its default and what differs from it.
fn search<F: Field, T: Fn(&mut Engine) -> Result<()>>(
    engine: &mut Engine,
    target: &Target,
    context: &Context<'_>,
    default: fn(&Layout) -> Tuning,
    test: T,
    make: fn(Scale) -> Work<F>,
) -> Result<Tuned> {
    let Subject::Lanes { operation, widths } = target.subject else {
        unreachable!("invariant: a kernel in lanes");
    };
    engine.test(&test)?;
    let default = default(engine.layout());
    // Where the widest lanes are what the processor has, no wider ones are tried.
    let most = match target.name {
        bn254::NAME => default.vector_width,
        _ => u32::MAX,
    };
    let widths: Vec<_> = widths
        .iter()
        .copied()
        .filter(|&width| width <= most)
        .collect();
    let all = candidates(operation, default, &widths, Limits::of(engine.device()));
    let mut trial = Lanes {
        operation,
        name: target.name,
        test,
        work: make(Scale::of(engine.device())),
    };
    let mut number = 0;
    let found = best(engine, &mut trial, &all, &mut || {
        number += 1;
        (context.told)(number, all.len());
    })?;
    let shape = trial.work.shape().to_owned();
    let shown = trial.shown(found.layout);
    Ok(target.finish(context, shape, all.len(), found, shown))
}
