//! The dev setup: the powers of a number that everybody knows.
//!
//! tau is the hash of a published sentence. So the setup, and every key over it, is the same on all machines, and
//! a dev proof of one is verified on another; and it is worth nothing: whoever reads this file can prove
//! anything over it.

use halo2_base::halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine, G2Affine};
use halo2_base::halo2_proofs::halo2curves::ff::{Field, FromUniformBytes, PrimeField};
use halo2_base::halo2_proofs::halo2curves::group::Curve;
use halo2_base::halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use p3_maybe_rayon::prelude::*;
use sha2::{Digest, Sha512};

/// What tau is the hash of.
const SENTENCE: &[u8] = b"froben dev setup 1: whoever reads this can prove anything";
/// Bits of a window of the multiplications by the generator.
const WINDOW: usize = 8;
/// Scalars that are handled together.
const CHUNK: usize = 1 << 10;

/// The points of a setup: powers, Lagrange polynomials, tau in the second group.
pub(super) struct Points {
    pub(super) powers: Vec<G1Affine>,
    pub(super) lagrange: Vec<G1Affine>,
    pub(super) tau_g2: G2Affine,
}

fn tau() -> Fr {
    let hash: [u8; 64] = Sha512::digest(SENTENCE).into();
    Fr::from_uniform_bytes(&hash)
}

/// The point of tau in the second group, which is all that a verifier needs.
pub(super) fn tau_g2() -> G2Affine {
    (G2Affine::generator() * tau()).to_affine()
}

/// The points for circuits of 2^k rows.
pub(super) fn points(k: u32) -> Points {
    let tau = tau();
    let powers = chunks(k, |first| {
        let first = tau.pow_vartime([first as u64]);
        std::iter::successors(Some(first), move |&power| Some(power * tau))
    });
    // L_i(tau) = w^i (tau^n - 1) / (n (tau - w^i)), with w of order n.
    let mut root = Fr::ROOT_OF_UNITY;
    for _ in k..Fr::S {
        root = root.square();
    }
    let size = Fr::from(1 << k);
    let scale = (tau.pow_vartime([1_u64 << k]) - Fr::ONE) * size.invert().unwrap_or(Fr::ZERO);
    let lagrange = chunks(k, |first| {
        let first = root.pow_vartime([first as u64]);
        std::iter::successors(Some(first), move |&power| Some(power * root)).map(move |power| {
            let inverse = (tau - power).invert();
            scale * power * inverse.expect("invariant: tau is no root of unity")
        })
    });
    let windows = windows();
    Points {
        powers: multiples(&windows, &powers),
        lagrange: multiples(&windows, &lagrange),
        tau_g2: tau_g2(),
    }
}

/// 2^k scalars, in chunks that each begin anew.
fn chunks<I: Iterator<Item = Fr>>(k: u32, from: impl Fn(usize) -> I + Sync) -> Vec<Fr> {
    let mut scalars = vec![Fr::ZERO; 1 << k];
    scalars
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(i, chunk)| {
            chunk
                .iter_mut()
                .zip(from(i * CHUNK))
                .for_each(|(scalar, value)| *scalar = value);
        });
    scalars
}

/// By window: the multiples of the generator by every digit at that place.
fn windows() -> Vec<Vec<G1Affine>> {
    let mut place = G1::from(G1Affine::generator());
    (0..256 / WINDOW)
        .map(|_| {
            let mut multiples = vec![G1::default(); 1 << WINDOW];
            for digit in 1..multiples.len() {
                multiples[digit] = multiples[digit - 1] + place;
            }
            place += multiples[multiples.len() - 1];
            normalised(&multiples)
        })
        .collect()
}

fn normalised(points: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::identity(); points.len()];
    G1::batch_normalize(points, &mut affine);
    affine
}

fn multiples(windows: &[Vec<G1Affine>], scalars: &[Fr]) -> Vec<G1Affine> {
    let multiple = |scalar: &Fr| {
        let digits = scalar.to_repr();
        windows
            .iter()
            .zip(digits.as_ref())
            .filter(|(_, digit)| **digit > 0)
            .fold(G1::default(), |sum, (window, &digit)| {
                sum + window[usize::from(digit)]
            })
    };
    let chunks: Vec<Vec<G1Affine>> = scalars
        .par_chunks(CHUNK)
        .map(|chunk| normalised(&chunk.iter().map(multiple).collect::<Vec<_>>()))
        .collect();
    chunks.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_the_curves() {
        let scalars = [Fr::ZERO, Fr::ONE, -Fr::ONE, tau(), Fr::from(1 << 40)];
        let expected = scalars.map(|scalar| (G1Affine::generator() * scalar).to_affine());
        assert_eq!(multiples(&windows(), &scalars), expected);
    }
}
