//! The known answers of every kernel, one by one: which of them a device gives.
//!
//! A session stops at the first wrong answer, since it only has to know whether to go on. This goes
//! through all of them, for whoever has to find out what is wrong with a card.

use std::sync::LazyLock;

use crate::catalogue::{Visitor, visit};
use crate::device::Device;
use crate::engine::Engine;
use crate::error::Result;
use crate::field::{Bn254Fr, Extension, Field};
use crate::fold::MAX_LOG_ARITY;
use crate::hash::{MerkleHash, Poseidon2};
use crate::msm::{self, CURVE};
use crate::self_test;
use crate::session::{Patch, Session, SessionOptions};

/// A kernel over a field, and the answers that it must give.
#[derive(Clone, Copy, Debug)]
pub struct KnownAnswer {
    kernel: &'static str,
    field: &'static str,
    run: Run,
}

type Run = fn(&mut Engine) -> Result<()>;

/// Makes the list of all known answers. A new kernel is a method here.
struct List(Vec<KnownAnswer>);

impl List {
    fn add(&mut self, kernel: &'static str, field: &'static str, run: Run) {
        self.0.push(KnownAnswer { kernel, field, run });
    }
}

impl Visitor for List {
    fn transforms<F: Field>(&mut self) {
        self.add("ntt", F::NAME, self_test::ntt::<F>);
    }

    fn folds<E: Extension>(&mut self) {
        self.add("fold", E::Base::NAME, fold::<E>);
    }

    fn permutations<P: Poseidon2, Q: Poseidon2<Field = P::Field>>(&mut self) {
        self.add("poseidon2", P::Field::NAME, poseidon2::<P, Q>);
    }

    fn trees<P: MerkleHash>(&mut self) {
        self.add("merkle", P::Field::NAME, self_test::hash::merkle::<P>);
    }

    fn bn254_permutation(&mut self) {
        self.add("poseidon2", Bn254Fr::NAME, self_test::hash::bn254);
    }

    fn msm(&mut self) {
        self.add("msm", CURVE, msm::self_test::all);
    }
}

/// Folding by every arity that has a kernel.
fn fold<E: Extension>(engine: &mut Engine) -> Result<()> {
    (1..=MAX_LOG_ARITY).try_for_each(|log_arity| self_test::fold::<E>(engine, log_arity))
}

/// The permutations of both widths that have kernels.
fn poseidon2<P: Poseidon2, Q: Poseidon2>(engine: &mut Engine) -> Result<()> {
    self_test::hash::permutation::<P>(engine)?;
    self_test::hash::permutation::<Q>(engine)
}

/// All known answers, in the order of a report.
#[must_use]
pub fn known_answers() -> &'static [KnownAnswer] {
    static ALL: LazyLock<Vec<KnownAnswer>> = LazyLock::new(|| visit(List(Vec::new())).0);
    &ALL
}

impl KnownAnswer {
    #[cfg(test)]
    pub(crate) fn ask(&self, engine: &mut Engine) -> Result<()> {
        (self.run)(engine)
    }

    /// Name of the kernel.
    #[must_use]
    pub const fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Name of the field.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

/// A device that is open although nothing is known of it yet. It takes no work.
#[derive(Debug)]
pub struct Examination(Session);

impl Examination {
    /// Opens `device` without a test.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn open(device: &Device, options: SessionOptions) -> Result<Self> {
        Self::open_patched(device, options, str::to_owned)
    }

    fn open_patched(device: &Device, options: SessionOptions, patch: Patch) -> Result<Self> {
        Session::open_untested(device, options, patch).map(Self)
    }

    /// Asks for one of the known answers.
    /// A backend that is wrong is an error here, though a session would go on with the next.
    ///
    /// # Errors
    /// [`crate::Error::WrongAnswer`], [`crate::Error::BuildFailed`], and what the driver reports.
    pub fn ask(&self, answer: &KnownAnswer) -> Result<()> {
        let run = answer.run;
        self.0.run(move |engine| engine.test_as_it_is(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::storage::Storage;

    #[test]
    fn each_kernel_that_answers_wrongly_is_named_and_no_other() {
        let device = match Device::discover() {
            Ok(devices) => devices.into_iter().next().expect("discovery finds one"),
            Err(error) => return println!("SKIP: {error}"),
        };
        let wrong = |patch: Patch| {
            let options = SessionOptions {
                storage: Storage::None,
                ..SessionOptions::default()
            };
            let examination =
                Examination::open_patched(&device, options, patch).expect("the device opens");
            let failed = known_answers().iter().filter(|answer| {
                let asked = examination.ask(answer);
                assert!(
                    matches!(asked, Ok(()) | Err(Error::WrongAnswer { .. })),
                    "{asked:?}"
                );
                asked.is_err()
            });
            failed
                .map(|answer| format!("{} {}", answer.kernel, answer.field))
                .collect::<Vec<_>>()
        };
        assert!(wrong(str::to_owned).is_empty());
        // A modulus.
        assert_eq!(
            wrong(|s| s.replace("#define MU 0x88000001u", "#define MU 0x88000003u")),
            [
                "ntt babybear",
                "fold babybear",
                "poseidon2 babybear",
                "merkle babybear"
            ]
        );
        // A butterfly, a fold, a node of a tree, a bucket: each in kernels of its own.
        let several: Patch = |source| {
            [
                ("x[1] = f_sub(sum, b)", "x[1] = f_add(sum, b)"),
                ("folded = f_halve(folded)", "folded = folded"),
                ("from + 2 * (ulong)node", "from + (ulong)node"),
                ("keys[at] = bucket;", "keys[at] = bucket ^ 1;"),
            ]
            .into_iter()
            .fold(source.to_owned(), |s, (right, wrong)| {
                s.replace(right, wrong)
            })
        };
        assert_eq!(
            wrong(several),
            [
                "ntt babybear",
                "ntt koalabear",
                "fold babybear",
                "fold koalabear",
                "fold goldilocks",
                "merkle babybear",
                "merkle koalabear",
                "merkle goldilocks",
                "msm bn254"
            ]
        );
    }
}
