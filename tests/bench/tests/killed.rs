//! A coordinator that is killed at each of its writes, in a process of its own on a real disk, ends as one
//! that was left alone.
//!
//! This test starts itself: the child opens the store, runs a workflow of fifty delegations and sends itself
//! SIGKILL when it is about to make write N; another child goes on from what is on the disk.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use froben_engine::{Capacity, Config, EngineHandle, MachineCommand, Rules, Running, SessionId};
use froben_journal::{
    Account, Balance, Batch, Body, CallOp, End, Error, Posting, Record, RevisionHash, ScriptSet,
    Seq, Served, Store,
};
use froben_model::{
    Assignment, CallId, Kind, MachineId, MachineSpec, OperatorId, RevisionPrefix, SeekerId, Value,
    WorkflowId,
};
use froben_store::RocksStore;
use nix::sys::signal::{Signal, raise};

/// The folder that a child of this test works in, and the write at which it dies; none for 0.
const DIR: &str = "FROBEN_KILLED_DIR";
const AT: &str = "FROBEN_KILLED_AT";

/// What it calls does not depend on who is faster.
const FIFTY: &str = "
  return workflow('fifty', { output = { total = 'number' } }, function(ctx)
    local function wave(name, from, to)
      local ds = {}
      for i = from, to do
        ds[#ds + 1] = ctx:delegate { kind = 'a.b/1', key = `{name}/{i}`, items = { i },
          needs = { cpu_cores = 1, ram = '1MiB', shared = true } }
      end
      local sum = 0
      for _, item in ctx:stream(ds) do sum += item.value end
      return sum
    end
    local first = wave('first', 1, 25)
    ctx:sleep(0.01)
    ctx:log(`half way: {first}`)
    return { total = first + wave('second', 26, 50) }
  end)";

/// A store in whose owner's way death is: at write number `at`, before it or right after.
struct Mortal {
    store: RocksStore,
    writes: AtomicUsize,
    at: usize,
    after: bool,
}

impl Mortal {
    fn write<T>(&self, write: impl FnOnce(&RocksStore) -> T) -> T {
        let fatal = self.writes.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if fatal && !self.after {
            raise(Signal::SIGKILL).unwrap();
        }
        let written = write(&self.store);
        if fatal {
            raise(Signal::SIGKILL).unwrap();
        }
        written
    }
}

impl Store for Mortal {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        self.write(|store| store.commit(batch))
    }

    fn put_revision(&self, hash: RevisionHash, set: &ScriptSet) -> Result<(), Error> {
        self.write(|store| store.put_revision(hash, set))
    }

    fn newest_posting(&self) -> Result<u64, Error> {
        self.store.newest_posting()
    }

    fn postings(
        &self,
        of: Option<&Account>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        self.store.postings(of, from, limit)
    }

    fn balance(&self, account: &Account) -> Result<Balance, Error> {
        self.store.balance(account)
    }

    fn balances(&self) -> Result<Vec<(Account, Balance)>, Error> {
        self.store.balances()
    }

    fn next_epoch(&self) -> Result<u64, Error> {
        self.write(Store::next_epoch)
    }

    fn read(
        &self,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<(Seq, Record)>, Error> {
        self.store.read(workflow, from, limit)
    }

    fn tail(&self, workflow: WorkflowId, limit: usize) -> Result<Vec<(Seq, Record)>, Error> {
        self.store.tail(workflow, limit)
    }

    fn workflows(&self) -> Result<BTreeMap<WorkflowId, bool>, Error> {
        self.store.workflows()
    }

    fn by_idempotency_key(
        &self,
        seeker: &SeekerId,
        key: &str,
    ) -> Result<Option<WorkflowId>, Error> {
        self.store.by_idempotency_key(seeker, key)
    }

    fn revision(&self, hash: RevisionHash) -> Result<Option<ScriptSet>, Error> {
        self.store.revision(hash)
    }

    fn find_revisions(
        &self,
        prefix: &RevisionPrefix,
        limit: usize,
    ) -> Result<Vec<RevisionHash>, Error> {
        self.store.find_revisions(prefix, limit)
    }

    fn newest_served(&self) -> Result<Option<Served>, Error> {
        self.store.newest_served()
    }

    fn history(&self, from: u64, limit: usize) -> Result<Vec<Served>, Error> {
        self.store.history(from, limit)
    }
}

fn seeker() -> SeekerId {
    SeekerId::new("ada").unwrap()
}

/// What a child does: it submits the workflow, once however often it is started, and is the machine that
/// does its tasks. It returns when the workflow is over.
fn live(dir: &Path, at: usize, after: bool) {
    let store = Arc::new(Mortal {
        store: RocksStore::open(dir).unwrap(),
        writes: AtomicUsize::new(0),
        at,
        after,
    });
    let config = Config {
        rules: Rules::default(),
        seed: 1,
        scripts: ScriptSet {
            files: [("pipelines/fifty.lua".to_owned(), FIFTY.to_owned())].into(),
        },
        capacity: Capacity::default(),
    };
    let running = Running::start(store, config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work(&running.handle));
    running.stop();
}

async fn work(handle: &EngineHandle) {
    let machine = MachineId::new("op/m").unwrap();
    let spec = MachineSpec {
        operator: OperatorId::new("op").unwrap(),
        label: "m".to_owned(),
        cpu_cores: 8,
        ram_bytes: 1 << 40,
        devices: Vec::new(),
        cpu_kinds: vec![Kind::new("a.b/1").unwrap()],
        device_kinds: Vec::new(),
        keys: Vec::new(),
        prices: Vec::new(),
    };
    let (sender, mut commands) = tokio::sync::mpsc::channel(64);
    let session = handle.machine_joined(machine, spec, sender);
    let input = Value::map::<String>([]);
    let submitted = handle.submit(
        seeker(),
        "fifty".to_owned(),
        input,
        "once".to_owned(),
        froben_model::Terms::default(),
    );
    submitted.await.unwrap().unwrap();
    loop {
        tokio::select! {
            command = commands.recv() => if let Some(MachineCommand::Assign(task)) = command {
                tokio::spawn(answer(handle.clone(), session, task));
            },
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let list = handle.list(seeker(), 10).await.unwrap();
                if list.iter().all(|workflow| workflow.state.ended()) {
                    return;
                }
            }
        }
    }
}

async fn answer(handle: EngineHandle, session: SessionId, task: Assignment) {
    handle.accepted(task.token);
    for (index, value) in task.items {
        let Value::Int(n) = value else {
            panic!("not a number: {value:?}");
        };
        let told = handle.item(
            session,
            task.token,
            froben_model::ItemReport::new(index, Ok(Value::Int(n * n))),
        );
        told.await.unwrap();
    }
}

/// What is on the disk in the end: the calls without their lines, and how it ended. Every item and every end
/// counts once.
fn outcome(dir: &Path) -> (Vec<(CallId, CallOp)>, Body) {
    let store = RocksStore::open(dir).unwrap();
    let workflows = store.workflows().unwrap();
    assert_eq!(workflows.len(), 1, "{workflows:?}");
    let records = store.read(*workflows.keys().next().unwrap(), 0, usize::MAX);
    let mut calls = Vec::new();
    let mut good = BTreeMap::new();
    let mut finish = None;
    for (_, record) in records.unwrap() {
        match record.body {
            Body::Called(called) => calls.push((called.call, called.op)),
            Body::Item(item) if item.outcome.is_ok() => {
                *good.entry((item.call, item.index)).or_insert(0) += 1;
            }
            Body::Ended(ended) => assert_eq!(ended.end, End::Succeeded),
            finished @ Body::Finished(_) => assert!(finish.replace(finished).is_none()),
            _ => {}
        }
    }
    assert_eq!(good.len(), 50);
    assert!(good.values().all(|times| *times == 1), "{good:?}");
    (calls, finish.unwrap())
}

/// Runs a child; whether it lived to the end of the workflow.
fn child(dir: &Path, at: usize, after: bool) -> bool {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed_at_any_write_it_ends_the_same",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(AT, format!("{at} {after}"))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    match ended.status.signal() {
        Some(9) => false,
        None if ended.status.success() => true,
        _ => panic!(
            "{:?}: {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        ),
    }
}

#[test]
fn killed_at_any_write_it_ends_the_same() {
    if let Some(dir) = std::env::var_os(DIR) {
        let order = std::env::var(AT).unwrap();
        let (at, after) = order.split_once(' ').unwrap();
        return live(Path::new(&dir), at.parse().unwrap(), after == "true");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(child(dir.path(), 0, false));
    let undisturbed = outcome(dir.path());
    for after in [false, true] {
        let mut died = 0;
        for at in 1.. {
            let dir = tempfile::tempdir().unwrap();
            if child(dir.path(), at, after) {
                // There are no more writes than this.
                break;
            }
            died += 1;
            assert!(child(dir.path(), 0, false), "write {at}");
            assert!(
                outcome(dir.path()) == undisturbed,
                "write {at}, after it: {after}"
            );
        }
        assert!(died > 10, "it wrote {died} times only");
        println!(
            "killed at {died} writes, {}",
            if after { "after each" } else { "before each" }
        );
    }
}
