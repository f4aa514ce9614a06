//! Expressions over wires, each kept once, and the gates that compute them.
//!
//! An expression is `scale * node + constant`, where a node is a wire, a product of two nodes, or a sum of
//! nodes with factors. Equal nodes are one, so what several constraints speak of is computed once. A gate
//! computes `m a b + k_a a + k_b b + k_d d + c`; so a product that only one sum reads becomes a part of
//! that sum's gate, and a sum that only one sum reads becomes a part of that sum. Numbers from bits, which
//! are long sums with powers of two, are polynomials at 2.

use std::collections::{BTreeMap, HashMap};

use froben_circuits::config::Val;
use p3_field::{Field, PrimeCharacteristicRing};

use crate::circuit::{Builder, Coefficients, Wire, base};

/// A node's number.
type Id = usize;

/// What an expression is made of; a sum's first factor is 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    Wire(Wire),
    Product([Id; 2]),
    Sum(Vec<(Id, Val)>),
}

/// `scale * node + constant`; without a node the constant alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    node: Option<Id>,
    scale: Val,
    constant: Val,
}

impl Affine {
    pub(super) const fn constant(constant: Val) -> Self {
        Self {
            node: None,
            scale: Val::ZERO,
            constant,
        }
    }

    fn of(node: Id) -> Self {
        Self {
            node: Some(node),
            scale: Val::ONE,
            constant: Val::ZERO,
        }
    }

    fn plus(self, constant: Val) -> Self {
        Self {
            constant: self.constant + constant,
            ..self
        }
    }

    /// The expression times a number.
    pub(super) fn times(self, factor: Val) -> Self {
        Self {
            node: self.node.filter(|_| !factor.is_zero()),
            scale: self.scale * factor,
            constant: self.constant * factor,
        }
    }
}

/// How often others read a node, and whether one of them needs it as a wire.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    count: usize,
    as_factor: bool,
}

/// All expressions of an instance.
#[derive(Default)]
pub(super) struct Expressions {
    nodes: Vec<Node>,
    ids: HashMap<Node, Id>,
    uses: Vec<Uses>,
    wires: HashMap<Id, Wire>,
    /// Numbers from wires, by the wires, the lowest first.
    numbers: HashMap<Vec<Wire>, Wire>,
}

impl Expressions {
    fn node(&mut self, node: Node) -> Id {
        if let Some(&id) = self.ids.get(&node) {
            return id;
        }
        let id = self.nodes.len();
        self.nodes.push(node.clone());
        self.uses.push(Uses::default());
        self.ids.insert(node, id);
        id
    }

    /// A wire as an expression.
    pub(super) fn wire(&mut self, b: &Builder, wire: Wire) -> Affine {
        match b.fixed(wire).and_then(base) {
            Some(value) => Affine::constant(value),
            None => Affine::of(self.node(Node::Wire(wire))),
        }
    }

    /// `x + y`.
    pub(super) fn add(&mut self, x: Affine, y: Affine) -> Affine {
        match (x.node, y.node) {
            (_, None) => x.plus(y.constant),
            (None, _) => y.plus(x.constant),
            (Some(a), Some(b)) => {
                let sum = self.sum(vec![(a, x.scale), (b, y.scale)]);
                sum.plus(x.constant + y.constant)
            }
        }
    }

    /// `x - y`.
    pub(super) fn sub(&mut self, x: Affine, y: Affine) -> Affine {
        self.add(x, y.times(Val::NEG_ONE))
    }

    /// `x * y`.
    pub(super) fn mul(&mut self, x: Affine, y: Affine) -> Affine {
        match (x.node, y.node) {
            (_, None) => x.times(y.constant),
            (None, _) => y.times(x.constant),
            (Some(a), Some(b)) => {
                let product = self.node(Node::Product([a.min(b), a.max(b)]));
                let terms = vec![
                    (product, x.scale * y.scale),
                    (a, x.scale * y.constant),
                    (b, x.constant * y.scale),
                ];
                self.sum(terms).plus(x.constant * y.constant)
            }
        }
    }

    fn sum(&mut self, terms: Vec<(Id, Val)>) -> Affine {
        let mut factors: BTreeMap<Id, Val> = BTreeMap::new();
        for (id, factor) in terms {
            *factors.entry(id).or_default() += factor;
        }
        factors.retain(|_, factor| !factor.is_zero());
        let Some((&first, &scale)) = factors.first_key_value() else {
            return Affine::constant(Val::ZERO);
        };
        if factors.len() == 1 {
            return Affine::of(first).times(scale);
        }
        let unit = scale.inverse();
        let terms = factors.into_iter().map(|(id, factor)| (id, factor * unit));
        let node = self.node(Node::Sum(terms.collect()));
        Affine::of(node).times(scale)
    }

    /// Says that expressions are read once more each; all that read a node must be known before any is
    /// computed. As `factors` their nodes become wires in any case.
    pub(super) fn read(&mut self, roots: impl IntoIterator<Item = Affine>, factors: bool) {
        let roots = roots.into_iter().filter_map(|root| root.node);
        let mut open: Vec<(Id, bool)> = roots.map(|id| (id, factors)).collect();
        while let Some((id, as_factor)) = open.pop() {
            let uses = &mut self.uses[id];
            uses.as_factor |= as_factor;
            uses.count += 1;
            if uses.count > 1 {
                continue;
            }
            match &self.nodes[id] {
                Node::Wire(_) => {}
                Node::Product(factors) => open.extend(factors.map(|id| (id, true))),
                Node::Sum(terms) => open.extend(terms.iter().map(|&(id, _)| (id, false))),
            }
        }
    }

    /// The wire of an expression that was read.
    pub(super) fn compute(&mut self, b: &mut Builder, it: Affine) -> Wire {
        let Some(node) = it.node else {
            return b.base_constant(it.constant);
        };
        let mut sum = Sum {
            constant: it.constant,
            ..Sum::default()
        };
        self.collect(b, node, it.scale, &mut sum);
        self.lower(b, sum)
    }

    fn node_wire(&mut self, b: &mut Builder, id: Id) -> Wire {
        if let Node::Wire(wire) = self.nodes[id] {
            return wire;
        }
        if let Some(&wire) = self.wires.get(&id) {
            return wire;
        }
        let mut sum = Sum::default();
        self.collect_parts(b, id, Val::ONE, &mut sum);
        let wire = self.lower(b, sum);
        self.wires.insert(id, wire);
        wire
    }

    /// Adds a node to a sum: its parts where nothing else reads it.
    fn collect(&mut self, b: &mut Builder, id: Id, factor: Val, sum: &mut Sum) {
        let Uses { count, as_factor } = self.uses[id];
        if count > 1 || as_factor || matches!(self.nodes[id], Node::Wire(_)) {
            let wire = self.node_wire(b, id);
            *sum.wires.entry(wire).or_default() += factor;
        } else {
            self.collect_parts(b, id, factor, sum);
        }
    }

    fn collect_parts(&mut self, b: &mut Builder, id: Id, factor: Val, sum: &mut Sum) {
        match self.nodes[id].clone() {
            Node::Wire(_) => unreachable!("a wire has no parts"),
            Node::Product(factors) => {
                let factors = factors.map(|id| self.node_wire(b, id));
                sum.products.push((factors, factor));
            }
            Node::Sum(terms) => {
                for (id, times) in terms {
                    self.collect(b, id, factor * times, sum);
                }
            }
        }
    }

    /// The gates of a sum.
    fn lower(&mut self, b: &mut Builder, mut sum: Sum) -> Wire {
        sum.wires.retain(|_, factor| !factor.is_zero());
        let mut gates = Vec::new();
        for ([x, y], mul) in sum.products {
            let [a, b] = [x, y].map(|wire| sum.wires.remove(&wire).unwrap_or_default());
            let numbers = Coefficients {
                mul,
                a,
                b,
                ..Coefficients::default()
            };
            gates.push(([x, y], numbers));
        }
        let mut rest = self.without_numbers(b, sum.wires).into_iter();
        let mut made: Option<Wire> = None;
        let mut constant = sum.constant;
        for ([x, y], mut numbers) in gates {
            // The third wire is the sum so far.
            let d = made.map(|made| (made, Val::ONE)).or_else(|| rest.next());
            numbers.d = d.map_or(Val::ZERO, |(_, factor)| factor);
            numbers.constant = std::mem::take(&mut constant);
            made = Some(b.gate(numbers, Some(x), Some(y), d.map(|(wire, _)| wire)));
        }
        let mut terms: Vec<(Wire, Val)> = made.map(|made| (made, Val::ONE)).into_iter().collect();
        terms.extend(rest);
        while terms.len() > 3 {
            let [x, y, z] = [terms[0], terms[1], terms[2]];
            let part = b.sum([x, y, z], std::mem::take(&mut constant));
            terms.splice(..3, [(part, Val::ONE)]);
        }
        match terms[..] {
            [] => b.base_constant(constant),
            [x] => b.sum([x], constant),
            [x, y] => b.sum([x, y], constant),
            _ => b.sum([terms[0], terms[1], terms[2]], constant),
        }
    }

    /// Puts the number in place of wires whose factors are each the double of the one before.
    fn without_numbers(&mut self, b: &mut Builder, wires: BTreeMap<Wire, Val>) -> Vec<(Wire, Val)> {
        /// Up to here gates cost no more.
        const FEW: usize = 5;
        if wires.len() <= FEW {
            return wires.into_iter().collect();
        }
        let mut by_factor: HashMap<Val, Vec<Wire>> = HashMap::new();
        for (&wire, &factor) in wires.iter().rev() {
            by_factor.entry(factor).or_default().push(wire);
        }
        let mut rest = Vec::new();
        for (wire, factor) in wires {
            let is_there = |factor: &Val| by_factor.get(factor).is_some_and(|it| !it.is_empty());
            // The lowest wire of its factor, unless it is in a number already.
            if by_factor.get(&factor).and_then(|wires| wires.last()) != Some(&wire) {
                continue;
            }
            let mut first = factor;
            while first.halve() != factor && is_there(&first.halve()) {
                first = first.halve();
            }
            let mut run = Vec::new();
            let mut next = first;
            while let Some(wire) = by_factor.get_mut(&next).and_then(Vec::pop) {
                run.push(wire);
                next = next.double();
            }
            if run.len() <= FEW {
                let factors = std::iter::successors(Some(first), |factor| Some(factor.double()));
                rest.extend(run.into_iter().zip(factors));
                continue;
            }
            let number = match self.numbers.get(&run) {
                Some(&number) => number,
                None => {
                    let number = b.number(&run);
                    self.numbers.insert(run, number);
                    number
                }
            };
            rest.push((number, first));
        }
        let is_empty = by_factor.values().all(Vec::is_empty);
        assert!(
            is_empty,
            "invariant: each wire is in a number or beside them"
        );
        rest.sort_unstable_by_key(|&(wire, _)| wire);
        rest
    }
}

/// Products and wires with their factors.
#[derive(Default)]
struct Sum {
    products: Vec<([Wire; 2], Val)>,
    wires: BTreeMap<Wire, Val>,
    constant: Val,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::tests::element;

    /// Expressions at random, each with its value; sums of bits and what several read are among them.
    #[test]
    fn expressions_are_what_their_gates_compute() {
        const INPUTS: usize = 6;
        let mut seed = 1_u32;
        let mut draw = move |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % below
        };
        for round in 0..40 {
            let mut b = Builder::new();
            let inputs: Vec<_> = (0..INPUTS as u32).map(|i| element(round + i)).collect();
            let wires = b.input_vec(INPUTS);
            let mut it = Expressions::default();
            let seven = Val::from_u8(7);
            let mut known = vec![(Affine::constant(seven), seven.into())];
            for (&wire, &value) in wires.iter().zip(&inputs) {
                known.push((it.wire(&b, wire), value));
            }
            for _ in 0..60 {
                let [(x, a), (y, c)] = [0, 1].map(|_| known[draw(known.len())]);
                known.push(match draw(8) {
                    0 | 1 => (it.add(x, y), a + c),
                    2 => (it.sub(x, y), a - c),
                    3 | 4 => (it.mul(x, y), a * c),
                    5 => (x.times(seven), a * seven),
                    _ => {
                        let bits = (0..12).map(|_| known[draw(known.len())]);
                        bits.fold((x, a), |(x, a), (y, c)| {
                            (it.add(x.times(Val::TWO), y), a.double() + c)
                        })
                    }
                });
            }
            let roots: Vec<_> = (0..12).map(|_| known[draw(known.len())]).collect();
            let (as_factors, others) = roots.split_at(3);
            it.read(as_factors.iter().map(|&(root, _)| root), true);
            it.read(others.iter().map(|&(root, _)| root), false);
            let made: Vec<Wire> = roots
                .iter()
                .map(|&(root, _)| it.compute(&mut b, root))
                .collect();
            let values = b.finish().run(&inputs).expect("nothing is asserted");
            for (wire, (_, want)) in made.into_iter().zip(roots) {
                assert_eq!(values[wire.index()], want, "round {round}, {wire}");
            }
        }
    }

    /// Gates of what `write` makes of three bits.
    fn gates(write: impl Fn(&mut Expressions, [Affine; 3]) -> Affine) -> usize {
        let mut b = Builder::new();
        let mut it = Expressions::default();
        let bits = [(); 3].map(|()| b.input()).map(|wire| it.wire(&b, wire));
        let root = write(&mut it, bits);
        it.read([root], false);
        it.compute(&mut b, root);
        let circuit = b.finish();
        crate::circuit::Layout::new(&circuit).gates.len()
    }

    #[test]
    fn what_one_gate_can_do_takes_one() {
        let one = Affine::constant(Val::ONE);
        let xor = |it: &mut Expressions, x: Affine, y: Affine| {
            let [product, sum] = [it.mul(x, y), it.add(x, y)];
            it.sub(sum, product.times(Val::TWO))
        };
        assert_eq!(gates(|it, [x, y, _]| xor(it, x, y)), 1, "exclusive or");
        let is_bit = |it: &mut Expressions, [x, ..]: [Affine; 3]| {
            let below = it.sub(x, one);
            it.mul(x, below)
        };
        assert_eq!(gates(is_bit), 1, "a bit's constraint");
        let and_not = |it: &mut Expressions, [x, y, z]: [Affine; 3]| {
            let not = it.sub(one, x);
            let both = it.mul(not, y);
            it.add(both, z)
        };
        assert_eq!(gates(and_not), 1, "and not, and a sum");
        let three = |it: &mut Expressions, [x, y, z]: [Affine; 3]| {
            let two = xor(it, x, y);
            xor(it, two, z)
        };
        assert_eq!(gates(three), 2, "exclusive or of three");
    }
}
