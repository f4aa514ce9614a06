//! What a proof of each circuit is bound to, and what is refused.

use std::sync::OnceLock;

use p3_air::check_all_constraints;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::LookupTerminal;
use p3_uni_stark::{OpenedValues, PreprocessedOpenedValues};

use super::*;
use crate::circuit::{AirVisitor, CircuitAir};
use crate::public::{DIGEST, LEN, POINT};
use crate::statement::Digests;

const LEN_BYTES: usize = 137;

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + 11 * i + len) as u8).collect()
}

fn witness(len: usize) -> Witness {
    Witness::compute(message(len), 5).unwrap()
}

fn proved(circuit: Circuit, witness: &Witness) -> Vec<u8> {
    prove(&stock(Params::Dev), circuit, witness).unwrap()
}

/// One honest proof per circuit, of [`LEN_BYTES`] bytes.
fn honest(circuit: Circuit) -> &'static [u8] {
    static PROOFS: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    let proofs = PROOFS.get_or_init(|| Circuit::ALL.map(|it| proved(it, &witness(LEN_BYTES))));
    &proofs[circuit as usize]
}

fn refused(circuit: Circuit, statement: &Statement, proof: &[u8]) -> bool {
    match verify(Params::Dev, circuit, statement, proof) {
        Ok(()) => false,
        Err(Error::Refused {
            circuit: named,
            cause,
        }) => {
            assert_ne!(cause, "the verifier panicked");
            named == circuit
        }
        Err(other) => panic!("{circuit}: {other}"),
    }
}

#[test]
fn honest_proofs_verify() {
    for circuit in Circuit::ALL {
        let statement = witness(LEN_BYTES).statement;
        verify(Params::Dev, circuit, &statement, honest(circuit)).unwrap();
    }
    for len in [1, 4096] {
        for circuit in Circuit::ALL {
            let witness = witness(len);
            let proof = proved(circuit, &witness);
            verify(Params::Dev, circuit, &witness.statement, &proof).unwrap();
        }
    }
}

/// The index is the exception: it is bound by the transcript, which the next test shows.
#[test]
fn constraints_bind_every_public_value_but_the_index() {
    let witness = witness(100);
    let r = witness.statement.link().r;
    for circuit in Circuit::ALL {
        let honest = circuit.public_values(&witness.statement).unwrap();
        with_air!(circuit, air => {
            let trace = air.trace(&witness.bytes, r);
            let accepted = |values: &[Val]| check_all_constraints(&air, &trace, values, Some(1)).is_ok();
            assert!(accepted(&honest), "{circuit}");
            for place in LEN..honest.len() {
                let mut values = honest.clone();
                values[place] += Val::ONE;
                assert!(!accepted(&values), "{circuit} does not bind public value {place}");
            }
        });
    }
}

#[test]
fn a_proof_proves_no_other_statement() {
    let honest_statement = witness(LEN_BYTES).statement;
    let mut others = vec![
        (
            "index",
            Statement {
                index: 6,
                ..honest_statement
            },
        ),
        (
            "length",
            Statement {
                len: 138,
                ..honest_statement
            },
        ),
        (
            "fingerprint",
            Statement {
                f: honest_statement.f + Challenge::ONE,
                ..honest_statement
            },
        ),
    ];
    for tampered in Circuit::ALL {
        for byte in [0, 31] {
            let mut other = honest_statement;
            other.digests.of_mut(tampered)[byte] ^= 1;
            others.push((tampered.name(), other));
        }
    }
    for (what, other) in others {
        for circuit in Circuit::ALL {
            assert!(
                refused(circuit, &other, honest(circuit)),
                "{circuit} with another {what}"
            );
        }
    }
}

#[test]
fn a_proof_holds_at_its_point_only() {
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        let mut values = circuit.public_values(&statement).unwrap();
        let verdict = |values: &[Val]| with_air!(circuit, air => verify_with(Params::Dev, &air, values.to_vec(), honest(circuit)));
        assert_eq!(verdict(&values), Ok(()), "{circuit}");
        for place in POINT..DIGEST {
            values[place] += Val::ONE;
            assert!(verdict(&values).is_err(), "{circuit} {place}");
            values[place] -= Val::ONE;
        }
    }
}

#[test]
fn altered_proofs_are_refused() {
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        let proof = honest(circuit);
        // An odd step, so that all offsets within an element come up.
        let ends = (0..8).chain(proof.len() - 8..proof.len());
        for at in ends.chain((0..proof.len()).step_by((proof.len() / 30) | 1)) {
            let mut altered = proof.to_vec();
            altered[at] ^= 1 << (at % 8);
            assert!(
                refused(circuit, &statement, &altered),
                "{circuit}: byte {at}"
            );
        }
        for len in [0, 1, proof.len() / 2, proof.len() - 1] {
            assert!(
                refused(circuit, &statement, &proof[..len]),
                "{circuit}: {len} bytes"
            );
        }
        let longer = [proof, &[0]].concat();
        assert!(
            refused(circuit, &statement, &longer),
            "{circuit}: a byte more"
        );
    }
}

fn opened(proof: &mut BatchProof<StockConfig>) -> &mut OpenedValues<Challenge> {
    &mut proof.opened_values.instances[0].base_opened_values
}

/// Proofs that decode well and have a shape that no prover gives them.
#[test]
fn misshapen_proofs_are_refused() {
    type Tamper = fn(&mut BatchProof<StockConfig>);
    let tampers: &[(&str, Tamper)] = &[
        ("a lower trace", |it| it.degree_bits[0] -= 1),
        ("a huge trace", |it| it.degree_bits[0] = 27),
        ("an impossible trace", |it| it.degree_bits[0] = usize::MAX),
        ("no trace", |it| it.degree_bits.clear()),
        ("a second trace", |it| {
            it.degree_bits.push(it.degree_bits[0])
        }),
        ("no opened instance", |it| {
            it.opened_values.instances.clear()
        }),
        ("no terminal of an instance", |it| {
            it.lookup_terminals.clear()
        }),
        ("a terminal of lookups", |it| {
            it.lookup_terminals[0] = Some(LookupTerminal(Challenge::ZERO))
        }),
        ("a terminal of a second instance", |it| {
            it.lookup_terminals.push(None)
        }),
        ("a witness of lookup work", |it| {
            it.lookup_pow_witness = Some(Val::ZERO)
        }),
        ("a permutation commitment", |it| {
            it.commitments.permutation = Some(it.commitments.main.clone())
        }),
        ("a masking commitment", |it| {
            it.commitments.random = Some(it.commitments.main.clone())
        }),
        ("a permutation row", |it| {
            it.opened_values.instances[0]
                .permutation_local
                .push(Challenge::ZERO)
        }),
        ("a next permutation row", |it| {
            it.opened_values.instances[0]
                .permutation_next
                .push(Challenge::ZERO)
        }),
        ("a preprocessed row", |it| {
            opened(it).preprocessed = Some(PreprocessedOpenedValues {
                local: vec![],
                next: None,
            })
        }),
        ("a cell less", |it| {
            opened(it).trace_local.pop();
        }),
        ("a cell more", |it| {
            opened(it).trace_local.push(Challenge::ZERO)
        }),
        ("no next row", |it| opened(it).trace_next = None),
        ("an empty next row", |it| {
            opened(it).trace_next = Some(vec![])
        }),
        ("a quotient chunk less", |it| {
            opened(it).quotient_chunks.pop();
        }),
        ("a short quotient chunk", |it| {
            opened(it).quotient_chunks[0].pop();
        }),
        ("a masking polynomial", |it| {
            opened(it).random = Some(vec![])
        }),
        ("another witness of no work", |it| {
            it.ood_pow_witness = Val::ONE
        }),
        ("other witnesses of no work", |it| {
            for witness in &mut it.opening_proof.commit_pow_witnesses {
                *witness += Val::ONE;
            }
        }),
        ("witnesses of no work missing", |it| {
            it.opening_proof.commit_pow_witnesses.clear()
        }),
        ("another witness of batching work", |it| {
            it.opening_proof.batch_pow_witness += Val::ONE;
        }),
        ("another witness of query work", |it| {
            it.opening_proof.query_pow_witness += Val::ONE;
        }),
        ("a layer less", |it| {
            it.opening_proof.commit_phase_commits.pop();
        }),
        ("no layers", |it| {
            it.opening_proof.commit_phase_commits.clear()
        }),
        ("a layer's opening less", |it| {
            it.opening_proof.commit_phase_openings.pop();
        }),
        ("a layer opened at fewer places", |it| {
            it.opening_proof.commit_phase_openings[0]
                .sibling_values
                .pop();
        }),
        ("a layer opened at empty places", |it| {
            it.opening_proof.commit_phase_openings[0].sibling_values[0].clear();
        }),
        ("no openings", |it| it.opening_proof.input_openings.clear()),
        ("an opening less", |it| {
            it.opening_proof.input_openings.pop();
        }),
        ("openings at no places", |it| {
            it.opening_proof.input_openings[0].opened_values.clear();
        }),
        ("openings of no matrices", |it| {
            it.opening_proof.input_openings[0].opened_values[0].clear();
        }),
        ("openings of narrower rows", |it| {
            it.opening_proof.input_openings[0].opened_values[0][0].pop();
        }),
        ("a Merkle path less", |it| {
            it.opening_proof.input_openings[0].opening_proof.pop();
        }),
        ("a Merkle path more", |it| {
            let paths = &mut it.opening_proof.input_openings[0].opening_proof;
            paths.push(paths[0].clone());
        }),
        ("a Merkle path of a layer less", |it| {
            it.opening_proof.commit_phase_openings[0]
                .opening_proof
                .pop();
        }),
        ("a Merkle path of a layer more", |it| {
            let paths = &mut it.opening_proof.commit_phase_openings[0].opening_proof;
            paths.push(paths[0].clone());
        }),
        ("a Merkle sibling less", |it| {
            it.opening_proof.input_openings[0].opening_proof[0].pop();
        }),
        ("a Merkle sibling more", |it| {
            it.opening_proof.input_openings[0].opening_proof[0].push([Val::ZERO; 8]);
        }),
        ("a shorter final polynomial", |it| {
            it.opening_proof.final_poly.pop();
        }),
        ("a longer final polynomial", |it| {
            it.opening_proof.final_poly.push(Challenge::ZERO)
        }),
    ];
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        for (what, tamper) in tampers {
            let mut proof = decode(circuit, honest(circuit)).unwrap();
            tamper(&mut proof);
            let bytes = postcard::to_allocvec(&proof).unwrap();
            assert!(
                refused(circuit, &statement, &bytes),
                "{circuit} with {what}"
            );
        }
    }
}

/// The library would read the roots that it needs and never look at the rest. A tampered transcript is
/// refused in any case, so what counts is the reason.
#[test]
fn a_cap_carries_nothing_along() {
    type Cap = fn(&mut BatchProof<StockConfig>) -> &mut Commitment;
    let caps: [Cap; 5] = [
        |it| &mut it.commitments.main,
        |it| {
            let main = it.commitments.main.clone();
            it.commitments.permutation.insert(main)
        },
        |it| {
            let main = it.commitments.main.clone();
            it.commitments.random.insert(main)
        },
        |it| &mut it.commitments.quotient_chunks,
        |it| &mut it.opening_proof.commit_phase_commits[0],
    ];
    let circuit = Circuit::Poseidon2;
    for cap in caps {
        let mut proof = decode(circuit, honest(circuit)).unwrap();
        let cap = cap(&mut proof);
        let roots = [cap.roots(), cap.roots()].concat();
        *cap = roots.into();
        let bytes = postcard::to_allocvec(&proof).unwrap();
        let verdict = verify(Params::Dev, circuit, &witness(LEN_BYTES).statement, &bytes);
        let cause = verdict.unwrap_err().to_string();
        assert!(cause.contains("a Merkle cap has 32 roots"), "{cause}");
    }
}

/// Verifies a decoded proof as another crate would, from what this one makes public.
struct Outsider<'a> {
    proof: &'a BatchProof<StockConfig>,
    values: Vec<Val>,
}

impl AirVisitor for Outsider<'_> {
    type Output = bool;

    fn visit<A: CircuitAir>(self, air: &A) -> bool {
        let config = stock(Params::Dev);
        let common = CommonData::empty(1);
        verify_batch(
            &config,
            slice::from_ref(air),
            self.proof,
            &[self.values],
            &common,
        )
        .is_ok()
    }
}

#[test]
fn what_is_public_suffices_to_verify() {
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        let proof = decode(circuit, honest(circuit)).unwrap();
        let values = circuit.public_values(&statement).unwrap();
        let mut others = values.clone();
        others[LEN] += Val::ONE;
        for (values, holds) in [(values, true), (others, false)] {
            let outsider = Outsider {
                proof: &proof,
                values,
            };
            assert_eq!(circuit.visit(outsider), holds, "{circuit}");
        }
    }
}

/// What fails here is the promise of a version: bundles that were written are not read any more. If it is
/// meant to be broken, the version of the bundle goes up and another proof is kept.
#[test]
fn a_proof_of_bundle_version_2_still_verifies() {
    let kept = include_bytes!("golden/poseidon2-dev.proof");
    let statement = Statement::compute(b"a proof that is kept", 7).unwrap();
    verify(Params::Dev, Circuit::Poseidon2, &statement, kept).unwrap();
}

#[test]
fn a_proof_of_one_circuit_is_none_of_another() {
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        for other in Circuit::ALL.into_iter().filter(|&other| other != circuit) {
            assert!(
                refused(circuit, &statement, honest(other)),
                "{other} as {circuit}"
            );
        }
    }
}

#[test]
fn a_proof_under_one_parameter_set_is_none_under_another() {
    let statement = witness(LEN_BYTES).statement;
    for circuit in Circuit::ALL {
        let verdict = verify(Params::Standard, circuit, &statement, honest(circuit));
        assert!(matches!(verdict, Err(Error::Refused { .. })), "{circuit}");
    }
}

/// The attack that the link is for: every circuit proves its own digest honestly, but one of them
/// of other bytes. Each proof is valid for *some* fingerprint; no fingerprint suits them all.
#[test]
fn circuits_over_different_bytes_share_no_statement() {
    let bytes = message(LEN_BYTES);
    for odd in Circuit::ALL {
        let mut other = bytes.clone();
        other[77] ^= 0x40;
        let mut digests = Digests::compute(&bytes);
        *digests.of_mut(odd) = odd.native_digest(&other);
        let mut statement = Statement {
            index: 5,
            len: 137,
            digests,
            f: Challenge::ZERO,
        };
        let r = statement.link().r;

        let proof_for = |circuit, bytes: &[u8]| {
            let statement = Statement {
                f: fingerprint(bytes, r),
                ..statement
            };
            let proof = proved(
                circuit,
                &Witness {
                    statement,
                    bytes: bytes.to_vec(),
                },
            );
            verify(Params::Dev, circuit, &statement, &proof).unwrap();
            proof
        };
        let same = Circuit::ALL.into_iter().find(|&it| it != odd).unwrap();
        let (same_proof, odd_proof) = (proof_for(same, &bytes), proof_for(odd, &other));

        statement.f = fingerprint(&bytes, r);
        assert!(refused(odd, &statement, &odd_proof), "{odd}");
        statement.f = fingerprint(&other, r);
        assert!(
            refused(same, &statement, &same_proof),
            "{same} beside {odd}"
        );
    }
}

#[test]
fn a_wrong_witness_is_an_error_and_not_a_panic() {
    let honest = witness(LEN_BYTES);
    let config = stock(Params::Dev);
    for circuit in Circuit::ALL {
        let what = |tamper: &dyn Fn(&mut Witness)| {
            let mut witness = honest.clone();
            tamper(&mut witness);
            match prove(&config, circuit, &witness) {
                Err(Error::WrongWitness {
                    circuit: named,
                    what,
                }) if named == circuit => what,
                other => panic!("{circuit}: {other:?}"),
            }
        };
        assert_eq!(
            what(&|it| it.statement.len += 1),
            "the length is not that of the bytes"
        );
        assert_eq!(
            what(&|it| it.bytes[9] ^= 1),
            "the digest is not that of the bytes"
        );
        assert_eq!(
            what(&|it| it.statement.index += 1),
            "the fingerprint is not that of the bytes"
        );
        assert_eq!(
            what(&|it| it.statement.f += Challenge::ONE),
            "the fingerprint is not that of the bytes"
        );
    }
    for len in [0, 4097] {
        let mut witness = honest.clone();
        witness.bytes = message(len);
        assert!(matches!(
            prove(&config, Circuit::Poseidon2, &witness),
            Err(Error::SegmentLength { len: named }) if named == len as u64
        ));
    }
}

#[test]
fn malformed_statements_are_refused() {
    let statement = witness(LEN_BYTES).statement;
    for len in [0, 4097] {
        let verdict = verify(
            Params::Dev,
            Circuit::Keccak256,
            &Statement { len, ..statement },
            honest(Circuit::Keccak256),
        );
        assert!(matches!(verdict, Err(Error::SegmentLength { .. })));
    }
    let mut digests = statement.digests;
    digests.poseidon2[..4].copy_from_slice(&Val::ORDER_U32.to_le_bytes());
    let verdict = verify(
        Params::Dev,
        Circuit::Poseidon2,
        &Statement {
            digests,
            ..statement
        },
        honest(Circuit::Poseidon2),
    );
    assert!(matches!(verdict, Err(Error::NotCanonical { .. })));
}
