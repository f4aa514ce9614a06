//! A proof as a circuit takes it.

mod read;

use froben_circuits::params::LOG_MERKLE_CAP;

use super::shape::{Committed, Shape};
use crate::circuit::{Builder, DIGEST_PACKS, DigestWires, PACK, Wire};

pub(crate) use read::{cap, packs};

/// The roots of a commitment.
pub(crate) type CapWires = Vec<DigestWires>;

type Digest<T> = [T; DIGEST_PACKS];

/// One opening of one tree.
#[derive(Clone, Debug)]
pub(crate) struct Opening<T> {
    /// The row of each matrix, in packs; the last one is filled up with zeros.
    pub(crate) rows: Vec<Vec<T>>,
    pub(crate) path: Vec<Digest<T>>,
}

/// What one query opens.
#[derive(Clone, Debug)]
pub(crate) struct Query<T> {
    /// For each round of commitments.
    pub(crate) inputs: Vec<Opening<T>>,
    /// For each round of folding; its row lacks the value that is folded.
    pub(crate) folds: Vec<Opening<T>>,
}

/// The values of a proof, each a `T`.
#[derive(Clone, Debug)]
pub(crate) struct ProofParts<T> {
    pub(crate) main: Vec<Digest<T>>,
    pub(crate) permutation: Option<Vec<Digest<T>>>,
    pub(crate) quotient: Vec<Digest<T>>,
    pub(crate) bus_work: T,
    pub(crate) terminals: Vec<T>,
    /// For each round, matrix and point.
    pub(crate) claims: Vec<Vec<Vec<Vec<T>>>>,
    pub(crate) batch_work: T,
    pub(crate) fold_caps: Vec<Vec<Digest<T>>>,
    pub(crate) final_poly: Vec<T>,
    pub(crate) query_work: T,
    pub(crate) queries: Vec<Query<T>>,
}

/// A proof has not the shape that a circuit verifies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof has another shape: {0}")]
pub struct Malformed(pub String);

impl ProofParts<Wire> {
    /// Takes a proof of this shape from the prover.
    pub(crate) fn input(b: &mut Builder, shape: &Shape) -> Self {
        ProofParts::<()>::of(shape).map(&mut |()| b.input())
    }
}

impl ProofParts<()> {
    /// The places of a proof's values.
    fn of(shape: &Shape) -> Self {
        let fri = shape.fri();
        let rounds = shape.rounds();
        let cap = |log_height: usize| vec![[(); DIGEST_PACKS]; 1 << LOG_MERKLE_CAP.min(log_height)];
        let tallest = shape.log_heights()[0];
        let path = |log_height: usize| {
            vec![[(); DIGEST_PACKS]; log_height - LOG_MERKLE_CAP.min(log_height)]
        };
        let opening = |round: &Vec<Committed>| Opening {
            rows: round
                .iter()
                .map(|matrix| vec![(); matrix.width.div_ceil(PACK)])
                .collect(),
            path: path(tallest),
        };
        let mut log_height = tallest;
        let mut fold_caps = Vec::new();
        let mut folds = Vec::new();
        for log_arity in shape.log_arities() {
            log_height -= log_arity;
            fold_caps.push(cap(log_height));
            folds.push(Opening {
                rows: vec![vec![(); (1 << log_arity) - 1]],
                path: path(log_height),
            });
        }
        let query = Query {
            inputs: rounds.iter().map(opening).collect(),
            folds,
        };
        let claims = |matrix: &Committed| vec![vec![(); matrix.width]; matrix.points.len()];
        Self {
            main: cap(tallest),
            permutation: (shape.lookup_instances() > 0).then(|| cap(tallest)),
            quotient: cap(tallest),
            bus_work: (),
            terminals: vec![(); shape.lookup_instances()],
            claims: rounds
                .iter()
                .map(|round| round.iter().map(claims).collect())
                .collect(),
            batch_work: (),
            fold_caps,
            final_poly: vec![(); 1 << fri.log_final_poly_len],
            query_work: (),
            queries: vec![query; fri.num_queries],
        }
    }
}

impl<T> ProofParts<T> {
    /// The same proof with each value made into another, in the one order that there is.
    fn map<U>(self, f: &mut impl FnMut(T) -> U) -> ProofParts<U> {
        fn digests<T, U>(all: Vec<Digest<T>>, f: &mut impl FnMut(T) -> U) -> Vec<Digest<U>> {
            all.into_iter().map(|digest| digest.map(&mut *f)).collect()
        }
        fn values<T, U>(all: Vec<T>, f: &mut impl FnMut(T) -> U) -> Vec<U> {
            all.into_iter().map(f).collect()
        }
        fn openings<T, U>(all: Vec<Opening<T>>, f: &mut impl FnMut(T) -> U) -> Vec<Opening<U>> {
            let opening = |it: Opening<T>| Opening {
                rows: it.rows.into_iter().map(|row| values(row, f)).collect(),
                path: digests(it.path, f),
            };
            all.into_iter().map(opening).collect()
        }
        ProofParts {
            main: digests(self.main, f),
            permutation: self.permutation.map(|cap| digests(cap, f)),
            quotient: digests(self.quotient, f),
            bus_work: f(self.bus_work),
            terminals: values(self.terminals, f),
            claims: self
                .claims
                .into_iter()
                .map(|round| {
                    let points = |matrix: Vec<Vec<T>>| {
                        matrix.into_iter().map(|point| values(point, f)).collect()
                    };
                    round.into_iter().map(points).collect()
                })
                .collect(),
            batch_work: f(self.batch_work),
            fold_caps: self
                .fold_caps
                .into_iter()
                .map(|cap| digests(cap, f))
                .collect(),
            final_poly: values(self.final_poly, f),
            query_work: f(self.query_work),
            queries: self
                .queries
                .into_iter()
                .map(|query| Query {
                    inputs: openings(query.inputs, f),
                    folds: openings(query.folds, f),
                })
                .collect(),
        }
    }
}
