//! The final proof's file, and the keys that are part of the program: a golden proof of two segments.

use std::sync::LazyLock;

use froben_circuits::{Params, Statement, Witness};
use froben_compress::{Error, FinalProof, Pinned};

const GOLDEN: &[u8] = include_bytes!("../golden/dev.final");
/// Bytes before the SNARK.
const HEAD: usize = 93;

/// What the golden proof is about: as `make_snark_keys` made it.
static STATEMENTS: LazyLock<Vec<Statement>> = LazyLock::new(|| {
    let statement = |i: u32| {
        let bytes = (0..4096_u32).map(|k| (k * 31 + i) as u8).collect();
        Witness::compute(bytes, i).expect("a segment").statement
    };
    (0..2).map(statement).collect()
});

fn golden() -> FinalProof {
    FinalProof::from_bytes(GOLDEN).expect("a final proof")
}

#[test]
fn the_golden_proof_holds_under_the_pinned_key() {
    let golden = golden();
    assert_eq!((golden.params(), golden.length()), (Params::Dev, 8192));
    assert_eq!(golden.to_bytes(), GOLDEN);
    let held = golden.verify_statements(&STATEMENTS);
    assert!(held.is_ok(), "{held:?}");
}

#[test]
fn other_statements_are_refused() {
    let golden = golden();
    let swapped: Vec<_> = STATEMENTS.iter().rev().copied().collect();
    for statements in [&swapped[..], &STATEMENTS[..1], &[]] {
        assert!(golden.verify_statements(statements).is_err());
    }
}

#[test]
fn production_refuses_dev() {
    assert!(matches!(golden().for_production(), Err(Error::DevParams)));
    // Standard parameters over the dev setup are refused for their key.
    let standard = Pinned::of(Params::Standard).key.clone();
    assert!(matches!(standard.for_production(), Err(Error::DevKey(_))));
}

#[test]
fn parts_of_a_file_and_longer_ones_are_refused() {
    for length in 0..GOLDEN.len() {
        let read = FinalProof::from_bytes(&GOLDEN[..length]);
        assert!(matches!(read, Err(Error::File(_))), "{length} bytes");
    }
    for more in [1, 1000, FinalProof::MAX_BYTES] {
        let mut long = GOLDEN.to_vec();
        long.resize(GOLDEN.len() + more, 0);
        let read = FinalProof::from_bytes(&long);
        assert!(matches!(read, Err(Error::File(_))), "{more} bytes more");
    }
}

/// Bytes of the length are the prover's word, and no part of what is proved.
#[test]
fn changed_bytes_are_refused() {
    let refused = |at: usize| {
        let mut bytes = GOLDEN.to_vec();
        bytes[at] ^= 1;
        match FinalProof::from_bytes(&bytes) {
            Err(_) => true,
            Ok(proof) => proof.verify_statements(&STATEMENTS).is_err(),
        }
    };
    let is_length = |at: usize| (17..25).contains(&at);
    for at in (0..HEAD).chain((HEAD..GOLDEN.len()).step_by(97)) {
        assert_eq!(refused(at), !is_length(at), "byte {at}");
    }
}
