//! Multi-scalar multiplication over G1 of BN254.
//!
//! Pippenger's buckets with signed digits: the scalars are cut into windows, the bases sorted by
//! digit, each bucket added up and weighed by its digit, all on the device; the host puts the few
//! windows together. Scalars that do not fit the device at once go in chunks.
//!
//! Not here: the check that bases are points of the curve. It costs as much as a good part of the
//! multiplication, and who has bases has them from a key that was checked once.

mod curve;
mod fixed;
mod pipeline;
mod plan;
mod program;
mod reference;
mod resident;
pub(crate) mod self_test;

use std::sync::Arc;

pub use fixed::FixedBases;
pub(crate) use program::MsmKernel;
pub(crate) use resident::Resident;

use crate::error::{Error, Result};
use crate::field::mont256::{BN254_FQ, BN254_FR, Modulus};
use crate::session::Session;

/// A point of G1 of BN254: `[x, y]`, each four words of 64 bits, low first, in Montgomery form with
/// `R = 2^256`. That is how arkworks and halo2curves keep coordinates.
///
/// Infinity is `[[0; 4]; 2]`, as in halo2curves; arkworks sets a flag beside the same coordinates.
pub type Affine = [[u64; 4]; 2];

/// Whose fields the kernels compute in, by the name that reports have.
pub(crate) const CURVE: &str = "bn254";

/// The neutral element.
pub const INFINITY: Affine = [[0; 4]; 2];

/// How scalars are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarForm {
    /// As numbers below the order of the group.
    Canonical,
    /// In Montgomery form with `R = 2^256`, as arkworks and halo2curves keep field elements.
    Montgomery,
}

/// Launches multi-scalar multiplications over G1 of BN254 on a session.
#[derive(Clone, Copy, Debug)]
pub struct MsmBn254<'a> {
    session: &'a Session,
}

impl<'a> MsmBn254<'a> {
    /// Multiplications on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// `sum of scalars[i] * bases[i]`; infinity if there are none.
    ///
    /// Any points will do: equal ones, opposite ones, infinity. The result is undefined, but the call
    /// harmless, if a base is not on the curve.
    ///
    /// *Shape*: as many scalars as bases.
    /// *Units*: see [`Affine`] and [`ScalarForm`].
    /// *Errors*: [`Error::Shape`] and [`Error::NotCanonical`] before anything is launched, [`Error::OutOfDeviceMemory`] if not
    /// even one base fits, [`Error::WrongAnswer`] if a window's sum is not on the curve, and what
    /// the driver reports.
    /// *Source*: Pippenger 1976; signed digits and buckets as in Bernstein, Doumen, Lange, Oosterwijk
    /// 2012 (ePrint 2012/549).
    pub fn msm(
        &self,
        bases: Arc<[Affine]>,
        scalars: Vec<[u64; 4]>,
        form: ScalarForm,
    ) -> Result<Affine> {
        if bases.len() != scalars.len() {
            return Err(Error::Shape(format!(
                "{} bases and {} scalars",
                bases.len(),
                scalars.len()
            )));
        }
        require_below(&BN254_FQ, bases.as_flattened(), "bn254_fq")?;
        require_below(&BN254_FR, &scalars, "bn254_fr")?;
        self.session.run(move |engine| {
            engine.trust(0, self_test::run)?;
            let sum = pipeline::run(engine, &bases, &scalars, form)?;
            Ok(sum.to_affine())
        })
    }
}

/// Refuses numbers that are not below the modulus.
fn require_below(modulus: &Modulus, numbers: &[[u64; 4]], field: &'static str) -> Result<()> {
    match numbers.iter().position(|&number| !modulus.contains(number)) {
        None => Ok(()),
        Some(index) => Err(Error::NotCanonical {
            index,
            word: hexadecimal(numbers[index]),
            field,
        }),
    }
}

/// All 64 digits of a number.
fn hexadecimal(number: [u64; 4]) -> String {
    let [w0, w1, w2, w3] = number;
    format!("{w3:#018x}{w2:016x}{w1:016x}{w0:016x}")
}
