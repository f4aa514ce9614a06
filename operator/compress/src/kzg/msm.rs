//! Multi-scalar multiplications by whom the caller chooses.
//!
//! halo2's prover is generic over its commitment scheme: the scheme here commits as KZG does, with the sums computed by
//! an [`Msm`]. Commitments arrive from several threads at once.

use std::fmt;
use std::io;
use std::sync::Arc;

use halo2_base::halo2_proofs::arithmetic::best_multiexp;
use halo2_base::halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use halo2_base::halo2_proofs::poly::commitment::{
    Blind, CommitmentScheme, Params, ParamsProver, Prover,
};
use halo2_base::halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_base::halo2_proofs::poly::kzg::msm::MSMKZG;
use halo2_base::halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_base::halo2_proofs::poly::{Coeff, LagrangeCoeff, Polynomial, ProverQuery};
use halo2_base::halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use rand_core::RngCore;

use super::Setup;

/// Which of the setup's two lists of points a sum is over: the same list each time, so that a device can keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bases {
    /// The powers of tau.
    Powers,
    /// The Lagrange polynomials at tau.
    Lagrange,
}

/// Computes sums of multiples of points.
pub trait Msm: Send + Sync {
    /// The sum of scalar times point, of as many scalars as points.
    ///
    /// `points` is a prefix of the list that `bases` names, and most often all of it. Scalars may be zero and
    /// repeat. Called from several threads at once.
    fn msm(&self, bases: Bases, scalars: &[Fr], points: &[G1Affine]) -> G1;
}

/// halo2's own, on all cores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halo2Msm;

impl Msm for Halo2Msm {
    fn msm(&self, _: Bases, scalars: &[Fr], points: &[G1Affine]) -> G1 {
        best_multiexp(scalars, points)
    }
}

/// KZG with the sums computed elsewhere.
#[derive(Debug)]
pub(crate) struct Scheme;

/// A setup, and who computes the sums over it.
#[derive(Clone)]
pub(crate) struct SchemeParams {
    kzg: Arc<ParamsKZG<Bn256>>,
    setup: Arc<Setup>,
    msm: Arc<dyn Msm>,
}

impl fmt::Debug for SchemeParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemeParams")
            .field("k", &self.setup.k())
            .finish_non_exhaustive()
    }
}

impl SchemeParams {
    pub(crate) fn new(setup: Arc<Setup>, msm: Arc<dyn Msm>) -> Self {
        Self {
            kzg: Arc::new(setup.params()),
            setup,
            msm,
        }
    }
}

impl CommitmentScheme for Scheme {
    type Scalar = Fr;
    type Curve = G1Affine;
    type ParamsProver = SchemeParams;
    type ParamsVerifier = ParamsKZG<Bn256>;

    fn new_params(_: u32) -> SchemeParams {
        unreachable!("invariant: halo2's prover is given its parameters")
    }

    fn read_params<R: io::Read>(_: &mut R) -> io::Result<SchemeParams> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Params<'_, G1Affine> for SchemeParams {
    type MSM = MSMKZG<Bn256>;

    fn k(&self) -> u32 {
        self.setup.k()
    }

    fn n(&self) -> u64 {
        1 << self.setup.k()
    }

    fn downsize(&mut self, _: u32) {
        unreachable!("invariant: halo2's prover does not change its parameters")
    }

    fn empty_msm(&self) -> MSMKZG<Bn256> {
        MSMKZG::new()
    }

    fn commit_lagrange(&self, poly: &Polynomial<Fr, LagrangeCoeff>, _: Blind<Fr>) -> G1 {
        self.msm
            .msm(Bases::Lagrange, poly, &self.setup.lagrange()[..poly.len()])
    }

    fn write<W: io::Write>(&self, _: &mut W) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read<R: io::Read>(_: &mut R) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<'params> ParamsProver<'params, G1Affine> for SchemeParams {
    type ParamsVerifier = ParamsKZG<Bn256>;

    fn new(_: u32) -> Self {
        unreachable!("invariant: halo2's prover is given its parameters")
    }

    fn commit(&self, poly: &Polynomial<Fr, Coeff>, _: Blind<Fr>) -> G1 {
        self.msm
            .msm(Bases::Powers, poly, &self.setup.powers()[..poly.len()])
    }

    fn get_g(&self) -> &[G1Affine] {
        self.setup.powers()
    }

    fn verifier_params(&'params self) -> &'params ParamsKZG<Bn256> {
        &self.kzg
    }
}

/// halo2's SHPLONK, for the scheme.
#[derive(Debug)]
pub(crate) struct Shplonk<'a>(ProverSHPLONK<'a, Bn256>);

impl<'params> Prover<'params, Scheme> for Shplonk<'params> {
    const QUERY_INSTANCE: bool = false;

    fn new(params: &'params SchemeParams) -> Self {
        Self(ProverSHPLONK::new(&params.kzg))
    }

    fn create_proof<'com, E, T, R, I>(
        &self,
        rng: R,
        transcript: &mut T,
        queries: I,
    ) -> io::Result<()>
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
        I: IntoIterator<Item = ProverQuery<'com, G1Affine>> + Clone,
        R: RngCore,
    {
        self.0.create_proof(rng, transcript, queries)
    }
}
