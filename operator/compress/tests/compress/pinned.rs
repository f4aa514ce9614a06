//! The keys that are part of the program, and the file that a prover needs for them.

use std::fs;
use std::sync::Arc;

use froben_circuits::Params;
use froben_compress::kzg::Halo2Msm;
use froben_compress::{Compressor, Error, Phase, Pinned, make_keys_file};

#[test]
fn pinned_keys_suit_their_parameters_and_a_contract() {
    for params in Params::ALL {
        let pinned = Pinned::of(params);
        assert_eq!(pinned.params, params);
        assert_eq!(pinned.key.inputs(), 1);
        let [gate, lookup, permutation] = pinned.key.columns().counts();
        assert!(gate + permutation <= 8 && lookup == 1, "{params}");
    }
}

/// Where this fails, `make_snark_keys` is to be run: some circuit is another.
#[test]
fn the_pinned_dev_key_is_of_this_versions_circuits() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = make_keys_file(Params::Dev, directory.path()).expect("the file");
    let pinned = Pinned::of(Params::Dev);
    let length = fs::metadata(&file).expect("it is there").len();
    assert_eq!(length, pinned.keys_file_length());
    let open = |path| Compressor::open(Params::Dev, path, Arc::new(Halo2Msm), &|_: Phase| {});
    let compressor = open(&file).expect("a compressor");
    assert_eq!(compressor.pinned().key.digest(), pinned.key.digest());
    drop(compressor);

    let mut bytes = fs::read(&file).expect("its bytes");
    bytes[1000] ^= 1;
    fs::write(&file, bytes).expect("written");
    assert!(
        matches!(open(&file), Err(Error::Setup { .. })),
        "another file"
    );
    let made = make_keys_file(Params::Dev, directory.path());
    assert!(
        matches!(made, Err(Error::Setup { .. })),
        "it is kept as it is"
    );
    let absent = directory.path().join("absent");
    assert!(matches!(open(&absent), Err(Error::Setup { .. })), "no file");
}
