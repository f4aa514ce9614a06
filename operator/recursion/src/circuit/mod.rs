//! Circuits over the challenge field: what is computed, without how it is proved.
//!
//! A *wire* carries one element of the challenge field, which serves three purposes: a number of the
//! extension, a base element (the other coefficients are 0), or a *pack* of four base elements, as
//! they lie in a row that is hashed. A [`Circuit`] is a list of operations on wires in the order in
//! which they can be computed; [`Builder`] writes it, [`Circuit::run`] computes every wire from the
//! inputs, and `tables` says how the operations are laid out in a trace.
//!
//! The circuit is fixed once; nothing in it depends on a witness.

mod builder;
mod layout;
mod run;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use froben_circuits::config::{Challenge, Val};

pub use builder::{Builder, List};
pub(crate) use layout::{HORNER_SLOTS, Layout, PermutationRow, Slot};
pub use run::Unsatisfied;
#[cfg(test)]
pub(crate) use run::Values;
pub(crate) use run::base;

/// Elements of a digest, and of half a permutation's state, in packs.
pub(crate) const DIGEST_PACKS: usize = 2;
/// Base elements in a pack.
pub(crate) const PACK: usize = 4;
/// Base elements of a digest.
pub(crate) const DIGEST: usize = DIGEST_PACKS * PACK;
/// Where the capacity of a permutation's state begins.
pub(crate) const CAPACITY: usize = DIGEST;
/// Packs that one Horner step folds.
pub(crate) const HORNER_PACKS: usize = 8;
/// Most wires that a circuit publishes; every circuit's proof has room for as many.
pub const PUBLIC_WIRES: usize = 20;

/// A value of the circuit: one element of the challenge field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire(u32);

impl Wire {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Two wires that hold the eight elements of a digest.
pub type DigestWires = [Wire; DIGEST_PACKS];

/// The numbers of a gate: `out = mul * a * b + a_times * a + b_times * b + d_times * d + constant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Coefficients {
    pub mul: Val,
    pub a: Val,
    pub b: Val,
    pub d: Val,
    pub constant: Val,
}

/// What an operation does with a wire of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The operation gives the wire its value.
    Defines(Wire),
    /// The wire has a value already, which must be the operation's.
    Meets(Wire),
}

impl Outcome {
    pub(crate) const fn wire(self) -> Wire {
        match self {
            Self::Defines(wire) | Self::Meets(wire) => wire,
        }
    }
}

/// One step of a circuit.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A fixed value.
    Constant { out: Wire, value: Challenge },
    /// The next of the prover's values; the circuit constrains it where it is used.
    Input { out: Wire },
    /// A value that the prover computes from others; the circuit constrains it where it is used.
    Hint(Hint),
    /// The arithmetic of [`Coefficients`].
    Gate {
        coefficients: Coefficients,
        a: Option<Wire>,
        b: Option<Wire>,
        d: Option<Wire>,
        out: Outcome,
    },
    /// Eight packs as 32 coefficients of a polynomial, the first the lowest, at `point`:
    /// `out = acc * point^32 + sum of packs[i][k] * point^(4 i + k)`. Or, where they are `whole`, eight
    /// coefficients that are no packs: `out = acc * point^8 + sum of packs[i] * point^i`.
    Horner {
        acc: Wire,
        packs: [Wire; HORNER_PACKS],
        point: Wire,
        whole: bool,
        out: Wire,
    },
    /// Poseidon2 over 16 base elements, the first of the capacity raised by `tag`.
    Permutation {
        input: [Wire; 4],
        tag: Val,
        output: [Wire; 4],
    },
    /// The parent of `node` and `sibling`, in the order that the bit says: 0 for `node` first.
    MerkleStep {
        node: DigestWires,
        bit: Wire,
        sibling: DigestWires,
        parent: DigestWires,
    },
    /// A pack and its four elements. Either side may be the known one.
    Parts {
        pack: Outcome,
        entries: [Outcome; PACK],
        /// Each element is 0 or 1.
        bits: bool,
    },
    /// The member of a list at a position, a base element.
    Choice {
        list: usize,
        position: Wire,
        out: Wire,
    },
}

/// How the prover computes a hint.
#[derive(Clone, Debug)]
pub(crate) enum Hint {
    /// The inverse, or zero for zero.
    Inverse { of: Wire, out: Wire },
    /// The 32 lowest bits of a base element, four to a pack, the lowest first.
    Bits { of: Wire, packs: [Wire; 8] },
    /// `rest` with `value` put in at the position that `bits` write, the lowest first.
    Insert {
        value: Wire,
        rest: Vec<Wire>,
        bits: Vec<Wire>,
        out: Vec<Wire>,
    },
}

/// A named stretch of a circuit: errors tell it.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    first_op: usize,
}

/// A fixed computation on wires, some of which it publishes.
#[derive(Clone, Debug)]
pub struct Circuit {
    wires: usize,
    inputs: usize,
    /// Shared: it is the large part, and whoever writes a circuit and who proves it both keep it.
    ops: Arc<[Op]>,
    parts: Vec<Part>,
    lists: Vec<Vec<Wire>>,
    publics: Vec<Wire>,
}

impl Circuit {
    /// The [`PUBLIC_WIRES`] wires that the circuit publishes; behind the last that was asked for, zeros.
    #[must_use]
    pub fn publics(&self) -> &[Wire] {
        &self.publics
    }

    /// The published values, as public values of a proof: [`PUBLIC_WIRES`] packs.
    #[must_use]
    pub fn public_values(&self, values: &[Challenge]) -> Vec<Val> {
        let wires = self.publics.iter();
        wires
            .flat_map(|wire| coefficients(values[wire.index()]))
            .collect()
    }

    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Memory that the operations take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.ops[..])
    }

    /// The operations of each part, in order, the first perhaps of none.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, &[Op])> {
        let ends = self.parts.iter().skip(1).map(|part| part.first_op);
        let ends = ends.chain([self.ops.len()]);
        let parts = self.parts.iter().zip(ends);
        parts.map(|(part, end)| (&*part.name, &self.ops[part.first_op..end]))
    }

    pub(crate) fn lists(&self) -> &[Vec<Wire>] {
        &self.lists
    }

    pub(crate) fn wires(&self) -> usize {
        self.wires
    }

    /// The name of the part that an operation belongs to.
    fn part_of(&self, op: usize) -> &str {
        let after = self.parts.partition_point(|part| part.first_op <= op);
        match after.checked_sub(1) {
            Some(part) => &self.parts[part].name,
            None => "the circuit",
        }
    }
}

/// The coefficients of an element, the constant one first.
pub(crate) fn coefficients(value: Challenge) -> [Val; PACK] {
    use p3_field::BasedVectorSpace;
    let slice: &[Val] = value.as_basis_coefficients_slice();
    slice
        .try_into()
        .expect("invariant: the extension has degree 4")
}

/// A digest in packs.
pub(crate) fn digest_packs(digest: [Val; DIGEST]) -> [Challenge; DIGEST_PACKS] {
    let (packs, _) = digest.as_chunks();
    std::array::from_fn(|i| pack(packs[i]))
}

/// The element with these coefficients, the constant one first.
pub(crate) fn pack(values: [Val; PACK]) -> Challenge {
    use p3_field::BasedVectorSpace;
    Challenge::from_basis_coefficients_fn(|k| values[k])
}
