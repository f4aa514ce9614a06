//! Points by definition, as slow as it takes: chords and tangents in affine coordinates, a multiple
//! bit by bit. Nothing here shares code or ideas with the kernels.

use super::{Affine, INFINITY};
use crate::field::mont256::{BN254_FQ as FQ, Limbs};

/// The generator of G1, (1, 2).
pub(crate) const GENERATOR: Affine = [FQ.one(), FQ.stored([2, 0, 0, 0])];

/// `scalar * base`, the scalar a number.
pub(crate) fn multiple(base: Affine, scalar: Limbs) -> Affine {
    (0..256).rev().fold(INFINITY, |product, bit| {
        let double = add(product, product);
        if scalar[bit / 64] >> (bit % 64) & 1 == 1 {
            add(double, base)
        } else {
            double
        }
    })
}

/// The sum of two points.
pub(crate) fn add(a: Affine, b: Affine) -> Affine {
    if a == INFINITY {
        return b;
    }
    if b == INFINITY {
        return a;
    }
    let ([x1, y1], [x2, y2]) = (a, b);
    let slope = if x1 != x2 {
        FQ.mul(FQ.sub(y2, y1), FQ.inverse(FQ.sub(x2, x1)))
    } else if y1 == y2 {
        let xx = FQ.mul(x1, x1);
        let three_xx = FQ.add(xx, FQ.add(xx, xx));
        FQ.mul(three_xx, FQ.inverse(FQ.add(y1, y1)))
    } else {
        return INFINITY;
    };
    let x3 = FQ.sub(FQ.mul(slope, slope), FQ.add(x1, x2));
    let y3 = FQ.sub(FQ.mul(slope, FQ.sub(x1, x3)), y1);
    [x3, y3]
}

#[cfg(test)]
mod tests {
    use ark_bn254::{Fr, G1Affine, G1Projective};
    use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
    use ark_ff::{AdditiveGroup, Field, PrimeField};

    use super::*;

    #[test]
    fn multiples_are_those_of_arkworks() {
        let stored = |point: G1Projective| {
            let point: G1Affine = point.into_affine();
            point.xy().map_or(INFINITY, |(x, y)| [x.0.0, y.0.0])
        };
        let generator = G1Projective::generator();
        assert_eq!(GENERATOR, stored(generator));
        for scalar in [
            Fr::ZERO,
            Fr::ONE,
            Fr::from(2_u64),
            Fr::from(3_u64).pow([100]),
            -Fr::ONE,
        ] {
            let ours = multiple(GENERATOR, scalar.into_bigint().0);
            assert_eq!(ours, stored(generator * scalar), "{scalar}");
            assert_eq!(add(ours, ours), stored(generator * scalar.double()));
        }
    }
}
