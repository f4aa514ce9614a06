//! The challenge fields: extensions of the fields that kernels compute in.

use super::{BabyBear, Field, Goldilocks, KoalaBear};

/// The field `Base[x]/(x^DEGREE - r(x))`. An element is stored as the coefficients of `1`, `x`, `x^2`, ...
///
/// Kernels need to know nothing of an extension but its degree: they multiply by the matrix of a
/// challenge, which the host makes.
pub trait Extension: Copy + Send + Sync + 'static {
    /// The field of the coefficients.
    type Base: Field;
    /// Words of an element.
    const DEGREE: usize;
    /// The coefficients of `r`, lowest first; trailing zeros are left out.
    const REDUCTION: &'static [i8];

    /// `a * b`.
    #[must_use]
    fn mul(a: &[Word<Self>], b: &[Word<Self>]) -> Vec<Word<Self>> {
        let mut product = vec![Self::Base::ZERO; 2 * Self::DEGREE - 1];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                product[i + j] = Self::Base::add(product[i + j], Self::Base::mul(x, y));
            }
        }
        for high in (Self::DEGREE..product.len()).rev() {
            for (k, &r) in Self::REDUCTION.iter().enumerate() {
                let magnitude = Self::Base::from_u64(u64::from(r.unsigned_abs()));
                let term = Self::Base::mul(product[high], magnitude);
                let at = &mut product[high - Self::DEGREE + k];
                *at = if r < 0 {
                    Self::Base::sub(*at, term)
                } else {
                    Self::Base::add(*at, term)
                };
            }
        }
        product.truncate(Self::DEGREE);
        product
    }
}

/// The word of an extension's base field.
type Word<E> = <<E as Extension>::Base as Field>::Word;

macro_rules! extensions {
    ($($(#[$about:meta])* $name:ident: $base:ty, $degree:literal, $reduction:expr;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Extension for $name {
            type Base = $base;
            const DEGREE: usize = $degree;
            const REDUCTION: &'static [i8] = &$reduction;
        }
    )*};
}

extensions! {
    /// `x^4 = 11` over BabyBear.
    BabyBear4: BabyBear, 4, [11];
    /// `x^5 = 2` over BabyBear.
    BabyBear5: BabyBear, 5, [2];
    /// `x^4 = 3` over KoalaBear.
    KoalaBear4: KoalaBear, 4, [3];
    /// `x^5 = 1 - x^2` over KoalaBear, which has no fifth roots to adjoin.
    KoalaBear5: KoalaBear, 5, [1, 0, -1];
    /// `x^2 = 7` over Goldilocks.
    Goldilocks2: Goldilocks, 2, [7];
    /// `x^5 = 3` over Goldilocks.
    Goldilocks5: Goldilocks, 5, [3];
}
