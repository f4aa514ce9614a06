//! Known answers that a device must give before it is trusted with points.
//!
//! All bases are known multiples of the generator, so that the answer is one multiple, too.

use super::plan::Plan;
use super::reference::{GENERATOR, add, multiple};
use super::{Affine, INFINITY, ScalarForm, pipeline};
use crate::engine::Engine;
use crate::error::Result;
use crate::field::mont256::{BN254_FQ as FQ, BN254_FR as FR, Limbs};

/// Bases of a test: with runs of [`LENGTH`], a bucket that holds all has heads of heads.
const COUNT: usize = 300;
/// Entries of a run.
const LENGTH: usize = 8;
/// Segments of a window, of which there are at least eight buckets.
const SEGMENTS: usize = 4;

/// Runs every kernel against the definition: runs that end inside a bucket, equal and opposite
/// points, infinity, the ends of the range of scalars, both forms of them.
pub(crate) fn run(engine: &mut Engine) -> Result<()> {
    let (factors, bases) = bases();
    let scalars = scalars();
    let stored: Vec<_> = scalars.iter().map(|&scalar| FR.stored(scalar)).collect();
    let one_bucket = vec![[3, 0, 0, 0]; COUNT];
    let plan = Plan {
        length: LENGTH,
        segments: SEGMENTS,
        ..pipeline::plan(engine, COUNT)
    };
    for (name, numbers, scalars, form) in [
        ("numbers", &scalars, &scalars, ScalarForm::Canonical),
        ("stored scalars", &scalars, &stored, ScalarForm::Montgomery),
        (
            "one bucket",
            &one_bucket,
            &one_bucket,
            ScalarForm::Canonical,
        ),
    ] {
        let computed = pipeline::run_planned(engine, &bases, scalars, form, &plan)?;
        let right = computed.to_affine() == expected(&factors, numbers);
        engine.require(right, || {
            format!("multi-scalar multiplication on bn254, {name}")
        })?;
    }
    Ok(())
}

/// The multiple of the generator that the sum is.
fn expected(factors: &[Limbs], numbers: &[Limbs]) -> Affine {
    let products = factors.iter().zip(numbers);
    // A stored factor times a number is a number.
    let sum = products.fold([0; 4], |sum, (&factor, &number)| {
        FR.add(sum, FR.mul(factor, number))
    });
    multiple(GENERATOR, sum)
}

/// Multiples of the generator, and the stored factors. Equal, opposite and infinite ones come first.
fn bases() -> (Vec<Limbs>, Vec<Affine>) {
    let (one, zero) = (FR.one(), [0; 4]);
    let opposite = [GENERATOR[0], FQ.neg(GENERATOR[1])];
    let mut factors = vec![one, one, FR.neg(one), zero, one];
    let mut bases = vec![GENERATOR, GENERATOR, opposite, INFINITY, GENERATOR];
    let (mut factor, mut base) = (one, GENERATOR);
    while bases.len() < COUNT {
        (factor, base) = (FR.add(factor, one), add(base, GENERATOR));
        factors.push(factor);
        bases.push(base);
    }
    (factors, bases)
}

/// Equal scalars for the first, the ends of the range, then ones without a pattern.
fn scalars() -> Vec<Limbs> {
    let largest = [FR.p[0] - 1, FR.p[1], FR.p[2], FR.p[3]];
    let seven = [7, 0, 0, 0];
    let mut scalars = vec![seven, seven, seven, largest, largest, [0; 4], [1, 0, 0, 0]];
    scalars.extend(noise().take(COUNT - scalars.len()));
    scalars
}

/// Numbers below the order without a pattern (Knuth's LCG).
pub(super) fn noise() -> impl Iterator<Item = Limbs> {
    let mut state = 0x5eed_u64;
    let mut word = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state
    };
    std::iter::repeat_with(move || [word(), word(), word(), word() >> 3])
}
