//! BabyBear elements in a BN254 circuit.
//!
//! A word of 254 bits has room for several products of 31-bit numbers, so an element is carried as a
//! *signed integer* that is congruent to it, with a bound on its size, and reduced only when the bound
//! would outgrow the word. Additions and multiplications are then one gate each. Numbers below zero are
//! the words near the modulus of BN254.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{Constant, Existing, Witness};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use halo2_base::halo2_proofs::halo2curves::ff::Field as _;
use halo2_base::utils::ScalarField;
use p3_baby_bear::BabyBear;
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::Board;
use super::board::sum_bits;

/// BabyBear's modulus: 15 * 2^27 + 1.
pub(crate) const P: u64 = BabyBear::ORDER_U32 as u64;
/// Sizes up to which integers are carried: sums of products of two such sizes never arise, since
/// operands are reduced first, and reducing needs some bits on top.
pub(crate) const MAX_BITS: u32 = 220;

/// An element: an integer in a cell, less than 2^`bits` in size and congruent to the element.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub(crate) cell: AssignedValue<Fr>,
    pub(crate) bits: u32,
    /// Tells integers apart, so that each is reduced once.
    serial: u32,
}

/// An element whose cell is known to hold the canonical integer, from 0 to P - 1.
#[derive(Clone, Copy, Debug)]
pub struct Canonical(pub(crate) AssignedValue<Fr>);

impl From<Canonical> for Base {
    fn from(Canonical(cell): Canonical) -> Self {
        Self {
            cell,
            bits: 31,
            serial: 0,
        }
    }
}

impl Base {
    /// The element that the integer is congruent to.
    pub(crate) fn value(&self) -> BabyBear {
        let (_, remainder) = divide(self.cell.value());
        BabyBear::from_u64(remainder)
    }
}

/// The word of a canonical element.
pub(crate) fn word(element: BabyBear) -> Fr {
    Fr::from(u64::from(element.as_canonical_u32()))
}

/// The integer of smallest size that is congruent to `element`, as a word: constants of small size
/// keep the bounds low.
pub(crate) fn signed_word(element: BabyBear) -> (Fr, u32) {
    let integer = u64::from(element.as_canonical_u32());
    let (size, word) = if integer <= P / 2 {
        (integer, Fr::from(integer))
    } else {
        (P - integer, -Fr::from(P - integer))
    };
    (word, u64::BITS - size.leading_zeros())
}

/// Splits the signed integer of a word into quotient, a word too, and remainder by P, 0 <= remainder < P.
fn divide(word: &Fr) -> (Fr, u64) {
    let limbs = |word: &Fr| word.to_u64_limbs(8, 32);
    // Canonical words above half the modulus stand for numbers below zero.
    let negated = -*word;
    let negative = limbs(&negated).iter().rev().lt(limbs(word).iter().rev());
    let size = if negative { negated } else { *word };
    let mut quotient = [0_u64; 8];
    let mut remainder = 0_u64;
    for (digit, limb) in quotient.iter_mut().zip(limbs(&size)).rev() {
        let head = remainder << 32 | limb;
        *digit = head / P;
        remainder = head % P;
    }
    let radix = Fr::from(1 << 32);
    let quotient = quotient
        .iter()
        .rev()
        .fold(Fr::zero(), |sum, &digit| sum * radix + Fr::from(digit));
    match (negative, remainder) {
        (false, _) => (quotient, remainder),
        (true, 0) => (-quotient, 0),
        (true, _) => (-quotient - Fr::one(), P - remainder),
    }
}

impl Board {
    /// Loads an element and constrains its cell to hold the canonical integer.
    pub fn load(&mut self, element: BabyBear) -> Canonical {
        let (cell, low, high) = self.limbs(u64::from(element.as_canonical_u32()));
        self.canonical(cell, low, high)
    }

    /// Loads an element as some integer of two limbs that is congruent to it: cheaper than
    /// [`Self::load`], for what is neither hashed nor compared.
    pub(crate) fn load_loose(&mut self, element: BabyBear) -> Base {
        let (cell, low, high) = self.limbs(u64::from(element.as_canonical_u32()));
        self.look_up(low);
        self.look_up(high);
        self.integer(cell, self.loose_bits())
    }

    /// An integer of at most `bits` that is in no other [`Base`].
    pub(crate) fn integer(&mut self, cell: Cell, bits: u32) -> Base {
        self.integers += 1;
        let serial = self.integers;
        Base { cell, bits, serial }
    }

    /// Bits of an integer of two limbs.
    fn loose_bits(&self) -> u32 {
        2 * self.lookup_bits() as u32
    }

    /// low + 2^l high, with l bits a table look-up: the sum's cell and the limbs', which are not looked up yet.
    fn limbs(&mut self, integer: u64) -> (Cell, Cell, Cell) {
        let (low, high) = self.split(integer);
        let radix = self.radix();
        let cell = self.chain(Witness(low), [(Witness(high), Constant(radix))]);
        (cell, self.back(4), self.back(3))
    }

    fn split(&self, integer: u64) -> (Fr, Fr) {
        let bits = self.lookup_bits();
        (
            Fr::from(integer & ((1 << bits) - 1)),
            Fr::from(integer >> bits),
        )
    }

    /// Looks the limbs of `cell` = low + 2^l high up and constrains it to be canonical.
    ///
    /// P - 1 = 15 * 2^27 is a multiple of 2^l, so the integer is below P if high <= (P - 1) / 2^l, and low = 0
    /// where they are equal.
    fn canonical(&mut self, cell: Cell, low: Cell, high: Cell) -> Canonical {
        let top = Fr::from((P - 1) >> self.lookup_bits());
        let gap = top - high.value();
        self.gate([
            Witness(gap),
            Existing(high),
            Constant(Fr::one()),
            Constant(top),
        ]);
        let gap = self.back(4);
        // edge = 1 - gap * inverse is 1 where the gap is 0, whatever the inverse is said to be; elsewhere an
        // honest prover makes it 0.
        let inverse = gap.value().invert().unwrap_or(Fr::zero());
        let edge = Fr::one() - *gap.value() * inverse;
        self.gate([
            Witness(edge),
            Existing(gap),
            Witness(inverse),
            Constant(Fr::one()),
        ]);
        let edge = self.back(4);
        self.gate([
            Constant(Fr::zero()),
            Existing(low),
            Existing(edge),
            Constant(Fr::zero()),
        ]);
        for limb in [low, high, gap] {
            self.look_up(limb);
        }
        Canonical(cell)
    }

    /// An element known when the circuit is built.
    pub(crate) fn constant(&mut self, element: BabyBear) -> Base {
        let (word, bits) = signed_word(element);
        let cell = self.main().load_constant(word);
        self.integer(cell, bits)
    }

    /// a + b.
    pub(crate) fn add(&mut self, a: Base, b: Base) -> Base {
        let cell = self.chain(a.cell, [(b.cell, Constant(Fr::one()))]);
        let bits = a.bits.max(b.bits) + 1;
        let sum = self.integer(cell, bits);
        self.bounded(sum)
    }

    /// a - b.
    pub(crate) fn sub(&mut self, a: Base, b: Base) -> Base {
        let cell = self.chain(a.cell, [(b.cell, Constant(-Fr::one()))]);
        let bits = a.bits.max(b.bits) + 1;
        let sum = self.integer(cell, bits);
        self.bounded(sum)
    }

    /// a * b.
    pub(crate) fn mul(&mut self, a: Base, b: Base) -> Base {
        self.dot(None, &[(a, b)])
    }

    /// a times a constant.
    pub(crate) fn mul_constant(&mut self, a: Base, constant: BabyBear) -> Base {
        let (word, bits) = signed_word(constant);
        let a = self.at_most(a, MAX_BITS - bits);
        let cell = self.chain(Constant(Fr::zero()), [(a.cell, Constant(word))]);
        self.integer(cell, a.bits + bits)
    }

    /// a plus a constant.
    pub(crate) fn add_constant(&mut self, a: Base, constant: BabyBear) -> Base {
        let (word, bits) = signed_word(constant);
        let cell = self.chain(a.cell, [(Constant(word), Constant(Fr::one()))]);
        let bits = a.bits.max(bits) + 1;
        let sum = self.integer(cell, bits);
        self.bounded(sum)
    }

    /// `start` plus the products, one gate each.
    pub(crate) fn dot(&mut self, start: Option<Base>, products: &[(Base, Base)]) -> Base {
        let head = sum_bits(products.len() + 1);
        let start = start.map(|start| self.at_most(start, MAX_BITS - head));
        let products: Vec<_> = products
            .iter()
            .map(|&(a, b)| self.fitting(a, b, MAX_BITS - head))
            .collect();
        let bits = products
            .iter()
            .map(|(a, b)| a.bits + b.bits)
            .chain(start.map(|start| start.bits))
            .max();
        let cell = self.chain(
            start.map_or(Constant(Fr::zero()), |start| Existing(start.cell)),
            products.iter().map(|(a, b)| (a.cell, b.cell)),
        );
        self.integer(cell, bits.unwrap_or(0) + head)
    }

    /// Two factors, the longer reduced first, until their product has at most `bits`.
    pub(crate) fn fitting(&mut self, mut a: Base, mut b: Base, bits: u32) -> (Base, Base) {
        while a.bits + b.bits > bits {
            if a.bits >= b.bits {
                a = self.reduce(a);
            } else {
                b = self.reduce(b);
            }
        }
        (a, b)
    }

    /// `a`, reduced if it has more than `bits`.
    pub(crate) fn at_most(&mut self, a: Base, bits: u32) -> Base {
        if a.bits > bits { self.reduce(a) } else { a }
    }

    fn bounded(&mut self, a: Base) -> Base {
        self.at_most(a, MAX_BITS)
    }

    /// The same element as an integer of two limbs: the same cell each time.
    pub(crate) fn reduce(&mut self, a: Base) -> Base {
        if a.bits <= self.loose_bits() {
            return a;
        }
        if let Some(&reduced) = self.reduced.get(&a.serial) {
            return reduced;
        }
        let (cell, low, high) = self.divide(a);
        self.look_up(low);
        self.look_up(high);
        let reduced = self.integer(cell, self.loose_bits());
        self.reduced.insert(a.serial, reduced);
        reduced
    }

    /// Constrains a = low + 2^l high + P * quotient and gives the cells of low + 2^l high, low and high, which
    /// are not looked up yet.
    ///
    /// The quotient is at most 2^(bits - 30) in size, and is looked up with that added, so that it is no less than
    /// zero. Rounded up to whole limbs it stays below 2^(bits + l), so that nothing here reaches the
    /// modulus of BN254.
    fn divide(&mut self, a: Base) -> (Cell, Cell, Cell) {
        let (quotient, remainder) = divide(a.cell.value());
        let (low, high) = self.split(remainder);
        let (shift, bits) = quotient_range(a.bits);
        let (p, radix) = (Fr::from(P), self.radix());
        let sum = self.chain(
            Witness(low),
            [
                (Witness(high), Constant(radix)),
                (Witness(quotient + shift), Constant(p)),
                (Constant(-shift), Constant(p)),
            ],
        );
        let [low, high, cell, quotient] = [10, 9, 7, 6].map(|back| self.back(back));
        self.main().constrain_equal(&sum, &a.cell);
        self.look_up_limbs(quotient, bits);
        (cell, low, high)
    }

    /// Constrains the element to be zero.
    pub(crate) fn assert_zero(&mut self, a: Base) {
        let (quotient, _) = divide(a.cell.value());
        let (shift, bits) = quotient_range(a.bits);
        let p = Fr::from(P);
        let sum = self.chain(
            Constant(-shift * p),
            [(Witness(quotient + shift), Constant(p))],
        );
        let quotient = self.back(3);
        self.main().constrain_equal(&sum, &a.cell);
        self.look_up_limbs(quotient, bits);
    }

    /// Constrains `cell` to have at most `bits`, rounded up to whole limbs.
    pub(crate) fn look_up_limbs(&mut self, cell: Cell, bits: u32) {
        let count = (bits as usize).div_ceil(self.lookup_bits());
        if count == 1 {
            return self.look_up(cell);
        }
        let limbs = cell.value().to_u64_limbs(count, self.lookup_bits());
        let mut weight = Fr::one();
        let radix = self.radix();
        let products: Vec<_> = limbs[1..]
            .iter()
            .map(|&limb| {
                weight *= radix;
                (Witness(Fr::from(limb)), Constant(weight))
            })
            .collect();
        let sum = self.chain(Witness(Fr::from(limbs[0])), products);
        self.main().constrain_equal(&sum, &cell);
        let length = 3 * count as isize - 2;
        for i in 0..count as isize {
            let limb = self.back(if i == 0 { length } else { length - 3 * i + 2 });
            self.look_up(limb);
        }
    }
}

type Cell = AssignedValue<Fr>;

/// What to add to the quotient of an integer of `bits` so that it is no less than zero, and the bits it has then.
fn quotient_range(bits: u32) -> (Fr, u32) {
    let size = bits.saturating_sub(30);
    (Fr::from(2).pow([u64::from(size)]), size + 1)
}

#[cfg(test)]
mod tests {
    use halo2_base::gates::circuit::CircuitBuilderStage;
    use p3_field::Field;

    use super::*;
    use crate::gadget::Violation;

    fn board() -> Board {
        Board::new(CircuitBuilderStage::Mock, 16)
    }

    const EDGES: [u32; 7] = [
        0,
        1,
        2,
        0x7800,
        (1 << 27) + 1,
        (P - 2) as u32,
        (P - 1) as u32,
    ];

    #[test]
    fn operations_agree_with_the_field() {
        let mut board = board();
        for a in EDGES.map(BabyBear::from_u32) {
            for b in EDGES.map(BabyBear::from_u32) {
                let (x, y) = (Base::from(board.load(a)), board.load_loose(b));
                assert_eq!(board.add(x, y).value(), a + b);
                assert_eq!(board.sub(x, y).value(), a - b);
                assert_eq!(board.mul(x, y).value(), a * b);
                assert_eq!(board.mul_constant(x, b).value(), a * b);
                assert_eq!(board.add_constant(x, b).value(), a + b);
                assert_eq!(board.constant(a).value(), a);
                let dot = board.dot(Some(x), &[(x, y), (y, y)]);
                assert_eq!(dot.value(), a + a * b + b * b);
                let difference = board.sub(x, y);
                assert_eq!(board.reduce(difference).value(), a - b);
            }
        }
        assert_eq!(board.check(), Ok(()));
    }

    /// Bounds grow until operands are reduced; values stay what they are, below zero too.
    #[test]
    fn long_chains_are_reduced() {
        let mut board = board();
        let step = BabyBear::from_u32(0x1234_5678);
        let factor = Base::from(board.load(step));
        let (mut value, mut wire) = (BabyBear::NEG_ONE, factor);
        wire = board.mul_constant(wire, value * step.inverse());
        for _ in 0..200 {
            value = -(value * step) - step;
            let product = board.mul(wire, factor);
            let zero = board.constant(BabyBear::ZERO);
            let negated = board.sub(zero, product);
            wire = board.sub(negated, factor);
            assert!(wire.bits <= MAX_BITS);
            assert_eq!(wire.value(), value);
        }
        let expected = board.constant(value);
        let difference = board.sub(wire, expected);
        board.assert_zero(difference);
        assert_eq!(board.check(), Ok(()));
    }

    #[test]
    fn what_is_not_zero_is_not_asserted_to_be() {
        for wrong in [1, P as u32 - 1] {
            let mut board = board();
            let wire = board.load(BabyBear::from_u32(wrong)).into();
            board.assert_zero(wire);
            assert!(matches!(board.check(), Err(Violation::Equality(..))));
        }
    }

    /// Integers from P to the end of the limbs are congruent to elements and not canonical.
    #[test]
    fn only_canonical_integers_are_loaded() {
        let last = (1 << 32) - 1;
        for (integer, canonical) in [
            (0, true),
            (P - 1, true),
            (P - 2, true),
            (P, false),
            (P + 1, false),
            (P + (1 << 16) - 1, false),
            (P + (1 << 27), false),
            ((1 << 31) - 1, false),
            (last, false),
        ] {
            let mut board = board();
            let (cell, low, high) = board.limbs(integer);
            board.canonical(cell, low, high);
            assert_eq!(board.check().is_ok(), canonical, "{integer}");
        }
    }

    /// With any other witness for the inverse, the edge is caught all the same.
    #[test]
    fn the_edge_is_not_up_to_the_witness() {
        let mut board = board();
        let (cell, low, high) = board.limbs(P);
        let at = board.main().advice.len();
        board.canonical(cell, low, high);
        // The second gate holds edge, gap, inverse and one; the third zero, low, edge and zero.
        for inverse in [Fr::one(), -Fr::one(), Fr::from(7)] {
            board.main().advice[at + 6] = inverse.into();
            assert!(board.check().is_err());
        }
    }
}
