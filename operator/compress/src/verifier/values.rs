//! The values of a proof, in the shape that the circuit expects.
//!
//! A proof that does not fit is refused here, before it becomes witnesses: so no cell that is expected is missing, and
//! nothing of a proof is left over. Values that the transcript skips because there is no work to prove
//! must be zero, as the native verifier demands.

use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_field::PrimeCharacteristicRing;

use super::Shape;
use super::shape::MatrixShape;
use crate::Error;
use crate::layer::words::to_fr;
use crate::layer::{Challenge, Commitment, Proof, Val};

/// A matrix at zeta, and at the next point if it is opened there.
#[derive(Clone, Debug)]
pub struct Opened {
    pub(crate) local: Vec<Challenge>,
    pub(crate) next: Option<Vec<Challenge>>,
}

/// The opened rows of one commitment and their Merkle paths, one of each for a query.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// By query and matrix.
    pub(crate) rows: Vec<Vec<Vec<Val>>>,
    pub(crate) paths: Vec<Vec<Fr>>,
}

/// What one folding commits to, and its openings.
#[derive(Clone, Debug)]
pub(crate) struct Folding {
    pub(crate) cap: Vec<Fr>,
    /// By query: the other values of the row.
    pub(crate) siblings: Vec<Vec<Challenge>>,
    pub(crate) paths: Vec<Vec<Fr>>,
}

/// The values of a proof.
#[derive(Clone, Debug)]
pub struct Values {
    pub(crate) public_values: Vec<Vec<Val>>,
    pub(crate) main: Vec<Fr>,
    pub(crate) permutation: Option<Vec<Fr>>,
    pub(crate) quotient: Vec<Fr>,
    pub(crate) terminals: Vec<Option<Challenge>>,
    /// By round and matrix, as in [`Shape::rounds`].
    pub(crate) opened: Vec<Vec<Opened>>,
    pub(crate) rows: Vec<Rows>,
    pub(crate) foldings: Vec<Folding>,
    pub(crate) final_poly: Vec<Challenge>,
    /// Zero if there are no look-ups.
    pub(crate) lookup_witness: Val,
    pub(crate) batch_witness: Val,
    pub(crate) query_witness: Val,
}

impl Values {
    /// The values of `proof` with its public values.
    ///
    /// # Errors
    /// If the proof does not have the shape.
    pub fn new(shape: &Shape, proof: &Proof, public_values: &[Vec<Val>]) -> Result<Self, Error> {
        let opened = opened(shape, proof)?;
        let fri = &proof.opening_proof;
        let foldings = fri
            .commit_phase_commits
            .iter()
            .zip(&fri.commit_phase_openings)
            .map(|(commitment, openings)| Folding {
                cap: roots(commitment),
                siblings: openings.sibling_values.clone(),
                paths: paths(&openings.opening_proof),
            })
            .collect();
        let rows = fri
            .input_openings
            .iter()
            .map(|round| Rows {
                rows: round.opened_values.clone(),
                paths: paths(&round.opening_proof),
            })
            .collect();
        let values = Self {
            public_values: public_values.to_vec(),
            main: roots(&proof.commitments.main),
            permutation: proof.commitments.permutation.as_ref().map(roots),
            quotient: roots(&proof.commitments.quotient_chunks),
            terminals: proof
                .lookup_terminals
                .iter()
                .map(|t| t.as_ref().map(|t| t.0))
                .collect(),
            opened,
            rows,
            foldings,
            final_poly: fri.final_poly.clone(),
            lookup_witness: proof.lookup_pow_witness.unwrap_or(Val::ZERO),
            batch_witness: fri.batch_pow_witness,
            query_witness: fri.query_pow_witness,
        };
        let log_heights: Vec<_> = shape.instances.iter().map(|i| i.log_height).collect();
        let skipped = |bits: usize, witness| bits > 0 || witness == Val::ZERO;
        let skipped = proof.ood_pow_witness == Val::ZERO
            && fri
                .commit_pow_witnesses
                .iter()
                .all(|&witness| witness == Val::ZERO)
            && skipped(
                shape.params.lookup_proof_of_work_bits(),
                values.lookup_witness,
            )
            && skipped(shape.fri.batch_proof_of_work_bits, values.batch_witness)
            && skipped(shape.fri.query_proof_of_work_bits, values.query_witness);
        let fits = values.sizes() == Self::blank(shape).sizes()
            && proof.degree_bits == log_heights
            && proof.commitments.random.is_none()
            && fri.commit_phase_openings.len() == fri.commit_phase_commits.len()
            && fri.commit_pow_witnesses.len() == shape.schedule.len()
            && proof.lookup_pow_witness.is_some() == shape.has_lookups()
            && public_values
                .iter()
                .flatten()
                .skip(shape.published)
                .all(|&value| value == Val::ZERO)
            && skipped;
        if !fits {
            return Err(Error::Shape("a proof of the circuit's shape"));
        }
        Ok(values)
    }

    /// Zeroes in the shape of a proof: what keys are generated from, for which values do not matter.
    #[must_use]
    pub fn blank(shape: &Shape) -> Self {
        let cap = vec![Fr::zero(); 1 << shape.params.log_cap()];
        let queries = shape.fri.num_queries;
        let path = |log_height: usize| {
            vec![vec![Fr::zero(); log_height - shape.params.log_cap()]; queries]
        };
        let rounds = shape.rounds();
        let opened = |matrix: &MatrixShape| {
            let row = vec![Challenge::ZERO; matrix.width];
            Opened {
                next: matrix.next.then(|| row.clone()),
                local: row,
            }
        };
        let rows = |round: &Vec<MatrixShape>| {
            let tallest = round
                .iter()
                .map(|matrix| matrix.log_height)
                .max()
                .unwrap_or(0);
            let row = |matrix: &MatrixShape| vec![Val::ZERO; matrix.width];
            Rows {
                rows: vec![round.iter().map(row).collect(); queries],
                paths: path(tallest + shape.fri.log_blowup),
            }
        };
        let mut log_height = shape.log_max_height;
        let folding = |&log_arity: &usize| {
            log_height -= log_arity;
            Folding {
                cap: cap.clone(),
                siblings: vec![vec![Challenge::ZERO; (1 << log_arity) - 1]; queries],
                paths: path(log_height),
            }
        };
        Self {
            public_values: shape
                .instances
                .iter()
                .map(|i| vec![Val::ZERO; i.public_values])
                .collect(),
            main: cap.clone(),
            permutation: shape.has_lookups().then(|| cap.clone()),
            quotient: cap.clone(),
            terminals: shape
                .instances
                .iter()
                .map(|i| (!i.lookups.is_empty()).then_some(Challenge::ZERO))
                .collect(),
            opened: rounds
                .iter()
                .map(|round| round.iter().map(opened).collect())
                .collect(),
            rows: rounds.iter().map(rows).collect(),
            foldings: shape.schedule.iter().map(folding).collect(),
            final_poly: vec![Challenge::ZERO; shape.fri.final_poly_len()],
            lookup_witness: Val::ZERO,
            batch_witness: Val::ZERO,
            query_witness: Val::ZERO,
        }
    }

    /// The length of every list, in a fixed order. Two values with equal sizes have equal shapes.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = Sizes::default();
        sizes.each(&self.public_values, |sizes, row| sizes.count(row));
        sizes.count(&self.main);
        sizes.each(&self.permutation, |sizes, cap| sizes.count(cap));
        sizes.count(&self.quotient);
        sizes.each(&self.terminals, |sizes, terminal| sizes.count(terminal));
        sizes.each(&self.opened, |sizes, round| {
            sizes.each(round, |sizes, opened| {
                sizes.count(&opened.local);
                sizes.each(&opened.next, |sizes, next| sizes.count(next));
            });
        });
        sizes.each(&self.rows, |sizes, round| {
            sizes.each(&round.rows, |sizes, query| {
                sizes.each(query, |sizes, row| sizes.count(row))
            });
            sizes.each(&round.paths, |sizes, path| sizes.count(path));
        });
        sizes.each(&self.foldings, |sizes, folding| {
            sizes.count(&folding.cap);
            sizes.each(&folding.siblings, |sizes, row| sizes.count(row));
            sizes.each(&folding.paths, |sizes, path| sizes.count(path));
        });
        sizes.count(&self.final_poly);
        sizes.0
    }
}

/// Lengths of lists, outer ones before inner ones.
#[derive(Default)]
struct Sizes(Vec<usize>);

impl Sizes {
    fn count<T>(&mut self, list: impl IntoIterator<Item = T>) {
        self.0.push(list.into_iter().count());
    }

    fn each<T>(&mut self, list: impl IntoIterator<Item = T>, mut of: impl FnMut(&mut Self, T)) {
        let at = self.0.len();
        self.0.push(0);
        for item in list {
            self.0[at] += 1;
            of(self, item);
        }
    }
}

fn roots(commitment: &Commitment) -> Vec<Fr> {
    commitment
        .roots()
        .iter()
        .map(|[root]| to_fr(*root))
        .collect()
}

fn paths(paths: &[Vec<[p3_bn254::Bn254; 1]>]) -> Vec<Vec<Fr>> {
    paths
        .iter()
        .map(|path| path.iter().map(|[word]| to_fr(*word)).collect())
        .collect()
}

/// The opened values by round, as [`Shape::rounds`] orders them.
fn opened(shape: &Shape, proof: &Proof) -> Result<Vec<Vec<Opened>>, Error> {
    let instances = &proof.opened_values.instances;
    if instances.len() != shape.instances.len() {
        return Err(Error::Shape("an opening for each AIR"));
    }
    let bases = instances
        .iter()
        .map(|instance| &instance.base_opened_values);
    let unexpected = bases.clone().zip(&shape.instances).any(|(base, shape)| {
        base.random.is_some() || base.preprocessed.is_some() != (shape.preprocessed_width > 0)
    });
    if unexpected {
        return Err(Error::Shape(
            "openings of what there is and of nothing else",
        ));
    }
    let main = bases.clone().map(|base| Opened {
        local: base.trace_local.clone(),
        next: base.trace_next.clone(),
    });
    let chunk = |chunk: &Vec<Challenge>| Opened {
        local: chunk.clone(),
        next: None,
    };
    let quotient = bases.clone().zip(&shape.instances).map(|(base, shape)| {
        if base.quotient_chunks.len() != 1 << shape.log_chunks {
            return Err(Error::Shape(
                "as many quotient chunks as the degree asks for",
            ));
        }
        Ok(base.quotient_chunks.iter().map(chunk).collect::<Vec<_>>())
    });
    let quotient: Vec<_> = quotient.collect::<Result<_, _>>()?;
    let mut rounds = vec![main.collect(), quotient.concat()];
    if let Some((_, with)) = &shape.preprocessed {
        let preprocessed = with.iter().filter_map(|&i| {
            let opened = instances[i].base_opened_values.preprocessed.as_ref()?;
            Some(Opened {
                local: opened.local.clone(),
                next: opened.next.clone(),
            })
        });
        rounds.push(preprocessed.collect());
    }
    let permutation = instances
        .iter()
        .zip(&shape.instances)
        .filter_map(|(instance, shape)| {
            // Without look-ups there must be nothing; a row that is there then makes a matrix too many.
            let empty =
                instance.permutation_local.is_empty() && instance.permutation_next.is_empty();
            (!shape.lookups.is_empty() || !empty).then(|| Opened {
                local: instance.permutation_local.clone(),
                next: Some(instance.permutation_next.clone()),
            })
        });
    let permutation: Vec<_> = permutation.collect();
    if shape.has_lookups() || !permutation.is_empty() {
        rounds.push(permutation);
    }
    Ok(rounds)
}
