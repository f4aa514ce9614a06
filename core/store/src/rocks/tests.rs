use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use froben_journal::Body;
use froben_journal::conformance::{self, Sample};
use tempfile::TempDir;

use super::*;

fn open(dir: &TempDir) -> RocksStore {
    RocksStore::open(dir.path()).unwrap()
}

#[test]
fn it_is_a_store() {
    let dirs = std::cell::RefCell::new(Vec::new());
    conformance::check(
        || {
            let dir = tempfile::tempdir().unwrap();
            let store = open(&dir);
            dirs.borrow_mut().push(dir);
            store
        },
        |store| {
            drop(store);
            open(dirs.borrow().last().unwrap())
        },
    );
}

#[test]
fn two_stores_never_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let second = RocksStore::open(dir.path()).err();
    assert!(matches!(second, Some(Error::Locked { .. })), "{second:?}");
    drop(store);
    open(&dir);
}

#[test]
fn directories_are_made_and_files_refused() {
    let dir = tempfile::tempdir().unwrap();
    RocksStore::open(&dir.path().join("a/b")).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = RocksStore::open(&file).err();
    assert!(matches!(refused, Some(Error::Open { .. })), "{refused:?}");
}

#[test]
fn a_large_batch_is_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let sample = Sample::new(1);
    let mut batch = sample.start("", 1);
    let text = |seq: Seq| match seq {
        // One near the limit of a record, which is 8 MiB.
        9_999 => "y".repeat(8_000_000),
        seq => format!("{seq}").repeat(200),
    };
    let record = |seq| Record {
        time_ms: seq,
        body: Body::Logged {
            source: "script".into(),
            text: text(seq),
            of: None,
        },
    };
    for seq in 1..10_000 {
        batch.records.push((sample.workflow, seq, record(seq)));
    }
    store.commit(&batch).unwrap();
    drop(store);

    let read = open(&dir).read(sample.workflow, 0, usize::MAX).unwrap();
    assert_eq!(read.len(), 10_000);
    assert!(
        (1..)
            .zip(&read[1..])
            .all(|(seq, found)| *found == (seq, record(seq)))
    );
}

/// Puts `value` where a program of another version might have.
fn tamper(dir: &TempDir, families: &[&str], family: &str, key: &[u8], value: Option<&[u8]>) {
    let names = families.iter().copied().chain(keys::FAMILIES);
    let families = options::families(names.chain(["default"]));
    let db = DB::open_cf_descriptors(&options::database(), dir.path(), families).unwrap();
    let family = db.cf_handle(family).unwrap();
    match value {
        Some(value) => db.put_cf(family, key, value).unwrap(),
        None => db.delete_cf(family, key).unwrap(),
    }
}

#[test]
fn a_newer_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let newer = (FORMAT + 1).to_be_bytes();
    tamper(
        &dir,
        &["ledger"],
        keys::META,
        keys::META_FORMAT,
        Some(&newer),
    );
    for _ in 0..2 {
        let refused = RocksStore::open(dir.path()).err();
        let Some(Error::Version { found, known }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((found, known), (FORMAT + 1, FORMAT));
    }
}

#[test]
fn a_journal_without_a_format_is_refused_unless_it_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    tamper(&dir, &[], keys::META, keys::META_FORMAT, None);
    open(&dir).commit(&Sample::new(1).start("", 1)).unwrap();
    tamper(&dir, &[], keys::META, keys::META_FORMAT, None);
    let refused = RocksStore::open(dir.path()).err();
    assert!(matches!(refused, Some(Error::Open { .. })), "{refused:?}");
}

#[test]
fn a_journal_from_before_the_history_opens_and_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(1);
    {
        // What version 0.1.0 made.
        let families = [
            "records",
            "workflows",
            "keys",
            "revisions",
            "meta",
            "default",
        ];
        let families = options::families(families);
        let db = DB::open_cf_descriptors(&options::database(), dir.path(), families).unwrap();
        let put = |family, key: &[u8], value: &[u8]| {
            db.put_cf(db.cf_handle(family).unwrap(), key, value)
                .unwrap();
        };
        put("meta", b"format", &1u32.to_be_bytes());
        put("meta", b"epoch", &7u64.to_be_bytes());
        put("workflows", &sample.workflow.0, &[0]);
        let record = encode(&sample.record(0)).unwrap();
        put("records", &keys::record(sample.workflow, 0), &record);
    }
    for _ in 0..2 {
        let store = open(&dir);
        sample.assert_holds(&store, 1);
        assert_eq!(store.newest_served().unwrap(), None);
    }
    let store = open(&dir);
    store.commit(&conformance::entries([1])).unwrap();
    assert_eq!(store.next_epoch().unwrap(), 8);
    drop(store);
    let newest = open(&dir).newest_served().unwrap();
    assert_eq!(newest, Some(conformance::entry(1)));
}

#[test]
fn a_missing_and_a_damaged_entry_of_the_history_are_named() {
    for damage in [None, Some([1, 2, 3].as_slice())] {
        let dir = tempfile::tempdir().unwrap();
        open(&dir).commit(&conformance::entries([1, 2, 3])).unwrap();
        tamper(&dir, &[], keys::HISTORY, &2u64.to_be_bytes(), damage);
        let store = open(&dir);
        assert_eq!(store.history(1, 1).unwrap().len(), 1);
        assert_eq!(store.newest_served().unwrap(), Some(conformance::entry(3)));
        let read = store.history(1, 9);
        assert!(
            matches!(read, Err(Error::HistoryDamaged { index: 2, .. })),
            "{read:?}"
        );
    }
}

#[test]
fn a_record_that_is_missing_or_damaged_is_named() {
    let (sample, bytes) = (Sample::new(1), [1, 2, 3]);
    for damage in [None, Some(bytes.as_slice())] {
        let dir = tempfile::tempdir().unwrap();
        open(&dir).commit(&sample.start("", 3)).unwrap();
        let key = keys::record(sample.workflow, 1);
        tamper(&dir, &[], keys::RECORDS, &key, damage);

        let store = open(&dir);
        assert_eq!(store.read(sample.workflow, 0, 1).unwrap().len(), 1);
        assert_eq!(store.read(sample.workflow, 2, 9).unwrap().len(), 1);
        for from in [0, 1] {
            let read = store.read(sample.workflow, from, 9);
            assert!(
                matches!(read, Err(Error::Damaged { seq: 1, .. })),
                "{read:?}"
            );
        }
    }
}

/// The log that holds what is not yet in a table.
fn log(dir: &TempDir) -> PathBuf {
    let files = fs::read_dir(dir.path()).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "log"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

/// A journal of `n` single commits, as a crash leaves it: in the log only.
fn crashed(n: Seq) -> (TempDir, Sample) {
    let (dir, sample) = (tempfile::tempdir().unwrap(), Sample::new(1));
    let store = open(&dir);
    store.commit(&sample.start("", 1)).unwrap();
    for seq in 1..n {
        store.commit(&sample.records(seq..seq + 1)).unwrap();
    }
    // Closing does not flush either: every commit is in the log already.
    drop(store);
    (dir, sample)
}

#[test]
fn a_torn_tail_is_a_commit_that_was_not_made() {
    let (dir, sample) = crashed(100);
    let log = OpenOptions::new().write(true).open(log(&dir)).unwrap();
    log.set_len(log.metadata().unwrap().len() - 3).unwrap();
    let store = open(&dir);
    sample.assert_holds(&store, 99);
    store.commit(&sample.records(99..100)).unwrap();
    drop(store);
    sample.assert_holds(&open(&dir), 100);
}

#[test]
fn damage_in_the_middle_of_the_log_is_not_passed_over() {
    let (dir, _) = crashed(100);
    let log = OpenOptions::new().write(true).open(log(&dir)).unwrap();
    let middle = log.metadata().unwrap().len() / 2;
    log.write_all_at(&[0x55; 4], middle).unwrap();
    let refused = RocksStore::open(dir.path()).err();
    assert!(matches!(refused, Some(Error::Open { .. })), "{refused:?}");
}

const CHILD: &str = "FROBEN_STORE_TEST_DIR";

/// The body of the process that is killed; nothing where the suite runs it.
#[test]
fn child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let store = RocksStore::open(Path::new(&dir)).unwrap();
    let sample = Sample::new(1);
    store.commit(&sample.start("key", 1)).unwrap();
    for seq in 1.. {
        store.commit(&sample.records(seq..seq + 1)).unwrap();
        println!("\ncommitted {seq}");
        std::io::stdout().flush().unwrap();
    }
}

fn spawn_child(dir: &TempDir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rocks::tests::child_commits_until_it_is_killed"])
        .arg("--nocapture")
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_has_lost_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn_child(&dir);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut committed: Seq = 0;
    let mut killed = false;
    for line in lines.map_while(Result::ok) {
        if let Some(seq) = line.strip_prefix("committed ") {
            committed = seq.parse().unwrap();
        }
        if committed >= 50 && !killed {
            let locked = RocksStore::open(dir.path()).err();
            assert!(matches!(locked, Some(Error::Locked { .. })), "{locked:?}");
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();

    let store = open(&dir);
    let sample = Sample::new(1);
    let found = store.read(sample.workflow, 0, usize::MAX).unwrap().len() as Seq;
    assert!(found > committed, "{committed} committed, {found} found");
    sample.assert_holds(&store, found);
    let holder = store.by_idempotency_key(&sample.seeker, "key").unwrap();
    assert_eq!(holder, Some(sample.workflow));
    store.commit(&sample.records(found..found + 1)).unwrap();
}
