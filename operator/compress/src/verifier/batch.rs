//! The whole verification.
//!
//! Mirrors `p3-batch-stark`'s `verify_batch`: transcript, opening argument, constraints, sum of the terminals.

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{self, Constant, Existing, Witness};
use halo2_base::halo2_proofs::halo2curves::bn256::Fr;
use p3_baby_bear::BabyBear;
use p3_field::PrimeCharacteristicRing;

use super::constraints::{Number, Window};
use super::pcs::{Opening, Round};
use super::transcript::{ABSORBED, Observed, Transcript};
use super::{Shape, Values};
use crate::gadget::{Board, Canonical, Ext};
use crate::layer::{Challenge, Val};

impl Board {
    /// Lays the verification of the proof that `values` holds, and exposes its public values: those of all
    /// instances in their order that the shape publishes, eight a public input in radix 2^31, the lowest first.
    pub fn verify(&mut self, shape: &Shape, values: &Values) {
        let mut published = shape.published;
        let public_values: Vec<Vec<_>> = values
            .public_values
            .iter()
            .map(|list| {
                let of = |&value: &Val| {
                    if published == 0 {
                        return Observed::Constant(Val::ZERO);
                    }
                    published -= 1;
                    Observed::Cell(self.load(value))
                };
                list.iter().map(of).collect()
            })
            .collect();
        self.expose_values(&public_values.concat()[..shape.published]);
        let mut transcript = Transcript::new();
        let opened = self.replay(shape, values, &public_values, &mut transcript);
        self.verify_openings(shape, values, &opened.rounds, opened.zeta, &mut transcript);
        self.verify_instances(shape, &public_values, &opened);
    }

    fn expose_values(&mut self, public_values: &[Observed]) {
        for chunk in public_values.chunks(ABSORBED) {
            if let Existing(word) = self.pack(chunk, 0) {
                self.expose(word);
            }
        }
    }

    /// The transcript up to the opening argument, whose values are loaded on the way.
    fn replay(
        &mut self,
        shape: &Shape,
        values: &Values,
        public_values: &[Vec<Observed>],
        transcript: &mut Transcript,
    ) -> Replayed {
        transcript.observe_seed(self, &shape.batch_seed);
        for instance in &shape.instances {
            let degree = BabyBear::from_usize(instance.log_height);
            transcript.observe_seed(
                self,
                &[degree, BabyBear::ZERO, BabyBear::ZERO, BabyBear::ZERO],
            );
        }
        let main = self.load_cap(&values.main);
        transcript.observe_cap(self, &main);
        for &value in public_values.iter().flatten() {
            transcript.observe(self, value);
        }
        let preprocessed = shape.preprocessed.as_ref().map(|(roots, _)| {
            let roots: Vec<_> = roots.iter().map(|&root| Constant(root)).collect();
            transcript.observe_cap(self, &roots);
            roots
        });
        let lookup_challenges = shape.has_lookups().then(|| {
            let bits = shape.params.lookup_proof_of_work_bits();
            if bits > 0 {
                let witness = self.load(values.lookup_witness);
                transcript.check_witness(self, bits, witness);
            }
            let alpha = transcript.sample_ext(self);
            let beta = transcript.sample_ext(self);
            self.lookup_challenges(shape, alpha, beta)
        });
        let permutation = values.permutation.as_ref().map(|cap| {
            let cap = self.load_cap(cap);
            transcript.observe_cap(self, &cap);
            cap
        });
        let terminals = values
            .terminals
            .iter()
            .map(|terminal| {
                terminal.map(|terminal| {
                    let terminal = self.load_ext(terminal);
                    transcript.observe_ext(self, terminal);
                    Ext::from(terminal)
                })
            })
            .collect();
        let alpha = transcript.sample_ext(self);
        let quotient = self.load_cap(&values.quotient);
        transcript.observe_cap(self, &quotient);
        let zeta = transcript.sample_ext(self);
        let caps = [Some(main), Some(quotient), preprocessed, permutation];
        let rounds = self.load_openings(shape, values, caps, transcript);
        Replayed {
            lookup_challenges: lookup_challenges
                .unwrap_or_else(|| vec![vec![]; shape.instances.len()]),
            terminals,
            alpha,
            zeta,
            rounds,
        }
    }

    /// The claimed values of the openings, absorbed in order.
    fn load_openings(
        &mut self,
        shape: &Shape,
        values: &Values,
        caps: [Option<Vec<QuantumCell<Fr>>>; 4],
        transcript: &mut Transcript,
    ) -> Vec<Round> {
        transcript.observe_seed(self, &shape.pcs_seed);
        let mut load = |board: &mut Self, row: &[Challenge]| -> Vec<Ext> {
            row.iter()
                .map(|&value| {
                    let value = board.load_ext(value);
                    transcript.observe_ext(board, value);
                    Ext::from(value)
                })
                .collect()
        };
        let rounds = caps
            .into_iter()
            .flatten()
            .zip(shape.rounds())
            .zip(&values.opened);
        rounds
            .map(|((cap, shapes), opened)| {
                let matrices = shapes
                    .into_iter()
                    .zip(opened)
                    .map(|(shape, opened)| Opening {
                        shape,
                        local: load(self, &opened.local),
                        next: opened.next.as_ref().map(|next| load(self, next)),
                    })
                    .collect();
                Round { cap, matrices }
            })
            .collect()
    }

    /// Constraints against quotients, and the sum of the terminals.
    fn verify_instances(
        &mut self,
        shape: &Shape,
        public_values: &[Vec<Observed>],
        replayed: &Replayed,
    ) {
        let mut quotients = replayed.rounds[1].matrices.iter();
        let mut openings = replayed.rounds[2..].iter();
        let mut preprocessed = shape
            .preprocessed
            .as_ref()
            .and_then(|_| openings.next())
            .map(|r| r.matrices.iter());
        let mut permutations = openings.next().map(|round| round.matrices.iter());
        for (i, instance) in shape.instances.iter().enumerate() {
            let chunks: Vec<_> = quotients
                .by_ref()
                .take(1 << instance.log_chunks)
                .map(|c| c.local.as_slice())
                .collect();
            let quotient = self.quotient(instance.log_height, replayed.zeta, &chunks);
            let main = rows(Some(&replayed.rounds[0].matrices[i]));
            let preprocessed = (instance.preprocessed_width > 0)
                .then(|| preprocessed.as_mut().and_then(Iterator::next))
                .flatten();
            let permutation = (!instance.lookups.is_empty())
                .then(|| permutations.as_mut().and_then(Iterator::next))
                .flatten();
            let permutation = rows(permutation).map(|row| {
                row.chunks_exact(4)
                    .map(|column| self.ext_compose(column))
                    .collect::<Vec<_>>()
            });
            let public_values: Vec<_> = public_values[i]
                .iter()
                .map(|&value| match value {
                    Observed::Constant(value) => Number::Constant(value.into()),
                    Observed::Cell(cell) => Number::Base(cell.into()),
                })
                .collect();
            let window = Window {
                main,
                preprocessed: rows(preprocessed),
                permutation: permutation.each_ref().map(Vec::as_slice),
                challenges: &replayed.lookup_challenges[i],
                terminal: replayed.terminals[i],
                public_values: &public_values,
                selectors: self.selectors(instance.log_height, replayed.zeta),
            };
            self.verify_constraints(instance, &window, replayed.alpha, quotient);
        }
        self.verify_terminal_sum(&replayed.terminals);
    }

    /// Loads the roots of a cap. Any word is a root.
    pub(crate) fn load_cap(&mut self, cap: &[Fr]) -> Vec<QuantumCell<Fr>> {
        self.load_words(cap).into_iter().map(Existing).collect()
    }

    /// Loads words that are hashed only.
    pub(crate) fn load_words(&mut self, words: &[Fr]) -> Vec<AssignedValue<Fr>> {
        self.main()
            .assign_region(words.iter().map(|&word| Witness(word)), []);
        (0..words.len())
            .rev()
            .map(|i| self.back(i as isize + 1))
            .collect()
    }

    /// Loads an element of the extension with canonical coefficients.
    pub(crate) fn load_ext(&mut self, element: Challenge) -> [Canonical; 4] {
        crate::gadget::coefficients(element).map(|coefficient| self.load(coefficient))
    }
}

/// What the transcript gave before the opening argument.
struct Replayed {
    /// By instance.
    lookup_challenges: Vec<Vec<Ext>>,
    terminals: Vec<Option<Ext>>,
    alpha: Ext,
    zeta: Ext,
    rounds: Vec<Round>,
}

/// A matrix at zeta and at the next point; empty where it is not opened.
fn rows(opening: Option<&Opening>) -> [&[Ext]; 2] {
    opening.map_or([&[], &[]], |opening| {
        [&opening.local, opening.next.as_deref().unwrap_or(&[])]
    })
}
