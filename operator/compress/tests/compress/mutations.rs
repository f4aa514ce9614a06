//! Changes of a proof: of each kind of value that it has, and of each length.

use froben_compress::layer::{Challenge, Proof, Val};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::LookupTerminal;

type Change = Box<dyn Fn(&mut Proof, &mut Vec<Vec<Val>>) -> bool>;

/// A change; it says whether there was something to change.
pub(crate) struct Mutation {
    pub(crate) name: String,
    pub(crate) change: Change,
}

/// Adds one to the item at each of some places of a list, truncates it, and repeats its last item.
fn of_list<T: Clone + 'static>(
    name: &str,
    list: impl Fn(&mut Proof) -> Option<&mut Vec<T>> + Clone + 'static,
    bump: impl Fn(&mut T) + Clone + 'static,
) -> Vec<Mutation> {
    let mut mutations = vec![];
    for at in [0, 1, 2, 5, 11, 40] {
        let (list, bump) = (list.clone(), bump.clone());
        mutations.push(Mutation {
            name: format!("{name}[{at}]"),
            change: Box::new(move |proof, _| {
                list(proof)
                    .and_then(|list| list.get_mut(at))
                    .map(&bump)
                    .is_some()
            }),
        });
    }
    let shorter = list.clone();
    mutations.push(Mutation {
        name: format!("{name} shorter"),
        change: Box::new(move |proof, _| shorter(proof).and_then(Vec::pop).is_some()),
    });
    mutations.push(Mutation {
        name: format!("{name} longer"),
        change: Box::new(move |proof, _| {
            let Some(list) = list(proof) else {
                return false;
            };
            let Some(last) = list.last().cloned() else {
                return false;
            };
            list.push(last);
            true
        }),
    });
    mutations
}

fn one(name: &str, change: impl Fn(&mut Proof, &mut Vec<Vec<Val>>) -> bool + 'static) -> Mutation {
    Mutation {
        name: name.to_owned(),
        change: Box::new(change),
    }
}

fn bump_ext(value: &mut Challenge) {
    *value += Challenge::ONE;
}

fn bump_base(value: &mut Val) {
    *value += Val::ONE;
}

/// All changes.
pub(crate) fn mutations() -> Vec<Mutation> {
    let mut all = vec![];
    for i in 0..2 {
        all.extend(of_list(
            &format!("trace {i}"),
            move |p| Some(&mut p.opened_values.instances[i].base_opened_values.trace_local),
            bump_ext,
        ));
        all.extend(of_list(
            &format!("next {i}"),
            move |p| {
                p.opened_values.instances[i]
                    .base_opened_values
                    .trace_next
                    .as_mut()
            },
            bump_ext,
        ));
        all.extend(of_list(
            &format!("preprocessed {i}"),
            move |p| {
                p.opened_values.instances[i]
                    .base_opened_values
                    .preprocessed
                    .as_mut()
                    .map(|o| &mut o.local)
            },
            bump_ext,
        ));
        all.extend(of_list(
            &format!("chunks {i}"),
            move |p| {
                Some(
                    &mut p.opened_values.instances[i]
                        .base_opened_values
                        .quotient_chunks,
                )
            },
            |chunk| bump_ext(&mut chunk[1]),
        ));
        all.extend(of_list(
            &format!("chunk {i}"),
            move |p| {
                p.opened_values.instances[i]
                    .base_opened_values
                    .quotient_chunks
                    .last_mut()
            },
            bump_ext,
        ));
        all.extend(of_list(
            &format!("permutation {i}"),
            move |p| Some(&mut p.opened_values.instances[i].permutation_local),
            bump_ext,
        ));
        all.extend(of_list(
            &format!("permutation next {i}"),
            move |p| Some(&mut p.opened_values.instances[i].permutation_next),
            bump_ext,
        ));
        all.push(one(&format!("no next {i}"), move |p, _| {
            p.opened_values.instances[i]
                .base_opened_values
                .trace_next
                .take()
                .is_some()
        }));
        all.push(one(&format!("no preprocessed {i}"), move |p, _| {
            p.opened_values.instances[i]
                .base_opened_values
                .preprocessed
                .take()
                .is_some()
        }));
        all.push(one(&format!("no terminal {i}"), move |p, _| {
            p.lookup_terminals[i].take().is_some()
        }));
        all.push(one(&format!("public value {i}"), move |_, public| {
            public[i].first_mut().map(bump_base).is_some()
        }));
        all.push(one(&format!("last public value {i}"), move |_, public| {
            public[i].last_mut().map(bump_base).is_some()
        }));
        all.push(one(&format!("public value more {i}"), move |_, public| {
            public[i].push(Val::ONE);
            true
        }));
        all.push(one(&format!("public value less {i}"), move |_, public| {
            public[i].pop().is_some()
        }));
    }
    all.extend(of_list(
        "instances",
        |p| Some(&mut p.lookup_terminals),
        |terminal| {
            if let Some(LookupTerminal(value)) = terminal {
                bump_ext(value);
            }
        },
    ));
    all.push(one("opposite terminals", |p, _| {
        let [Some(a), Some(b)] = p.lookup_terminals.as_mut_slice() else {
            return false;
        };
        a.0 += Challenge::ONE;
        b.0 -= Challenge::ONE;
        true
    }));
    all.extend(of_list(
        "degree bits",
        |p| Some(&mut p.degree_bits),
        |bits| *bits += 1,
    ));
    all.push(one("instances swapped", |p, _| {
        p.opened_values.instances.swap(0, 1);
        true
    }));
    all.push(one("main commitment", |p, _| {
        std::mem::swap(&mut p.commitments.main, &mut p.commitments.quotient_chunks);
        true
    }));
    all.push(one("permutation commitment", |p, _| {
        p.commitments.permutation = Some(p.commitments.main.clone());
        true
    }));
    all.push(one("no permutation commitment", |p, _| {
        p.commitments.permutation.take().is_some()
    }));
    all.push(one("random commitment", |p, _| {
        p.commitments.random = Some(p.commitments.main.clone());
        true
    }));
    all.push(one("work out of domain", |p, _| {
        p.ood_pow_witness += Val::ONE;
        true
    }));
    all.push(one("work before look-ups", |p, _| {
        p.lookup_pow_witness.as_mut().map(bump_base).is_some()
    }));
    all.push(one("no work before look-ups", |p, _| {
        p.lookup_pow_witness.take().is_some()
    }));
    all.push(one("work before batching", |p, _| {
        p.opening_proof.batch_pow_witness += Val::ONE;
        true
    }));
    all.push(one("work before queries", |p, _| {
        p.opening_proof.query_pow_witness += Val::ONE;
        true
    }));
    all.extend(fri());
    all
}

fn fri() -> Vec<Mutation> {
    let mut all = of_list(
        "final polynomial",
        |p| Some(&mut p.opening_proof.final_poly),
        bump_ext,
    );
    all.extend(of_list(
        "work of foldings",
        |p| Some(&mut p.opening_proof.commit_pow_witnesses),
        bump_base,
    ));
    all.extend(of_list(
        "input openings",
        |p| Some(&mut p.opening_proof.input_openings),
        |round| round.opened_values.reverse(),
    ));
    all.extend(of_list(
        "folding openings",
        |p| Some(&mut p.opening_proof.commit_phase_openings),
        |round| round.opening_proof.reverse(),
    ));
    all.push(one("foldings' commitments swapped", |p, _| {
        let commits = &mut p.opening_proof.commit_phase_commits;
        commits.len() > 1 && {
            commits.swap(0, 1);
            true
        }
    }));
    for round in 0..4 {
        all.extend(of_list(
            &format!("rows of queries {round}"),
            move |p| {
                p.opening_proof
                    .input_openings
                    .get_mut(round)
                    .map(|r| &mut r.opened_values)
            },
            |query| bump_base(&mut query[0][0]),
        ));
        all.extend(of_list(
            &format!("paths {round}"),
            move |p| {
                p.opening_proof
                    .input_openings
                    .get_mut(round)
                    .map(|r| &mut r.opening_proof)
            },
            |path| path.reverse(),
        ));
        for query in 0..2 {
            all.extend(of_list(
                &format!("matrices {round} {query}"),
                move |p| {
                    p.opening_proof
                        .input_openings
                        .get_mut(round)
                        .map(|r| &mut r.opened_values[query])
                },
                |row| bump_base(&mut row[0]),
            ));
            all.extend(of_list(
                &format!("row {round} {query}"),
                move |p| {
                    p.opening_proof
                        .input_openings
                        .get_mut(round)
                        .and_then(|r| r.opened_values[query].last_mut())
                },
                bump_base,
            ));
            all.extend(of_list(
                &format!("path {round} {query}"),
                move |p| {
                    p.opening_proof
                        .input_openings
                        .get_mut(round)
                        .map(|r| &mut r.opening_proof[query])
                },
                |word| word[0] += p3_bn254::Bn254::ONE,
            ));
        }
    }
    for round in 0..3 {
        let openings = move |p: &mut Proof| -> Option<usize> {
            (round < p.opening_proof.commit_phase_openings.len()).then_some(round)
        };
        all.extend(of_list(
            &format!("siblings of queries {round}"),
            move |p| {
                openings(p).map(|r| &mut p.opening_proof.commit_phase_openings[r].sibling_values)
            },
            |row| bump_ext(&mut row[0]),
        ));
        for query in 0..2 {
            all.extend(of_list(
                &format!("siblings {round} {query}"),
                move |p| {
                    openings(p).map(|r| {
                        &mut p.opening_proof.commit_phase_openings[r].sibling_values[query]
                    })
                },
                bump_ext,
            ));
            all.extend(of_list(
                &format!("folding path {round} {query}"),
                move |p| {
                    openings(p)
                        .map(|r| &mut p.opening_proof.commit_phase_openings[r].opening_proof[query])
                },
                |word| word[0] += p3_bn254::Bn254::ONE,
            ));
        }
    }
    all
}
