//! Which row of which table holds an operation, and who vouches for each wire.
//!
//! All tables meet on one bus. Each place where an operation touches a wire is a [`Slot`]: it puts
//! `(wire, value)` on the bus so many times, and a slot that *vouches* for the wire takes it off as
//! often as the others put it there. The operation that defines a wire vouches for it. A wire that
//! none defines, an input or a hint, is vouched for by the first slot that touches it: all that
//! touch it then agree on a value, which is all that can be asked of it.

use froben_circuits::config::{Challenge, Val};
use p3_field::PrimeCharacteristicRing;

use super::{Circuit, Coefficients, HORNER_PACKS, Op, Outcome, PACK, Wire};

/// Slots of a Horner row: packs, accumulator, point, result.
pub(crate) const HORNER_SLOTS: usize = HORNER_PACKS + 3;

/// A wire where a row touches it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    wire: Option<Wire>,
    defines: bool,
    times: i64,
}

impl Slot {
    fn reads(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            ..Self::default()
        }
    }

    fn defines(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            defines: true,
            times: 0,
        }
    }

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Defines(wire) => Self::defines(wire),
            Outcome::Meets(wire) => Self::reads(wire),
        }
    }

    /// The wire's number on the bus; 0 where the slot is empty.
    pub(crate) fn index(&self) -> Val {
        self.wire
            .map_or(Val::ZERO, |wire| Val::from_usize(wire.index()))
    }

    /// How often the slot puts its wire on the bus.
    pub(crate) fn times(&self) -> Val {
        Val::from_i64(self.times)
    }

    /// Whether no wire is there.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.wire.is_none()
    }

    /// The value that belongs into the slot.
    pub(crate) fn value(&self, values: &[Challenge]) -> Challenge {
        self.wire
            .map_or(Challenge::ZERO, |wire| values[wire.index()])
    }
}

#[derive(Clone, Debug)]
pub(crate) struct GateRow {
    pub coefficients: Coefficients,
    /// `a`, `b`, `d`, `out`.
    pub slots: [Slot; 4],
}

#[derive(Clone, Debug)]
pub(crate) struct HornerRow {
    /// Packs, accumulator, point, result.
    pub slots: [Slot; HORNER_SLOTS],
    /// Each pack is one coefficient.
    pub whole: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PermutationRow {
    /// What the permutation takes, for a step before the turn. A sibling's slots are empty.
    pub input: [Slot; 4],
    /// Where the input's values come from.
    pub state: [Wire; 4],
    /// What is added to the first element of the capacity.
    pub tag: Val,
    pub output: [Slot; 4],
    /// The turn of a Merkle step.
    pub bit: Option<Slot>,
}

#[derive(Clone, Debug)]
pub(crate) struct PartsRow {
    pub pack: Slot,
    pub entries: [Slot; PACK],
    pub bits: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ChoiceRow {
    pub list: usize,
    /// The place of a list's member; none for a row that chooses.
    pub member: Option<usize>,
    /// The chosen position; empty for a member.
    pub position: Slot,
    pub value: Slot,
}

#[derive(Clone, Debug)]
pub(crate) struct ConstantRow {
    pub slot: Slot,
    pub value: Challenge,
}

/// The rows of every table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub gates: Vec<GateRow>,
    pub horner: Vec<HornerRow>,
    pub permutations: Vec<PermutationRow>,
    pub parts: Vec<PartsRow>,
    pub choices: Vec<ChoiceRow>,
    pub constants: Vec<ConstantRow>,
    pub publics: Vec<Slot>,
}

impl Layout {
    pub(crate) fn new(circuit: &Circuit) -> Self {
        let mut layout = Self::default();
        for (list, members) in circuit.lists().iter().enumerate() {
            layout.push_list(list, members);
        }
        for op in circuit.ops() {
            layout.push(op);
        }
        layout.publics = circuit.publics().iter().copied().map(Slot::reads).collect();
        layout.settle(circuit.wires());
        layout
    }

    /// Memory that the rows take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.gates[..])
            + size_of_val(&self.horner[..])
            + size_of_val(&self.permutations[..])
            + size_of_val(&self.parts[..])
            + size_of_val(&self.choices[..])
            + size_of_val(&self.constants[..])
    }

    fn push_list(&mut self, list: usize, members: &[Wire]) {
        let members = members.iter().enumerate();
        self.choices.extend(members.map(|(place, &wire)| ChoiceRow {
            list,
            member: Some(place),
            position: Slot::default(),
            value: Slot::reads(wire),
        }));
    }

    fn push(&mut self, op: &Op) {
        match op {
            Op::Input { .. } | Op::Hint(_) => {}
            Op::Constant { out, value } => self.constants.push(ConstantRow {
                slot: Slot::defines(*out),
                value: *value,
            }),
            Op::Gate {
                coefficients,
                a,
                b,
                d,
                out,
            } => {
                let reads = |wire: &Option<Wire>| wire.map(Slot::reads).unwrap_or_default();
                self.gates.push(GateRow {
                    coefficients: *coefficients,
                    slots: [reads(a), reads(b), reads(d), Slot::of(*out)],
                });
            }
            Op::Horner {
                acc,
                packs,
                point,
                whole,
                out,
            } => {
                let mut slots = [Slot::default(); HORNER_SLOTS];
                let wires = packs.iter().chain([acc, point]);
                for (slot, &wire) in slots.iter_mut().zip(wires) {
                    *slot = Slot::reads(wire);
                }
                slots[HORNER_SLOTS - 1] = Slot::defines(*out);
                self.horner.push(HornerRow {
                    slots,
                    whole: *whole,
                });
            }
            Op::Permutation { input, tag, output } => self.permutations.push(PermutationRow {
                input: input.map(Slot::reads),
                state: *input,
                tag: *tag,
                output: output.map(Slot::defines),
                bit: None,
            }),
            Op::MerkleStep {
                node: [a, b],
                bit,
                sibling: [c, d],
                parent: [left, right],
            } => {
                let none = Slot::default();
                self.permutations.push(PermutationRow {
                    input: [Slot::reads(*a), Slot::reads(*b), none, none],
                    state: [*a, *b, *c, *d],
                    tag: Val::ZERO,
                    output: [Slot::defines(*left), Slot::defines(*right), none, none],
                    bit: Some(Slot::reads(*bit)),
                });
            }
            Op::Parts {
                pack,
                entries,
                bits,
            } => self.parts.push(PartsRow {
                pack: Slot::of(*pack),
                entries: entries.map(Slot::of),
                bits: *bits,
            }),
            Op::Choice {
                list,
                position,
                out,
            } => self.choices.push(ChoiceRow {
                list: *list,
                member: None,
                position: Slot::reads(*position),
                value: Slot::defines(*out),
            }),
        }
    }

    fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        let gates = self.gates.iter_mut().flat_map(|row| &mut row.slots);
        let horner = self.horner.iter_mut().flat_map(|row| &mut row.slots);
        let permutations = self.permutations.iter_mut().flat_map(|row| {
            row.input
                .iter_mut()
                .chain(&mut row.output)
                .chain(&mut row.bit)
        });
        let parts = self
            .parts
            .iter_mut()
            .flat_map(|row| std::iter::once(&mut row.pack).chain(&mut row.entries));
        let choices = self
            .choices
            .iter_mut()
            .flat_map(|row| [&mut row.position, &mut row.value]);
        let constants = self.constants.iter_mut().map(|row| &mut row.slot);
        gates
            .chain(horner)
            .chain(permutations)
            .chain(parts)
            .chain(choices)
            .chain(constants)
            .chain(&mut self.publics)
    }

    /// Gives each slot its count, and each wire one slot that vouches for it.
    fn settle(&mut self, wires: usize) {
        /// Far below the characteristic: a wire's reads cannot add up to it.
        const MOST_SLOTS: usize = 1 << 28;
        let slots = self.slots().count();
        assert!(slots < MOST_SLOTS, "{slots} slots are too many for one bus");
        let mut reads = vec![0_i64; wires];
        let mut vouched = vec![false; wires];
        for slot in self.slots() {
            let Some(wire) = slot.wire else { continue };
            if slot.defines {
                assert!(!vouched[wire.index()], "{wire} has two definitions");
                vouched[wire.index()] = true;
            } else {
                reads[wire.index()] += 1;
            }
        }
        for slot in self.slots() {
            let Some(wire) = slot.wire else { continue };
            let reads = reads[wire.index()];
            slot.times = if slot.defines {
                -reads
            } else if vouched[wire.index()] {
                1
            } else {
                vouched[wire.index()] = true;
                1 - reads
            };
        }
    }
}
