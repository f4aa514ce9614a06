//! The points that a query's place names.

use froben_circuits::config::Val;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};

use crate::circuit::{Builder, Wire};

/// The powers of the tallest domain's generator that a place's bits name.
///
/// With `g` of order `2^n`, bit `j` of a place stands for `g^(2^(n - 1 - j))`, so that the whole place
/// stands for its point in bit-reversed order.
pub(super) struct Ladder {
    bits: Vec<Wire>,
    /// The inverse of the product over the bits from `j` on.
    inverses: Vec<Wire>,
    /// The product over all bits.
    point: Wire,
}

impl Ladder {
    pub(super) fn new(b: &mut Builder, bits: &[Wire]) -> Self {
        let log_height = bits.len();
        let generator = Val::two_adic_generator(log_height).inverse();
        let mut product = b.one();
        let mut inverses = vec![product; log_height + 1];
        for (j, &bit) in bits.iter().enumerate().rev() {
            product = power_if(
                b,
                product,
                bit,
                generator.exp_power_of_2(log_height - 1 - j),
            );
            inverses[j] = product;
        }
        let point = b.inverse(product);
        Self {
            bits: bits.to_vec(),
            inverses,
            point,
        }
    }

    /// The point of the shorter coset that a place lies above.
    pub(super) fn coset_point(&self, b: &mut Builder, log_height: usize) -> Wire {
        let point = b.power_of_two(self.point, self.bits.len() - log_height);
        b.scale(point, Val::GENERATOR)
    }

    /// The inverse of the point of the place's highest bits, from `first` on, in the domain that is
    /// left after folding by `2^folded`.
    pub(super) fn inverse_after(&self, b: &mut Builder, folded: usize, first: usize) -> Wire {
        let log_height = self.bits.len();
        // By squaring what there is, or bit by bit, whichever is less.
        if folded <= log_height - first {
            return b.power_of_two(self.inverses[first], folded);
        }
        let generator = Val::two_adic_generator(log_height)
            .inverse()
            .exp_power_of_2(folded);
        let one = b.one();
        (first..log_height).fold(one, |product, j| {
            power_if(
                b,
                product,
                self.bits[j],
                generator.exp_power_of_2(log_height - 1 - j),
            )
        })
    }

    /// The point at which the final polynomial is evaluated, after folding by `2^folded`.
    pub(super) fn final_point(&self, b: &mut Builder, folded: usize) -> Wire {
        let log_height = self.bits.len();
        let generator = Val::two_adic_generator(log_height);
        let one = b.one();
        (folded..log_height).fold(one, |product, j| {
            let exponent = log_height - 1 - (j - folded);
            power_if(b, product, self.bits[j], generator.exp_power_of_2(exponent))
        })
    }
}

/// `product * factor` where the bit is set, else `product`.
fn power_if(b: &mut Builder, product: Wire, bit: Wire, factor: Val) -> Wire {
    b.step((product, Val::ONE), (bit, factor - Val::ONE), None)
}
