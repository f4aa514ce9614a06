use std::sync::OnceLock;

use super::*;
use crate::circuit::Circuit;
use crate::config::stock;
use crate::params::Params;
use crate::proof::prove;
use crate::statement::{Digests, Statement, fingerprint};
use crate::witness::Witness;

/// Two segments, the second of them short.
const FILE_BYTES: usize = SEGMENT_BYTES + 10;
/// Where the first segment begins.
const HEADER_BYTES: usize = 13 + 2 + 1 + 3 + 8 + 4;
/// What a segment has before its proofs.
const STATEMENT_BYTES: usize = 4 + 4 + 4 * 32 + 16;

fn file() -> Vec<u8> {
    (0..FILE_BYTES).map(|i| (i * i / 3 + i) as u8).collect()
}

type Proved = (Statement, [Vec<u8>; 4]);

fn proved(witness: &Witness) -> Proved {
    let config = stock(Params::Dev);
    let proofs = Circuit::ALL.map(|circuit| prove(&config, circuit, witness).unwrap());
    (witness.statement, proofs)
}

fn segments() -> &'static [Proved] {
    static SEGMENTS: OnceLock<Vec<Proved>> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        file()
            .chunks(SEGMENT_BYTES)
            .zip(0..)
            .map(|(bytes, index)| proved(&Witness::compute(bytes.to_vec(), index).unwrap()))
            .collect()
    })
}

fn bundle_of(segments: &[Proved], file_len: usize) -> Vec<u8> {
    let mut writer = BundleWriter::new(Vec::new(), Params::Dev, file_len as u64).unwrap();
    for (statement, proofs) in segments {
        let proofs = proofs.each_ref().map(Vec::as_slice);
        writer.segment(statement, proofs).unwrap();
    }
    writer.finish().unwrap()
}

fn bundle() -> Vec<u8> {
    bundle_of(segments(), FILE_BYTES)
}

/// A bundle of the short segment alone, as a file of its own; cheap to verify often.
fn short_bundle() -> &'static [u8] {
    static BUNDLE: OnceLock<Vec<u8>> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let witness = Witness::compute(file()[SEGMENT_BYTES..].to_vec(), 0).unwrap();
        bundle_of(&[proved(&witness)], 10)
    })
}

fn verified(bundle: &[u8]) -> Result<Report, Error> {
    verify_bundle(bundle, None, &mut |_| ())
}

fn verified_with(bundle: &[u8], mut input: &[u8]) -> Result<Report, Error> {
    verify_bundle(bundle, Some(&mut input), &mut |_| ())
}

/// Writes the checksum that the content has, as whoever alters a bundle can.
fn repaired(mut bundle: Vec<u8>) -> Vec<u8> {
    let content = bundle.len() - 32;
    let checksum = blake3::hash(&bundle[..content]);
    bundle[content..].copy_from_slice(checksum.as_bytes());
    bundle
}

/// A message and those of its sources.
fn chain(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}

#[test]
fn an_honest_bundle_verifies() {
    let mut steps = Vec::new();
    let report = verify_bundle(
        bundle().as_slice(),
        Some(&mut file().as_slice()),
        &mut |step| {
            steps.push((step.done, step.total));
        },
    )
    .unwrap();
    assert_eq!(steps, [(1, 2), (2, 2)]);
    assert_eq!(
        (
            report.params,
            report.bytes,
            report.proofs,
            report.input_checked
        ),
        ("dev", FILE_BYTES as u64, 8, true)
    );
    let digests = Digests::compute(&file()[SEGMENT_BYTES..]);
    assert_eq!(report.segments[1].blake3, hex::encode(digests.blake3));
    assert_eq!(report.segments[1].len, 10);
    assert!(!verified(&bundle()).unwrap().input_checked);
}

#[test]
fn another_input_is_named() {
    let with = |input: &[u8]| chain(&verified_with(&bundle(), input).unwrap_err());
    let mut flipped = file();
    flipped[SEGMENT_BYTES + 3] ^= 1;
    assert_eq!(
        with(&flipped),
        "segment 1 is refused: the keccak256 digest is not that of the input file"
    );
    assert_eq!(
        with(&file()[..FILE_BYTES - 1]),
        "the bundle is about 4106 bytes, the input file has only 4105"
    );
    assert_eq!(
        with(&[file(), vec![0]].concat()),
        "the bundle is about 4106 bytes, the input file has more"
    );
    assert_eq!(
        with(&[]),
        "the bundle is about 4106 bytes, the input file has only 0"
    );
}

/// Whoever alters a bundle can repair its checksum, and is refused all the same: at every byte of
/// the header, and at bytes of all digests, of the fingerprint and of all proofs.
#[test]
fn altered_bundles_are_refused() {
    let bundle = short_bundle();
    verified(bundle).unwrap();
    assert_eq!(&bundle[16..19], b"dev");
    let statement = HEADER_BYTES..HEADER_BYTES + STATEMENT_BYTES;
    let proofs = statement.end..bundle.len() - 32;
    let step = (proofs.len() / 40) | 1;
    for at in (0..statement.start + 8)
        .chain(statement.step_by(5))
        .chain(proofs.step_by(step))
    {
        let mut altered = bundle.to_vec();
        altered[at] ^= 1 << (at % 8);
        assert!(verified(&repaired(altered)).is_err(), "byte {at}");
    }
    for at in [bundle.len() - 32, bundle.len() - 1] {
        let mut altered = bundle.to_vec();
        altered[at] ^= 1;
        assert!(
            matches!(verified(&altered), Err(Error::Checksum)),
            "byte {at}"
        );
    }
}

#[test]
fn cut_and_lengthened_bundles_are_refused() {
    let bundle = short_bundle();
    let lens = [
        0,
        1,
        HEADER_BYTES - 1,
        HEADER_BYTES,
        HEADER_BYTES + 9,
        bundle.len() / 2,
    ];
    for len in lens
        .into_iter()
        .chain([bundle.len() - 32, bundle.len() - 1])
    {
        assert_eq!(
            chain(&verified(&bundle[..len]).unwrap_err()),
            "malformed bundle: it ends too early",
            "{len} bytes"
        );
    }
    assert_eq!(
        chain(&verified(&[bundle, &[0]].concat()).unwrap_err()),
        "malformed bundle: bytes follow its checksum"
    );
}

/// Segments made for another place, of another file, or of bytes that differ between circuits.
#[test]
fn segments_cannot_be_moved_or_mixed() {
    let [first, second] = segments() else {
        panic!("two segments");
    };
    let refused =
        |segments: &[Proved], len| chain(&verified(&bundle_of(segments, len)).unwrap_err());
    let is_refused_proof = |message: &str, index: u32| {
        assert!(
            message.starts_with(&format!(
                "segment {index} is refused: the keccak256 proof is refused"
            )),
            "{message}"
        );
    };

    // The second segment as a file of its own.
    let mut moved = second.clone();
    moved.0.index = 0;
    is_refused_proof(&refused(&[moved], 10), 0);

    // The proofs of another segment.
    let swapped = (first.0, second.1.clone());
    is_refused_proof(&refused(&[swapped, second.clone()], FILE_BYTES), 0);

    // A statement of other bytes.
    let other = Statement::compute(&[7; 10], 1).unwrap();
    is_refused_proof(
        &refused(&[first.clone(), (other, second.1.clone())], FILE_BYTES),
        1,
    );
}

#[test]
fn circuits_over_different_bytes_are_refused() {
    let (bytes, other) = ([1; 10], [2; 10]);
    let mut digests = Digests::compute(&bytes);
    digests.poseidon2 = Digests::compute(&other).poseidon2;
    let mut statement = Statement {
        index: 0,
        len: 10,
        digests,
        f: Default::default(),
    };
    let r = statement.link().r;
    let proofs = Circuit::ALL.map(|circuit| {
        let bytes = if circuit == Circuit::Poseidon2 {
            other
        } else {
            bytes
        };
        let witness = Witness {
            statement: Statement {
                f: fingerprint(&bytes, r),
                ..statement
            },
            bytes: bytes.to_vec(),
        };
        prove(&stock(Params::Dev), circuit, &witness).unwrap()
    });
    let mut refusal = |bytes: &[u8]| {
        statement.f = fingerprint(bytes, r);
        let bundle = bundle_of(&[(statement, proofs.clone())], 10);
        chain(&verified(&bundle).unwrap_err())
    };
    let message = refusal(&bytes);
    assert!(
        message.starts_with("segment 0 is refused: the poseidon2 proof"),
        "{message}"
    );
    let message = refusal(&other);
    assert!(
        message.starts_with("segment 0 is refused: the keccak256 proof"),
        "{message}"
    );
}

#[test]
fn a_writer_takes_the_segments_of_the_file_only() {
    let (statement, proofs) = &segments()[0];
    let proofs = proofs.each_ref().map(Vec::as_slice);
    let writer = |len| BundleWriter::new(Vec::new(), Params::Dev, len).unwrap();

    assert!(matches!(
        BundleWriter::new(Vec::new(), Params::Dev, 0),
        Err(Error::FileLength { len: 0 })
    ));
    assert!(matches!(
        BundleWriter::new(Vec::new(), Params::Dev, u64::MAX),
        Err(Error::FileLength { .. })
    ));
    assert!(writer(100).segment(statement, proofs).is_err());
    assert!(writer(8192).segment(&segments()[1].0, proofs).is_err());
    let mut full = writer(4096);
    assert!(full.segment(statement, [&[], &[], &[], &[]]).is_err());

    let mut twice = writer(4096);
    twice.segment(statement, proofs).unwrap();
    assert!(twice.segment(statement, proofs).is_err());
    assert!(writer(4096).finish().is_err());
}

#[test]
fn announced_lengths_are_limited() {
    let mut bundle = short_bundle().to_vec();
    let at = HEADER_BYTES + STATEMENT_BYTES;
    bundle[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        chain(&verified(&bundle).unwrap_err()),
        "malformed bundle: its keccak256 has 4294967295 bytes, more than 4194304"
    );
}

/// A bundle of another version is none of ours whatever follows, so its version is all that is said.
#[test]
fn other_versions_are_refused_by_name() {
    for version in [0u16, 1, 3] {
        let mut bundle = short_bundle().to_vec();
        bundle[13..15].copy_from_slice(&version.to_le_bytes());
        assert_eq!(
            chain(&verified(&bundle).unwrap_err()),
            format!("malformed bundle: it has version {version}, and only version 2 can be read")
        );
    }
}
