//! The constraints at the point out of domain.
//!
//! Mirrors `p3-batch-stark`'s `verifier/data.rs`: the AIR's constraints and those of its look-ups, as symbolic
//! expressions, folded by powers of a challenge in the order in which they are emitted, must be the
//! quotient times the polynomial that vanishes on the trace's domain.

use std::collections::HashMap;
use std::sync::Arc;

use p3_air::symbolic::{BaseEntry, BaseLeaf, ExtEntry, ExtLeaf, SymbolicExpr};
use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, TwoAdicField};

use super::shape::{Constraint, InstanceShape};
use crate::gadget::{Base, Board, Ext};
use crate::layer::{Challenge, Val};

/// A value of an expression: what needs no cells is kept without.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are elements of the extension"
)]
pub(crate) enum Number {
    Constant(Challenge),
    Base(Base),
    Ext(Ext),
}

/// The selectors of a trace's domain at the point, not normalised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selectors {
    pub(crate) first: Ext,
    pub(crate) last: Ext,
    pub(crate) transition: Ext,
    /// 1 / (zeta^n - 1).
    pub(crate) inverse_vanishing: Ext,
}

/// What an instance's expressions refer to.
pub(crate) struct Window<'a> {
    /// The trace at zeta and at the next point.
    pub(crate) main: [&'a [Ext]; 2],
    pub(crate) preprocessed: [&'a [Ext]; 2],
    /// The columns of the permutation trace, put together from their coefficients.
    pub(crate) permutation: [&'a [Ext]; 2],
    pub(crate) challenges: &'a [Ext],
    pub(crate) terminal: Option<Ext>,
    pub(crate) public_values: &'a [Number],
    pub(crate) selectors: Selectors,
}

impl Board {
    /// The selectors of a domain of 2^`log_height` rows at `zeta`. A zeta of the domain satisfies no circuit, as it is an error
    /// natively.
    pub(crate) fn selectors(&mut self, log_height: usize, zeta: Ext) -> Selectors {
        let power = self.ext_power_of_2(zeta, log_height);
        let vanishing = self.ext_add_constant(power, -Challenge::ONE);
        let vanishing = self.ext_reduce(vanishing);
        let last = Val::two_adic_generator(log_height).inverse();
        let over = |board: &mut Self, point: Val| {
            let distance = board.ext_add_constant(zeta, Challenge::from(-point));
            let inverse = board.ext_invert(distance);
            let selector = board.ext_mul(vanishing, inverse);
            (board.ext_reduce(selector), distance)
        };
        let (first, _) = over(self, Val::ONE);
        let (last, transition) = over(self, last);
        let transition = self.ext_reduce(transition);
        let inverse_vanishing = self.ext_invert(vanishing);
        Selectors {
            first,
            last,
            transition,
            inverse_vanishing,
        }
    }

    /// The quotient at `zeta` from its chunks' openings, each of four coefficients.
    ///
    /// Source: `p3-uni-stark`'s `recompose_quotient_from_chunks`. The chunks lie on the cosets g w^i H of the trace's domain H, with w
    /// of the order of n chunks.
    pub(crate) fn quotient(&mut self, log_height: usize, zeta: Ext, chunks: &[&[Ext]]) -> Ext {
        let log_chunks = chunks.len().trailing_zeros() as usize;
        let shift = |i: usize| {
            let generator = Val::two_adic_generator(log_height + log_chunks);
            Val::GENERATOR * generator.exp_u64(i as u64)
        };
        let power = self.ext_power_of_2(zeta, log_height);
        let power = self.ext_reduce(power);
        let vanishing: Vec<_> = (0..chunks.len())
            .map(|i| {
                let scale = shift(i).inverse().exp_power_of_2(log_height);
                let scaled = self.ext_mul_constant(power, scale.into());
                self.ext_add_constant(scaled, -Challenge::ONE)
            })
            .collect();
        let mut sum = None;
        for (i, chunk) in chunks.iter().enumerate() {
            let mut value = self.ext_compose(chunk);
            let mut constant = Val::ONE;
            for j in (0..chunks.len()).filter(|&j| j != i) {
                let at = (shift(i) * shift(j).inverse()).exp_power_of_2(log_height) - Val::ONE;
                constant *= at.inverse();
                value = self.ext_mul(value, vanishing[j]);
            }
            let value = self.ext_mul_constant(value, constant.into());
            sum = Some(match sum {
                None => value,
                Some(sum) => self.ext_add(sum, value),
            });
        }
        sum.expect("invariant: a quotient has a chunk")
    }

    /// The element whose coefficients are opened as elements of the extension themselves.
    pub(crate) fn ext_compose(&mut self, coefficients: &[Ext]) -> Ext {
        let mut sum = coefficients[0];
        for (i, &coefficient) in coefficients.iter().enumerate().skip(1) {
            let basis = <Challenge as BasedVectorSpace<Val>>::ith_basis_element(i)
                .expect("invariant: four coefficients");
            let term = self.ext_mul_constant(coefficient, basis);
            sum = self.ext_add(sum, term);
        }
        sum
    }

    /// Constrains the instance's constraints, folded by `alpha`, to agree with the quotient.
    pub(crate) fn verify_constraints(
        &mut self,
        shape: &InstanceShape,
        window: &Window<'_>,
        alpha: Ext,
        quotient: Ext,
    ) {
        let mut evaluation = Evaluation {
            window,
            base: HashMap::new(),
            ext: HashMap::new(),
        };
        let mut folded: Option<Ext> = None;
        for constraint in &shape.constraints {
            let value = match constraint {
                Constraint::Base(expression) => evaluation.base(self, expression),
                Constraint::Ext(expression) => evaluation.ext(self, expression),
            };
            let value = self.number_to_ext(value);
            folded = Some(match folded {
                None => value,
                Some(folded) => self.ext_mul_add(Some(value), folded, alpha),
            });
        }
        let folded = match folded {
            Some(folded) => folded,
            None => self.ext_constant(Challenge::ZERO),
        };
        let value = self.ext_mul(folded, window.selectors.inverse_vanishing);
        self.ext_assert_equal(value, quotient);
    }

    pub(crate) fn number_to_ext(&mut self, number: Number) -> Ext {
        match number {
            Number::Constant(constant) => self.ext_constant(constant),
            Number::Base(base) => self.ext_from_base(base),
            Number::Ext(ext) => ext,
        }
    }

    fn number_add(&mut self, a: Number, b: Number) -> Number {
        match (a, b) {
            (Number::Constant(a), Number::Constant(b)) => Number::Constant(a + b),
            (Number::Constant(zero), number) | (number, Number::Constant(zero))
                if zero.is_zero() =>
            {
                number
            }
            (Number::Ext(a), Number::Constant(b)) | (Number::Constant(b), Number::Ext(a)) => {
                Number::Ext(self.ext_add_constant(a, b))
            }
            (Number::Base(a), Number::Base(b)) => Number::Base(self.add(a, b)),
            (Number::Ext(Ext([first, rest @ ..])), Number::Base(base))
            | (Number::Base(base), Number::Ext(Ext([first, rest @ ..]))) => {
                let [second, third, fourth] = rest;
                Number::Ext(Ext([self.add(first, base), second, third, fourth]))
            }
            (a, b) => {
                let (a, b) = (self.number_to_ext(a), self.number_to_ext(b));
                Number::Ext(self.ext_add(a, b))
            }
        }
    }

    fn number_sub(&mut self, a: Number, b: Number) -> Number {
        match (a, b) {
            (a, Number::Constant(b)) => self.number_add(a, Number::Constant(-b)),
            (Number::Base(a), Number::Base(b)) => Number::Base(self.sub(a, b)),
            (Number::Ext(Ext([first, rest @ ..])), Number::Base(base)) => {
                let [second, third, fourth] = rest;
                Number::Ext(Ext([self.sub(first, base), second, third, fourth]))
            }
            (a, b) => {
                let (a, b) = (self.number_to_ext(a), self.number_to_ext(b));
                Number::Ext(self.ext_sub(a, b))
            }
        }
    }

    /// start + a * b: where it can be, the addition costs nothing.
    fn number_mul_add(&mut self, start: Number, a: Number, b: Number) -> Number {
        let trivial =
            |number: &Number| matches!(number, Number::Constant(c) if c.is_zero() || c.is_one());
        match (a, b) {
            (a, b) if trivial(&start) || trivial(&a) || trivial(&b) => {
                let product = self.number_mul(a, b);
                self.number_add(start, product)
            }
            (Number::Ext(a), Number::Ext(b)) => {
                let start = self.number_to_ext(start);
                Number::Ext(self.ext_mul_add(Some(start), a, b))
            }
            (Number::Ext(a), Number::Constant(b)) | (Number::Constant(b), Number::Ext(a)) => {
                let start = self.number_to_ext(start);
                Number::Ext(self.ext_mul_constant_add(Some(start), a, b))
            }
            (a, b) => {
                let product = self.number_mul(a, b);
                self.number_add(start, product)
            }
        }
    }

    fn number_mul(&mut self, a: Number, b: Number) -> Number {
        match (a, b) {
            (Number::Constant(a), Number::Constant(b)) => Number::Constant(a * b),
            (Number::Constant(one), number) | (number, Number::Constant(one)) if one.is_one() => {
                number
            }
            (Number::Constant(zero), _) | (_, Number::Constant(zero)) if zero.is_zero() => {
                Number::Constant(Challenge::ZERO)
            }
            (Number::Constant(constant), number) | (number, Number::Constant(constant)) => {
                let number = self.number_to_ext(number);
                Number::Ext(self.ext_mul_constant(number, constant))
            }
            (Number::Base(a), Number::Base(b)) => Number::Base(self.mul(a, b)),
            (Number::Ext(ext), Number::Base(base)) | (Number::Base(base), Number::Ext(ext)) => {
                Number::Ext(self.ext_mul_base(None, ext, base))
            }
            (Number::Ext(a), Number::Ext(b)) => Number::Ext(self.ext_mul(a, b)),
        }
    }
}

/// Values of sub-expressions, by their address: what is shared is computed once.
struct Evaluation<'a> {
    window: &'a Window<'a>,
    base: HashMap<usize, Number>,
    ext: HashMap<usize, Number>,
}

/// One visit of an expression: before its parts, and after them.
enum Visit<'a, A> {
    Enter(&'a SymbolicExpr<A>),
    Leave(&'a SymbolicExpr<A>),
}

impl Evaluation<'_> {
    fn base(&mut self, board: &mut Board, root: &SymbolicExpr<BaseLeaf<Val>>) -> Number {
        let mut known = std::mem::take(&mut self.base);
        let value = walk(board, root, &mut known, |_, leaf| self.base_leaf(leaf));
        self.base = known;
        value
    }

    fn ext(&mut self, board: &mut Board, root: &SymbolicExpr<ExtLeaf<Val, Challenge>>) -> Number {
        let mut known = std::mem::take(&mut self.ext);
        let value = walk(board, root, &mut known, |board, leaf| {
            self.ext_leaf(board, leaf)
        });
        self.ext = known;
        value
    }

    fn base_leaf(&self, leaf: &BaseLeaf<Val>) -> Number {
        let window = self.window;
        match leaf {
            BaseLeaf::Constant(constant) => Number::Constant((*constant).into()),
            BaseLeaf::IsFirstRow => Number::Ext(window.selectors.first),
            BaseLeaf::IsLastRow => Number::Ext(window.selectors.last),
            BaseLeaf::IsTransition => Number::Ext(window.selectors.transition),
            BaseLeaf::Variable(variable) => match variable.entry {
                BaseEntry::Main { offset } => row(window.main[offset], variable.index),
                BaseEntry::Preprocessed { offset } => {
                    row(window.preprocessed[offset], variable.index)
                }
                BaseEntry::Public => window.public_values[variable.index],
                BaseEntry::Periodic => unreachable!("invariant: a layer has no periodic columns"),
            },
        }
    }

    fn ext_leaf(&mut self, board: &mut Board, leaf: &ExtLeaf<Val, Challenge>) -> Number {
        let window = self.window;
        match leaf {
            ExtLeaf::Base(expression) => self.base(board, expression),
            ExtLeaf::ExtConstant(constant) => Number::Constant(*constant),
            ExtLeaf::ExtVariable(variable) => match variable.entry {
                ExtEntry::Permutation { offset } => row(window.permutation[offset], variable.index),
                ExtEntry::Challenge => Number::Ext(window.challenges[variable.index]),
                ExtEntry::PermutationValue => Number::Ext(
                    window
                        .terminal
                        .expect("invariant: look-ups have a terminal"),
                ),
            },
        }
    }
}

/// A column of a row; a row that is not opened is zero, as it is natively.
fn row(row: &[Ext], index: usize) -> Number {
    row.get(index)
        .map_or(Number::Constant(Challenge::ZERO), |&ext| Number::Ext(ext))
}

/// A sum with a product that nothing else needs: the other term and the factors.
fn product_in_sum<A>(
    expression: &SymbolicExpr<A>,
) -> Option<(&SymbolicExpr<A>, &SymbolicExpr<A>, &SymbolicExpr<A>)> {
    let SymbolicExpr::Add { x, y, .. } = expression else {
        return None;
    };
    for (start, term) in [(x, y), (y, x)] {
        if let SymbolicExpr::Mul { x, y, .. } = &**term
            && Arc::strong_count(term) == 1
        {
            return Some((start, x, y));
        }
    }
    None
}

/// The value of `root`, without recursion: sums of thousands of terms are nested as deeply.
fn walk<A>(
    board: &mut Board,
    root: &SymbolicExpr<A>,
    known: &mut HashMap<usize, Number>,
    mut leaf: impl FnMut(&mut Board, &A) -> Number,
) -> Number {
    let address = |expression: &SymbolicExpr<A>| std::ptr::from_ref(expression) as usize;
    let mut visits = vec![Visit::Enter(root)];
    while let Some(visit) = visits.pop() {
        match visit {
            Visit::Enter(expression) if known.contains_key(&address(expression)) => {}
            Visit::Enter(expression @ SymbolicExpr::Leaf(inner)) => {
                let value = leaf(board, inner);
                known.insert(address(expression), value);
            }
            Visit::Enter(expression) => {
                visits.push(Visit::Leave(expression));
                if let Some((start, x, y)) = product_in_sum(expression) {
                    visits.extend([y, x, start].map(Visit::Enter));
                    continue;
                }
                match expression {
                    SymbolicExpr::Leaf(_) => {}
                    SymbolicExpr::Neg { x, .. } => visits.push(Visit::Enter(x)),
                    SymbolicExpr::Add { x, y, .. }
                    | SymbolicExpr::Sub { x, y, .. }
                    | SymbolicExpr::Mul { x, y, .. } => {
                        visits.push(Visit::Enter(y));
                        visits.push(Visit::Enter(x));
                    }
                }
            }
            Visit::Leave(expression) => {
                let value = |part: &SymbolicExpr<A>| known[&address(part)];
                if let Some((start, x, y)) = product_in_sum(expression) {
                    let [start, x, y] = [start, x, y].map(value);
                    let value = board.number_mul_add(start, x, y);
                    known.insert(address(expression), value);
                    continue;
                }
                let value = match expression {
                    SymbolicExpr::Leaf(_) => value(expression),
                    SymbolicExpr::Neg { x, .. } => {
                        let x = value(x);
                        board.number_sub(Number::Constant(Challenge::ZERO), x)
                    }
                    SymbolicExpr::Add { x, y, .. } => {
                        let (x, y) = (value(x), value(y));
                        board.number_add(x, y)
                    }
                    SymbolicExpr::Sub { x, y, .. } => {
                        let (x, y) = (value(x), value(y));
                        board.number_sub(x, y)
                    }
                    SymbolicExpr::Mul { x, y, .. } => {
                        let (x, y) = (value(x), value(y));
                        board.number_mul(x, y)
                    }
                };
                known.insert(address(expression), value);
            }
        }
    }
    known[&address(root)]
}
