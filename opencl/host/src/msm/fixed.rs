//! Bases that stay on the device, with multiples of each, for many multiplications by other scalars.
//!
//! A window of a scalar counts `2^(bits * w)` times. With `2^(bits * w) * base` at hand, the digits of several
//! windows go to the buckets of one: fewer buckets to weigh, fewer doublings, and so wider windows pay. Memory is the
//! price, and the time to make the multiples once: 254 doublings a base at most.

use std::fmt;
use std::sync::Arc;

use super::plan::Plan;
use super::program::MsmKernel;
use super::{Affine, INFINITY, MsmBn254, ScalarForm, pipeline, require_below, self_test};
use crate::driver::launch::msm::{MULTIPLE_SCRATCH_BYTES, MsmMultiples};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::mont256::{BN254_FQ, BN254_FR, Limbs};
use crate::memory::Lease;
use crate::session::Session;

/// Bytes of an affine point on the device.
const BASE_BYTES: usize = size_of::<Affine>();

/// Bases that one launch doubles at most: what it writes down meanwhile is no large part of a table.
const SLICE: usize = 1 << 16;

/// Bases that share an inversion, so that it costs little beside their doublings.
const SHARE: usize = 64;

/// Bases on a session's device, and multiples of them, until this is dropped.
pub struct FixedBases<'a> {
    session: &'a Session,
    /// What the engine knows the table by.
    number: u64,
    count: usize,
    multiples: usize,
}

impl<'a> MsmBn254<'a> {
    /// Brings bases to the device, to stay there, with `multiples` of each at most, itself among them.
    ///
    /// With one there is no table, only the way to the device is saved. As many as a scalar has windows are the
    /// most that are of use, and more are not made: 16 of `2^16` bases. [`FixedBases::multiples`] and
    /// [`FixedBases::device_bytes`] say what was made; in all, a table takes 64 bytes for each multiple of each
    /// base, as one allocation, and so much less memory is left to other calls.
    ///
    /// *Shape*: at least one base; any points of the curve, infinity among them.
    /// *Units*: see [`Affine`].
    /// *Errors*: [`Error::Shape`] and [`Error::NotCanonical`] before anything is launched, [`Error::OutOfDeviceMemory`] if
    /// the table, and beside it what a multiplication by as many scalars needs, does not fit; and what the driver
    /// reports.
    /// *Source*: Brickell, Gordon, McCurley, Wilson 1992, as in Bernstein, Doumen, Lange, Oosterwijk 2012
    /// (ePrint 2012/549).
    pub fn fix(&self, bases: Arc<[Affine]>, multiples: usize) -> Result<FixedBases<'a>> {
        if bases.is_empty() || multiples == 0 {
            return Err(Error::Shape(format!(
                "{multiples} multiples of {} bases",
                bases.len()
            )));
        }
        require_below(&BN254_FQ, bases.as_flattened(), "bn254_fq")?;
        let count = bases.len();
        let (number, multiples) = self.session.run(move |engine| {
            engine.trust(0, self_test::all)?;
            let table = Table::build(engine, &bases, multiples)?;
            let multiples = table.multiples;
            Ok((engine.keep(table), multiples))
        })?;
        Ok(FixedBases {
            session: self.session,
            number,
            count,
            multiples,
        })
    }
}

impl FixedBases<'_> {
    /// `sum of scalars[i] * bases[i]`, over the first bases where there are fewer scalars.
    ///
    /// *Shape*: as many scalars as bases, or fewer; none is an answer too.
    /// *Units*: see [`Affine`] and [`ScalarForm`].
    /// *Errors*: as [`MsmBn254::msm`].
    pub fn msm(&self, scalars: Vec<[u64; 4]>, form: ScalarForm) -> Result<Affine> {
        if scalars.len() > self.count {
            return Err(Error::Shape(format!(
                "{} scalars for {} bases",
                scalars.len(),
                self.count
            )));
        }
        require_below(&BN254_FR, &scalars, "bn254_fr")?;
        if scalars.is_empty() {
            return Ok(INFINITY);
        }
        let number = self.number;
        self.session.run(move |engine| {
            let table = engine.kept::<Table>(number);
            let table = table.expect("invariant: given up in drop only");
            // With what the table was built may not be what is used by now.
            engine.trust(0, self_test::all)?;
            table.multiply(engine, scalars, form)
        })
    }

    /// How many bases there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many multiples of each there are.
    #[must_use]
    pub const fn multiples(&self) -> usize {
        self.multiples
    }

    /// Bytes of device memory that all of it occupies.
    #[must_use]
    pub const fn device_bytes(&self) -> u64 {
        (self.count * self.multiples * BASE_BYTES) as u64
    }
}

impl fmt::Debug for FixedBases<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBases")
            .field("count", &self.count)
            .field("multiples", &self.multiples)
            .finish_non_exhaustive()
    }
}

impl Drop for FixedBases<'_> {
    fn drop(&mut self) {
        let number = self.number;
        // Also where the caller's calls are ended; a session that is lost has given it up already.
        let _ = self.session.uncontrolled().run(move |engine| {
            engine.give_up(number);
            Ok(())
        });
    }
}

/// Multiples on the device: `2^(bits * j) * bases[i]` at `j * count + i`.
pub(super) struct Table {
    bases: Lease,
    count: usize,
    bits: u32,
    multiples: usize,
}

impl Table {
    pub(super) fn build(engine: &mut Engine, bases: &[Affine], multiples: usize) -> Result<Self> {
        let count = bases.len();
        let plan = Plan::fixed(count, multiples, pipeline::spread(engine));
        let multiples = plan.windows.multiples;
        let points = plan.windows.count;
        let slice = count.min(SLICE);
        let scratch_bytes = slice * MULTIPLE_SCRATCH_BYTES;
        let table_bytes = points.saturating_mul(BASE_BYTES);
        let work_bytes = plan.bytes().max(scratch_bytes);
        let (available, largest) = (
            engine.available_bytes(),
            engine.layout().max_allocation_bytes,
        );
        let needed = table_bytes.saturating_add(work_bytes);
        let single = table_bytes.max(plan.largest_bytes());
        if needed > available || single > largest || points >= 1 << 31 {
            return Err(Error::OutOfDeviceMemory {
                device: engine.device().to_string(),
                needed_bytes: needed as u64,
                available_bytes: available.min(largest) as u64,
            });
        }
        let mut words = bases.as_flattened().to_vec();
        words.resize(2 * points, [0; 4]);
        let table = engine.upload(words.as_flattened())?;
        if multiples > 1 {
            let scratch = engine.lease::<u64>(scratch_bytes / 8)?;
            let compiled = engine.msm_kernel(MsmKernel::Multiples)?;
            let shape = engine.msm_shape(MsmKernel::Multiples);
            engine.plan_launches(count.div_ceil(slice) * (multiples - 1));
            for first in (0..count).step_by(slice) {
                let count_here = slice.min(count - first);
                for multiple in 1..multiples {
                    let launch = MsmMultiples {
                        table: &table,
                        scratch: &scratch,
                        from: (multiple - 1) * count + first,
                        to: multiple * count + first,
                        count: count_here,
                        doublings: plan.windows.bits,
                        work_items: count_here.div_ceil(SHARE),
                    };
                    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
                    engine.launched(&compiled, launch.traffic(), result)?;
                }
            }
        }
        engine.wait()?;
        Ok(Self {
            bases: table,
            count,
            bits: plan.windows.bits,
            multiples,
        })
    }

    /// The sum over the first bases.
    pub(super) fn multiply(
        &self,
        engine: &mut Engine,
        mut scalars: Vec<Limbs>,
        form: ScalarForm,
    ) -> Result<Affine> {
        let count = self.count;
        let few = scalars.len() <= count / 2;
        let plan = match few {
            // The digits of all bases, most of them zero, would cost more than the table saves.
            true => pipeline::plan(engine, scalars.len()),
            false => Plan::cut(count, self.bits, self.multiples, pipeline::spread(engine)),
        };
        if !few {
            scalars.resize(count, [0; 4]);
        }
        engine.plan_launches(plan.launches());
        let scalars = engine.upload(scalars.as_flattened())?;
        let sum = pipeline::run_resident(engine, &self.bases, &scalars, form, &plan)?;
        Ok(sum.to_affine())
    }
}
