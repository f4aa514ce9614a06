//! Elements of BabyBear's extension of degree 4, X^4 = 11, in a BN254 circuit.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_baby_bear::BabyBear;
use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing};

use super::base::{MAX_BITS, signed_word};
use super::board::sum_bits;
use super::{Base, Board, Canonical};
use crate::layer::Challenge;

/// What X^4 is.
const W: u32 = 11;
/// Bits that a coefficient of a product has more than a product of coefficients: at most one product counts
/// once and three count [`W`] times, 34 in all, and an addend.
const HEAD: u32 = 6;

/// An element: the coefficients of 1, X, X^2 and X^3.
#[derive(Clone, Copy, Debug)]
pub struct Ext(pub(crate) [Base; 4]);

impl From<[Canonical; 4]> for Ext {
    fn from(coefficients: [Canonical; 4]) -> Self {
        Self(coefficients.map(Base::from))
    }
}

impl Ext {
    /// The element that the cells hold.
    pub(crate) fn value(&self) -> Challenge {
        Challenge::from_basis_coefficients_fn(|i| self.0[i].value())
    }
}

/// The coefficients of an element.
pub(crate) fn coefficients(element: Challenge) -> [BabyBear; 4] {
    let coefficients = element.as_basis_coefficients_slice();
    std::array::from_fn(|i| coefficients[i])
}

impl Board {
    /// An element known when the circuit is built.
    pub(crate) fn ext_constant(&mut self, element: Challenge) -> Ext {
        Ext(coefficients(element).map(|coefficient| self.constant(coefficient)))
    }

    /// An element of the base field.
    pub(crate) fn ext_from_base(&mut self, element: Base) -> Ext {
        let zero = self.constant(BabyBear::ZERO);
        Ext([element, zero, zero, zero])
    }

    /// a + b.
    pub(crate) fn ext_add(&mut self, a: Ext, b: Ext) -> Ext {
        self.each(|board, i| board.add(a.0[i], b.0[i]))
    }

    /// a - b.
    pub(crate) fn ext_sub(&mut self, a: Ext, b: Ext) -> Ext {
        self.each(|board, i| board.sub(a.0[i], b.0[i]))
    }

    /// a plus a constant.
    pub(crate) fn ext_add_constant(&mut self, a: Ext, constant: Challenge) -> Ext {
        let constant = coefficients(constant);
        self.each(|board, i| {
            if constant[i] == BabyBear::ZERO {
                a.0[i]
            } else {
                board.add_constant(a.0[i], constant[i])
            }
        })
    }

    /// a * b.
    pub(crate) fn ext_mul(&mut self, a: Ext, b: Ext) -> Ext {
        self.ext_mul_add(None, a, b)
    }

    /// start + a * b; the addition costs nothing.
    pub(crate) fn ext_mul_add(&mut self, start: Option<Ext>, a: Ext, b: Ext) -> Ext {
        let (a, b) = self.ext_fitting(a, b);
        let start =
            start.map(|start| self.each(|board, i| board.at_most(start.0[i], MAX_BITS - 1)));
        let bits = size(&a) + size(&b) + HEAD;
        let wrapped = self.each(|board, i| {
            if i == 0 {
                return b.0[0];
            }
            board.mul_constant(b.0[i], BabyBear::from_u32(W))
        });
        self.each(|board, k| {
            let products = (0..4).map(|i| {
                let factor = if i <= k {
                    b.0[k - i]
                } else {
                    wrapped.0[k + 4 - i]
                };
                (a.0[i].cell, factor.cell)
            });
            let start = start.map(|start| start.0[k]);
            board.sum(start, products, bits)
        })
    }

    /// a times a constant.
    pub(crate) fn ext_mul_constant(&mut self, a: Ext, constant: Challenge) -> Ext {
        self.ext_mul_constant_add(None, a, constant)
    }

    /// start + a times a constant.
    pub(crate) fn ext_mul_constant_add(
        &mut self,
        start: Option<Ext>,
        a: Ext,
        constant: Challenge,
    ) -> Ext {
        let constant = coefficients(constant);
        let start =
            start.map(|start| self.each(|board, i| board.at_most(start.0[i], MAX_BITS - 1)));
        let a = self.each(|board, i| board.at_most(a.0[i], MAX_BITS - 33));
        self.each(|board, k| {
            let factors = (0..4).map(|i| {
                if i <= k {
                    constant[k - i]
                } else {
                    constant[k + 4 - i] * BabyBear::from_u32(W)
                }
            });
            let products: Vec<_> = factors
                .enumerate()
                .filter(|(_, factor)| *factor != BabyBear::ZERO)
                .map(|(i, factor)| (a.0[i].cell, Constant(signed_word(factor).0)))
                .collect();
            // A constant has 30 bits at most.
            let bits = size(&a) + 32;
            board.sum(start.map(|start| start.0[k]), products, bits)
        })
    }

    /// start + a * b, with b of the base field.
    pub(crate) fn ext_mul_base(&mut self, start: Option<Ext>, a: Ext, b: Base) -> Ext {
        self.each(|board, i| board.dot(start.map(|start| start.0[i]), &[(a.0[i], b)]))
    }

    /// The sum of the products of extension and base elements.
    pub(crate) fn ext_dot_base(&mut self, a: &[Ext], b: &[Base]) -> Ext {
        self.each(|board, i| {
            let products: Vec<_> = a.iter().zip(b).map(|(a, &b)| (a.0[i], b)).collect();
            board.dot(None, &products)
        })
    }

    /// 1 / a; the circuit is not satisfied if a is zero.
    pub(crate) fn ext_invert(&mut self, a: Ext) -> Ext {
        let inverse = a.value().try_inverse().unwrap_or(Challenge::ZERO);
        let inverse = Ext(coefficients(inverse).map(|value| self.load_loose(value)));
        let product = self.ext_mul(a, inverse);
        let product = self.ext_add_constant(product, -Challenge::ONE);
        self.ext_assert_zero(product);
        inverse
    }

    /// Constrains the element to be zero.
    pub(crate) fn ext_assert_zero(&mut self, a: Ext) {
        for coefficient in a.0 {
            self.assert_zero(coefficient);
        }
    }

    /// Constrains two elements to be equal.
    pub(crate) fn ext_assert_equal(&mut self, a: Ext, b: Ext) {
        let difference = self.ext_sub(a, b);
        self.ext_assert_zero(difference);
    }

    /// a to the power of 2^log.
    pub(crate) fn ext_power_of_2(&mut self, a: Ext, log: usize) -> Ext {
        (0..log).fold(a, |power, _| self.ext_mul(power, power))
    }

    /// The same element with short coefficients: for what is used as a factor more than once.
    pub(crate) fn ext_reduce(&mut self, a: Ext) -> Ext {
        Ext(a.0.map(|coefficient| self.reduce(coefficient)))
    }

    /// Two factors, the longer reduced first, whose product stays within bounds.
    fn ext_fitting(&mut self, mut a: Ext, mut b: Ext) -> (Ext, Ext) {
        while size(&a) + size(&b) > MAX_BITS - HEAD - 1 {
            if size(&a) >= size(&b) {
                a = self.ext_reduce(a);
            } else {
                b = self.ext_reduce(b);
            }
        }
        (a, b)
    }

    fn sum(
        &mut self,
        start: Option<Base>,
        products: impl IntoIterator<Item = (AssignedValue<Fr>, impl Into<QuantumCell<Fr>>)>,
        bits: u32,
    ) -> Base {
        match start {
            None => {
                let cell = self.chain(Constant(Fr::zero()), products);
                self.integer(cell, bits)
            }
            Some(start) => {
                let cell = self.chain(start.cell, products);
                self.integer(cell, bits.max(start.bits) + sum_bits(2))
            }
        }
    }

    fn each(&mut self, mut of: impl FnMut(&mut Self, usize) -> Base) -> Ext {
        Ext(std::array::from_fn(|i| of(self, i)))
    }
}

/// The bits of the longest coefficient.
fn size(a: &Ext) -> u32 {
    a.0.iter()
        .map(|coefficient| coefficient.bits)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use halo2_base::gates::circuit::CircuitBuilderStage;

    use super::*;
    use crate::layer::Val;

    fn element(seed: u32) -> Challenge {
        Challenge::from_basis_coefficients_fn(|i| {
            Val::from_u32(
                (seed + 1)
                    .wrapping_mul(2_654_435_761)
                    .rotate_left(7 * i as u32)
                    % 0x7800_0001,
            )
        })
    }

    #[test]
    fn operations_agree_with_the_field() {
        let mut board = Board::new(CircuitBuilderStage::Mock, 17);
        let edges = [
            Challenge::ZERO,
            Challenge::ONE,
            Challenge::NEG_ONE,
            element(1),
            element(2),
        ];
        for a in edges {
            for b in edges {
                let x = board.load_ext(a).into();
                let y = board.load_ext(b).into();
                assert_eq!(board.ext_add(x, y).value(), a + b);
                assert_eq!(board.ext_sub(x, y).value(), a - b);
                assert_eq!(board.ext_mul(x, y).value(), a * b);
                assert_eq!(board.ext_mul_add(Some(x), x, y).value(), a + a * b);
                assert_eq!(board.ext_mul_constant(x, b).value(), a * b);
                assert_eq!(board.ext_add_constant(x, b).value(), a + b);
                let base = coefficients(b)[1];
                let wire = board.load(base).into();
                assert_eq!(board.ext_mul_base(Some(y), x, wire).value(), b + a * base);
                assert_eq!(
                    board.ext_dot_base(&[x, y], &[wire, wire]).value(),
                    (a + b) * base
                );
                assert_eq!(board.ext_power_of_2(x, 3).value(), a.exp_u64(8));
                if a != Challenge::ZERO {
                    assert_eq!(board.ext_invert(x).value(), a.inverse());
                }
            }
        }
        assert_eq!(board.check(), Ok(()));
    }

    #[test]
    fn long_chains_are_reduced() {
        let mut board = Board::new(CircuitBuilderStage::Mock, 17);
        let factor = element(3);
        let x = board.load_ext(factor).into();
        let (mut value, mut wire) = (factor, x);
        for _ in 0..100 {
            value = value * value - value * factor;
            let square = board.ext_mul(wire, wire);
            let product = board.ext_mul(wire, x);
            wire = board.ext_sub(square, product);
            assert_eq!(wire.value(), value);
        }
        let expected = board.ext_constant(value);
        board.ext_assert_equal(wire, expected);
        assert_eq!(board.check(), Ok(()));
    }

    #[test]
    fn zero_has_no_inverse() {
        let mut board = Board::new(CircuitBuilderStage::Mock, 17);
        let zero = board.load_ext(Challenge::ZERO).into();
        board.ext_invert(zero);
        assert!(board.check().is_err());
    }
}
