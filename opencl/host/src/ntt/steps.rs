//! What the transforms are made of: an inverse network, a spread, a forward network.

use super::cut::{Cut, Matrix, Room};
use super::{lanes, stream};
use crate::driver::Buffer;
use crate::driver::launch::{NttPass, NttSpread};
use crate::engine::{Direction, Engine};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::operand::Operand;
use crate::plan;
use crate::program::Operation;
use crate::reference::reverse_bits;

/// A transform of matrices of `2^log_n` rows.
pub(crate) struct Steps<F: Field> {
    pub(super) log_n: u32,
    pub(super) kind: Kind<F>,
}

pub(super) enum Kind<F: Field> {
    /// Coefficients to values on a coset of the subgroup.
    Values { shift: F::Word },
    /// Values on a coset to coefficients.
    Coefficients { inverse_shift: F::Word },
    /// Values on the subgroup to values on several cosets.
    Extension { shifts: Vec<F::Word> },
}

/// `ntt/spread.cl`: row `i` of copy `c`, from bit-reversed order, times `scale * shifts[c]^i`.
pub(super) struct Spread<'a, F: Field> {
    pub(super) shifts: &'a [F::Word],
    pub(super) scale: F::Word,
}

impl<F: Field> Steps<F> {
    /// Coefficients to values on the subgroup.
    pub(crate) const fn dft(log_n: u32) -> Self {
        Self::coset_dft(log_n, F::ONE)
    }

    /// Coefficients to values on a coset.
    pub(crate) const fn coset_dft(log_n: u32, shift: F::Word) -> Self {
        Self {
            log_n,
            kind: Kind::Values { shift },
        }
    }

    /// Values on a coset to coefficients.
    pub(crate) const fn coset_idft(log_n: u32, inverse_shift: F::Word) -> Self {
        Self {
            log_n,
            kind: Kind::Coefficients { inverse_shift },
        }
    }

    /// Values on the subgroup to values on a coset of one that is `2^added_bits` times larger.
    ///
    /// The larger one is the union of that many cosets of the smaller, and in bit-reversed order
    /// they come one after the other: each is a transform of its own.
    pub(crate) fn coset_lde(log_n: u32, added_bits: u32, shift: F::Word) -> Self {
        let root = F::root(log_n + added_bits);
        let shifts = (0..1_usize << added_bits)
            .map(|copy| F::mul(shift, F::pow(root, reverse_bits(copy, added_bits) as u64)))
            .collect();
        Self {
            log_n,
            kind: Kind::Extension { shifts },
        }
    }

    /// Matrices that come out for one that goes in.
    pub(crate) const fn copies(&self) -> usize {
        match &self.kind {
            Kind::Values { .. } | Kind::Coefficients { .. } => 1,
            Kind::Extension { shifts } => shifts.len(),
        }
    }

    /// Transforms what lies on the device already: values in place, an extension of wide rows to `output`.
    ///
    /// For measurements, which need nothing else.
    pub(crate) fn launch(
        &self,
        engine: &mut Engine,
        data: &Buffer,
        output: &Buffer,
        columns: usize,
    ) -> Result<()> {
        match &self.kind {
            Kind::Values { shift } => {
                Network::<F>::in_place(Direction::Forward, &[*shift], self.log_n, columns)
                    .run(engine, data)
            }
            Kind::Extension { shifts } if fused::<F>(self.log_n, columns) => {
                coefficients::<F>(engine, data, self.log_n, columns)?;
                values_on::<F>(engine, data, output, shifts, self.log_n, columns)
            }
            Kind::Extension { .. } | Kind::Coefficients { .. } => {
                unreachable!("invariant: neither is measured")
            }
        }
    }

    /// Transforms a matrix of `columns`, all at once or in parts that fit the device.
    pub(crate) fn run(
        &self,
        engine: &mut Engine,
        values: Vec<F::Word>,
        columns: usize,
    ) -> Result<Vec<F::Word>> {
        match self.cut(engine, columns)? {
            Cut::Whole => {
                engine.plan_launches(self.launches(engine, columns));
                let words = values.len() * self.copies();
                let data = engine.bring(values)?;
                let data = self.compute(engine, data, columns)?;
                engine.take::<F>(data, words)
            }
            Cut::Columns { width, beside } => {
                stream::columns(self, engine, &values, columns, width, beside)
            }
            Cut::Rows(rows) => stream::rows(self, engine, values, columns, rows),
            Cut::Copies => stream::copies(self, engine, values, columns),
        }
    }

    /// How a matrix of `columns` fits the device.
    fn cut(&self, engine: &mut Engine, columns: usize) -> Result<Cut> {
        let directions: &[_] = match self.kind {
            Kind::Values { .. } => &[Direction::Forward],
            Kind::Coefficients { .. } => &[Direction::Inverse],
            Kind::Extension { .. } => &[Direction::Inverse, Direction::Forward],
        };
        let in_lanes = lanes::in_lanes::<F>(engine);
        let matrix = Matrix {
            word_bytes: size_of::<F::Word>(),
            log_n: self.log_n,
            columns,
            copies: self.copies(),
            extends: matches!(self.kind, Kind::Extension { .. }),
            in_place: matches!(self.kind, Kind::Values { .. }),
            in_lanes,
        };
        let find = |engine: &Engine| {
            let room = Room {
                beside_roots: &|log_length| {
                    engine.room_beside_roots::<F>(directions, in_lanes, log_length)
                },
                max_allocation_bytes: engine.layout().max_allocation_bytes,
                at_once: &|in_place| engine.panels_at_once(in_place),
            };
            matrix.cut(&room)
        };
        if let Some(cut) = find(engine) {
            return Ok(cut);
        }
        // What earlier calls left may be what is in the way.
        engine.drop_tables();
        find(engine).ok_or_else(|| Error::OutOfDeviceMemory {
            device: engine.device().to_string(),
            needed_bytes: matrix.least_bytes() as u64,
            available_bytes: engine
                .available_bytes()
                .min(engine.layout().max_allocation_bytes) as u64,
        })
    }

    /// Launches for a matrix of `columns` that fits the device.
    pub(super) fn launches(&self, engine: &Engine, columns: usize) -> usize {
        let log_n = self.log_n;
        let passes = |direction| passes::<F>(engine, direction, log_n, columns).len();
        match &self.kind {
            Kind::Values { .. } => passes(Direction::Forward),
            // Lanes leave coefficients in order.
            Kind::Coefficients { .. } => {
                passes(Direction::Inverse) + usize::from(!lanes::in_lanes::<F>(engine))
            }
            Kind::Extension { .. } => {
                let spread = usize::from(!fused::<F>(log_n, columns));
                passes(Direction::Inverse) + spread + passes(Direction::Forward)
            }
        }
    }

    /// Transforms what fits the device.
    pub(super) fn compute(
        &self,
        engine: &mut Engine,
        data: Operand<F::Word>,
        columns: usize,
    ) -> Result<Operand<F::Word>> {
        let log_n = self.log_n;
        let scale = F::inverse_power_of_two(log_n);
        Ok(match &self.kind {
            Kind::Values { shift } => {
                Network::<F>::in_place(Direction::Forward, &[*shift], log_n, columns)
                    .run(engine, &data)?;
                data
            }
            Kind::Coefficients { inverse_shift } => {
                let ones = [F::ONE];
                let network = Network::<F>::in_place(Direction::Inverse, &ones, log_n, columns);
                if lanes::in_lanes::<F>(engine) {
                    let network = Network {
                        scale: Some(scale),
                        ..network
                    };
                    lanes::run_in_order(&network, engine, &data, *inverse_shift)?;
                    return Ok(data);
                }
                network.run(engine, &data)?;
                let shifts = &[*inverse_shift];
                Spread::<F> { shifts, scale }.run(engine, data, log_n, columns)?
            }
            Kind::Extension { shifts } if fused::<F>(log_n, columns) => {
                coefficients::<F>(engine, &data, log_n, columns)?;
                let (input, host) = data.split();
                let words = (shifts.len() * columns) << log_n;
                let output = engine.make::<F>(words, host)?;
                values_on::<F>(engine, &input, &output, shifts, log_n, columns)?;
                output
            }
            Kind::Extension { shifts } => {
                Network::<F>::in_place(Direction::Inverse, &[F::ONE], log_n, columns)
                    .run(engine, &data)?;
                let data = Spread::<F> { shifts, scale }.run(engine, data, log_n, columns)?;
                let ones = vec![F::ONE; shifts.len()];
                Network::<F>::in_place(Direction::Forward, &ones, log_n, columns)
                    .run(engine, &data)?;
                data
            }
        })
    }
}

/// Values to coefficients in bit-reversed order, in place.
fn coefficients<F: Field>(
    engine: &mut Engine,
    data: &Buffer,
    log_n: u32,
    columns: usize,
) -> Result<()> {
    Network {
        scale: Some(F::inverse_power_of_two(log_n)),
        ..Network::<F>::in_place(Direction::Inverse, &[F::ONE], log_n, columns)
    }
    .run(engine, data)
}

/// What [`coefficients`] made, to values on cosets.
fn values_on<F: Field>(
    engine: &mut Engine,
    input: &Buffer,
    output: &Buffer,
    shifts: &[F::Word],
    log_n: u32,
    columns: usize,
) -> Result<()> {
    Network {
        input: Some(input),
        ..Network::<F>::in_place(Direction::Forward, shifts, log_n, columns)
    }
    .run(engine, output)
}

/// Whether the first pass of an extension can read the coefficients itself: it takes each row by itself,
/// which narrow ones leave too much of a lane idle for.
const fn fused<F: Field>(log_n: u32, columns: usize) -> bool {
    const LANE_BYTES: usize = 32;
    log_n > 0 && columns * size_of::<F::Word>() >= LANE_BYTES
}

/// The kernel of a direction's passes.
fn pass<F: Field>(direction: Direction) -> Operation {
    let inverse = F::DIRECTED && direction == Direction::Inverse;
    Operation::NttPass { inverse }
}

/// The passes that the levels of `2^log_n` rows are cut into.
pub(super) fn passes<F: Field>(
    engine: &Engine,
    direction: Direction,
    log_n: u32,
    columns: usize,
) -> Vec<plan::Pass> {
    if lanes::in_lanes::<F>(engine) {
        return lanes::passes::<F>(engine, log_n, columns);
    }
    let tuning = engine.tuning::<F>(pass::<F>(direction));
    let (shape, tile_bytes) = (tuning.shape(), tuning.tile_bytes);
    let max_log_k = plan::max_log_k(size_of::<F::Word>(), shape, tile_bytes).min(tuning.levels);
    plan::passes(log_n, max_log_k, F::STEP_LEVELS)
}

/// The butterflies over matrices of `2^log_n` rows, one for each shift.
pub(super) struct Network<'a, F: Field> {
    pub(super) direction: Direction,
    /// The coefficients that every matrix begins with, in bit-reversed order; or else in place.
    pub(super) input: Option<&'a Buffer>,
    pub(super) shifts: &'a [F::Word],
    /// What the results are multiplied by.
    pub(super) scale: Option<F::Word>,
    pub(super) log_n: u32,
    pub(super) columns: usize,
}

impl<'a, F: Field> Network<'a, F> {
    pub(super) const fn in_place(
        direction: Direction,
        shifts: &'a [F::Word],
        log_n: u32,
        columns: usize,
    ) -> Self {
        Self {
            direction,
            input: None,
            shifts,
            scale: None,
            log_n,
            columns,
        }
    }

    pub(super) fn run(&self, engine: &mut Engine, data: &Buffer) -> Result<()> {
        if lanes::in_lanes::<F>(engine) {
            return lanes::run(self, engine, data);
        }
        let Self { log_n, columns, .. } = *self;
        let copies = self.shifts.len();
        let word_bytes = size_of::<F::Word>();
        let operation = pass::<F>(self.direction);
        let tuning = engine.tuning::<F>(operation);
        let (shape, tile_bytes) = (tuning.shape(), tuning.tile_bytes);
        let passes = passes::<F>(engine, self.direction, log_n, columns);
        if passes.is_empty() {
            return Ok(());
        }
        let roots = engine.roots::<F>(self.direction, log_n.saturating_sub(1))?;
        let compiled = engine.kernel::<F>(operation)?;
        let mut constants = vec![self.scale.unwrap_or(F::ONE)];
        constants.extend(self.factors(&passes));
        let constants = engine.upload(&constants)?;
        let mut shifts = 1;
        for plan::Pass { level, log_k } in passes {
            let inner = columns << (log_n - level - log_k);
            let input = self.input.filter(|_| level == 0);
            let row = if input.is_some() { columns } else { inner };
            let pass = NttPass {
                input,
                data,
                roots: &roots,
                constants: &constants,
                shifts,
                scaled: self.scale.is_some() && level + log_k == log_n,
                word_bytes,
                copies,
                log_n,
                columns,
                level,
                log_k,
                log_width: plan::log_width(log_k, row, word_bytes, shape, tile_bytes),
            };
            let result = pass.enqueue(engine.queue(), &compiled.kernel, shape);
            engine.launched(&compiled, pass.traffic(), result)?;
            shifts += copies * log_k as usize;
        }
        Ok(())
    }

    /// For each pass and matrix the factors of its levels: `shift^(n / 2^(level + 1))`.
    pub(super) fn factors(&self, passes: &[plan::Pass]) -> Vec<F::Word> {
        let powers: Vec<Vec<_>> = self
            .shifts
            .iter()
            .map(|&shift| {
                let mut squares = vec![shift];
                for level in 1..self.log_n as usize {
                    squares.push(F::mul(squares[level - 1], squares[level - 1]));
                }
                squares.reverse();
                squares
            })
            .collect();
        let of_pass = |pass: &plan::Pass| {
            let levels = pass.level as usize..(pass.level + pass.log_k) as usize;
            powers
                .iter()
                .flat_map(move |power| power[levels.clone()].iter().copied())
        };
        passes.iter().flat_map(of_pass).collect()
    }
}

/// Enqueues the last step of an inverse transform alone: rows from bit-reversed order, divided by their number, row
/// `i` times `shift^i`. For measurements.
pub(crate) fn launch_spread<F: Field>(
    engine: &mut Engine,
    input: &Buffer,
    output: &Buffer,
    shift: F::Word,
    log_n: u32,
    columns: usize,
) -> Result<()> {
    let (shifts, scale) = (&[shift], F::inverse_power_of_two(log_n));
    Spread::<F> { shifts, scale }.launch(engine, input, output, log_n, columns)
}

impl<F: Field> Spread<'_, F> {
    pub(super) fn run(
        &self,
        engine: &mut Engine,
        input: Operand<F::Word>,
        log_n: u32,
        columns: usize,
    ) -> Result<Operand<F::Word>> {
        let (input, host) = input.split();
        let output = engine.make::<F>((self.shifts.len() * columns) << log_n, host)?;
        self.launch(engine, &input, &output, log_n, columns)?;
        Ok(output)
    }

    fn launch(
        &self,
        engine: &mut Engine,
        input: &Buffer,
        output: &Buffer,
        log_n: u32,
        columns: usize,
    ) -> Result<()> {
        let log_low = log_n / 2;
        let (low, high) = power_tables::<F>(self.shifts, self.scale, log_n, log_low);
        let (low, high) = (engine.upload(&low)?, engine.upload(&high)?);
        let compiled = engine.kernel::<F>(Operation::NttSpread)?;
        let spread = NttSpread {
            input,
            output,
            low: &low,
            high: &high,
            word_bytes: size_of::<F::Word>(),
            log_n,
            columns,
            copies: self.shifts.len(),
            reverse: true,
            log_low,
        };
        let shape = engine.shape::<F>(Operation::NttSpread);
        let result = spread.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, spread.traffic(), result)
    }
}

/// `low[c][j] = s^j` and `high[c][j] = scale * s^(j << log_low)`, `s = shifts[c]`.
pub(super) fn power_tables<F: Field>(
    shifts: &[F::Word],
    scale: F::Word,
    log_n: u32,
    log_low: u32,
) -> (Vec<F::Word>, Vec<F::Word>) {
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for &shift in shifts {
        powers::<F>(&mut low, F::ONE, shift, 1 << log_low);
        let step = F::pow(shift, 1 << log_low);
        powers::<F>(&mut high, scale, step, 1 << (log_n - log_low));
    }
    (low, high)
}

/// Appends `first`, `first * base`, `first * base^2`, ...
fn powers<F: Field>(table: &mut Vec<F::Word>, first: F::Word, base: F::Word, count: usize) {
    let mut power = first;
    for _ in 0..count {
        table.push(power);
        power = F::mul(power, base);
    }
}
