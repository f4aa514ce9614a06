//! The group G1 of BN254 on the host: `y^2 = x^3 + 3`, coordinates as they are stored.
//!
//! Just enough to put the sums of the windows together.

use super::{Affine, INFINITY};
use crate::field::mont256::{BN254_FQ as FQ, Limbs};

/// A point `(X/ZZ, Y/ZZZ)` with `ZZ^3 = ZZZ^2`; infinity is `ZZ = 0`. As `msm/point.cl` stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) x: Limbs,
    pub(crate) y: Limbs,
    pub(crate) zz: Limbs,
    pub(crate) zzz: Limbs,
}

/// Words of a [`Point`] on the device.
pub(crate) const POINT_WORDS: usize = 16;

impl Point {
    pub(crate) const INFINITY: Self = Self {
        x: [0; 4],
        y: [0; 4],
        zz: [0; 4],
        zzz: [0; 4],
    };

    /// From the words of the device.
    pub(crate) fn from_words(words: &[u64; POINT_WORDS]) -> Self {
        let at = |i: usize| std::array::from_fn(|j| words[4 * i + j]);
        Self {
            x: at(0),
            y: at(1),
            zz: at(2),
            zzz: at(3),
        }
    }

    /// Whether the words are coordinates of a point of the curve, or infinity.
    pub(crate) fn is_on_the_curve(&self) -> bool {
        let Self { x, y, zz, zzz } = *self;
        if ![x, y, zz, zzz].iter().all(|&words| FQ.contains(words)) {
            return false;
        }
        // (Y/ZZZ)^2 = (X/ZZ)^3 + 3, and ZZ^3 = ZZZ^2.
        let cube = |a| FQ.mul(FQ.mul(a, a), a);
        let denominator = FQ.mul(zzz, zzz);
        let three = FQ.stored([3, 0, 0, 0]);
        cube(zz) == denominator
            && (zz == [0; 4] || FQ.mul(y, y) == FQ.add(cube(x), FQ.mul(three, denominator)))
    }

    /// Source: dbl-2008-s-1 of the Explicit-Formulas Database.
    pub(crate) fn double(&self) -> Self {
        let u = FQ.add(self.y, self.y);
        let v = FQ.mul(u, u);
        let w = FQ.mul(u, v);
        let s = FQ.mul(self.x, v);
        let xx = FQ.mul(self.x, self.x);
        let m = FQ.add(FQ.add(xx, xx), xx);
        let x = FQ.sub(FQ.mul(m, m), FQ.add(s, s));
        Self {
            x,
            y: FQ.sub(FQ.mul(m, FQ.sub(s, x)), FQ.mul(w, self.y)),
            zz: FQ.mul(v, self.zz),
            zzz: FQ.mul(w, self.zzz),
        }
    }

    /// Source: add-2008-s of the Explicit-Formulas Database.
    pub(crate) fn add(&self, other: &Self) -> Self {
        if other.zz == [0; 4] {
            return *self;
        }
        if self.zz == [0; 4] {
            return *other;
        }
        let (u1, u2) = (FQ.mul(self.x, other.zz), FQ.mul(other.x, self.zz));
        let (s1, s2) = (FQ.mul(self.y, other.zzz), FQ.mul(other.y, self.zzz));
        let (p, r) = (FQ.sub(u2, u1), FQ.sub(s2, s1));
        if p == [0; 4] {
            return if r == [0; 4] {
                self.double()
            } else {
                Self::INFINITY
            };
        }
        let pp = FQ.mul(p, p);
        let ppp = FQ.mul(p, pp);
        let q = FQ.mul(u1, pp);
        let x = FQ.sub(FQ.sub(FQ.mul(r, r), ppp), FQ.add(q, q));
        Self {
            x,
            y: FQ.sub(FQ.mul(r, FQ.sub(q, x)), FQ.mul(s1, ppp)),
            zz: FQ.mul(FQ.mul(self.zz, other.zz), pp),
            zzz: FQ.mul(FQ.mul(self.zzz, other.zzz), ppp),
        }
    }

    pub(crate) fn to_affine(self) -> Affine {
        self.scaled(FQ.inverse(self.zzz))
    }

    /// Many at once, none of them infinity, for the price of one inverse (Montgomery's trick).
    pub(crate) fn all_to_affine(points: &[Self]) -> Vec<Affine> {
        let mut product = FQ.one();
        let before: Vec<_> = points
            .iter()
            .map(|point| {
                let before = product;
                product = FQ.mul(product, point.zzz);
                before
            })
            .collect();
        let mut inverse = FQ.inverse(product);
        let mut all = vec![INFINITY; points.len()];
        for ((affine, point), before) in all.iter_mut().zip(points).zip(before).rev() {
            *affine = point.scaled(FQ.mul(inverse, before));
            inverse = FQ.mul(inverse, point.zzz);
        }
        all
    }

    /// In affine coordinates, given `1/ZZZ`.
    fn scaled(&self, inverse_zzz: Limbs) -> Affine {
        // ZZZ = Z^3 and ZZ = Z^2: 1/Z = ZZ/ZZZ.
        let inverse_z = FQ.mul(self.zz, inverse_zzz);
        let inverse_zz = FQ.mul(inverse_z, inverse_z);
        [FQ.mul(self.x, inverse_zz), FQ.mul(self.y, inverse_zzz)]
    }
}
