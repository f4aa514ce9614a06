//! The constraints at the point out of domain.
//!
//! Source: `p3_batch_stark::verifier::VerifierData::verify_constraints_with_lookups`; the buses by
//! `p3_lookup::LogUpGadget`: `eval_fraction`, `eval_accumulator`, and `lay_out_lookup_challenges`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use froben_circuits::config::Val;
use p3_air::symbolic::{BaseEntry, BaseLeaf, SymbolicExpr, SymbolicExpression};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Kind, Lookup};

use super::domain::{Selectors, quotient, recompose};
use super::expression::{Affine, Expressions};
use super::proof::ProofParts;
use super::shape::Shape;
use super::transcript::Lane;
use super::{Challenges, Publics};
use crate::circuit::{Builder, Wire};

/// Requires the constraints of every instance to be what its quotient says.
pub(super) fn verify(
    b: &mut Builder,
    shape: &Shape,
    proof: &ProofParts<Wire>,
    publics: &Publics,
    challenges: &Challenges,
) {
    let prefixes = prefixes(b, shape, challenges);
    let mut selectors = BTreeMap::new();
    let mut claims = Claims::new(shape, proof);
    let mut terminals = proof.terminals.iter();
    for (i, instance) in shape.instances().iter().enumerate() {
        b.part(format!("constraints of instance {i}"));
        let log_height = instance.log_height;
        let selectors = *selectors
            .entry(log_height)
            .or_insert_with(|| Selectors::new(b, log_height, challenges.zeta));
        let main = claims.main();
        let chunks: Vec<&[Wire]> = (0..instance.chunks()).map(|_| claims.quotient()).collect();
        let mut folder = Folder {
            expressions: Expressions::default(),
            main: main.iter().map(Vec::as_slice).collect(),
            fixed: match instance.fixed_width {
                0 => &[],
                _ => claims.fixed(),
            },
            publics: &publics[i],
            selectors,
            known: HashMap::new(),
        };
        let mut values: Vec<Affine> = instance
            .constraints
            .iter()
            .map(|constraint| folder.value(b, constraint))
            .collect();
        folder.expressions.read(values.iter().copied(), false);
        if let Some([_, beta]) = challenges.lookup
            && !instance.lookups.is_empty()
        {
            let opened = claims.permutation();
            let columns: Vec<Wire> = opened[0].chunks(4).map(|it| recompose(b, it)).collect();
            let next = recompose(b, &opened[1][..4]);
            let terminal = *terminals
                .next()
                .expect("invariant: one for each instance on a bus");
            let buses = folder.lookups(
                b,
                &instance.lookups,
                &prefixes[i],
                beta,
                &columns,
                next,
                terminal,
            );
            values.extend(buses);
        }
        let mut values: Vec<Wire> = values
            .into_iter()
            .map(|value| folder.expressions.compute(b, value))
            .collect();
        // The first constraint has the highest power of the challenge.
        values.reverse();
        let folded = b.polynomial(&values, challenges.constraint);
        let quotient = quotient(b, log_height, &selectors, &chunks);
        b.assert_product(quotient, selectors.vanishing, folded);
    }
}

/// The claims of each round, handed out instance by instance.
struct Claims<'a> {
    main: std::slice::Iter<'a, Vec<Vec<Wire>>>,
    quotient: std::slice::Iter<'a, Vec<Vec<Wire>>>,
    fixed: std::slice::Iter<'a, Vec<Vec<Wire>>>,
    permutation: std::slice::Iter<'a, Vec<Vec<Wire>>>,
}

impl<'a> Claims<'a> {
    fn new(shape: &Shape, proof: &'a ProofParts<Wire>) -> Self {
        let mut rounds = proof.claims.iter();
        let mut round = |is_there: bool| match is_there {
            true => rounds
                .next()
                .expect("invariant: a round of the shape")
                .iter(),
            false => [].iter(),
        };
        Self {
            main: round(true),
            quotient: round(true),
            fixed: round(shape.has_fixed()),
            permutation: round(shape.lookup_instances() > 0),
        }
    }

    fn main(&mut self) -> &'a [Vec<Wire>] {
        self.main.next().expect("invariant: a matrix of the shape")
    }

    fn quotient(&mut self) -> &'a [Wire] {
        &self
            .quotient
            .next()
            .expect("invariant: a matrix of the shape")[0]
    }

    fn fixed(&mut self) -> &'a [Wire] {
        &self.fixed.next().expect("invariant: a matrix of the shape")[0]
    }

    fn permutation(&mut self) -> &'a [Vec<Wire>] {
        self.permutation
            .next()
            .expect("invariant: a matrix of the shape")
    }
}

/// For each lookup of each instance, what its denominators start from: `alpha + (bus + 1) * beta^W`,
/// with `W` the widest message of all, and buses numbered as they are first met.
fn prefixes(b: &mut Builder, shape: &Shape, challenges: &Challenges) -> Vec<Vec<Wire>> {
    let Some([alpha, beta]) = challenges.lookup else {
        return vec![Vec::new(); shape.instances().len()];
    };
    let mut buses: Vec<&str> = Vec::new();
    let mut widest = 1;
    let numbers: Vec<Vec<usize>> = shape
        .instances()
        .iter()
        .map(|instance| {
            let number = |lookup: &'_ Lookup<Val>| {
                widest = lookup
                    .elements
                    .iter()
                    .map(Vec::len)
                    .max()
                    .unwrap_or(0)
                    .max(widest);
            };
            instance.lookups.iter().for_each(number);
            instance
                .lookups
                .iter()
                .map(|lookup| {
                    let Kind::Global(name) = &lookup.kind else {
                        unreachable!("our tables meet on named buses only")
                    };
                    assert!(
                        lookup.flags.is_none(),
                        "our tables have no exclusive messages"
                    );
                    match buses.iter().position(|bus| bus == name) {
                        Some(number) => number,
                        None => {
                            buses.push(name);
                            buses.len() - 1
                        }
                    }
                })
                .collect()
        })
        .collect();
    let mut offset = beta;
    for _ in 1..widest {
        offset = b.mul(offset, beta);
    }
    let prefixes: Vec<Wire> = (0..buses.len())
        .map(|bus| {
            let times = Val::from_usize(bus + 1);
            b.sum([(alpha, Val::ONE), (offset, times)], Val::ZERO)
        })
        .collect();
    let of = |numbers: Vec<usize>| numbers.into_iter().map(|bus| prefixes[bus]).collect();
    numbers.into_iter().map(of).collect()
}

/// Evaluates the constraints of one instance.
struct Folder<'a> {
    expressions: Expressions,
    /// The row at the point, and at its successor where it is opened there.
    main: Vec<&'a [Wire]>,
    fixed: &'a [Wire],
    publics: &'a [Lane],
    selectors: Selectors,
    /// Symbolic expressions that are part of several.
    known: HashMap<*const SymbolicExpression<Val>, Affine>,
}

impl Folder<'_> {
    fn leaf(&self, b: &mut Builder, leaf: &BaseLeaf<Val>) -> Wire {
        match leaf {
            BaseLeaf::Constant(value) => b.base_constant(*value),
            BaseLeaf::IsFirstRow => self.selectors.first,
            BaseLeaf::IsLastRow => self.selectors.last,
            BaseLeaf::IsTransition => self.selectors.transition,
            BaseLeaf::Variable(variable) => match variable.entry {
                // A row that is not opened is one of zeros natively too.
                BaseEntry::Main { offset } => match self.main.get(offset) {
                    Some(row) => row[variable.index],
                    None => b.zero(),
                },
                BaseEntry::Preprocessed { offset: 0 } => self.fixed[variable.index],
                BaseEntry::Preprocessed { .. } => b.zero(),
                BaseEntry::Public => self.publics[variable.index].wire(b),
                BaseEntry::Periodic => unreachable!("our circuits have no periodic columns"),
            },
        }
    }

    fn child(&mut self, b: &mut Builder, child: &Arc<SymbolicExpression<Val>>) -> Affine {
        if Arc::strong_count(child) == 1 || matches!(**child, SymbolicExpr::Leaf(_)) {
            return self.value(b, child);
        }
        if let Some(&value) = self.known.get(&Arc::as_ptr(child)) {
            return value;
        }
        let value = self.value(b, child);
        self.known.insert(Arc::as_ptr(child), value);
        value
    }

    fn value(&mut self, b: &mut Builder, expression: &SymbolicExpression<Val>) -> Affine {
        match expression {
            SymbolicExpr::Leaf(BaseLeaf::Constant(value)) => Affine::constant(*value),
            SymbolicExpr::Leaf(leaf) => {
                let wire = self.leaf(b, leaf);
                self.expressions.wire(b, wire)
            }
            SymbolicExpr::Neg { x, .. } => self.child(b, x).times(Val::NEG_ONE),
            SymbolicExpr::Mul { x, y, .. } => {
                let [x, y] = [self.child(b, x), self.child(b, y)];
                self.expressions.mul(x, y)
            }
            SymbolicExpr::Add { x, y, .. } => {
                let [x, y] = [self.child(b, x), self.child(b, y)];
                self.expressions.add(x, y)
            }
            SymbolicExpr::Sub { x, y, .. } => {
                let [x, y] = [self.child(b, x), self.child(b, y)];
                self.expressions.sub(x, y)
            }
        }
    }

    /// The constraints of an instance's part in the buses.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the protocol's own values"
    )]
    fn lookups(
        &mut self,
        b: &mut Builder,
        lookups: &[Lookup<Val>],
        prefixes: &[Wire],
        beta: Wire,
        columns: &[Wire],
        next: Wire,
        terminal: Wire,
    ) -> Vec<Affine> {
        let mut messages = Vec::new();
        for lookup in lookups {
            for (fields, count) in lookup.elements.iter().zip(&lookup.multiplicities) {
                let fields: Vec<Affine> = fields.iter().map(|field| self.value(b, field)).collect();
                self.expressions.read(fields.iter().copied(), true);
                messages.push((fields, self.value(b, count)));
            }
        }
        let columns: Vec<Affine> = columns
            .iter()
            .map(|&column| self.expressions.wire(b, column))
            .collect();
        let mut messages = messages.into_iter();
        let mut values: Vec<Affine> = lookups
            .iter()
            .zip(prefixes)
            .map(|(lookup, &prefix)| {
                let messages = messages.by_ref().take(lookup.elements.len());
                let prefix = self.expressions.wire(b, prefix);
                let messages: Vec<[Affine; 2]> = messages
                    .map(|(fields, count)| [count, self.denominator(b, fields, prefix, beta)])
                    .collect();
                self.fraction(&messages, columns[lookup.column + 1])
            })
            .collect();
        let it = &mut self.expressions;
        let sum = columns[1..]
            .iter()
            .copied()
            .reduce(|sum, column| it.add(sum, column))
            .expect("invariant: a column for each lookup");
        let Selectors {
            first,
            last,
            transition,
            ..
        } = self.selectors;
        let [first, last, transition, next, terminal] =
            [first, last, transition, next, terminal].map(|wire| it.wire(b, wire));
        let after = it.add(columns[0], sum);
        let steps = [
            (first, columns[0]),
            (transition, it.sub(next, after)),
            (last, it.sub(terminal, after)),
        ];
        values.extend(steps.map(|(selector, value)| it.mul(selector, value)));
        it.read(values.iter().copied(), false);
        values
    }

    /// `prefix - message`, the message's first field with the highest power.
    fn denominator(
        &mut self,
        b: &mut Builder,
        fields: Vec<Affine>,
        prefix: Affine,
        beta: Wire,
    ) -> Affine {
        let fields: Vec<Wire> = fields
            .into_iter()
            .rev()
            .map(|field| self.expressions.compute(b, field))
            .collect();
        let message = b.polynomial(&fields, beta);
        let message = self.expressions.wire(b, message);
        self.expressions.sub(prefix, message)
    }

    /// `denominator * column - numerator`, over the common denominator of all messages.
    fn fraction(&mut self, messages: &[[Affine; 2]], column: Affine) -> Affine {
        let it = &mut self.expressions;
        let join = |[numerator, common]: [Affine; 2], [count, denominator]: [Affine; 2]| {
            let joined = it.mul(count, common);
            let numerator = it.mul(numerator, denominator);
            [it.add(numerator, joined), it.mul(common, denominator)]
        };
        let [numerator, denominator] = messages
            .iter()
            .copied()
            .reduce(join)
            .expect("invariant: a lookup has a message");
        let value = it.mul(denominator, column);
        it.sub(value, numerator)
    }
}
