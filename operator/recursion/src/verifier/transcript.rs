//! The Fiat-Shamir transcript.
//!
//! Source: `p3_challenger::DuplexChallenger` of width 16 and rate 8. Blocks of up to eight elements
//! overwrite the rate, what they leave of it becomes 0, and their number is added to the first element
//! of the capacity. Challenges are popped from the end of the rate.

use froben_circuits::config::Val;
use p3_challenger::CanObserve;
use p3_challenger::fs::{DomainSeparator, FieldUnit};
use p3_field::PrimeCharacteristicRing;

use super::proof::CapWires;
use crate::circuit::{Builder, PACK, Wire};

const RATE: usize = 8;

/// One base element of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A fixed one.
    Fixed(Val),
    /// A coefficient of a wire.
    Part(Wire, usize),
}

impl Lane {
    /// The element as a wire of its own.
    pub(crate) fn wire(self, b: &mut Builder) -> Wire {
        match self {
            Self::Fixed(value) => b.base_constant(value),
            Self::Part(wire, k) => b.entries(wire)[k],
        }
    }

    /// The coefficients of a wire.
    pub(crate) fn all(wire: Wire) -> [Self; PACK] {
        std::array::from_fn(|k| Self::Part(wire, k))
    }
}

/// Four elements as one wire.
pub(crate) fn pack(b: &mut Builder, lanes: [Lane; PACK]) -> Wire {
    if let Lane::Part(wire, 0) = lanes[0]
        && lanes == Lane::all(wire)
    {
        return wire;
    }
    let entries = lanes.map(|lane| lane.wire(b));
    b.pack(entries)
}

/// A transcript; see the module.
pub(super) struct Transcript {
    state: [Wire; 4],
    input: Vec<Lane>,
    output: Vec<Lane>,
}

impl Transcript {
    pub(super) fn new(b: &mut Builder) -> Self {
        Self {
            state: [b.zero(); 4],
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Absorbs what a protocol's description says of itself.
    pub(super) fn seed(&mut self, b: &mut Builder, separator: &DomainSeparator<FieldUnit<Val>>) {
        struct Recorder(Vec<Val>);
        impl CanObserve<Val> for Recorder {
            fn observe(&mut self, value: Val) {
                self.0.push(value);
            }
        }
        let mut recorder = Recorder(Vec::new());
        separator.seed(&mut recorder);
        for value in recorder.0 {
            self.observe(b, Lane::Fixed(value));
        }
    }

    pub(super) fn observe(&mut self, b: &mut Builder, lane: Lane) {
        self.output.clear();
        self.input.push(lane);
        if self.input.len() == RATE {
            self.duplex(b);
        }
    }

    pub(super) fn observe_pack(&mut self, b: &mut Builder, wire: Wire) {
        for lane in Lane::all(wire) {
            self.observe(b, lane);
        }
    }

    pub(super) fn observe_cap(&mut self, b: &mut Builder, cap: &CapWires) {
        for &pack in cap.iter().flatten() {
            self.observe_pack(b, pack);
        }
    }

    fn duplex(&mut self, b: &mut Builder) {
        let absorbed = self.input.len();
        if absorbed > 0 {
            self.input.resize(RATE, Lane::Fixed(Val::ZERO));
            for (i, lanes) in self.input.as_chunks().0.iter().enumerate() {
                self.state[i] = pack(b, *lanes);
            }
            self.input.clear();
        }
        self.state = b.permute_tagged(self.state, Val::from_usize(absorbed));
        self.output = self.state[..2]
            .iter()
            .copied()
            .flat_map(Lane::all)
            .collect();
    }

    fn sample_base(&mut self, b: &mut Builder) -> Lane {
        if !self.input.is_empty() || self.output.is_empty() {
            self.duplex(b);
        }
        self.output.pop().expect("invariant: a duplexing fills it")
    }

    /// Draws an element of the challenge field.
    pub(super) fn sample(&mut self, b: &mut Builder) -> Wire {
        let lanes = std::array::from_fn(|_| self.sample_base(b));
        pack(b, lanes)
    }

    /// Draws the bits of a number, the lowest first.
    pub(super) fn sample_bits(&mut self, b: &mut Builder, count: usize) -> Vec<Wire> {
        let wire = self.sample_base(b).wire(b);
        let mut bits = b.bits(wire);
        bits.truncate(count);
        bits
    }

    /// Requires work to have been done: after the witness, so many zero bits are drawn.
    pub(super) fn check_work(&mut self, b: &mut Builder, witness: Wire, bits: usize) {
        if bits == 0 {
            return;
        }
        self.observe(b, Lane::Part(witness, 0));
        for bit in self.sample_bits(b, bits) {
            b.assert_zero(bit);
        }
    }
}
