//! Work that stays on its device, so that kernels can be timed without the way there and back.

mod spot;

use crate::device::{Device, DeviceKind};
use crate::driver::Buffer;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::{Bn254Fr, Extension, Field};
use crate::fold;
use crate::hash::{self, MerkleHash, Poseidon2, bn254};
use crate::memory::Lease;
use crate::merkle;
use crate::ntt::{Steps, launch_spread};
use crate::self_test::sample;

/// How large work is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Rows of a matrix that is transformed, base two.
    log_rows: u32,
    /// Evaluations that are folded, base two.
    log_evaluations: u32,
    /// States that are permuted, base two.
    log_states: u32,
    /// Rows of the leaves of a tree, base two.
    log_leaves: u32,
    /// Bases of a multi-scalar multiplication, base two.
    log_bases: u32,
    /// Words that are copied, base two.
    log_copied: u32,
}

const COLUMNS: usize = 16;
const ADDED_BITS: u32 = 2;
/// The largest, which most of a proof's foldings have.
pub(crate) const LOG_ARITY: u32 = 3;

impl Scale {
    /// Large enough that every core is busy, small enough for a person to wait for.
    pub(crate) fn of(device: &Device) -> Self {
        match device.kind {
            DeviceKind::Cpu => Self {
                log_rows: 16,
                log_evaluations: 20,
                log_states: 16,
                log_leaves: 16,
                log_bases: 16,
                log_copied: 24,
            },
            DeviceKind::Gpu | DeviceKind::Accelerator => Self {
                log_rows: 20,
                log_evaluations: 24,
                log_states: 22,
                log_leaves: 20,
                log_bases: 20,
                log_copied: 26,
            },
        }
    }

    /// 32-bit words whose copy tells the bandwidth of memory: far more than any cache holds.
    pub(crate) const fn copied_words(self) -> usize {
        1 << self.log_copied
    }

    /// Bases of a multi-scalar multiplication.
    pub(crate) const fn bases(self) -> usize {
        1 << self.log_bases
    }
}

/// Whether a result can be right, by the values that it was made of.
type Spot<W> = Box<dyn Fn(&[W], &[W]) -> bool>;
/// From the first buffer to the second, or in place.
type Launch = Box<dyn Fn(&mut Engine, &Buffer, &Buffer) -> Result<()>>;

/// One operation on values that lie on the device.
pub(crate) struct Work<F: Field> {
    kernel: &'static str,
    shape: String,
    values: Vec<F::Word>,
    /// Words of the result.
    out_words: usize,
    /// What its rate counts.
    rated: u64,
    /// Whether the result takes the place of the input.
    in_place: bool,
    launch: Launch,
    spot: Spot<F::Word>,
    input: Option<Lease>,
    /// `None` where the result takes the place of the input.
    output: Option<Lease>,
    /// The result when it was first looked at.
    first: Option<Vec<F::Word>>,
}

impl<F: Field> Work<F> {
    /// A transform of every column.
    pub(crate) fn ntt(scale: Scale) -> Self {
        let log_rows = scale.log_rows.min(F::TWO_ADICITY);
        let shape = format!("2^{log_rows} x {COLUMNS}");
        let spot = |values: &[F::Word], result: &[F::Word]| spot::ntt::<F>(values, result, COLUMNS);
        Self::transform("ntt", shape, log_rows, Steps::dft(log_rows), Box::new(spot))
    }

    /// A low-degree extension by four; of a quarter of the rows, so that the result is as large as that of
    /// the others.
    pub(crate) fn lde(scale: Scale) -> Self {
        let log_rows = (scale.log_rows - ADDED_BITS).min(F::TWO_ADICITY - ADDED_BITS);
        let shape = format!("2^{log_rows} x {COLUMNS}, by {}", 1 << ADDED_BITS);
        let shift = F::from_u64(31);
        let steps = Steps::coset_lde(log_rows, ADDED_BITS, shift);
        let spot = move |values: &[F::Word], result: &[F::Word]| {
            spot::lde::<F>(values, result, COLUMNS, shift)
        };
        Self::transform("lde", shape, log_rows, steps, Box::new(spot))
    }

    /// The last step of an inverse transform: rows put in order and scaled.
    pub(crate) fn spread(scale: Scale) -> Self {
        let log_rows = scale.log_rows.min(F::TWO_ADICITY);
        let shape = format!("2^{log_rows} x {COLUMNS}");
        let shift = F::from_u64(31);
        let spot = move |values: &[F::Word], result: &[F::Word]| {
            spot::spread::<F>(values, result, COLUMNS, shift)
        };
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, output: &Buffer| {
            launch_spread::<F>(engine, data, output, shift, log_rows, COLUMNS)
        });
        let words = COLUMNS << log_rows;
        Self {
            in_place: false,
            ..Self::new("spread", shape, words, words, launch, Box::new(spot))
        }
    }

    fn transform(
        kernel: &'static str,
        shape: String,
        log_rows: u32,
        steps: Steps<F>,
        spot: Spot<F::Word>,
    ) -> Self {
        let words = COLUMNS << log_rows;
        let out_words = words * steps.copies();
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, output: &Buffer| {
            steps.launch(engine, data, output, COLUMNS)
        });
        Self::new(kernel, shape, words, out_words, launch, spot)
    }

    /// One folding by [`LOG_ARITY`].
    pub(crate) fn fold<E: Extension<Base = F>>(scale: Scale) -> Self {
        Self::folding::<E>(scale.log_evaluations.min(F::TWO_ADICITY), LOG_ARITY)
    }

    /// One folding of `2^log_evaluations` elements by `2^log_arity`.
    pub(crate) fn folding<E: Extension<Base = F>>(log_evaluations: u32, log_arity: u32) -> Self {
        let shape = format!("2^{log_evaluations}, by {}", 1 << log_arity);
        let words = E::DEGREE << log_evaluations;
        let beta = sample::<F>(E::DEGREE + 4)[4..].to_vec();
        let at = beta.clone();
        let spot = move |values: &[F::Word], result: &[F::Word]| {
            spot::fold::<E>(values, result, log_arity, &at)
        };
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, output: &Buffer| {
            fold::launch::<E>(engine, data, output, words / E::DEGREE, log_arity, &beta)
        });
        let out_words = words >> log_arity;
        Self::new("fold", shape, words, out_words, launch, Box::new(spot))
    }

    /// One permutation of every state.
    pub(crate) fn permutation<P: Poseidon2<Field = F>>(scale: Scale) -> Self {
        let (count, width) = (1 << scale.log_states, P::WIDTH);
        let shape = format!("2^{} states of {width}", scale.log_states);
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, _: &Buffer| {
            hash::launch::<P>(engine, data, count, 1)
        });
        let (words, spot) = (count * width, Box::new(spot::permutation::<P>));
        Self {
            rated: count as u64,
            ..Self::new("poseidon2", shape, words, words, launch, spot)
        }
    }

    /// The tree over a matrix.
    pub(crate) fn merkle<P: MerkleHash<Field = F>>(scale: Scale) -> Self {
        let rows = 1 << scale.log_leaves;
        let shape = format!("2^{} x {COLUMNS}", scale.log_leaves);
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, output: &Buffer| {
            merkle::launch::<P>(engine, data, output, rows, COLUMNS)
        });
        let spot =
            |values: &[F::Word], result: &[F::Word]| spot::merkle::<P>(values, result, COLUMNS);
        let (words, out_words) = (rows * COLUMNS, (2 * rows - 1) * P::DIGEST);
        Self {
            rated: rows as u64,
            in_place: false,
            ..Self::new("merkle", shape, words, out_words, launch, Box::new(spot))
        }
    }

    fn new(
        kernel: &'static str,
        shape: String,
        words: usize,
        out_words: usize,
        launch: Launch,
        spot: Spot<F::Word>,
    ) -> Self {
        Self {
            kernel,
            shape,
            values: sample::<F>(words),
            out_words,
            rated: words.max(out_words) as u64,
            in_place: words == out_words,
            launch,
            spot,
            input: None,
            output: None,
            first: None,
        }
    }

    pub(crate) const fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// What it is about, for people.
    pub(crate) fn shape(&self) -> &str {
        &self.shape
    }

    /// What an error says of it.
    pub(crate) fn check(&self) -> String {
        format!("{} over {}, {}", self.kernel, F::NAME, self.shape)
    }

    /// What its rate counts: permutations, rows of a tree's leaves, or else the field elements of the
    /// input or of the result, whichever has more.
    pub(crate) const fn rated(&self) -> u64 {
        self.rated
    }

    /// Puts the input on the device.
    pub(crate) fn load(&mut self, engine: &mut Engine) -> Result<()> {
        // What is there makes room first.
        (self.input, self.output) = (None, None);
        self.input = Some(engine.upload(&self.values)?);
        if !self.in_place {
            self.output = Some(engine.lease::<F::Word>(self.out_words)?);
        }
        Ok(())
    }

    /// Launches it once. What it is done to is what was loaded, or what earlier launches left of it:
    /// values do not change how long it takes.
    pub(crate) fn enqueue(&self, engine: &mut Engine) -> Result<()> {
        let input = self.input.as_ref().expect("invariant: loaded first");
        let output = self.output.as_ref().unwrap_or(input);
        self.launch(engine, input, output)
    }

    /// The input once more and room for its result, for work that goes over more than a cache holds.
    pub(crate) fn layer(&self, engine: &Engine) -> Result<(Lease, Lease)> {
        let input = engine.upload(&self.values)?;
        Ok((input, engine.lease::<F::Word>(self.out_words)?))
    }

    /// Launches it once from one buffer to another.
    pub(crate) fn launch(
        &self,
        engine: &mut Engine,
        input: &Buffer,
        output: &Buffer,
    ) -> Result<()> {
        (self.launch)(engine, input, output)
    }

    /// Whether the result of the first launch after a load is right in a few places, the first time, and
    /// the same everywhere from then on.
    pub(crate) fn agrees(&mut self, engine: &Engine) -> Result<bool> {
        let output = self.output.as_ref().or(self.input.as_ref());
        let output = output.expect("invariant: loaded first");
        let mut result = vec![F::ZERO; self.out_words];
        engine.download(output, &mut result)?;
        Ok(match &self.first {
            Some(first) => *first == result,
            None => {
                let right = (self.spot)(&self.values, &result);
                self.first = Some(result);
                right
            }
        })
    }
}

impl Work<Bn254Fr> {
    /// One permutation over BN254 of every state; of a quarter as many states, which take longer each.
    pub(crate) fn bn254_permutation(scale: Scale) -> Self {
        let log_states = scale.log_states - 2;
        let (count, width) = (1 << log_states, bn254::WIDTH);
        let shape = format!("2^{log_states} states of {width}");
        let launch = Box::new(move |engine: &mut Engine, data: &Buffer, _: &Buffer| {
            bn254::launch(engine, data, count, 1)
        });
        let (words, spot) = (count * width, Box::new(spot::bn254_permutation));
        Self {
            rated: count as u64,
            ..Self::new("poseidon2", shape, words, words, launch, spot)
        }
    }
}
