//! The keys are those of the circuits; what travels is read strictly. Whole trees are made where the worker is
//! tested.

use std::io::Cursor;
use std::sync::LazyLock;

use froben_circuits::config::{Challenge, StockPcs, Val, stock};
use froben_circuits::{SEGMENT_BYTES, Witness};
use p3_field::PrimeCharacteristicRing;

use super::*;
use crate::aggregate::{Lists, Proved, batch_digest};
use crate::circuit::{Builder, PACK, PUBLIC_WIRES};
use crate::proof::ProvingKey;

const PARAMS: Params = Params::Dev;

/// A proof of a small circuit that is no circuit of the tree.
fn other_proof() -> Proved {
    let mut b = Builder::new();
    let input = b.input();
    let square = b.mul(input, input);
    b.publish(&[square]);
    let config = stock(PARAMS);
    let key = ProvingKey::<StockPcs>::new(&config, b.finish(), None).expect("fits");
    let (proof, publics) = key.prove(&config, &[Challenge::TWO]).expect("true");
    Proved {
        key: key.verifying(),
        publics,
        proof,
    }
}

static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| other_proof().encode());

fn other() -> Proved {
    Proved::decode(&OTHER).expect("just encoded")
}

fn file(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7) as u8).collect()
}

/// Whoever changes a circuit makes the keys again: `make_tree_keys`.
#[test]
fn the_keys_of_this_crate_are_those_of_its_circuits() {
    for params in Params::ALL {
        let mut told = Vec::new();
        let made = Keys::make(params, &mut |piece, key| told.push((piece, key.clone())));
        let made = made.expect("the circuits fit");
        for piece in Piece::all() {
            assert!(
                told.contains(&(piece, made.key(piece).clone())),
                "{piece} was not told"
            );
        }
        assert!(
            Ok(&made) == Keys::of(params),
            "run the example make_tree_keys with {params}"
        );
    }
}

#[test]
fn keys_are_read_strictly() {
    let good = Keys::of(PARAMS).expect("there are some").encode();
    assert!(Keys::decode(PARAMS, &good).is_ok());
    let mut other_version = good.clone();
    other_version[11] = 2;
    let mut more = good.clone();
    more.push(0);
    for (bytes, why) in [
        (&[][..], "they have not been made yet"),
        (&other_version, "of another version"),
        (&good[..good.len() - 1], "Hit the end of buffer"),
        (&more, "bytes follow them"),
    ] {
        let error = Keys::decode(PARAMS, bytes).expect_err(why);
        assert!(error.contains(why), "{error}, not: {why}");
    }
    let mut other_slots = Keys::decode(PARAMS, &good).expect("as above");
    other_slots.set_slots(Segment::Sha256, 77);
    let error = Keys::decode(PARAMS, &other_slots.encode()).expect_err("other slots");
    assert!(
        error.starts_with("a leaf of sha256 had 77 slots"),
        "{error}"
    );
}

#[test]
fn a_proof_travels_in_one_encoding() {
    let bytes = &*OTHER;
    assert_eq!(other().encode(), *bytes);
    assert_eq!(other().verify(PARAMS), Ok(()));
    let mut other_version = bytes.clone();
    other_version[11] = 2;
    let mut more = bytes.clone();
    more.push(0);
    let fewer_publics = {
        let mut proved = other();
        proved.publics.pop();
        proved.encode()
    };
    let large = vec![0; MAX_PROVED_BYTES + 1];
    for (bytes, why) in [
        (&b"garbage"[..], "does not begin like one"),
        (&other_version, "does not begin like one"),
        (&bytes[..bytes.len() - 1], "unreadable"),
        (&more, "not encoded canonically"),
        (&fewer_publics, "79 public values"),
        (&large, "4194305 bytes are too many"),
    ] {
        let error = Proved::decode(bytes).err().expect(why).to_string();
        assert!(error.contains(why), "{error}, not: {why}");
    }
}

#[test]
fn a_proof_of_another_circuit_is_none_of_the_tree() {
    let keys = Keys::of(PARAMS).expect("there are some");
    let proved = other();
    for piece in Piece::all() {
        let refused = keys.verify(PARAMS, piece, &proved).expect_err("foreign");
        assert!(refused.0.contains(&piece.to_string()), "{refused}");
    }
    let refused = keys.verify_child(PARAMS, Segment::Sha256, &proved);
    let refused = refused.expect_err("foreign");
    assert!(refused.0.contains("lift of sha256"), "{refused}");
    // Under a key that is known it does not hold.
    let posing = Proved {
        key: keys.key(Piece::Lift(Segment::Sha256)).clone(),
        ..proved
    };
    let refused = keys.verify_child(PARAMS, Segment::Sha256, &posing);
    assert!(refused.is_err());
}

#[test]
fn statements_and_lists_are_those_of_the_file() {
    assert!(statements(&[][..]).expect("an empty file").is_empty());
    for (len, lens) in [
        (1, vec![1]),
        (SEGMENT_BYTES, vec![4096]),
        (SEGMENT_BYTES + 3, vec![4096, 3]),
    ] {
        let file = file(len);
        let made = statements(Cursor::new(&file)).expect("a file");
        let expected: Vec<_> = (0..)
            .zip(file.chunks(SEGMENT_BYTES))
            .map(|(i, bytes)| {
                let witness = Witness::compute(bytes.to_vec(), i).expect("a segment");
                witness.statement
            })
            .collect();
        assert_eq!(made, expected);
        assert_eq!(made.iter().map(|it| it.len).collect::<Vec<_>>(), lens);
    }
    let made = statements(&file(2 * SEGMENT_BYTES)[..]).expect("a file");
    let [first, second] = &made[..] else {
        panic!("two segments")
    };
    let segment = Segment::Poseidon2;
    let empty = lists(segment, &[]).expect("no statements");
    assert_eq!(empty, Lists::default());
    let both = empty
        .with(segment, first)
        .and_then(|it| it.with(segment, second));
    assert_eq!(lists(segment, &made).ok(), both.ok());
}

#[test]
fn an_aggregate_is_read_strictly() {
    let file = file(SEGMENT_BYTES + 1);
    let made = statements(&file[..]).expect("a file");
    let digest = batch_digest(&made).expect("statements");
    let aggregate = Aggregate::of_parts(PARAMS, file.len() as u64, digest, other().proof);
    let bytes = aggregate.encode();
    let again = Aggregate::read(&bytes[..]).expect("as it was written");
    assert_eq!(again.params(), PARAMS);
    assert_eq!(again.file_bytes(), file.len() as u64);
    assert_eq!(*again.digest(), digest);
    assert_eq!(again.encode(), bytes);

    // Each byte is bound by the checksum or by what a reader expects.
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        assert!(Aggregate::decode(&flipped).is_err(), "byte {place}");
    }
    let repaired = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes[..bytes.len() - 32].to_vec();
        change(&mut bytes);
        bytes.extend(blake3::hash(&bytes).as_bytes());
        match Aggregate::decode(&bytes) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was read"),
        }
    };
    let (name, digest_at, proof_at) = (18, 30, 62);
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Change<'_>, &str); 7] = [
        (&|bytes| bytes[0] = b'f', "does not begin like one"),
        (&|bytes| bytes[16] = 2, "version 2, and only version 1"),
        (&|bytes| bytes[name] = 33, "name of its parameters"),
        (
            &|bytes| bytes[name + 1] = b'D',
            "unknown parameters \"Dev\"",
        ),
        (
            &|bytes| bytes[digest_at..digest_at + 4].fill(0xff),
            "not made of reduced elements",
        ),
        (&|bytes| bytes[proof_at + 3] = 1, "ends too early"),
        (&|bytes| bytes.push(0), "bytes follow its checksum"),
    ];
    for (change, why) in cases {
        let error = repaired(change);
        assert!(error.contains(why), "{error}, not: {why}");
    }
    let large = vec![0; MAX_AGGREGATE_BYTES + 1];
    let error = Aggregate::read(&large[..]).err().expect("too large");
    assert!(error.to_string().contains("more than 4194304 bytes"));
}

#[test]
fn an_aggregate_with_another_proof_proves_nothing() {
    let made = statements(&file(5)[..]).expect("a file");
    let digest = batch_digest(&made).expect("statements");
    let aggregate = Aggregate::of_parts(PARAMS, 5, digest, other().proof);
    let refused = |result: Result<AggregateReport, AggregateError>| match result {
        Err(error) => error.to_string(),
        Ok(report) => panic!("{report:?}"),
    };
    let error = refused(aggregate.check(Some(&made)));
    assert!(
        error.contains("the aggregate's proof is refused"),
        "{error}"
    );
    // What is not about the file is not verified first.
    let longer = statements(&file(6)[..]).expect("a file");
    let error = refused(aggregate.check(Some(&longer)));
    assert_eq!(error, "the aggregate is about 5 bytes, the file has 6");
    let another = statements(&[9; 5][..]).expect("a file");
    let error = refused(aggregate.check(Some(&another)));
    assert_eq!(error, "the aggregate's digest is not that of the file");
    let error = Aggregate::new(PARAMS, 5, other()).err().expect("foreign");
    assert!(error.to_string().contains("another key"), "{error}");
    let proved = aggregate.into_proved().expect("keys");
    assert_eq!(proved.publics.len(), PUBLIC_WIRES * PACK);
    assert_eq!(proved.publics[..8], digest);
    assert!(proved.publics[8..].iter().all(|value| *value == Val::ZERO));
}

#[test]
fn the_keys_that_were_used_last_are_kept() {
    let config = stock(PARAMS);
    let keys = Keys::of(PARAMS).expect("there are some");
    let mut prover = Prover::<StockPcs>::default();
    let use_key = |prover: &mut Prover<StockPcs>, piece| {
        prover.piece(&config, PARAMS, keys, piece).expect("a key");
        format!("{prover:?}")
    };
    let lift = Piece::Lift(Segment::Sha256);
    use_key(&mut prover, Piece::Node);
    assert_eq!(
        use_key(&mut prover, lift),
        "[(Dev, Node), (Dev, Lift(Sha256))]"
    );
    assert_eq!(
        use_key(&mut prover, Piece::Node),
        "[(Dev, Lift(Sha256)), (Dev, Node)]"
    );
    // The two have one shape and much the same size.
    let one = prover.kept_bytes() * 2 / 3;
    prover.keep(one);
    assert_eq!(format!("{prover:?}"), "[(Dev, Node)]");
    assert_eq!(use_key(&mut prover, lift), "[(Dev, Lift(Sha256))]");
    prover.keep(0);
    assert_eq!(format!("{prover:?}"), "[]");
    assert_eq!(
        use_key(&mut prover, lift),
        "[(Dev, Lift(Sha256))]",
        "the one in use stays"
    );
}

/// What no circuit is satisfied by is no proof.
#[test]
fn a_step_over_what_does_not_hold_fails() {
    let keys = Keys::of(PARAMS).expect("there are some");
    let mut prover = Prover::<StockPcs>::default();
    let posing = Proved {
        key: keys.key(Piece::Tip).clone(),
        ..other()
    };
    let error = prover.prove_stock(PARAMS, &Step::Scheduler(&posing));
    assert!(
        matches!(error, Err(TreeError::Malformed(_))),
        "{:?}",
        error.err()
    );
}
