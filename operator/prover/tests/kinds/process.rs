//! A worker process, spoken to as a daemon speaks to it.

use std::collections::HashMap;
use std::process::Stdio;

use froben_model::{BlobRef, ErrorClass, Kind, Value};
use froben_opencl::Device;
use froben_protocol::{Failure, FromWorker, Hello, Link, Run, RunItem, TOKEN_VARIABLE, ToWorker};
use froben_prover::place::STOCK_ID;
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// The loader finds no driver in a directory that is not there.
pub(crate) const NOWHERE: [(&str, &str); 2] = [
    ("OCL_ICD_VENDORS", "/nowhere/"),
    ("OPENCL_VENDOR_PATH", "/nowhere/"),
];

pub(crate) const TOKEN: &str = "token";

/// For tests that keep all cores busy, and for those that a busy machine would fail.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// A worker process and the blobs that it sees.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) link: Link,
    pub(crate) hello: Hello,
    pub(crate) blobs: HashMap<BlobRef, Vec<u8>>,
    task: u64,
}

pub(crate) type Items = Vec<(u32, Result<Value, Failure>, Option<String>)>;

impl Process {
    pub(crate) async fn start(flags: &[&str], env: &[(&str, &str)]) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_froben-prover"))
            .arg("--socket")
            .arg(&path)
            .args(flags)
            .env(TOKEN_VARIABLE, TOKEN)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (hello, link) = Link::accept(stream, TOKEN).await.unwrap();
        Process {
            child,
            link,
            hello,
            blobs: HashMap::new(),
            task: 0,
        }
    }

    pub(crate) async fn cpu() -> Process {
        Self::start(&["--role", "cpu"], &[]).await
    }

    /// On the first device, if there is one.
    pub(crate) async fn device() -> Option<Process> {
        let devices = Device::discover();
        let id = match &devices {
            Ok(devices) => &devices[0].id,
            Err(error) => {
                println!("SKIP: {error}");
                return None;
            }
        };
        Some(Self::start(&["--role", "device", "--device", id], &[]).await)
    }

    /// On the first device, or else on the processor.
    pub(crate) async fn any_place() -> Process {
        match Self::device().await {
            Some(process) => process,
            None => {
                let flags = ["--role", "device", "--device", STOCK_ID];
                Self::start(&flags, &NOWHERE).await
            }
        }
    }

    pub(crate) fn put(&mut self, bytes: Vec<u8>) -> Value {
        let blob = BlobRef::of(&bytes);
        self.blobs.insert(blob, bytes);
        Value::Blob(blob)
    }

    pub(crate) fn get(&self, value: &Value, name: &str) -> Vec<u8> {
        let blob = value.get(name).and_then(Value::as_blob).unwrap();
        self.blobs[&blob].clone()
    }

    /// Runs a task to its end, carrying its blobs.
    pub(crate) async fn run(
        &mut self,
        kind: &str,
        input: Value,
        items: Vec<Value>,
    ) -> (Items, Option<Failure>) {
        self.task += 1;
        let items = (0..).zip(items);
        let run = Run {
            task: self.task,
            kind: Kind::new(kind).unwrap(),
            input,
            items: items
                .map(|(index, input)| RunItem { index, input })
                .collect(),
            device: None,
            cpu_cores: 1,
            ram_bytes: 0,
            vram_bytes: 0,
            timeout_ms: 600_000,
            keys: Vec::new(),
        };
        self.link.send(&ToWorker::Run(run)).unwrap();
        let mut uploads: HashMap<u64, Vec<u8>> = HashMap::new();
        let mut done = Vec::new();
        loop {
            let answer = match self.link.recv().await.unwrap().expect("the worker lives") {
                FromWorker::Alive | FromWorker::Log { .. } => continue,
                FromWorker::Read {
                    req,
                    blob,
                    offset,
                    len,
                } => {
                    let bytes = &self.blobs[&blob][offset as usize..][..len as usize];
                    let bytes = bytes.to_vec();
                    ToWorker::Chunk { req, bytes }
                }
                FromWorker::Open { req, upload, .. } => {
                    uploads.insert(upload, Vec::new());
                    ToWorker::Done { req }
                }
                FromWorker::Write { req, upload, bytes } => {
                    uploads.get_mut(&upload).unwrap().extend(bytes);
                    ToWorker::Done { req }
                }
                FromWorker::Publish { req, upload, blob } => {
                    let bytes = uploads.remove(&upload).unwrap();
                    assert_eq!(self.put(bytes), Value::Blob(blob));
                    ToWorker::Done { req }
                }
                FromWorker::Discard { upload } => {
                    uploads.remove(&upload).unwrap();
                    continue;
                }
                FromWorker::Item {
                    index,
                    outcome,
                    device,
                    ..
                } => {
                    done.push((index, outcome, device));
                    continue;
                }
                FromWorker::Finished {
                    failure, leaving, ..
                } => {
                    assert!(uploads.is_empty() && !leaving);
                    return (done, failure);
                }
                FromWorker::Hello(_) => panic!("twice"),
            };
            self.link.send(&answer).unwrap();
        }
    }

    /// Runs a task that ends well, and gives the items' values.
    pub(crate) async fn values(
        &mut self,
        kind: &str,
        input: Value,
        items: Vec<Value>,
    ) -> Vec<Value> {
        let (items, failure) = self.run(kind, input, items).await;
        assert_eq!(failure, None);
        items
            .into_iter()
            .map(|(_, outcome, _)| outcome.unwrap())
            .collect()
    }

    /// Runs a task of one item, which fails, or fails with it.
    pub(crate) async fn failure(&mut self, kind: &str, input: Value, item: Value) -> Failure {
        let (mut items, failure) = self.run(kind, input, vec![item]).await;
        match items.pop() {
            Some((_, outcome, _)) => outcome.unwrap_err(),
            None => failure.unwrap(),
        }
    }

    pub(crate) async fn stop(mut self) {
        self.link.send(&ToWorker::Shutdown).unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// Whether a failure has this class, and these words in its message.
pub(crate) fn check(failure: &Failure, class: ErrorClass, expected: &str) {
    assert_eq!(failure.class, class, "{failure}");
    assert!(
        failure.message.contains(expected),
        "{failure} lacks {expected}"
    );
}
