//! The Fiat-Shamir transcript in the circuit.
//!
//! Mirrors `p3-challenger`'s `MultiField32Challenger` over a duplex sponge of width 3 and rate 2, step by step.
//! Elements are absorbed eight a word in radix 2^31; a block of up to sixteen is tagged with its length in
//! the capacity. Sampled elements are the seven lowest digits of a word in radix P.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_baby_bear::BabyBear;
use p3_challenger::CanObserve;

use crate::gadget::{Board, Canonical, Ext};

/// Elements that one word absorbs.
pub(crate) const ABSORBED: usize = 8;
/// Words that take input and give output.
const RATE: usize = 2;

/// An element that is absorbed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observed {
    /// Known when the circuit is built.
    Constant(BabyBear),
    /// Of the proof.
    Cell(Canonical),
}

/// The sponge.
pub(crate) struct Transcript {
    state: [QuantumCell<Fr>; 3],
    pending: Vec<Observed>,
    /// Whether the rate is output that was not sampled from yet.
    fresh: bool,
    /// Words to sample from, the next one last.
    words: Vec<QuantumCell<Fr>>,
    /// Elements to sample, the next one last.
    elements: Vec<Canonical>,
}

impl Transcript {
    /// A sponge that absorbed nothing.
    pub(crate) fn new() -> Self {
        Self {
            state: [Constant(Fr::zero()); 3],
            pending: vec![],
            fresh: false,
            words: vec![],
            elements: vec![],
        }
    }

    fn forget_output(&mut self) {
        self.fresh = false;
        self.words.clear();
        self.elements.clear();
    }

    /// Absorbs an element.
    pub(crate) fn observe(&mut self, board: &mut Board, element: Observed) {
        self.forget_output();
        self.pending.push(element);
        if self.pending.len() == ABSORBED * RATE {
            self.flush(board);
        }
    }

    /// Absorbs an element of the proof.
    pub(crate) fn observe_cell(&mut self, board: &mut Board, element: Canonical) {
        self.observe(board, Observed::Cell(element));
    }

    /// Absorbs the coefficients of an element of the extension.
    pub(crate) fn observe_ext(&mut self, board: &mut Board, coefficients: [Canonical; 4]) {
        for coefficient in coefficients {
            self.observe_cell(board, coefficient);
        }
    }

    /// Absorbs constants: the seed of a protocol, as `p3-challenger` derives it from the run's shape.
    pub(crate) fn observe_seed(&mut self, board: &mut Board, seed: &[BabyBear]) {
        for &element in seed {
            self.observe(board, Observed::Constant(element));
        }
    }

    /// Absorbs the roots of a Merkle cap, each in a block of its own.
    pub(crate) fn observe_cap(&mut self, board: &mut Board, cap: &[QuantumCell<Fr>]) {
        for &root in cap {
            self.forget_output();
            self.flush(board);
            self.absorb(board, &[root], 1);
        }
    }

    fn flush(&mut self, board: &mut Board) {
        if self.pending.is_empty() {
            return;
        }
        let elements = std::mem::take(&mut self.pending);
        let words: Vec<_> = elements
            .chunks(ABSORBED)
            .map(|chunk| board.pack(chunk, 0))
            .collect();
        self.absorb(board, &words, elements.len());
    }

    fn absorb(&mut self, board: &mut Board, words: &[QuantumCell<Fr>], tag: usize) {
        let word = |i: usize| words.get(i).copied().unwrap_or(Constant(Fr::zero()));
        let tag = Fr::from(tag as u64);
        let capacity = match self.state[RATE] {
            Constant(capacity) => Constant(capacity + tag),
            cell => Existing(board.chain(cell, [(Constant(tag), Constant(Fr::one()))])),
        };
        self.state = board.permute([word(0), word(1), capacity]);
        self.words.clear();
        self.elements.clear();
        self.fresh = true;
    }

    /// Draws an element.
    pub(crate) fn sample(&mut self, board: &mut Board) -> Canonical {
        self.flush(board);
        loop {
            if let Some(element) = self.elements.pop() {
                return element;
            }
            if let Some(word) = self.words.pop() {
                self.elements.extend(board.digits(word));
                continue;
            }
            if !self.fresh {
                self.state = board.permute(self.state);
            }
            self.words.extend_from_slice(&self.state[..RATE]);
            self.fresh = false;
        }
    }

    /// Draws an element of the extension.
    pub(crate) fn sample_ext(&mut self, board: &mut Board) -> Ext {
        let coefficients = std::array::from_fn(|_| self.sample(board));
        Ext::from(coefficients)
    }

    /// Draws an element and gives all its bits, the lowest first; a sample of n bits is the first n.
    pub(crate) fn sample_bits(&mut self, board: &mut Board) -> Vec<AssignedValue<Fr>> {
        let element = self.sample(board);
        board.bits(element)
    }

    /// Checks a proof of work: absorbs the witness and constrains the next `bits` drawn to be zero.
    pub(crate) fn check_witness(&mut self, board: &mut Board, bits: usize, witness: Canonical) {
        self.observe_cell(board, witness);
        for bit in &self.sample_bits(board)[..bits] {
            board.assert_constant(bit, Fr::zero());
        }
    }
}

/// A challenger that only writes down what it is told.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Vec<BabyBear>);

impl CanObserve<BabyBear> for Recorder {
    fn observe(&mut self, value: BabyBear) {
        self.0.push(value);
    }
}

#[cfg(test)]
mod tests {
    use halo2_base::gates::circuit::CircuitBuilderStage;
    use p3_bn254::Bn254;
    use p3_challenger::{CanSample, CanSampleBits, GrindingChallenger};
    use p3_field::PrimeCharacteristicRing;
    use p3_symmetric::Hash;

    use super::*;
    use crate::layer::config::challenger;
    use crate::layer::words::to_fr;
    use crate::layer::{Challenge, Val};

    /// All ways to go on from each other, in an order that a small generator gives.
    #[test]
    fn samples_are_those_of_the_native_transcript() {
        let mut board = Board::new(CircuitBuilderStage::Mock, 17);
        let (mut native, mut transcript) = (challenger(), Transcript::new());
        let mut state = 1_u32;
        for step in 0..400 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 29 {
                0 => {
                    let sample: Val = native.sample();
                    let drawn = transcript.sample(&mut board);
                    assert_eq!(
                        crate::gadget::Base::from(drawn).value(),
                        sample,
                        "step {step}"
                    );
                }
                1 => {
                    let sample: Challenge = native.sample();
                    assert_eq!(
                        transcript.sample_ext(&mut board).value(),
                        sample,
                        "step {step}"
                    );
                }
                2 => {
                    let sample = native.sample_bits(20);
                    let bits = transcript.sample_bits(&mut board);
                    let number = bits[..20]
                        .iter()
                        .rev()
                        .fold(0, |n, bit| 2 * n + usize::from(*bit.value() == Fr::one()));
                    assert_eq!(number, sample, "step {step}");
                }
                3 => {
                    let root = Bn254::from_u32(state) * Bn254::NEG_ONE;
                    native.observe(Hash::<Val, Bn254, 1>::from([root]));
                    let root = board.load_cap(&[to_fr(root)]);
                    transcript.observe_cap(&mut board, &root);
                }
                4 => {
                    let seed = [Val::from_u32(state >> 4), Val::NEG_ONE];
                    native.observe(seed);
                    transcript.observe_seed(&mut board, &seed);
                }
                _ => {
                    for i in 0..state >> 26 & 31 {
                        let value = Val::from_u32(state >> 2) + Val::from_u32(i);
                        native.observe(value);
                        let cell = board.load(value);
                        transcript.observe_cell(&mut board, cell);
                    }
                }
            }
        }
        assert_eq!(board.check(), Ok(()));
    }

    #[test]
    fn work_is_checked() {
        let mut native = challenger();
        native.observe(Val::TWO);
        let witness = native.clone().grind(6);
        for (witness, holds) in [(witness, true), (witness + Val::ONE, false)] {
            let expected = native.clone().check_witness(6, witness);
            assert_eq!(expected, holds);
            let mut board = Board::new(CircuitBuilderStage::Mock, 17);
            let mut transcript = Transcript::new();
            let (two, witness) = (board.load(Val::TWO), board.load(witness));
            transcript.observe_cell(&mut board, two);
            transcript.check_witness(&mut board, 6, witness);
            assert_eq!(board.check().is_ok(), holds);
        }
    }
}
