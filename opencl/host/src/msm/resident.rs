//! A multiplication whose bases and scalars stay on the device. For measurements.

use super::curve::Point;
use super::reference::{GENERATOR, multiple};
use super::{Affine, ScalarForm, pipeline, self_test};
use crate::engine::Engine;
use crate::error::Result;
use crate::field::mont256::{BN254_FQ as FQ, BN254_FR as FR};
use crate::memory::Lease;
use crate::timing;

/// Bases and scalars on the device.
pub(crate) struct Resident {
    bases: Lease,
    scalars: Lease,
    count: usize,
    expected: Affine,
}

impl Resident {
    /// The multiples `1, 2, 3, ...` of the generator by scalars without a pattern.
    pub(crate) fn load(engine: &mut Engine, count: usize) -> Result<Self> {
        let scalars: Vec<_> = self_test::noise().take(count).collect();
        // What does not fit is refused before anything is computed.
        let on_device = engine.upload(scalars.as_flattened())?;
        let bases = engine.upload(multiples(count).as_flattened().as_flattened())?;
        let (mut sum, mut factor) = ([0; 4], FR.one());
        for scalar in scalars {
            sum = FR.add(sum, FR.mul(factor, scalar));
            factor = FR.add(factor, FR.one());
        }
        Ok(Self {
            bases,
            scalars: on_device,
            count,
            expected: multiple(GENERATOR, sum),
        })
    }

    /// The sum, and whether it is right.
    pub(crate) fn run(&self, engine: &mut Engine) -> Result<bool> {
        let Self {
            bases,
            scalars,
            count,
            expected,
        } = self;
        let plan = pipeline::plan(engine, *count);
        engine.plan_launches(plan.launches());
        let sum = pipeline::run_resident(engine, bases, scalars, ScalarForm::Canonical, &plan)?;
        Ok(sum.to_affine() == *expected)
    }
}

impl Resident {
    /// How many bases, for people.
    pub(crate) fn shape(&self) -> String {
        format!("2^{} bases", self.count.ilog2())
    }

    /// The median time of `runs` multiplications.
    pub(crate) fn median_ns(&self, engine: &mut Engine, runs: usize) -> Result<u64> {
        let samples = timing::samples_ns(engine, runs, |engine| self.run(engine).map(drop))?;
        Ok(timing::median(samples))
    }
}

/// The first `count` multiples of the generator.
fn multiples(count: usize) -> Vec<Affine> {
    let [x, y] = GENERATOR;
    let (zz, zzz) = (FQ.one(), FQ.one());
    let generator = Point { x, y, zz, zzz };
    let walk = std::iter::successors(Some(generator), |point| Some(point.add(&generator)));
    let walk: Vec<_> = walk.take(count).collect();
    Point::all_to_affine(&walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_multiples_of_the_generator() {
        let multiples = multiples(100);
        assert_eq!(multiples.len(), 100);
        for (number, &point) in (1..).zip(&multiples) {
            assert_eq!(point, multiple(GENERATOR, [number, 0, 0, 0]), "{number}");
        }
    }
}
