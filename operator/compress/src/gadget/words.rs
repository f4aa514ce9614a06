//! BabyBear elements into words of BN254 and out of them.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing, Witness};
use halo2_base::gates::{GateInstructions, RangeInstructions};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::utils::{biguint_to_fe, fe_to_biguint, modulus};
use num_bigint::BigUint;
use p3_baby_bear::BabyBear;
use p3_field::PrimeCharacteristicRing;

use super::base::{P, word};
use super::{Board, Canonical};
use crate::verifier::Observed;

/// Bits of a digit when elements are packed.
const RADIX_BITS: u32 = 31;
/// Digits that a word gives when elements are drawn from it.
const DIGITS: usize = 7;

impl Board {
    /// The word whose digits in radix 2^31, the lowest first, are the elements, each plus `shift`.
    ///
    /// Source: `p3-field`'s `reduce_packed` (shift 0) and `reduce_packed_shifted` (shift 1).
    pub(crate) fn pack(&mut self, elements: &[Observed], shift: u64) -> QuantumCell<Fr> {
        let mut weight = Fr::one();
        let mut constant = Fr::zero();
        let mut products = vec![];
        for element in elements {
            constant += Fr::from(shift) * weight;
            match element {
                Observed::Constant(element) => constant += word(*element) * weight,
                Observed::Cell(Canonical(cell)) => products.push((*cell, Constant(weight))),
            }
            weight *= Fr::from(1 << RADIX_BITS);
        }
        if products.is_empty() {
            return Constant(constant);
        }
        Existing(self.chain(Constant(constant), products))
    }

    /// The seven lowest digits of a word in radix P, the lowest first.
    ///
    /// The word is the sum of d_i P^i and q P^7 with canonical d_i and q less than Q, where Q P^7 is the greatest multiple
    /// of P^7 up to the modulus: the sum does not reach the modulus, so the digits are unique. A word with
    /// q = Q, of which there is one in 2^37, has digits too, and no witness here: a proof that draws one
    /// cannot be compressed.
    ///
    /// Source: `p3-field`'s `split_pf_to_field_order_limbs`.
    pub(crate) fn digits(&mut self, word: QuantumCell<Fr>) -> [Canonical; DIGITS] {
        let cell = match word {
            Existing(cell) => cell,
            Constant(constant) => self.main().load_constant(constant),
            _ => unreachable!("invariant: a state is made of cells and constants"),
        };
        let p = BigUint::from(P);
        let mut rest = fe_to_biguint(cell.value());
        let digits: [Canonical; DIGITS] = std::array::from_fn(|_| {
            let digit = &rest % &p;
            rest /= &p;
            let digit = digit.iter_u64_digits().next().unwrap_or(0);
            self.load(BabyBear::from_u64(digit))
        });
        let top = modulus::<Fr>() / p.pow(DIGITS as u32);
        let weight = |i: usize| Constant(biguint_to_fe::<Fr>(&p.pow(i as u32)));
        let quotient = biguint_to_fe::<Fr>(&rest);
        let products = digits
            .iter()
            .enumerate()
            .skip(1)
            .map(|(i, digit)| (Existing(digit.0), weight(i)))
            .chain([(Witness(quotient), weight(DIGITS))]);
        let sum = self.chain(digits[0].0, products.collect::<Vec<_>>());
        let quotient = self.back(3);
        self.main().constrain_equal(&sum, &cell);
        let bits = top.bits() as u32;
        let last = biguint_to_fe::<Fr>(&(top - 1u32));
        self.gate([
            Witness(last - quotient.value()),
            Existing(quotient),
            Constant(Fr::one()),
            Constant(last),
        ]);
        let gap = self.back(4);
        self.look_up_limbs(quotient, bits);
        self.look_up_limbs(gap, bits);
        digits
    }

    /// The bits of an element, the lowest first.
    pub(crate) fn bits(&mut self, element: Canonical) -> Vec<AssignedValue<Fr>> {
        let gate = self.range().gate().clone();
        gate.num_to_bits(self.main(), element.0, RADIX_BITS as usize)
    }

    /// Constrains a cell to hold a constant.
    pub(crate) fn assert_constant(&mut self, cell: &AssignedValue<Fr>, constant: Fr) {
        let gate = self.range().gate().clone();
        gate.assert_is_const(self.main(), cell, &constant);
    }

    /// The cell `one` if the bit is 1, and `zero` if it is 0.
    pub(crate) fn select(
        &mut self,
        bit: AssignedValue<Fr>,
        one: QuantumCell<Fr>,
        zero: QuantumCell<Fr>,
    ) -> AssignedValue<Fr> {
        let difference = *one.value() - zero.value();
        // difference + zero = one; zero + bit * difference.
        self.gate([Witness(difference), zero, Constant(Fr::one()), one]);
        let difference = self.back(4);
        self.chain(zero, [(bit, difference)])
    }
}
