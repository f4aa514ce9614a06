//! Computes every wire of a circuit.

use std::fmt;

use froben_circuits::config::{self, Challenge, Val};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_symmetric::Permutation;

use super::{CAPACITY, Circuit, Hint, Op, Outcome, PACK, Wire, coefficients, pack};

/// The inputs do not meet what the circuit requires.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {what}")]
pub struct Unsatisfied {
    /// The part of the circuit.
    pub part: String,
    /// What it requires.
    pub what: &'static str,
}

/// The values of wires as they become known.
pub(crate) struct Values(Vec<Option<Challenge>>);

impl Values {
    pub(crate) fn get(&self, wire: Wire) -> Challenge {
        self.0[wire.index()].expect("invariant: operations stand in the order of computation")
    }

    pub(crate) fn set(&mut self, wire: Wire, value: Challenge) {
        let before = self.0[wire.index()].replace(value);
        debug_assert!(before.is_none(), "{wire:?} has two definitions");
    }

    /// Takes values that are there back for others.
    #[cfg(test)]
    pub(crate) fn replace(&mut self, wires: &[Wire], values: &[Challenge]) {
        for (wire, value) in wires.iter().zip(values) {
            self.0[wire.index()] = Some(*value);
        }
    }

    /// Gives the wire its value, or tells whether it has it.
    fn meet(&mut self, outcome: Outcome, value: Challenge) -> bool {
        match outcome {
            Outcome::Defines(wire) => {
                self.set(wire, value);
                true
            }
            Outcome::Meets(wire) => self.get(wire) == value,
        }
    }
}

impl Circuit {
    /// The value of every wire.
    ///
    /// *Errors*: [`Unsatisfied`] if the inputs do not meet the circuit.
    ///
    /// *Panics* if they are not [`Circuit::inputs`] many.
    pub fn run(&self, inputs: &[Challenge]) -> Result<Vec<Challenge>, Unsatisfied> {
        self.run_with(inputs, Hint::give)
    }

    /// [`Circuit::run`] with hints of the caller's.
    pub(crate) fn run_with(
        &self,
        inputs: &[Challenge],
        give: impl Fn(&Hint, &mut Values),
    ) -> Result<Vec<Challenge>, Unsatisfied> {
        assert_eq!(inputs.len(), self.inputs, "a circuit takes all its inputs");
        let mut values = Values(vec![None; self.wires]);
        let mut inputs = inputs.iter();
        let permutation = config::permutation();
        for (index, op) in self.ops.iter().enumerate() {
            let met = match op {
                Op::Constant { out, value } => {
                    values.set(*out, *value);
                    Ok(())
                }
                Op::Input { out } => {
                    let input = inputs.next().expect("invariant: counted above");
                    values.set(*out, *input);
                    Ok(())
                }
                Op::Hint(hint) => {
                    give(hint, &mut values);
                    Ok(())
                }
                op => self.step(op, &permutation, &mut values),
            };
            met.map_err(|what| Unsatisfied {
                part: self.part_of(index).to_owned(),
                what,
            })?;
        }
        let known =
            |value: Option<Challenge>| value.expect("invariant: each wire is given a value");
        Ok(values.0.into_iter().map(known).collect())
    }

    fn step(
        &self,
        op: &Op,
        permutation: &config::Perm,
        values: &mut Values,
    ) -> Result<(), &'static str> {
        let require = |met: bool, what| if met { Ok(()) } else { Err(what) };
        match op {
            Op::Constant { .. } | Op::Input { .. } | Op::Hint(_) => Ok(()),
            Op::Gate {
                coefficients,
                a,
                b,
                d,
                out,
            } => {
                let [a, b, d] =
                    [a, b, d].map(|wire| wire.map_or(Challenge::ZERO, |wire| values.get(wire)));
                let met = values.meet(*out, coefficients.apply(a, b, d));
                require(met, "an equality does not hold")
            }
            Op::Horner {
                acc,
                packs,
                point,
                whole,
                out,
            } => {
                let point = values.get(*point);
                let value = packs.iter().rev().fold(values.get(*acc), |acc, &pack| {
                    let pack = values.get(pack);
                    if *whole {
                        return acc * point + pack;
                    }
                    let entries = coefficients(pack);
                    entries
                        .iter()
                        .rev()
                        .fold(acc, |acc, &entry| acc * point + Challenge::from(entry))
                });
                values.set(*out, value);
                Ok(())
            }
            Op::Permutation { input, tag, output } => {
                let mut state = state(values, *input);
                state[CAPACITY] += *tag;
                let state = permutation.permute(state);
                set_state(values, output, &state);
                Ok(())
            }
            Op::MerkleStep {
                node,
                bit,
                sibling,
                parent,
            } => {
                let [[a, b], [c, d]] = match values.get(*bit) {
                    bit if bit == Challenge::ZERO => [*node, *sibling],
                    bit if bit == Challenge::ONE => [*sibling, *node],
                    _ => return Err("a turn of a Merkle path is no bit"),
                };
                let state = permutation.permute(state(values, [a, b, c, d]));
                set_state(values, parent, &state);
                Ok(())
            }
            Op::Parts {
                pack: packed,
                entries,
                bits,
            } => {
                let parts = match packed {
                    Outcome::Meets(wire) => coefficients(values.get(*wire)),
                    Outcome::Defines(_) => {
                        let entries = entries.map(|entry| coefficients(values.get(entry.wire())));
                        entries.map(|[entry, ..]| entry)
                    }
                };
                // A known pack holds its own parts; one that is made gets them.
                values.meet(*packed, pack(parts));
                for (entry, part) in entries.iter().zip(parts) {
                    let met = values.meet(*entry, part.into());
                    require(met, "a base element is not what its pack holds")?;
                    let is_bit = part.is_zero() || part.is_one();
                    require(is_bit || !bits, "an element is no bit")?;
                }
                Ok(())
            }
            Op::Choice {
                list,
                position,
                out,
            } => {
                let list = &self.lists[*list];
                let position = base(values.get(*position))
                    .and_then(|position| list.get(position.as_canonical_u32() as usize));
                let chosen = position.ok_or("a position lies outside its list")?;
                values.set(*out, values.get(*chosen));
                Ok(())
            }
        }
    }
}

/// The base element that a value is, if it is one.
pub(crate) fn base(value: Challenge) -> Option<Val> {
    match coefficients(value) {
        [value, rest @ ..] if rest.iter().all(Field::is_zero) => Some(value),
        _ => None,
    }
}

fn state(values: &Values, packs: [Wire; 4]) -> [Val; 4 * PACK] {
    let packs = packs.map(|wire| coefficients(values.get(wire)));
    std::array::from_fn(|i| packs[i / PACK][i % PACK])
}

fn set_state(values: &mut Values, wires: &[Wire], state: &[Val; 4 * PACK]) {
    for (&wire, entries) in wires.iter().zip(state.as_chunks().0) {
        values.set(wire, pack(*entries));
    }
}

impl Hint {
    pub(crate) fn give(&self, values: &mut Values) {
        match self {
            Self::Inverse { of, out } => {
                let inverse = values.get(*of).try_inverse();
                values.set(*out, inverse.unwrap_or(Challenge::ZERO));
            }
            Self::Bits { of, packs } => {
                let number = coefficients(values.get(*of))[0].as_canonical_u32();
                for (i, &wire) in packs.iter().enumerate() {
                    let bit = |k: usize| Val::from_bool(number >> (PACK * i + k) & 1 == 1);
                    values.set(wire, pack(std::array::from_fn(bit)));
                }
            }
            Self::Insert {
                value,
                rest,
                bits,
                out,
            } => {
                let is_set = |wire: Wire| values.get(wire) == Challenge::ONE;
                let position = bits
                    .iter()
                    .rev()
                    .fold(0, |position, &bit| 2 * position + usize::from(is_set(bit)));
                let mut row: Vec<_> = rest.iter().map(|&wire| values.get(wire)).collect();
                row.insert(position, values.get(*value));
                for (&wire, value) in out.iter().zip(row) {
                    values.set(wire, value);
                }
            }
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wire {}", self.0)
    }
}
