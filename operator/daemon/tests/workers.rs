//! The pool against real worker processes, good and bad ones.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use froben_model::{BlobRef, ErrorClass, ItemError, Kind, Value, limits};
use froben_operator::workers::{
    BlobAccess, BoxFuture, Error, Failure, Pool, ProbeReport, Program, Refusal, RunKey, RunTask,
    Running, RuntimeDir, Timing, Upload, WorkerEvent, WorkerSpec, probe,
};
use froben_protocol::Role;

/// Blobs in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<BlobRef, Vec<u8>>>);

impl Memory {
    fn put(&self, bytes: Vec<u8>) -> BlobRef {
        let blob = BlobRef::of(&bytes);
        self.0.lock().unwrap().insert(blob, bytes);
        blob
    }

    fn get(&self, blob: BlobRef) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(&blob).cloned()
    }
}

#[derive(Clone, Default)]
struct Store(Arc<Memory>);

struct MemoryUpload {
    store: Store,
    bytes: Vec<u8>,
}

impl BlobAccess for Store {
    fn read(
        &self,
        blob: BlobRef,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        let found = self
            .0
            .get(blob)
            .map(|bytes| bytes[offset as usize..][..len as usize].to_vec());
        let missing = move || {
            Failure::new(
                ErrorClass::BadRequest,
                format!("no such blob {}", blob.hash),
            )
        };
        Box::pin(async move { found.ok_or_else(missing) })
    }

    fn open(&self, _: u64) -> BoxFuture<'_, Result<Box<dyn Upload>, Failure>> {
        let upload = MemoryUpload {
            store: self.clone(),
            bytes: Vec::new(),
        };
        Box::pin(async move { Ok(Box::new(upload) as Box<dyn Upload>) })
    }
}

impl Upload for MemoryUpload {
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Failure>> {
        assert!(bytes.len() <= limits::CHUNK_BYTES);
        self.bytes.extend(bytes);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>, blob: BlobRef) -> BoxFuture<'static, Result<(), Failure>> {
        assert_eq!(self.store.0.put(self.bytes), blob);
        Box::pin(async { Ok(()) })
    }
}

/// The example that cargo builds along with the tests.
fn worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let path = target.join("examples").join("scripted_worker");
    assert!(
        path.exists(),
        "{path:?}: `cargo test` builds it, `cargo test --test` does not"
    );
    path
}

fn spec(flags: &[&str]) -> WorkerSpec {
    WorkerSpec {
        args: flags.iter().map(|flag| flag.to_string()).collect(),
        ..WorkerSpec::new(worker())
    }
}

/// Short enough for a test, long enough for a machine that has much to do.
fn timing() -> Timing {
    Timing {
        hello: Duration::from_secs(60),
        term: Duration::from_millis(300),
        kill: Duration::from_millis(600),
        backoff_first: Duration::from_millis(10),
        ..Timing::default()
    }
}

fn runtime() -> RuntimeDir {
    RuntimeDir::create_in(&std::env::temp_dir()).unwrap()
}

const ROLES: [Role; 2] = [Role::Cpu, Role::Device];

async fn probed(spec: &WorkerSpec) -> ProbeReport {
    probe(spec, &ROLES, &runtime(), &timing()).await.unwrap()
}

async fn pool_of(spec: WorkerSpec, timing: Timing, cpu_workers: usize) -> Pool {
    let report = probed(&spec).await;
    Pool::open(
        vec![Program { spec, report }],
        runtime(),
        timing,
        cpu_workers,
    )
}

async fn pool() -> Pool {
    pool_of(spec(&[]), timing(), 1).await
}

fn cpu_task(what: &str, items: Vec<Value>) -> RunTask {
    RunTask {
        kind: Kind::new("script.cpu/1").unwrap(),
        input: Value::text(what),
        items: (10..).zip(items).collect(),
        device: None,
        cpu_cores: 1,
        ram_bytes: 0,
        vram_bytes: 0,
        timeout_ms: 60_000,
        keys: Vec::new(),
    }
}

fn device_task(what: &str, device: &str) -> RunTask {
    RunTask {
        kind: Kind::new("script.device/1").unwrap(),
        device: Some(device.to_owned()),
        ..cpu_task(what, vec![Value::Nil])
    }
}

fn start(pool: &Pool, task: RunTask) -> Running {
    pool.start(task, Arc::new(Store::default())).unwrap()
}

/// All events up to the end: the items, and the failure.
async fn end(mut running: Running) -> (Vec<WorkerEvent>, Option<ItemError>) {
    let mut items = Vec::new();
    loop {
        match running.next().await.expect("an end") {
            WorkerEvent::Finished { failure, .. } => {
                assert_eq!(running.next().await, None);
                return (items, failure);
            }
            WorkerEvent::Log { .. } => {}
            item @ WorkerEvent::Item { .. } => items.push(item),
        }
    }
}

async fn failure_of(pool: &Pool, task: RunTask) -> ItemError {
    end(start(pool, task)).await.1.expect("a failure")
}

async fn assert_works(pool: &Pool) {
    let (items, failure) = end(start(pool, cpu_task("echo", vec![Value::Int(5)]))).await;
    assert_eq!(failure, None);
    let [
        WorkerEvent::Item {
            index: 10,
            outcome,
            device,
            usage,
        },
    ] = &items[..]
    else {
        panic!("{items:?}");
    };
    assert_eq!(*outcome, Ok(Value::Int(5)));
    assert_eq!(device.as_deref(), Some("cpu"));
    assert!(usage.ram_bytes > 0, "a process occupies something");
    assert_eq!(usage.vram_bytes, 0, "it said nothing of a device");
}

#[tokio::test]
async fn a_probe_tells_what_there_is() {
    let report = probed(&spec(&[])).await;
    assert_eq!(report.name, "scripted");
    assert_eq!(report.cpu_kinds, [Kind::new("script.cpu/1").unwrap()]);
    assert_eq!(report.device_kinds, [Kind::new("script.device/1").unwrap()]);
    let ids: Vec<&str> = report.devices.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, ["pci:1", "pci:2"]);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

#[tokio::test]
async fn a_worker_reads_the_keys_of_its_task() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("setup");
    std::fs::write(&path, "powers of tau").unwrap();
    let key = RunKey {
        name: "crs".to_owned(),
        sha256: [7; 32],
        path: path.to_str().unwrap().to_owned(),
    };
    let task = RunTask {
        keys: vec![key],
        ..cpu_task("keys", vec![Value::Nil])
    };
    let (items, failure) = end(start(&pool().await, task)).await;
    assert_eq!(failure, None);
    let [WorkerEvent::Item { outcome, .. }] = &items[..] else {
        panic!("{items:?}");
    };
    let said = Value::map([("crs", Value::text("powers of tau"))]);
    assert_eq!(*outcome, Ok(said));
}

#[tokio::test]
async fn a_broken_driver_costs_the_devices_and_nothing_else() {
    let report = probed(&spec(&["--sick"])).await;
    assert_eq!(report.cpu_kinds.len(), 1);
    assert!(report.devices.is_empty() && report.device_kinds.is_empty());
    let [note] = &report.notes[..] else {
        panic!("{:?}", report.notes);
    };
    assert!(
        note.contains("SIGABRT") && note.contains("the driver is broken"),
        "{note}"
    );
    assert_works(&pool_of(spec(&["--sick"]), timing(), 1).await).await;
}

#[tokio::test]
async fn a_device_that_computes_wrongly_is_fenced_and_costs_nothing_else() {
    let spec = spec(&["--unfit"]);
    assert!(!probed(&spec).await.devices.is_empty(), "known to be good");
    let pool = pool_of(spec, timing(), 1).await;
    let mut fences = pool.watch_fences();
    let devices = pool.devices();
    for _ in &devices {
        let fenced = fences.next().await;
        assert!(fenced.values().all(|why| why.contains("computes wrongly")));
        if pool.devices().is_empty() {
            break;
        }
    }
    assert!(pool.devices().is_empty() && pool.device_kinds().is_empty());
    for device in devices {
        let task = device_task("echo", &device.id);
        let Err(refusal) = pool.start(task, Arc::new(Store::default())) else {
            panic!("{} takes tasks", device.id);
        };
        let Refusal::DeviceFenced { why, .. } = &refusal else {
            panic!("{refusal}");
        };
        assert!(why.contains("the device computes wrongly"), "{why}");
        let told = refusal.to_string();
        assert!(told.contains(&device.id), "{told}");
    }
    assert_eq!(pool.cpu_kinds().len(), 1);
    assert_works(&pool).await;
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_refused_with_a_reason() {
    let ask = async |spec: WorkerSpec| {
        probe(&spec, &ROLES, &runtime(), &timing())
            .await
            .unwrap_err()
            .to_string()
    };
    let absent = ask(WorkerSpec::new("/no/such/program")).await;
    assert!(
        absent.contains("cannot run the worker /no/such/program"),
        "{absent}"
    );
    let other = ask(WorkerSpec {
        args: vec!["-c".to_owned(), "echo not me >&2; exit 4".to_owned()],
        ..WorkerSpec::new("/bin/sh")
    })
    .await;
    assert!(
        other.contains("exited with code 4; its last lines: not me"),
        "{other}"
    );

    let mute = WorkerSpec {
        args: vec!["-c".to_owned(), "exec sleep 1000".to_owned()],
        ..WorkerSpec::new("/bin/sh")
    };
    let timing = Timing {
        hello: Duration::from_millis(50),
        ..timing()
    };
    let error = probe(&mute, &ROLES, &runtime(), &timing).await.unwrap_err();
    assert!(matches!(error, Error::NoHello { .. }), "{error}");
}

#[tokio::test]
async fn blobs_go_through_and_items_come_as_they_are_done() {
    let pool = pool().await;
    let store = Store::default();
    let bytes: Vec<u8> = (0..10 * limits::CHUNK_BYTES + 1)
        .map(|i| (i / 7) as u8)
        .collect();
    let given = store.0.put(bytes.clone());
    let task = cpu_task("echo", vec![Value::Blob(given), Value::text("x")]);
    let (items, failure) = end(pool.start(task, Arc::new(store.clone())).unwrap()).await;
    assert_eq!(failure, None);
    let [
        WorkerEvent::Item {
            outcome: Ok(copy), ..
        },
        WorkerEvent::Item { index: 11, .. },
    ] = &items[..]
    else {
        panic!("{items:?}");
    };
    let copy = store.0.get(copy.as_blob().unwrap()).unwrap();
    assert_eq!(copy.split_last(), Some((&b'!', &bytes[..])));

    let missing = Value::Blob(BlobRef::of(b"nobody has it"));
    let failure = failure_of(&pool, cpu_task("echo", vec![missing])).await;
    assert_eq!(failure.class, ErrorClass::BadRequest);
    assert!(
        failure.message.contains("no such blob"),
        "{}",
        failure.message
    );
    assert_works(&pool).await;
    pool.shutdown().await;
}

#[tokio::test]
async fn whatever_a_worker_does_ends_one_task_with_a_reason() {
    let pool = pool().await;
    let two = || vec![Value::Nil, Value::Nil];
    for (what, came, class, expected) in [
        ("refuse", 0, ErrorClass::BadRequest, "not this"),
        (
            "leave",
            0,
            ErrorClass::WorkerFailed,
            "without 2 of its items, such as item 10",
        ),
        (
            "abort",
            1,
            ErrorClass::WorkerFailed,
            "SIGABRT; its last lines: the driver gives up",
        ),
        ("starve", 1, ErrorClass::OutOfMemory, "for want of memory"),
        ("exit", 1, ErrorClass::WorkerFailed, "exited with code 3"),
        ("panic", 1, ErrorClass::WorkerFailed, "panicked: as told"),
        ("lose", 0, ErrorClass::WorkerFailed, "the device is lost"),
        (
            "foreign",
            0,
            ErrorClass::WorkerFailed,
            "sent item 999, which it does not owe",
        ),
    ] {
        let (items, failure) = end(start(&pool, cpu_task(what, two()))).await;
        let failure = failure.expect(what);
        assert_eq!((items.len(), failure.class), (came, class), "{what}");
        assert!(
            failure.message.contains(expected),
            "{what}: {}",
            failure.message
        );
        assert_works(&pool).await;
    }
    pool.shutdown().await;
}

#[tokio::test]
async fn a_worker_that_takes_more_memory_than_its_task_claims_is_ended() {
    let spec = WorkerSpec {
        memory_slack_bytes: 16 << 20,
        ..spec(&[])
    };
    let pool = pool_of(spec, timing(), 1).await;
    let claiming = |ram_bytes| RunTask {
        ram_bytes,
        ..cpu_task("gorge", vec![Value::Nil, Value::Nil])
    };
    let mut running = start(&pool, claiming(32 << 20));
    let mut came = 0;
    let (failure, peak_ram_bytes) = loop {
        match running.next().await.expect("an end") {
            WorkerEvent::Item { .. } => came += 1,
            WorkerEvent::Log { .. } => {}
            WorkerEvent::Finished {
                failure,
                peak_ram_bytes,
            } => break (failure.expect("a failure"), peak_ram_bytes),
        }
    };
    // On a slow machine it is found out before it has sent its first item.
    assert!(came <= 1, "{came} items");
    assert_eq!(failure.class, ErrorClass::OutOfMemory);
    let words = "its task claims 32 MiB and 16 MiB more are allowed; it was killed";
    assert!(failure.message.contains(words), "{}", failure.message);
    assert!(peak_ram_bytes > 96 << 20, "{peak_ram_bytes}");
    assert_works(&pool).await;

    // What is claimed may be used, and who claims nothing is not limited.
    for ram_bytes in [128 << 20, 0] {
        let running = start(&pool, claiming(ram_bytes));
        tokio::time::sleep(Duration::from_millis(700)).await;
        running.canceller().cancel();
        let (items, failure) = end(running).await;
        let class = failure.expect("a failure").class;
        assert_eq!((items.len(), class), (1, ErrorClass::Cancelled));
    }
    pool.shutdown().await;
}

#[tokio::test]
async fn a_worker_that_stops_or_not_is_stopped_when_told() {
    // The second ignores SIGTERM, which a process inherits.
    let sh = WorkerSpec {
        args: [
            "-c",
            "trap '' TERM; exec \"$0\" \"$@\"",
            worker().to_str().unwrap(),
        ]
        .map(str::to_owned)
        .to_vec(),
        ..WorkerSpec::new("/bin/sh")
    };
    for spec in [spec(&[]), sh] {
        let pool = pool_of(spec, timing(), 1).await;
        for what in ["wait", "hang"] {
            let mut running = start(&pool, cpu_task(what, vec![Value::Nil]));
            // It runs.
            running.next().await.unwrap();
            running.canceller().cancel();
            let failure = end(running).await.1.unwrap();
            assert_eq!(failure.class, ErrorClass::Cancelled, "{what}");

            let mut task = cpu_task(what, vec![Value::Nil]);
            task.timeout_ms = 500;
            let failure = failure_of(&pool, task).await;
            assert_eq!(failure.class, ErrorClass::Timeout, "{what}");
            assert!(failure.message.contains("500 ms"), "{}", failure.message);
            assert_works(&pool).await;
        }
        pool.shutdown().await;
    }
}

#[tokio::test]
async fn a_frozen_worker_is_noticed_and_replaced() {
    let timing = Timing {
        silence: Duration::from_secs(5),
        ..timing()
    };
    let pool = pool_of(spec(&[]), timing, 1).await;
    let failure = failure_of(&pool, cpu_task("freeze", vec![Value::Nil, Value::Nil])).await;
    assert_eq!(failure.class, ErrorClass::WorkerFailed);
    assert!(
        failure.message.contains("said nothing for 5000 ms"),
        "{}",
        failure.message
    );
    assert_works(&pool).await;
    pool.shutdown().await;
}

#[tokio::test]
async fn dropping_a_task_cancels_it_and_shutting_down_cancels_all() {
    let pool = pool().await;
    let mut dropped = start(&pool, cpu_task("wait", vec![Value::Nil]));
    dropped.next().await.unwrap();
    drop(dropped);
    // It waits for the place, which is being freed; a third has no place to wait.
    let next = start(&pool, cpu_task("echo", vec![Value::Nil]));
    let third = pool.start(cpu_task("echo", vec![]), Arc::new(Store::default()));
    assert_eq!(third.unwrap_err(), Refusal::CpuBusy { workers: 1 });
    assert_eq!(end(next).await.1, None);

    let mut running = start(&pool, cpu_task("wait", vec![Value::Nil]));
    running.next().await.unwrap();
    pool.shutdown().await;
    assert_eq!(end(running).await.1.unwrap().class, ErrorClass::Cancelled);
    let refused = pool.start(cpu_task("echo", vec![]), Arc::new(Store::default()));
    assert_eq!(refused.unwrap_err(), Refusal::Stopping);
}

#[tokio::test]
async fn a_worker_that_has_sent_all_items_is_given_the_next_task() {
    let pool = pool().await;
    let refused = || {
        let task = cpu_task("echo", vec![Value::Nil]);
        let refused = pool.start(task, Arc::new(Store::default()));
        assert_eq!(refused.unwrap_err(), Refusal::CpuBusy { workers: 1 });
    };
    // It sends the first item, and ends when it is told to.
    let mut lingers = start(&pool, cpu_task("gorge", vec![Value::Nil]));
    refused();
    assert!(matches!(
        lingers.next().await,
        Some(WorkerEvent::Item { .. })
    ));
    let mut next = start(&pool, cpu_task("gorge", vec![Value::Nil, Value::Nil]));
    refused();
    end(lingers).await;
    // An item is missing, so nobody is to wait for this one.
    next.next().await.unwrap();
    refused();
    next.canceller().cancel();
    end(next).await;
    assert_works(&pool).await;
    pool.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_at_once() {
    let pool = pool().await;
    let refusal = |task| {
        let refused = pool.start(task, Arc::new(Store::default()));
        refused.unwrap_err().to_string()
    };
    let mut unknown = cpu_task("echo", vec![]);
    unknown.kind = Kind::new("other/1").unwrap();
    assert_eq!(
        refusal(unknown),
        "no worker here takes `other/1` on the CPU"
    );
    let mut unknown = device_task("echo", "pci:1");
    unknown.kind = Kind::new("script.cpu/1").unwrap();
    assert_eq!(
        refusal(unknown),
        "no worker here takes `script.cpu/1` on a device"
    );
    assert_eq!(
        refusal(device_task("echo", "pci:9")),
        "no worker for `script.device/1` has the device pci:9"
    );

    let mut first = start(&pool, device_task("wait", "pci:1"));
    first.next().await.unwrap();
    assert_eq!(
        refusal(device_task("echo", "pci:1")),
        "the device pci:1 has a task already"
    );
    // The other device and the CPU are free.
    let (items, failure) = end(start(&pool, device_task("echo", "pci:2"))).await;
    assert_eq!(failure, None);
    assert!(
        matches!(
            &items[..],
            [WorkerEvent::Item { device: Some(device), usage, .. }]
                if device == "pci:2" && usage.vram_bytes == 5 << 20
        ),
        "{items:?}"
    );
    assert_works(&pool).await;
    pool.shutdown().await;
}

#[tokio::test]
async fn cpu_tasks_run_side_by_side_up_to_the_limit() {
    let pool = pool_of(spec(&[]), timing(), 2).await;
    let mut both = [
        start(&pool, cpu_task("wait", vec![])),
        start(&pool, cpu_task("wait", vec![])),
    ];
    for running in &mut both {
        running.next().await.unwrap();
    }
    let refused = pool.start(cpu_task("wait", vec![]), Arc::new(Store::default()));
    assert_eq!(refused.unwrap_err(), Refusal::CpuBusy { workers: 2 });
    pool.shutdown().await;
}

/// Beyond its frame a task is refused; the worker takes the next.
#[tokio::test]
async fn a_task_that_fits_no_frame_is_a_bad_request() {
    let pool = pool().await;
    let large = Value::text("x".repeat(limits::VALUE_BYTES - 100));
    let failure = failure_of(&pool, cpu_task("echo", vec![large; 40])).await;
    assert_eq!(failure.class, ErrorClass::BadRequest);
    assert_works(&pool).await;
    pool.shutdown().await;
}
