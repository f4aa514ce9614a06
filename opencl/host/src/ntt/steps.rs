//! What the transforms are made of: an inverse network, a spread, a forward network.

use crate::driver::launch::{NttPass, NttSpread};
use crate::engine::{Direction, Engine};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::memory::Lease;
use crate::plan;
use crate::program::Operation;
use crate::reference::reverse_bits;

/// A transform of matrices of `2^log_n` rows; absent steps are left out.
pub(crate) struct Steps<F: Field> {
    log_n: u32,
    inverse: bool,
    spread: Option<Spread<F>>,
    forward: bool,
}

/// `ntt/spread.cl`: row `i` of copy `c` is multiplied by `scale * shifts[c]^i`.
struct Spread<F: Field> {
    shifts: Vec<F::Word>,
    scale: F::Word,
    /// Whether the rows come in bit-reversed order.
    reverse: bool,
}

impl<F: Field> Steps<F> {
    /// Coefficients to values on the subgroup.
    pub(crate) const fn dft(log_n: u32) -> Self {
        Self {
            log_n,
            inverse: false,
            spread: None,
            forward: true,
        }
    }

    /// Coefficients to values on a coset.
    pub(crate) fn coset_dft(log_n: u32, shift: F::Word) -> Self {
        Self {
            spread: Some(Spread {
                shifts: vec![shift],
                scale: F::ONE,
                reverse: false,
            }),
            ..Self::dft(log_n)
        }
    }

    /// Values on a coset to coefficients.
    pub(crate) fn coset_idft(log_n: u32, inverse_shift: F::Word) -> Self {
        Self {
            log_n,
            inverse: true,
            spread: Some(Spread {
                shifts: vec![inverse_shift],
                scale: F::inverse_power_of_two(log_n),
                reverse: true,
            }),
            forward: false,
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
            inverse: true,
            spread: Some(Spread {
                shifts,
                scale: F::inverse_power_of_two(log_n),
                reverse: true,
            }),
            forward: true,
        }
    }

    /// Matrices that come out for one that goes in.
    fn copies(&self) -> usize {
        self.spread.as_ref().map_or(1, |spread| spread.shifts.len())
    }

    /// Transforms a matrix of `columns`, all at once or in panels of columns.
    pub(crate) fn run(
        &self,
        engine: &mut Engine,
        values: Vec<F::Word>,
        columns: usize,
    ) -> Result<Vec<F::Word>> {
        let panel = self.panel_columns(engine, columns)?;
        if panel == columns {
            return self.run_panel(engine, values, columns);
        }
        let mut out = vec![F::ZERO; values.len() * self.copies()];
        for start in (0..columns).step_by(panel) {
            let width = panel.min(columns - start);
            let mut part = Vec::with_capacity(width << self.log_n);
            for row in values.chunks_exact(columns) {
                part.extend_from_slice(&row[start..start + width]);
            }
            let part = self.run_panel(engine, part, width)?;
            for (row, done) in out.chunks_exact_mut(columns).zip(part.chunks_exact(width)) {
                row[start..start + width].copy_from_slice(done);
            }
        }
        Ok(out)
    }

    /// How many columns fit the device, both as one allocation and all together.
    fn panel_columns(&self, engine: &mut Engine, columns: usize) -> Result<usize> {
        // The roots first: they stay on the device and are the same for every panel.
        let directions = [
            (self.inverse, Direction::Inverse),
            (self.forward, Direction::Forward),
        ];
        for (_, direction) in directions.into_iter().filter(|(used, _)| *used) {
            engine.roots::<F>(direction, self.log_n.saturating_sub(1))?;
        }
        let input = size_of::<F::Word>() << self.log_n;
        let largest = input * self.copies();
        let together = if self.spread.is_some() {
            input + largest
        } else {
            largest
        };
        // Both tables of a spread: 2^ceil(log_n / 2) entries a copy at most, each.
        let tables = (2 * self.copies() * size_of::<F::Word>()) << self.log_n.div_ceil(2);
        let available = engine.available_bytes().saturating_sub(tables);
        let max_allocation = engine.layout().max_allocation_bytes;
        let by_allocation = plan::panel(columns, largest, max_allocation);
        let by_memory = plan::panel(columns, together, available);
        match (by_allocation, by_memory) {
            (Some(a), Some(b)) => Ok(a.min(b)),
            _ => Err(Error::OutOfDeviceMemory {
                device: engine.device().to_string(),
                needed_bytes: (together + tables) as u64,
                available_bytes: engine.available_bytes().min(max_allocation) as u64,
            }),
        }
    }

    /// The result takes the place of the values: what is large is the allocation of host memory.
    fn run_panel(
        &self,
        engine: &mut Engine,
        mut values: Vec<F::Word>,
        columns: usize,
    ) -> Result<Vec<F::Word>> {
        let (log_n, copies) = (self.log_n, self.copies());
        let mut data = engine.upload(&values)?;
        if self.inverse {
            network::<F>(engine, &data, Direction::Inverse, 1, log_n, columns)?;
        }
        if let Some(spread) = &self.spread {
            data = spread.run(engine, &data, log_n, columns)?;
        }
        if self.forward {
            network::<F>(engine, &data, Direction::Forward, copies, log_n, columns)?;
        }
        values.resize(values.len() * copies, F::ZERO);
        engine.download::<F>(&data, &mut values)?;
        Ok(values)
    }
}

/// Runs the butterflies over `copies` matrices of `2^log_n` rows, in place.
fn network<F: Field>(
    engine: &mut Engine,
    data: &Lease,
    direction: Direction,
    copies: usize,
    log_n: u32,
    columns: usize,
) -> Result<()> {
    let roots = engine.roots::<F>(direction, log_n.saturating_sub(1))?;
    let compiled = engine.kernel::<F>(Operation::NttPass)?;
    let word_bytes = size_of::<F::Word>();
    let (shape, tile_bytes) = (engine.shape::<F>(), engine.layout().tile_bytes);
    let max_log_k = plan::max_log_k(word_bytes, shape, tile_bytes);
    for plan::Pass { level, log_k } in plan::passes(log_n, max_log_k) {
        let inner = columns << (log_n - level - log_k);
        let pass = NttPass {
            data,
            roots: &roots,
            word_bytes,
            copies,
            log_n,
            columns,
            level,
            log_k,
            log_width: plan::log_width(log_k, inner, word_bytes, shape, tile_bytes),
        };
        let result = pass.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, pass.traffic(), result)?;
    }
    Ok(())
}

impl<F: Field> Spread<F> {
    fn run(&self, engine: &mut Engine, input: &Lease, log_n: u32, columns: usize) -> Result<Lease> {
        let copies = self.shifts.len();
        let log_low = log_n / 2;
        let (low, high) = self.tables(log_n, log_low);
        let (low, high) = (engine.upload(&low)?, engine.upload(&high)?);
        let output = engine.lease::<F::Word>((copies * columns) << log_n)?;
        let compiled = engine.kernel::<F>(Operation::NttSpread)?;
        let spread = NttSpread {
            input,
            output: &output,
            low: &low,
            high: &high,
            word_bytes: size_of::<F::Word>(),
            log_n,
            columns,
            copies,
            reverse: self.reverse,
            log_low,
        };
        let result = spread.enqueue(engine.queue(), &compiled.kernel, engine.shape::<F>());
        engine.launched(&compiled, spread.traffic(), result)?;
        Ok(output)
    }

    /// `low[c][j] = s^j` and `high[c][j] = scale * s^(j << log_low)`, `s = shifts[c]`.
    fn tables(&self, log_n: u32, log_low: u32) -> (Vec<F::Word>, Vec<F::Word>) {
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for &shift in &self.shifts {
            powers::<F>(&mut low, F::ONE, shift, 1 << log_low);
            let step = F::pow(shift, 1 << log_low);
            powers::<F>(&mut high, self.scale, step, 1 << (log_n - log_low));
        }
        (low, high)
    }
}

/// Appends `first`, `first * base`, `first * base^2`, ...
fn powers<F: Field>(table: &mut Vec<F::Word>, first: F::Word, base: F::Word, count: usize) {
    let mut power = first;
    for _ in 0..count {
        table.push(power);
        power = F::mul(power, base);
    }
}
