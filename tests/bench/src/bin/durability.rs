//! A coordinator with many live workflows, and one that restarts with them.
//!
//! `durability live [COUNT]` submits so many workflows, each waiting for a task, and prints what the
//! process occupies with the default budget for VMs; then a machine joins and does all the tasks.
//!
//! `durability restart [COUNT] [ENTRIES] [waiting|owing|over]` writes the journals of so many
//! workflows and prints how long a coordinator takes to be ready with them, and to have rebuilt the
//! scripts that may owe a call: none of those that wait for a task, all of those whose last result
//! came just before the crash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use froben_bench::{ONE_BY_ONE, cpu_time, resident_bytes, result, start};
use froben_engine::{Capacity, Config, EngineHandle, MachineCommand, Rules, Running, SessionId};
use froben_journal::{
    Assigned, Batch, Body, Called, End, Ended, Finish, Item, Record, RevisionHash, ScriptSet,
    Started, Store, Submitted, revision_hash,
};
use froben_model::{
    Assignment, Kind, MachineId, MachineSpec, OperatorId, SeekerId, Value, WorkflowId,
};
use froben_script::CallOp;
use froben_store::RocksStore;

/// Waits for one task, then is over.
const ONE: &str = "
  return workflow('bench', { input = { n = 'integer' } }, function(ctx, input)
    local task = ctx:delegate {
      kind = 'a.b/1', key = 'one', input = { number = input.n }, queue_timeout = '24h',
      needs = { cpu_cores = 1, ram = '1MiB', shared = true } }
    return task:await().value
  end)";

/// Workflows that are submitted at once.
const SUBMITS: usize = 256;
/// Tasks that the machine has at once.
const CORES: u32 = 64;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map(String::as_str);
    let number = |at: usize, or: usize| word(at).and_then(|w| w.parse().ok()).unwrap_or(or);
    match word(0) {
        Some("live") => live(number(1, 100_000)),
        Some("restart") => restart(
            number(1, 1000),
            number(2, 500),
            word(3).unwrap_or("waiting"),
        ),
        _ => eprintln!(
            "usage: durability live [COUNT] | restart [COUNT] [ENTRIES] [waiting|owing|over]"
        ),
    }
}

fn scripts(source: &str) -> ScriptSet {
    ScriptSet {
        files: [("pipelines/bench.lua".to_owned(), source.to_owned())].into(),
    }
}

fn run(store: Arc<dyn Store>, scripts: ScriptSet) -> Running {
    let config = Config {
        rules: Rules::default(),
        seed: 1,
        scripts,
        capacity: Capacity::default(),
    };
    Running::start(store, config).expect("it starts")
}

fn seeker() -> SeekerId {
    SeekerId::new("ada").expect("a name")
}

fn live(count: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(RocksStore::open(dir.path()).expect("a store"));
    let running = run(store.clone(), scripts(ONE));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let before = resident_bytes();
    let begin = Instant::now();
    let ids = runtime.block_on(submit(&running.handle, count));
    println!("{count} workflows submitted in {:.1?}", begin.elapsed());
    for id in ids {
        // Submitted, and its task asked for: its script waits.
        while store.read(id, 1, 1).expect("a read").is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    println!(
        "all of them wait after {:.1?}, {:.1?} of CPU time",
        begin.elapsed(),
        cpu_time()
    );
    let occupied = resident_bytes();
    println!(
        "resident: {} MiB, {} bytes a workflow with {} MiB for VMs",
        occupied >> 20,
        occupied.saturating_sub(before) / count,
        Capacity::default().script_bytes >> 20
    );
    let (begin, cpu) = (Instant::now(), cpu_time());
    runtime.block_on(work(&running.handle, count));
    println!(
        "a machine of {CORES} cores did the tasks of all in {:.1?}, {:.1?} of CPU time",
        begin.elapsed(),
        cpu_time() - cpu
    );
    println!("resident: {} MiB", resident_bytes() >> 20);
    running.stop();
}

async fn submit(handle: &EngineHandle, count: usize) -> Vec<WorkflowId> {
    let places = Arc::new(tokio::sync::Semaphore::new(SUBMITS));
    let mut submits = tokio::task::JoinSet::new();
    for n in 0..count {
        let place = places.clone().acquire_owned().await.expect("it is open");
        let handle = handle.clone();
        submits.spawn(async move {
            let input = Value::map([("n", Value::Int(n as i64))]);
            let submitted = handle.submit(
                seeker(),
                "bench".to_owned(),
                input,
                String::new(),
                froben_model::Terms::default(),
            );
            let id = submitted.await.expect("an answer").expect("an id");
            drop(place);
            id
        });
    }
    submits.join_all().await
}

/// A machine that answers every task at once, until it has done `count`.
async fn work(handle: &EngineHandle, count: usize) {
    let machine = MachineId::new("op/m").expect("a name");
    let spec = MachineSpec {
        operator: OperatorId::new("op").expect("a name"),
        label: "m".to_owned(),
        cpu_cores: CORES,
        ram_bytes: 1 << 40,
        devices: Vec::new(),
        cpu_kinds: vec![Kind::new("a.b/1").expect("a kind")],
        device_kinds: Vec::new(),
        keys: Vec::new(),
        prices: Vec::new(),
    };
    let (sender, mut commands) = tokio::sync::mpsc::channel(4 * CORES as usize);
    let session = handle.machine_joined(machine, spec, sender);
    let mut done = 0;
    let mut items = tokio::task::JoinSet::new();
    while done < count {
        tokio::select! {
            command = commands.recv() => match command.expect("the machine is kept") {
                MachineCommand::Assign(task) => { items.spawn(answer(handle.clone(), session, task)); }
                other => panic!("not a task: {other:?}"),
            },
            Some(_) = items.join_next() => done += 1,
        }
    }
    // The last results still have to reach their scripts.
    loop {
        let newest = handle.list(seeker(), 1000).await.expect("an answer");
        if newest.iter().all(|workflow| workflow.state.ended()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn answer(handle: EngineHandle, session: SessionId, task: Assignment) {
    handle.accepted(task.token);
    for (index, _) in task.items {
        let told = handle.item(
            session,
            task.token,
            froben_model::ItemReport::new(index, Ok(Value::Int(1))),
        );
        told.await.expect("an answer");
    }
}

fn restart(count: usize, entries: usize, how: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let source = format!(
        "return workflow('bench', {{ input = {{ n = 'integer' }} }}, function(ctx, input)\n{ONE_BY_ONE}\nend)"
    );
    let set = scripts(&source);
    let hash = revision_hash(&set);
    let journal = journal(hash, entries, how);
    let store = RocksStore::open(dir.path()).expect("a store");
    store.put_revision(hash, &set).expect("a write");
    let ids: Vec<_> = (0..count).map(|_| WorkflowId(rand::random())).collect();
    for id in &ids {
        let batch = Batch {
            started: vec![Started {
                workflow: *id,
                seeker: seeker(),
                idempotency_key: String::new(),
            }],
            records: (0..)
                .zip(&journal)
                .map(|(seq, record)| (*id, seq, record.clone()))
                .collect(),
            finished: (how == "over").then_some(*id).into_iter().collect(),
            served: Vec::new(),
            postings: Vec::new(),
        };
        store.commit(&batch).expect("a write");
    }
    drop(store);

    let (before, cpu) = (resident_bytes(), cpu_time());
    let begin = Instant::now();
    let store = Arc::new(RocksStore::open(dir.path()).expect("a store"));
    let opened = begin.elapsed();
    let running = run(store.clone(), set);
    let (ready, ready_cpu) = (begin.elapsed(), cpu_time() - cpu);
    if how == "owing" {
        // Each script makes the call that it owes.
        let written = journal.len() as u64;
        for id in &ids {
            while store.read(*id, written, 1).expect("a read").is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    let rebuilt = begin.elapsed();
    println!(
        "{count} workflows ({how}) of {} records: opened in {opened:.2?}, ready in {ready:.2?} \
         ({ready_cpu:.2?} of CPU time), scripts rebuilt in {rebuilt:.2?} ({:.2?}), {} MiB more resident",
        journal.len(),
        cpu_time() - cpu,
        resident_bytes().saturating_sub(before) >> 20
    );
    running.stop();
}

/// The records of a workflow that has done one task after the other.
fn journal(hash: RevisionHash, entries: usize, how: &str) -> Vec<Record> {
    let revision = froben_bench::pipeline(ONE_BY_ONE);
    let mut vm = start(&revision, 1);
    let mut journal = Vec::new();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let mut write = |body| {
        journal.push(Record { time_ms: now, body });
        journal.len()
    };
    write(Body::Submitted(Submitted {
        pipeline: "bench".to_owned(),
        revision: hash,
        seeker: seeker(),
        idempotency_key: String::new(),
        input: Value::map([("n", Value::Int(1))]),
        seed: 1,
        parent: None,
        forked_from: None,
        budget: None,
        wanted_by_ms: None,
    }));
    let machine = MachineId::new("op/m").expect("a name");
    let mut calls = vm.resume(Vec::new()).calls;
    let mut fed = 0;
    loop {
        let call = calls.pop().expect("it asks for one after the other");
        let (line, id, CallOp::Delegate(spec)) = (call.line, call.id, call.op) else {
            panic!("it only delegates");
        };
        let op = froben_journal::CallOp::Delegate(*spec);
        let called = Called {
            call: id,
            line,
            op,
            fed,
        };
        let written = write(Body::Called(called));
        if written >= entries && how != "owing" {
            break;
        }
        let assigned = Assigned {
            call: id,
            attempt: 1,
            epoch: 1,
            machine: machine.clone(),
            device: None,
            deadline_ms: now,
            cpu_cores: 0,
            price: froben_model::Amount::ZERO,
            ram_bytes: 0,
            vram_bytes: 0,
        };
        write(Body::Assigned(assigned));
        write(Body::Started {
            call: id,
            attempt: 1,
        });
        write(Body::Item(Item {
            call: id,
            attempt: 1,
            index: 0,
            outcome: Ok(Value::Int(1)),
            device: None,
            usage: froben_model::Usage::default(),
        }));
        let written = write(Body::Ended(Ended {
            call: id,
            attempt: 1,
            end: End::Succeeded,
            failure: None,
        }));
        if written >= entries && how == "owing" {
            break;
        }
        calls = vm.resume(result(id).into()).calls;
        fed += 2;
    }
    if how == "over" {
        write(Body::Tallied(Vec::new()));
        write(Body::Finished(Finish::Output(Value::Int(1))));
    }
    journal
}
