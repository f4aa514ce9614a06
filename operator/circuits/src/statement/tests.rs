use expect_test::expect;

use super::*;
use crate::digest;

#[test]
fn digests_of_known_inputs() {
    // Keccak-256 and SHA-256 of "abc" from FIPS 180-4 and the Keccak team's vectors; BLAKE3 of one
    // zero byte and the Poseidon2 encoding as pinned by this repository.
    assert_eq!(
        hex::encode(digest::keccak256(b"abc")),
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    );
    assert_eq!(
        hex::encode(digest::sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        hex::encode(digest::blake3(b"abc")),
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    );
    expect!["96fdcf75fa9bb56af8ed760f0d47fa3dadce5a62325c622089eeb254bbf40f72"]
        .assert_eq(&hex::encode(digest::poseidon2(b"abc")));
}

#[test]
fn poseidon2_separates_inputs_that_pad_alike() {
    let inputs: [&[u8]; 5] = [b"a", b"a\0", b"a\x01", &[1; 23], &[1; 24]];
    for (i, a) in inputs.iter().enumerate() {
        for b in &inputs[..i] {
            assert_ne!(digest::poseidon2(a), digest::poseidon2(b), "{a:?} {b:?}");
        }
    }
}

/// The point depends on each thing that is claimed.
#[test]
fn the_point_depends_on_every_claim() {
    let digests = Digests::compute(b"abc");
    let point = link_point(1, 3, &digests);
    expect!["d281fc42951de174eac5832c418d5140"].assert_eq(&hex::encode(fingerprint_bytes(point)));
    assert_ne!(point, link_point(2, 3, &digests));
    assert_ne!(point, link_point(1 + (1 << 16), 3, &digests));
    assert_ne!(point, link_point(1, 4, &digests));
    for circuit in Circuit::ALL {
        for byte in [0, 13, 31] {
            let mut other = digests;
            other.of_mut(circuit)[byte] ^= 0x80;
            assert_ne!(point, link_point(1, 3, &other), "{circuit} {byte}");
        }
    }
}

#[test]
fn fingerprints() {
    let r = field::challenge([3, 5, 7, 11].map(Val::from_u32));
    assert_eq!(fingerprint(&[9], r), Challenge::from_u32(9));
    assert_eq!(
        fingerprint(&[9, 8, 7], r),
        Challenge::from_u32(9) + r * Val::from_u32(8) + r * r * Val::from_u32(7)
    );
    assert_eq!(fingerprint_from_bytes(&fingerprint_bytes(r)).unwrap(), r);
    let mut unreduced = fingerprint_bytes(r);
    unreduced[8..12].copy_from_slice(&Val::ORDER_U32.to_le_bytes());
    assert!(fingerprint_from_bytes(&unreduced).is_err());
}

#[test]
fn segments_have_1_to_4096_bytes() {
    for (len, ok) in [(0, false), (1, true), (4096, true), (4097, false)] {
        assert_eq!(Statement::compute(&vec![1; len], 0).is_ok(), ok, "{len}");
    }
}
