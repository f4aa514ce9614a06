//! Setup, keys, SNARK and contract of the example.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use froben_compress::evm::{calldata, inner_calldata, inner_contract, outer_contract};
use froben_compress::kzg::{Bases, Halo2Msm, Keys, Msm, Origin, Setup, Snark};
use froben_compress::layer::Params;
use froben_compress::verifier::Values;
use halo2_base::halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine};
use revm::primitives::Address;

use crate::chain::Chain;
use crate::example::{layer, proof};
use crate::solc::compile;

const K: u32 = 17;
const TEMPORARY: &str = env!("CARGO_TARGET_TMPDIR");

/// The keys of the example and a SNARK, made once: they take a minute.
pub(crate) struct Shared {
    pub(crate) setup: Arc<Setup>,
    pub(crate) keys: Keys,
    pub(crate) snark: Snark,
    /// Which lists the sums were over, and their lengths.
    sums: Vec<(Bases, usize)>,
}

/// halo2's own, writing down what it was asked for.
#[derive(Default)]
struct Counted(Mutex<Vec<(Bases, usize)>>);

impl Msm for Counted {
    fn msm(&self, bases: Bases, scalars: &[Fr], points: &[G1Affine]) -> G1 {
        self.0.lock().expect("no panic").push((bases, points.len()));
        Halo2Msm.msm(bases, scalars, points)
    }
}

pub(crate) fn shared() -> &'static Shared {
    static SHARED: LazyLock<Shared> = LazyLock::new(|| {
        let layer = layer(Params::Dev);
        let (proof, public) = proof(&layer);
        let shape = layer.shape().expect("a shape");
        let values = Values::new(&shape, &proof, &public).expect("values of the shape");
        let mut timer = Timer(Instant::now());
        let setup = Arc::new(Setup::dev(K));
        timer.lap("setup");
        let keys = Keys::generate(&shape, setup.clone()).expect("keys");
        timer.lap("keys");
        let counted = Arc::new(Counted::default());
        let snark = keys
            .prove(&shape, &values, counted.clone())
            .expect("a proof that verifies");
        timer.lap("proof");
        println!(
            "{:?} columns, proof {} bytes",
            keys.columns().counts(),
            snark.proof.len()
        );
        let sums = counted.0.lock().expect("no panic").clone();
        Shared {
            setup,
            keys,
            snark,
            sums,
        }
    });
    &SHARED
}

/// Puts both contracts on a chain: the addresses of the inner and the outer one.
fn deploy(chain: &mut Chain, shared: &Shared) -> (Address, Address) {
    let source = inner_contract(shared.keys.verifying()).expect("a contract");
    let (inner, inner_bytes) = chain.deploy(compile(TEMPORARY.as_ref(), &source));
    assert!(inner_bytes < 24_576, "{inner_bytes} bytes");
    let source = outer_contract(shared.keys.verifying(), shared.snark.proof.len());
    let mut code = compile(TEMPORARY.as_ref(), &source);
    // The constructor's argument: the address as a word.
    code.extend([0; 12]);
    code.extend(inner);
    let (outer, outer_bytes) = chain.deploy(code);
    println!("inner contract {inner_bytes} bytes, outer {outer_bytes}");
    (inner, outer)
}

#[test]
fn a_contract_accepts_the_snark_and_nothing_else() {
    let shared = shared();
    let mut chain = Chain::new();
    let (_, outer) = deploy(&mut chain, shared);
    let call = chain.call(outer, calldata(&shared.snark));
    println!("{} gas", call.gas);
    assert!(holds(&call.output));
    assert!(call.gas <= 550_000, "{} gas", call.gas);
    let mut accepts = |snark: &Snark| holds(&chain.call(outer, calldata(snark)).output);
    for i in 0..shared.snark.inputs.len() {
        for byte in 0..32 {
            let mut bad = shared.snark.clone();
            bad.inputs[i][byte] ^= 1;
            assert!(!accepts(&bad), "byte {byte} of input {i}");
        }
    }
    for i in 0..shared.snark.proof.len() {
        let mut bad = shared.snark.clone();
        bad.proof[i] ^= 1;
        assert!(!accepts(&bad), "byte {i}");
    }
}

/// The same input plus the modulus is the same to the inner contract; the outer one refuses it.
#[test]
fn inputs_that_are_not_canonical_are_refused() {
    let shared = shared();
    let mut chain = Chain::new();
    let (inner, outer) = deploy(&mut chain, shared);
    let mut bad = shared.snark.clone();
    bad.inputs[0] = plus_modulus(bad.inputs[0]);
    assert!(
        chain.call(inner, inner_calldata(&bad)).output.is_some(),
        "the inner contract reduces"
    );
    assert!(chain.call(outer, calldata(&bad)).output.is_none());
}

#[test]
fn other_lengths_are_refused() {
    let shared = shared();
    let mut chain = Chain::new();
    let (_, outer) = deploy(&mut chain, shared);
    let changes: [fn(&mut Snark); 4] = [
        |snark| snark.proof.push(0),
        |snark| snark.proof.truncate(snark.proof.len() - 1),
        |snark| snark.inputs.push([0; 32]),
        |snark| snark.inputs.truncate(snark.inputs.len() - 1),
    ];
    for change in changes {
        let mut bad = shared.snark.clone();
        change(&mut bad);
        assert!(chain.call(outer, calldata(&bad)).output.is_none());
    }
}

/// All commitments go to the caller's sums: over whole lists, and over both.
#[test]
fn the_callers_sums_are_used() {
    let sums = &shared().sums;
    assert!(sums.iter().all(|&(_, length)| length == 1 << K));
    for bases in [Bases::Lagrange, Bases::Powers] {
        assert!(sums.iter().any(|&(of, _)| of == bases), "{bases:?}");
    }
}

#[test]
fn a_proof_that_does_not_hold_gives_an_error() {
    let shared = shared();
    let layer = layer(Params::Dev);
    let (mut bad, public) = proof(&layer);
    bad.opening_proof.final_poly.swap(0, 1);
    let shape = layer.shape().expect("a shape");
    let values = Values::new(&shape, &bad, &public).expect("values of the shape");
    let error = shared
        .keys
        .prove(&shape, &values, Arc::new(Halo2Msm))
        .expect_err("it does not hold");
    assert!(error.to_string().contains("does not hold"), "{error}");
    assert_eq!(shared.setup.origin(), Origin::Dev);
}

fn plus_modulus(input: [u8; 32]) -> [u8; 32] {
    let modulus = (-Fr::one()).to_bytes();
    // -1 is the modulus less one.
    let mut carry = 1;
    std::array::from_fn(|i| {
        let sum = u16::from(input[i]) + u16::from(modulus[i]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

fn holds(output: &Option<Vec<u8>>) -> bool {
    let mut yes = vec![0; 32];
    yes[31] = 1;
    output.as_ref() == Some(&yes)
}

struct Timer(Instant);

impl Timer {
    fn lap(&mut self, what: &str) {
        println!("{what}: {:.1} s", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}
