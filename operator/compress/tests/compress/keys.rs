//! Setups and keys: what is refused.

use std::fs;

use froben_compress::Error;
use froben_compress::kzg::{Keys, Origin, Setup};

use crate::contract::shared;

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
    Setup::dev(directory.path(), SMALL).expect("a setup");
    let mut bytes = fs::read(Setup::dev_path(directory.path(), SMALL)).expect("its file");
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
fn keys_are_what_their_name_says() {
    let shared = shared();
    let directory = directory("keys");
    let name = shared.keys.verifying().name();
    assert!(name.starts_with("dev-"));
    shared.keys.save(directory.path()).expect("saved");
    let setup = shared.setup.clone();
    let loaded = Keys::load(directory.path(), &name, setup.clone()).expect("loaded");
    assert_eq!(
        loaded.verifying().digest(),
        shared.keys.verifying().digest()
    );
    loaded
        .verifying()
        .verify(&shared.snark)
        .expect("it verifies what the other proved");
    let load = |name: &str| Keys::load(directory.path(), name, setup.clone());
    let copy = |name: &str, change: fn(&mut Vec<u8>)| {
        let mut bytes =
            fs::read(directory.path().join(shared.keys.verifying().name())).expect("a file");
        change(&mut bytes);
        fs::write(directory.path().join(name), bytes).expect("written");
    };
    copy("ceremony-00", |_| {});
    assert!(load("ceremony-00").is_err(), "another name");
    copy("dev-cut", |bytes| bytes.truncate(10));
    assert!(load("dev-cut").is_err(), "a part of a file");
    copy("dev-other", |bytes| bytes[0] ^= 1);
    assert!(load("dev-other").is_err(), "another kind of file");
    assert!(load("dev-absent").is_err(), "no file");
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
