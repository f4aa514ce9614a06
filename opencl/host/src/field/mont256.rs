//! Primes of 254 and 255 bits in the Montgomery form that arkworks, halo2curves and the kernels share: an
//! element `a` is stored as `a * 2^256 mod P` in `[0, P)`, four words, low first.

/// A number or an element of 256 bits, low word first.
pub(crate) type Limbs = [u64; 4];

/// A prime below `2^255`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Modulus {
    pub(crate) p: Limbs,
    /// `-P^-1 mod 2^64`.
    mu: u64,
    /// `2^512 mod P`.
    r_squared: Limbs,
}

/// The base field of BN254.
pub(crate) const BN254_FQ: Modulus = Modulus::new([
    0x3c20_8c16_d87c_fd47,
    0x9781_6a91_6871_ca8d,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
]);

/// The scalar field of BN254, whose modulus is the order of G1.
pub(crate) const BN254_FR: Modulus = Modulus::new([
    0x43e1_f593_f000_0001,
    0x2833_e848_79b9_7091,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
]);

/// The scalar field of BLS12-381.
pub(crate) const BLS12_381_FR: Modulus = Modulus::new([
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
]);

/// Implements [`Field`](super::Field) for a type by its name, which is that of its source too, its modulus,
/// and the number of a root of order two to the adicity.
macro_rules! mont256_field {
    ($field:ident, $name:literal, $modulus:expr, $two_adicity:literal, $root:expr) => {
        impl $crate::field::Field for $field {
            type Word = Limbs;

            const NAME: &'static str = $name;
            const SOURCES: &'static [&'static str] = &[
                include_str!(concat!("../../../kernels/field/", $name, ".cl")),
                include_str!("../../../kernels/field/mont256.cl"),
                $crate::field::MEMORY_SOURCE,
            ];
            const VECTORS: bool = false;
            const LANE_SOURCES: &'static [&'static str] = &[
                include_str!(concat!("../../../kernels/field/", $name, ".cl")),
                include_str!("../../../kernels/field/mont256_limbs.cl"),
                include_str!("../../../kernels/field/mont256_lanes.cl"),
            ];
            const DIRECTED: bool = false;
            const STEP_LEVELS: u32 = 2;
            const TWO_ADICITY: u32 = $two_adicity;
            const ZERO: Limbs = [0; 4];
            const ONE: Limbs = $modulus.one();

            fn from_u64(value: u64) -> Limbs {
                $modulus.stored([value, 0, 0, 0])
            }

            fn is_element(word: Limbs) -> bool {
                $modulus.contains(word)
            }

            fn add(a: Limbs, b: Limbs) -> Limbs {
                $modulus.add(a, b)
            }

            fn sub(a: Limbs, b: Limbs) -> Limbs {
                $modulus.sub(a, b)
            }

            fn mul(a: Limbs, b: Limbs) -> Limbs {
                $modulus.mul(a, b)
            }

            fn inverse(a: Limbs) -> Option<Limbs> {
                (a != Self::ZERO).then(|| $modulus.inverse(a))
            }

            fn largest_root() -> Limbs {
                $modulus.stored($root)
            }
        }
    };
}
pub(crate) use mont256_field;

impl Modulus {
    const fn new(p: Limbs) -> Self {
        // Newton's iteration doubles the bits of the inverse that are right.
        let (mut inverse, mut bits) = (p[0], 3);
        while bits < 64 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(p[0].wrapping_mul(inverse)));
            bits *= 2;
        }
        let mut modulus = Self {
            p,
            mu: inverse.wrapping_neg(),
            r_squared: [1, 0, 0, 0],
        };
        let (mut power, mut doublings) = ([1, 0, 0, 0], 0);
        while doublings < 512 {
            power = modulus.add(power, power);
            doublings += 1;
        }
        modulus.r_squared = power;
        modulus
    }

    /// Whether `a` is below the modulus.
    pub(crate) const fn contains(&self, a: Limbs) -> bool {
        sub_words(a, self.p).1
    }

    /// The stored form of a number.
    pub(crate) const fn stored(&self, number: Limbs) -> Limbs {
        self.mul(number, self.r_squared)
    }

    /// The number of a stored element.
    #[cfg(test)]
    pub(crate) const fn number(&self, a: Limbs) -> Limbs {
        self.mul(a, [1, 0, 0, 0])
    }

    /// The stored form of one.
    pub(crate) const fn one(&self) -> Limbs {
        self.stored([1, 0, 0, 0])
    }

    pub(crate) const fn add(&self, a: Limbs, b: Limbs) -> Limbs {
        let (sum, _) = add_words(a, b);
        self.reduced(sum)
    }

    pub(crate) const fn sub(&self, a: Limbs, b: Limbs) -> Limbs {
        let (difference, borrowed) = sub_words(a, b);
        if borrowed {
            add_words(difference, self.p).0
        } else {
            difference
        }
    }

    pub(crate) const fn neg(&self, a: Limbs) -> Limbs {
        self.sub([0; 4], a)
    }

    /// `a * b / 2^256`.
    pub(crate) const fn mul(&self, a: Limbs, b: Limbs) -> Limbs {
        let mut t = [0_u64; 5];
        let mut i = 0;
        while i < 4 {
            let mut high = 0;
            let mut j = 0;
            while j < 4 {
                (t[j], high) = mul_add(t[j], a[j], b[i], high);
                j += 1;
            }
            t[4] = high;
            let q = t[0].wrapping_mul(self.mu);
            (_, high) = mul_add(t[0], q, self.p[0], 0);
            j = 1;
            while j < 4 {
                (t[j - 1], high) = mul_add(t[j], q, self.p[j], high);
                j += 1;
            }
            t[3] = t[4] + high;
            i += 1;
        }
        self.reduced([t[0], t[1], t[2], t[3]])
    }

    /// `1/a`, or zero for zero (Fermat).
    pub(crate) fn inverse(&self, a: Limbs) -> Limbs {
        let exponent = sub_words(self.p, [2, 0, 0, 0]).0;
        let mut power = self.one();
        for bit in (0..256).rev() {
            power = self.mul(power, power);
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                power = self.mul(power, a);
            }
        }
        power
    }

    /// `a < 2P`, less the modulus where that is not negative.
    const fn reduced(&self, a: Limbs) -> Limbs {
        let (difference, borrowed) = sub_words(a, self.p);
        if borrowed { a } else { difference }
    }
}

const fn add_words(a: Limbs, b: Limbs) -> (Limbs, bool) {
    let mut sum = [0; 4];
    let (mut carry, mut i) = (0, 0);
    while i < 4 {
        let wide = a[i] as u128 + b[i] as u128 + carry;
        sum[i] = wide as u64;
        carry = wide >> 64;
        i += 1;
    }
    (sum, carry == 1)
}

const fn sub_words(a: Limbs, b: Limbs) -> (Limbs, bool) {
    let mut difference = [0; 4];
    let (mut borrow, mut i) = (0, 0);
    while i < 4 {
        let wide = (a[i] as u128).wrapping_sub(b[i] as u128 + borrow);
        difference[i] = wide as u64;
        borrow = wide >> 127;
        i += 1;
    }
    (difference, borrow == 1)
}

/// `a + b * c + high`, low word and high.
const fn mul_add(a: u64, b: u64, c: u64, high: u64) -> (u64, u64) {
    let wide = a as u128 + b as u128 * c as u128 + high as u128;
    (wide as u64, (wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use ark_ff::{AdditiveGroup, BigInt, Field, Fp, MontBackend, MontConfig, PrimeField};
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn agrees<C: MontConfig<4>>(field: &Modulus) {
        type Theirs<C> = Fp<MontBackend<C, 4>, 4>;
        assert_eq!(field.p, C::MODULUS.0);
        let below = |k: u64| sub_words(field.p, [k, 0, 0, 0]).0;
        let mut values = vec![[0; 4], [1, 0, 0, 0], [2, 0, 0, 0], below(1), below(2)];
        values.extend([[u64::MAX, 0, 0, 0], [u64::MAX, u64::MAX, u64::MAX, 0]]);
        let mut random = SmallRng::seed_from_u64(31);
        values.extend((0..8).map(|_| {
            let mut words: Limbs = random.random();
            words[3] >>= 3;
            words
        }));
        for &a in &values {
            let theirs_a = Theirs::<C>::from_bigint(BigInt(a)).expect("below the modulus");
            let ours_a = field.stored(a);
            assert_eq!(ours_a, theirs_a.0.0);
            assert_eq!(field.number(ours_a), a);
            let inverse = theirs_a.inverse().unwrap_or(Theirs::<C>::ZERO);
            assert_eq!(field.inverse(ours_a), inverse.0.0);
            for &b in &values {
                let theirs_b = Theirs::<C>::from_bigint(BigInt(b)).expect("below the modulus");
                let ours_b = field.stored(b);
                assert_eq!(field.add(ours_a, ours_b), (theirs_a + theirs_b).0.0);
                assert_eq!(field.sub(ours_a, ours_b), (theirs_a - theirs_b).0.0);
                assert_eq!(field.mul(ours_a, ours_b), (theirs_a * theirs_b).0.0);
            }
        }
        assert!(!field.contains(field.p) && field.contains(below(1)));
        assert!(!field.contains([u64::MAX; 4]));
    }

    #[test]
    fn fields_are_those_of_arkworks() {
        agrees::<ark_bn254::FqConfig>(&BN254_FQ);
        agrees::<ark_bn254::FrConfig>(&BN254_FR);
        agrees::<ark_bls12_381::FrConfig>(&BLS12_381_FR);
    }
}
