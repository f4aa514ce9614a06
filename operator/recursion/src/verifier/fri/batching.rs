//! All openings of one height as one.
//!
//! Source: `p3_fri::verifier::open_inputs`: `sum of alpha^i (p_i(z) - p_i(x)) / (z - x)` over the columns of
//! each round, matrix and point, in this order, for each height apart.

use std::collections::BTreeMap;

use froben_circuits::config::Val;
use p3_field::TwoAdicField;

use super::ladder::Ladder;
use crate::circuit::{Builder, PACK, Wire};
use crate::verifier::proof::{ProofParts, Query};
use crate::verifier::shape::{Committed, Point, Shape};

/// Matrices whose columns stand behind each other in the combination, at the same points.
struct Block {
    /// Round and matrix.
    matrices: Vec<(usize, usize)>,
    /// Where it is opened, with the power of the batching challenge that its first column has.
    uses: Vec<(Point, usize)>,
}

/// The openings of one height, combined.
struct Height {
    blocks: Vec<Block>,
    /// For each point its wire, and the combined claims there.
    points: Vec<(Point, Wire, Wire)>,
}

/// How all openings are combined into one for each height.
pub(super) struct Batching {
    /// By height of the low-degree extension.
    heights: BTreeMap<usize, Height>,
    /// Powers of the batching challenge that blocks begin with.
    powers: BTreeMap<usize, Wire>,
    challenge: Wire,
}

impl Batching {
    pub(super) fn new(
        b: &mut Builder,
        shape: &Shape,
        proof: &ProofParts<Wire>,
        zeta: Wire,
        challenge: Wire,
    ) -> Self {
        let rounds = shape.rounds();
        let mut powers = Powers::new(b, challenge);
        let mut heights = BTreeMap::new();
        for log_height in shape.log_heights() {
            let blocks = blocks(&rounds, log_height);
            let generator = Val::two_adic_generator(log_height - shape.fri().log_blowup);
            let mut points: Vec<(Point, Wire, Wire)> = Vec::new();
            for block in &blocks {
                for (nth, &(point, offset)) in block.uses.iter().enumerate() {
                    let mut claims = Vec::new();
                    for &(round, matrix) in &block.matrices {
                        claims.extend(&proof.claims[round][matrix][nth]);
                    }
                    let claimed = b.polynomial(&claims, challenge);
                    let power = powers.get(b, offset);
                    match points.iter_mut().find(|(at, ..)| *at == point) {
                        Some((_, _, sum)) => *sum = b.fused(power, claimed, *sum),
                        None => {
                            let at = match point {
                                Point::Here => zeta,
                                Point::Next => b.scale(zeta, generator),
                            };
                            let sum = b.mul(power, claimed);
                            points.push((point, at, sum));
                        }
                    }
                }
            }
            heights.insert(log_height, Height { blocks, points });
        }
        Self {
            heights,
            powers: powers.known,
            challenge,
        }
    }

    /// The combined opening of each height at a query's point, the tallest first.
    pub(super) fn reduce(
        &self,
        b: &mut Builder,
        ladder: &Ladder,
        query: &Query<Wire>,
    ) -> Vec<(usize, Wire)> {
        let reduce = |(&log_height, height): (&usize, &Height)| {
            let mut sums: BTreeMap<bool, Wire> = BTreeMap::new();
            for block in &height.blocks {
                let mut packs = Vec::new();
                for &(round, matrix) in &block.matrices {
                    packs.extend(&query.inputs[round].rows[matrix]);
                }
                let value = b.horner_all(&packs, self.challenge);
                for &(point, offset) in &block.uses {
                    let power = self.powers[&offset];
                    let sum = match sums.get(&(point == Point::Next)) {
                        Some(&sum) => b.fused(power, value, sum),
                        None => b.mul(power, value),
                    };
                    sums.insert(point == Point::Next, sum);
                }
            }
            let x = ladder.coset_point(b, log_height);
            let mut reduced = None;
            for &(point, at, claimed) in &height.points {
                let distance = b.sub(at, x);
                let inverse = b.inverse(distance);
                let difference = b.sub(claimed, sums[&(point == Point::Next)]);
                reduced = Some(match reduced {
                    None => b.mul(difference, inverse),
                    Some(sum) => b.fused(difference, inverse, sum),
                });
            }
            (
                log_height,
                reduced.expect("invariant: every matrix is opened"),
            )
        };
        self.heights.iter().rev().map(reduce).collect()
    }
}

/// The blocks of one height, in the order of the openings.
fn blocks(rounds: &[Vec<Committed>], log_height: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = 0;
    for (round, matrices) in rounds.iter().enumerate() {
        for (nth, matrix) in matrices.iter().enumerate() {
            if matrix.log_height != log_height {
                continue;
            }
            let uses: Vec<_> = matrix
                .points
                .iter()
                .map(|&point| {
                    let first = offset;
                    offset += matrix.width;
                    (point, first)
                })
                .collect();
            match blocks.last_mut() {
                // Columns go on where whole packs end, at the one point that both are opened at.
                Some(block)
                    if uses.len() == 1 && block.uses.len() == 1 && block.is_whole(rounds) =>
                {
                    block.matrices.push((round, nth));
                }
                _ => blocks.push(Block {
                    matrices: vec![(round, nth)],
                    uses,
                }),
            }
        }
    }
    blocks
}

impl Block {
    fn is_whole(&self, rounds: &[Vec<Committed>]) -> bool {
        let width = |&(round, matrix): &(usize, usize)| rounds[round][matrix].width;
        self.matrices
            .iter()
            .map(width)
            .all(|width| width.is_multiple_of(PACK))
    }
}

/// Powers of a wire, each made once.
struct Powers {
    known: BTreeMap<usize, Wire>,
}

impl Powers {
    fn new(b: &mut Builder, base: Wire) -> Self {
        let one = b.one();
        Self {
            known: BTreeMap::from([(0, one), (1, base)]),
        }
    }

    fn get(&mut self, b: &mut Builder, exponent: usize) -> Wire {
        if let Some(&known) = self.known.get(&exponent) {
            return known;
        }
        let half = self.get(b, exponent / 2);
        let square = b.mul(half, half);
        let made = match exponent % 2 {
            0 => square,
            _ => {
                let base = self.known[&1];
                b.mul(square, base)
            }
        };
        self.known.insert(exponent, made);
        made
    }
}
