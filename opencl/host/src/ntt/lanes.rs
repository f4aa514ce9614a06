//! The network in lanes of four large elements, `ntt/pass_lanes.cl`.

use std::rc::Rc;

use super::steps::{Network, power_tables};
use crate::driver::Buffer;
use crate::driver::launch::ntt_lanes::{
    LANES, MAX_DIVISOR, MAX_LOG_K, NttPassLanes, ROW_BYTES, Rows, STEP_LEVELS,
};
use crate::engine::{Compiled, Engine};
use crate::error::Result;
use crate::field::Field;
use crate::memory::Lease;
use crate::plan;
use crate::program::Operation;

/// `field/mont256_lanes.cl` multiplies by what is stored times this: `2^261 / 2^256`.
pub(crate) const UNIT: u64 = 32;

const PASS: Operation = Operation::NttPass { inverse: false };

/// Whether transforms over `F` go in lanes here.
pub(super) fn in_lanes<F: Field>(engine: &Engine) -> bool {
    !F::LANE_SOURCES.is_empty() && engine.shape::<F>(PASS).vector_width as usize == LANES
}

/// The network's passes over `data`.
pub(super) fn run<F: Field>(
    network: &Network<'_, F>,
    engine: &mut Engine,
    data: &Buffer,
) -> Result<()> {
    let Some(plan) = Plan::new(network, engine, F::ONE)? else {
        return Ok(());
    };
    for pass in &plan.passes {
        let first = network.input.filter(|_| pass.level == 0);
        let rows = match first {
            Some(_) => Rows::InOrder,
            None => Rows::AsTheyAre,
        };
        plan.launch(engine, pass, [first.unwrap_or(data), data], rows)?;
    }
    Ok(())
}

/// As [`run`], of one matrix, leaving its rows in natural order and row `i` times `shift^i`.
pub(super) fn run_in_order<F: Field>(
    network: &Network<'_, F>,
    engine: &mut Engine,
    data: &Buffer,
    shift: F::Word,
) -> Result<()> {
    let Some(plan) = Plan::new(network, engine, shift)? else {
        return Ok(());
    };
    // A pass that is alone has its whole matrix in tiles before it stores; else the last pass would write
    // over rows that others still have to read.
    let scratch = match plan.passes.len() {
        1 => None,
        _ => Some(engine.lease::<F::Word>(network.columns << network.log_n)?),
    };
    let between: &Buffer = scratch.as_deref().unwrap_or(data);
    for pass in &plan.passes {
        let input = if pass.level == 0 { data } else { between };
        if plan.is_last(pass) {
            plan.launch(engine, pass, [input, data], Rows::OutOrder)?;
        } else {
            plan.launch(engine, pass, [input, between], Rows::AsTheyAre)?;
        }
    }
    Ok(())
}

/// The passes of a network, and what they have in common.
struct Plan {
    passes: Vec<plan::Pass>,
    compiled: Rc<Compiled>,
    roots: Rc<Lease>,
    constants: Lease,
    shifted: bool,
    /// Where the powers of a shift begin among the constants.
    powers: Option<usize>,
    /// All results are divided by two to this.
    divisor: u32,
    copies: usize,
    log_n: u32,
    columns: usize,
}

impl Plan {
    /// `None` if there is nothing to do. Row `i` comes out times `shift^i`.
    fn new<F: Field>(
        network: &Network<'_, F>,
        engine: &mut Engine,
        shift: F::Word,
    ) -> Result<Option<Self>> {
        let log_n = network.log_n;
        let tuning = engine.tuning::<F>(PASS);
        let max_log_k = (tuning.tile_bytes / ROW_BYTES).max(2).ilog2();
        let max_log_k = max_log_k.min(tuning.levels).min(MAX_LOG_K);
        let passes = plan::passes(log_n, max_log_k, STEP_LEVELS);
        let Some(last) = passes.last() else {
            return Ok(None);
        };
        let mut constants = network.factors(&passes);
        let mut powers = None;
        if shift != F::ONE {
            powers = Some(constants.len());
            let (low, high) = power_tables::<F>(&[shift], F::ONE, log_n, last.level);
            constants.extend(low.into_iter().chain(high));
        }
        for constant in &mut constants {
            *constant = F::mul(*constant, F::from_u64(UNIT));
        }
        Ok(Some(Self {
            roots: engine.lane_roots::<F>(network.direction, log_n - 1)?,
            compiled: engine.kernel::<F>(PASS)?,
            constants: engine.upload(&constants)?,
            shifted: network.shifts.iter().any(|&shift| shift != F::ONE),
            powers,
            divisor: network.scale.map_or(0, |_| log_n),
            copies: network.shifts.len(),
            log_n,
            columns: network.columns,
            passes,
        }))
    }

    fn is_last(&self, pass: &plan::Pass) -> bool {
        pass.level + pass.log_k == self.log_n
    }

    fn launch(
        &self,
        engine: &Engine,
        pass: &plan::Pass,
        [input, output]: [&Buffer; 2],
        rows: Rows,
    ) -> Result<()> {
        // What the last pass cannot divide by, the first one does.
        let in_last = self.divisor.min(MAX_DIVISOR);
        let divisor = match (self.is_last(pass), pass.level) {
            (true, _) => in_last,
            (false, 0) => self.divisor - in_last,
            (false, _) => 0,
        };
        let launch = NttPassLanes {
            input,
            output,
            roots: &self.roots,
            constants: &self.constants,
            // After a factor for each copy and each level before.
            shifts: self.copies * pass.level as usize,
            shifted: self.shifted,
            rows,
            powers: self.powers.filter(|_| self.is_last(pass)),
            divisor,
            copies: self.copies,
            log_n: self.log_n,
            columns: self.columns,
            level: pass.level,
            log_k: pass.log_k,
        };
        let result = launch.enqueue(engine.queue(), &self.compiled.kernel);
        engine.launched(&self.compiled, launch.traffic(), result)
    }
}
