//! Setups and keys: what is refused.

use std::fs;
use std::sync::Arc;

use expect_test::expect;
use froben_compress::Error;
use froben_compress::kzg::{Halo2Msm, Keys, Origin, Setup, VerifyingKey, file_length};
use froben_compress::layer::Params;
use froben_compress::verifier::Values;
use sha2::{Digest, Sha256};

use crate::contract::shared;
use crate::example::{layer, proof};

/// Rows of the setups that are spoilt, base two: small, since each is read whole.
const SMALL: u32 = 4;
const HEAD: usize = 4;
const POINT: usize = 64;

fn directory(name: &str) -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(name)
        .tempdir()
        .expect("a directory")
}

/// Reads a dev setup with some bytes changed as if it were a ceremony's.
fn read_spoilt(spoil: impl Fn(&mut Vec<u8>), k: u32) -> Result<Setup, String> {
    let directory = directory("setup");
    let mut bytes = vec![];
    Setup::dev(SMALL).write(&mut bytes).expect("bytes");
    spoil(&mut bytes);
    let path = directory.path().join("powers");
    fs::write(&path, bytes).expect("written");
    Setup::read(&path, k).map_err(|error| match error {
        Error::Setup { reason, .. } => reason,
        other => other.to_string(),
    })
}

fn swap(bytes: &mut [u8], a: usize, b: usize) {
    let point = |i| HEAD + POINT * i..HEAD + POINT * (i + 1);
    let (first, second) = (bytes[point(a)].to_vec(), bytes[point(b)].to_vec());
    bytes[point(a)].copy_from_slice(&second);
    bytes[point(b)].copy_from_slice(&first);
}

#[test]
fn a_whole_setup_is_read_and_may_be_cut() {
    let setup = read_spoilt(|_| {}, SMALL).expect("it is whole");
    assert_eq!((setup.origin(), setup.k()), (Origin::Ceremony, SMALL));
    assert_eq!(
        read_spoilt(|_| {}, SMALL - 1).expect("it is larger").k(),
        SMALL - 1
    );
}

#[test]
fn spoilt_setups_are_refused() {
    let refused = |spoil: fn(&mut Vec<u8>)| read_spoilt(spoil, SMALL).expect_err("it is spoilt");
    assert!(read_spoilt(|_| {}, SMALL + 1).is_err(), "too small");
    assert!(refused(|bytes| bytes.truncate(100)).contains("bytes instead of"));
    assert!(refused(|bytes| bytes.push(0)).contains("bytes instead of"));
    assert!(refused(|bytes| bytes[0] = 29).contains("2^29"));
    assert!(refused(|bytes| bytes[HEAD + POINT] ^= 1).contains("no curve"));
    assert!(refused(|bytes| swap(bytes, 0, 1)).contains("generators"));
    assert!(refused(|bytes| swap(bytes, 3, 4)).contains("powers of one number"));
    assert!(refused(|bytes| swap(bytes, (1 << SMALL) + 2, (1 << SMALL) + 5)).contains("Lagrange"));
    // The last two points, of 128 bytes each, are the generator and tau times it.
    let one = |bytes: &mut Vec<u8>| {
        let end = bytes.len();
        bytes.copy_within(end - 256..end - 128, end - 128);
    };
    assert!(refused(one).contains("group"));
    let last = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("bytes") ^= 1;
    assert!(read_spoilt(last, SMALL).is_err());
}

#[test]
fn a_known_setup_is_read_by_its_hash() {
    let directory = directory("known");
    let path = directory.path().join("setup");
    let setup = Setup::dev(SMALL);
    setup.save(&path).expect("saved");
    let bytes = fs::read(&path).expect("its file");
    assert_eq!(bytes.len() as u64, file_length(SMALL));
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let read = |k, hash| Setup::read_known(&path, k, Origin::Dev, hash);
    let again = read(SMALL, hash).expect("the same");
    assert_eq!((again.origin(), again.k()), (Origin::Dev, SMALL));
    assert!(read(SMALL + 1, hash).is_err(), "another size");
    let mut other = hash;
    other[31] ^= 1;
    assert!(read(SMALL, other).is_err(), "another file");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    assert!(read(SMALL, hash).is_err(), "a part of the file");
}

/// Machines need the same dev setup to have the same keys.
#[test]
fn the_dev_setup_is_pinned() {
    let mut bytes = vec![];
    Setup::dev(SMALL).write(&mut bytes).expect("bytes");
    let hash = hex::encode(Sha256::digest(&bytes));
    expect!["9aa496d651bf05617495e3f5650c9366e77905640658b330f58227c64e4dfa42"].assert_eq(&hash);
}

#[test]
fn keys_are_a_function_of_circuit_and_setup() {
    let shared = shared();
    let key = shared.keys.verifying();
    assert!(key.name().starts_with("dev-"));
    let bytes = key.to_bytes();
    let read = VerifyingKey::from_bytes(&bytes).expect("a key");
    assert_eq!(read.digest(), key.digest());
    read.verify(&shared.snark).expect("it needs no setup");
    let layer = layer(Params::Dev);
    let shape = layer.shape().expect("a shape");
    let again = Keys::proving(&shape, shared.setup.clone(), read.clone()).expect("keys");
    let (proof, public) = proof(&layer);
    let values = Values::new(&shape, &proof, &public).expect("values of the shape");
    let snark = again
        .prove(&shape, &values, Arc::new(Halo2Msm))
        .expect("a proof");
    key.verify(&snark).expect("either key proves for the other");
    let small = Arc::new(Setup::dev(SMALL));
    assert!(Keys::proving(&shape, small, read).is_err(), "another setup");
    assert!(VerifyingKey::from_bytes(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn production_refuses_dev_keys_and_other_keys() {
    let shared = shared();
    let key = shared.keys.verifying().clone();
    assert!(matches!(
        key.clone().for_production(),
        Err(Error::DevKey(_))
    ));
    let mut other = shared.snark.clone();
    other.key = other.key.replace("dev-", "ceremony-");
    assert!(
        key.verify(&other).is_err(),
        "a proof that calls its key another"
    );
    let mut longer = shared.snark.clone();
    longer.proof.push(0);
    assert!(key.verify(&longer).is_err(), "bytes left over");
    let mut shorter = shared.snark.clone();
    shorter.proof.pop();
    assert!(key.verify(&shorter).is_err(), "a byte missing");
    let mut input = shared.snark.clone();
    input.inputs[0] = [255; 32];
    assert!(key.verify(&input).is_err(), "an input above the modulus");
    input.inputs.pop();
    assert!(key.verify(&input).is_err(), "an input missing");
}
