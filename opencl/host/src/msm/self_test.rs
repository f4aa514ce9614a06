//! Known answers that a device must give before it is trusted with points.
//!
//! All bases are known multiples of the generator, so that the answer is one multiple, too.

use super::fixed::Table;
use super::plan::{Grid, Plan};
use super::reference::{GENERATOR, add, multiple};
use super::{Affine, INFINITY, ScalarForm, pipeline};
use crate::engine::Engine;
use crate::error::Result;
use crate::field::mont256::{BN254_FQ as FQ, BN254_FR as FR, Limbs};

/// Bases of a test: with runs of [`LENGTH`], a bucket that holds all has heads of heads.
const COUNT: usize = 600;
/// Entries of a run: pairs for every lane of the widest vectors.
const LENGTH: usize = 16;
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
        grid: None,
        ..pipeline::plan(engine, COUNT)
    };
    let in_a_grid = Plan {
        segments: 1,
        grid: pipeline::grid(engine, &plan).map(|grid| Grid {
            length: LENGTH,
            ..grid
        }),
        ..plan
    };
    for (name, numbers, scalars, form, plan) in [
        ("numbers", &scalars, &scalars, ScalarForm::Canonical, plan),
        (
            "stored scalars",
            &scalars,
            &stored,
            ScalarForm::Montgomery,
            plan,
        ),
        (
            "one bucket",
            &one_bucket,
            &one_bucket,
            ScalarForm::Canonical,
            plan,
        ),
        (
            "a grid",
            &scalars,
            &scalars,
            ScalarForm::Canonical,
            in_a_grid,
        ),
        (
            "one bucket in a grid",
            &one_bucket,
            &one_bucket,
            ScalarForm::Canonical,
            in_a_grid,
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

/// Runs a table of multiples against the definition; bases as in [`run`], in as few windows as can be and in
/// more.
pub(crate) fn fixed(engine: &mut Engine) -> Result<()> {
    let (factors, bases) = bases();
    let scalars = scalars();
    for multiples in [3, usize::MAX] {
        let table = Table::build(engine, &bases, multiples)?;
        let sum = table.multiply(engine, scalars.clone(), ScalarForm::Canonical)?;
        engine.require(sum == expected(&factors, &scalars), || {
            "multi-scalar multiplication on bn254, multiples of bases".to_owned()
        })?;
    }
    Ok(())
}

/// All of them.
pub(crate) fn all(engine: &mut Engine) -> Result<()> {
    run(engine)?;
    fixed(engine)
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

#[cfg(test)]
mod tests {
    use super::super::MsmBn254;
    use super::*;
    use crate::device::Device;
    use crate::error::Error;
    use crate::field::mont256_backend::Mont256Backend;
    use crate::session::{Patch, Session, SessionOptions};

    /// Bugs in what only processors run, or only those who fix bases.
    #[test]
    fn a_grid_or_a_table_that_is_wrong_is_not_believed() {
        let device = match Device::discover() {
            Ok(devices) => devices.into_iter().next().expect("discovery finds one"),
            Err(error) => return println!("SKIP: {error}"),
        };
        let of_grid: [(&str, Patch); 3] = [
            ("a row", |s| {
                s.replace("listed++] = row - 1;", "listed++] = row - (row > 1);")
            }),
            ("a column", |s| {
                s.replace(
                    "keys[by_column + place] = column;",
                    "keys[by_column + place] = 0;",
                )
            }),
            ("a merged bucket", |s| {
                s.replace(
                    "if (!f_equal(p.zz, one) || !f_equal(p.zzz, one)) {",
                    "if (false) {",
                )
            }),
        ];
        let of_table: [(&str, Patch); 2] = [
            ("a doubling", |s| {
                s.replace("d < doublings;", "d + 1 < doublings;")
            }),
            ("an inverse", |s| {
                s.replace("rest = f_mul(rest, p.zzz);", "")
            }),
        ];
        let open = |patch: Patch| {
            let session = Session::open_patched(&device, SessionOptions::default(), patch);
            session.expect("it opens")
        };
        let msm = |session: &Session, fixed: bool| {
            let msm = MsmBn254::new(session);
            let (bases, form) = ([INFINITY].into(), ScalarForm::Canonical);
            if fixed {
                msm.fix(bases, 2)?.msm(vec![[1, 0, 0, 0]], form)
            } else {
                msm.msm(bases, vec![[1, 0, 0, 0]], form)
            }
        };
        assert_eq!(msm(&open(str::to_owned), true), Ok(INFINITY));
        // Without lanes there is no grid, and the next backend is right.
        for (bug, patch) in of_grid {
            let session = open(patch);
            assert_eq!(msm(&session, false), Ok(INFINITY), "{bug}");
            let backend = session.run(|engine| Ok(engine.layout().mont256));
            assert_eq!(backend, Ok(Mont256Backend::Scalar), "{bug}");
        }
        for (bug, patch) in of_table {
            let result = msm(&open(patch), true);
            assert!(
                matches!(result, Err(Error::WrongAnswer { .. })),
                "{bug}: {result:?}"
            );
        }
    }
}
