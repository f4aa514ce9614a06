//! What every [`Store`] must do, as one suite for all of them.
//!
//! Each store's own tests call [`check`] with a way to make a fresh store and a way to close one and
//! open it again. It asserts: a store that does not conform fails its tests here.

use std::collections::BTreeMap;
use std::ops::Range;

use froben_model::{Amount, CallId, OperatorId, SeekerId, Value, WorkflowId};

use crate::{
    Account, Balance, Batch, Body, Cause, Error, Finish, Origin, Posting, Record, RevisionHash,
    ScriptSet, Seq, Served, Started, Store, Submitted, revision_hash,
};

/// Runs every case against fresh stores; `reopen` gives what a restarted process finds.
///
/// *Panics*: where the store does not conform.
pub fn check<S: Store>(mut fresh: impl FnMut() -> S, mut reopen: impl FnMut(S) -> S) {
    what_is_committed_is_read(&mut fresh, &mut reopen);
    a_refused_batch_changes_nothing(&mut fresh, &mut reopen);
    a_key_starts_one_workflow(&mut fresh, &mut reopen);
    a_finished_workflow_is_known_as_over(&mut fresh, &mut reopen);
    many_workflows_share_a_batch(&mut fresh, &mut reopen);
    revisions_are_kept_by_hash(&mut fresh, &mut reopen);
    revisions_are_found_by_their_beginning(&mut fresh, &mut reopen);
    the_history_grows_entry_by_entry(&mut fresh, &mut reopen);
    an_entry_that_is_not_the_next_is_refused(&mut fresh, &mut reopen);
    the_ledger_grows_with_what_causes_it(&mut fresh, &mut reopen);
    epochs_grow(&mut fresh, &mut reopen);
}

/// A workflow to write about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub workflow: WorkflowId,
    pub seeker: SeekerId,
}

impl Sample {
    pub fn new(n: u8) -> Self {
        Sample {
            workflow: WorkflowId([n; 16]),
            seeker: SeekerId::new("ada").expect("invariant: a name"),
        }
    }

    /// The record at `seq`; different for each.
    pub fn record(&self, seq: Seq) -> Record {
        let body = match seq {
            0 => Body::Submitted(Submitted {
                pipeline: "p".into(),
                revision: RevisionHash([1; 32]),
                seeker: self.seeker.clone(),
                idempotency_key: String::new(),
                input: Value::Nil,
                seed: 1,
                parent: None,
                forked_from: None,
                budget: None,
                wanted_by_ms: None,
            }),
            seq if seq % 2 == 0 => Body::Slept { call: CallId(seq) },
            seq => Body::Finished(Finish::Output(Value::text("x".repeat(seq as usize)))),
        };
        Record { time_ms: seq, body }
    }

    /// Records at `seqs` of a workflow that has started.
    pub fn records(&self, seqs: Range<Seq>) -> Batch {
        Batch {
            records: seqs.map(|s| (self.workflow, s, self.record(s))).collect(),
            ..Batch::default()
        }
    }

    /// The start, under `key`, with `n` records.
    pub fn start(&self, key: &str, n: Seq) -> Batch {
        Batch {
            started: vec![Started {
                workflow: self.workflow,
                seeker: self.seeker.clone(),
                idempotency_key: key.into(),
            }],
            ..self.records(0..n)
        }
    }

    fn finish(&self) -> Batch {
        Batch {
            finished: vec![self.workflow],
            ..Batch::default()
        }
    }

    /// Asserts that the journal holds exactly the first `n` records.
    pub fn assert_holds(&self, store: &impl Store, n: Seq) {
        let expected: Vec<_> = (0..n).map(|seq| (seq, self.record(seq))).collect();
        let found = store.read(self.workflow, 0, usize::MAX);
        assert_eq!(found.expect("a read"), expected);
    }
}

type Fresh<'a, S> = &'a mut dyn FnMut() -> S;
type Reopen<'a, S> = &'a mut dyn FnMut(S) -> S;

fn commit(store: &impl Store, batch: &Batch) {
    store.commit(batch).expect("a commit");
}

fn what_is_committed_is_read<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let (one, two) = (Sample::new(1), Sample::new(2));
    assert_eq!(store.workflows().expect("a read"), BTreeMap::new());
    one.assert_holds(&store, 0);

    commit(&store, &Batch::default());
    commit(&store, &one.start("", 1));
    commit(&store, &two.start("", 3));
    // More than 256, so that seqs are not ordered by their lowest byte.
    for seq in 1..600 {
        commit(&store, &one.records(seq..seq + 1));
    }
    for _ in 0..2 {
        one.assert_holds(&store, 600);
        two.assert_holds(&store, 3);
        for (from, limit, expected) in [
            (0, 0, 0..0),
            (0, 2, 0..2),
            (255, 3, 255..258),
            (598, 9, 598..600),
            (600, 9, 0..0),
            (Seq::MAX, 9, 0..0),
        ] {
            let read = store.read(one.workflow, from, limit).expect("a read");
            let expected: Vec<_> = expected.map(|seq| (seq, one.record(seq))).collect();
            assert_eq!(read, expected, "{limit} from {from}");
        }
        for (limit, expected) in [(0, 600..600), (1, 599..600), (300, 300..600), (900, 0..600)] {
            let read = store.tail(one.workflow, limit).expect("a read");
            let expected: Vec<_> = expected.map(|seq| (seq, one.record(seq))).collect();
            assert_eq!(read, expected, "the last {limit}");
        }
        let nobody = Sample::new(9).workflow;
        assert_eq!(store.tail(nobody, 9).expect("a read"), Vec::new());
        let live = BTreeMap::from([(one.workflow, false), (two.workflow, false)]);
        assert_eq!(store.workflows().expect("a read"), live);
        store = reopen(store);
    }
    commit(&store, &one.records(600..601));
    one.assert_holds(&store, 601);
}

fn a_refused_batch_changes_nothing<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let (one, two) = (Sample::new(1), Sample::new(2));
    commit(&store, &one.start("k", 2));

    let with = |mut batch: Batch, other: Batch| {
        batch.merge(other);
        batch
    };
    let unreadable = Batch {
        records: vec![(
            one.workflow,
            2,
            Record {
                time_ms: 0,
                body: Body::Finished(Finish::Output(Value::Number(f64::NAN))),
            },
        )],
        ..Batch::default()
    };
    let cases = [
        ("a gap", one.records(3..4)),
        ("the same again", one.records(1..2)),
        (
            "a repeat in a batch",
            with(one.records(2..3), one.records(2..3)),
        ),
        ("not started", two.records(0..1)),
        ("starts at 1", with(two.start("", 0), two.records(1..2))),
        ("starts without a record", two.start("", 0)),
        ("started already", one.start("", 1)),
        ("started twice", with(two.start("", 1), two.start("", 1))),
        ("finished, never started", two.finish()),
        ("unreadable", unreadable),
    ];
    for _ in 0..2 {
        for (case, bad) in &cases {
            // Alone, and behind a batch that is right.
            for batch in [bad.clone(), with(Sample::new(3).start("", 1), bad.clone())] {
                let refused = store.commit(&batch);
                match *case {
                    "unreadable" => assert!(matches!(refused, Err(Error::Write(_))), "{case}"),
                    _ => assert!(matches!(refused, Err(Error::OutOfOrder { .. })), "{case}"),
                }
                let live = BTreeMap::from([(one.workflow, false)]);
                assert_eq!(store.workflows().expect("a read"), live, "{case}");
                one.assert_holds(&store, 2);
            }
        }
        store = reopen(store);
    }
    commit(&store, &one.records(2..3));
    commit(&store, &two.start("", 1));
}

fn a_key_starts_one_workflow<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let one = Sample::new(1);
    let bob = SeekerId::new("bob").expect("invariant: a name");
    commit(&store, &one.start("key", 1));
    // Another seeker's key is another key; no key is no key.
    let bobs = Sample {
        workflow: WorkflowId([2; 16]),
        seeker: bob.clone(),
    };
    commit(&store, &bobs.start("key", 1));
    commit(&store, &Sample::new(3).start("", 1));
    commit(&store, &Sample::new(4).start("", 1));

    for _ in 0..2 {
        for (seeker, key, holder) in [
            (&one.seeker, "key", Some(one.workflow)),
            (&bob, "key", Some(bobs.workflow)),
            (&one.seeker, "ke", None),
            (&one.seeker, "key2", None),
            (&one.seeker, "", None),
        ] {
            let found = store.by_idempotency_key(seeker, key).expect("a read");
            assert_eq!(found, holder, "{seeker} {key}");
        }
        let again = store.commit(&Sample::new(5).start("key", 1));
        assert!(matches!(again, Err(Error::OutOfOrder { .. })), "{again:?}");
        let mut twice = Sample::new(5).start("new", 1);
        twice.merge(Sample::new(6).start("new", 1));
        let twice = store.commit(&twice);
        assert!(matches!(twice, Err(Error::OutOfOrder { .. })), "{twice:?}");
        store = reopen(store);
    }
}

fn a_finished_workflow_is_known_as_over<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let (one, two) = (Sample::new(1), Sample::new(2));
    commit(&store, &one.start("k", 2));
    // All its life in one batch.
    let mut whole = two.start("", 3);
    whole.merge(two.finish());
    commit(&store, &whole);
    let mut last = one.records(2..3);
    last.merge(one.finish());
    commit(&store, &last);

    for n in 3..5 {
        let over = BTreeMap::from([(one.workflow, true), (two.workflow, true)]);
        assert_eq!(store.workflows().expect("a read"), over);
        one.assert_holds(&store, n);
        // A late word finds its place, and does not revive it.
        assert!(store.commit(&one.records(n + 1..n + 2)).is_err());
        commit(&store, &one.records(n..n + 1));
        commit(&store, &one.finish());
        store = reopen(store);
    }
}

fn many_workflows_share_a_batch<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let samples: Vec<_> = (0..50).map(Sample::new).collect();
    let mut batch = Batch::default();
    for sample in &samples {
        batch.merge(sample.start("", 40));
    }
    commit(&store, &batch);
    let mut batch = Batch::default();
    for seq in 40..80 {
        for sample in &samples {
            batch.merge(sample.records(seq..seq + 1));
        }
    }
    commit(&store, &batch);
    for _ in 0..2 {
        for sample in &samples {
            sample.assert_holds(&store, 80);
        }
        store = reopen(store);
    }
}

fn revisions_are_kept_by_hash<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let set = ScriptSet {
        files: BTreeMap::from([("pipelines/x.lua".into(), "return 1".into())]),
    };
    let hash = revision_hash(&set);
    assert_eq!(store.revision(hash).expect("a read"), None);
    let other = revision_hash(&ScriptSet::default());
    assert!(matches!(
        store.put_revision(other, &set),
        Err(Error::Write(_))
    ));
    for _ in 0..2 {
        store.put_revision(hash, &set).expect("a write");
        assert_eq!(store.revision(hash).expect("a read"), Some(set.clone()));
        assert_eq!(store.revision(other).expect("a read"), None);
        store = reopen(store);
    }
}

fn revisions_are_found_by_their_beginning<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    let set = |n: usize| ScriptSet {
        files: BTreeMap::from([("pipelines/x.lua".into(), format!("return {n}"))]),
    };
    let mut hashes: Vec<_> = (0..40)
        .map(|n| {
            let hash = revision_hash(&set(n));
            store.put_revision(hash, &set(n)).expect("a write");
            hash
        })
        .collect();
    hashes.sort();
    let find = |store: &S, prefix: &str, limit| {
        let prefix = prefix.parse().expect("invariant: it is a prefix");
        store.find_revisions(&prefix, limit).expect("a read")
    };
    for _ in 0..2 {
        for hash in &hashes {
            let text = hash.to_string();
            for digits in [4, 5, 6, 63, 64] {
                let prefix = &text[..digits];
                let expected: Vec<_> = hashes
                    .iter()
                    .copied()
                    .filter(|hash| hash.to_string().starts_with(prefix))
                    .collect();
                assert_eq!(find(&store, prefix, 9), expected, "{prefix}");
                assert_eq!(find(&store, prefix, 0), [], "{prefix}");
            }
            // One off in its last digit.
            let last = if text.ends_with('0') { '1' } else { '0' };
            assert_eq!(find(&store, &format!("{}{last}", &text[..63]), 9), []);
        }
        store = reopen(store);
    }
}

/// The entry at `index`; different for each.
pub fn entry(index: u64) -> Served {
    let origin = Origin::ALL[index as usize % Origin::ALL.len()];
    Served {
        index,
        revision: RevisionHash([index as u8; 32]),
        time_ms: index.saturating_add(1000),
        by: format!("admin-{index}"),
        origin,
        note: "because".repeat(index as usize % 3),
    }
}

/// What makes these entries durable.
pub fn entries(indexes: impl IntoIterator<Item = u64>) -> Batch {
    Batch {
        served: indexes.into_iter().map(entry).collect(),
        ..Batch::default()
    }
}

fn the_history_grows_entry_by_entry<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    assert_eq!(store.newest_served().expect("a read"), None);
    assert_eq!(store.history(0, 9).expect("a read"), []);
    commit(&store, &entries([1]));
    // Two in a batch, and in one with a workflow.
    commit(&store, &entries([2, 3]));
    let mut batch = Sample::new(1).start("", 2);
    batch.merge(entries([4]));
    commit(&store, &batch);
    // More than 256, so that indexes are not ordered by their lowest byte.
    for index in 5..=300 {
        commit(&store, &entries([index]));
    }
    for n in 300..302 {
        for (from, limit, expected) in [
            (0, 2, 1..3),
            (1, 2, 1..3),
            (3, 0, 3..3),
            (255, 3, 255..258),
            (n, 9, n..n + 1),
            (n + 1, 9, 0..0),
            (u64::MAX, 9, 0..0),
        ] {
            let read = store.history(from, limit).expect("a read");
            let expected: Vec<_> = expected.map(entry).collect();
            assert_eq!(read, expected, "{limit} from {from}");
        }
        assert_eq!(store.newest_served().expect("a read"), Some(entry(n)));
        Sample::new(1).assert_holds(&store, 2);
        store = reopen(store);
        commit(&store, &entries([n + 1]));
    }
}

fn an_entry_that_is_not_the_next_is_refused<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    for none_yet in [0, 2, u64::MAX] {
        let refused = store.commit(&entries([none_yet]));
        assert!(
            matches!(refused, Err(Error::HistoryMoved { index, newest: 0 }) if index == none_yet),
            "{refused:?}"
        );
    }
    commit(&store, &entries([1, 2]));
    for _ in 0..2 {
        for bad in [vec![2], vec![4], vec![3, 3], vec![3, 5], vec![0]] {
            // With a record that is right, which must not stay either.
            let mut batch = Sample::new(1).start("", 1);
            batch.merge(entries(bad.clone()));
            let refused = store.commit(&batch);
            assert!(
                matches!(refused, Err(Error::HistoryMoved { .. })),
                "{bad:?}: {refused:?}"
            );
            assert_eq!(store.newest_served().expect("a read"), Some(entry(2)));
            assert_eq!(store.workflows().expect("a read"), BTreeMap::new());
        }
        // One that could not be read back.
        let mut unreadable = entries([3]);
        unreadable.served[0].note = "x".repeat(1 << 20);
        assert!(matches!(store.commit(&unreadable), Err(Error::Write(_))));
        assert_eq!(store.history(3, 9).expect("a read"), []);
        store = reopen(store);
    }
    commit(&store, &entries([3]));
}

/// A posting of `amount` from a budget to an operator.
fn posting(index: u64, operator: &str, amount: u64) -> Posting {
    let operator = OperatorId::new(operator).expect("invariant: a name");
    Posting {
        index,
        time_ms: index,
        workflow: WorkflowId([1; 16]),
        call: Some(CallId(index)),
        attempt: 1,
        cause: Cause::Settle,
        from: Account::Budget(WorkflowId([1; 16])),
        to: Account::Operator(operator),
        amount: Amount(amount),
    }
}

fn the_ledger_grows_with_what_causes_it<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let sample = Sample::new(1);
    let mut store = fresh();
    assert_eq!(store.newest_posting().expect("a read"), 0);
    let postings = vec![
        posting(1, "op", 5),
        posting(2, "op-2", 7),
        posting(3, "op", u64::MAX),
    ];
    let batch = Batch {
        postings: postings.clone(),
        ..sample.start("", 1)
    };
    commit(&store, &batch);

    // Neither the record nor the entry of a batch that does not follow.
    for index in [0, 3, 5] {
        let batch = Batch {
            postings: vec![posting(index, "op", 1)],
            ..sample.records(1..2)
        };
        let refused = store.commit(&batch).expect_err("it does not follow");
        assert!(
            matches!(refused, Error::LedgerMoved { newest: 3, .. }),
            "{refused}"
        );
    }
    let unfit = Batch {
        postings: vec![posting(4, "op", 1)],
        ..sample.records(7..8)
    };
    store.commit(&unfit).expect_err("the record leaves a gap");

    store = reopen(store);
    sample.assert_holds(&store, 1);
    assert_eq!(store.newest_posting().expect("a read"), 3);
    let (op, op_2) = (postings[0].to.clone(), postings[1].to.clone());
    for (of, from, limit, expected) in [
        (None, 0, 9, &[1, 2, 3][..]),
        (None, 2, 1, &[2]),
        (None, 4, 9, &[]),
        (Some(&op), 1, 9, &[1, 3]),
        (Some(&op), 2, 9, &[3]),
        (Some(&op_2), 1, 9, &[2]),
        (Some(&postings[0].from), 1, 2, &[1, 2]),
    ] {
        let read = store.postings(of, from, limit).expect("a read");
        let indices: Vec<_> = read.iter().map(|posting| posting.index).collect();
        assert_eq!(indices, expected, "{of:?} from {from}");
    }
    assert_eq!(store.postings(None, 1, 9).expect("a read"), postings);
    let earned = Balance::from(u64::MAX) + 5;
    assert_eq!(store.balance(&op).expect("a read"), earned);
    let nobody = Account::Seeker(sample.seeker.clone());
    assert_eq!(store.balance(&nobody).expect("a read"), 0);
    let mut balances = store.balances().expect("a read");
    balances.sort();
    assert_eq!(balances.iter().map(|(_, held)| held).sum::<Balance>(), 0);
    let mut expected = vec![
        (op, earned),
        (op_2, 7),
        (postings[0].from.clone(), -earned - 7),
    ];
    expected.sort();
    assert_eq!(balances, expected);
}

fn epochs_grow<S: Store>(fresh: Fresh<'_, S>, reopen: Reopen<'_, S>) {
    let mut store = fresh();
    for epoch in [1, 3, 5] {
        assert_eq!(store.next_epoch().expect("a write"), epoch);
        assert_eq!(store.next_epoch().expect("a write"), epoch + 1);
        store = reopen(store);
    }
}
