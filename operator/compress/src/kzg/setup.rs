//! The universal setup: the powers of a number that nobody knows.
//!
//! A production setup is a file of a ceremony, in the format of halo2's `ParamsKZG` with points as raw bytes, and is
//! believed only as far as it is checked: points on their curves and in their groups, each power the one before
//! times the same number, the Lagrange points those of the powers. The other setup is that of [`super::rehearsal`], with
//! which everybody can forge proofs: it is called `dev` wherever it goes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use halo2_base::halo2_proofs::arithmetic::{best_multiexp, g_to_lagrange};
use halo2_base::halo2_proofs::halo2curves::CurveAffine;
use halo2_base::halo2_proofs::halo2curves::bn256::{
    Bn256, Fr, G1, G1Affine, G2, G2Affine, pairing,
};
use halo2_base::halo2_proofs::halo2curves::ff::Field;
use halo2_base::halo2_proofs::halo2curves::group::cofactor::CofactorGroup;
use halo2_base::halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_base::halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_base::halo2_proofs::poly::EvaluationDomain;
use halo2_base::halo2_proofs::poly::commitment::ParamsProver;
use halo2_base::halo2_proofs::poly::kzg::commitment::ParamsKZG;
use p3_maybe_rayon::prelude::*;
use rand_core::OsRng;
use sha2::{Digest, Sha256};

use super::rehearsal;
use crate::Error;

/// Where a setup comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file of a ceremony.
    Ceremony,
    /// Of a number that everybody knows: worth nothing.
    Dev,
}

impl Origin {
    /// The name in file names, keys, proofs and outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ceremony => "ceremony",
            Self::Dev => "dev",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A checked setup for circuits of 2^k rows.
#[derive(Clone)]
pub struct Setup {
    origin: Origin,
    k: u32,
    powers: Vec<G1Affine>,
    lagrange: Vec<G1Affine>,
    g2: G2Affine,
    tau_g2: G2Affine,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("origin", &self.origin)
            .field("k", &self.k)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// Reads the setup of a ceremony, for circuits of 2^k rows. A file for larger circuits is cut, which
    /// computes the Lagrange points anew: some seconds for each 2^15 of them.
    ///
    /// # Errors
    /// If the file cannot be read, is for smaller circuits, or fails a check.
    pub fn read(path: &Path, k: u32) -> Result<Self, Error> {
        Self::read_as(Origin::Ceremony, path, k)
    }

    /// The dev setup, for circuits of 2^k rows: the same on every machine. It takes some seconds for each 2^17 rows.
    #[must_use]
    pub fn dev(k: u32) -> Self {
        let points = rehearsal::points(k);
        Self {
            origin: Origin::Dev,
            k,
            powers: points.powers,
            lagrange: points.lagrange,
            g2: G2Affine::generator(),
            tau_g2: points.tau_g2,
        }
    }

    /// The bytes of its file: the size, both lists, the generator and tau's point of the second group.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.k.to_le_bytes())?;
        for point in self.powers.iter().chain(&self.lagrange) {
            point.write_raw(to)?;
        }
        self.g2.write_raw(to)?;
        self.tau_g2.write_raw(to)
    }

    /// Writes its file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        // Written under another name first: a file that is there is whole.
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
            self.write(&mut file)?;
            file.flush()?;
            fs::rename(&partial, path)
        };
        write().map_err(|e| unreadable(path, e))
    }

    /// Reads a setup of circuits of 2^k rows that was saved before, whose file has this SHA-256: it was checked when it was
    /// first read, and is not again.
    ///
    /// # Errors
    /// If the file cannot be read or is another.
    pub fn read_known(
        path: &Path,
        k: u32,
        origin: Origin,
        sha256: [u8; 32],
    ) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
        let length = file.metadata().map_err(|e| unreadable(path, e))?.len();
        let refused = |reason: String| Error::Setup {
            path: path.to_owned(),
            reason,
        };
        let expected = file_length(k);
        if length != expected {
            return Err(refused(format!(
                "it has {length} bytes instead of {expected}"
            )));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| unreadable(path, e))?;
        let found: [u8; 32] = Sha256::digest(&bytes).into();
        if found != sha256 {
            let [found, wanted] = [found, sha256].map(hex::encode);
            return Err(refused(format!("its SHA-256 is {found}, not {wanted}")));
        }
        Self::parse(origin, &mut bytes.as_slice(), length, k).map_err(refused)
    }

    fn read_as(origin: Origin, path: &Path, k: u32) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        let length = file.metadata().map_err(|e| unreadable(path, e))?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let setup = Self::parse(origin, &mut file, length, k).map_err(|reason| Error::Setup {
            path: path.to_owned(),
            reason,
        })?;
        setup.check().map_err(|reason| Error::Setup {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })?;
        Ok(setup)
    }

    fn parse(origin: Origin, file: &mut impl Read, length: u64, k: u32) -> Result<Self, String> {
        let mut size = [0; 4];
        file.read_exact(&mut size).map_err(|e| e.to_string())?;
        let size = u32::from_le_bytes(size);
        if !(k..=28).contains(&size) {
            return Err(format!("it is for circuits of 2^{size} rows, not of 2^{k}"));
        }
        let expected = file_length(size);
        if length != expected {
            return Err(format!("it has {length} bytes instead of {expected}"));
        }
        let points = |file: &mut _| -> io::Result<Vec<G1Affine>> {
            (0..1_u64 << size)
                .map(|_| G1Affine::read_raw(file))
                .collect()
        };
        let read = |file: &mut _| -> io::Result<_> {
            let lists = (points(file)?, points(file)?);
            let g2 = G2Affine::read_raw(file)?;
            Ok((lists, g2, G2Affine::read_raw(file)?))
        };
        let ((mut powers, mut lagrange), g2, tau_g2) = read(file).map_err(|e| e.to_string())?;
        if size > k {
            powers.truncate(1 << k);
            lagrange = g_to_lagrange(powers.iter().map(PrimeCurveAffine::to_curve).collect(), k);
        }
        Ok(Self {
            origin,
            k,
            powers,
            lagrange,
            g2,
            tau_g2,
        })
    }

    /// Checks that the points are what a setup is made of. The first curve has no points outside of its group.
    fn check(&self) -> Result<(), &'static str> {
        let on_curve = |point: &G1Affine| bool::from(point.is_on_curve());
        let lists = self.powers.par_iter().chain(&self.lagrange);
        if !lists.all(on_curve) || !bool::from(self.g2.is_on_curve() & self.tau_g2.is_on_curve()) {
            return Err("a point lies on no curve");
        }
        if self.powers[0] != G1Affine::generator() || self.g2 != G2Affine::generator() {
            return Err("it does not start with the generators");
        }
        let degenerate = self.tau_g2 == G2Affine::identity() || self.tau_g2 == self.g2;
        if degenerate || !bool::from(G2::from(self.tau_g2).is_torsion_free()) {
            return Err("tau's point lies outside of its group");
        }
        // With random factors, one equation says that every power is the one before times tau.
        let last = self.powers.len() - 1;
        let factors: Vec<_> = (0..last).map(|_| Fr::random(OsRng)).collect();
        let lower = G1Affine::from(best_multiexp(&factors, &self.powers[..last]));
        let upper = G1Affine::from(best_multiexp(&factors, &self.powers[1..]));
        if pairing(&lower, &self.tau_g2) != pairing(&upper, &self.g2) {
            return Err("its points are not the powers of one number");
        }
        // And one says that a polynomial is committed to alike by values and by coefficients.
        let domain = EvaluationDomain::<Fr>::new(1, self.k);
        let mut values = domain.empty_lagrange();
        values
            .iter_mut()
            .for_each(|value| *value = Fr::random(OsRng));
        let by_values: G1 = best_multiexp(&values, &self.lagrange);
        let coefficients = domain.lagrange_to_coeff(values);
        if by_values != best_multiexp(&coefficients, &self.powers) {
            return Err("its Lagrange points are not those of its powers");
        }
        Ok(())
    }

    /// Tau in the second group.
    pub(crate) const fn tau_g2(&self) -> G2Affine {
        self.tau_g2
    }

    /// Where it comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Rows of the circuits that it is for, base two.
    #[must_use]
    pub const fn k(&self) -> u32 {
        self.k
    }

    pub(crate) fn powers(&self) -> &[G1Affine] {
        &self.powers
    }

    pub(crate) fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }

    /// As halo2 takes it.
    pub(crate) fn params(&self) -> ParamsKZG<Bn256> {
        // The only public way to make parameters from points starts from others.
        ParamsKZG::new(1).from_parts(
            self.k,
            self.powers.clone(),
            Some(self.lagrange.clone()),
            self.g2,
            self.tau_g2,
        )
    }
}

/// The bytes of a file for circuits of 2^k rows: two lists of points of 64 bytes, two points of 128.
#[must_use]
pub const fn file_length(k: u32) -> u64 {
    4 + 2 * (64 << k) + 2 * 128
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::Setup {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
