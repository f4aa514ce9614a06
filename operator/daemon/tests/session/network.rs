//! A coordinator in this process, and a seeker who asks it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use froben_blobs::Blobs;
use froben_engine::{Config, Running};
use froben_journal::{MemoryStore, ScriptSet};
use froben_model::view::{WorkflowDetail, WorkflowState};
use froben_model::{SeekerId, Terms, Value, WorkflowId};
use froben_server::Server;
use froben_wire::{Ca, Identity, Request, Role, Validity};
use tokio::task::LocalSet;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Hands its input to a scripted worker, and gives what came of it.
const DO: &str = r#"
return workflow("do", {
  input = { what = "string", data = "any?", device = "boolean?", keys = "any?" },
  output = { value = "any?", class = "string?" },
}, function(ctx, input)
  local needs = { cpu_cores = 1, ram = "1MiB", shared = true }
  if input.device then needs.vram = "1MiB" end
  if input.keys then needs.keys = input.keys end
  local d = ctx:delegate {
    kind = input.device and "script.device/1" or "script.cpu/1",
    key = "do", input = input.what, items = { input.data or "nothing" },
    needs = needs, timeout = "1m" }
  local result = {}
  for _, item in ctx:stream { d } do
    if item.ok then result.value = item.value else result.class = item.err.class end
  end
  return result
end)
"#;

pub(crate) struct Network {
    dir: tempfile::TempDir,
    ca: Ca,
    pub(crate) address: String,
    pub(crate) blobs: Blobs,
    running: Option<Running>,
    server: Option<Server>,
}

impl Network {
    pub(crate) fn start() -> Network {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        let scripts = ScriptSet {
            files: BTreeMap::from([("pipelines/do.lua".to_owned(), DO.to_owned())]),
        };
        let config = Config {
            rules: froben_engine::Rules::default(),
            seed: 1,
            scripts,
            capacity: froben_engine::Capacity::default(),
        };
        let running = Running::start(Arc::new(MemoryStore::new()), config).unwrap();
        let blobs = run(Blobs::open(&dir.path().join("blobs"))).unwrap();
        let mut network = Network {
            dir,
            ca,
            address: "127.0.0.1:0".to_owned(),
            blobs,
            running: Some(running),
            server: None,
        };
        network.issue(Role::Coordinator, "coordinator");
        network.open();
        network
    }

    /// Listens, at the same address as before if there was one.
    pub(crate) fn open(&mut self) {
        let listener = TcpListener::bind(&self.address).unwrap();
        let identity = Identity::load(&self.dir.path().join("coordinator")).unwrap();
        let handle = self.running.as_ref().unwrap().handle.clone();
        let blobs = self.blobs.clone();
        let server = froben_server::serve(listener, &identity, handle, blobs, 1).unwrap();
        self.address = server.address().to_string();
        self.server = Some(server);
    }

    pub(crate) async fn close(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) fn issue(&self, role: Role, name: &str) -> PathBuf {
        let to = self.dir.path().join(name);
        let request = Request {
            role,
            name: name.to_owned(),
            dns: Vec::new(),
            ips: Vec::new(),
            validity: Validity::lasting(Duration::from_secs(3600)),
        };
        self.ca.issue(&request, &to).unwrap();
        to
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    fn seeker() -> SeekerId {
        SeekerId::new("ada").unwrap()
    }

    fn engine(&self) -> &froben_engine::EngineHandle {
        &self.running.as_ref().unwrap().handle
    }

    pub(crate) async fn submit(&self, what: &str, data: Value) -> WorkflowId {
        let input = [("what", Value::text(what)), ("data", data)];
        self.submit_input(Value::map(input)).await
    }

    pub(crate) async fn submit_input(&self, input: Value) -> WorkflowId {
        let submitted = self
            .engine()
            .submit(
                Network::seeker(),
                "do".to_owned(),
                input,
                String::new(),
                Terms::default(),
            )
            .await;
        submitted.unwrap().unwrap()
    }

    pub(crate) async fn cancel(&self, id: WorkflowId) {
        self.engine().cancel(Network::seeker(), id).await.unwrap();
    }

    pub(crate) async fn status(&self, id: WorkflowId) -> WorkflowDetail {
        let status = self.engine().status(Network::seeker(), id).await;
        status.unwrap().unwrap()
    }

    /// Waits for the end and gives an entry of the output.
    pub(crate) async fn outcome(&self, id: WorkflowId, entry: &str) -> Option<Value> {
        let detail = eventually(async || {
            let detail = self.status(id).await;
            detail.summary.state.ended().then_some(detail)
        });
        let detail = detail.await;
        let state = detail.summary.state;
        assert_eq!(
            state,
            WorkflowState::Succeeded,
            "{:?}",
            detail.summary.failure
        );
        detail.summary.output.get(entry).cloned()
    }

    /// Waits until the workflow's task is with a machine.
    pub(crate) async fn wait_running(&self, id: WorkflowId) {
        use froben_model::view::DelegationState;
        eventually(async || {
            let detail = self.status(id).await;
            let running =
                |d: &froben_model::view::DelegationView| d.state == DelegationState::Running;
            detail.delegations.iter().any(running).then_some(())
        })
        .await;
    }

    pub(crate) async fn is_draining(&self, machine: &str) -> bool {
        let machines = self.engine().machines().await.unwrap();
        let mut named = machines.iter().filter(|m| m.name.as_str() == machine);
        named.any(|m| m.draining)
    }

    pub(crate) async fn machines(&self) -> Vec<String> {
        let machines = self.engine().machines().await.unwrap();
        machines.iter().map(|m| m.name.to_string()).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// The example that cargo builds along with the tests.
pub(crate) fn worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let path = target.join("examples").join("scripted_worker");
    assert!(path.exists(), "{path:?}: `cargo test` builds it");
    path
}

pub(crate) async fn eventually<T>(mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs a future where RPC objects may live.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, future)
}
