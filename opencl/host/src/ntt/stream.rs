//! Transforms of matrices that do not fit the device at once, part by part.

use std::ops::Range;

use super::cut::Rows;
use super::steps::{Kind, Network, Spread, Steps, passes};
use crate::engine::{Direction, Engine, Panels};
use crate::error::Result;
use crate::field::Field;
use crate::operand::Operand;
use crate::reference::reverse_bits;

/// Transforms panels of `width` columns, `beside` each other or one by one.
pub(super) fn columns<F: Field>(
    steps: &Steps<F>,
    engine: &mut Engine,
    values: &[F::Word],
    columns: usize,
    width: usize,
    beside: bool,
) -> Result<Vec<F::Word>> {
    let mut panels = ColumnPanels {
        steps,
        values,
        columns,
        width,
        out: vec![F::ZERO; values.len() * steps.copies()],
    };
    let launches = (0..panels.count()).map(|panel| {
        let width = panels.range(panel).len();
        steps.launches(engine, width)
    });
    engine.plan_launches(launches.sum());
    if beside {
        engine.stream(&mut panels)?;
    } else {
        engine.one_by_one(&mut panels)?;
    }
    Ok(panels.out)
}

/// Transforms in two sweeps over the rows.
pub(super) fn rows<F: Field>(
    steps: &Steps<F>,
    engine: &mut Engine,
    mut values: Vec<F::Word>,
    columns: usize,
    rows: Rows,
) -> Result<Vec<F::Word>> {
    let log_n = steps.log_n;
    let log_block = log_n - rows.log_blocks;
    let (direction, shift, spread) = match steps.kind {
        Kind::Values { shift } => (Direction::Forward, shift, None),
        Kind::Coefficients { inverse_shift } => (Direction::Inverse, F::ONE, Some(inverse_shift)),
        Kind::Extension { .. } => unreachable!("invariant: cut into its copies"),
    };
    let root = match direction {
        Direction::Forward => F::root(log_n),
        Direction::Inverse => F::inverse(F::root(log_n)).expect("invariant: a root is not zero"),
    };
    // A strip splits at the nodes of a transform of as many rows as there are blocks.
    let strip_shift = F::pow(shift, 1 << log_block);
    let reversed = |block| reverse_bits(block, rows.log_blocks);
    let block_shifts: Vec<_> = (0..1 << rows.log_blocks)
        .map(|block| F::mul(shift, F::pow(root, reversed(block) as u64)))
        .collect();
    let parts: Vec<_> = (0..columns)
        .step_by(rows.columns)
        .map(|first| first..columns.min(first + rows.columns))
        .collect();

    let strips = (1_usize << log_block).div_ceil(rows.strip);
    let blocks = (1_usize << rows.log_blocks).div_ceil(rows.together);
    let launches = parts.iter().map(|part| {
        let of_strip = |strip: usize| {
            let height = rows.strip.min((1 << log_block) - strip * rows.strip);
            let columns = height * part.len();
            passes::<F>(engine, direction, rows.log_blocks, columns).len()
        };
        let of_block = passes::<F>(engine, direction, log_block, part.len()).len();
        let spread = usize::from(spread.is_some());
        (0..strips).map(of_strip).sum::<usize>() + blocks * (of_block + spread)
    });
    let launches = launches.sum();
    engine.plan_launches(launches);

    // Coefficients change places with each other.
    let mut out = match spread {
        Some(_) => vec![F::ZERO; values.len()],
        None => Vec::new(),
    };
    for part in parts {
        engine.stream(&mut Strips::<F> {
            matrix: Part {
                words: &mut values,
                columns,
                part: part.clone(),
            },
            rows,
            log_n,
            direction,
            shift: strip_shift,
        })?;
        match spread {
            None => engine.stream(&mut Blocks::<F> {
                matrix: Part {
                    words: &mut values,
                    columns,
                    part,
                },
                rows,
                log_block,
                shifts: &block_shifts,
            })?,
            Some(inverse_shift) => engine.stream(&mut Scattered::<F> {
                values: Part {
                    words: &mut values,
                    columns,
                    part: part.clone(),
                },
                out: Part {
                    words: &mut out,
                    columns,
                    part,
                },
                log_blocks: rows.log_blocks,
                log_n,
                shifts: &block_shifts,
                inverse_shift,
            })?,
        }
    }
    Ok(if spread.is_some() { out } else { values })
}

/// Extends to one coset after the other, from the coefficients.
pub(super) fn copies<F: Field>(
    steps: &Steps<F>,
    engine: &mut Engine,
    values: Vec<F::Word>,
    columns: usize,
) -> Result<Vec<F::Word>> {
    let Kind::Extension { shifts } = &steps.kind else {
        unreachable!("invariant: only extensions have copies");
    };
    let coefficients = Steps::<F>::coset_idft(steps.log_n, F::ONE).run(engine, values, columns)?;
    let mut out = Vec::with_capacity(coefficients.len() * shifts.len());
    for &shift in shifts {
        let coset = Steps::<F>::coset_dft(steps.log_n, shift);
        out.extend(coset.run(engine, coefficients.clone(), columns)?);
    }
    Ok(out)
}

/// Whole columns.
struct ColumnPanels<'a, F: Field> {
    steps: &'a Steps<F>,
    values: &'a [F::Word],
    columns: usize,
    width: usize,
    out: Vec<F::Word>,
}

impl<F: Field> ColumnPanels<'_, F> {
    fn range(&self, panel: usize) -> Range<usize> {
        let start = panel * self.width;
        start..self.columns.min(start + self.width)
    }
}

impl<F: Field> Panels<F> for ColumnPanels<'_, F> {
    fn count(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    fn gather(&mut self, panel: usize, words: &mut Vec<F::Word>) {
        let range = self.range(panel);
        for row in self.values.chunks_exact(self.columns) {
            words.extend_from_slice(&row[range.clone()]);
        }
    }

    fn compute(
        &mut self,
        engine: &mut Engine,
        panel: usize,
        data: Operand<F::Word>,
    ) -> Result<Operand<F::Word>> {
        self.steps.compute(engine, data, self.range(panel).len())
    }

    fn result_words(&self, panel: usize) -> usize {
        (self.range(panel).len() * self.steps.copies()) << self.steps.log_n
    }

    fn scatter(&mut self, panel: usize, words: &[F::Word]) {
        let range = self.range(panel);
        let rows = self.out.chunks_exact_mut(self.columns);
        for (row, done) in rows.zip(words.chunks_exact(range.len())) {
            row[range.clone()].copy_from_slice(done);
        }
    }
}

/// Some columns of a matrix on the host.
struct Part<'a, W> {
    words: &'a mut [W],
    columns: usize,
    part: Range<usize>,
}

impl<W: Copy> Part<'_, W> {
    fn width(&self) -> usize {
        self.part.len()
    }

    /// Where the words of adjacent rows lie: in one run, or in one for each row.
    fn runs(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<W> {
        let (columns, part) = (self.columns, self.part.clone());
        let whole = part.len() == columns;
        let count = if whole { 1 } else { rows.len() };
        let length = if whole {
            rows.len() * columns
        } else {
            part.len()
        };
        (0..count).map(move |run| {
            let start = (rows.start + run) * columns + part.start;
            start..start + length
        })
    }

    fn append(&self, rows: Range<usize>, words: &mut Vec<W>) {
        for run in self.runs(rows) {
            words.extend_from_slice(&self.words[run]);
        }
    }

    /// Takes the words of adjacent rows from the front of `words`.
    fn put(&mut self, rows: Range<usize>, words: &mut &[W]) {
        for run in self.runs(rows) {
            let (front, rest) = words.split_at(run.len());
            self.words[run].copy_from_slice(front);
            *words = rest;
        }
    }
}

/// The first levels: adjacent rows of every block, which the network takes for columns.
struct Strips<'a, F: Field> {
    matrix: Part<'a, F::Word>,
    rows: Rows,
    log_n: u32,
    direction: Direction,
    shift: F::Word,
}

impl<F: Field> Strips<'_, F> {
    const fn log_block(&self) -> u32 {
        self.log_n - self.rows.log_blocks
    }

    /// The rows of a strip in each of the blocks.
    fn of_blocks(&self, strip: usize) -> impl Iterator<Item = Range<usize>> + use<F> {
        let (log_block, height) = (self.log_block(), self.height(strip));
        let first = strip * self.rows.strip;
        (0..1 << self.rows.log_blocks).map(move |block: usize| {
            let start = (block << log_block) + first;
            start..start + height
        })
    }

    /// Rows of a strip in a block.
    fn height(&self, strip: usize) -> usize {
        let start = strip * self.rows.strip;
        self.rows.strip.min((1 << self.log_block()) - start)
    }
}

impl<F: Field> Panels<F> for Strips<'_, F> {
    fn count(&self) -> usize {
        (1_usize << self.log_block()).div_ceil(self.rows.strip)
    }

    fn gather(&mut self, strip: usize, words: &mut Vec<F::Word>) {
        for rows in self.of_blocks(strip) {
            self.matrix.append(rows, words);
        }
    }

    fn compute(
        &mut self,
        engine: &mut Engine,
        strip: usize,
        data: Operand<F::Word>,
    ) -> Result<Operand<F::Word>> {
        let columns = self.height(strip) * self.matrix.width();
        let (shifts, log_n) = (&[self.shift], self.rows.log_blocks);
        Network::<F>::in_place(self.direction, shifts, log_n, columns).run(engine, &data)?;
        Ok(data)
    }

    fn result_words(&self, strip: usize) -> usize {
        (self.height(strip) * self.matrix.width()) << self.rows.log_blocks
    }

    fn scatter(&mut self, strip: usize, mut words: &[F::Word]) {
        for rows in self.of_blocks(strip) {
            self.matrix.put(rows, &mut words);
        }
    }
}

/// The other levels of a transform to values, block by block: each is one on a coset of its own.
struct Blocks<'a, F: Field> {
    matrix: Part<'a, F::Word>,
    rows: Rows,
    log_block: u32,
    shifts: &'a [F::Word],
}

impl<F: Field> Blocks<'_, F> {
    fn blocks(&self, panel: usize) -> Range<usize> {
        let start = panel * self.rows.together;
        start..self.shifts.len().min(start + self.rows.together)
    }

    fn rows(&self, panel: usize) -> Range<usize> {
        let Range { start, end } = self.blocks(panel);
        start << self.log_block..end << self.log_block
    }
}

impl<F: Field> Panels<F> for Blocks<'_, F> {
    fn count(&self) -> usize {
        self.shifts.len().div_ceil(self.rows.together)
    }

    fn gather(&mut self, panel: usize, words: &mut Vec<F::Word>) {
        self.matrix.append(self.rows(panel), words);
    }

    fn compute(
        &mut self,
        engine: &mut Engine,
        panel: usize,
        data: Operand<F::Word>,
    ) -> Result<Operand<F::Word>> {
        let (shifts, width) = (&self.shifts[self.blocks(panel)], self.matrix.width());
        Network::<F>::in_place(Direction::Forward, shifts, self.log_block, width)
            .run(engine, &data)?;
        Ok(data)
    }

    fn result_words(&self, panel: usize) -> usize {
        self.rows(panel).len() * self.matrix.width()
    }

    fn scatter(&mut self, panel: usize, mut words: &[F::Word]) {
        self.matrix.put(self.rows(panel), &mut words);
    }
}

/// The other levels of a transform to coefficients, and their way back to natural order: row `i` of a
/// block, in that order, is one of every `2^log_blocks` rows.
struct Scattered<'a, F: Field> {
    values: Part<'a, F::Word>,
    out: Part<'a, F::Word>,
    log_blocks: u32,
    log_n: u32,
    shifts: &'a [F::Word],
    inverse_shift: F::Word,
}

impl<F: Field> Scattered<'_, F> {
    const fn log_block(&self) -> u32 {
        self.log_n - self.log_blocks
    }
}

impl<F: Field> Panels<F> for Scattered<'_, F> {
    fn count(&self) -> usize {
        self.shifts.len()
    }

    fn gather(&mut self, block: usize, words: &mut Vec<F::Word>) {
        let rows = block << self.log_block()..(block + 1) << self.log_block();
        self.values.append(rows, words);
    }

    fn compute(
        &mut self,
        engine: &mut Engine,
        block: usize,
        data: Operand<F::Word>,
    ) -> Result<Operand<F::Word>> {
        let (log_n, width) = (self.log_block(), self.values.width());
        let shifts = &self.shifts[block..=block];
        Network::<F>::in_place(Direction::Inverse, shifts, log_n, width).run(engine, &data)?;
        let first = F::pow(
            self.inverse_shift,
            reverse_bits(block, self.log_blocks) as u64,
        );
        Spread::<F> {
            shifts: &[F::pow(self.inverse_shift, 1 << self.log_blocks)],
            scale: F::mul(F::inverse_power_of_two(self.log_n), first),
        }
        .run(engine, data, log_n, width)
    }

    fn result_words(&self, _: usize) -> usize {
        self.values.width() << self.log_block()
    }

    fn scatter(&mut self, block: usize, mut words: &[F::Word]) {
        let first = reverse_bits(block, self.log_blocks);
        for row in 0..1 << self.log_block() {
            let at = first + (row << self.log_blocks);
            self.out.put(at..at + 1, &mut words);
        }
    }
}
