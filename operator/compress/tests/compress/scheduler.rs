//! The chain from a scheduler's proof to the contract, over a circuit that stands for the scheduler: it publishes a digest
//! of the prover's, in the same tables and under the same parameters.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use froben_circuits::Params;
use froben_circuits::config::{Challenge, StockPcs, stock};
use froben_compress::evm::{calldata, inner_contract, outer_contract};
use froben_compress::kzg::{Halo2Msm, Setup};
use froben_compress::layer::Val;
use froben_compress::{Compressor, DIGEST, Error, FinalProof, Phase, Pinned, log_rows};
use froben_recursion::aggregate::Proved;
use froben_recursion::{Builder, ProvingKey};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};

use crate::chain::Chain;
use crate::solc::compile;

const PARAMS: Params = Params::Dev;
const LENGTH: u64 = 12_345;

/// A circuit that publishes two packs of the prover's, with so many products beside.
fn circuit(products: usize) -> ProvingKey<StockPcs> {
    let mut b = Builder::new();
    let packs = [b.input(), b.input()];
    b.publish(&packs);
    for _ in 0..products {
        b.mul(packs[0], packs[1]);
    }
    ProvingKey::new(&stock(PARAMS), b.finish(), None).expect("a key")
}

fn digest() -> [Val; DIGEST] {
    std::array::from_fn(|i| Val::from_u32(0x7700_0000 + 1234 * i as u32))
}

/// A proof that publishes `digest`.
fn proved(key: &ProvingKey<StockPcs>, digest: [Val; DIGEST]) -> Proved {
    let packs = digest.as_chunks::<4>().0.iter();
    let packs: Vec<_> = packs
        .map(|pack| Challenge::from_basis_coefficients_fn(|i| pack[i]))
        .collect();
    let (proof, publics) = key.prove(&stock(PARAMS), &packs).expect("a proof");
    Proved {
        key: key.verifying(),
        publics,
        proof,
    }
}

/// Keys over the circuit and a final proof under them, made once: they take minutes.
struct Shared {
    circuit: ProvingKey<StockPcs>,
    compressor: Compressor,
    made: FinalProof,
    phases: Vec<Phase>,
}

fn shared() -> &'static Shared {
    static SHARED: LazyLock<Shared> = LazyLock::new(|| {
        let circuit = circuit(1);
        let setup = Arc::new(Setup::dev(log_rows(PARAMS)));
        let (pinned, last_layer, keys) =
            Pinned::make(PARAMS, &circuit.verifying(), setup).expect("keys");
        let compressor = Compressor::of(pinned, last_layer, keys, Arc::new(Halo2Msm));
        let phases = Mutex::new(vec![]);
        let note = |phase| phases.lock().expect("no panic").push(phase);
        let made = compressor
            .compress(&proved(&circuit, digest()), LENGTH, &note)
            .expect("a final proof");
        Shared {
            circuit,
            compressor,
            made,
            phases: phases.into_inner().expect("no panic"),
        }
    });
    &SHARED
}

#[test]
fn a_schedulers_proof_becomes_a_final_one() {
    let shared = shared();
    let pinned = shared.compressor.pinned();
    assert_eq!(
        shared.made.verify_under(pinned).expect("it holds"),
        digest()
    );
    assert_eq!(shared.made.length(), LENGTH);
    assert!(shared.made.to_bytes().len() <= 5 << 10);
    assert_eq!(
        shared.phases,
        [Phase::Scheduler, Phase::Proof, Phase::Snark]
    );
    let again = FinalProof::from_bytes(&shared.made.to_bytes()).expect("a final proof");
    assert_eq!(again, shared.made);
}

/// The keys of this circuit are not those of the real scheduler, and nobody takes the one for the other.
#[test]
fn a_proof_under_another_schedulers_keys_is_refused() {
    let shared = shared();
    assert!(matches!(shared.made.verify(), Err(Error::Snark(_))));
    let pinned = shared.compressor.pinned();
    let read = Pinned::from_bytes(&pinned.to_bytes()).expect("keys");
    assert!(shared.made.verify_under(&read).is_ok());
}

#[test]
fn what_is_no_proof_of_the_scheduler_is_not_compressed() {
    let shared = shared();
    let refused = |proved: &Proved| {
        let made = shared.compressor.compress(proved, LENGTH, &|_| {});
        matches!(made, Err(Error::Scheduler(_)))
    };
    let other = proved(&circuit(50), digest());
    assert!(refused(&other), "another circuit");
    let mut posing = other;
    posing.key = shared.circuit.verifying();
    assert!(refused(&posing), "a proof of another circuit under the key");
    let mut changed = proved(&shared.circuit, digest());
    changed.publics[3] += Val::ONE;
    assert!(refused(&changed), "another digest");
    let mut longer = proved(&shared.circuit, digest());
    longer.publics[8] = Val::ONE;
    assert!(refused(&longer), "something else published");
}

#[test]
fn a_contract_accepts_the_final_proof() {
    let shared = shared();
    let key = &shared.compressor.pinned().key;
    let snark = shared.made.snark(key);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut chain = Chain::new();
    let source = inner_contract(key).expect("a contract");
    let (inner, bytes) = chain.deploy(compile(directory, &source));
    assert!(bytes < 24_576, "{bytes} bytes");
    let mut code = compile(directory, &outer_contract(key, snark.proof.len()));
    code.extend([0; 12]);
    code.extend(inner);
    let (outer, _) = chain.deploy(code);
    let call = chain.call(outer, calldata(&snark));
    println!("{bytes} bytes, {} gas", call.gas);
    assert_eq!(
        call.output.and_then(|output| output.last().copied()),
        Some(1)
    );
    assert!(call.gas <= 550_000, "{} gas", call.gas);
    for byte in 0..32 {
        let mut bad = snark.clone();
        bad.inputs[0][byte] ^= 1;
        let output = chain.call(outer, calldata(&bad)).output;
        assert!(output.is_none_or(|output| output.last() == Some(&0)));
    }
}
