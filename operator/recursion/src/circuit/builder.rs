//! Writes circuits.

use std::collections::{HashMap, HashSet};

use froben_circuits::config::{Challenge, Val};
use p3_field::{Field, PrimeCharacteristicRing};

use super::{
    CAPACITY, Circuit, Coefficients, DigestWires, HORNER_PACKS, Hint, Op, Outcome, PACK,
    PUBLIC_WIRES, Part, Wire, base, coefficients,
};

/// A circuit that is being written.
///
/// Arithmetic on constants is done at once and costs nothing.
#[derive(Debug, Default)]
pub struct Builder {
    wires: u32,
    inputs: usize,
    ops: Vec<Op>,
    parts: Vec<Part>,
    lists: Vec<Vec<Wire>>,
    publics: Vec<Wire>,
    constants: HashMap<[Val; PACK], Wire>,
    values: HashMap<Wire, Challenge>,
    entries: HashMap<Wire, [Wire; PACK]>,
    /// The inputs.
    free: HashSet<Wire>,
}

impl Builder {
    /// An empty circuit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names what follows, until the next name.
    pub fn part(&mut self, name: impl Into<String>) {
        self.parts.push(Part {
            name: name.into(),
            first_op: self.ops.len(),
        });
    }

    /// Publishes wires, in the order of all calls.
    ///
    /// *Panics* if they are more than [`PUBLIC_WIRES`] together.
    pub fn publish(&mut self, wires: &[Wire]) {
        self.publics.extend(wires);
        let count = self.publics.len();
        assert!(
            count <= PUBLIC_WIRES,
            "{count} wires are too many to publish"
        );
    }

    /// The circuit as written.
    #[must_use]
    pub fn finish(mut self) -> Circuit {
        // What is not published is bound to zero: no public value is the prover's own.
        let zero = self.zero();
        self.publics.resize(PUBLIC_WIRES, zero);
        Circuit {
            wires: self.wires as usize,
            inputs: self.inputs,
            ops: self.ops.into(),
            parts: self.parts,
            lists: self.lists,
            publics: self.publics,
        }
    }

    fn wire(&mut self) -> Wire {
        let wire = Wire(self.wires);
        self.wires += 1;
        wire
    }

    fn wire_array<const N: usize>(&mut self) -> [Wire; N] {
        std::array::from_fn(|_| self.wire())
    }

    /// The value of a wire that is fixed.
    pub(crate) fn fixed(&self, wire: Wire) -> Option<Challenge> {
        self.values.get(&wire).copied()
    }

    /// A fixed value.
    pub fn constant(&mut self, value: Challenge) -> Wire {
        if let Some(&wire) = self.constants.get(&coefficients(value)) {
            return wire;
        }
        let out = self.wire();
        self.ops.push(Op::Constant { out, value });
        self.constants.insert(coefficients(value), out);
        self.values.insert(out, value);
        out
    }

    /// A fixed base element.
    pub fn base_constant(&mut self, value: Val) -> Wire {
        self.constant(value.into())
    }

    /// 0.
    pub fn zero(&mut self) -> Wire {
        self.constant(Challenge::ZERO)
    }

    /// 1.
    pub fn one(&mut self) -> Wire {
        self.constant(Challenge::ONE)
    }

    /// The next value of the prover's, any element at all.
    pub fn input(&mut self) -> Wire {
        let out = self.wire();
        self.inputs += 1;
        self.free.insert(out);
        self.ops.push(Op::Input { out });
        out
    }

    /// The next `count` values of the prover's.
    pub fn input_vec(&mut self, count: usize) -> Vec<Wire> {
        (0..count).map(|_| self.input()).collect()
    }

    /// The next values of the prover's, as a digest.
    pub fn input_digest(&mut self) -> DigestWires {
        std::array::from_fn(|_| self.input())
    }

    /// `mul * a * b + a_times * a + b_times * b + d_times * d + constant`.
    pub(crate) fn gate(
        &mut self,
        coefficients: Coefficients,
        a: Option<Wire>,
        b: Option<Wire>,
        d: Option<Wire>,
    ) -> Wire {
        let value = |wire: Option<Wire>| match wire {
            Some(wire) => self.fixed(wire),
            None => Some(Challenge::ZERO),
        };
        if let (Some(a), Some(b), Some(d)) = (value(a), value(b), value(d)) {
            return self.constant(coefficients.apply(a, b, d));
        }
        let out = self.wire();
        self.push_gate(coefficients, [a, b, d], Outcome::Defines(out));
        out
    }

    fn push_gate(&mut self, coefficients: Coefficients, inputs: [Option<Wire>; 3], out: Outcome) {
        let [a, b, d] = inputs;
        self.ops.push(Op::Gate {
            coefficients,
            a,
            b,
            d,
            out,
        });
    }

    /// `a + b`.
    pub fn add(&mut self, a: Wire, b: Wire) -> Wire {
        self.sum([(a, Val::ONE), (b, Val::ONE)], Val::ZERO)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Wire, b: Wire) -> Wire {
        self.sum([(a, Val::ONE), (b, Val::NEG_ONE)], Val::ZERO)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Wire, b: Wire) -> Wire {
        self.mul_add(a, b, Val::ONE, None, Val::ZERO)
    }

    /// `a * k`.
    pub fn scale(&mut self, a: Wire, k: Val) -> Wire {
        self.sum([(a, k)], Val::ZERO)
    }

    /// `a + k`.
    pub fn add_constant(&mut self, a: Wire, k: Val) -> Wire {
        self.sum([(a, Val::ONE)], k)
    }

    /// The sum of up to three wires, each times its number, and a constant.
    ///
    /// *Panics* with more than three terms.
    pub fn sum<const N: usize>(&mut self, terms: [(Wire, Val); N], constant: Val) -> Wire {
        assert!(N <= 3, "a gate adds three wires at most, not {N}");
        let mut rest = Val::ZERO;
        let mut open = [None; 3];
        let mut count = 0;
        for (wire, times) in terms {
            match self.fixed(wire) {
                // A constant of the base field needs no wire.
                Some(value) if base(value).is_some() => rest += coefficients(value)[0] * times,
                _ if times.is_zero() => {}
                _ => {
                    open[count] = Some((wire, times));
                    count += 1;
                }
            }
        }
        let constant = constant + rest;
        match open {
            [None, ..] => self.base_constant(constant),
            [Some((wire, times)), None, _] if times.is_one() && constant.is_zero() => wire,
            [a, b, d] => {
                let times = |term: Option<(Wire, Val)>| term.map_or(Val::ZERO, |(_, times)| times);
                let wire = |term: Option<(Wire, Val)>| term.map(|(wire, _)| wire);
                let coefficients = Coefficients {
                    a: times(a),
                    b: times(b),
                    d: times(d),
                    constant,
                    ..Coefficients::default()
                };
                self.gate(coefficients, wire(a), wire(b), wire(d))
            }
        }
    }

    /// `a * b * times + d * d_times + constant`, with `d` where there is one.
    pub fn mul_add(
        &mut self,
        a: Wire,
        b: Wire,
        times: Val,
        d: Option<(Wire, Val)>,
        constant: Val,
    ) -> Wire {
        // A factor of the base field that is fixed makes a sum of it.
        for (known, other) in [(a, b), (b, a)] {
            if let Some(k) = self.fixed(known).and_then(base) {
                let k = k * times;
                return match d {
                    Some(d) => self.sum([(other, k), d], constant),
                    None => self.sum([(other, k)], constant),
                };
            }
        }
        let coefficients = Coefficients {
            mul: times,
            d: d.map_or(Val::ZERO, |(_, times)| times),
            constant,
            ..Coefficients::default()
        };
        self.gate(coefficients, Some(a), Some(b), d.map(|(wire, _)| wire))
    }

    /// `a * b + d`.
    pub fn fused(&mut self, a: Wire, b: Wire, d: Wire) -> Wire {
        self.mul_add(a, b, Val::ONE, Some((d, Val::ONE)), Val::ZERO)
    }

    /// `a * b * mul + a * a_times + d * d_times`: a step of a power ladder, or of a fold.
    pub fn step(
        &mut self,
        (a, a_times): (Wire, Val),
        (b, mul): (Wire, Val),
        d: Option<(Wire, Val)>,
    ) -> Wire {
        let coefficients = Coefficients {
            mul,
            a: a_times,
            d: d.map_or(Val::ZERO, |(_, times)| times),
            ..Coefficients::default()
        };
        self.gate(coefficients, Some(a), Some(b), d.map(|(wire, _)| wire))
    }

    /// Requires `a == b`.
    pub fn assert_equal(&mut self, a: Wire, b: Wire) {
        if a == b {
            return;
        }
        let coefficients = Coefficients {
            a: Val::ONE,
            ..Coefficients::default()
        };
        self.push_gate(coefficients, [Some(a), None, None], Outcome::Meets(b));
    }

    /// Requires `a == 0`.
    pub fn assert_zero(&mut self, a: Wire) {
        let zero = self.zero();
        self.assert_equal(a, zero);
    }

    /// Requires `a * b == out`.
    pub fn assert_product(&mut self, a: Wire, b: Wire, out: Wire) {
        let coefficients = Coefficients {
            mul: Val::ONE,
            ..Coefficients::default()
        };
        self.push_gate(coefficients, [Some(a), Some(b), None], Outcome::Meets(out));
    }

    /// Requires each digest element of `a` to be that of `b`.
    pub fn assert_same_digest(&mut self, a: DigestWires, b: DigestWires) {
        for (a, b) in a.into_iter().zip(b) {
            self.assert_equal(a, b);
        }
    }

    /// Requires `a` to be 0 or 1.
    pub fn assert_bit(&mut self, a: Wire) {
        let zero = self.zero();
        let coefficients = Coefficients {
            mul: Val::ONE,
            a: Val::NEG_ONE,
            ..Coefficients::default()
        };
        self.push_gate(coefficients, [Some(a), Some(a), None], Outcome::Meets(zero));
    }

    /// `1 / a`; requires `a != 0`.
    pub fn inverse(&mut self, a: Wire) -> Wire {
        if let Some(inverse) = self.fixed(a).and_then(|value| value.try_inverse()) {
            return self.constant(inverse);
        }
        let out = self.wire();
        self.ops.push(Op::Hint(Hint::Inverse { of: a, out }));
        let one = self.one();
        self.assert_product(a, out, one);
        out
    }

    /// `zero` where the bit is 0, `one` where it is 1.
    pub fn select(&mut self, bit: Wire, zero: Wire, one: Wire) -> Wire {
        if zero == one {
            return zero;
        }
        let difference = self.sub(one, zero);
        self.fused(bit, difference, zero)
    }

    /// [`Builder::select`] on both halves of a digest.
    pub fn select_digest(&mut self, bit: Wire, zero: DigestWires, one: DigestWires) -> DigestWires {
        std::array::from_fn(|i| self.select(bit, zero[i], one[i]))
    }

    /// `wire` to the power of two to the `log`.
    pub fn power_of_two(&mut self, wire: Wire, log: usize) -> Wire {
        (0..log).fold(wire, |power, _| self.mul(power, power))
    }

    /// The 32 coefficients in `packs` and the value of what lies above them, at `point`:
    /// `acc * point^32 + sum of packs[i][k] * point^(4 i + k)`.
    pub fn horner(&mut self, acc: Wire, packs: [Wire; HORNER_PACKS], point: Wire) -> Wire {
        self.horner_step(acc, packs, point, false)
    }

    fn horner_step(
        &mut self,
        acc: Wire,
        packs: [Wire; HORNER_PACKS],
        point: Wire,
        whole: bool,
    ) -> Wire {
        let out = self.wire();
        self.ops.push(Op::Horner {
            acc,
            packs,
            point,
            whole,
            out,
        });
        out
    }

    /// The polynomial with these coefficients, the lowest first, at `point`.
    pub fn polynomial(&mut self, coefficients: &[Wire], point: Wire) -> Wire {
        /// Up to here gates are no more than a Horner step costs.
        const FEW: usize = 3;
        let zero = self.zero();
        let Some((&last, rest)) = coefficients.split_last() else {
            return zero;
        };
        if rest.len() < FEW {
            let step = |sum, &value: &Wire| self.fused(sum, point, value);
            return rest.iter().rev().fold(last, step);
        }
        rest.chunks(HORNER_PACKS)
            .rev()
            .enumerate()
            .fold(last, |acc, (nth, chunk)| {
                let mut packs = [zero; HORNER_PACKS];
                packs[..chunk.len()].copy_from_slice(chunk);
                if nth > 0 || chunk.len() == HORNER_PACKS {
                    return self.horner_step(acc, packs, point, true);
                }
                // The last coefficient's place in the one chunk that is not full.
                packs[chunk.len()] = acc;
                self.horner_step(zero, packs, point, true)
            })
    }

    /// The polynomial whose coefficients lie in `packs`, the lowest first, at `point`.
    pub fn horner_all(&mut self, packs: &[Wire], point: Wire) -> Wire {
        let zero = self.zero();
        packs.chunks(HORNER_PACKS).rev().fold(zero, |acc, chunk| {
            let packs = std::array::from_fn(|i| chunk.get(i).copied().unwrap_or(zero));
            self.horner(acc, packs, point)
        })
    }

    /// Poseidon2 over the 16 elements of four packs.
    pub fn permute(&mut self, input: [Wire; 4]) -> [Wire; 4] {
        self.permute_tagged(input, Val::ZERO)
    }

    /// [`Builder::permute`] with `tag` added to the first element of the capacity.
    pub fn permute_tagged(&mut self, input: [Wire; 4], tag: Val) -> [Wire; 4] {
        let fixed = input.map(|wire| self.fixed(wire).map(coefficients));
        if let [Some(a), Some(b), Some(c), Some(d)] = fixed {
            use p3_symmetric::Permutation;
            let packs = [a, b, c, d];
            let mut state = std::array::from_fn(|i| packs[i / PACK][i % PACK]);
            state[CAPACITY] += tag;
            let state = froben_circuits::config::permutation().permute(state);
            let (packs, _) = state.as_chunks();
            return std::array::from_fn(|i| self.constant(super::pack(packs[i])));
        }
        let output = self.wire_array();
        self.ops.push(Op::Permutation { input, tag, output });
        output
    }

    /// The node above `node` and `sibling`; a bit of 1 says that the sibling is the left one. The bit must
    /// be constrained to be one elsewhere.
    ///
    /// The sibling is on no bus: it is the prover's own, whatever else an input of it does.
    ///
    /// *Panics* unless the sibling's wires are inputs.
    pub fn merkle_step(
        &mut self,
        node: DigestWires,
        bit: Wire,
        sibling: DigestWires,
    ) -> DigestWires {
        assert!(
            sibling.iter().all(|wire| self.free.contains(wire)),
            "a sibling is an input: nothing binds it"
        );
        let parent = self.wire_array();
        self.ops.push(Op::MerkleStep {
            node,
            bit,
            sibling,
            parent,
        });
        parent
    }

    /// The four base elements of a pack.
    pub fn entries(&mut self, pack: Wire) -> [Wire; PACK] {
        if let Some(value) = self.fixed(pack) {
            return coefficients(value).map(|entry| self.base_constant(entry));
        }
        if let Some(&entries) = self.entries.get(&pack) {
            return entries;
        }
        let entries = self.wire_array();
        self.ops.push(Op::Parts {
            pack: Outcome::Meets(pack),
            entries: entries.map(Outcome::Defines),
            bits: false,
        });
        self.entries.insert(pack, entries);
        entries
    }

    /// The pack of four base elements; requires them to be such.
    pub fn pack(&mut self, entries: [Wire; PACK]) -> Wire {
        let fixed = entries.map(|wire| self.fixed(wire).and_then(base));
        if let [Some(a), Some(b), Some(c), Some(d)] = fixed {
            return self.constant(super::pack([a, b, c, d]));
        }
        let out = self.wire();
        self.ops.push(Op::Parts {
            pack: Outcome::Defines(out),
            entries: entries.map(Outcome::Meets),
            bits: false,
        });
        self.entries.insert(out, entries);
        out
    }

    /// The 31 bits of a base element's canonical number, the lowest first; requires `wire` to be one.
    pub fn bits(&mut self, wire: Wire) -> Vec<Wire> {
        /// Bits of the number `p - 1 = 15 * 2^27`: below them a canonical number is free unless all
        /// four above are set.
        const LOW: usize = 27;
        const BITS: usize = 31;
        let packs = self.wire_array();
        self.ops.push(Op::Hint(Hint::Bits { of: wire, packs }));
        let bits: Vec<Wire> = packs
            .iter()
            .flat_map(|&pack| {
                let entries: [Wire; PACK] = self.wire_array();
                self.ops.push(Op::Parts {
                    pack: Outcome::Meets(pack),
                    entries: entries.map(Outcome::Defines),
                    bits: true,
                });
                entries
            })
            .collect();
        let two = self.base_constant(Val::TWO);
        let zero = self.zero();
        let number = self.horner(zero, packs, two);
        self.assert_equal(number, wire);
        self.assert_zero(bits[BITS]);
        let [a, b, c, d] = [bits[LOW], bits[LOW + 1], bits[LOW + 2], bits[LOW + 3]];
        let ab = self.mul(a, b);
        let cd = self.mul(c, d);
        let all = self.mul(ab, cd);
        let weight = |bit: usize| -Val::from_u32(1 << (LOW + bit));
        let low = self.sum(
            [(wire, Val::ONE), (a, weight(0)), (b, weight(1))],
            Val::ZERO,
        );
        let low = self.sum([(low, Val::ONE), (c, weight(2)), (d, weight(3))], Val::ZERO);
        self.assert_product(all, low, zero);
        bits[..BITS].to_vec()
    }

    /// The number that bits write, the lowest first.
    pub fn number(&mut self, bits: &[Wire]) -> Wire {
        let two = self.base_constant(Val::TWO);
        self.polynomial(bits, two)
    }

    /// `rest` with `value` at the position that `bits` write, the lowest first.
    ///
    /// Nothing is required of the result: the caller says what it must be.
    pub(crate) fn hint_insert(&mut self, value: Wire, rest: &[Wire], bits: &[Wire]) -> Vec<Wire> {
        assert_eq!(
            rest.len() + 1,
            1 << bits.len(),
            "a row of 2^bits has one more"
        );
        let out: Vec<Wire> = (0..=rest.len()).map(|_| self.wire()).collect();
        self.ops.push(Op::Hint(Hint::Insert {
            value,
            rest: rest.to_vec(),
            bits: bits.to_vec(),
            out: out.clone(),
        }));
        out
    }

    /// A list of wires to choose from.
    pub fn list(&mut self, wires: &[Wire]) -> List {
        self.lists.push(wires.to_vec());
        List(self.lists.len() - 1)
    }

    /// The member of a list at a position, a base element; requires it to be below the list's length.
    pub fn choose(&mut self, list: List, position: Wire) -> Wire {
        let out = self.wire();
        self.ops.push(Op::Choice {
            list: list.0,
            position,
            out,
        });
        out
    }
}

/// A list that [`Builder::choose`] takes from.
#[derive(Clone, Copy, Debug)]
pub struct List(usize);

impl Coefficients {
    /// The gate's result.
    pub(crate) fn apply(&self, a: Challenge, b: Challenge, d: Challenge) -> Challenge {
        a * b * self.mul + a * self.a + b * self.b + d * self.d + Challenge::from(self.constant)
    }
}
