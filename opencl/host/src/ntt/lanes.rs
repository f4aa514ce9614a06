//! The network in lanes of four large elements, `ntt/pass_lanes.cl`.

use std::rc::Rc;

use super::steps::{Network, power_tables};
use crate::driver::Buffer;
use crate::driver::launch::ntt_lanes::{
    LANES, MAX_DIVISOR, MAX_LOG_K, NttPassLanes, ROW_BYTES, Rows,
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

/// Levels of a pass at most so that all passes have vectors for a few cores: a group is a vector, and goes
/// through all rows of its tile. Of few rows one pass costs less than two launches.
fn busy_levels(log_n: u32, columns: usize) -> u32 {
    const LOG_LANES: u32 = 4;
    const LOG_FEW_ROWS: u32 = 6;
    let spare = (log_n + columns.ilog2()).saturating_sub(LOG_LANES);
    spare.max(log_n.div_ceil(2)).max(LOG_FEW_ROWS)
}

/// The passes that the levels of `2^log_n` rows are cut into.
pub(super) fn passes<F: Field>(engine: &Engine, log_n: u32, columns: usize) -> Vec<plan::Pass> {
    let tuning = engine.tuning::<F>(PASS);
    let max_log_k = (tuning.tile_bytes / ROW_BYTES).max(2).ilog2();
    let max_log_k = max_log_k
        .min(tuning.levels)
        .min(MAX_LOG_K)
        .min(busy_levels(log_n, columns));
    plan::passes(log_n, max_log_k, 1)
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
        let passes = passes::<F>(engine, log_n, network.columns);
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
        engine: &mut Engine,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::error::Error;
    use crate::field::{Bls12381Fr, Bn254Fr};
    use crate::self_test;
    use crate::session::{Patch, Session, SessionOptions};
    use crate::storage::Storage;
    use crate::tune::Tuning;

    /// A session whose transforms over large fields go in lanes.
    fn open(patch: Patch) -> Option<Session> {
        let device = match Device::discover() {
            Ok(devices) => devices.into_iter().next()?,
            Err(error) => {
                println!("SKIP: {error}");
                return None;
            }
        };
        let options = SessionOptions {
            storage: Storage::None,
            ..SessionOptions::default()
        };
        let session = Session::open_untested(&device, options, patch).expect("it opens");
        if !session
            .run(|engine| Ok(in_lanes::<Bn254Fr>(engine)))
            .unwrap()
        {
            println!("SKIP: {device} has no vectors of 256 bits");
            return None;
        }
        Some(session)
    }

    /// The known answers have at most 2^9 rows: with few levels a pass, they take many passes.
    #[test]
    fn any_number_of_passes_gives_the_known_answers() {
        fn with<F: Field>(engine: &mut Engine, levels: u32) -> Result<()> {
            let tuning = Tuning {
                levels,
                ..engine.tuning::<F>(PASS)
            };
            engine.tune(PASS, F::NAME, tuning);
            self_test::ntt::<F>(engine)
        }
        // Products by hand, and as other processors have them from the compiler.
        let by_compiler: Patch = |source| format!("#undef __AVX2__\n{source}");
        for (patch, all) in [
            (str::to_owned as Patch, &[1, 2, 3, 5, 9][..]),
            (by_compiler, &[3]),
        ] {
            let Some(session) = open(patch) else { return };
            for &levels in all {
                session
                    .run(move |engine| {
                        with::<Bn254Fr>(engine, levels)?;
                        with::<Bls12381Fr>(engine, levels)
                    })
                    .unwrap();
            }
        }
    }

    #[test]
    fn a_device_that_computes_wrongly_in_lanes_is_not_believed() {
        let bugs: [(&str, Patch); 8] = [
            ("an opposite", |s| s.replace("lent(5, 1, i", "lent(5, 0, i")),
            ("a node", |s| {
                s.replace(
                    "by->made + (1u << depth) + node",
                    "by->made + (1u << depth)",
                )
            }),
            ("a lane's root", |s| {
                s.replace("(((size_t)at->block[l]", "(((size_t)at->block[0]")
            }),
            ("the order of rows", |s| {
                s.replace("at->block[l] = reverse_bits(at->block[l], level);", "{}")
            }),
            ("the order of rows in a tile", |s| {
                s.replace(
                    "at->flags & OUT_ORDER ? reverse_bits(row, at->log_k) : row",
                    "row",
                )
            }),
            ("a divisor", |s| {
                s.replace("limb[i] >> bits |", "limb[i] >> 1 |")
            }),
            ("a coset", |s| s.replace("by_level[d])", "by_level[0])")),
            ("a power", |s| s.replace("splat(high +", "splat(low +")),
        ];
        for (bug, patch) in bugs {
            let Some(session) = open(patch) else { return };
            let answer = session.run(self_test::ntt::<Bn254Fr>);
            assert!(
                matches!(answer, Err(Error::WrongAnswer { .. })),
                "{bug}: {answer:?}"
            );
        }
    }
}
