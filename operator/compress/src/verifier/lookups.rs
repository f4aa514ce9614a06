//! The challenges of the look-ups and the sum of their terminals.
//!
//! Mirrors `lay_out_lookup_challenges` of `p3-batch-stark`'s transcript: one pair is drawn for all, and each bus is told
//! apart by an offset one power above the widest message. Buses of one name are one bus in all instances; a local
//! one is alone.

use std::collections::HashMap;

use p3_field::PrimeCharacteristicRing;
use p3_lookup::Kind;

use super::Shape;
use crate::gadget::{Board, Ext};
use crate::layer::Challenge;

impl Board {
    /// By instance: for each look-up the offset of its bus and the combiner.
    pub(crate) fn lookup_challenges(
        &mut self,
        shape: &Shape,
        alpha: Ext,
        beta: Ext,
    ) -> Vec<Vec<Ext>> {
        let (buses, count, width) = buses(shape);
        let beta = self.ext_reduce(beta);
        let mut gamma = beta;
        for _ in 1..width {
            gamma = self.ext_mul(gamma, beta);
        }
        let gamma = self.ext_reduce(gamma);
        let mut prefix = alpha;
        let prefixes: Vec<_> = (0..count)
            .map(|_| {
                prefix = self.ext_add(prefix, gamma);
                prefix = self.ext_reduce(prefix);
                prefix
            })
            .collect();
        buses
            .iter()
            .map(|buses| {
                buses
                    .iter()
                    .flat_map(|&bus| [prefixes[bus], beta])
                    .collect()
            })
            .collect()
    }

    /// Constrains the terminals to sum up to zero.
    pub(crate) fn verify_terminal_sum(&mut self, terminals: &[Option<Ext>]) {
        let zero = self.ext_constant(Challenge::ZERO);
        let sum = terminals
            .iter()
            .flatten()
            .fold(zero, |sum, &terminal| self.ext_add(sum, terminal));
        self.ext_assert_zero(sum);
    }
}

/// The bus of each look-up by instance, the number of buses, and the width of the widest message.
fn buses(shape: &Shape) -> (Vec<Vec<usize>>, usize, usize) {
    let mut named: HashMap<&str, usize> = HashMap::new();
    let mut count = 0;
    let mut width = 1;
    let mut fresh = || {
        count += 1;
        count - 1
    };
    let buses = shape
        .instances
        .iter()
        .map(|instance| {
            instance
                .lookups
                .iter()
                .map(|lookup| {
                    width = lookup.elements.iter().map(Vec::len).fold(width, usize::max);
                    match &lookup.kind {
                        Kind::Global(name) => *named.entry(name).or_insert_with(&mut fresh),
                        Kind::Local => fresh(),
                    }
                })
                .collect()
        })
        .collect();
    (buses, count, width)
}
